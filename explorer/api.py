"""The public functions: what the page, Python, REST and MCP ask is answered here, by one implementation.

In Python::

    from explorer import api

    seen = api.explain("bird.jpg")                                # an Explanation; its maps are numpy arrays
    like = api.match("bird.jpg", agree=["exact", "ignore", "ignore", "ignore"])

Concepts, bits, classes and pages are counted from 0. An image is a path, the bytes of a file, RGB uint8 (H, W, 3), a
picture of Pillow's, or ``"gallery:"`` and an id, as the answers name images of the gallery. An empty ``checkpoint`` is
the default one, that of `checkpoints` with ``is_default``.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal

from concepthash.errors import QueryError

from .api_records import Call, CheckpointInfo, Classification, ComposedPart
from .api_types import NAMED, WORDS, Count, Image, Index, Part, Rule, Share, Weight, checked, content_of
from .center_records import CenterMap
from .records import Explanation, MapControls, MatchResult
from .services import Services, load_services
from .settings import read_settings
from .subcode_records import CellGrid, Dictionary, Flip, Plane

__all__ = [
    "Api",
    "call_of",
    "centers",
    "checkpoints",
    "classify",
    "compose",
    "explain",
    "flip",
    "match",
    "subcodes",
]


class Api:
    """The eight functions over one set of services, which are loaded when first asked for anything.

    Each raises a `ConceptHashError` whose text says what is wrong and what to do: for an unknown checkpoint, an image
    that cannot be read, or a question that has no meaning. ``visitor`` says whose uploads may be named.
    """

    def __init__(self, load: Callable[[], Services]) -> None:
        self._load = load

    @functools.cached_property
    def services(self) -> Services:
        """What answers."""
        return self._load()

    def checkpoints(self) -> list[CheckpointInfo]:
        """List the models that can be asked, the default one first.

        Returns
        -------
        list of CheckpointInfo
            Names, sizes, concepts and classes.
        """
        return [self._described(name) for name in self.services.model_names]

    @checked
    def explain(
        self,
        image: Image,
        checkpoint: str = "",
        method: Literal["rollout", "raw", "gradient"] = "rollout",
        last_k: Index = 0,
        head_fusion: Literal["mean", "max", "min"] = "mean",
        residual: Share = 0.5,
        discard: Share = 0.0,
        *,
        visitor: str = "",
    ) -> Explanation:
        """Show what each concept looks at in an image, and what it wrote.

        Parameters
        ----------
        image
            A path, bytes, array or picture, or "gallery:" and the id of an image of the gallery.
        checkpoint
            Name of a model; empty for the default one.
        method
            How attention becomes a map: rollout over the blocks, raw attention of the last, or weighted by gradients.
        last_k
            Only the last k blocks; 0 for all.
        head_fusion
            How attention heads become one.
        residual
            Share of the skip connection mixed into each block, at least 0 and below 1.
        discard
            Share of the weakest attention that is left out, at least 0 and below 1.

        Returns
        -------
        Explanation
            For each concept: a map (h, w) that covers the image and sums to 1, its bits with their values before the
            sign, the nearest class centers, and how many images of the gallery share the sub-code.

        References
        ----------
        Abnar and Zuidema, Quantifying Attention Flow in Transformers, ACL 2020, for the rollout.
        """
        controls = MapControls(method, last_k, head_fusion, residual, discard)
        return self.services.explain.explain(*self._asked(checkpoint, visitor, image), controls)

    @checked
    def match(
        self,
        image: Image,
        checkpoint: str = "",
        agree: Sequence[Rule] = (),
        rank: Literal["hamming", "weighted", "none"] = "hamming",
        weights: Sequence[Weight] = (),
        classes: Sequence[str] = (),
        family: str = "",
        patterns: Sequence[str] = (),
        where: Sequence[str] = (),
        page: Index = 0,
        page_size: Count = 24,
        *,
        visitor: str = "",
        names: Sequence[str] = (),
    ) -> MatchResult:
        """Find images of the gallery that agree with an image on chosen concepts.

        Parameters
        ----------
        image
            A path, bytes, array or picture, or "gallery:" and the id of an image of the gallery.
        checkpoint
            Name of a model; empty for the default one.
        agree
            One rule a concept: "exact", "ignore", "differ", or the most bits that may differ; empty to ignore all.
        rank
            Order by Hamming distance, by weighted distance, or as the gallery stands.
        weights
            One weight a concept for the weighted order; empty for 1 each.
        classes
            Only images of these classes.
        family
            Only images of this family.
        patterns
            One text of 0, 1 and . (any) per concept that sub-codes must follow; empty for all.
        where
            Only images with these values of other columns, one a column, such as "split=test".
        page
            Page of the results.
        page_size
            Results on a page, 1 to 100.

        Returns
        -------
        MatchResult
            Matches, best first, with distances in bits per concept; how many there are, also by class, family and
            other values, each without its own filter; looser questions if few.
        """
        asked = self._asked(checkpoint, visitor, image)
        m = self._n_concepts(asked[0])
        return self.services.match.match(
            *asked,
            agree=_one_each(agree, m, "agree", lambda rule: WORDS.get(rule, rule)),
            rank=rank,
            weights=_one_each(weights, m, "weights", lambda weight: 10 * weight),
            classes=tuple(classes),
            family=family,
            patterns=_one_each(patterns, m, "patterns", str),
            where=tuple(where),
            page=page,
            page_size=page_size,
            names=tuple(names),
        )

    @checked
    def compose(
        self,
        parts: Sequence[Part],
        checkpoint: str = "",
        image: Image = "",
        classes: Sequence[str] = (),
        family: str = "",
        patterns: Sequence[str] = (),
        where: Sequence[str] = (),
        page: Index = 0,
        page_size: Count = 24,
        *,
        visitor: str = "",
    ) -> MatchResult:
        """Find images with sub-codes of several images: the head of one, the wing of another, not the tail of a third.

        Parameters
        ----------
        parts
            Each with an image and a concept, the most bits that may differ (radius, 0 if left out), and differs: true
            for a sub-code that must differ by more than the radius.
        checkpoint
            Name of a model; empty for the default one.
        image
            An image that the other concepts are compared with, which need not agree; that of the first part if empty.
        classes
            Only images of these classes.
        family
            Only images of this family.
        patterns
            One text of 0, 1 and . (any) per concept that sub-codes must follow; empty for all.
        where
            Only images with these values in other columns of the gallery, such as "split=test".
        page
            Page of the results.
        page_size
            Results on a page, 1 to 100.

        Returns
        -------
        MatchResult
            Matches, those that differ least in the wanted parts first.
        """
        name = checkpoint or self.services.default_model
        return self.services.compose.compose(
            name,
            visitor,
            tuple(self._part(part) for part in parts),
            self._name_of(image),
            classes=tuple(classes),
            family=family,
            patterns=_one_each(patterns, self._n_concepts(name), "patterns", str),
            where=tuple(where),
            page=page,
            page_size=page_size,
        )

    @checked
    def flip(
        self, image: Image, concept: Index, bits: Sequence[Index] = (), checkpoint: str = "", *, visitor: str = ""
    ) -> Flip:
        """Turn bits of one concept of an image's code over, and see which images are found instead.

        Parameters
        ----------
        image
            A path, bytes, array or picture, or "gallery:" and the id of an image of the gallery.
        concept
            The concept.
        bits
            Bits to turn, as they are counted in the whole code, all of the concept's sub-code.
        checkpoint
            Name of a model; empty for the default one.

        Returns
        -------
        Flip
            Neighbors before and after, and the nearest real image with exactly the turned sub-code.
        """
        asked = self._asked(checkpoint, visitor, image)
        self._check_concept(asked[0], concept)
        size = self.services.models.checkpoint(asked[0]).config.bits_per_concept
        if any(bit // size != concept for bit in bits):
            first = concept * size
            raise QueryError(
                f"Not all of the bits {[*bits][:8]} are of concept {concept}; it has {first} to {first + size - 1}."
            )
        return self.services.flip.flip(*asked, concept, tuple(bits))

    @checked
    def subcodes(
        self,
        concept: Index,
        checkpoint: str = "",
        view: Literal["cells", "scatter", "dictionary"] = "cells",
        axes: Sequence[Index] = (),
        image: Image = "",
        page: Index = 0,
        *,
        visitor: str = "",
    ) -> CellGrid | Plane | Dictionary:
        """Show which images of the gallery have which sub-codes of a concept.

        Parameters
        ----------
        concept
            The concept.
        checkpoint
            Name of a model; empty for the default one.
        view
            "cells" for the quadrants of two bits (or all cells of up to four), "scatter" for images at their values of
            two bits before the sign, "dictionary" for all sub-codes in use.
        axes
            Two bits counted from 0 within the sub-code; empty for those that split the gallery most evenly.
        image
            An image whose own sub-code is told, too; needed for "scatter".
        page
            Page of the dictionary.

        Returns
        -------
        CellGrid, Plane or Dictionary
            Cells with their images and classes, points, or one page of sub-codes, the most common first.

        References
        ----------
        The paper's figure of 2-bit sub-codes in four quadrants.
        """
        name, visitor, shown = self._asked(checkpoint, visitor, image)
        self._check_concept(name, concept)
        services = self.services.subcodes
        if view == "dictionary":
            return services.dictionary(name, visitor, shown, concept, page)
        if view == "cells":
            return services.grid(name, visitor, shown, concept, self._axes(name, concept, axes))
        if not shown:
            raise QueryError("A scatter shows where an image lies among the others; give an image.")
        pair = self._axes(name, concept, axes)
        first, second = pair if len(pair) == 2 else services.telling(name, concept)
        return services.plane(name, visitor, shown, concept, (first, second))

    @checked
    def centers(
        self,
        checkpoint: str = "",
        projection: Literal["tsne", "pca"] = "tsne",
        grouping: Literal["name", "taxonomy"] = "name",
    ) -> CenterMap:
        """Show the hash centers of a model's classes in the plane, by family.

        Parameters
        ----------
        checkpoint
            Name of a model; empty for the default one.
        projection
            t-SNE or principal components.
        grouping
            Families by the classes' names, or by taxonomy where it knows them.

        Returns
        -------
        CenterMap
            Positions and codes of random, learned and language-guided centers, with measures of how well families
            keep together and how far the picture can be trusted.
        """
        return self.services.centers.picture(checkpoint or self.services.default_model, projection, grouping)

    @checked
    def classify(self, image: Image, checkpoint: str = "", k: Count = 5, *, visitor: str = "") -> Classification:
        """Name the classes whose hash centers are nearest to an image's code.

        Parameters
        ----------
        image
            A path, bytes, array or picture, or "gallery:" and the id of an image of the gallery.
        checkpoint
            Name of a model; empty for the default one.
        k
            Number of classes, 1 to 100.

        Returns
        -------
        Classification
            Classes with cosines in [-1, 1], by the whole code and by each concept's sub-code alone.
        """
        return self.services.explain.classify(*self._asked(checkpoint, visitor, image), k)

    def _asked(self, checkpoint: str, visitor: str, image: Image) -> tuple[str, str, str]:
        return checkpoint or self.services.default_model, visitor, self._name_of(image)

    def _name_of(self, image: Image) -> str:
        """Name an image as services do; one that is given by its content is kept for a while."""
        if isinstance(image, str) and (not image or image.startswith(NAMED)):
            return image
        return self.services.photos.keep_guest(content_of(image))

    def _part(self, part: Part) -> ComposedPart:
        if "image" not in part or "concept" not in part:
            raise QueryError("A part lacks its image or its concept; give both.")
        return ComposedPart(
            self._name_of(part["image"]), part["concept"], part.get("radius", 0), part.get("differs", False)
        )

    def _axes(self, checkpoint: str, concept: int, axes: Sequence[int]) -> tuple[int, ...]:
        found = self.services.subcodes.axes(checkpoint, concept, tuple(axes))
        if axes and found != tuple(axes):
            raise QueryError(f"The axes {[*axes][:8]} are not two different bits of this sub-code; leave them out.")
        return found

    def _check_concept(self, checkpoint: str, concept: int) -> None:
        if concept >= self._n_concepts(checkpoint):
            raise QueryError(f"Concept {concept} does not exist; choose 0 to {self._n_concepts(checkpoint) - 1}.")

    def _n_concepts(self, checkpoint: str) -> int:
        return self.services.models.checkpoint(checkpoint).config.n_concepts

    def _described(self, name: str) -> CheckpointInfo:
        known = self.services.models.checkpoint(name)
        config = known.config
        return CheckpointInfo(
            name,
            name == self.services.default_model,
            config.n_concepts,
            config.n_bits,
            config.bits_per_concept,
            config.n_classes,
            known.concept_names,
            known.class_names,
            tuple(sorted(set(known.families) - {""})),
        )


def _one_each(values: Sequence[Any], n: int, name: str, convert: Callable[[Any], Any]) -> tuple[Any, ...]:
    if values and len(values) != n:
        raise QueryError(f"{name} has {len(values)} entries; give one for each of the {n} concepts, or none.")
    return tuple(map(convert, values))


def call_of(function: str, **values: Any) -> Call:
    """Write down a call as another program would make it; what is equal to a default need not be said."""
    parameters = inspect.signature(getattr(Api, function)).parameters.values()
    taken = {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"}
    full = taken | values
    given = tuple((name, value) for name, value in full.items() if name in values and value != taken[name])
    return Call(function, given, tuple(full.items()))


_here = Api(lambda: load_services(read_settings([])))
checkpoints, explain, match, compose = _here.checkpoints, _here.explain, _here.match, _here.compose
flip, subcodes, centers, classify = _here.flip, _here.subcodes, _here.centers, _here.classify
