"""Sequences of numbers in one array, and their padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attend.data.ragged import Ragged, Stacked, pad

SEQUENCES = st.lists(st.lists(st.integers(0, 60_000)), max_size=20)


@given(sequences=SEQUENCES)
def test_sequences_that_are_equal_have_equal_hashes(sequences):
    ragged = Ragged(60_001)
    ragged.extend(sequences + sequences[::2])
    hashes = ragged.hashes().tolist()
    assert hashes[len(sequences) :] == hashes[: len(sequences) : 2]
    assert len(set(hashes)) == len(set(map(tuple, sequences)))


def test_values_that_are_equal_have_equal_hashes():
    stacked = Stacked()
    stacked.extend([np.array([1, 2]), np.array([2, 1]), np.array([1, 2])])
    first, second, third = stacked.hashes()
    assert first == third != second


@given(sequences=SEQUENCES, limit=st.sampled_from([60_001, 1 << 16, 1_000_000]))
def test_sequences_come_back(sequences, limit):
    ragged = Ragged(limit)
    for sequence in sequences:
        ragged.append(sequence)
    assert len(ragged) == len(sequences)
    assert [found.tolist() for found in ragged] == sequences
    assert ragged.lengths().tolist() == [len(sequence) for sequence in sequences]
    ragged.append([1, 2])
    assert ragged[len(sequences)].tolist() == [1, 2]
    with pytest.raises(IndexError):
        ragged[len(sequences) + 1]


def test_numbers_are_held_in_as_few_bytes_as_they_need():
    for limit, kind in ((1 << 16, np.uint16), ((1 << 16) + 1, np.int32)):
        ragged = Ragged(limit)
        ragged.append([limit - 1])
        assert ragged[0].dtype == kind
        assert ragged[0].tolist() == [limit - 1]


@given(sequences=st.lists(st.lists(st.integers(4, 9), min_size=1), min_size=1, max_size=6), fill=st.integers(0, 3))
def test_padding_is_at_the_right(sequences, fill):
    numbers, mask = pad([np.array(sequence, dtype=np.uint16) for sequence in sequences], fill)
    assert numbers.shape == mask.shape == (len(sequences), max(map(len, sequences)))
    for row, real, sequence in zip(numbers, mask, sequences, strict=True):
        assert row[real].tolist() == sequence
        assert real.tolist() == sorted(real.tolist(), reverse=True)
        assert set(row[~real].tolist()) <= {fill}
