"""Sequences of vectors: what is learnt of them, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from attend.fields.field import Fault
from attend.fields.vectors import Vectors


def test_what_is_standardised_has_mean_0_and_deviation_1_and_is_shown_as_it_was(tmp_path: Path):
    settings = Vectors(standardise=True)
    values = ["10,5 20,5", "30,5 60,5 30,5"]
    field = settings.learn(values, print)
    encoded = field.encode(values)
    cells = field.collate(encoded)
    real = cells.values[cells.mask]
    torch.testing.assert_close(real.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(real.std(0, correction=0), torch.tensor([1.0, 0.0]))
    assert (cells.values[~cells.mask] == 0).all()
    assert field.prepare(values[0]).text == values[0]
    field.save(tmp_path, "points")
    again = settings.open(tmp_path, "points")
    assert torch.equal(again.collate(encoded).values, cells.values)


def test_without_it_numbers_are_as_given():
    field = Vectors().learn(["10,5 20,5"], print)
    assert field.collate(field.encode(["1,2"])).values.tolist() == [[[1.0, 2.0]]]


@pytest.mark.parametrize("value", ["0,nan 1,1", "0,inf", "1e39,0", np.array([[0.0, np.nan]])])
def test_numbers_that_are_not_finite_make_the_data_wrong(value):
    (found,) = Vectors().learn(["0,1"], print).encode([value])
    assert isinstance(found, Fault)
    assert found.refused


@pytest.mark.parametrize("standardise", [False, True])
def test_the_size_is_that_of_the_first_that_can_be_read(standardise):
    settings = Vectors(standardise=standardise)
    assert settings.learn(["x", "0,nan", "0.5,1,2", "1,1,1"], print).sizes() == {"size": 3}
    with pytest.raises(ValueError, match="'x'"):
        settings.learn(["x", ""], print)


def test_whole_numbers_are_no_bits():
    settings = Vectors()
    field = settings.learn(["10 11", "3 10 7", "1 0"], print)
    assert field.sizes() == {"size": 1}
    assert [one.ravel().tolist() for one in field.encode(["10 11", "3 10 7"])] == [[10, 11], [3, 10, 7]]
    assert field.prepare(field.read("11 0 5")).text == "11 0 5"
    bits = settings.learn(["10 11", "01"], print)
    assert bits.encode(["10 11"])[0].tolist() == [[1, 0], [1, 1]]
    # A vector of a larger sequence may look like bits.
    assert settings.learn(["0.5,1 01"], print).encode(["0.5,1 01"])[0].tolist() == [[0.5, 1], [0, 1]]
