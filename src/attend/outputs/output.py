"""What an output is: what is predicted, and how that is measured.

Like a field it has two faces: settings (a frozen dataclass) that learn from training targets, and the output of a run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from attend.attention.glimpse import Views
from attend.attention.trace import Axis, Token
from attend.contract import Batch, Direction
from attend.data.examples import Column, Log
from attend.fields.field import Fault, Field


@dataclass(frozen=True, eq=False)
class Seen:
    """Where a system looked as it gave one result: weights, or windows; see `attend.contract.Look`.

    `sampled` says that the weights are sampling probabilities (hard attention). `before` names cells that stand before
    those of `over`, such as one for the end of the output; these are then numbered from 1.
    """

    values: Float[np.ndarray, "step memory"] | Views
    over: str
    steps: str = "output"
    shape: tuple[int, ...] = ()
    sampled: bool = False
    before: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Result:
    """One output of one input.

    `log_prob` is that of the whole output, the sum of `token_log_probs`: of a sequence with END, also where it was cut,
    so that a text scored as a given target has the same. `score` is what outputs are ranked by: of a sequence
    log_prob / length^length_penalty, however it was searched for; of a class log_prob.
    `steps` names the output's steps, `tokens` and `ids` are what was written at each (of a class: its name and number).
    `probabilities` has those of all answers after each step, where there are few. `finished` is False if the output was
    cut at its greatest length.
    """

    text: str
    score: float
    log_prob: float
    tokens: tuple[Token, ...]
    ids: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    steps: Axis
    looks: Mapping[str, Seen] = field(default_factory=dict)
    finished: bool = True
    answers: tuple[str, ...] = ()
    probabilities: Float[np.ndarray, "step answer"] | None = None


Figures = tuple[dict[str, float], dict[str, str]]


@dataclass(frozen=True)
class Assessment:
    """How far figures can be trusted.

    `figures` has what answers that need no input would reach, as shares of right ones: `baseline_chance` of guessing,
    `baseline_majority` of always giving the commonest. `intervals` are 95% confidence intervals of figures by name.
    `confusion` is of classes: how often each was answered, by the class that was right. `remarks` say, a sentence each,
    what is no better than it would be without an input.
    """

    figures: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """How many outputs are wanted of each input: the `best`, or that many random `samples`, drawn by `generator`.

    `stop` is called at each step of the work, and ends it by raising.
    """

    best: int = 1
    samples: int = 0
    generator: Any = None
    stop: Callable[[], None] | None = None


@runtime_checkable
class Output(Protocol):
    """An output of a run."""

    @property
    def measures(self) -> Mapping[str, Direction]:
        """What training may be watched by (`watched` finds it), and which way is better."""
        ...

    @property
    def unit(self) -> str:
        """What a loss is a sum over, in the plural."""
        ...

    @property
    def together(self) -> int:
        """Examples predicted together, at most."""
        ...

    def singles(self, raw: Any) -> tuple[Any, ...]:
        """The single targets of a raw one: an image may have several captions."""
        ...

    def encode(self, targets: Sequence[Any], training: bool = False) -> list[Any | Fault]: ...

    def column(self) -> Any: ...

    def length(self, encoded: Any) -> int: ...

    @property
    def varies(self) -> bool: ...

    @property
    def limit(self) -> int | None:
        """As of a field."""
        ...

    def collate(self, encoded: Any) -> Any: ...

    def sizes(self) -> Mapping[str, int]: ...

    def join(self, systems: Sequence[Any]) -> Any:
        """The system; or several as one that averages their probabilities."""
        ...

    def predict(self, system: Any, batch: Batch, how: Any, wanted: Wanted) -> list[list[Result]]:
        """For each example its best outputs, or samples. Raises `ValueError` for what this output lacks."""
        ...

    def memory(
        self, how: Any, wanted: Wanted, inputs: Int[np.ndarray, "example"], targets: Int[np.ndarray, "example"]
    ) -> Float[np.ndarray, "example"]:
        """About how many bytes it takes to predict from inputs of these lengths, or to score targets of these (0 where
        they are predicted)."""
        ...

    def force(
        self, system: Any, batch: Batch, how: Any, encoded: Sequence[Any], targets: Sequence[Any]
    ) -> list[Result]:
        """Given targets, raw and encoded, as if they were the outputs."""
        ...

    def log_probs(self, system: Any, batch: Batch, ids: Sequence[int], stop: Callable[[], None] = lambda: None) -> Any:
        """log p of each token of one output, [batch step], for each input of the batch; with gradients.

        `stop` is called at each step, and ends the work by raising.
        """
        ...

    def to_measure(self, how: Any, inputs: Int[np.ndarray, "target"], targets: Int[np.ndarray, "target"]) -> Any:
        """The options to decode by for the figures that training is watched by: fast ones, long enough for targets.

        `targets` are their lengths, `inputs` those of the inputs that they belong to.
        """
        ...

    def to_evaluate(self, how: Any, targets: Int[np.ndarray, "target"]) -> Any:
        """The options to decode by where outputs are measured against targets of these lengths."""
        ...

    def figures(self, results: Sequence[Result], references: Sequence[Any]) -> Figures:
        """How good outputs are; and signatures of libraries that say how that was found."""
        ...

    def assess(self, texts: Sequence[str], references: Sequence[Any]) -> Assessment:
        """How far the figures of these outputs can be trusted, and what is reached without any input."""
        ...

    def texts(self, system: Any, batch: Batch, how: Any) -> list[str]:
        """The text of each example's best output alone: what `watched` needs, quickly."""
        ...

    def watched(self, texts: Sequence[str], references: Sequence[Any]) -> dict[str, float]:
        """Those of the figures that are in `measures`."""
        ...

    def reference(self, raw: Any) -> str | None:
        """The one text that an output ought to be; None where several would do."""
        ...

    def remarks(self, targets: Sequence[Any]) -> list[str]:
        """What looks wrong with targets to measure by, a sentence each."""
        ...

    def about(self) -> str: ...

    def save(self, folder: Path) -> None:
        """Write the files that its settings name as `kept`."""
        ...


@runtime_checkable
class Among(Output, Protocol):
    """An output whose targets point to the cells of an input: they can only be checked, and measured, beside it."""

    @property
    def among(self) -> str:
        """The input."""
        ...

    def joined(self, targets: Sequence[Any], inputs: Sequence[Any | Fault]) -> list[Any]:
        """Raw targets, each with its encoded input; alone where that can't be used."""
        ...


@runtime_checkable
class OutputSettings(Protocol):
    """What is predicted, before anything is learnt of it."""

    @property
    def like(self) -> str:
        """The input field that the target shares what it learns with; empty for none."""
        ...

    @property
    def kind(self) -> str:
        """What is predicted, in a word: "sequence", "classes"."""
        ...

    @property
    def validation_search(self) -> str:
        """How outputs are searched for at each validation, in words: "greedy search"; empty for no search."""
        ...

    def column(self) -> Column: ...

    def kept(self) -> tuple[str, ...]:
        """The files that a run folder keeps of it."""
        ...

    def texts(self, targets: Iterable[Any]) -> Iterable[Any]:
        """What of raw targets the output (and fields that it is like) learns from."""
        ...

    def learn(self, targets: Iterable[Any], log: Log, like: Field | None = None) -> Output: ...

    def open(self, folder: Path) -> Output: ...

    def example(self, rng: Any) -> Any: ...
