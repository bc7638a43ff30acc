"""What the parts of the toolkit promise one another: records and protocols.

A *system* is one paper's model. Called on a batch it gives its loss; one that produces its output step by step also
offers `start(batch)` and `step(token, state)`, from which `attend.decoding` builds greedy, sampled and beam search. A
*task* joins a system to data: it gives the training loop batches, and says how good a system is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attend.attention.glimpse import Views
from attend.attention.memory import Memory, Read
from attend.data.codec import BEGIN, END, PAD, UNKNOWN
from attend.progress import Tell

__all__ = [
    "BEGIN",
    "END",
    "PAD",
    "UNKNOWN",
    "Audited",
    "Bounds",
    "Captioned",
    "Captioner",
    "Classified",
    "Classifier",
    "Decoder",
    "Drawer",
    "Drawings",
    "Evaluation",
    "Games",
    "Labelled",
    "Loss",
    "Model",
    "Pairs",
    "Pictures",
    "Scanner",
    "Split",
    "State",
    "Step",
    "StoredTask",
    "System",
    "Task",
]


@dataclass(frozen=True)
class Pairs:
    """Sequences and what goes with them. `source` and `target` both end with END; masks are True on real tokens.

    The target has no BEGIN: systems put it in front themselves. Padding is at the right.
    """

    source: Int[Tensor, "batch memory"]
    source_mask: Bool[Tensor, "batch memory"]
    target: Int[Tensor, "batch step"]
    target_mask: Bool[Tensor, "batch step"]


@dataclass(frozen=True)
class Labelled:
    """Images, brightness from 0 to 1, and the class of each."""

    images: Float[Tensor, "batch channel rows columns"]
    label: Int[Tensor, "batch"]


@dataclass(frozen=True)
class Captioned:
    """Images with a caption each: brightness from 0 to 1, or grids of features, which have as many channels.

    The target is as in `Pairs`: it ends with END, its mask is True on real tokens, and padding is at the right.
    """

    images: Float[Tensor, "batch channel rows columns"]
    target: Int[Tensor, "batch step"]
    target_mask: Bool[Tensor, "batch step"]


@dataclass(frozen=True)
class Classified:
    """Scores of the classes after each step, the last being the answer, and each image's looks, by name."""

    logits: Float[Tensor, "batch step class"]
    looks: Sequence[Mapping[str, Views]]


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

    `signatures` say how a library came by some of the figures. There are no `references` where no output is the right
    one.
    """

    outputs: list[str]
    figures: dict[str, float]
    references: Sequence[str] = ()
    signatures: Mapping[str, str] = field(default_factory=dict)


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
class Decoder(Protocol):
    """A system that produces its output token by token."""

    def start(self, batch: Any) -> Any:
        """The state before the first token, with one hypothesis an example."""
        ...

    def step(self, token: Int[Tensor, "batch query"], state: Any) -> Step:
        """Take in the token before (BEGIN at first) and score the next, for every hypothesis."""
        ...


@runtime_checkable
class Captioner(Decoder, Protocol):
    """A system that describes an image, and looks at its cells as it does."""

    @property
    def takes(self) -> Literal["images", "grids"]:
        """What its batches are of: pixels, or features."""
        ...

    @property
    def samples(self) -> bool:
        """Whether it learns by looking at one sampled cell a step, its weights being the chances of that."""
        ...

    def grid(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns of the cells that images, or grids, of this size have."""
        ...


@runtime_checkable
class Classifier(Protocol):
    """A system that names the class of an image."""

    def classify(self, images: Float[Tensor, "batch channel rows columns"]) -> Classified:
        """Its answers, in one pass without chance, and where it looked."""
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
class Audited(Protocol):
    """A classifier that has more to say of labelled images than whether it is right."""

    def audit(self, batch: Labelled) -> Mapping[str, Tensor]:
        """Sums over the batch, by the names of their figures; what is drawn by chance follows torch's seed."""
        ...


@runtime_checkable
class Scanner(Protocol):
    """A classifier whose scan path of one image can be gone along in another."""

    def along(
        self,
        images: Float[Tensor, "batch channel rows columns"],
        others: Float[Tensor, "batch channel rows columns"],
    ) -> Float[Tensor, "batch class"]:
        """The last answers' logits for images that are looked at where the system looks in the others."""
        ...


@runtime_checkable
class Games(Protocol):
    """Games of equal length that are played side by side, such as `attend.data.catch.Catch`."""

    frames: int

    def __len__(self) -> int: ...

    def frame(self) -> Float[np.ndarray, "game channel rows columns"]:
        """What is to be seen now."""
        ...

    def act(self, moves: Int[np.ndarray, "game"]) -> None:
        """Go on to the next frame."""
        ...

    def reward(self) -> Float[np.ndarray, "game"]:
        """What was earned, at the end."""
        ...


@runtime_checkable
class System(Protocol):
    """One paper's model, an `nn.Module` whose `forward` is its loss."""

    def __call__(self, batch: Any) -> Loss: ...


@runtime_checkable
class Task(Protocol):
    """A system's work: what it learns from, and how well it does it."""

    measures: tuple[str, ...]
    """Names of what `measure` finds."""

    def build(self) -> nn.Module:
        """A new, untrained system for this data."""
        ...

    def plan(self, epoch: int) -> Sequence[Sequence[int]]:
        """The epoch's batches, as indices of examples: the same for the same epoch, whoever asks and when."""
        ...

    def batch(self, indices: Sequence[int]) -> Any:
        """The batch of these training examples."""
        ...

    def validation(self) -> Iterator[Any]:
        """Batches of the validation part."""
        ...

    def measure(self, system: nn.Module) -> dict[str, float]:
        """Figures of predictions on the validation part (BLEU, exact match, ...), by the names in `measures`."""
        ...


Split = Literal["valid", "test"]


@runtime_checkable
class Model(Protocol):
    """A trained system with its task: what `attend.load` gives. It predicts, each task in its own way."""

    config: Any
    """What the run folder's config.json says: recipe, settings, provenance."""
    task: Any
    """The task, with no data read."""
    systems: list[nn.Module]
    """The system, or the members of an ensemble."""

    def evaluate(self, split: Split, report: Tell | None = None) -> Evaluation:
        """Measure on a part of the run's own data. `report` is told how many examples are done, of how many.

        Raises `ValueError` if the settings name no data for that part.
        """
        ...


@runtime_checkable
class StoredTask(Task, Protocol):
    """A task that a run folder holds: made from data once, and opened again to go on or to predict.

    `build` is called with the sizes that the data sets, such as those of vocabularies.
    """

    unit: ClassVar[str]
    """What a loss is a sum over, in the plural: "tokens", say."""
    kept: ClassVar[tuple[str, ...]]
    """The files that `prepare` leaves in the run folder, such as vocabularies."""
    use: ClassVar[str]
    """How a trained model is used, in Markdown for the model card. {folder} stands for its run folder as a shell writes
    it, {string} as Python does."""

    @classmethod
    def prepare(
        cls, build: Callable[..., nn.Module], data: Any, seed: int, folder: Path, log: Callable[[str], None]
    ) -> "StoredTask":
        """Refuse data that can't be learnt from, learn what a system's sizes depend on, keep it in `folder`, and read
        the data. Raises `ValueError` naming file and line. `log` is told what is left out, and what looks wrong."""
        ...

    @classmethod
    def open(cls, build: Callable[..., nn.Module], data: Any, seed: int, folder: Path) -> "StoredTask":
        """The task of a run folder, with no data read."""
        ...

    def read(self, log: Callable[[str], None]) -> None:
        """Read training and validation data, and tell `log` what was left out."""
        ...

    def files(self, split: Literal["train", "valid", "test"]) -> tuple[str, ...]:
        """What a part of the data was read or made from, in words for people."""
        ...

    def model(self, config: Any, systems: Sequence[nn.Module]) -> Model:
        """What `attend.load` gives for a run. `config` is what the run folder's config.json says."""
        ...

    def counts(self) -> dict[str, int]:
        """What was read, in words for people, such as "training pairs"."""
        ...
