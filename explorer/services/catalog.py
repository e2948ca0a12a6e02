"""What the header says about a model: its sizes, its device, its concept names, its gallery."""

from ..records import ModelInfo
from .galleries import GalleryShelf
from .models import ModelShelf

__all__ = ["model_info"]


def model_info(models: ModelShelf, galleries: GalleryShelf, name: str) -> ModelInfo:
    """Describe a model, loading it and its gallery where that has not happened yet."""
    encoder = models.encoder(name)
    checkpoint, shown = models.checkpoint(name), galleries.of(name)
    config, sample = checkpoint.config, shown.gallery.sample
    return ModelInfo(
        name=models.title(name),
        device=str(encoder.device),
        n_concepts=config.n_concepts,
        n_bits=config.n_bits,
        n_classes=config.n_classes,
        n_blocks=encoder.n_blocks,
        concept_names=checkpoint.concept_names,
        can_save_names=models.can_save_names(name),
        n_gallery=len(shown.gallery),
        gallery_name=shown.name,
        gallery_kind=shown.kind,
        foreign_gallery=shown.foreign,
        class_names=tuple(shown.gallery.class_names),
        family_names=tuple(shown.gallery.family_names),
        facet_values=tuple((name, tuple(map(str, found))) for name, found in shown.gallery.facet_values.items()),
        n_sample=len(sample) if sample is not shown.gallery else 0,
    )
