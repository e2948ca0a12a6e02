"""Numbers of the Centers tab: pictures of the class centers, kept on disk, and what is known of one class."""

import numpy as np

from concepthash.center_maps import MIN_TSNE, fit_plane, place_between
from concepthash.center_measures import false_links, family_purity, family_silhouette, nearest_classes, picture_trust
from concepthash.center_sets import center_sets
from concepthash.checkpoint import Checkpoint
from concepthash.codes import binarize, subcode_text, subcodes
from concepthash.data.families import GROUPINGS, families_of, largest_families, plain_name, share_in_taxonomy
from concepthash.errors import QueryError
from concepthash.gallery.large_gallery import AnyGallery
from concepthash.gallery.query import ConceptRule, Query
from concepthash.gallery.selection import Selection
from concepthash.language import PROMPT

from ..center_records import CenterMap, CenterPanel, ClassDetail, ClassImages, NearCenter
from .cache import AnswerCache
from .explain import cells, place_of
from .models import ModelShelf
from .photos import PhotoService, thumbnails
from .picture_store import PictureStore

__all__ = ["CenterService"]

N_NEIGHBORS = 5
N_NEAREST = 6
N_THUMBNAILS = 6
MOST_DOTS = 200
MOST_ROWS = 5000  # of a class among which thumbnails and dots are chosen


class CenterService:
    """Answers for the model named in each request; each picture is computed once and kept."""

    def __init__(self, models: ModelShelf, photos: PhotoService, cache: AnswerCache, store: PictureStore) -> None:
        self._models, self._photos, self._cache, self._store = models, photos, cache, store

    def picture(self, checkpoint: str, projection: str, grouping: str) -> CenterMap:
        """Return all center sets of a model in one projection, colored by one grouping where it has a meaning."""
        model = self._models.checkpoint(checkpoint)
        groupings = _groupings(model)
        grouping = grouping if grouping in groupings else groupings[0]
        gallery = self._photos.shown_gallery(checkpoint).gallery
        key = ("centers", place_of(model, gallery), projection, grouping)
        return self._cache.get(key, lambda: self._picture(checkpoint, projection, grouping, groupings))

    def detail(self, checkpoint: str, class_name: str, grouping: str) -> ClassDetail:
        """Return code, nearest classes and images of one class.

        Raises
        ------
        QueryError
            If the model does not know the class.
        """
        model = self._models.checkpoint(checkpoint)
        index = _index(model, class_name)
        centers = self._own(checkpoint)
        groupings = _groupings(model)
        families = _families(model, grouping if grouping in groupings else groupings[0])
        gallery = self._photos.shown_gallery(checkpoint).gallery
        name = _name_in(gallery, class_name)
        rows, n_images = _rows_of(gallery, name)
        return ClassDetail(
            class_name=class_name,
            family=families[index],
            prompt=_prompt(model, class_name),
            cells=cells(centers[index], slice(None)),
            nearest=tuple(
                NearCenter(model.class_names[near.class_index], families[near.class_index], near.distance, near.cosine)
                for near in nearest_classes(centers, index, N_NEAREST)
            ),
            gallery_class=name,
            n_images=n_images,
            thumbnails=thumbnails(gallery, _spread(rows, N_THUMBNAILS)),
        )

    def images(self, checkpoint: str, class_name: str, projection: str) -> ClassImages:
        """Return the images of one class as dots among the centers that the model was trained with."""
        model = self._models.checkpoint(checkpoint)
        _index(model, class_name)
        gallery = self._photos.shown_gallery(checkpoint).gallery
        rows, n_images = _rows_of(gallery, _name_in(gallery, class_name))
        shown = _spread(rows, MOST_DOTS)
        logits, centers = gallery.code_logits_of(shown), self._own(checkpoint)
        if projection == "pca" or len(centers) < MIN_TSNE:
            plane = fit_plane(centers)
            positions = plane.place(logits) - plane.place(centers).mean(axis=0)
        else:
            positions = place_between(logits, centers, self._store.positions(model.fingerprint, centers, projection))
        names = tuple(f"gallery:{stored.image_id}" for stored in gallery.images(shown))
        return ClassImages(class_name, names, positions, n_images)

    def _own(self, checkpoint: str) -> np.ndarray:
        return np.asarray(self._models.encoder(checkpoint).class_centers)

    def _picture(self, name: str, projection: str, grouping: str, groupings: tuple[str, ...]) -> CenterMap:
        model = self._models.checkpoint(name)
        families = _families(model, grouping)
        sets = center_sets(model, self._own(name))
        gallery = self._photos.shown_gallery(name).gallery
        return CenterMap(
            checkpoint=name,
            projection=projection,
            grouping=grouping,
            groupings=groupings,
            class_names=model.class_names,
            families=families,
            largest=largest_families(families),
            gallery_classes=tuple(_name_in(gallery, class_name) for class_name in model.class_names),
            prompts=tuple(_prompt(model, name) for name in model.class_names),
            panels=tuple(self._panel(model, kind, centers, projection, families) for kind, centers in sets.items()),
            n_neighbors=min(N_NEIGHBORS, max(1, len(families) - 1)),
            is_plain=projection == "tsne" and len(families) < MIN_TSNE,
        )

    def _panel(
        self, model: Checkpoint, kind: str, centers: np.ndarray, projection: str, families: tuple[str, ...]
    ) -> CenterPanel:
        positions = self._store.positions(model.fingerprint, centers, projection)
        purity = family_purity(centers, families, N_NEIGHBORS) if len(centers) > 1 else None
        bits = subcodes(binarize(centers), model.config.n_concepts)  # (C, M, K/M)
        return CenterPanel(
            kind=kind,
            is_own=kind == model.config.centers,
            positions=positions,
            codes=tuple(tuple(subcode_text(part) for part in row) for row in bits),
            links=false_links(centers, positions, N_NEIGHBORS),
            purity=purity and purity.share,
            chance=purity and purity.chance,
            best=purity and purity.best,
            silhouette=family_silhouette(centers, families),
            trust=picture_trust(centers, positions, N_NEIGHBORS),
        )


def _groupings(model: Checkpoint) -> tuple[str, ...]:
    """Return how classes can be grouped: by name, and by the table where it knows at least half of them."""
    return GROUPINGS if share_in_taxonomy(model.class_names) >= 0.5 else GROUPINGS[:1]


def _families(model: Checkpoint, grouping: str) -> tuple[str, ...]:
    return model.families if grouping == "name" else families_of(model.class_names, grouping)


def _prompt(model: Checkpoint, class_name: str) -> str:
    return PROMPT.format(class_name) if model.config.centers == "language" else ""


def _index(model: Checkpoint, class_name: str) -> int:
    if class_name not in model.class_names:
        raise QueryError(f"{model.name} was not trained on a class {class_name[:80]!r}; choose one of its dots.")
    return model.class_names.index(class_name)


def _name_in(gallery: AnyGallery, class_name: str) -> str:
    """Return what the gallery calls a class; empty where it has none."""
    plain = plain_name(class_name)
    return next((name for name in gallery.class_names if plain_name(name) == plain), "")


def _rows_of(gallery: AnyGallery, name: str) -> tuple[np.ndarray, int]:
    """Return the first rows of a class, and how many there are."""
    if not name:
        return np.empty(0, dtype=np.int64), 0
    rules, selection = (ConceptRule(),) * gallery.n_concepts, Selection(classes=(name,))
    found = gallery.search(Query((False,) * gallery.n_bits, rules, "none", selection, k=MOST_ROWS))
    return found.rows, found.n_filtered


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """Take at most ``count`` of the rows, evenly spread over all of them."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]
