"""A trained model: what `attend.load` gives for every supervised run, and what it predicts."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, get_type_hints

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from attend import decoding
from attend.attention.glimpse import Views
from attend.attention.trace import Alternative, Axis, Look, Media, Named, Token, Trace, Weights, Windows
from attend.contract import UNKNOWN, Decoder, Evaluation, Remarks, Split
from attend.data.examples import TARGET, Fresh, Row
from attend.inspect.addresses import address_match
from attend.inspect.looks import audit_grids, audit_rows, audit_tokens, audit_windows
from attend.inspect.pointing import pointing
from attend.outputs.output import Result, Seen, Wanted
from attend.progress import Tell, say
from attend.settings import convert
from attend.task import Case, Part, Supervised, as_a_whole

TINY = float(np.finfo(np.float32).tiny)
# What makes a loop of an output.
TURNS, LOOP = 4, 8


@dataclass(frozen=True, eq=False)
class Prediction:
    """One output of one input: what was predicted, how likely it is, and where the model looked.

    In a notebook it draws itself. `number` is its place among those predicted together, by which a sampled look is
    drawn.
    """

    case: Case
    result: Result
    number: int = 0

    @property
    def text(self) -> str:
        """The output as text: a sequence, or the name of a class."""
        return self.result.text

    @property
    def score(self) -> float:
        """What outputs of one input are ranked by: of a sequence log_prob / length^length_penalty, for greedy, beam and
        sampled outputs and given targets alike, with the decoding options of the run or the call; of a class log_prob.
        """
        return self.result.score

    @property
    def log_prob(self) -> float:
        """log p(output | input), in nats; of a sequence with its end, so that `score` gives the same for its text."""
        return self.result.log_prob

    @property
    def tokens(self) -> tuple[Token, ...]:
        return self.result.tokens

    @property
    def ids(self) -> tuple[int, ...]:
        return self.result.ids

    @property
    def token_log_probs(self) -> tuple[float, ...]:
        return self.result.token_log_probs

    @property
    def finished(self) -> bool:
        """False if the output was cut at its greatest length: END was put behind it."""
        return self.result.finished

    @property
    def loops(self) -> bool:
        """Whether the output goes round in a loop: the same tokens again and again."""
        return loops(self.ids)

    @property
    def probabilities(self) -> dict[str, float]:
        """Those of all answers, where there are few; else empty."""
        likely = self.result.probabilities
        return {} if likely is None else dict(zip(self.result.answers, likely[-1].tolist(), strict=True))

    @property
    def input(self) -> str:
        """The input as text: of several fields, a line each."""
        if len(self.case) == 1:
            return next(iter(self.case.values())).text
        return "\n".join(f"{name}: {value.text}" for name, value in self.case.items())

    @property
    def weights(self) -> Float[np.ndarray, "step memory"] | None:
        """The weights of the first look that has some; None for a model without attention."""
        return next((look.weights for look in self.looks.values() if isinstance(look, Weights)), None)

    @cached_property
    def looks(self) -> Mapping[str, Look]:
        """Where the model looked, with names for steps and cells."""
        found: dict[str, Look] = {}
        for name, seen in self.result.looks.items():
            if not isinstance(seen.values, np.ndarray):
                found[name] = windows(seen.values, len(self.result.steps))
                continue
            count = seen.values.shape[1]
            memory = self.memory_of(seen, count)
            found[name] = Weights(seen.values, self.steps_of(seen, len(seen.values)), memory)
            if seen.sampled and len(memory) > 1:
                # What hard attention would have looked at: here it read the expectation.
                cells = drawn_cells(seen.values, self.number)
                found["sampled"] = Weights(np.eye(len(memory))[cells], found[name].steps, memory, hard=True)
        return found

    def memory_of(self, seen: Seen, count: int) -> Axis:
        """The names of a look's cells: of a field's; with numbers, by which an output calls them, behind any before
        them; or numbers alone."""
        if not seen.over:
            return numbered(count)
        cells = self.case[seen.over].axis(count - len(seen.before), seen.shape)
        if not seen.before:
            return cells
        return Named((*seen.before, *(f"{number}: {name}" for number, name in enumerate(cells.labels(), start=1))))

    def steps_of(self, seen: Seen, count: int) -> Axis:
        """The names of a look's rows: of the output's steps, of a field's cells, or of these and then those; numbers
        for looks that are taken side by side."""
        if not seen.steps:
            return numbered(count)
        axes = [
            self.result.steps if name == "output" else self.case[name].axis(count, ()) for name in seen.steps.split("+")
        ]
        return axes[0] if len(axes) == 1 else Named(tuple(label for axis in axes for label in axis.labels()))

    def trace(self, **about: str) -> Trace:
        """The prediction as data for every viewer; `about` says what made it."""
        result, found = self.result, {}
        if result.probabilities is not None:
            logs = np.log(np.maximum(result.probabilities, TINY))
            found["alternatives"] = tuple(
                tuple(
                    Alternative(number, name, float(log))
                    for number, (name, log) in enumerate(zip(result.answers, row, strict=True))
                )
                for row in logs
            )
            found["entropies"] = tuple((-result.probabilities * logs).sum(axis=-1).tolist())
            found["ids"] = result.ids
        return Trace(
            self.input,
            self.text,
            self.looks,
            self.token_log_probs,
            about,
            media=self.media(),
            finished=self.finished,
            **found,
        )

    def media(self) -> dict[str, Media]:
        """What a page shows beside the numbers: that of the one input that has any, or of what each look is over."""
        shown = {name: media for name, value in self.case.items() if (media := value.media()) is not None}
        if len(shown) == 1:
            return {"input": next(iter(shown.values()))}
        return {name: shown[seen.over] for name, seen in self.result.looks.items() if seen.over in shown}

    def unknown(self) -> int:
        """How many tokens of input and output are in no vocabulary."""
        written = 0 if self.result.answers else self.ids.count(UNKNOWN)
        return sum(value.unknown() for value in self.case.values()) + written

    def __str__(self) -> str:
        from attend.show.terminal import describe

        return describe(self.trace(), 100, colour=False)

    def __repr__(self) -> str:
        return f"<prediction {self.text!r:.60} ({self.log_prob:.3f})>"

    def _repr_html_(self) -> str:
        from attend.show.page import frame

        return frame([self.trace()], self.input)


def of_rows(part: Part, rows: Iterable[int], forced: Sequence[Prediction]) -> list[Prediction]:
    """Of a part's targets those of some rows."""
    wanted = set(rows)
    return [one for one, row in zip(forced, part.row, strict=True) if row in wanted]


def numbered(count: int) -> Named:
    return Named(tuple(str(number + 1) for number in range(count)))


class Model:
    """A trained model, or several as an ensemble. Get one from `attend.load`."""

    def __init__(self, config: Any, task: Supervised, systems: Sequence[nn.Module]) -> None:
        self.config, self.task, self.systems = config, task, list(systems)
        self.system: Any = task.output.join(self.systems)

    def __repr__(self) -> str:
        sizes = sum(parameter.numel() for system in self.systems for parameter in system.parameters())
        return f"<attend model of {self.config.recipe}: {sizes:,} parameters>"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of its inputs."""
        return tuple(self.task.fields)

    @property
    def longest_input(self) -> dict[str, int]:
        """Of each input that varies in length, how long it may be, in its cells (of a text: tokens).

        Four times what the run learnt from, unless `read_up_to` has set it. A longer input is refused, with its name.
        """
        return {name: one.limit for name, one in self.task.fields.items() if one.limit is not None}

    def read_up_to(self, longest: int) -> None:
        """Read inputs, and targets to score, of up to so many cells. Raises `ValueError` for less than one, or if no
        input varies in length."""
        if longest < 1:
            raise ValueError(f"longest_input is {longest}: it must be at least 1")
        varying: list[Any] = [one for one in (*self.task.fields.values(), self.task.output) if one.limit is not None]
        if not varying:
            raise ValueError(f"longest_input: all inputs of {self.config.recipe!r} are of one size")
        for one in varying:
            one.limit = longest

    def how(self, **changes: Any) -> Any:
        """The run's decoding options, changed where a value is not None. Raises `ValueError` for one it hasn't."""
        how = self.config.settings.decoding
        changes = {name: value for name, value in changes.items() if value is not None}
        hints = get_type_hints(type(how))
        for name, value in changes.items():
            if not hasattr(how, name):
                kind = self.config.settings.output.kind
                raise ValueError(f"{name} is an option of search, and the output {kind!r} is not searched for")
            changes[name] = convert(value, hints[name], name)
        return replace(how, **changes)

    def case(self, given: Any, name: str = "") -> Case:
        """The input, or the inputs by name, prepared. Raises `ValueError` for what can't be predicted from."""
        if isinstance(given, Mapping):
            return self.task.case(given, name)
        if len(self.task.fields) > 1:
            raise TypeError(f"this model reads {' and '.join(self.inputs)}: give them by name, as a mapping")
        return self.task.case({self.inputs[0]: given}, name)

    def predict(self, given: Any = None, /, beam: int | None = None, **named: Any) -> Prediction:
        """The best output for one input: a text, an image's file, pixels; or inputs by name.

        Raises `ValueError` for an input that can't be used, `TypeError` for one of another type.
        """
        if given is not None and named:
            raise TypeError(f"predict takes one input, or inputs by name: {next(iter(named))!r} is beside one")
        found = self.predict_cases([self.case(named if given is None else given)], self.how(beam=beam))
        return found[0][0]

    def predict_all(self, given: Iterable[Any], beam: int | None = None) -> list[Prediction | None]:
        """The best output for each of several inputs, in order; None for an empty text."""
        return [several[0] if several else None for several in self.predict_many(given, beam)]

    def predict_many(
        self, given: Iterable[Any], beam: int | None = None, best: int = 1, **options: Any
    ) -> list[list[Prediction]]:
        """The `best` outputs for each of several inputs, in order; none for an empty text."""
        cases = self.several(given)
        found = iter(self.predict_cases([case for case in cases if case], self.how(beam=beam), Wanted(best, **options)))
        return [[] if case is None else next(found) for case in cases]

    def several(self, given: Iterable[Any]) -> list[Case | None]:
        """Several inputs, prepared; None for an empty text. Errors are as in `case`, with the input's number."""
        if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
            raise TypeError(f"a list of inputs was expected, not {type(given).__name__}: predict takes a single one")
        return [
            None if isinstance(one, str) and not one.strip() else self.numbered(f"input {number}", one)
            for number, one in enumerate(given, start=1)
        ]

    def numbered(self, name: str, given: Any) -> Case:
        """As `case`, with a name in the errors, as of one input of several."""
        try:
            return self.case(given)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{name}: {error}") from error

    def predict_cases(
        self, cases: Sequence[Case], how: Any = None, wanted: Wanted | None = None, report: Tell | None = None
    ) -> list[list[Prediction]]:
        """The outputs for prepared inputs, in order."""
        how, wanted = how or self.how(), wanted or Wanted()
        if wanted.best > 1 and hasattr(how, "beam") and wanted.best > how.beam:
            raise ValueError(f"best is {wanted.best}: it must be from 1 to the beam, which is {how.beam}")
        found = self.task.predict(self.system, cases, how, wanted, report)
        return [
            [Prediction(case, result, number) for result in several]
            for number, (case, several) in enumerate(zip(cases, found, strict=True))
        ]

    def force_cases(
        self, cases: Sequence[Case], targets: Sequence[Any], report: Tell | None = None
    ) -> list[Prediction]:
        """Given targets as if they were the outputs: log-probabilities, and where the model looks."""
        found = self.task.force(self.system, cases, targets, self.how(), report)
        pairs = zip(cases, found, strict=True)
        return [Prediction(case, result, number) for number, (case, result) in enumerate(pairs)]

    def attention(self, given: Any, target: Any = None) -> Prediction:
        """The output for an input, or a given target as if it were the output, with where the model looked."""
        case = self.case(given)
        return self.predict_cases([case])[0][0] if target is None else self.force_cases([case], [target])[0]

    def score(self, pairs: Iterable[tuple[Any, Any]]) -> list[float]:
        """log p(target | input) of each pair, in nats."""
        pairs = check_pairs(pairs)
        cases = [self.numbered(f"pair {number}", given) for number, (given, _) in enumerate(pairs, start=1)]
        return [found.log_prob for found in self.force_cases(cases, [target for _, target in pairs])]

    # Measuring

    def part(self, split: Split) -> Part:
        """A part of the run's own data. Raises `ValueError` if it has no such part, or training data that are new in
        every epoch."""
        task = self.task
        if task.source is None:
            task.source = task.settings.open_source(lambda line: None)
        fresh = isinstance(task.source, Fresh)
        if split not in task.source.splits or (split == "train" and fresh):
            parts = ", ".join(one for one in task.source.splits if one != "train" or not fresh)
            raise ValueError(f"the run's data has no part {split!r} to measure on: name another with --split ({parts})")
        if split == "train":  # it may be large, and is not kept
            return task.read_part(task.source, split, lambda line: None, measured=True)
        if split not in task.frozen:
            part = task.frozen[split] = task.read_part(task.source, split, lambda line: None)
            if part.left_out.names:
                say(f"{split}: {part.left_out}")
        return task.frozen[split]

    def evaluate(self, split: Split | Iterable[tuple[Any, Any]] = "valid", report: Tell | None = None) -> Evaluation:
        """Measure on a part of the run's own data, or on pairs of an input and a target, with the run's own decoding.

        Pairs that can't be used are left out, and said.
        """
        part = self.part(split) if isinstance(split, str) else self.rows(self.rows_of(split), "the pairs")
        return self.evaluate_part(part, self.how(), report)

    def rows_of(self, pairs: Iterable[tuple[Any, Any]]) -> Iterator[Row]:
        """Pairs as the rows of a file. Raises `TypeError` for what is none, or lacks an input."""
        for number, (given, target) in enumerate(check_pairs(pairs), start=1):
            named = given if isinstance(given, Mapping) else {self.inputs[0]: given}
            if named.keys() != self.task.fields.keys():
                raise TypeError(f"pair {number}: this model reads {' and '.join(self.inputs)}, by name in a mapping")
            yield Row({**named, TARGET: target}, f"pair {number}", number)

    def evaluate_part(self, part: Part, how: Any, report: Tell | None = None) -> Evaluation:
        """Predict each row, score each target, and measure: quality (beside what needs no input), loss, attention.

        The loss is in nats a unit of the output (a token, END included; an example). Figures of rows that are in groups
        are also given by group.
        """
        cases, references = self.task.cases(part), [row.values[TARGET] for row in part.rows]
        how = self.task.output.to_evaluate(how, part.lengths()[1])
        with torch.random.fork_rng():
            torch.manual_seed(0)  # for controls that look at random places
            outputs = [several[0] for several in self.predict_cases(cases, how, None, report)]
            forced = self.force_cases([cases[row] for row in part.row], part.given)
        output, whole = self.task.output, as_a_whole(part)
        figures, signatures = output.figures([outputs[row].result for row in whole], [references[row] for row in whole])
        figures |= self.cost(of_rows(part, whole, forced))
        texts = [one.text for one in outputs]
        assessed = output.assess([texts[row] for row in whole], [references[row] for row in whole])
        figures |= assessed.figures | self.by_group(part, outputs, references, forced)
        # Of a row with several targets, its first.
        firsts = [forced[place] for place in np.unique(np.array(part.row), return_index=True)[1]]
        figures |= self.audit(part, cases, how, outputs, firsts)
        found = [output.reference(raw) for raw in references]
        single = [text for text in found if text is not None]
        return Evaluation(
            texts,
            figures,
            single if len(single) == len(found) else (),
            signatures,
            assessed.intervals,
            assessed.confusion,
            assessed.remarks,
            {
                "finished": sum(one.finished for one in outputs),
                "unknown": sum(one.unknown() for one in outputs),
                "left_out": part.left_out.total,
            },
        )

    def cost(self, forced: Sequence[Prediction]) -> dict[str, float]:
        """The loss of given targets a unit, in nats; its exponential for tokens; in bits for sequences of bits."""
        unit = self.task.output.unit
        units = sum(len(one.token_log_probs) for one in forced) if unit in ("tokens", "places") else len(forced)
        loss = -sum(one.log_prob for one in forced) / units
        more = {"tokens": {"perplexity": math.exp(min(loss, 700.0))}, "sequences": {"bits": loss / math.log(2)}}
        return {"loss": loss, **more.get(unit, {})}

    def remarks(self) -> list[str]:
        """What was done to the values that were read since the last call (resized, turned), and what may be wrong with
        them, a sentence each."""
        saying = [*self.task.fields.values(), *(system for system in self.systems if isinstance(system, Remarks))]
        return [remark for one in saying for remark in one.remarks()]

    def by_group(
        self, part: Part, outputs: Sequence[Prediction], references: Sequence[Any], forced: Sequence[Prediction]
    ) -> dict[str, float]:
        groups = sorted({row.group for row in part.rows} - {""})
        found = {}
        for group in groups:
            here = [place for place, row in enumerate(part.rows) if row.group == group]
            texts = [outputs[place].text for place in here]
            measured = self.task.output.watched(texts, [references[place] for place in here])
            measured |= self.cost(of_rows(part, here, forced))
            targets = zip(forced, part.row, strict=True)
            known = [(one.looks, part.rows[row].truth) for one, row in targets if part.rows[row].group == group]
            if pointed := pointing(known):
                measured["pointing_accuracy"] = pointed["pointing_accuracy"]
            found |= {f"{name}_{group}": value for name, value in measured.items()}
        return found

    def audit(
        self, part: Part, cases: Sequence[Case], how: Any, outputs: Sequence[Prediction], forced: Sequence[Prediction]
    ) -> dict[str, float]:
        """Figures of where the model looked: of outputs' weights over tokens, of forced targets' over cells of images,
        and of windows; pointing, where the rows know where to look; and quality with the weights shuffled."""
        figures = audit_tokens([one.looks for one in outputs])
        figures |= audit_windows([one.looks for one in outputs])
        figures |= audit_rows(
            [rows.values for one in outputs for rows in one.result.looks.values() if not rows.steps]  # type: ignore[misc]
        )
        grids = audit_grids([one.looks for one in forced])
        figures |= grids
        known = [(one, row.truth) for one, row in zip(forced, part.rows, strict=True)]
        figures |= pointing([(one.looks, truth) for one, truth in known])
        figures |= address_match([(one.looks, truth, len(one.result.steps)) for one, truth in known])
        if grids and isinstance(self.system, Decoder):
            shuffled = decoding.Shuffled(self.system, torch.Generator().manual_seed(0))
            worse = [several[0] for several in self.task.predict(shuffled, cases, how, Wanted())]
            references = [row.values[TARGET] for row in part.rows]
            found = self.task.output.watched([one.text for one in worse], references)
            figures |= {f"shuffled_{name}": value for name, value in found.items()}
        return figures

    def rows(self, rows: Iterable[Row], files: str) -> Part:
        """A person's rows, encoded to be measured on; what is left out is said. Raises `ValueError` if nothing is
        left."""
        part = self.task.encode(rows, files, training=False)
        if not len(part):
            why = f" ({part.left_out})" if part.left_out.names else ""
            raise ValueError(f"{files}: no example is left to measure on{why}")
        if part.left_out.names:
            say(f"{files}: {part.left_out}")
        for remark in self.remarks():
            say(f"{files}: {remark}")
        return part


def check_pairs(pairs: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Raises `TypeError` for what is no list of an input and a target each."""
    if isinstance(pairs, str | bytes | Mapping) or not isinstance(pairs, Iterable):
        raise TypeError(f"a list of pairs (an input and a target each) was expected, not {type(pairs).__name__}")
    found = list(pairs)
    for number, pair in enumerate(found, start=1):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"pair {number} must be an input and a target, not {pair!r:.80}")
    return found


def windows(views: Views, steps: int) -> Windows:
    """One image's windows, with each step named; a glimpse of several scales has a window for each."""
    scales = len(views.scale) // steps
    names = [
        str(step + 1) if scales == 1 else f"{step + 1} x{2**scale}" for step in range(steps) for scale in range(scales)
    ]
    return Windows(views.centre, views.extent, views.scale, Named(tuple(names)))


def loops(ids: Sequence[int]) -> bool:
    """Whether a stretch of tokens comes `TURNS` times in a row, `LOOP` tokens in all or more.

    >>> loops([5, 6] * 4), loops([5, 6, 7, 8] * 2), loops([4] * 7)
    (True, False, False)
    """
    for period in range(1, len(ids) // TURNS + 1):
        row, enough = 0, max(LOOP, TURNS * period) - period
        for token, before in zip(ids[period:], ids, strict=False):
            row = row + 1 if token == before else 0
            if row == enough:
                return True
    return False


def drawn_cells(weights: Float[np.ndarray, "step memory"], seed: int) -> Int[np.ndarray, "step"]:
    """A cell for each step, by its weights: the same every time."""
    chance = np.random.default_rng([seed]).random((len(weights), 1)) * weights.sum(1, keepdims=True)
    return np.minimum((weights.cumsum(1) <= chance).sum(1), weights.shape[1] - 1)
