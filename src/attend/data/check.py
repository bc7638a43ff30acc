"""What is wrong with parallel text, before a model learns it.

Only hashes and lengths of the texts are kept, so that a large corpus can be checked on a small machine.
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import islice
from typing import Any, Literal

import numpy as np
from jaxtyping import Int, UInt64

from attend.data.files import DataError, Pair, scan_pairs

Severity = Literal["fatal", "warning"]

# What is fatal makes learning impossible or meaningless.
FATAL = ("unreadable file", "line counts differ", "invalid UTF-8", "malformed line", "no usable example")
# The other kinds of problem, and what to do about each.
WARNINGS = {
    "empty line": "nothing to do: the pair is left out",
    "control character": "remove it: it is no part of any text",
    "line separator": "replace it by a space: other tools may split the line there",
    "byte order mark": "remove it: it makes another word of the one it stands in",
    "long line": "split it into sentences, or expect it to be left out or to slow training",
    "length ratio": "see whether the two sides are translations of one another",
    "duplicate": "remove it, unless it is meant to count twice",
    "shared between parts": "remove it from one of the parts: what was learnt by heart proves nothing",
    "source equals target": "see whether it was left untranslated",
}
CHARACTERS = {
    "control character": re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]"),
    "line separator": re.compile("[\u2028\u2029]"),
    "byte order mark": re.compile("\ufeff"),
}
# A pair is suspicious if its sides' lengths differ this many times as much as is usual in its part, ...
RATIO = 4.0
# ... unless both are shorter than this many characters: short greetings differ a lot.
SHORT = 40
# A text without spaces between its words counts a word for so many characters.
CHARACTERS_A_WORD = 10
# Problems of each kind that the text form shows.
SHOWN = 3


@dataclass(frozen=True)
class Problem:
    """One thing wrong in one place; `line` is None for what concerns a whole file."""

    file: str
    line: int | None
    kind: str
    severity: Severity
    what: str
    advice: str


@dataclass(frozen=True)
class Report:
    """All that was found, and how many pairs each part has."""

    pairs: dict[str, int]
    problems: tuple[Problem, ...]

    @property
    def fatal(self) -> bool:
        """Whether anything found makes training impossible or meaningless."""
        return any(problem.severity == "fatal" for problem in self.problems)

    @property
    def counts(self) -> dict[str, int]:
        """How many problems of each kind there are, the fatal kinds first."""
        found = Counter(problem.kind for problem in self.problems)
        return {kind: found[kind] for kind in (*FATAL, *WARNINGS) if found[kind]}

    def to_json(self) -> dict[str, Any]:
        """The whole report as plain JSON values."""
        problems = [asdict(problem) for problem in self.problems]
        return {"pairs": self.pairs, "fatal": self.fatal, "counts": self.counts, "problems": problems}

    def __str__(self) -> str:
        lines = [f"{part}: {count:,} usable pairs" for part, count in self.pairs.items()]
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
    """What is kept of a part's usable pairs: hashes to compare them by, and lengths in characters."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines = array("q")
        self.source_hashes, self.target_hashes = array("Q"), array("Q")
        self.source_lengths, self.target_lengths = array("q"), array("q")

    def add(self, pair: Pair) -> None:
        self.lines.append(pair.line)
        self.source_hashes.append(text_hash(pair.source))
        self.target_hashes.append(text_hash(pair.target))
        self.source_lengths.append(len(pair.source))
        self.target_lengths.append(len(pair.target))

    def sources(self) -> UInt64[np.ndarray, "pairs"]:
        """A hash of each source."""
        return np.frombuffer(self.source_hashes, dtype=np.uint64)

    def pairs(self) -> UInt64[np.ndarray, "pairs"]:
        """A hash of each source and target together; the factor tells (a, b) from (b, a)."""
        return self.sources() * np.uint64(31) + np.frombuffer(self.target_hashes, dtype=np.uint64)


def check(
    train: tuple[str, ...],
    valid: tuple[str, ...] | None = None,
    test: tuple[str, ...] | None = None,
    *,
    source_key: str = "source",
    target_key: str = "target",
    longest: int = 100,
) -> Report:
    """Everything wrong with these parts, each given as for `attend.data.files.read_pairs`.

    Lines of more than `longest` words are reported as long. Nothing is raised for bad data: that is in the report.
    """
    problems: list[Problem] = []
    digests: dict[str, Digest] = {}
    for part, paths in (("train", train), ("valid", valid), ("test", test)):
        if paths is None:
            continue
        digest = Digest(paths[0])
        problems += check_lines(paths, source_key, target_key, longest, digest)
        problems += check_ratios(digest)
        problems += check_duplicates(digest)
        for earlier, other in digests.items():
            problems += check_shared(digest, earlier, other)
        digests[part] = digest
    return Report({part: len(digest.lines) for part, digest in digests.items()}, tuple(problems))


def check_lines(
    paths: tuple[str, ...], source_key: str, target_key: str, longest: int, digest: Digest
) -> Iterator[Problem]:
    """What can be seen line by line; usable pairs go into the digest."""
    try:
        for pair in scan_pairs(paths, source_key, target_key):
            if isinstance(pair, DataError):
                yield fatal(pair)
                continue
            usable = True
            for side, file, text in (("source", paths[0], pair.source), ("target", paths[-1], pair.target)):
                if not text.strip():
                    usable = False
                    yield warning(file, pair.line, "empty line", f"the {side} is {'blank' if text else 'empty'}")
                yield from check_text(file, pair.line, side, text, longest)
            if usable:
                if pair.source == pair.target:
                    yield warning(paths[0], pair.line, "source equals target", "both sides are the same text")
                digest.add(pair)
    except DataError as error:
        yield fatal(error)
    if not digest.lines:
        files = ", ".join(paths)
        advice = "give at least one pair with text on both sides"
        yield Problem(files, None, "no usable example", "fatal", "no line has text on both sides", advice)


def check_text(file: str, line: int, side: str, text: str, longest: int) -> Iterator[Problem]:
    """What is wrong with one text by itself."""
    for kind, pattern in CHARACTERS.items():
        if found := pattern.search(text):
            what = f"U+{ord(found.group()):04X} at character {found.start()} of the {side}"
            yield warning(file, line, kind, what)
    words = max(len(text.split()), len(text) // CHARACTERS_A_WORD)
    if words > longest:
        yield warning(file, line, "long line", f"the {side} has about {words:,} words ({len(text):,} characters)")


def check_ratios(digest: Digest) -> Iterator[Problem]:
    """Pairs whose lengths have quite another ratio than the median pair, whatever the two languages are."""
    sources, targets = np.asarray(digest.source_lengths), np.asarray(digest.target_lengths)
    if not len(sources):
        return
    ratios = np.log(sources / targets)
    unusual = np.abs(ratios - np.median(ratios)) > np.log(RATIO)
    for index in np.flatnonzero(unusual & (np.maximum(sources, targets) >= SHORT)):
        what = f"{sources[index]} characters against {targets[index]}"
        yield warning(digest.file, digest.lines[index], "length ratio", what)


def check_duplicates(digest: Digest) -> Iterator[Problem]:
    """Pairs that were there before, in the same part."""
    pairs = digest.pairs()
    first = first_equal(pairs, pairs)
    for index in np.flatnonzero(first < np.arange(len(pairs))):
        what = f"the same pair as line {digest.lines[first[index]]}"
        yield warning(digest.file, digest.lines[index], "duplicate", what)


def check_shared(digest: Digest, earlier: str, other: Digest) -> Iterator[Problem]:
    """Pairs whose source is in an earlier part too, with the same target or another."""
    same_pair = first_equal(digest.pairs(), other.pairs())
    same_source = first_equal(digest.sources(), other.sources())
    for index in np.flatnonzero(same_source >= 0):
        if same_pair[index] >= 0:
            what = f"the same pair as line {other.lines[same_pair[index]]} of {earlier} ({other.file})"
        else:
            what = f"the same source as line {other.lines[same_source[index]]} of {earlier} ({other.file})"
        yield warning(digest.file, digest.lines[index], "shared between parts", what)


def first_equal(keys: UInt64[np.ndarray, "keys"], among: UInt64[np.ndarray, "among"]) -> Int[np.ndarray, "keys"]:
    """For each key the index of the first equal one among others; -1 where there is none."""
    if not len(among):
        return np.full(len(keys), -1)
    distinct, first = np.unique(among, return_index=True)
    place = np.searchsorted(distinct, keys).clip(max=len(distinct) - 1)
    return np.where(distinct[place] == keys, first[place], -1)


def text_hash(text: str) -> int:
    """64 bits: among a million texts, two different ones agree once in tens of millions of corpora."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def fatal(error: DataError) -> Problem:
    return Problem(error.file, error.line, error.kind, "fatal", error.problem, error.advice)


def warning(file: str, line: int, kind: str, what: str) -> Problem:
    return Problem(file, line, kind, "warning", what, WARNINGS[kind])
