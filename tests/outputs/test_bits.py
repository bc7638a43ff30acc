"""Bits: what is right, what it costs, and what is refused."""

import numpy as np
import pytest
import torch

from attend.contract import Answers, Batch, Cells
from attend.fields.field import Fault
from attend.fields.vectors import Vectors, padded
from attend.outputs.bits import BitsOutput, Decoding
from attend.outputs.output import Wanted

OUTPUT = BitsOutput(2)


class Fixed:
    """The same log-odds at every step."""

    def answer(self, batch: Batch) -> Answers:
        steps = batch.target.mask.shape[1]
        return Answers(torch.tensor([2.0, -1.0]).expand(len(batch), steps, 2))


def inputs(*lengths: int) -> Batch:
    return Batch({"sequence": padded([np.zeros((length, 1), dtype=np.float32) for length in lengths], 1)})


def test_an_output_is_as_long_as_its_input_or_as_asked():
    found = OUTPUT.predict(Fixed(), inputs(3, 1), Decoding(), Wanted())
    assert [several[0].text for several in found] == ["10 10 10", "10"]
    found = OUTPUT.predict(Fixed(), inputs(3, 1), Decoding(longest=2), Wanted())
    assert [several[0].text for several in found] == ["10 10", "10 10"]


def test_an_output_that_is_measured_is_as_long_as_the_longest_target():
    assert OUTPUT.to_evaluate(Decoding(), np.array([2, 7, 3])) == Decoding(longest=7)
    assert OUTPUT.to_evaluate(Decoding(longest=4), np.array([2, 7, 3])) == Decoding(longest=4)


def test_a_log_probability_is_of_all_bits():
    (result,) = OUTPUT.force(Fixed(), inputs(3), Decoding(), OUTPUT.encode(["11"]), ["11"])
    expected = -np.log1p(np.exp(-2.0)) - np.log1p(np.exp(1.0))
    assert result.log_prob == pytest.approx(expected)
    assert result.token_log_probs == (pytest.approx(expected),)


def test_samples_are_drawn_from_the_bits():
    wanted = Wanted(samples=400, generator=torch.Generator().manual_seed(0))
    (found,) = OUTPUT.predict(Fixed(), inputs(1), Decoding(), wanted)
    ones = np.mean([result.text[0] == "1" for result in found])
    assert ones == pytest.approx(1 / (1 + np.exp(-2.0)), abs=0.06)


def test_wrong_bits_and_missing_ones_are_counted():
    found = OUTPUT.watched(["10 11", "01"], ["11 11", "01 11"])
    assert found == {"sequences_right": 0.0, "wrong_bits": 1.5}
    assert OUTPUT.watched(["10 11"], ["10"]) == {"sequences_right": 1.0, "wrong_bits": 0.0}


@pytest.mark.parametrize(
    ("target", "what"), [("0.5,1", "other than 0 and 1"), ("101", "vectors of 3"), ("1x", "1x"), ("", "empty")]
)
def test_what_is_no_target_is_named(target, what):
    (found,) = OUTPUT.encode([target])
    assert isinstance(found, Fault)
    assert what in found


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("01 011", "number 2"),
        ("0,nan 1,1", "vector 1"),
        (np.array([[0.0, np.inf]]), "not finite in vector 1"),
        (np.zeros(3), "array"),
        ("011", "vectors of 3"),
    ],
)
def test_what_is_no_sequence_is_named(value, what):
    field = Vectors().learn(["01 10"], print)
    (found,) = field.encode([value])
    assert isinstance(found, Fault)
    assert what in found


def test_sequences_are_padded_with_zeros_and_written_as_they_are_read():
    field = Vectors(longest=2).learn(["0.5,-1"], print)
    cells: Cells = field.collate(field.encode(["0.5,-1 0,2", "10"]))
    assert cells.values.tolist() == [[[0.5, -1.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 0.0]]]
    assert cells.mask.tolist() == [[True, True], [True, False]]
    assert field.prepare("0.5,-1 01").text == "0.5,-1 01"
    assert isinstance(field.encode(["01 01 01"], training=True)[0], Fault)
