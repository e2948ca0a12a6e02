"""Cells against naive loops: values, margins, representatives, the most telling bits and the code book."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from builders import make_gallery
from hypothesis import given, settings
from hypothesis import strategies as st

from concepthash.errors import QueryError
from concepthash.gallery import Gallery, Selection, selected_rows
from concepthash.gallery.cells import cells_of, code_book, margins_of, representatives, telling_bits


def random_gallery(seed: int, n: int, n_concepts: int, size: int) -> Gallery:
    rng = np.random.default_rng(seed)
    kinds = rng.normal(size=(4, n_concepts * size))  # few kinds, so that codes come again
    logits = (kinds[rng.integers(0, 4, n)] + 0.3 * rng.normal(size=(n, n_concepts * size))).astype(np.float32)
    gallery = make_gallery(logits > 0, n_concepts, rng.integers(-1, 3, n))
    return replace(gallery, code_logits=np.asfortranarray(logits))


GALLERIES = st.builds(
    random_gallery,
    st.integers(0, 999),
    st.integers(1, 60),
    st.sampled_from([1, 2, 3, 5]),
    st.sampled_from([2, 3, 17, 70]),
)


@settings(deadline=None, max_examples=60)
@given(GALLERIES, st.data())
def test_cells_and_margins_equal_a_naive_loop(gallery: Gallery, data: st.DataObject) -> None:
    one = st.integers(0, gallery.n_bits - 1)
    bits = tuple(data.draw(st.lists(one, min_size=1, max_size=4, unique=True)))
    expected = [int("".join("1" if row[bit] > 0 else "0" for bit in bits), 2) for row in gallery.code_logits]
    assert cells_of(gallery, bits).tolist() == expected
    assert margins_of(gallery, bits).tolist() == [min(abs(row[bit]) for bit in bits) for row in gallery.code_logits]


@settings(deadline=None, max_examples=60)
@given(GALLERIES, st.data())
def test_the_code_book_counts_every_image_once_under_its_own_subcode(gallery: Gallery, data: st.DataObject) -> None:
    concept = data.draw(st.integers(0, gallery.n_concepts - 1))
    size = gallery.n_bits // gallery.n_concepts
    own = gallery.code_logits[:, concept * size : (concept + 1) * size] > 0
    book = code_book(gallery, concept)
    assert (book.codes[book.ranks] == own).all()
    assert len({code.tobytes() for code in book.codes}) == len(book.codes)
    assert book.counts.tolist() == np.bincount(book.ranks).tolist() == sorted(book.counts.tolist(), reverse=True)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(-1, 9), st.integers(0, 30)), max_size=400), st.integers(1, 9))
def test_representatives_are_the_clearest_of_each_class_before_seconds(group: list[tuple[int, int]], n: int) -> None:
    labels = np.array([label for label, _ in group], dtype=np.int64)
    margins = np.array([margin for _, margin in group], dtype=np.float32)
    every = np.arange(len(group))
    order = sorted(range(len(group)), key=lambda i: (-margins[i], i))
    first = [i for at, i in enumerate(order) if labels[i] not in labels[order[:at]]]
    expected = (first + [i for i in order if i not in first])[:n]
    assert representatives(every, labels, margins, n).tolist() == expected
    odd = representatives(2 * every + 1, np.repeat(labels, 2), np.repeat(margins, 2), n)  # a group within more images
    assert odd.tolist() == [2 * i + 1 for i in expected]


def test_the_telling_bits_are_the_pair_with_the_largest_joint_entropy() -> None:
    gallery = random_gallery(3, 200, 2, 7)
    bits = gallery.code_logits[:, 7:] > 0

    def entropy(pair: tuple[int, int]) -> float:
        shares = np.unique(bits[:, pair], axis=0, return_counts=True)[1] / len(bits)
        return round(float(-(shares * np.log2(shares)).sum()), 5)

    best = max(combinations(range(7), 2), key=entropy)
    assert entropy(telling_bits(gallery, 1)) == entropy(best)


def test_a_subcode_of_one_bit_has_no_two_telling_bits() -> None:
    with pytest.raises(QueryError, match="one bit"):
        telling_bits(make_gallery(np.ones((3, 2), dtype=bool), 2), 0)


@pytest.mark.parametrize("bits", [(), (8,), (-1,), tuple(range(17))])
def test_bits_that_the_code_lacks_are_refused(bits: tuple[int, ...]) -> None:
    with pytest.raises(QueryError, match="bits 0 to 7"):
        cells_of(make_gallery(np.ones((3, 8), dtype=bool), 2), bits)


def test_a_pattern_of_the_wrong_length_or_with_another_character_is_refused() -> None:
    gallery = make_gallery(np.ones((3, 8), dtype=bool), 2)
    with pytest.raises(QueryError, match="2 sub-codes of 4 bits"):
        selected_rows(gallery, Selection(patterns=("01", "")))
    with pytest.raises(QueryError, match="2 sub-codes of 4 bits"):
        selected_rows(gallery, Selection(patterns=("0110",)))
    with pytest.raises(QueryError, match="write a sub-code with 0, 1"):
        Selection(patterns=("01x.", ""))
