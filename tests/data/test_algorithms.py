"""Generated algorithmic tasks: each target is what its algorithm makes of the input."""

import numpy as np
import pytest

from attend.data.algorithms import Copy, NGrams, Recall, RepeatCopy, Sort, bayes_bits, context

TASKS = [Copy(), RepeatCopy(), Recall(), NGrams(length=40), Sort()]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_same_seed_and_epoch_give_the_same_sequences(task):
    first, again, other = (task.open(task_columns(), seed, print) for seed in (1, 1, 2))
    pairs = [[row.values for row in source.draw(3, np.array([5, 0]))] for source in (first, again, other)]
    for one, two in zip(pairs[0], pairs[1], strict=True):
        np.testing.assert_array_equal(one["sequence"], two["sequence"])
    assert any(
        one["sequence"].tobytes() != two["sequence"].tobytes() for one, two in zip(pairs[0], pairs[2], strict=True)
    )
    fresh = [row.values["sequence"].tobytes() for row in first.draw(4, np.array([5, 0]))]
    assert fresh != [one["sequence"].tobytes() for one in pairs[0]]


def task_columns():
    from attend.data.examples import TARGET, Column

    return [Column("sequence"), Column(TARGET)]


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_copy_and_its_longer_groups():
    sequence, target, repeated = Copy(longest=5).pair(rng(), times=4)
    assert repeated == (0, 20)
    assert len(target) == 20
    np.testing.assert_array_equal(sequence[:-1, :8], target)
    assert sequence[:, 8].tolist() == [0] * 20 + [1]
    rows = list(Copy(longest=5, measured=3).open(task_columns(), 1, print).rows("valid"))
    assert [row.group for row in rows] == ["", "", "", *["at_2x"] * 3, *["at_4x"] * 3]
    assert {len(row.values["target"]) for row in rows[3:]} == {10, 20}


def test_repeat_copy():
    task = RepeatCopy()
    sequence, target, _ = task.pair(rng())
    length = len(sequence) - 1
    repeats = (len(target) - 1) // length
    np.testing.assert_array_equal(target[:-1, :8], np.tile(sequence[:-1, :8], (repeats, 1)))
    assert target[:, 8].tolist() == [0] * (len(target) - 1) + [1]
    assert sequence[-1, 9] == pytest.approx((repeats - 5.5) / 8.25**0.5)


def test_recall_names_the_item_after_the_one_that_is_asked_for():
    sequence, target, repeated = Recall().pair(rng())
    assert repeated is not None
    np.testing.assert_array_equal(sequence[slice(*repeated), :6], target)
    items = [sequence[place + 1 : place + 4, :6] for place in np.flatnonzero(sequence[:, 6])]
    asked = sequence[-4:-1, :6]
    (place,) = [number for number, item in enumerate(items) if (item == asked).all()]
    np.testing.assert_array_equal(items[place + 1], target)


def test_sort_has_the_highest_priorities_in_order():
    sequence, target, _ = Sort().pair(rng())
    order = np.argsort(-sequence[:20, 8])[:16]
    np.testing.assert_array_equal(sequence[order, :8], target)


def test_ngrams_and_what_the_best_estimate_costs():
    sequence, target, _ = NGrams(length=60).pair(rng())
    np.testing.assert_array_equal(sequence[1:], target[:-1])
    bits = [int(value) for value in target[:, 0]]
    cost = 5.0
    for place in range(5, 60):
        earlier = [bits[at] for at in range(5, place) if bits[at - 5 : at] == bits[place - 5 : place]]
        likely = (sum(earlier) + 0.5) / (len(earlier) + 1)
        cost -= np.log2(likely if bits[place] else 1 - likely)
    assert bayes_bits(target) == pytest.approx(cost)
    assert context([1, 0, 0, 0, 0, 1]) == 1
