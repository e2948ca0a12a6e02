"""The forty species of the aviary: who they are, what they wear, and which attribute belongs to which part."""

from dataclasses import dataclass
from functools import cached_property

from .shapes import SHAPES, Shape

__all__ = ["ATTRIBUTES", "PARTS", "PART_COLORS", "SPECIES", "Species"]

PARTS = ("beak", "eye", "crown", "throat", "head", "back", "breast", "belly", "wing", "tail", "leg")
"""Names of parts 1 to 11 of a mask; 0 is background, and whatever hides the bird."""

PART_COLORS = (
    "#f5a623 #d0021b #8e44ad #ff7eb6 #4a90e2 #7b5b3a #f8e71c #b8e986 #2e8b57 #16a2b8 #9b9b9b".split()
)  # of the same parts, for overlays

ATTRIBUTES = {
    "beak_shape": "beak",
    "eye_ring": "eye",
    "crown_color": "crown",
    "crest": "crown",
    "throat_color": "throat",
    "back_color": "back",
    "breast_color": "breast",
    "breast_pattern": "breast",
    "belly_color": "belly",
    "wing_color": "wing",
    "wing_pattern": "wing",
    "tail_color": "tail",
    "tail_shape": "tail",
    "leg_length": "leg",
    "leg_color": "leg",
}
"""Each attribute, and the part that shows it."""

HEADS = (  # crown, throat, eye ring
    ("black", "white", "none"),
    ("chestnut", "gray", "white"),
    ("blue", "black", "none"),
    ("yellow", "black", "yellow"),
    ("gray", "rufous", "white"),
)
BREASTS = (("white", "spotted"), ("buff", "streaked"), ("rufous", "plain"), ("yellow", "plain"), ("gray", "spotted"))
WINGS = (("brown", "bars"), ("black", "patch"), ("blue", "patch"), ("olive", "bars"), ("rufous", "plain"))
TAILS = ("black", "rufous", "blue", "olive", "white")

_FAMILY_COLORS = {  # back, belly, legs
    "sparrow": ("brown", "buff", "pink"),
    "jay": ("gray", "white", "black"),
    "hawk": ("brown", "white", "yellow"),
    "heron": ("gray", "gray", "yellow"),
    "curlew": ("olive", "buff", "gray"),
    "duck": ("black", "gray", "yellow"),
    "woodpecker": ("olive", "white", "gray"),
    "tern": ("gray", "white", "pink"),
}

# One word a species: its name before the family's, and which of the HEADS, BREASTS, WINGS and TAILS it wears. Any two
# of a family differ in at most two of the four; over all, no part tells much about another.
_TABLE = {
    "sparrow": "hearth:3423 thimble:1422 millrace:2420 lanternwood:0420 dapplefield:4424",
    "jay": "copperline:2101 foxglove:2211 windlow:2131 emberside:2041 quillback:2431",
    "hawk": "harrowgate:4044 stonemantle:3034 palisade:1014 tallow:0004 ironbark:2024",
    "heron": "moonreed:0402 slatepool:2302 veilwater:1002 osier:4102 lowtide:3202",
    "curlew": "driftsand:3010 samphire:3411 brackwater:3114 foghorn:3110 saltpan:3312",
    "duck": "inkwell:1330 mossbank:1303 puddle:1340 candlewick:1314 sluice:1321",
    "woodpecker": "cinderbark:0333 rookwood:0123 hollowtree:0143 timberline:0213 knotgrain:0033",
    "tern": "skerry:4221 halyard:4244 spindrift:4200 lighthouse:4232 foamcrest:4213",
}


@dataclass(frozen=True)
class Species:
    """One kind of bird; head, breast, wing and tail are places in the four lists of what birds wear."""

    name: str
    family: str
    head: int
    breast: int
    wing: int
    tail: int

    @property
    def slug(self) -> str:
        """Name of its folder."""
        return self.name.replace(" ", "_")

    @property
    def shape(self) -> Shape:
        """Silhouette of its family."""
        return SHAPES[self.family]

    @cached_property
    def attributes(self) -> dict[str, str]:
        """The value of each of `ATTRIBUTES`."""
        shape = self.shape
        crown, throat, ring = HEADS[self.head]
        breast, pattern = BREASTS[self.breast]
        wing, marks = WINGS[self.wing]
        back, belly, legs = _FAMILY_COLORS[self.family]
        return {
            "beak_shape": shape.beak.shape,
            "eye_ring": ring,
            "crown_color": crown,
            "crest": "crest" if shape.crest else "none",
            "throat_color": throat,
            "back_color": back,
            "breast_color": breast,
            "breast_pattern": pattern,
            "belly_color": belly,
            "wing_color": wing,
            "wing_pattern": marks,
            "tail_color": TAILS[self.tail],
            "tail_shape": shape.tail.shape,
            "leg_length": "long" if shape.legs > 0.4 else "short",
            "leg_color": legs,
        }


def _species() -> tuple[Species, ...]:
    found = []
    for family, row in _TABLE.items():
        for word in row.split():
            name, _, digits = word.partition(":")
            head, breast, wing, tail = map(int, digits)
            found.append(Species(f"{name.replace('_', ' ')} {family}", family, head, breast, wing, tail))
    return tuple(found)


SPECIES = _species()
"""All species, family by family."""
