"""Reading parallel text, line by line: two aligned files, or one file of tab-separated or JSON pairs.

Files are UTF-8, plain or compressed (`.gz`, `.xz`), and "-" is standard input. A line ends with "\\n" (or "\\r\\n") and
with nothing else: the many other characters that Unicode calls line ends would put aligned files out of step.
"""

import gzip
import json
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from itertools import zip_longest
from pathlib import Path, PurePath
from typing import Literal

Kind = Literal["unreadable file", "line counts differ", "invalid UTF-8", "malformed line"]


class DataError(ValueError):
    """Data that can't be used. The message names the file, the line where there is one, and what to do."""

    def __init__(
        self, file: str, problem: str, advice: str, line: int | None = None, kind: Kind = "unreadable file"
    ) -> None:
        super().__init__(file, problem, advice, line, kind)
        self.file = file
        self.problem = problem
        self.advice = advice
        self.line = line
        self.kind: Kind = kind

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{place}: {self.problem}; {self.advice}"


@dataclass(frozen=True)
class Pair:
    """A source text and its target; `line` is where they stand in their files, from 1."""

    line: int
    source: str
    target: str


def counted(count: int, noun: str) -> str:
    """A count with its noun, which takes an s in the plural."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def locate(path: str) -> Path:
    """The file at `path`; a relative path that is not here is looked for in the folder that ATTEND_DATA names.

    Raises `DataError` with the places looked at and the nearest file name.
    """
    places = [Path(path)]
    folder = os.environ.get("ATTEND_DATA")
    if folder and not os.path.isabs(path):
        places.append(Path(folder, path))
    # os.path rather than Path: it says False of a name that the system refuses, where Path.exists raises.
    for place in places:
        if os.path.exists(place):
            return place
    looked = " or ".join(str(place) for place in places)
    hint = "check the path" if os.path.isabs(path) else f"check the path, which is looked for from {os.getcwd()}"
    if not folder and not os.path.isabs(path):
        hint += ", or set ATTEND_DATA to the folder with the data"
    for place in places:
        names = os.listdir(place.parent) if os.path.isdir(place.parent) else []
        if nearest := get_close_matches(place.name, names, n=1):
            hint = f"did you mean {place.parent / nearest[0]}?"
            break
    raise DataError(path, f"there is no file or folder {looked}", hint)


def walk(top: Path, onerror: Callable[[OSError], None] | None = None) -> Iterator[tuple[Path, list[str], list[str]]]:
    """As `os.walk`, in the order of the names, with links to folders followed.

    A link that leads back, so that to follow it would never end, is among the files.
    """
    for place, folders, files in os.walk(top, onerror=onerror, followlinks=True):
        back = [name for name in folders if leads_back(Path(place, name), top)]
        folders[:] = sorted(name for name in folders if name not in back)
        yield Path(place), folders, sorted(files + back)


def leads_back(path: Path, top: Path) -> bool:
    """Whether it is a link to a folder that holds one of those that it is reached through from `top` on."""
    if not path.is_symlink():
        return False
    target = os.path.realpath(path)
    way = [os.path.realpath(top / folder) for folder in path.relative_to(top).parents]
    return any(Path(folder).is_relative_to(target) for folder in way)


def readable_again(paths: Iterable[str]) -> bool:
    """Whether these are files, which may be read once to check and count them: pipes and terminals may not."""
    return all(path != "-" and locate(path).is_file() for path in paths)


def read_lines(path: str) -> Iterator[str]:
    """The texts of a file, one a line. Raises `DataError` at the first line that is not UTF-8, or if reading fails."""
    for line, raw in enumerate(read_bytes(path), start=1):
        text = decode(raw, path, line)
        if isinstance(text, DataError):
            raise text
        yield text


def read_pairs(paths: tuple[str, ...], source_key: str = "source", target_key: str = "target") -> Iterator[Pair]:
    """The pairs of two line-aligned files, of one `.tsv` (two columns), or of one `.jsonl` (an object a line).

    The keys are those of `.jsonl`. Raises `DataError` at the first line that is not a pair, if reading fails, and, at
    the end, if two files have different numbers of lines.
    """
    for pair in scan_pairs(paths, source_key, target_key):
        if isinstance(pair, DataError):
            raise pair
        yield pair


def scan_pairs(paths: tuple[str, ...], source_key: str, target_key: str) -> Iterator[Pair | DataError]:
    """As `read_pairs`, but a line that is not a pair is given as the error it is, and reading goes on."""
    if len(paths) == 2:
        return scan_aligned(*paths)
    suffix = text_suffix(paths[0]) if len(paths) == 1 else ""
    if suffix == ".tsv":
        return scan_records(paths[0], split_columns)
    if suffix == ".jsonl":
        return scan_records(paths[0], partial(parse_object, source_key, target_key))
    raise DataError(", ".join(paths), "not a form of pairs", "give two line-aligned text files, or one .tsv or .jsonl")


def text_suffix(path: str) -> str:
    """The suffix that says what a file holds, without that of its compression."""
    name = PurePath(path)
    return PurePath(name.stem).suffix if name.suffix in (".gz", ".xz") else name.suffix


def read_bytes(path: str) -> Iterator[bytes]:
    """The lines of a file without their ends. Raises `DataError` if it can't be read or decompressed to its end."""
    try:
        if path == "-":
            stream = nullcontext(sys.stdin.buffer)
        else:
            place = locate(path)
            stream = {".gz": gzip.open, ".xz": lzma.open}.get(place.suffix, open)(place, "rb")
        with stream as lines:
            for line in lines:
                yield line.removesuffix(b"\n").removesuffix(b"\r")
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(path, f"cannot be read ({error})", "give a whole file that is what its name says") from error


def decode(raw: bytes, file: str, line: int) -> str | DataError:
    """The text of a line, or why it has none."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} of the line (0x{raw[error.start]:02x}) is not UTF-8"
        return DataError(file, problem, "convert the file to UTF-8, or remove the line", line, "invalid UTF-8")


def scan_aligned(source: str, target: str) -> Iterator[Pair | DataError]:
    """The pairs of two files: line n of one goes with line n of the other."""
    if source == target == "-":
        raise DataError("-", "standard input can't be both source and target", "give a file for one of them")
    source_lines = target_lines = 0
    for line, (left, right) in enumerate(zip_longest(read_bytes(source), read_bytes(target)), start=1):
        source_lines += left is not None
        target_lines += right is not None
        if left is None or right is None:
            continue  # to the end, to say by how much they differ
        match decode(left, source, line), decode(right, target, line):
            case str(source_text), str(target_text):
                yield Pair(line, source_text, target_text)
            case sides:
                yield from (side for side in sides if isinstance(side, DataError))
    if source_lines != target_lines:
        problem = f"has {source_lines} lines, but {target} has {target_lines}"
        advice = "align them: line n of one must translate line n of the other"
        raise DataError(source, problem, advice, kind="line counts differ")


def scan_records(path: str, parse: Callable[[str, str, int], Pair | DataError]) -> Iterator[Pair | DataError]:
    """The pairs of one file, a pair a line."""
    for line, raw in enumerate(read_bytes(path), start=1):
        text = decode(raw, path, line)
        yield text if isinstance(text, DataError) else parse(text, path, line)


def split_columns(text: str, file: str, line: int) -> Pair | DataError:
    """The pair of a line of tab-separated values."""
    columns = text.split("\t")
    if len(columns) != 2:
        advice = "write the source, one tab, and the target"
        return DataError(file, f"{len(columns)} columns instead of 2", advice, line, "malformed line")
    return Pair(line, *columns)


def parse_object(source_key: str, target_key: str, text: str, file: str, line: int) -> Pair | DataError:
    """The pair of a line of JSON."""

    def malformed(problem: str, advice: str) -> DataError:
        return DataError(file, problem, advice, line, "malformed line")

    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number too long to convert
        return malformed(f"not JSON ({error})", "write one JSON object a line")
    if not isinstance(record, dict):
        return malformed("not a JSON object", "write one JSON object a line")
    for key in (source_key, target_key):
        if key not in record:
            found = ", ".join(map(repr, record)) or "none"
            return malformed(f"no key {key!r} (there: {found})", "name the keys that hold source and target")
        if not isinstance(record[key], str):
            return malformed(f"the value of {key!r} is not a text", "write it as a JSON string")
        # JSON can escape half of a surrogate pair, which no encoding can write.
        if any("\ud800" <= character <= "\udfff" for character in record[key]):
            return malformed(f"the value of {key!r} has a lone surrogate", "write the character itself")
    return Pair(line, record[source_key], record[target_key])
