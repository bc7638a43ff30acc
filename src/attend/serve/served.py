"""What the server needs to know of a model: that it gives predictions and traces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from attend.attention.trace import Trace


@dataclass(frozen=True)
class Ask:
    """What is asked about one input (a text, or a picture as a data URI).

    `prefix` begins the output (ids, or text), `weights` sets rows of attention by hand: step -> a number for each cell.
    `beam` is None for the model's own.
    """

    input: str
    prefix: Sequence[int | str] = ()
    weights: Mapping[int, Sequence[float]] = field(default_factory=dict)
    beam: int | None = None
    alternatives: int = 0
    evidence: bool = False


@runtime_checkable
class Served(Protocol):
    """A model behind the server. One thread calls it. Whatever can't be answered is a `ValueError` that says why.

    `stop` is called at each step, and raises when nobody waits any more.
    """

    @property
    def name(self) -> str: ...

    @property
    def reads(self) -> Literal["text", "image"]: ...

    @property
    def steerable(self) -> bool:
        """Whether what it writes, and what it looks at, can be set by hand."""
        ...

    @property
    def beam(self) -> int:
        """The beam's width where a request names none."""
        ...

    @property
    def about(self) -> Mapping[str, str]:
        """What the model is, for people."""
        ...

    @property
    def examples(self) -> Sequence[str]:
        """Inputs to begin with."""
        ...

    def predict(
        self, inputs: Sequence[str], beam: int | None, best: int, stop: Callable[[], None]
    ) -> list[list[dict[str, Any]]]:
        """For each input its best outputs: text, score, log_prob, tokens, token_log_probs."""
        ...

    def score(self, pairs: Sequence[tuple[str, str]], stop: Callable[[], None]) -> list[dict[str, Any]]:
        """For each (input, output): log_prob, tokens, token_log_probs."""
        ...

    def trace(self, ask: Ask, stop: Callable[[], None]) -> Trace:
        """The best output with all that was asked for."""
        ...

    def stream(self, ask: Ask, tell: Callable[[dict[str, Any]], None]) -> Trace:
        """The greedy output, told token by token: id, text, log_prob, weights. What `tell` raises ends it."""
        ...


def set_by_hand(ask: Ask, trace: Trace) -> dict[str, str]:
    """What of a trace was, for people."""
    found = {"given": f"{len(ask.prefix)} tokens"} if ask.prefix else {}
    # An output may end before a step that a look was set for.
    if steps := [str(step + 1) for step in sorted(ask.weights) if step < len(trace.ids or ())]:
        found["set by hand"] = "steps " + ", ".join(steps)
    return found
