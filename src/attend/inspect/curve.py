"""How fast something was learnt: figures of a learning curve, as a run's log has it."""

from collections.abc import Iterable


def first_at_most(curve: Iterable[tuple[int, float]], value: float) -> int | None:
    """The first update whose measure was at or below a value; None if none was.

    `curve` has (update, measure), in the order of the updates.
    """
    return next((update for update, measure in curve if measure <= value), None)
