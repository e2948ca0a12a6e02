"""Galleries: many images with their codes, labels and thumbnails on disk, and exact search by concept."""

from .database import Provenance
from .gallery import Gallery
from .opening import open_gallery
from .query import ConceptRule, Query
from .search import Matches, search
from .store import GalleryWriter, NewImage, Skipped

__all__ = [
    "ConceptRule",
    "Gallery",
    "GalleryWriter",
    "Matches",
    "NewImage",
    "Provenance",
    "Query",
    "Skipped",
    "open_gallery",
    "search",
]
