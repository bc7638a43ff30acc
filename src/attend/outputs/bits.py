"""Sequences of bit vectors: each bit of each step is a yes or no of its own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from attend import metrics
from attend.attention.trace import Tokens
from attend.contract import Answers, Batch, Cells, Direction, Look, Remembers
from attend.data.examples import TARGET, Column, Log
from attend.data.ragged import Listed
from attend.data.vectors import written
from attend.fields.field import Fault, Field
from attend.fields.vectors import as_vectors, axis_of, encoded, padded, save_size, size_in, size_of
from attend.outputs.output import Assessment, Figures, Result, Seen, Wanted
from attend.settings import check_range

MEASURES: Mapping[str, Direction] = {"sequences_right": "higher", "wrong_bits": "lower"}


@dataclass(frozen=True)
class Bits:
    """A sequence of vectors of bits, as text such as "0110 1001"."""

    kind = "bits"
    like = ""
    measures = MEASURES
    validation_search = ""

    def column(self) -> Column:
        return Column(TARGET)

    def kept(self) -> tuple[str, ...]:
        return (f"{TARGET}.json",)

    def texts(self, targets: Iterable[Any]) -> Iterable[Any]:
        return targets

    def learn(self, targets: Iterable[Any], log: Log, like: Field | None = None) -> "BitsOutput":
        """The size of the first target's vectors."""
        return BitsOutput(size_of(targets))

    def open(self, folder: Path) -> "BitsOutput":
        return BitsOutput(size_in(folder / f"{TARGET}.json"))

    def example(self, rng: np.random.Generator) -> str:
        return written(rng.integers(2, size=(rng.integers(1, 4), 3)))


@dataclass(frozen=True)
class Decoding:
    """How bits are decided: each for itself, the likelier value."""

    longest: int = 0
    """Steps of an output; 0 for as many as the input has or, where outputs are measured, as the longest target has."""

    def __post_init__(self) -> None:
        check_range(self, "longest", 0)


class BitsOutput:
    """See `attend.outputs.output.Output`."""

    unit = "sequences"
    together = 100
    varies = True
    measures = MEASURES
    limit = None

    def __init__(self, size: int) -> None:
        self.size = size

    def singles(self, raw: Any) -> tuple[Any, ...]:
        return (raw,)

    def encode(self, targets: Sequence[Any], training: bool = False) -> list[Any]:
        return [self.bits(target) for target in targets]

    def bits(self, target: Any) -> Float[np.ndarray, "step bit"] | Fault:
        found = encoded(target, self.size, None)
        if isinstance(found, np.ndarray) and not np.isin(found, (0, 1)).all():
            return Fault("has numbers other than 0 and 1")
        return found

    def column(self) -> Listed:
        return Listed()

    def length(self, encoded: Any) -> int:
        return len(encoded)

    def collate(self, encoded: Any) -> Cells:
        return padded(encoded, self.size)

    def sizes(self) -> Mapping[str, int]:
        return {"size": self.size}

    def join(self, systems: Sequence[Any]) -> Any:
        if len(systems) > 1:
            raise ValueError("an ensemble is not supported for the output 'bits': name one run")
        return systems[0]

    def answers(
        self, system: Any, batch: Batch, steps: Sequence[int]
    ) -> list[tuple[Float[np.ndarray, "step bit"], dict[str, Seen]]]:
        """The log-odds of each bit, in so many steps an example, and the looks."""
        with torch.inference_mode():
            found: Answers = system.answer(self.blank(batch, steps))
            logits = found.logits.float().cpu().numpy()
        looks = seen(found.looks, steps)
        return [(logits[row, :count], looks[row]) for row, count in enumerate(steps)]

    def blank(self, batch: Batch, steps: Sequence[int]) -> Batch:
        """The inputs, with room for an answer of so many steps an example."""
        blank = self.collate([np.zeros((count, self.size), dtype=np.float32) for count in steps])
        return Batch(batch.inputs, Cells(blank.values.to(batch.device), blank.mask.to(batch.device)))

    def workings(
        self, system: Remembers, batch: Batch, steps: int
    ) -> tuple[dict[str, Seen], dict[str, Float[np.ndarray, "step slot size"]]]:
        """Of one example, with an answer of so many steps: the stages of its looks, and the memory after each step."""
        with torch.inference_mode():
            found = system.workings(self.blank(batch, [steps]))
        memory = {name: values[0].float().cpu().numpy() for name, values in found.memory.items()}
        return seen(found.stages, [steps])[0], memory

    def predict(self, system: Any, batch: Batch, how: Decoding, wanted: Wanted) -> list[list[Result]]:
        if wanted.best > 1:
            raise ValueError("the output 'bits' has one best answer: leave out best")
        if wanted.stop is not None:
            wanted.stop()
        cells = next(value for value in batch.inputs.values() if isinstance(value, Cells))
        steps = [how.longest or int(count) for count in cells.mask.sum(1)]
        results = []
        for odds, looks in self.answers(system, batch, steps):
            if wanted.samples:
                likely = torch.from_numpy(1 / (1 + np.exp(-odds))).expand(wanted.samples, -1, -1)
                chosen = torch.bernoulli(likely, generator=wanted.generator).numpy()
            else:
                chosen = (odds > 0)[None]
            results.append([self.result(bits.astype(np.float32), odds, looks) for bits in chosen])
        return results

    def memory(
        self, how: Decoding, wanted: Wanted, inputs: Int[np.ndarray, "example"], targets: Int[np.ndarray, "example"]
    ) -> Float[np.ndarray, "example"]:
        return np.zeros(len(inputs))  # nothing that grows with what is asked for

    def force(
        self, system: Any, batch: Batch, how: Decoding, encoded: Sequence[Any], targets: Sequence[Any]
    ) -> list[Result]:
        found = self.answers(system, batch, [len(bits) for bits in encoded])
        return [self.result(bits, *one) for bits, one in zip(encoded, found, strict=True)]

    def log_probs(self, system: Any, batch: Batch, ids: Sequence[int], stop: Callable[[], None] = lambda: None) -> Any:
        raise ValueError("evidence is not supported for the output 'bits'")

    def result(
        self, bits: Float[np.ndarray, "step bit"], odds: Float[np.ndarray, "step bit"], looks: dict[str, Seen]
    ) -> Result:
        each = -np.logaddexp(0.0, np.where(bits > 0, -odds, odds)).sum(1)
        axis: Tokens = axis_of(bits)
        log_prob = float(each.sum())
        return Result(axis.text, log_prob, log_prob, axis.tokens, (), tuple(each.tolist()), axis, looks, True, (), None)

    def to_measure(
        self, how: Decoding, inputs: Int[np.ndarray, "target"], targets: Int[np.ndarray, "target"]
    ) -> Decoding:
        return self.to_evaluate(how, targets)

    def to_evaluate(self, how: Decoding, targets: Int[np.ndarray, "target"]) -> Decoding:
        # An answer is as long as its target, as in the paper: of one that goes on, no more is looked at.
        return how if how.longest else replace(how, longest=int(targets.max()))

    def figures(self, results: Sequence[Result], references: Sequence[Any]) -> Figures:
        return self.watched([result.text for result in results], references), {}

    def assess(self, texts: Sequence[str], references: Sequence[Any]) -> Assessment:
        """Chance is each bit at random: half of them wrong."""
        right = self.watched(texts, references)["sequences_right"]
        bits = float(np.mean([as_vectors(one).size for one in references]))
        intervals = {"sequences_right": metrics.share_interval(right, len(texts))}
        return Assessment({"wrong_bits_by_chance": bits / 2}, intervals)

    def texts(self, system: Any, batch: Batch, how: Decoding) -> list[str]:
        return [several[0].text for several in self.predict(system, batch, how, Wanted())]

    def watched(self, texts: Sequence[str], references: Sequence[Any]) -> dict[str, float]:
        """The share of sequences with every bit right, and wrong bits a sequence; what is missing is wrong."""
        wrong = [wrong_bits(as_vectors(text), as_vectors(one)) for text, one in zip(texts, references, strict=True)]
        return {"sequences_right": float(np.mean([count == 0 for count in wrong])), "wrong_bits": float(np.mean(wrong))}

    def reference(self, raw: Any) -> str:
        return written(as_vectors(raw))

    def metric(self) -> metrics.CorpusMetric:
        return metrics.EXACT_MATCH

    def remarks(self, targets: Sequence[Any]) -> list[str]:
        return []

    def about(self) -> str:
        return f"{self.size} bits a step"

    def save(self, folder: Path) -> None:
        save_size(folder / f"{TARGET}.json", self.size)


def seen(looks: Mapping[str, Look], steps: Sequence[int]) -> list[dict[str, Seen]]:
    """The looks of each example, without the rows of padding."""
    found: list[dict[str, Seen]] = [{} for _ in steps]
    for name, look in looks.items():
        weights = look.values.float().cpu().numpy()  # type: ignore[union-attr]
        for row, count in enumerate(steps):
            real = look.rows[row].cpu().numpy() if look.rows is not None else slice(count)
            found[row][name] = Seen(weights[row][real], look.over, look.steps)
    return found


def wrong_bits(bits: Float[np.ndarray, "_ bit"], reference: Float[np.ndarray, "_ bit"]) -> int:
    """Bits of the reference that differ; those of steps that are missing all do."""
    shared = min(len(bits), len(reference))
    differ = int((bits[:shared] != reference[:shared]).sum())
    return differ + (len(reference) - shared) * reference.shape[1]
