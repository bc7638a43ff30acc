"""The batches of an epoch: every example once, examples of like length together, and nothing left to chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attend.data.batches import groups, plan

SIDES = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=60)
SOME = [(1 + 7 * i % 23, 1 + 5 * i % 19) for i in range(300)]


def sides(lengths) -> list[np.ndarray]:
    return list(np.array(lengths, dtype=np.int64).reshape(-1, 2).T)


@given(lengths=SIDES, tokens=st.integers(31, 200), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_by_tokens_every_example_is_there_once_within_the_budget(lengths, tokens, seed, epoch):
    both = sides(lengths)
    batches = plan(both, len(lengths), 1, tokens, seed, epoch)
    assert sorted(np.concatenate([*batches, []]).astype(int).tolist()) == list(range(len(lengths)))
    assert all(len(batch) * side[batch].max() <= tokens for batch in batches for side in both)


@given(lengths=SIDES, examples=st.integers(1, 20), kinds=st.integers(0, 2))
def test_by_examples_every_example_is_there_once_in_full_batches(lengths, examples, kinds):
    batches = plan(sides(lengths)[:kinds], len(lengths), examples, 0, 1, 1)
    assert sorted(np.concatenate([*batches, []]).astype(int).tolist()) == list(range(len(lengths)))
    sizes = sorted((len(batch) for batch in batches), reverse=True)
    whole, rest = divmod(len(lengths), examples)
    assert sizes == [examples] * whole + [rest] * (rest > 0)


@pytest.mark.parametrize(("kinds", "tokens"), [(0, 0), (1, 0), (1, 100), (2, 0), (2, 100)])
def test_batches_are_the_same_for_a_seed_and_epoch_only(kinds, tokens):
    def batches(seed, epoch):
        return [batch.tolist() for batch in plan(sides(SOME)[:kinds], len(SOME), 8, tokens, seed, epoch)]

    assert batches(1, 2) == batches(1, 2)
    for other in (batches(1, 3), batches(2, 2)):
        # Not the same batches in another order: other examples meet.
        assert not {tuple(sorted(batch)) for batch in batches(1, 2)} >= {tuple(sorted(batch)) for batch in other}


@pytest.mark.parametrize(("kinds", "tokens"), [(1, 0), (1, 100), (2, 100)])
def test_the_order_of_batches_does_not_follow_length(kinds, tokens):
    both = sides(SOME)[:kinds]
    longest = [int(both[0][batch].max()) for batch in plan(both, len(SOME), 8, tokens, 1, 1)]
    assert abs(np.corrcoef(longest, range(len(longest)))[0, 1]) < 0.5


def padding(both, batches) -> float:
    """The share of padding in these batches."""
    cells = sum(len(batch) * int(side[batch].max()) for batch in batches for side in both)
    return 1 - sum(int(side.sum()) for side in both) / cells


@pytest.mark.parametrize("kinds", [1, 2])
def test_examples_of_like_lengths_are_together(kinds):
    both = sides(SOME * 10)[:kinds]
    count = len(SOME) * 10
    assert padding(both, plan(both, count, 16, 0, 1, 1)) < 0.05
    shuffled = np.array_split(np.random.default_rng(0).permutation(count), count // 16)
    assert padding(both, shuffled) > 0.4


def test_an_example_beyond_the_budget_is_an_error():
    with pytest.raises(ValueError, match=r"20 tokens .*31"):
        plan(sides([(3, 31)]), 1, 1, 20, 1, 1)


@given(lengths=st.lists(st.integers(1, 50), max_size=40), most=st.integers(1, 9), tokens=st.integers(1, 200))
def test_groups_have_every_place_once_and_fit(lengths, most, tokens):
    found = list(groups(lengths, most, tokens))
    assert sorted(place for group in found for place in group) == list(range(len(lengths)))
    for group in found:
        assert 1 <= len(group) <= most
        assert len(group) == 1 or len(group) * max(lengths[place] for place in group) <= tokens
