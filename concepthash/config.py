"""The settings of model, losses and training: frozen dataclasses, checked at birth, saved as JSON."""

import dataclasses
import math
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from .backbone_config import CLIP_MEAN, CLIP_STD, BackboneConfig, check_choice, check_positive
from .errors import ConfigError

__all__ = [
    "CLIP_MEAN",
    "CLIP_STD",
    "LOSS_PRESETS",
    "MODEL_PRESETS",
    "TRAIN_PRESETS",
    "Augmentation",
    "BackboneConfig",
    "GroundFloor",
    "HeadConfig",
    "LossConfig",
    "ModelConfig",
    "Optimizer",
    "Precision",
    "Reading",
    "Schedule",
    "TrainConfig",
    "from_dict",
]

Centers = Literal["language", "learnable", "random"]
CenterInput = Literal["raw", "sign"]
ConceptMap = Literal["last", "rollout"]
GroundFloor = Literal["min", "mean"]
Reading = Literal["all", "patches"]
Margin = Literal["first", "all"]
Offset = Literal["own", "shared", "none"]
Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["step", "epoch"]
Augmentation = Literal["crop", "trivial"]
Precision = Literal["no", "bf16", "fp16"]


@dataclass(frozen=True)
class HeadConfig:
    """How concept embeddings become code logits.

    Parameters
    ----------
    shared
        Whether all concepts share one map h, or each has its own.
    hidden
        Widths between the layers of a shared h; none makes it linear, as in the paper.
    activation
        What stands between those layers.
    batch_norm
        Whether batch norm over the code follows, as released; it gives the sign rule its thresholds.
    specificity
        Whether concepts get specificity embeddings E; without, E is 0. A batch norm behind a linear shared h takes away
        whatever E adds, so that it matters only without one, or with hidden layers.
    """

    shared: bool = True
    hidden: tuple[int, ...] = ()
    activation: Literal["relu", "gelu", "none"] = "relu"
    batch_norm: bool = True
    specificity: bool = True

    def __post_init__(self) -> None:
        check_choice("activation", self.activation, Literal["relu", "gelu", "none"])
        if self.hidden and (min(self.hidden) < 1 or not self.shared):
            raise ConfigError("Hidden layers of the hash map need widths greater than 0, and concepts that share it.")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of a ConceptHash model; ``n_bits`` splits evenly over ``n_concepts``.

    Parameters
    ----------
    n_concepts, n_bits, n_classes
        M, K and C of the paper.
    backbone
        The vision transformer.
    prompt_generator
        Whether concept tokens come from the released code's generator instead of being free parameters.
    reading
        Which tokens a token attends to: ``"all"`` of them (paper), or ``"patches"``: a concept token reads patches and
        nothing else, and a patch reads only itself, so that a sub-code holds what stands where its concept looks.
    centers
        What the hash centers are computed from: class-name text features, free vectors, or fixed random signs.
    center_input
        ``"raw"`` text features as in the paper, or their ``"sign"`` as in the released code.
    text_dim
        Width T of the class-name text features; 0 where there are none.
    text_hidden
        Width inside the map t from text features to centers; 0 for T.
    n_registers
        Tokens that enter beside the concepts and give no sub-code.
    prompt_dim, prompt_heads
        Width and attention heads of the prompt generator.
    head
        The map from concept embeddings to code logits.
    patch_classifier
        Whether the classifier of patches is there that L_ground needs and nothing else uses.
    """

    n_concepts: int = 4
    n_bits: int = 64
    n_classes: int = 2
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    prompt_generator: bool = False
    reading: Reading = "all"
    centers: Centers = "language"
    center_input: CenterInput = "raw"
    text_dim: int = 0
    text_hidden: int = 0
    n_registers: int = 0
    prompt_dim: int = 512
    prompt_heads: int = 8
    head: HeadConfig = field(default_factory=HeadConfig)
    patch_classifier: bool = True

    def __post_init__(self) -> None:
        check_positive(self, "n_concepts", "n_bits", "n_classes", "prompt_dim", "prompt_heads")
        check_choice("reading", self.reading, Reading)
        check_choice("centers", self.centers, Centers)
        check_choice("center_input", self.center_input, CenterInput)
        if self.n_bits % self.n_concepts:
            raise ConfigError(
                f"{self.n_bits} bits do not split over {self.n_concepts} concepts; "
                f"choose a number of bits that is a multiple of {self.n_concepts}."
            )
        if min(self.n_registers, self.text_hidden) < 0:
            raise ConfigError("n_registers and text_hidden must be 0 or more.")
        if self.prompt_generator and self.prompt_dim % self.prompt_heads:
            raise ConfigError(
                f"prompt_dim {self.prompt_dim} does not split over {self.prompt_heads} heads; choose another number."
            )
        if self.centers == "language" and self.text_dim < 1:
            raise ConfigError("Language-guided centers need text features; give text_dim, or choose other centers.")

    @property
    def bits_per_concept(self) -> int:
        """K/M, the length of one sub-code."""
        return self.n_bits // self.n_concepts


@dataclass(frozen=True)
class LossConfig:
    """Weights and switches of the loss terms; `LOSS_PRESETS` names the settings worth having.

    Parameters
    ----------
    clf_weight, quan_weight, cd_weight, csd_weight
        Weights of L_clf, L_quan, L_cd and L_csd.
    ground_weight
        Weight of L_ground, this project's own term: the patches a concept looks at must tell the class by themselves.
    ground_floor
        What counts as no evidence in L_ground: the patch that speaks least for the class (``"min"``), or every patch
        that speaks for it no more than the ``"mean"`` patch does.
    sub_weight
        Weight of L_sub, this project's own term: sub-codes of different concepts must arrange the classes differently.
    sep_weight
        Weight of L_sep, this project's own term: no two classes have more similar codes than random ones would be.
    scale, margin
        Scale s and additive cosine margin m of the classification terms.
    cd_margin
        Whether the margin of L_cd reaches the ``"first"`` concept only (as released) or ``"all"``.
    cd_offset
        What L_cd adds to concept embeddings: an offset of its ``"own"`` (as released), the hash head's specificity
        (``"shared"``), or ``"none"`` (paper).
    csd_map
        Which concept map L_csd and L_ground act on: attention of the ``"last"`` block (paper) or the ``"rollout"``.
    """

    clf_weight: float = 1.0
    quan_weight: float = 1.0
    cd_weight: float = 1.0
    csd_weight: float = 1.0
    ground_weight: float = 0.0
    ground_floor: GroundFloor = "min"
    sub_weight: float = 0.0
    sep_weight: float = 0.0
    scale: float = 8.0
    margin: float = 0.2
    cd_margin: Margin = "all"
    cd_offset: Offset = "own"
    csd_map: ConceptMap = "last"

    def __post_init__(self) -> None:
        check_positive(self, "scale")
        check_choice("cd_margin", self.cd_margin, Margin)
        check_choice("cd_offset", self.cd_offset, Offset)
        check_choice("csd_map", self.csd_map, ConceptMap)
        check_choice("ground_floor", self.ground_floor, GroundFloor)
        for name, value in vars(self).items():
            if (name.endswith("_weight") or name == "margin") and not 0 <= value < math.inf:
                raise ConfigError(f"{name} is {value}; it must be 0 or more, and finite.")
        if not any(value for name, value in vars(self).items() if name.endswith("_weight")):
            raise ConfigError("All weights of the loss are 0, so nothing would be learned; set one of them at least.")


LOSS_PRESETS: dict[str, LossConfig] = {
    "grounded": LossConfig(csd_weight=1.5, ground_weight=2.0, sub_weight=1.0, sep_weight=1.0, csd_map="rollout"),
    "paper": LossConfig(cd_offset="none"),
    "released": LossConfig(csd_weight=0.0, cd_margin="first"),
}
MODEL_PRESETS: dict[str, dict[str, Any]] = {  # what `ModelConfig` is given beside its sizes
    "grounded": {"reading": "patches"},
    "paper": {"center_input": "raw", "prompt_generator": False, "patch_classifier": False},
    "released": {"center_input": "sign", "prompt_generator": True, "patch_classifier": False},
}


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; `TRAIN_PRESETS` names the settings worth having.

    Parameters
    ----------
    epochs, batch_size, warmup_epochs
        Passes over the data, images a step of the optimizer, and epochs of linear warm-up before the cosine decay.
    accumulation_steps
        Parts that each process computes its share of a batch in, to save memory.
    optimizer, learning_rate, weight_decay
        ``"adamw"`` or ``"sgd"`` (momentum 0.9) and its settings.
    schedule
        Whether the learning rate changes every ``"step"``, or every ``"epoch"`` as released.
    clip_norm
        Largest norm of the gradient; 0 for no limit.
    n_views, augmentation
        Views of each image whose stem features are read, the first as the model will see it when used, the others
        augmented; every epoch takes one of them at random (the released code makes a new one, which would take a pass
        of the stem each time). ``"crop"`` cuts, flips and tints; ``"trivial"`` flips and takes one step of
        TrivialAugment, as released.
    plain_share
        Share of images that take the first view instead, in [0, 1]; with 0 none does, unless it is the only one.
    cutmix_share
        Share of images in which a rectangle of features comes from another image of the same class, in [0, 1]: parts
        have to be told by what they are, not by what stands beside them.
    feature_dropout
        Share of the stem's channels dropped in each image, in [0, 1).
    stem_rate
        Learning rate of the stem's stages that train, as a share of that of all else.
    mixed_precision
        ``"bf16"`` or ``"fp16"`` for forward passes in half precision, with losses in float32; ``"no"`` for float32.
    save_steps
        Steps between two states kept on disk; there is one at the end of every epoch, too.
    seed
        Seed of weights, views and order.
    """

    epochs: int = 80
    batch_size: int = 32
    warmup_epochs: int = 2
    accumulation_steps: int = 1
    optimizer: Optimizer = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    schedule: Schedule = "step"
    clip_norm: float = 1.0
    n_views: int = 16
    augmentation: Augmentation = "crop"
    plain_share: float = 0.2
    cutmix_share: float = 0.5
    feature_dropout: float = 0.3
    stem_rate: float = 0.1
    mixed_precision: Precision = "no"
    save_steps: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(self, "epochs", "batch_size", "accumulation_steps", "learning_rate", "n_views", "save_steps")
        check_positive(self, "stem_rate")
        if self.batch_size < 2:
            raise ConfigError("batch_size is 1; batch normalization of the code needs at least 2 images a step.")
        check_choice("optimizer", self.optimizer, Optimizer)
        check_choice("schedule", self.schedule, Schedule)
        check_choice("augmentation", self.augmentation, Augmentation)
        check_choice("mixed_precision", self.mixed_precision, Precision)
        if not (0 <= self.plain_share <= 1 and 0 <= self.cutmix_share <= 1):
            raise ConfigError("plain_share and cutmix_share must be at least 0 and at most 1.")
        if not 0 <= self.feature_dropout < 1:
            raise ConfigError("feature_dropout must be at least 0 and less than 1.")
        if not all(0 <= value < math.inf for value in (self.warmup_epochs, self.weight_decay, self.clip_norm)):
            raise ConfigError("warmup_epochs, weight_decay and clip_norm must be 0 or more, and finite.")
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"seed is {self.seed}; it must be at least 0 and less than {2**31:,}.")


_RELEASED = TrainConfig(
    epochs=100,
    warmup_epochs=10,
    optimizer="sgd",
    weight_decay=5e-4,
    schedule="epoch",
    clip_norm=0.0,
    augmentation="trivial",
    plain_share=0.0,
    cutmix_share=0.0,
    feature_dropout=0.0,
    seed=42,
)
TRAIN_PRESETS: dict[str, TrainConfig] = {"grounded": TrainConfig(), "paper": _RELEASED, "released": _RELEASED}


def from_dict(kind: type, values: dict[str, Any]) -> Any:
    """Build the frozen dataclass ``kind`` from what JSON gave, nested ones and tuples included.

    Raises
    ------
    ConfigError
        For an unknown or missing name, or a value the class refuses.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{kind.__name__} cannot be read: it is {values!r:.40} instead of settings by name.")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ConfigError(f"{kind.__name__} has no setting {', '.join(unknown)}; known are {', '.join(fields)}.")
    made = {}
    for name, value in values.items():
        inner = fields[name].type
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            value = from_dict(inner, value)
        value = tuple(value) if isinstance(value, list) else value
        if not _fits(value, inner):
            raise ConfigError(f"{name} is {value!r:.40}; it must be {_KINDS.get(inner, 'of another kind')}.")
        made[name] = value
    try:
        return kind(**made)
    except TypeError as error:
        raise ConfigError(f"{kind.__name__} cannot be read: {error}.") from error


_KINDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def _fits(value: Any, kind: Any) -> bool:
    """Whether what JSON gave is of the kind that a setting is declared with."""
    origin, kinds = get_origin(kind), get_args(kind)
    if origin is tuple:
        kinds = kinds[:1] * len(value) if isinstance(value, tuple) and kinds[-1] is Ellipsis else kinds
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(_fits, value, kinds))
    if origin is UnionType:
        return any(_fits(value, one) for one in kinds)
    if origin is Literal or dataclasses.is_dataclass(kind):
        return True  # whose own checks say more
    return type(value) in ((int, float) if kind is float else (kind,))
