"""Codes against naive loops over their bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concepthash.codes import (
    binarize,
    concept_distances,
    hamming,
    pack_words,
    subcode_text,
    subcode_values,
    subcodes,
    unpack_words,
)
from concepthash.errors import ConfigError, QueryError

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 40))  # concepts, bits of each
quick = settings(deadline=None, database=None, max_examples=60)


def random_code(seed: int, n: int, n_bits: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n, n_bits)) < 0.5


def naive_word(bits: np.ndarray) -> int:
    word = sum(int(bit) << place for place, bit in enumerate(bits))
    return word - (1 << 64) if word >= 1 << 63 else word


def test_a_bit_is_one_where_its_logit_is_positive() -> None:
    logits = np.array([[1e-30, -1e-30, 0.0, -0.0, np.nan, np.inf, -np.inf]], dtype=np.float32)
    assert binarize(logits).tolist() == [[True, False, False, False, False, True, False]]


@quick
@given(st.integers(0, 10**6), st.integers(0, 5), st.integers(1, 200))
def test_words_hold_the_bits_in_order_and_give_them_back(seed: int, n: int, n_bits: int) -> None:
    code = random_code(seed, n, n_bits)
    words = pack_words(code)
    assert words.dtype == np.int64 and words.shape == (n, (n_bits + 63) // 64)
    for row in range(n):
        assert words[row].tolist() == [naive_word(code[row, start : start + 64]) for start in range(0, n_bits, 64)]
    unpacked = unpack_words(words, n_bits)
    assert unpacked.dtype == bool
    np.testing.assert_array_equal(unpacked, code)


def test_the_highest_bit_makes_a_word_negative() -> None:
    code = np.zeros((1, 65), dtype=bool)
    code[0, [63, 64]] = True
    assert pack_words(code).tolist() == [[-(2**63), 1]]


def test_codes_of_minus_and_plus_one_are_refused() -> None:
    signs = np.array([[-1, 1]])
    for refuse in (pack_words, lambda code: subcode_values(code, 1), lambda code: pack_words(code.astype(float))):
        with pytest.raises(TypeError, match="binarize"):
            refuse(signs)


@pytest.mark.parametrize("n_bits", [0, -1, 65])
def test_words_do_not_give_more_bits_than_they_hold(n_bits: int) -> None:
    with pytest.raises(ConfigError):
        unpack_words(np.zeros((2, 1), dtype=np.int64), n_bits)


def test_bit_j_belongs_to_concept_j_over_the_bits_of_a_concept() -> None:
    assert subcodes(np.arange(24).reshape(2, 12), 3)[1].tolist() == [
        [12, 13, 14, 15],
        [16, 17, 18, 19],
        [20, 21, 22, 23],
    ]
    assert subcodes(np.arange(6.0), 2).tolist() == [[0, 1, 2], [3, 4, 5]]
    code = random_code(0, 3, 8)
    assert np.shares_memory(code, subcodes(code, 2))


@pytest.mark.parametrize(("n_bits", "n_concepts"), [(64, 3), (6, 4), (6, 0), (6, -2), (0, 1)])
def test_bits_that_do_not_split_over_the_concepts_are_refused(n_bits: int, n_concepts: int) -> None:
    code = np.zeros((1, n_bits), dtype=bool)
    for refuse in (
        lambda: subcodes(code, n_concepts),
        lambda: subcode_values(code, n_concepts),
        lambda: concept_distances(code[0], np.zeros((1, 1), dtype=np.int64), n_bits, n_concepts),
    ):
        with pytest.raises(ConfigError, match=f"{n_bits} bits do not split over {n_concepts} concepts"):
            refuse()


@quick
@given(st.integers(0, 10**6), st.integers(0, 5), SHAPES)
def test_a_subcode_value_is_what_is_printed(seed: int, n: int, shape: tuple[int, int]) -> None:
    n_concepts, length = shape
    code = random_code(seed, n, n_concepts * length)
    values = subcode_values(code, n_concepts)
    assert values.dtype == np.int64 and values.shape == (n, n_concepts)
    for row in range(n):
        texts = [subcode_text(bits) for bits in subcodes(code[row], n_concepts)]
        assert values[row].tolist() == [int(text, 2) for text in texts]


def test_a_subcode_of_63_bits_has_a_value_and_one_of_64_has_none() -> None:
    assert subcode_values(np.ones((1, 63), dtype=bool), 1).tolist() == [[2**63 - 1]]
    with pytest.raises(ConfigError, match="at most 63"):
        subcode_values(np.ones((1, 64), dtype=bool), 1)


@quick
@given(st.integers(0, 10**6), st.integers(0, 4), st.integers(0, 7), st.integers(1, 200))
def test_hamming_counts_differing_bits(seed: int, n: int, m: int, n_bits: int) -> None:
    a, b = random_code(seed, n, n_bits), random_code(seed + 1, m, n_bits)
    distances = hamming(pack_words(a), pack_words(b))
    assert distances.dtype == np.uint16 and distances.shape == (n, m)
    assert distances.tolist() == [[int((p != q).sum()) for q in b] for p in a]


def test_hamming_is_the_same_for_more_pairs_than_one_block_takes() -> None:
    a, b = random_code(0, 700, 64), random_code(1, 900, 64)
    signs_a, signs_b = (np.where(code, 1.0, -1.0) for code in (a, b))
    np.testing.assert_array_equal(hamming(pack_words(a), pack_words(b)), (64 - signs_a @ signs_b.T) / 2)


def test_hamming_takes_rows_that_do_not_lie_together_in_memory() -> None:
    words = pack_words(random_code(0, 10, 100))
    np.testing.assert_array_equal(hamming(words[::2], words[::-1]), hamming(words, words)[::2, ::-1])


def test_codes_of_different_lengths_are_not_compared() -> None:
    with pytest.raises(QueryError, match="1 and of 2 words do not match"):
        hamming(np.zeros((1, 1), dtype=np.int64), np.zeros((1, 2), dtype=np.int64))


@quick
@given(st.integers(0, 10**6), st.integers(0, 6), SHAPES)
def test_concept_distances_count_inside_each_subcode_and_sum_to_hamming(
    seed: int, n: int, shape: tuple[int, int]
) -> None:
    n_concepts, length = shape
    code, query = random_code(seed, n, n_concepts * length), random_code(seed + 1, 1, n_concepts * length)[0]
    distances = concept_distances(query, pack_words(code), n_concepts * length, n_concepts)
    assert distances.dtype == np.uint8 and distances.shape == (n, n_concepts)
    np.testing.assert_array_equal(distances, (subcodes(code, n_concepts) != subcodes(query, n_concepts)).sum(axis=-1))
    np.testing.assert_array_equal(distances.sum(axis=1), hamming(pack_words(query[None]), pack_words(code))[0])


def test_subcodes_of_more_than_255_bits_do_not_overflow() -> None:
    words = pack_words(np.ones((2, 600), dtype=bool))
    assert concept_distances(np.zeros(600, dtype=bool), words, 600, 2).tolist() == [[300, 300], [300, 300]]


def test_a_query_of_another_length_is_refused() -> None:
    words = np.zeros((2, 1), dtype=np.int64)
    for length, n_bits in ((8, 12), (12, 8), (128, 128)):
        with pytest.raises(QueryError, match="do not match"):
            concept_distances(np.zeros(length, dtype=bool), words, n_bits, 4)


@pytest.mark.parametrize("n_bits", [16, 64, 128])
def test_codes_are_packed_alike_whatever_their_order_in_memory(n_bits: int) -> None:
    code = np.random.default_rng(0).random((5, n_bits)) < 0.5
    assert np.array_equal(pack_words(np.asfortranarray(code)), pack_words(code))
