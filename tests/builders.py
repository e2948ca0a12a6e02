"""Builders of small models and galleries, for fixtures and tests."""

from pathlib import Path

import numpy as np
import torch

from concepthash.checkpoint import ClassTable
from concepthash.codes import pack_words
from concepthash.config import BackboneConfig, ModelConfig
from concepthash.gallery import Gallery
from concepthash.model import ConceptHash

CLASS_NAMES = ("sooty tern", "common tern", "marsh wren", "cactus wren", "scarlet tanager")


def tiny_config(n_concepts: int = 2, n_bits: int = 8, **changes: object) -> ModelConfig:
    backbone = BackboneConfig(image_size=(96, 128), width=32, depth=2, n_heads=4)
    return ModelConfig(n_concepts, n_bits, len(CLASS_NAMES), **({"backbone": backbone, "text_dim": 8} | changes))  # type: ignore[arg-type]


def tiny_classes() -> ClassTable:
    features = torch.randn(len(CLASS_NAMES), 8, generator=torch.Generator().manual_seed(1))
    rows = tuple(tuple(float(f"{v:.6g}") for v in row.tolist()) for row in features)
    return ClassTable(CLASS_NAMES, tuple(name.split()[-1] for name in CLASS_NAMES), rows, "random")


def tiny_model(config: ModelConfig | None = None) -> ConceptHash:
    torch.manual_seed(0)
    config = config or tiny_config()
    features = torch.tensor(tiny_classes().text_features) if config.centers == "language" else None
    return ConceptHash(config, features).eval()


def make_gallery(code: np.ndarray, n_concepts: int, labels: np.ndarray | None = None, n_classes: int = 3) -> Gallery:
    """Make a gallery in memory from codes (n, K) bool; classes and families go round, no file is there."""
    n = len(code)
    labels = np.arange(n) % n_classes if labels is None else labels
    return Gallery(
        path=Path("gallery"),
        n_bits=code.shape[1],
        n_concepts=n_concepts,
        fingerprint="f",
        checkpoint_name="fake",
        transform="squash-8x8",
        created="2026-01-01T00:00:00+00:00",
        data_root=Path("photos"),
        image_ids=tuple(f"{i}.png" for i in range(n)),
        image_paths=tuple(f"{i}.png" for i in range(n)),
        class_names=tuple(f"class {c}" for c in range(n_classes)),
        labels=labels,
        family_names=("even", "odd"),
        family_ids=np.where(labels < 0, -1, labels % 2),
        words=pack_words(code),
        code_logits=np.where(code, 1.0, -1.0).astype(np.float32),
        sizes=np.full((n, 2), 8),
    )
