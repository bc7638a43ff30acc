"""One of a few classes, named in one go; of systems that look several times, after each step."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from attend import metrics
from attend.attention.trace import Named, Token
from attend.contract import END, Answerer, Answers, Batch, Cells, Direction, Look
from attend.data.captions import tidy
from attend.data.codec import Codec
from attend.data.examples import TARGET, Column, Log
from attend.data.ragged import Stacked
from attend.fields.field import Fault, Field
from attend.fields.label import LabelField
from attend.outputs.output import Assessment, Figures, Result, Seen, Wanted

MEASURES: Mapping[str, Direction] = {"error": "lower", "accuracy": "higher"}
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Classes:
    """One of the classes that the training targets name."""

    like: str = ""
    """A field whose words are classes too, the first ones: a system may embed both alike."""

    kind = "classes"
    validation_search = ""
    measures = MEASURES

    def column(self) -> Column:
        return Column(TARGET, ("label", "class"))

    def kept(self) -> tuple[str, ...]:
        return (f"{TARGET}.json",)

    def texts(self, targets: Iterable[Any]) -> Iterable[str]:
        return targets

    def learn(self, targets: Iterable[Any], log: Log, like: Field | None = None) -> "ClassesOutput":
        labels = LabelField.learn(map(str, targets), log)
        return ClassesOutput(labels if like is None else with_words(labels, like))

    def open(self, folder: Path) -> "ClassesOutput":
        return ClassesOutput(LabelField.open(folder, TARGET))

    def example(self, rng: np.random.Generator) -> str:
        return str(rng.choice(["a", "b", "c"]))


@dataclass(frozen=True)
class Decoding:
    """How classes are decided: the likeliest one, in one deterministic pass. There is nothing to choose."""


class ClassesOutput:
    """See `attend.outputs.output.Output`."""

    unit = "examples"
    together = 250
    varies = False
    limit = None
    measures = MEASURES

    def __init__(self, labels: LabelField) -> None:
        self.labels = labels

    @property
    def classes(self) -> tuple[str, ...]:
        return self.labels.classes

    def singles(self, raw: Any) -> tuple[Any, ...]:
        return (raw,)

    def encode(self, targets: Sequence[Any], training: bool = False) -> list[Any | Fault]:
        return self.labels.encode(targets)

    def column(self) -> Stacked:
        return Stacked()

    def length(self, encoded: Any) -> int:
        return 1

    def collate(self, encoded: Any) -> Tensor:
        return self.labels.collate(encoded)

    def sizes(self) -> Mapping[str, int]:
        return {"classes": len(self.classes)}

    def join(self, systems: Sequence[Any]) -> Any:
        return systems[0] if len(systems) == 1 else MeanAnswer(systems)

    def answers(self, system: Any, batch: Batch) -> list[tuple[np.ndarray, dict[str, Seen]]]:
        """The probabilities after each step, and the looks, of each example."""
        with torch.inference_mode():
            found: Answers = system.answer(batch)
            likely = found.logits.float().softmax(-1).cpu().numpy()
        return [(likely[row], seen_by(found.looks, row, batch)) for row in range(len(likely))]

    def predict(self, system: Any, batch: Batch, how: Decoding, wanted: Wanted) -> list[list[Result]]:
        if wanted.stop is not None:
            wanted.stop()
        results = []
        for likely, looks in self.answers(system, batch):
            if wanted.samples:
                drawn = torch.multinomial(
                    torch.from_numpy(likely[-1]), wanted.samples, True, generator=wanted.generator
                )
                chosen = drawn.tolist()
            else:
                chosen = (-likely[-1]).argsort(kind="stable")[: wanted.best].tolist()
            results.append([self.result(number, likely, looks) for number in chosen])
        return results

    def memory(
        self, how: Decoding, wanted: Wanted, inputs: Int[np.ndarray, "example"], targets: Int[np.ndarray, "example"]
    ) -> Float[np.ndarray, "example"]:
        return np.zeros(len(inputs))  # nothing that grows with what is asked for

    def force(
        self, system: Any, batch: Batch, how: Decoding, encoded: Sequence[Any], targets: Sequence[Any]
    ) -> list[Result]:
        found = self.answers(system, batch)
        return [self.result(int(number), *one) for number, one in zip(encoded, found, strict=True)]

    def log_probs(
        self, system: Any, batch: Batch, ids: Sequence[int], stop: Callable[[], None] = lambda: None
    ) -> Float[Tensor, "batch 1"]:
        stop()
        return system.answer(batch).logits[:, -1].float().log_softmax(-1)[:, list(ids)]

    def result(self, number: int, likely: Float[np.ndarray, "step answer"], looks: dict[str, Seen]) -> Result:
        name, log_prob = self.classes[number], float(np.log(max(likely[-1, number], TINY)))
        steps = Named(tuple(str(step + 1) for step in range(len(likely))))
        return Result(
            name, log_prob, log_prob, (Token(name),), (number,), (log_prob,), steps, looks, True, self.classes, likely
        )

    def to_measure(
        self, how: Decoding, inputs: Int[np.ndarray, "target"], targets: Int[np.ndarray, "target"]
    ) -> Decoding:
        return how

    def to_evaluate(self, how: Decoding, targets: Int[np.ndarray, "target"]) -> Decoding:
        return how

    def figures(self, results: Sequence[Result], references: Sequence[Any]) -> Figures:
        found = self.watched([result.text for result in results], references)
        probabilities = [result.probabilities for result in results if result.probabilities is not None]
        if len(probabilities) == len(results) and len(probabilities[0]) > 1:
            # How undecided it is after each step: the mean entropy of its answer, in nats.
            entropies = np.stack([entropy(likely) for likely in probabilities]).mean(0)
            found |= {f"class_entropy_step_{step}": float(value) for step, value in enumerate(entropies, start=1)}
        return found, {}

    def assess(self, texts: Sequence[str], references: Sequence[Any]) -> Assessment:
        answers = [str(reference) for reference in references]
        accuracy = self.watched(texts, answers)["accuracy"]
        lower, upper = metrics.share_interval(accuracy, len(answers))
        confusion = metrics.confusion_of(texts, answers)
        name, majority = metrics.commonest([(answer,) for answer in answers])
        figures = {
            "balanced_accuracy": metrics.balanced_accuracy(confusion),
            "baseline_chance": 1 / len(self.classes),
            "baseline_majority": majority,
        }
        remarks = ()
        if lower <= majority:
            interval = f"the 95% interval of the accuracy is {lower:.3f} to {upper:.3f}"
            remarks = (f"no better than always answering {name!r}, which has accuracy {majority:.3f}: {interval}",)
        intervals = {"error": (1 - upper, 1 - lower), "accuracy": (lower, upper)}
        return Assessment(figures, intervals, confusion, remarks)

    def texts(self, system: Any, batch: Batch, how: Decoding) -> list[str]:
        with torch.inference_mode():
            found: Answers = system.answer(batch)
        return [self.classes[number] for number in found.logits[:, -1].argmax(-1).tolist()]

    def watched(self, texts: Sequence[str], references: Sequence[Any]) -> dict[str, float]:
        wrong = [text != str(reference) for text, reference in zip(texts, references, strict=True)]
        error = float(np.mean(wrong))
        return {"error": error, "accuracy": 1 - error}

    def reference(self, raw: Any) -> str:
        return str(raw)

    def metric(self) -> metrics.CorpusMetric:
        """What runs are compared by."""
        return metrics.ERROR

    def remarks(self, targets: Sequence[Any]) -> list[str]:
        return []

    def about(self) -> str:
        return f"{len(self.classes)} classes"

    def save(self, folder: Path) -> None:
        self.labels.save(folder, TARGET)


def with_words(labels: LabelField, field: Any) -> LabelField:
    """Classes for the words of a field, in the order of its vocabulary without the special entries, and then for what
    is no word of it. A class is written as targets write it: "Mary" is the word "mary"."""
    codec: Codec = field.codec
    written = {tidy(name): name for name in labels.classes}
    words = [codec.piece(number) for number in range(END + 1, len(codec))]
    words = [written.get(word, word) for word in words]
    return LabelField([*words, *(name for name in labels.classes if name not in set(words))])


class MeanAnswer:
    """Several answerers as one that averages their probabilities; the looks are the first one's."""

    def __init__(self, members: Sequence[Answerer]) -> None:
        self.members = tuple(members)

    def answer(self, batch: Batch) -> Answers:
        found = [member.answer(batch) for member in self.members]
        steps = min(answers.logits.shape[1] for answers in found)
        log_probs = torch.stack([answers.logits[:, -steps:].float().log_softmax(-1) for answers in found])
        return Answers(log_probs.logsumexp(0) - float(np.log(len(found))), found[0].looks)


def seen_by(looks: Mapping[str, Look], row: int, batch: Batch) -> dict[str, Seen]:
    """One example's looks: weights without the padding of their cells, or windows."""
    found = {}
    for name, look in looks.items():
        if not isinstance(look.values, Tensor):
            found[name] = Seen(look.values[row], look.over, look.steps)
            continue
        weights = look.values[row].float().cpu().numpy()
        if look.cells is not None:
            weights = weights[:, look.cells[row].cpu().numpy()]
        else:
            weights = weights[:, real_cells(batch, look.over, row, weights.shape[1])]
        if look.steps != "output":
            weights = weights[real_cells(batch, look.steps, row, len(weights))]
        found[name] = Seen(weights, look.over, look.steps, look.shape)
    return found


def real_cells(batch: Batch, name: str, row: int, count: int) -> np.ndarray | slice:
    value = batch.inputs.get(name)
    if not isinstance(value, Cells) or value.mask.shape[1] != count:
        return slice(None)
    return value.mask[row].cpu().numpy()


def entropy(likely: Float[np.ndarray, "step answer"]) -> Float[np.ndarray, "step"]:
    """The entropy of the answer after each step, in nats."""
    return -(likely * np.log(np.maximum(likely, np.finfo(likely.dtype).tiny))).sum(-1)
