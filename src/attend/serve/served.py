"""The server's interface to a model: predictions and traces."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from attend.attention.trace import Trace
from attend.serve.messages import Input, Predicted, Scored, StreamRequest, TraceRequest

TEXTS = ("text", "vectors")
"""Kinds of inputs that are sent as text. All others are files, sent as data URIs."""


@runtime_checkable
class Served(Protocol):
    """A model behind the server, called from one thread. Raises `ValueError` for a request that it can't answer.

    `stop` is called at each step, and raises when the client has disconnected or the time is up.
    """

    @property
    def name(self) -> str: ...

    @property
    def inputs(self) -> Mapping[str, str]:
        """The names of its inputs, and the kind of each: "text", "image"."""
        ...

    @property
    def longest(self) -> Mapping[str, int]:
        """The most tokens of each input that varies in length."""
        ...

    @property
    def output(self) -> str:
        """The kind of its output: "sequence", "classes"."""
        ...

    @property
    def steerable(self) -> bool:
        """Whether a prefix of its output and rows of its attention can be forced: its output is a sequence."""
        ...

    @property
    def beam(self) -> int:
        """The default width of the beam."""
        ...

    @property
    def about(self) -> Mapping[str, str]:
        """What the model is, human-readable."""
        ...

    @property
    def examples(self) -> Sequence[Input]:
        """Example inputs."""
        ...

    def predict(
        self, inputs: Sequence[Input], beam: int | None, best: int, stop: Callable[[], None]
    ) -> list[list[Predicted]]:
        """The best outputs of each input; none for an empty text."""
        ...

    def score(self, pairs: Sequence[tuple[Input, str]], stop: Callable[[], None]) -> list[Scored | None]:
        """The log-probability of the output in each pair (input, output)."""
        ...

    def trace(self, request: TraceRequest, stop: Callable[[], None]) -> Trace:
        """The best output, with what the request asks for."""
        ...

    def stream(self, request: StreamRequest, tell: Callable[[dict[str, Any]], None]) -> Trace:
        """The greedy output; `tell` gets each token as it is decoded: id, text, log_prob, weights. An exception from
        `tell` stops the work."""
        ...
