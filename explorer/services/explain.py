"""What each concept sees in one image: maps, sub-codes with margins, and the nearest class centers."""

import functools
from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from concepthash.attribution import MapSettings
from concepthash.checkpoint import Checkpoint
from concepthash.codes import binarize
from concepthash.errors import QueryError
from concepthash.gallery.large_gallery import AnyGallery
from concepthash.gallery.query import ConceptRule, Query
from concepthash.gallery.selection import ANY, Selection

from ..api_records import Classification
from ..records import BitCell, BitView, Center, ConceptView, Explanation, MapControls
from .cache import AnswerCache
from .models import ModelShelf
from .photos import PhotoService, stored_row

__all__ = ["UNDECIDED", "ExplainService", "cells", "cosines", "place_of"]

UNDECIDED = 0.2  # a bit whose value before the sign is nearer to 0 than this could as well be the other one
N_CENTERS = 5
N_SHOWN = 16  # photos that are kept ready to be shown


class ExplainService:
    """Explains images with the model named in each request; equal questions are computed once."""

    def __init__(self, models: ModelShelf, photos: PhotoService, cache: AnswerCache) -> None:
        self._models, self._photos, self._cache = models, photos, cache
        self._shown = AnswerCache(N_SHOWN, cache.seconds)  # apart, since a photo takes up to 1.5 MB

    def sweep(self) -> None:
        """Forget what was asked too long ago."""
        self._cache.sweep()
        self._shown.sweep()

    def explain(self, checkpoint: str, visitor: str, image: str, controls: MapControls) -> Explanation:
        """Return maps, bits and nearest centers of one image."""
        owned, place = _owned(image, visitor), self._place(checkpoint)
        key = ("explain", place, owned, controls)
        pixels = functools.cache(lambda: self._photos.pixels(checkpoint, visitor, image))
        nearest, concepts = self._cache.get(key, lambda: self._explain(checkpoint, image, pixels(), controls))
        photo = self._shown.get((place, owned), lambda: self._photos.photo(checkpoint, visitor, image, pixels()))
        return Explanation(photo, nearest, concepts, controls.method)

    def code(self, checkpoint: str, visitor: str, image: str) -> np.ndarray:
        """Return the code (K,) bool of one image."""
        gallery = self._photos.shown_gallery(checkpoint).gallery
        row = stored_row(gallery, image)
        if row is None:
            return binarize(self.code_logits(checkpoint, visitor, image))
        return gallery.codes_of(np.array([row]))[0]

    def code_logits(self, checkpoint: str, visitor: str, image: str) -> np.ndarray:
        """Return the values before the sign (K,) float32 of one image."""
        gallery = self._photos.shown_gallery(checkpoint).gallery
        row = stored_row(gallery, image)
        if row is not None:
            return np.asarray(
                self._cache.get(
                    ("stored code", gallery.path, gallery.created, row),
                    lambda: gallery.code_logits_of(np.array([row]))[0],
                )
            )
        fingerprint = self._models.checkpoint(checkpoint).fingerprint

        def compute() -> np.ndarray:
            rgb = self._photos.pixels(checkpoint, visitor, image)
            return np.asarray(self._models.encoder(checkpoint).code_logits([rgb])[0])

        return self._cache.get(("code", fingerprint, _owned(image, visitor)), compute)

    def bit(self, checkpoint: str, visitor: str, image: str, bit: int) -> BitView:
        """Return the map of one bit, and the classes whose centers stand strongest on each side."""
        model = self._models.checkpoint(checkpoint)
        if not 0 <= bit < model.config.n_bits:
            raise QueryError(f"Bit {bit} does not exist; this model has bits 0 to {model.config.n_bits - 1}.")
        key = ("bit", self._place(checkpoint), _owned(image, visitor), bit)
        return self._cache.get(key, lambda: self._bit(checkpoint, visitor, image, bit))

    def classify(self, checkpoint: str, visitor: str, image: str, n: int) -> Classification:
        """Return the ``n`` classes whose centers are nearest to an image's code, and to each of its sub-codes."""
        logits = self.code_logits(checkpoint, visitor, image)  # (K,)
        model, centers = self._models.checkpoint(checkpoint), self._models.encoder(checkpoint).class_centers
        parts = (np.split(values, model.config.n_concepts, axis=-1) for values in (logits, centers))
        return Classification(
            image,
            checkpoint,
            _top(model, cosines(logits, centers), n),
            tuple(_top(model, cosines(part, near), n) for part, near in zip(*parts, strict=True)),
        )

    def _place(self, checkpoint: str) -> tuple[Hashable, ...]:
        return place_of(self._models.checkpoint(checkpoint), self._photos.shown_gallery(checkpoint).gallery)

    def _explain(
        self, checkpoint: str, image: str, rgb: np.ndarray, controls: MapControls
    ) -> tuple[tuple[Center, ...], tuple[ConceptView, ...]]:
        model, encoder = self._models.checkpoint(checkpoint), self._models.encoder(checkpoint)
        seen = encoder.explain(rgb, _map_settings(controls))
        centers = np.asarray(encoder.class_centers)
        gallery = self._photos.shown_gallery(checkpoint).gallery
        question = _question(gallery, seen.code_logits, image)
        size = model.config.bits_per_concept
        views = []
        for concept in range(model.config.n_concepts):
            part = slice(concept * size, (concept + 1) * size)
            near = cosines(seen.code_logits[part], centers[:, part])
            views.append(ConceptView(
                concept, np.asarray(seen.concept_maps[concept]), cells(seen.code_logits, part),
                _top(model, near), *_likeness(gallery, question, concept),
            ))  # fmt: skip
        return _top(model, cosines(seen.code_logits, centers)), tuple(views)

    def _bit(self, checkpoint: str, visitor: str, image: str, bit: int) -> BitView:
        model, encoder = self._models.checkpoint(checkpoint), self._models.encoder(checkpoint)
        rgb = self._photos.pixels(checkpoint, visitor, image)
        cell = cells(self.code_logits(checkpoint, visitor, image), slice(bit, bit + 1))[0]
        values = np.asarray(encoder.class_centers)[:, bit]
        gallery = self._photos.shown_gallery(checkpoint).gallery
        n_on = _count_on(gallery, bit)
        return BitView(
            cell, bit // model.config.bits_per_concept, np.asarray(encoder.bit_map(rgb, bit)),
            _side(model, values, +1), _side(model, values, -1), n_on, len(gallery),
        )  # fmt: skip


def place_of(model: Checkpoint, gallery: AnyGallery) -> tuple[Hashable, ...]:
    """Name a model and the gallery it is shown with: its weights do not say what its classes are called."""
    return model.path, model.fingerprint, gallery.path, gallery.created


def _question(gallery: AnyGallery, code_logits: np.ndarray, image: str) -> Query:
    """Return a query for all other images that puts nothing first yet."""
    row = stored_row(gallery, image)
    code = tuple(map(bool, binarize(code_logits)))
    return Query(code, (ConceptRule(weight=0.0),) * gallery.n_concepts, "weighted", k=1, exclude_row=row)


def _likeness(gallery: AnyGallery, question: Query, concept: int) -> tuple[int, int, int]:
    """Count the images with the same sub-code, and all; and bits by which the nearest one differs."""
    exact = _with_rule(question, concept, ConceptRule("exact", weight=0.0))
    found = gallery.search(exact)
    nearest = 0
    if not found.n_matching:
        near = gallery.search(_with_rule(question, concept, ConceptRule(weight=1.0)))
        nearest = int(near.score[0]) if len(near.score) else gallery.bits_per_concept
    return found.n_matching, found.n_filtered, nearest


def _with_rule(query: Query, concept: int, rule: ConceptRule) -> Query:
    return replace(query, rules=(*query.rules[:concept], rule, *query.rules[concept + 1 :]))


def _count_on(gallery: AnyGallery, bit: int) -> int:
    """Count the images whose code has a bit."""
    concept, place = divmod(bit, gallery.bits_per_concept)
    patterns = [""] * gallery.n_concepts
    patterns[concept] = "".join("1" if i == place else ANY for i in range(gallery.bits_per_concept))
    rules = (ConceptRule(),) * gallery.n_concepts
    selection = Selection(patterns=tuple(patterns))
    return gallery.search(Query((False,) * gallery.n_bits, rules, "none", selection, k=0)).n_filtered


def cosines(vector: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Return cosines (C,) between one vector and the rows of ``centers``; 0 where either has no length."""
    lengths = np.linalg.norm(centers, axis=1) * np.linalg.norm(vector)
    return np.divide(centers @ vector, lengths, out=np.zeros(len(centers), centers.dtype), where=lengths > 0)


def cells(code_logits: np.ndarray, part: slice) -> tuple[BitCell, ...]:
    """Return the bits of one part of the code with their values before the sign."""
    bits = range(len(code_logits))[part]
    return tuple(
        BitCell(bit, float(code_logits[bit]), bool(code_logits[bit] > 0), bool(abs(code_logits[bit]) < UNDECIDED))
        for bit in bits
    )


def _map_settings(controls: MapControls) -> MapSettings:
    return MapSettings(
        method=controls.method,  # type: ignore[arg-type]
        last_k=controls.last_k or None,
        head_fusion=controls.head_fusion,  # type: ignore[arg-type]
        residual=controls.residual,
        discard_ratio=controls.discard,
    )


def _top(model: Checkpoint, values: np.ndarray, n: int = N_CENTERS) -> tuple[Center, ...]:
    order = np.argsort(-values, kind="stable")[:n]
    return tuple(Center(model.class_names[c], model.families[c], float(values[c])) for c in order)


def _side(model: Checkpoint, values: np.ndarray, sign: int) -> tuple[Center, ...]:
    """Return the classes furthest on one side of a bit, none that stand on the other."""
    order = np.argsort(-sign * values, kind="stable")[:N_CENTERS]
    return tuple(
        Center(model.class_names[c], model.families[c], float(values[c])) for c in order if values[c] * sign > 0
    )


def _owned(image: str, visitor: str) -> str:
    """Name an image so that one visitor's upload is never answered from another's."""
    return f"{visitor}/{image}" if image.startswith("upload:") else image
