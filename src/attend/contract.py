"""What systems, search and training promise one another: records and protocols.

A *system* is one paper's model. Called on a batch it gives its loss. One that produces its output step by step also
offers `start(batch)` and `step(token, state)`, from which `attend.decoding` builds greedy, sampled and beam search; one
that answers in one go offers `answer(batch)`. It is built from its configuration and the sizes that it names, such as
`source_vocabulary`: a field named "source" gives its size "vocabulary" under that name.

A *task* joins a system to data: it gives the training loop batches, and says how good a system is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from attend.attention.glimpse import Views
from attend.attention.memory import Memory, Read
from attend.data.codec import BEGIN, END, PAD, UNKNOWN

__all__ = [
    "BEGIN",
    "END",
    "PAD",
    "UNKNOWN",
    "Answerer",
    "Answers",
    "Batch",
    "Bounds",
    "Cells",
    "Decoder",
    "Direction",
    "Drawer",
    "Drawings",
    "Evaluation",
    "Follows",
    "Games",
    "Look",
    "Loss",
    "Pictures",
    "Remembers",
    "Split",
    "Starts",
    "State",
    "Step",
    "StoredTask",
    "System",
    "Task",
    "Workings",
]

Split = Literal["train", "valid", "test"]
Direction = Literal["higher", "lower"]
"""Which values of a measure are better."""


@dataclass(frozen=True)
class Cells:
    """A padded sequence of anything: token ids, frames of sound, slots. `mask` is True on real cells; padding is at
    the right."""

    values: Shaped[Tensor, "batch cell *size"]
    mask: Bool[Tensor, "batch cell"]


@dataclass(frozen=True)
class Batch:
    """Examples: the inputs by the names of their fields, and the targets as the output collates them.

    An input is `Cells` or, where all values have one size, a tensor (an image: brightness from 0 to 1). A sequence's
    target ends with END and has no BEGIN: systems put it in front themselves. `target` is None where it is not known.
    `places` are the cells that were to be looked at, in order, for systems that learn from them: -1 behind the last.
    """

    inputs: Mapping[str, Any]
    target: Any = None
    places: Int[Tensor, "batch place"] | None = None

    def __len__(self) -> int:
        return len(self._first)

    @property
    def device(self) -> torch.device:
        return self._first.device

    @property
    def _first(self) -> Tensor:
        value = next(iter(self.inputs.values()))
        return value.values if isinstance(value, Cells) else value

    def select(self, rows: Int[Tensor, "chosen"]) -> "Batch":
        """The inputs of these examples, without targets."""
        return Batch({name: _chosen(value, rows) for name, value in self.inputs.items()})


def _chosen(value: Cells | Tensor, rows: Int[Tensor, "chosen"]) -> Cells | Tensor:
    return Cells(value.values[rows], value.mask[rows]) if isinstance(value, Cells) else value[rows]


@dataclass(frozen=True)
class Look:
    """Where a system looked, before anyone names cells: weights of a batch, or the windows of each example.

    `over` is the field that was looked at; empty for slots that are no field's. `steps` is what each row belongs to:
    "output" (the output's steps), the name of a field, whose cells they then are, or both one after the other, as in
    "sequence+output", where `rows` is True on the real ones; empty for several that are taken side by side. Where cells
    are coarser than the input, as those of a convolutional network are, `shape` has their rows and columns; where they
    are not the field's own, as sentences are not its words, `cells` is True on the real ones.
    """

    values: Float[Tensor, "batch step memory"] | Sequence[Views]
    over: str
    steps: str = "output"
    shape: tuple[int, ...] = ()
    rows: Bool[Tensor, "batch step"] | None = None
    cells: Bool[Tensor, "batch memory"] | None = None


@dataclass(frozen=True)
class Answers:
    """Scores of the possible answers after each step, the last being the answer; and where it looked, by name."""

    logits: Float[Tensor, "batch step answer"]
    looks: Mapping[str, Look] = field(default_factory=dict)


@dataclass(frozen=True)
class Workings:
    """How looks over a system's own memory came about.

    `stages` are named after the look that they lead to, "write: content" and then "write: gate" to "write", in order.
    `memory` is what the slots hold after each step, by the name of a look that writes it.
    """

    stages: Mapping[str, Look]
    memory: Mapping[str, Float[Tensor, "batch step slot size"]]


@dataclass(frozen=True)
class Pictures:
    """Images alone, brightness from 0 to 1."""

    images: Float[Tensor, "batch channel rows columns"]


@dataclass(frozen=True)
class Drawings:
    """Images drawn step by step: brightness from 0 to 1 after each step, and each image's looks, by name."""

    canvases: Float[Tensor, "batch step channel rows columns"]
    looks: Sequence[Mapping[str, Views]]


@dataclass(frozen=True)
class Bounds:
    """What each image costs a system that generates, in nats, with one sample of its latent vectors z.

    `reconstruction` is -log p(x | z), `kl` the divergence of posterior and prior at each step, and `log_weight` is
    log p(x | z) + log p(z) - log q(z | x), of which `attend.learning.importance_bound` makes a tighter bound.
    """

    reconstruction: Float[Tensor, "batch"]
    kl: Float[Tensor, "batch step"]
    log_weight: Float[Tensor, "batch"]


@dataclass(frozen=True)
class Loss:
    """A batch's loss, summed over its units (target tokens, pictures, ...), so that batches and processes add up.

    `total` is what is minimised; `terms` are named sums over the same units, to log (detached).
    """

    total: Float[Tensor, ""]
    units: int
    terms: Mapping[str, Tensor]


@dataclass(frozen=True)
class Evaluation:
    """An output for each example, what it ought to be, and figures by name.

    `signatures` say how a library came by some of the figures, and `intervals` are the 95% confidence intervals of
    others. There are no `references` where no output is the right one. Of classes there is the `confusion`: how often
    each was answered, by the class that was right. `remarks` say, a sentence each, why figures may mislead. `counts`
    has the outputs that are "finished" (not cut at their greatest length), tokens that are "unknown", and examples
    "left_out".
    """

    outputs: list[str]
    figures: dict[str, float]
    references: Sequence[str] = ()
    signatures: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in self.figures.items())
        return f"<evaluation of {len(self.outputs):,} outputs: {figures}>"


@dataclass(frozen=True)
class State:
    """Where a decoder stands, in each hypothesis of each example.

    `memory` belongs to the example and is shared by its hypotheses (the query axis): it is never copied for a beam.
    `hidden` belongs to the hypotheses. `memory` is None in a system without attention.
    """

    memory: Memory | None
    hidden: Mapping[str, Float[Tensor, "batch query *size"]]

    def select(self, rows: Tensor) -> "State":
        """The states of these examples only (`rows`: indices, or a boolean mask)."""
        memory = None if self.memory is None else self.memory.select(rows)
        return State(memory, {name: value[rows] for name, value in self.hidden.items()})

    def gather(self, parents: Int[Tensor, "batch query"]) -> "State":
        """The states of these hypotheses: new hypothesis q of an example goes on from its hypothesis parents[q]."""
        rows = parents.new_tensor(range(len(parents))).unsqueeze(1)
        return State(self.memory, {name: value[rows, parents] for name, value in self.hidden.items()})


@dataclass(frozen=True)
class Step:
    """One decoding step: scores of the next token, the state after it, and where the model looked (None: nowhere)."""

    logits: Float[Tensor, "batch query vocabulary"]
    state: Any
    read: Read | None


@runtime_checkable
class System(Protocol):
    """One paper's model, an `nn.Module` whose `forward` is its loss."""

    def __call__(self, batch: Any) -> Loss: ...


@runtime_checkable
class Decoder(Protocol):
    """A system that produces its output token by token."""

    def start(self, batch: Any) -> Any:
        """The state before the first token, with one hypothesis an example."""
        ...

    def step(self, token: Int[Tensor, "batch query"], state: Any) -> Step:
        """Take in the token before (BEGIN at first) and score the next, for every hypothesis."""
        ...


@runtime_checkable
class Answerer(Protocol):
    """A system that chooses among a few answers, such as the classes of images."""

    def answer(self, batch: Batch) -> Answers:
        """Its answers, in one deterministic pass, and where it looked."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """A system that answers with a memory of its own, and can show it."""

    def workings(self, batch: Batch) -> Workings:
        """The stages of its looks and its memory, in the same pass as `answer` takes."""
        ...


@runtime_checkable
class Starts(Protocol):
    """A system that a new run prepares further before it is trained, such as with the weights of a backbone."""

    def prepare_training(self) -> None: ...


@runtime_checkable
class Follows(Protocol):
    """A system that computes differently as training goes on."""

    def follow_training(self, share: float) -> None:
        """Called before each update with the share of all updates that is done."""
        ...


@runtime_checkable
class Remarks(Protocol):
    """A system that has something to say of the inputs that it was given."""

    def remarks(self) -> list[str]:
        """What may be wrong with those since the last call, a sentence each."""
        ...


@runtime_checkable
class Drawer(Protocol):
    """A system that draws images step by step, from noise that it is given: the same noise, the same drawing."""

    def noise(self, count: int, generator: torch.Generator | None = None) -> Float[Tensor, "step batch latent"]:
        """Noise for so many images, on the system's device."""
        ...

    def bounds(
        self, images: Float[Tensor, "batch channel rows columns"], noise: Float[Tensor, "step batch latent"]
    ) -> Bounds:
        """What images cost."""
        ...

    def reconstruct(
        self, images: Float[Tensor, "batch channel rows columns"], noise: Float[Tensor, "step batch latent"]
    ) -> Drawings:
        """Draw given images."""
        ...

    def generate(self, noise: Float[Tensor, "step batch latent"]) -> Drawings:
        """Draw new images."""
        ...


@runtime_checkable
class Games(Protocol):
    """Games of equal length that are played side by side, such as `attend.data.catch.Catch`."""

    frames: int

    def __len__(self) -> int: ...

    def frame(self) -> Float[np.ndarray, "game channel rows columns"]:
        """The current frame."""
        ...

    def act(self, moves: Int[np.ndarray, "game"]) -> None:
        """Advance to the next frame."""
        ...

    def reward(self) -> Float[np.ndarray, "game"]:
        """The reward, at the end."""
        ...


@runtime_checkable
class Task(Protocol):
    """What the training loop needs to know: batches, and how good a system is."""

    @property
    def measures(self) -> Mapping[str, Direction]:
        """What `measure` finds, and which way is better."""
        ...

    def build(self) -> nn.Module:
        """A new, untrained system for this data."""
        ...

    def plan(self, epoch: int) -> Sequence[Sequence[int]]:
        """The epoch's batches, as indices of its examples: the same for the same epoch, whoever asks and when."""
        ...

    def batch(self, epoch: int, indices: Sequence[int]) -> Any:
        """The batch of these examples of an epoch."""
        ...

    def validation(self) -> Iterator[Any]:
        """Batches of the validation part."""
        ...

    def measure(self, system: nn.Module) -> dict[str, float]:
        """Figures of predictions on the validation part (BLEU, exact match, ...), by the names in `measures`."""
        ...


@runtime_checkable
class StoredTask(Task, Protocol):
    """A task that a run folder holds: prepared from data once, and opened again to resume or to predict."""

    @property
    def unit(self) -> str:
        """What a loss is a sum over, in the plural: "tokens", say."""
        ...

    @classmethod
    def prepare(
        cls, recipe: Any, settings: Any, folder: Path, log: Callable[[str], None], learnt: Path | None = None
    ) -> "StoredTask":
        """Refuse data that can't be learnt from, learn what a system's sizes depend on, keep it in `folder`, and read
        the data. What the run folder `learnt` keeps is taken, where that is given, instead of learnt. Raises
        `ValueError` naming file and line. `log` takes what is left out, and what looks wrong."""
        ...

    @classmethod
    def open(cls, recipe: Any, settings: Any, folder: Path) -> "StoredTask":
        """The task of a run folder, with no data read."""
        ...

    @staticmethod
    def kept(settings: Any) -> tuple[str, ...]:
        """The names of the files that `prepare` leaves in the run folder, such as vocabularies."""
        ...

    def read(self, log: Callable[[str], None]) -> None:
        """Read training and validation data. `log` takes what is left out."""
        ...

    def files(self, split: Split) -> tuple[str, ...]:
        """What a part of the data was read or generated from, human-readable."""
        ...

    def counts(self) -> dict[str, int]:
        """What was read, human-readable, such as "training pairs"."""
        ...
