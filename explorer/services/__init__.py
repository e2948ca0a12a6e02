"""Numbers for the views: models, galleries, explanations and matches; no gradio in here."""

from dataclasses import dataclass

from concepthash.errors import ConceptHashError

from ..records import BitCell, ModelInfo, Photo
from ..settings import Settings
from .cache import AnswerCache
from .catalog import model_info
from .centers import CenterService
from .compose import ComposeService
from .crops import CropService
from .explain import ExplainService, cells
from .flip import FlipService
from .galleries import GalleryShelf
from .gate import Gate
from .health import HealthService
from .match import MatchService
from .models import ModelShelf
from .photos import PhotoService
from .picture_store import PictureStore
from .subcodes import SubcodeService
from .training.service import TrainingService

__all__ = ["ConceptHashError", "Services", "load_services"]


@dataclass(frozen=True, eq=False)
class Services:
    """Everything a view may ask for, made once at start."""

    settings: Settings
    models: ModelShelf
    galleries: GalleryShelf
    photos: PhotoService
    explain: ExplainService
    match: MatchService
    compose: ComposeService
    subcodes: SubcodeService
    flip: FlipService
    crops: CropService
    centers: CenterService
    training: TrainingService
    gate: Gate
    health: HealthService

    @property
    def default_model(self) -> str:
        """Name of the model a new visitor starts with."""
        return self.galleries.default_model

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names on the menu: the default model, then the others in alphabetical order."""
        return (self.default_model, *(name for name in self.models.names if name != self.default_model))

    def info(self, checkpoint: str) -> ModelInfo:
        """Describe a model and its gallery."""
        return model_info(self.models, self.galleries, checkpoint)

    def in_hand(self, checkpoint: str, visitor: str, image: str) -> tuple[Photo, tuple[BitCell, ...]]:
        """Return the image above the tabs and its whole code."""
        photo = self.photos.small(checkpoint, visitor, image)
        return photo, cells(self.explain.code_logits(checkpoint, visitor, image), slice(None))


def load_services(settings: Settings) -> Services:
    """Read checkpoints and gallery, load the default model, and put the services together."""
    models = ModelShelf(settings)
    galleries = GalleryShelf(settings, models)
    photos = PhotoService(settings, galleries)
    explain = ExplainService(models, photos, AnswerCache(settings.cached_answers, settings.upload_seconds))
    services = Services(
        settings,
        models,
        galleries,
        photos,
        explain,
        MatchService(photos, explain),
        ComposeService(photos, explain),
        SubcodeService(photos, explain),
        FlipService(photos, explain),
        CropService(photos),
        CenterService(models, photos, AnswerCache(settings.cached_answers), PictureStore(settings.cache)),
        TrainingService(settings, models),
        Gate(settings.calls_at_once, settings.calls_waiting, settings.call_seconds),
        HealthService(models, galleries),
    )
    services.info(services.default_model)
    return services
