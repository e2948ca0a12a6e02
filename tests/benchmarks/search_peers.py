"""Engines that search is measured against, each given the same codes and asked the same questions."""

from dataclasses import dataclass
from typing import Protocol

import faiss
import numpy as np
from usearch.index import MetricKind
from usearch.index import search as usearch_search

from concepthash.codes import pack_words
from concepthash.gallery import Query
from concepthash.gallery.code_index import CodeIndex
from concepthash.gallery.postings import Postings

from .synthetic_codes import SyntheticCodes

__all__ = ["PEERS", "Contender", "Ours", "Question"]


@dataclass(frozen=True, eq=False)
class Question:
    """A query, and the class it is for (-1: all); a query's own selection says the same by name."""

    query: Query
    label: int = -1

    @property
    def bits(self) -> np.ndarray:
        """(K,) bool."""
        return np.array(self.query.code)

    @property
    def is_filtered(self) -> bool:
        """Whether not all codes are looked at."""
        return self.label >= 0 or any(rule.agree != "ignore" for rule in self.query.rules)


class Contender(Protocol):
    """An engine holding the codes."""

    def __init__(self, codes: SyntheticCodes, n_bits: int, n_concepts: int) -> None: ...

    def answer(self, question: Question) -> list[int] | None:
        """Positions of the k best, or None where the engine cannot be asked so."""


class Ours:
    """The gallery's own index."""

    def __init__(self, codes: SyntheticCodes, n_bits: int, n_concepts: int) -> None:
        self.index = CodeIndex(codes.words, n_bits, n_concepts)
        self._classes = Postings(codes.labels, int(codes.labels.max()) + 1)

    def answer(self, question: Question) -> list[int]:
        kept = None if question.label < 0 else self._classes.positions(np.array([question.label]))
        return self.index.search(question.query, kept).rows.tolist()


class PlainNumpy:
    """What one would write first: whole columns, no blocks, no lists."""

    def __init__(self, codes: SyntheticCodes, n_bits: int, n_concepts: int) -> None:
        self._words, self._labels = codes.words[:, 0].view(np.uint64), codes.labels
        self._masks = pack_words(np.repeat(np.eye(n_concepts, dtype=bool), n_bits // n_concepts, axis=1))
        self._masks = self._masks[:, 0].view(np.uint64)  # (M,)

    def rows(self, question: Question) -> np.ndarray:
        """(n,) positions of the class that satisfy the rules."""
        if question.label >= 0:
            return np.flatnonzero(self._labels == question.label)
        code, holds = self._code(question), True
        for rule, mask in zip(question.query.rules, self._masks, strict=True):
            if rule.agree == "exact":
                holds = holds & ((self._words & mask) == (code & mask))
            elif rule.agree == "within":
                holds = holds & (np.bitwise_count((self._words ^ code) & mask) <= rule.radius)
        return np.flatnonzero(holds)

    def answer(self, question: Question) -> list[int]:
        rows = self.rows(question) if question.is_filtered else None
        differing = (self._words if rows is None else self._words[rows]) ^ self._code(question)
        if question.query.rank == "weighted":
            weights = [rule.weight for rule in question.query.rules]
            score = sum(w * np.bitwise_count(differing & mask) for w, mask in zip(weights, self._masks, strict=True))
        else:
            score = np.bitwise_count(differing)
        best = np.argpartition(score, question.query.k)[: question.query.k] if len(score) > question.query.k else ...
        best = np.arange(len(score))[best]
        best = best[np.argsort(score[best], kind="stable")]
        return (best if rows is None else rows[best]).tolist()

    @staticmethod
    def _code(question: Question) -> np.uint64:
        return pack_words(question.bits[None]).view(np.uint64)[0, 0]


class Faiss:
    """IndexBinaryFlat with one thread, as is fair to it for single queries; a bitmap selects, made by numpy."""

    def __init__(self, codes: SyntheticCodes, n_bits: int, n_concepts: int) -> None:
        faiss.omp_set_num_threads(1)
        self._select = PlainNumpy(codes, n_bits, n_concepts)
        self._n = len(codes.words)
        self._flat = faiss.IndexBinaryFlat(n_bits)
        self._flat.use_heap = False  # counting is the quicker way here
        self._flat.add(np.ascontiguousarray(codes.words.view(np.uint8)[:, : n_bits // 8]))

    def answer(self, question: Question) -> list[int] | None:
        if question.query.rank == "weighted":
            return None
        code = np.packbits(question.bits, bitorder="little")[None]
        if not question.is_filtered:
            found = self._flat.search(code, question.query.k)[1][0]
        else:
            holds = np.zeros(self._n, dtype=bool)
            holds[self._select.rows(question)] = True
            selector = faiss.IDSelectorBitmap(np.packbits(holds, bitorder="little"))
            found = self._flat.search(code, question.query.k, params=faiss.SearchParameters(sel=selector))[1][0]
        return found[found >= 0].tolist()


class Usearch:
    """Exact search of usearch, which has neither filters nor weights."""

    def __init__(self, codes: SyntheticCodes, n_bits: int, n_concepts: int) -> None:
        self._codes = np.ascontiguousarray(codes.words.view(np.uint8)[:, : n_bits // 8])

    def answer(self, question: Question) -> list[int] | None:
        if question.is_filtered or question.query.rank == "weighted":
            return None
        code = np.packbits(question.bits, bitorder="little")[None]
        found = usearch_search(self._codes, code, question.query.k, MetricKind.Hamming, exact=True)
        return np.asarray(found.keys).ravel().tolist()


PEERS: dict[str, type[Contender]] = {"faiss": Faiss, "usearch": Usearch, "numpy": PlainNumpy}
