"""How the parts that answer visitors stand: model, gallery, and the engine that searches it."""

from dataclasses import dataclass
from functools import cached_property

from concepthash.errors import ConceptHashError
from concepthash.gallery.gallery import Gallery
from concepthash.gallery.large_gallery import AnyGallery

from .galleries import GalleryShelf, ShownGallery
from .models import ModelShelf

__all__ = ["Health", "HealthService"]


@dataclass(frozen=True)
class Health:
    """What runs, in names, and one sentence for visitors on each thing that is down."""

    model: str = ""
    device: str = ""
    gallery: str = ""
    engine: str = ""
    troubles: tuple[str, ...] = ()
    can_answer: bool = True


class HealthService:
    """Looks at what visitors start with; it may wait for a server, so it is asked in a thread of its own."""

    def __init__(self, models: ModelShelf, galleries: GalleryShelf) -> None:
        self._models, self._galleries = models, galleries

    def look(self) -> Health:
        """Ask every part."""
        name = self._galleries.default_model
        try:
            away = self._galleries.ask_server()
            shown, device = self._galleries.of(name), self._device
        except ConceptHashError as error:
            return Health(name, troubles=(str(error),), can_answer=False)
        troubles = (self._without_files(name), away, _without_folder(shown))
        can_answer = self._models.has_files(name) or self._models.is_loaded(name)
        return Health(name, device, shown.name, _engine(shown.gallery), tuple(filter(None, troubles)), can_answer)

    @cached_property
    def _device(self) -> str:
        return str(self._models.encoder(self._galleries.default_model).device)

    def _without_files(self, name: str) -> str:
        if self._models.has_files(name):
            return ""
        goes_on = "it goes on from memory" if self._models.is_loaded(name) else "it cannot answer"
        return f"The files of the model {name} are gone; {goes_on} until they are back."


def _without_folder(shown: ShownGallery) -> str:
    is_local = isinstance(shown.gallery, Gallery) or _engine(shown.gallery) == "duckdb"
    if not is_local or shown.gallery.path.is_dir():
        return ""
    return f"The files of {shown.name} are gone; some pictures are missing until they are back."


def _engine(gallery: AnyGallery) -> str:
    """Name what searches: memory, duckdb or clickhouse."""
    if isinstance(gallery, Gallery):
        return "memory"
    return type(gallery.engine).__name__.removesuffix("Engine").lower()
