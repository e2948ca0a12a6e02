"""Builders of small models, for fixtures and tests."""

import torch

from concepthash.checkpoint import ClassTable
from concepthash.config import BackboneConfig, ModelConfig
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
