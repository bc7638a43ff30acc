"""Small supervised tasks from rows in memory, and systems whose every answer is known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attend.attention.memory import Memory, Read
from attend.contract import BEGIN, Answers, Batch, Look, Loss, State, Step
from attend.data.examples import TARGET, Kept, Row
from attend.data.own import Files
from attend.fields.text import Text
from attend.model import Model
from attend.outputs import classes, sequence
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import rnnsearch_modern
from attend.task import Supervised
from attend.training import Training


@dataclass(frozen=True)
class Given:
    """Rows in memory, as the settings of a source."""

    parts: Mapping[str, Sequence[Row]]
    name: str = "given"

    def open(self, columns: Any, seed: int, log: Any) -> Kept:
        return Kept(self.parts)  # type: ignore[arg-type]

    def reads(self) -> tuple[str, ...]:
        return ()

    def files(self, split: str) -> tuple[str, ...]:
        return (f"{split} rows",)


def rows(targets: Sequence[Any], **columns: Sequence[Any]) -> list[Row]:
    """Rows with these values in each column."""
    return [
        Row(
            {**{name: values[place] for name, values in columns.items()}, TARGET: target}, f"row {place + 1}", place + 1
        )
        for place, target in enumerate(targets)
    ]


@dataclass(frozen=True)
class Config:
    """Of a system by hand: the seed of its table."""

    seed: int = 0


class Bigrams(nn.Module):
    """The next token depends on the one before alone. A step looks half at its own cell of the source, half at all."""

    def __init__(self, config: Config, source_vocabulary: int, target_vocabulary: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(config.seed)
        self.table = nn.Parameter(torch.randn(target_vocabulary, target_vocabulary, generator=generator))
        self.embedding = nn.Embedding.from_pretrained(torch.eye(source_vocabulary), freeze=False)

    def start(self, batch: Batch) -> State:
        source = batch.inputs["source"]
        values = self.embedding(source.values)
        return State(Memory(values, values, source.mask, over="source"), {"step": values.new_zeros(len(batch), 1)})

    def step(self, token: Tensor, state: State) -> Step:
        memory, step = state.memory, state.hidden["step"]
        assert memory is not None
        lengths = memory.mask.sum(1, keepdim=True).unsqueeze(1)
        own = F.one_hot((step.long().unsqueeze(-1) % lengths).squeeze(-1), memory.mask.shape[1])
        weights = memory.or_forced((own + memory.mask.unsqueeze(1) / lengths) / 2)
        read = Read(weights @ memory.values, weights)
        return Step(self.table[token], State(memory, {"step": step + 1}), read)

    def forward(self, batch: Batch) -> Loss:
        before = F.pad(batch.target.values[:, :-1], (1, 0), value=BEGIN)
        log_probs = self.table[before].log_softmax(-1).gather(-1, batch.target.values.unsqueeze(-1)).squeeze(-1)
        nll = -(log_probs * batch.target.mask).sum()
        return Loss(nll, int(batch.target.mask.sum()), {"nll": nll.detach()})


class Sorter(nn.Module):
    """Answers by the first token of its text, at the second of two steps. Looks at the first cell, then at all."""

    def __init__(self, config: Config, text_vocabulary: int, target_classes: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(config.seed)
        self.table = nn.Parameter(torch.randn(text_vocabulary, target_classes, generator=generator))

    def answer(self, batch: Batch) -> Answers:
        text = batch.inputs["text"]
        last = self.table[text.values[:, 0]]
        even = text.mask / text.mask.sum(1, keepdim=True)
        first = torch.zeros_like(even)
        first[:, 0] = 1.0
        look = Look(torch.stack([first, even], 1), "text")
        return Answers(torch.stack([torch.zeros_like(last), last], 1), {"text": look})

    def forward(self, batch: Batch) -> Loss:
        nll = F.cross_entropy(self.answer(batch).logits[:, -1], batch.target, reduction="sum")
        return Loss(nll, len(batch), {"nll": nll.detach()})


@dataclass
class Made:
    """A task, with what it said as it was made."""

    task: Supervised
    said: list[str] = field(default_factory=list)

    @property
    def told(self) -> str:
        return "\n".join(self.said)


def prepared(
    folder: Path,
    system: Any,
    fields: Mapping[str, Any],
    output: Any,
    data: Any,
    config: Any = None,
    training: Training = Training(),  # noqa: B008 - frozen
    decoding: Any = None,
) -> Made:
    """A task on these data, prepared in a folder."""
    if decoding is None:
        decoding = sequence.Decoding(beam=2) if output.kind == "sequence" else classes.Decoding()
    settings: Any = SupervisedSettings(config or Config(), inputs(**fields), output, data, training, decoding)
    recipe, said = Recipe("small", settings, system, Supervised), []
    folder.mkdir(exist_ok=True)
    return Made(Supervised.prepare(recipe, settings, folder, said.append), said)


def model_of(task: Supervised, *systems: nn.Module) -> Model:
    """A model of these systems, by default one new one."""
    found = systems or (task.build(),)
    return Model(SimpleNamespace(recipe="small", settings=task.settings), task, [one.eval() for one in found])


def backwards(folder: Path, words: int = 1500, epochs: int = 4) -> Recipe:
    """A recipe that learns to spell words backwards, from files that are written into a folder."""
    choose = np.random.default_rng(0)

    def write(name: str, count: int) -> tuple[str]:
        found = ["".join(choose.choice(list("abcdefgh"), choose.integers(2, 7))) for _ in range(count)]
        (folder / name).write_text("".join(f"{word}\t{word[::-1]}\n" for word in found))
        return (str(folder / name),)

    settings: Any = SupervisedSettings(
        rnnsearch_modern.Config(32, 32, 32, "additive", 0.0, 0.0, 0.0, 0.0),
        inputs(source=Text("character")),
        sequence.Sequence("character"),
        Files("words", write("train.tsv", words), write("valid.tsv", 60)),
        Training(epochs=epochs, batch=32, learning_rate=1e-2, watch="exact_match"),
        sequence.Decoding(beam=2),
    )
    return Recipe("words backwards", settings, rnnsearch_modern.System, Supervised)


def log_probs_by_hand(system: Bigrams, tokens: Sequence[int]) -> list[float]:
    """log p of each token, END included."""
    table = system.table.detach().double().log_softmax(-1)
    return [float(table[before, token]) for before, token in zip([BEGIN, *tokens], tokens, strict=False)]


def weights_by_hand(steps: int, cells: int) -> Iterator[list[float]]:
    """The rows of a `Bigrams`."""
    for step in range(steps):
        yield [((cell == step % cells) + 1 / cells) / 2 for cell in range(cells)]
