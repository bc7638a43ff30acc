import numpy as np
import pytest

from attend.attention.trace import Named, Weights
from attend.data.examples import WRITTEN, Truth
from attend.inspect.addresses import address_match


def look(*slots: int) -> Weights:
    steps, memory = (Named(tuple(map(str, range(count)))) for count in (len(slots), 5))
    return Weights(np.eye(5)[list(slots)], steps, memory)


@pytest.mark.parametrize(
    ("reads", "where", "count", "expected"),
    [
        ((0, 0, 0, 1, 2), (0, 2), 2, 1.0),
        ((0, 0, 0, 1, 3), (0, 2), 2, 0.5),
        ((0, 0, 2, 2, 2), (1, 3), 2, 0.5),
        ((0, 1, 2, 1, 2), (0, 2), 4, 1.0),  # repeated
        ((0, 0, 1, 2, 0), (0, 2), 2, 1.0),  # a step ahead
        ((0, 0, 2, 1, 0), (0, 2), 3, 0.5),  # of a part that is repeated only whole times count
    ],
)
def test_an_answer_reads_what_was_written_at_the_steps_that_it_repeats(reads, where, count, expected):
    looks = {"read": look(*reads), "write": look(1, 2, 3, 4, 0)}
    assert address_match([(looks, (Truth(WRITTEN, where),), count)]) == {"address_match": expected}


def test_any_head_may_read_what_any_head_wrote_and_nothing_known_is_no_figure():
    looks = {"read 1": look(4, 4), "read 2": look(4, 3), "write 1": look(0, 0), "write 2": look(3, 0)}
    assert address_match([(looks, (Truth(WRITTEN, (0, 1)),), 1)]) == {"address_match": 1.0}
    assert address_match([(looks, (), 1)]) == {}
    assert address_match([({"read": look(1)}, (Truth(WRITTEN, (0, 1)),), 1)]) == {}
