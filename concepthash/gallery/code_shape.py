"""How a code of K bits splits over M concepts."""

__all__ = ["CodeShape"]


class CodeShape:
    """What has codes: ``n_bits`` K and ``n_concepts`` M."""

    n_bits: int
    n_concepts: int

    @property
    def bits_per_concept(self) -> int:
        """Length K/M of one sub-code."""
        return self.n_bits // self.n_concepts

    def bits_of(self, concept: int) -> slice:
        """Return where in the code the sub-code of a concept stands."""
        return slice(concept * self.bits_per_concept, (concept + 1) * self.bits_per_concept)
