"""Natural colors, as linear RGB reflectances."""

import numpy as np

__all__ = ["BEAK_COLORS", "COLORS", "cheek_color", "linear"]


def linear(code: str) -> np.ndarray:
    """Turn a hexadecimal sRGB color into linear RGB (3,).

    Examples
    --------
    >>> linear("ff0000").round(2).tolist()
    [1.0, 0.0, 0.0]
    """
    values = np.array([int(code[k : k + 2], 16) for k in (0, 2, 4)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


COLORS = {
    name: linear(code)
    for name, code in {
        "black": "2b292c",
        "white": "efebe2",
        "gray": "8f9498",
        "brown": "7d5f43",
        "chestnut": "8a4526",
        "rufous": "ad6a3f",
        "buff": "d8c09a",
        "yellow": "d6b04e",
        "olive": "74763f",
        "blue": "4d7399",
        "pink": "c48a78",
        "umber": "3d2c20",
    }.items()
}

BEAK_COLORS = {  # lower mandible, upper mandible, tip
    family: tuple(map(linear, codes.split()))
    for family, codes in {
        "sparrow": "c9a27a 8a6f58 4a3d36",
        "jay": "3a3838 302e30 262426",
        "hawk": "d8b04a 6f767c 26262a",
        "heron": "d9a43c c08a34 5a4a30",
        "curlew": "b07a62 6a5348 2c2624",
        "duck": "c98f3c d0a040 4a4038",
        "woodpecker": "8c9094 5c6066 3a3c40",
        "tern": "c4502e b8452a 3a2420",
    }.items()
}

_CHEEKS = {"black": "cfcabd", "chestnut": "b3ada0", "blue": "8a9fb2", "yellow": "8d8550", "gray": "b9b7b0"}


def cheek_color(crown: str, throat: str) -> np.ndarray:
    """Color of the sides of a head between its crown and its throat, (3,) linear RGB.

    Examples
    --------
    >>> cheek_color("black", "white").shape
    (3,)
    """
    return 0.8 * linear(_CHEEKS[crown]) + 0.2 * COLORS[throat]
