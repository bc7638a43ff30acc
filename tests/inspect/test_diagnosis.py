"""Each advice is given where it is due, names its flag, and is not given otherwise."""

import pytest

from attend.inspect.diagnosis import (
    few_examples,
    flat_at_zero,
    known_examples,
    overfitting,
    rare_entries,
    still_improving,
)


def curve(*values: float) -> list[tuple[int, float]]:
    return [(10 * number, value) for number, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    ("values", "lower", "said"),
    [
        ((1, 5, 9, 12, 15), False, True),
        ((1, 12, 14.8, 14.9, 15), False, False),
        ((1, 5, 9, 15, 14), False, False),
        ((0, 0, 0, 0, 0), False, False),
        ((9, 7, 5, 3, 2), True, True),
        ((1, 5, 9), False, False),
    ],
)
def test_a_measure_that_still_rises_calls_for_more_epochs(values: tuple[float, ...], lower: bool, said: bool) -> None:
    found = still_improving(curve(*values), lower, 15)
    assert len(found) == said
    assert all("--training.epochs 30" in line for line in found)


def test_a_validation_loss_that_rises_while_training_goes_on_is_overfitting() -> None:
    training = curve(5, 4, 3, 2, 1)
    (found,) = overfitting(curve(5, 4, 3, 3.5, 4), training, False, ["system.embedding_dropout"])
    assert "update 30" in found
    assert "--system.embedding-dropout" in found
    assert overfitting(curve(5, 4, 3, 3.5, 4), training, True, []) == []  # what is watched rose all the same
    assert overfitting(curve(5, 4, 3, 3.1, 3.1), training, False, []) == []
    assert overfitting(curve(5, 4, 3, 3.5, 4), curve(5, 4, 3, 4, 5), False, []) == []


def test_a_vocabulary_that_is_too_large_for_the_data_is_named_with_a_smaller_one() -> None:
    (found,) = rare_entries(5656, 24_000, "source", "--inputs.source.vocabulary")
    assert "--inputs.source.vocabulary 1200" in found
    assert rare_entries(8000, 400_000, "source", "") == []
    assert rare_entries(60, 200, "source", "") == []  # it is small as it is


def test_a_measure_that_never_left_zero_is_said() -> None:
    assert flat_at_zero(curve(0.3, 0.1, 0.9), "bleu", 1.0)
    assert flat_at_zero(curve(0.0, 0.0), "exact_match", 0.0)
    assert not flat_at_zero(curve(0.3, 2.0), "bleu", 1.0)
    assert not flat_at_zero([], "bleu", 1.0)


def test_validations_that_show_little_are_said() -> None:
    (found,) = few_examples(27, "exact_match")
    assert "27" in found
    assert few_examples(1000, "bleu") == []
    (found,) = known_examples({"valid examples of inputs that training has too": 3, "validation examples": 20})
    assert "3 of 20" in found
    assert known_examples({"validation examples": 20}) == []
