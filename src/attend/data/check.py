"""Checks of examples before training.

Only hashes and lengths of the values are kept, so that a large corpus can be checked on a small machine.
"""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b, file_digest
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int, UInt64

from attend.data.examples import TARGET, Column, Row, Split
from attend.data.files import DataError, counted, text_suffix
from attend.data.strays import ADVICE, Strays

ColumnKind = Literal["text", "label", "file"]
"""What a column's values are: texts, names of classes, or files and arrays."""
Probe = Callable[[Path], Any]
"""What a file holds, to tell whether another holds the same. Raises `ValueError` if it can't be used."""
Severity = Literal["fatal", "warning"]

# Fatal problems make training impossible or meaningless.
FATAL = (
    "unreadable file",
    "line counts differ",
    "invalid UTF-8",
    "malformed line",
    "unknown class",
    "no usable example",
)
# The other kinds of problem, with advice for each.
WARNINGS = {
    "empty line": "nothing to do: the example is left out",
    "missing file": "put the file there, or expect the example to be left out",
    "broken file": "save it again, or expect the example to be left out",
    "unreadable value": "correct it, or expect the example to be left out",
    "control character": "remove it: it does not belong in text",
    "line separator": "replace it by a space: other tools may split the line there",
    "byte order mark": "nothing to do: texts are read without it, but other tools take it for a part of its word",
    **ADVICE,
    "long line": "split it into sentences, or expect it to be left out or to slow training",
    "length ratio": "check whether the two belong together",
    "same text twice": "check whether it was copied, or left untranslated",
    "duplicate": "remove it, unless it is meant to count twice",
    "conflicting labels": "check which of them is correct",
    "single example": "give more of the class, or leave it out",
    "shared between parts": "remove it from one of the parts: memorised examples don't measure generalisation",
}
CHARACTERS = {
    "control character": re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]"),
    "line separator": re.compile("[\u2028\u2029]"),
    "byte order mark": re.compile("\ufeff"),
}
# A row is suspicious if the ratio of its texts' lengths differs by this factor from the part's median, ...
RATIO = 4.0
# ... unless both are shorter than this many characters: ratios of short texts vary a lot.
SHORT = 40
# In scripts without spaces, this many characters count as a word.
CHARACTERS_A_WORD = 10
# Problems of each kind that the printed report shows.
SHOWN = 3


@dataclass(frozen=True)
class Problem:
    """One problem in one place; `line` is None if it concerns a whole file."""

    file: str
    line: int | None
    kind: str
    severity: Severity
    what: str
    advice: str


@dataclass(frozen=True)
class DataReport:
    """All problems found, and how many usable rows each part has."""

    rows: dict[str, int]
    problems: tuple[Problem, ...]

    @property
    def fatal(self) -> bool:
        """Whether a problem makes training impossible or meaningless."""
        return any(problem.severity == "fatal" for problem in self.problems)

    @property
    def counts(self) -> dict[str, int]:
        """How many problems of each kind there are, the fatal kinds first."""
        found = Counter(problem.kind for problem in self.problems)
        return {kind: found[kind] for kind in (*FATAL, *WARNINGS) if found[kind]}

    def to_json(self) -> dict[str, Any]:
        """The whole report as plain JSON values; "pairs" is the former name of "rows"."""
        problems = [asdict(problem) for problem in self.problems]
        return {"rows": self.rows, "pairs": self.rows, "fatal": self.fatal, "counts": self.counts, "problems": problems}

    def __str__(self) -> str:
        lines = [f"{part}: {counted(count, 'usable example')}" for part, count in self.rows.items()]
        for kind, count in self.counts.items():
            shown = list(islice((problem for problem in self.problems if problem.kind == kind), SHOWN))
            lines.append(f"{shown[0].severity}: {kind} ({count:,})")
            for problem in shown:
                place = problem.file if problem.line is None else f"{problem.file}, line {problem.line}"
                lines.append(f"  {place}: {problem.what}")
            if count > SHOWN:
                lines.append(f"  ... and {count - SHOWN:,} more")
            lines += [f"  -> {advice}" for advice in dict.fromkeys(problem.advice for problem in shown)]
        return "\n".join(lines if self.problems else [*lines, "no problem found"])


class Digest:
    """What is kept of a part's usable rows: hashes of each column, for comparison, and texts' lengths."""

    def __init__(
        self, part: str, places: Sequence[str], columns: Sequence[Column], kinds: Mapping[str, ColumnKind]
    ) -> None:
        self.part, self.columns = part, columns
        self.places = [places[number] if len(places) == len(columns) else places[0] for number in range(len(columns))]
        self.kinds = [kinds.get(column.name, "text") for column in columns]
        self.headings = [column.name for column in columns]
        self.labelled = dict(zip(self.headings, self.kinds, strict=True)).get(TARGET) == "label"
        self.lines = array("q")
        self.names: dict[int, str] = {}
        self.hashes = [array("Q") for _ in columns]
        self.lengths = [array("q") for _ in columns]
        self.classes: Counter[str] = Counter()
        self.first: dict[str, int] = {}

    def add(self, row: Row, hashes: Sequence[int]) -> None:
        index = len(self.lines)
        self.lines.append(row.line)
        if not row.line:
            self.names[index] = row.name
        for column, number, kept, lengths in zip(self.headings, hashes, self.hashes, self.lengths, strict=True):
            value = row.values.get(column)
            kept.append(number)
            lengths.append(len(value) if isinstance(value, str) else 0)
        if self.labelled and isinstance(label := row.values.get(TARGET), str):
            self.classes[label] += 1
            self.first.setdefault(label, index)

    def all(self) -> UInt64[np.ndarray, "row"]:
        """A hash of each row; the factor distinguishes (a, b) from (b, a)."""
        return combined(self.hashes)

    def inputs(self) -> UInt64[np.ndarray, "row"]:
        """A hash of each row without its target."""
        return combined([kept for column, kept in zip(self.columns, self.hashes, strict=True) if column.name != TARGET])

    def name(self, index: int) -> str:
        """A row's name in messages."""
        return f"line {self.lines[index]}" if self.lines[index] else self.names[index]

    def warn(self, index: int, kind: str, what: str) -> Problem:
        return warning(self.places[0], self.lines[index], self.names.get(index, ""), kind, what)


def combined(columns: Sequence[array | UInt64[np.ndarray, "row"]]) -> UInt64[np.ndarray, "row"]:
    """A hash of each row from those of its columns, in their order."""
    total = np.zeros(len(columns[0]), dtype=np.uint64)
    for hashes in columns:
        total = total * np.uint64(31) + np.frombuffer(hashes, dtype=np.uint64)
    return total


def check(
    parts: Mapping[Split, Iterable[Row | DataError]],
    columns: Sequence[Column],
    kinds: Mapping[str, ColumnKind],
    longest: int = 100,
    probes: Mapping[str, Probe] | None = None,
    places: Mapping[Split, Sequence[str]] | None = None,
) -> DataReport:
    """All problems of these parts, given as `attend.data.tables.scan` gives them.

    `kinds` are the columns' by name; `probes` read the files of some. Texts of more than `longest` words are reported
    as long. `places` are the files of each part for the report to name, one, or one per column. Bad data raise nothing:
    they are in the report.
    """
    problems: list[Problem] = []
    digests: dict[Split, Digest] = {}
    for part, rows in parts.items():
        digest = Digest(part, (places or {}).get(part) or (part,), columns, kinds)
        problems += check_rows(rows, digest, longest, probes or {})
        problems += check_ratios(digest)
        problems += check_duplicates(digest)
        for other in digests.values():
            problems += check_shared(digest, other)
        digests[part] = digest
    problems += check_classes(digests)
    return DataReport({part: len(digest.lines) for part, digest in digests.items()}, tuple(problems))


def check_rows(
    rows: Iterable[Row | DataError], digest: Digest, longest: int, probes: Mapping[str, Probe]
) -> Iterator[Problem]:
    """Problems of single rows; usable rows go into the digest."""
    columns = list(zip((column.name for column in digest.columns), digest.kinds, digest.places, strict=True))
    kinds: dict[str, str] = {column: kind for column, kind, _ in columns}
    strays = Strays(kinds, first_line=0 if text_suffix(digest.places[0]) == ".jsonl" else 1)
    try:
        for row in rows:
            if isinstance(row, DataError):
                yield fatal(row)
                continue
            usable, hashes = True, []
            seen: dict[Any, str] = {}
            for column, kind, place in columns:
                value = row.values.get(column)
                if kind != "file":
                    texts = value if isinstance(value, tuple) else (value or "",)
                    if not any(map(str.strip, texts)):
                        usable = False
                        what = f"the {column} is {'blank' if any(texts) else 'empty'}"
                        yield warning(place, row.line, row.name, "empty line", what)
                    elif kind == "text" and (other := seen.setdefault(value, column)) != column:
                        what = f"{other} and {column} are the same"
                        yield warning(digest.places[0], row.line, row.name, "same text twice", what)
                    for text in texts:
                        strays.add(column, text, row.line)
                        # Only unprintable characters are faults, and a long text has at least this many characters.
                        if len(text) > longest or not text.isprintable():
                            for fault, what in faults(text, column, longest):
                                yield warning(place, row.line, row.name, fault, what)
                try:
                    held = probes[column](value) if column in probes and isinstance(value, Path) else value
                    hashes.append(hash_of(held))
                except (OSError, ValueError) as error:
                    usable = False
                    yield warning(place, row.line, row.name, "broken file", f"{column} {value}: {error}")
            if usable:
                digest.add(row, hashes)
    except DataError as error:
        yield fatal(error)
    place_of = {column: place for column, _, place in columns}
    for column, line, kind, what in strays.problems():
        yield warning(place_of[column], line, column, kind, what)
    if not digest.lines:
        files = ", ".join(dict.fromkeys(digest.places))
        advice = "give at least one example with a value for each column"
        yield Problem(files, None, "no usable example", "fatal", f"{digest.part} has no usable example", advice)


def faults(text: str, name: str, longest: int) -> Iterator[tuple[str, str]]:
    """Problems of one text by itself: the kind, and where."""
    for kind, pattern in CHARACTERS.items():
        if found := pattern.search(text):
            yield kind, f"U+{ord(found.group()):04X} at character {found.start()} of the {name}"
    words = max(len(text.split()), len(text) // CHARACTERS_A_WORD)
    if words > longest:
        yield "long line", f"the {name} has about {words:,} words ({len(text):,} characters)"


def check_ratios(digest: Digest) -> Iterator[Problem]:
    """Rows whose text and target have a ratio of lengths far from the median, whatever the languages."""
    texts = [number for number, kind in enumerate(digest.kinds) if kind == "text"]
    if len(texts) != 2 or TARGET not in (digest.columns[number].name for number in texts):
        return
    first, second = (np.asarray(digest.lengths[number]) for number in texts)
    both = (first > 0) & (second > 0)
    if not both.any():
        return
    ratios = np.log(np.maximum(first, 1) / np.maximum(second, 1))
    unusual = both & (np.abs(ratios - np.median(ratios[both])) > np.log(RATIO))
    for index in np.flatnonzero(unusual & (np.maximum(first, second) >= SHORT)):
        yield digest.warn(int(index), "length ratio", f"{first[index]} characters against {second[index]}")


def check_duplicates(digest: Digest) -> Iterator[Problem]:
    """Rows that repeat an earlier one of the same part, and inputs that have another label than before."""
    rows, inputs = digest.all(), digest.inputs()
    first = first_equal(rows, rows)
    for index in np.flatnonzero(first < np.arange(len(rows))):
        yield digest.warn(int(index), "duplicate", f"the same as {digest.name(int(first[index]))}")
    if not digest.classes:
        return
    before = first_equal(inputs, inputs)
    for index in np.flatnonzero(rows != rows[before]):
        what = f"another label than {digest.name(int(before[index]))}, which is otherwise the same"
        yield digest.warn(int(index), "conflicting labels", what)


def check_shared(digest: Digest, other: Digest) -> Iterator[Problem]:
    """Rows whose inputs are in an earlier part too, with the same target or another."""
    same_row = first_equal(digest.all(), other.all())
    same_inputs = first_equal(digest.inputs(), other.inputs())
    for index in np.flatnonzero(same_inputs >= 0):
        whole = same_row[index] >= 0
        name = other.name(int(same_row[index] if whole else same_inputs[index]))
        what = f"the same {'example' if whole else 'input'} as {name} of {other.part} ({other.places[0]})"
        yield digest.warn(int(index), "shared between parts", what)


def check_classes(digests: Mapping[Split, Digest]) -> Iterator[Problem]:
    """Classes with a single example, and classes of other parts that are missing in training."""
    train = digests.get("train")
    if train is None or not train.classes:
        return
    for name, count in train.classes.items():
        if count == 1:
            yield train.warn(train.first[name], "single example", f"the only one of the class {name!r}")
    for part, digest in digests.items():
        for name in digest.classes if part != "train" else ():
            if name not in train.classes:
                found = digest.warn(digest.first[name], "single example", "")
                what = f"the class {name!r}, of which training has no example"
                advice = "add training examples of it, or leave it out"
                yield Problem(found.file, found.line, "unknown class", "fatal", what, advice)


def first_equal(keys: UInt64[np.ndarray, "keys"], among: UInt64[np.ndarray, "among"]) -> Int[np.ndarray, "keys"]:
    """For each key the index of the first equal one among others; -1 where there is none."""
    if not len(among):
        return np.full(len(keys), -1)
    distinct, first = np.unique(among, return_index=True)
    place = np.searchsorted(distinct, keys).clip(max=len(distinct) - 1)
    return np.where(distinct[place] == keys, first[place], -1)


def known_from_training(part: str, count: int, total: int) -> str:
    """The remark on a part that shares inputs with the training part."""
    shared = f"{part}: {count:,} of {counted(total, 'example')} are of inputs that training has too"
    return f"{shared}: memorised examples don't measure generalisation"


def hash_of(value: Any) -> int:
    """64 bits: among a million values, a collision occurs once in tens of millions of corpora.

    For a file it is of its content. Raises `OSError` if that can't be read.
    """
    if isinstance(value, str):
        digest = blake2b(value.encode(), digest_size=8)
    elif isinstance(value, Path):
        with value.open("rb") as file:
            digest = file_digest(file, lambda: blake2b(digest_size=8))
    elif isinstance(value, np.ndarray):
        digest = blake2b(f"{value.dtype}{value.shape}".encode(), digest_size=8)
        digest.update(np.ascontiguousarray(value).tobytes())
    else:
        digest = blake2b(repr(value).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


def fatal(error: DataError) -> Problem:
    """The error as a problem: a fatal one, unless it is of one row's file alone."""
    severity = "warning" if error.kind in WARNINGS else "fatal"
    return Problem(error.file, error.line, error.kind, severity, error.problem, error.advice)


def warning(file: str, line: int, name: str, kind: str, what: str) -> Problem:
    """A warning that names the line or, without one, the row."""
    return Problem(file, line or None, kind, "warning", what if line else f"{name}: {what}", WARNINGS[kind])
