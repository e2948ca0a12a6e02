"""The settings of a vision transformer, and how a setting is checked."""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from .errors import ConfigError

__all__ = ["CLIP_MEAN", "CLIP_STD", "BackboneConfig", "check_choice", "check_positive"]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def check_choice(name: str, value: str, choices: Any) -> None:
    """Refuse a value that the literal type ``choices`` does not hold.

    Raises
    ------
    ConfigError
        If it does not.
    """
    if value not in get_args(choices):
        raise ConfigError(f"{name} is {value!r}; choose one of {', '.join(map(repr, get_args(choices)))}.")


def check_positive(settings: Any, *names: str) -> None:
    """Refuse settings that are not greater than 0, or not finite.

    Raises
    ------
    ConfigError
        For the first of them.
    """
    for name in names:
        if not 0 < getattr(settings, name) < math.inf:
            raise ConfigError(f"{name} is {getattr(settings, name)!r}; it must be greater than 0, and finite.")


@dataclass(frozen=True)
class BackboneConfig:
    """A vision transformer: ``"hybrid"`` (a frozen convolutional stem below small timm blocks), ``"clip"`` (the image
    tower of a CLIP of any size, random weights) or any timm name.

    Parameters
    ----------
    name
        ``"hybrid"``, ``"clip"``, or a timm ``VisionTransformer`` name such as
        ``"vit_base_patch32_clip_quickgelu_224.openai"``.
    image_size
        Height and width in pixels that every image is resized to.
    stem, output_stride
        Hybrid only: timm name of the stem, and pixels per grid cell.
    stem_stage
        Hybrid only: the last of the stem's stages that is kept, counted from 0 as timm counts where it halves the grid
        (3: 16 pixels a cell). Early stages see less around a cell and give a finer grid; None keeps the whole stem.
    trained_stages
        Hybrid only: how many of the stem's last groups of blocks train with the transformer, and the convolution
        behind them; 0 freezes the whole stem. The features of a stem that can be cached then end before them.
    width, depth, n_heads
        Size of the transformer of a hybrid or a ``"clip"``.
    adapter_dim
        Bottleneck width of the paper's adapters in a frozen transformer; 0 trains the transformer itself.
    dropout, drop_path
        Hybrid only, while training: share of channels dropped in every sub-layer, and of whole sub-layers skipped.
    mean, std
        Normalization of RGB values in [0, 1]: ``(x - mean) / std``; `CLIP_MEAN` and `CLIP_STD` for CLIP.
    patch_size, mlp_dim, activation
        ``"clip"`` only: pixels per patch, width inside an MLP (0: four times the tokens'), and what stands there:
        OpenAI's ``"quickgelu"`` or ``"gelu"``.
    class_token
        Whether CLS goes through the blocks as in the released code; without it only patches and concepts do.
    """

    name: str = "hybrid"
    image_size: tuple[int, int] = (320, 320)
    stem: str = "tf_efficientnet_lite2"
    output_stride: int = 32
    stem_stage: int | None = None
    trained_stages: int = 0
    width: int = 256
    depth: int = 2
    n_heads: int = 4
    adapter_dim: int = 0
    dropout: float = 0.1
    drop_path: float = 0.1
    mean: tuple[float, float, float] = (127 / 255,) * 3
    std: tuple[float, float, float] = (128 / 255,) * 3
    patch_size: int = 32
    mlp_dim: int = 0
    activation: Literal["quickgelu", "gelu"] = "quickgelu"
    class_token: bool = True

    def __post_init__(self) -> None:
        check_positive(self, "output_stride", "width", "depth", "n_heads", "patch_size")
        check_choice("activation", self.activation, Literal["quickgelu", "gelu"])
        if len(self.image_size) != 2 or min(self.image_size) < 16:
            raise ConfigError(f"image_size is {self.image_size!r}; give height and width of at least 16 pixels.")
        if self.name in ("hybrid", "clip") and self.width % self.n_heads:
            raise ConfigError(f"width {self.width} does not split over {self.n_heads} heads; use a multiple of it.")
        if not (0 <= self.dropout < 1 and 0 <= self.drop_path < 1):
            raise ConfigError("dropout and drop_path must be at least 0 and less than 1.")
        if self.stem_stage is not None and not 0 <= self.stem_stage <= 4:
            raise ConfigError(f"stem_stage is {self.stem_stage}; use 0 to 4, or None for the whole stem.")
        if min(self.std) <= 0:
            raise ConfigError(f"std is {self.std!r}; give three numbers greater than 0.")
        for name in ("adapter_dim", "mlp_dim", "trained_stages"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 0 or more.")

    @property
    def is_hybrid(self) -> bool:
        """Whether a convolutional stem stands below the transformer."""
        return self.name == "hybrid"
