"""Candidates among the cells of an input, pointed to one after the other: places in order, the corners of a polygon."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from attend import decoding, metrics
from attend.attention.trace import Token, Tokens
from attend.contract import END, Batch, Cells, Direction
from attend.data.examples import TARGET, Column, Log
from attend.data.points import area
from attend.data.ragged import Listed
from attend.fields.field import Fault, Field, stack_cells
from attend.fields.text import END_SHOWN
from attend.outputs.output import Assessment, Figures, Result, Seen, Wanted
from attend.settings import check_range

# Numbers that a hypothesis's score computes for each cell of the input.
WIDTH = 512


@dataclass(frozen=True)
class Candidate:
    """Places of the cells of an input, counted from 1, each once at most; in tables, text such as "3 1 2"."""

    among: str = "points"
    """The input whose cells are pointed to."""
    metrics: Literal["order", "polygon"] = "order"
    """What is measured: places in their order; or, of points in a plane, the polygon whose corners they are, and its
    area."""

    kind = "candidate"
    like = ""
    validation_search = "greedy search"

    @property
    def measures(self) -> Mapping[str, Direction]:
        names = ("exact_match", "places_right", *(("area",) if self.metrics == "polygon" else ()))
        return dict.fromkeys(names, "higher")

    def column(self) -> Column:
        return Column(TARGET)

    def kept(self) -> tuple[str, ...]:
        return ()

    def texts(self, targets: Iterable[Any]) -> Iterable[Any]:
        return targets

    def learn(self, targets: Iterable[Any], log: Log, like: Field | None = None) -> "CandidateOutput":
        return CandidateOutput(self)

    def open(self, folder: Path) -> "CandidateOutput":
        return CandidateOutput(self)

    def example(self, rng: np.random.Generator) -> str:
        return written(rng.permutation(3)[: rng.integers(1, 4)] + 1)


@dataclass(frozen=True)
class Decoding:
    """How places are searched for."""

    beam: int = 1
    """Hypotheses an output keeps; 1 is greedy."""

    def __post_init__(self) -> None:
        check_range(self, "beam", 1)


@dataclass(frozen=True, eq=False)
class Pointers:
    """A target, as it was given, with the vectors of the input that it points to."""

    given: Any
    vectors: Float[np.ndarray, "cell size"]

    def __str__(self) -> str:
        return written(places_of(self.given))


class CandidateOutput:
    """See `attend.outputs.output.Output`, and `Among`. A place is encoded as END + its number, counted from 1."""

    unit = "places"
    together = 250
    varies = True
    limit = None

    def __init__(self, settings: Candidate) -> None:
        self.settings = settings

    @property
    def measures(self) -> Mapping[str, Direction]:
        return self.settings.measures

    @property
    def among(self) -> str:
        return self.settings.among

    def joined(self, targets: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        return [
            target if isinstance(vectors, Fault) else Pointers(target, vectors)
            for target, vectors in zip(targets, inputs, strict=True)
        ]

    def singles(self, raw: Any) -> tuple[Any, ...]:
        return (raw,)

    def encode(self, targets: Sequence[Any], training: bool = False) -> list[Any]:
        return [self.ids(target) for target in targets]

    def ids(self, target: Any) -> Int[np.ndarray, "step"] | Fault:
        """A place that can't be is no accident of one row: where places are counted from 0, all are wrong."""
        try:
            places = places_of(target)
        except ValueError as error:
            return Fault.refuse(str(error))
        if not len(places):
            return Fault("is empty")
        if isinstance(target, Pointers):
            count = len(target.vectors)
            if places.max() > count:
                return Fault.refuse(f"has place {places.max()}, but {self.among} has {count} (counted from 1)")
            if self.settings.metrics == "polygon" and target.vectors.shape[1] != 2:
                size = target.vectors.shape[1]
                return Fault.refuse(f"is a polygon (output.metrics), but {self.among} has vectors of {size}, not of 2")
        return np.append(places + END, END)

    def column(self) -> Listed:
        return Listed()

    def length(self, encoded: Any) -> int:
        return len(encoded)

    def collate(self, encoded: Any) -> Cells:
        return stack_cells(encoded)

    def sizes(self) -> Mapping[str, int]:
        return {}

    def join(self, systems: Sequence[Any]) -> Any:
        return systems[0] if len(systems) == 1 else decoding.Ensemble(systems)

    def predict(self, system: Any, batch: Batch, how: Decoding, wanted: Wanted) -> list[list[Result]]:
        # Each place once, and the end.
        longest = batch.inputs[self.among].mask.sum(1) + 1
        watch = None if (stop := wanted.stop) is None else lambda *_: stop()
        if wanted.samples:
            found = decoding.sample(system, batch, longest, wanted.samples, generator=wanted.generator, watch=watch)
        elif how.beam == 1 and wanted.best == 1:
            found = decoding.greedy(system, batch, longest, watch=watch)
        else:
            found = decoding.beam_search(system, batch, longest, how.beam, best=wanted.best, watch=watch)
        return [[self.result(hypothesis) for hypothesis in several] for several in found]

    def memory(
        self, how: Decoding, wanted: Wanted, inputs: Int[np.ndarray, "example"], targets: Int[np.ndarray, "example"]
    ) -> Float[np.ndarray, "example"]:
        return 4.0 * (wanted.samples or how.beam) * inputs * (inputs + WIDTH)

    def force(
        self, system: Any, batch: Batch, how: Decoding, encoded: Sequence[Any], targets: Sequence[Any]
    ) -> list[Result]:
        return [self.result(one) for one in decoding.forced(system, batch, [ids.tolist() for ids in encoded])]

    def log_probs(self, system: Any, batch: Batch, ids: Sequence[int], stop: Callable[[], None] = lambda: None) -> Any:
        raise ValueError("evidence is not supported for the output 'candidate'")

    def result(self, found: decoding.Hypothesis) -> Result:
        tokens, start = [], 0
        for token in found.tokens:
            if token == END:
                tokens.append(Token(END_SHOWN))
            else:
                word = str(token - END)
                tokens.append(Token(word, start, start + len(word)))
                start += len(word) + 1
        text = " ".join(token.text for token in tokens if token.start is not None)
        looks = {} if found.weights is None else {found.over: Seen(found.weights, found.over, before=(END_SHOWN,))}
        return Result(
            text,
            found.log_prob,
            found.log_prob,
            tuple(tokens),
            tuple(found.tokens),
            tuple(found.token_log_probs),
            Tokens(text, tuple(tokens)),
            looks,
            found.finished,
        )

    def to_measure(
        self, how: Decoding, inputs: Int[np.ndarray, "target"], targets: Int[np.ndarray, "target"]
    ) -> Decoding:
        return replace(how, beam=1)

    def to_evaluate(self, how: Decoding, targets: Int[np.ndarray, "target"]) -> Decoding:
        return how

    def figures(self, results: Sequence[Result], references: Sequence[Any]) -> Figures:
        return self.watched([result.text for result in results], references), {}

    def assess(self, texts: Sequence[str], references: Sequence[Any]) -> Assessment:
        right = self.watched(texts, references)["exact_match"]
        return Assessment({}, {"exact_match": metrics.share_interval(right, len(texts))})

    def texts(self, system: Any, batch: Batch, how: Decoding) -> list[str]:
        return [several[0].text for several in self.predict(system, batch, how, Wanted())]

    def watched(self, texts: Sequence[str], references: Sequence[Any]) -> dict[str, float]:
        """The share of outputs that are the target, of polygons the same one, wherever they begin and whichever way
        round; of the target's places those that are right; and how large the smaller of the two polygons is beside the
        larger one, 0 where the output's edges cross."""
        polygons = self.settings.metrics == "polygon"
        exact, right, areas = [], [], []
        for text, reference in zip(texts, references, strict=True):
            found, wanted = places_of(text), places_of(reference)
            exact.append(same_polygon(found, wanted) if polygons else np.array_equal(found, wanted))
            shared = min(len(found), len(wanted))
            right.append((found[:shared] == wanted[:shared]).sum() / len(wanted))
            if polygons:
                sizes = sorted(area(reference.vectors[places - 1]) for places in (found, wanted))
                areas.append(sizes[0] / sizes[1] if sizes[1] else 0.0)
        figures = {"exact_match": float(np.mean(exact)), "places_right": float(np.mean(right))}
        return figures | ({"area": float(np.mean(areas))} if polygons else {})

    def reference(self, raw: Any) -> str:
        return written(places_of(raw))

    def metric(self) -> metrics.CorpusMetric:
        return metrics.EXACT_MATCH

    def remarks(self, targets: Sequence[Any]) -> list[str]:
        return []

    def about(self) -> str:
        return f"places among {self.among}"

    def save(self, folder: Path) -> None:
        """Nothing is learnt."""


def places_of(target: Any) -> Int[np.ndarray, "step"]:
    """The places of a target: a text, or an array of whole numbers.

    Raises `ValueError` for what is neither, for places below 1, and for one that comes twice.
    """
    if isinstance(target, Pointers):
        return places_of(target.given)
    if isinstance(target, str):
        words = target.replace(",", " ").split()
        if wrong := [word for word in words if not (word.isascii() and word.isdigit() and len(word) < 10)]:
            raise ValueError(f"has {wrong[0]!r}, which is no place: they are whole numbers from 1, as in '3 1 2'")
        places = np.array(words, dtype=np.int64)
    else:
        array = np.asarray(target)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ValueError(f"is an array of {array.dtype} {list(array.shape)}, not of whole numbers [step]")
        places = array.astype(np.int64)
    seen: set[int] = set()
    for place in places.tolist():
        if place < 1:
            raise ValueError(f"has place {place}: they are counted from 1")
        if place in seen:
            raise ValueError(f"has place {place} twice")
        seen.add(place)
    return places


def written(places: Int[np.ndarray, "step"]) -> str:
    """The text of places."""
    return " ".join(map(str, places.tolist()))


def same_polygon(one: Int[np.ndarray, "_"], other: Int[np.ndarray, "_"]) -> bool:
    """Whether two polygons have the same corners in the same order, from any corner and either way round."""
    if len(one) != len(other) or not len(one) or one[0] not in other:
        return False
    (start,) = np.flatnonzero(other == one[0])
    forwards = np.roll(other, -start)
    return np.array_equal(one, forwards) or np.array_equal(one[1:], forwards[:0:-1])
