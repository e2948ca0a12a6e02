"""Galleries: many images with their codes, labels and thumbnails on disk, and exact search by concept."""

from .database import Provenance
from .gallery import Gallery
from .matches import Matches
from .opening import open_gallery
from .query import ConceptRule, Query
from .rows import NewImage, Skipped
from .selection import Selection, selected_rows
from .store import GalleryWriter

__all__ = [
    "ConceptRule",
    "Gallery",
    "GalleryWriter",
    "Matches",
    "NewImage",
    "Provenance",
    "Query",
    "Selection",
    "Skipped",
    "open_gallery",
    "selected_rows",
]
