"""The one supervised task: fields x an output x examples.

It reads examples into encoded columns, gives the training loop batches of them, asks the output for predictions, and
knows no system: any that takes a `Batch` of these fields, and answers as the output asks, will do.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int, UInt64
from torch import nn

from attend.contract import Batch, Direction
from attend.data.batches import groups, plan
from attend.data.check import check, combined, first_equal, known_from_training
from attend.data.examples import SPLITS, TARGET, Fixed, Fresh, Log, Row, Split
from attend.data.files import DataError, counted
from attend.data.own import Files
from attend.data.ragged import pad
from attend.fields.field import Fault, Field, Value
from attend.inspect.diagnosis import rare_entries
from attend.memory import require
from attend.outputs.output import Among, Output, Result, Wanted
from attend.progress import Tell
from attend.recipe import Recipe, SupervisedSettings
from attend.settings import nearest
from attend.training import to_device

# Rows encoded at a time: enough to be fast, too few to weigh beside what is kept of them.
CHUNK = 1024
# Greatest size of a batch that is measured or predicted, in padded cells: memory grows with it.
CELLS = 4096
# Most memory that a batch is to take, in bytes, as its output estimates it.
MEMORY = 2**30
LESS = "ask for a smaller beam (--beam), fewer samples (--samples) or a shorter output (--longest)"
# Rows of each kind that a report names.
SHOWN = 3

Case = Mapping[str, Value]
"""One example's inputs, prepared for a prediction."""


@dataclass
class LeftOut:
    """What of the examples read is not used: for each reason how many, by the names of their rows.

    An example is a row with one of its targets: of an image's captions, one may be left out alone.
    """

    read: int = 0
    names: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str, count: int = 1) -> None:
        self.names.setdefault(reason, Counter())[name] += count

    @property
    def total(self) -> int:
        return sum(names.total() for names in self.names.values())

    def __str__(self) -> str:
        reasons = []
        for reason, names in self.names.items():
            shown = ", ".join(list(names)[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
            reasons.append(f"{names.total():,} whose {reason} ({shown})")
        return f"{self.total:,} of {self.read:,} left out: {'; '.join(reasons)}"


Faults = dict[tuple[int, int | None], str]
"""By the place of a row in its chunk, and the number of its target or None for its inputs: why it can't be used."""


@dataclass
class Part:
    """Encoded rows: the inputs of each row, and the targets with the number of the row that each belongs to.

    `rows` are the rows themselves and `given` the targets as given, for parts that are predicted from. `places` are
    those of each row that the system learns from, if it does. `left_out` says which of the examples read can't be used.
    """

    inputs: dict[str, Any]
    targets: Any
    row: Any = field(default_factory=lambda: array("q"))
    rows: list[Row] = field(default_factory=list)
    given: list[Any] = field(default_factory=list)
    places: list[Sequence[int]] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)

    def __len__(self) -> int:
        return len(self.targets)

    def row_lengths(self) -> Int[np.ndarray, "row"]:
        """Cells of the longest input of each row."""
        return np.max([column.lengths() for column in self.inputs.values()], axis=0)

    def lengths(self) -> tuple[Int[np.ndarray, "target"], Int[np.ndarray, "target"]]:
        """Of each target, cells of the longest input that it belongs to, and its own."""
        return self.row_lengths()[np.frombuffer(self.row, dtype=np.int64)], self.targets.lengths()

    def hashes(self) -> UInt64[np.ndarray, "row"]:
        """A hash of each row's inputs, as they are encoded: the same for pictures of the same pixels."""
        return combined([column.hashes() for column in self.inputs.values()])


class Supervised:
    """See the module. `fields` are the inputs by name; the output knows the target."""

    def __init__(
        self, recipe: Recipe, settings: SupervisedSettings, fields: Mapping[str, Field], output: Output
    ) -> None:
        self.recipe, self.settings = recipe, settings
        self.fields, self.output = dict(fields), output
        self.source: Fixed | Fresh | None = None
        self.train: Part | None = None
        self.frozen: dict[Split, Part] = {}
        self.known: dict[Split, int] = {}
        self._counts: dict[str, int] = {}

    @classmethod
    def prepare(
        cls, recipe: Recipe, settings: SupervisedSettings, folder: Path, log: Log, learnt: Path | None = None
    ) -> "Supervised":
        check_files(settings, log)
        source = settings.open_source(log)
        fields: dict[str, Field]
        output: Output
        if learnt is None:
            fields = learn_fields(settings, source, log)
            output = learn_output(settings, source, fields, log)
        else:
            known = cls.open(recipe, settings, learnt)
            fields, output = known.fields, known.output
        for name, one in fields.items():
            one.save(folder, name)
        output.save(folder)
        task = cls(recipe, settings, fields, output)
        task.read(log, source)
        if learnt is None and task.train is not None:  # a vocabulary that is there already is kept
            for name, (entries, tokens) in task.vocabularies(task.train).items():
                for remark in rare_entries(entries, tokens, name, settings.vocabulary_flag(name)):
                    log(remark)
        return task

    @classmethod
    def open(cls, recipe: Recipe, settings: SupervisedSettings, folder: Path) -> "Supervised":
        fields = {name: one.open(folder, name) for name, one in settings.fields().items()}
        return cls(recipe, settings, fields, settings.output.open(folder))

    @staticmethod
    def kept(settings: SupervisedSettings) -> tuple[str, ...]:
        inputs = (file for name, one in settings.fields().items() for file in one.kept(name))
        return (*inputs, *settings.output.kept())

    @property
    def unit(self) -> str:
        return self.output.unit

    @property
    def measures(self) -> Mapping[str, Direction]:
        return self.output.measures

    # Reading

    def read(self, log: Log, source: Fixed | Fresh | None = None) -> None:
        """Read training, validation and test rows. Raises `DataError` if they can't be used."""
        source = source or self.settings.open_source(log)
        self.source = source
        if isinstance(source, Fresh):
            log(f"training: {len(source):,} new examples an epoch")
        else:
            self.train = self.read_part(source, "train", log)
        for split in source.splits:
            if split != "train":
                self.frozen[split] = self.read_part(source, split, log)
        self.known = self.known_from_training()
        for remark in self.remarks_on_content():
            log(remark)
        for name, one in self.fields.items():
            log(f"{name}: {one.about()}")
        log(f"{TARGET}: {self.output.about()}")
        for remark in self.output.remarks(self.frozen["valid"].given):
            log(remark)

    def remarks_on_content(self) -> Iterator[str]:
        """What is wrong with the examples by what their inputs hold: shared between parts, or of two classes."""
        for split, count in self.known.items():
            yield known_from_training(split, count, len(self.frozen[split].rows))
        if self.train is not None and self.settings.kinds()[TARGET] == "label":
            inputs, targets = self.train.hashes(), self.train.targets.hashes()
            if count := int((targets != targets[first_equal(inputs, inputs)]).sum()):
                yield f"train: {counted(count, 'example')} of another class than an earlier one of the same inputs"

    def vocabularies(self, part: Part) -> dict[str, tuple[int, int]]:
        """The entries of each vocabulary, and a part's tokens of it, by the name of the input or target."""
        columns = {**part.inputs, TARGET: part.targets}
        sizes = {name: one.sizes() for name, one in (*self.fields.items(), (TARGET, self.output))}
        return {
            name: (found["vocabulary"], int(columns[name].lengths().sum()))
            for name, found in sizes.items()
            if "vocabulary" in found
        }

    def known_from_training(self) -> dict[Split, int]:
        """By part, the rows whose inputs are those of a training row, where there are any: whatever the files say, or
        the rows that were held out."""
        found: dict[Split, int] = {}
        if self.train is None:
            return found
        known = self.train.hashes()
        for split, part in self.frozen.items():
            if count := int((first_equal(part.hashes(), known) >= 0).sum()):
                found[split] = count
        return found

    def read_part(self, source: Fixed | Fresh, split: Split, log: Log, measured: bool = False) -> Part:
        """A part's rows, encoded; with `measured` those of training as the others are, to predict from."""
        files = ", ".join(self.settings.data.files(split))
        part = self.encode(source.rows(split), files, split == "train" and not measured)
        left_out = part.left_out
        used = left_out.read - left_out.total
        log(f"{split}: {counted(used, 'example')}" + (f"; {left_out}" if left_out.names else ""))
        for remark in (remark for one in self.fields.values() for remark in one.remarks()):
            log(f"{split}: {remark}")
        if not len(part):
            problem = f"no {split} example is left to use" + (f" ({left_out})" if left_out.names else "")
            raise DataError(files, problem, "give examples that can be used")
        return part

    def encode(self, rows: Iterable[Row], files: str, training: bool) -> Part:
        """Rows as encoded columns. Raises `DataError` for what makes the data wrong."""
        part = Part({name: one.column() for name, one in self.fields.items()}, self.output.column())
        left_out, rest, used = part.left_out, iter(rows), 0
        while chunk := list(islice(rest, CHUNK)):
            inputs = {
                name: one.encode([row.values[name] for row in chunk], training) for name, one in self.fields.items()
            }
            if isinstance(self.output, Among):
                joined = self.joined([row.values[TARGET] for row in chunk], inputs)
                pairs = zip(chunk, joined, strict=True)
                chunk = [replace(row, values={**row.values, TARGET: target}) for row, target in pairs]
            several = [self.output.singles(row.values[TARGET]) for row in chunk]
            left_out.read += sum(map(len, several))
            targets = self.output.encode([target for singles in several for target in singles], training)
            faults = self.faults(chunk, inputs, several, targets, files)
            if faults:  # rare: what is left is taken row by row
                chunk, inputs, several, targets = without(faults, left_out, chunk, inputs, several, targets)
            for name, column in part.inputs.items():
                column.extend(inputs[name])
            part.targets.extend(targets)
            if self.recipe.taught:
                one: Any = self.fields[self.recipe.taught]
                part.places += [one.places(row.values[self.recipe.taught], row.truth) for row in chunk]
            for singles in several:
                part.row.extend([used] * len(singles))
                used += 1
            if not training:
                part.rows += chunk
                part.given += [target for singles in several for target in singles]
        return part

    def joined(self, targets: Sequence[Any], inputs: Mapping[str, Sequence[Any]]) -> Sequence[Any]:
        """Raw targets with the encoded inputs that they point to, where the output's do."""
        return self.output.joined(targets, inputs[self.output.among]) if isinstance(self.output, Among) else targets

    def faults(
        self,
        chunk: Sequence[Row],
        inputs: Mapping[str, Sequence[Any]],
        several: Sequence[Sequence[Any]],
        targets: Sequence[Any],
        files: str,
    ) -> Faults:
        """Why rows, or targets of theirs, can't be used. Raises `DataError` for what makes the data wrong."""
        found: Faults = {}
        for name, values in inputs.items():
            for place, value in enumerate(values):
                if isinstance(value, Fault):
                    found.setdefault((place, None), f"{name} {value}")
                    self.refuse(chunk[place], name, value, files)
        if any(isinstance(target, Fault) for target in targets):
            rest = iter(targets)
            for place, singles in enumerate(several):
                for number in range(len(singles)):
                    if isinstance(target := next(rest), Fault):
                        found[place, number] = f"{TARGET} {target}"
                        self.refuse(chunk[place], TARGET, target, files)
        return found

    def refuse(self, row: Row, name: str, fault: Fault, files: str) -> None:
        if fault.refused:
            what = f"{name} {fault}" if row.line else f"{row.name}: {name} {fault}"
            raise DataError(files, what, "correct or remove it", row.line or None)

    def files(self, split: Split) -> tuple[str, ...]:
        return self.settings.data.files(split)

    def counts(self) -> dict[str, int]:
        assert self.source is not None, "the task was opened to predict: it has no data"
        training = len(self.source) if isinstance(self.source, Fresh) else len(self.training)
        found = {"training examples": training, "validation examples": len(self.frozen["valid"].rows)}
        if self.train is not None:
            found |= {f"{name} tokens": tokens for name, (_, tokens) in self.vocabularies(self.train).items()}
            found |= {f"{split} examples of inputs that training has too": count for split, count in self.known.items()}
            found["examples left out"] = self.train.left_out.total + self.frozen["valid"].left_out.total
        for name, one in (*self.fields.items(), (TARGET, self.output)):
            found |= {f"{name} {size}": count for size, count in one.sizes().items()}
        return found

    @property
    def training(self) -> Part:
        assert self.train is not None, "the task was opened to predict: it has no training data"
        return self.train

    # Training

    def build(self) -> nn.Module:
        """A new system, with the sizes that its constructor names. Raises `ValueError` for one that nothing gives."""
        return self.recipe.construct(self.settings.system, self.sizes())

    def sizes(self) -> dict[str, int]:
        """What fields and output know, by name: that of the field, and of the size."""
        found = {f"{name}_{size}": n for name, one in self.fields.items() for size, n in one.sizes().items()}
        return found | {f"{TARGET}_{size}": count for size, count in self.output.sizes().items()}

    def plan(self, epoch: int) -> list[list[int]]:
        how = self.settings.training
        lengths, count = self.lengths(epoch)
        batches = plan(lengths, count, how.batch, how.batch_tokens, how.seed, epoch)
        return [batch.tolist() for batch in batches]

    def lengths(self, epoch: int) -> tuple[list[np.ndarray], int]:
        """The lengths of an epoch's examples, in each input and target that has any; and how many they are."""
        varying: list[tuple[str, Any]] = [(name, one) for name, one in self.fields.items() if one.varies]
        varying += [(TARGET, self.output)] if self.output.varies else []
        if isinstance(self.source, Fresh):
            found = []
            for name, one in varying:
                values = self.source.column(epoch, name)
                assert values is not None, f"{name} varies in length, but its lengths are not known before it is drawn"
                if name == TARGET:
                    values = [self.output.singles(value)[0] for value in values]
                found.append(np.array([one.length(encoded) for encoded in one.encode(values)]))
            return found, len(self.source)
        part = self.training
        row = np.frombuffer(part.row, dtype=np.int64)
        return [
            part.targets.lengths() if name == TARGET else part.inputs[name].lengths()[row] for name, _ in varying
        ], len(part)

    def batch(self, epoch: int, indices: Sequence[int]) -> Batch:
        if self.train is None:  # quicker than to ask for the source's kind
            rows = cast("Fresh", self.source).draw(epoch, np.array(indices))
            inputs = {
                name: one.collate(one.encode([row.values[name] for row in rows])) for name, one in self.fields.items()
            }
            targets = [self.output.singles(row.values[TARGET])[0] for row in rows]
            return Batch(inputs, self.output.collate(self.output.encode(targets)))
        return self.collated(self.training, indices)

    def collated(self, part: Part, indices: Sequence[int]) -> Batch:
        chosen = np.array(indices)
        rows = np.frombuffer(part.row, dtype=np.int64)[chosen]
        inputs = {name: one.collate(part.inputs[name].take(rows)) for name, one in self.fields.items()}
        places = None
        if self.recipe.taught:
            # One more, so that a batch of rows without any has places too.
            places = torch.from_numpy(pad([[*part.places[row], -1] for row in rows.tolist()], -1)[0])
        return Batch(inputs, self.output.collate(part.targets.take(chosen)), places)

    def validation(self) -> Iterator[Batch]:
        for group in groups(np.maximum(*self.measured.lengths()), self.output.together, CELLS):
            yield self.collated(self.measured, group)

    @cached_property
    def measured(self) -> Part:
        """The validation part, or so many of its rows as are to be measured, evenly chosen."""
        part = self.frozen["valid"]
        rows, most = as_a_whole(part), self.settings.training.measured
        if most and most < len(rows):
            rows = [rows[place * len(rows) // most] for place in range(most)]
        return part if len(rows) == len(part.rows) else self.select(part, rows)

    def select(self, part: Part, rows: Sequence[int]) -> Part:
        """These rows of a part that keeps its rows."""
        found = Part({name: one.column() for name, one in self.fields.items()}, self.output.column())
        for name, column in part.inputs.items():
            found.inputs[name].extend([column[row] for row in rows])
        found.places = [part.places[row] for row in rows] if part.places else []
        found.rows = [part.rows[row] for row in rows]
        new = {row: place for place, row in enumerate(rows)}
        for target, row in enumerate(part.row):
            if row in new:
                found.targets.append(part.targets[target])
                found.row.append(new[row])
                found.given.append(part.given[target])
        return found

    def measure(self, system: nn.Module) -> dict[str, float]:
        part = self.measured
        how, device = self.output.to_measure(self.settings.decoding, *part.lengths()), device_of(system)
        texts = [""] * len(part.rows)
        for group in groups(part.row_lengths(), self.output.together, CELLS):
            inputs = {name: one.collate(part.inputs[name].take(np.array(group))) for name, one in self.fields.items()}
            found = self.output.texts(system, to_device(Batch(inputs), device), how)
            for row, text in zip(group, found, strict=True):
                texts[row] = text
        return self.output.watched(texts, [row.values[TARGET] for row in part.rows])

    # Predicting

    def case(self, values: Mapping[str, Any], name: str = "") -> Case:
        """One example's inputs by name. Raises `ValueError` for one that is missing or unknown, or can't be used."""
        for given in values:
            if given not in self.fields:
                raise ValueError(f"there is no input {given!r}; {nearest(given, list(self.fields))}")
        if missing := [one for one in self.fields if one not in values]:
            raise ValueError(f"the input {missing[0]!r} is missing: this run reads {', '.join(self.fields)}")
        found = {}
        for key, one in self.fields.items():
            try:
                found[key] = one.prepare(values[key], name)
            except DataError:
                raise
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from error
        return found

    def cases(self, part: Part) -> list[Case]:
        """The inputs of a part's rows."""
        return [
            {
                name: one.prepare(row.values[name], row.name, part.inputs[name][place])
                for name, one in self.fields.items()
            }
            for place, row in enumerate(part.rows)
        ]

    def inputs(self, cases: Sequence[Case], device: torch.device) -> Batch:
        """A batch to predict from."""
        collated = {name: one.collate([case[name].encoded for case in cases]) for name, one in self.fields.items()}
        return to_device(Batch(collated), device)

    def predict(
        self, system: Any, cases: Sequence[Case], how: Any, wanted: Wanted, report: Tell | None = None
    ) -> list[list[Result]]:
        """For each case, in order, its best outputs, or its samples; cases of like length are taken together.

        Raises `ValueError` if what is wanted would take more memory than there is.
        """

        def some(batch: Batch, part: Sequence[int]) -> list[list[Result]]:
            if wanted.stop is not None:
                wanted.stop()
            return self.output.predict(system, batch, how, wanted)

        lengths, memory = self.within_memory(system, cases, how, wanted)
        return self.in_groups(system, cases, lengths, memory, some, report)

    def within_memory(
        self, system: Any, cases: Sequence[Case], how: Any, wanted: Wanted
    ) -> tuple[Int[np.ndarray, "case"], Float[np.ndarray, "case"]]:
        """The length of each case, and the bytes that a prediction from it needs. Raises `ValueError` if one needs more
        than there is."""
        lengths = np.array(self.case_lengths(cases), dtype=np.int64)
        memory = self.output.memory(how, wanted, lengths, np.zeros_like(lengths))
        if len(cases):
            require(memory.max(), device_of(system), "one input", LESS)
        return lengths, memory

    def force(
        self, system: Any, cases: Sequence[Case], targets: Sequence[Any], how: Any, report: Tell | None = None
    ) -> list[Result]:
        """The given target of each case as if it were the output. Raises `ValueError` for one that can't be one."""
        targets = self.joined(targets, {name: [case[name].encoded for case in cases] for name in self.fields})
        encoded = self.output.encode(targets)
        for number, found in enumerate(encoded, start=1):
            if isinstance(found, Fault):
                raise ValueError(f"{TARGET} {number} {found}")

        def some(batch: Batch, part: Sequence[int]) -> list[Result]:
            return self.output.force(system, batch, how, [encoded[i] for i in part], [targets[i] for i in part])

        inputs = np.array(self.case_lengths(cases), dtype=np.int64)
        written = np.array([self.output.length(target) for target in encoded], dtype=np.int64)
        memory = self.output.memory(how, Wanted(samples=1), inputs, written)
        return self.in_groups(system, cases, np.maximum(inputs, written), memory, some, report)

    def case_lengths(self, cases: Sequence[Case]) -> list[int]:
        return [max(one.length(case[name].encoded) for name, one in self.fields.items()) for case in cases]

    def in_groups(
        self,
        system: Any,
        cases: Sequence[Case],
        lengths: Int[np.ndarray, "case"],
        memory: Float[np.ndarray, "case"],
        some: Callable[[Batch, Sequence[int]], list[Any]],
        report: Tell | None,
    ) -> list[Any]:
        found: list[Any] = [None] * len(cases)
        device, done, cells = device_of(system), 0, 0
        for part in groups(lengths, self.output.together, CELLS, memory / MEMORY):
            batch = self.inputs([cases[place] for place in part], device)
            for place, one in zip(part, some(batch, part), strict=True):
                found[place] = one
            done, cells = done + len(part), cells + int(lengths[part].sum())
            if report:
                report(done, len(cases), cells / int(lengths.sum()))
        return found


def as_a_whole(part: Part) -> list[int]:
    """The rows that a part is measured by as a whole: those without a group, where there are any; else all."""
    return [number for number, row in enumerate(part.rows) if not row.group] or list(range(len(part.rows)))


def without(
    faults: Faults,
    left_out: LeftOut,
    chunk: Sequence[Row],
    inputs: Mapping[str, Sequence[Any]],
    several: Sequence[Sequence[Any]],
    targets: Sequence[Any],
) -> tuple[list[Row], dict[str, list[Any]], list[list[Any]], list[Any]]:
    """A chunk of rows without those, and those targets, that can't be used, which are noted as left out."""
    rows: list[Row] = []
    columns: dict[str, list[Any]] = {name: [] for name in inputs}
    kept, encoded, rest = [], [], iter(targets)
    for place, row in enumerate(chunk):
        mine = [(raw, next(rest)) for raw in several[place]]
        if (place, None) in faults:
            left_out.add(faults[place, None], row.name, len(mine))
            continue
        good = []
        for number, (raw, target) in enumerate(mine):
            if (place, number) in faults:
                left_out.add(faults[place, number], row.name)
            else:
                good.append((raw, target))
        if good:
            rows.append(row)
            for name, values in inputs.items():
                columns[name].append(values[place])
            kept.append([raw for raw, _ in good])
            encoded += [target for _, target in good]
    return rows, columns, kept, encoded


def check_files(settings: SupervisedSettings, log: Log) -> None:
    """Check a person's files before anything is learnt from them: `attend check` in short.

    Raises `ValueError` if they can't be learnt from; `log` takes how many things look wrong.
    """
    data: Any = settings.data
    if not isinstance(data, Files) or not data.reads():
        return
    columns = settings.columns()
    places: dict[Split, tuple[str, ...]] = {split: files for split in SPLITS if (files := data.files(split))}
    found = check(data.scan(columns), columns, settings.kinds(), places=places)
    if fatal := [problem for problem in found.problems if problem.severity == "fatal"]:
        first, more = fatal[0], sum(problem.kind != "no usable example" for problem in fatal[1:])
        others = f' ({more:,} more such problems: "attend check" shows all)' if more else ""
        raise DataError(first.file, first.what, first.advice + others, first.line)
    if found.counts:
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in found.counts.items())
        log(f'warnings about the data: {kinds}; "attend check" shows where')


def learn_fields(settings: SupervisedSettings, source: Fixed | Fresh, log: Log) -> dict[str, Field]:
    """The inputs' fields, each from training values; those that share what they learn, from all of their values."""
    found: dict[str, Field] = {}
    all_settings = settings.fields()
    for name, one in all_settings.items():
        if one.like:
            continue
        sharing = [name, *(other for other, theirs in all_settings.items() if theirs.like == name)]

        def values(sharing: Sequence[str] = sharing, name: str = name) -> Iterator[Any]:
            for column in sharing:
                yield from (row.values[column] for row in source.rows("train"))
            if settings.output.like == name:
                yield from settings.output.texts(row.values[TARGET] for row in source.rows("train"))

        found[name] = one.learn(values(), log)
    for name, one in all_settings.items():
        if one.like:
            if one.like not in found:
                raise ValueError(f"inputs.{name}.like is {one.like!r}; {nearest(one.like, list(found))}")
            found[name] = one.share(found[one.like])
    return {name: found[name] for name in all_settings}


def learn_output(settings: SupervisedSettings, source: Fixed | Fresh, fields: Mapping[str, Field], log: Log) -> Output:
    like = settings.output.like
    if like and like not in fields:
        raise ValueError(f"output.like is {like!r}; {nearest(like, list(fields))}")
    targets = (row.values[TARGET] for row in source.rows("train"))
    return settings.output.learn(targets, log, fields[like] if like else None)


def device_of(system: Any) -> torch.device:
    """Where a system is, an ensemble's first member, or what is inside of a decoder around another."""
    inner = system.members[0] if hasattr(system, "members") else getattr(system, "decoder", system)
    return next(inner.parameters()).device if isinstance(inner, nn.Module) else torch.device("cpu")
