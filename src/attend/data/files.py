"""Files and their lines.

Files are UTF-8, plain or compressed (`.gz`, `.xz`), and "-" is standard input. Only "\\n" (or "\\r\\n") ends a line:
Unicode's other line separators would misalign line-aligned files.
"""

import gzip
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import Literal

ProblemKind = Literal[
    "unreadable file", "unreadable value", "missing file", "line counts differ", "invalid UTF-8", "malformed line"
]
# Bytes read at a time: reading line by line takes twice as long.
BLOCK = 1 << 16
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class DataError(ValueError):
    """Data that can't be used. The message names the file, the line where there is one, and what to do."""

    def __init__(
        self, file: str, problem: str, advice: str, line: int | None = None, kind: ProblemKind = "unreadable file"
    ) -> None:
        super().__init__(file, problem, advice, line, kind)
        self.file = file
        self.problem = problem
        self.advice = advice
        self.line = line
        self.kind: ProblemKind = kind

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{place}: {self.problem}; {self.advice}"


def counted(count: int, noun: str) -> str:
    """A count with its noun, with an s in the plural."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def locate(path: str) -> Path:
    """The file at `path`; a relative path that does not exist is also looked for in the folder that ATTEND_DATA names.

    Raises `DataError` with the paths tried and the nearest file name.
    """
    places = [Path(path)]
    folder = os.environ.get("ATTEND_DATA")
    if folder and not os.path.isabs(path):
        places.append(Path(folder, path))
    # os.path rather than Path: it gives False for an invalid name, where Path.exists raises.
    for place in places:
        if os.path.exists(place):
            return place
    looked = " or ".join(str(place) for place in places)
    hint = "check the path" if os.path.isabs(path) else f"check the path, which is relative to {os.getcwd()}"
    if not folder and not os.path.isabs(path):
        hint += ", or set ATTEND_DATA to the folder with the data"
    for place in places:
        names = os.listdir(place.parent) if os.path.isdir(place.parent) else []
        if nearest := get_close_matches(place.name, names, n=1):
            hint = f"did you mean {place.parent / nearest[0]}?"
            break
    raise DataError(path, f"there is no file or folder {looked}", hint)


def walk(top: Path, onerror: Callable[[OSError], None] | None = None) -> Iterator[tuple[Path, list[str], list[str]]]:
    """As `os.walk`, sorted by name, following links to folders.

    Cyclic links are among the files.
    """
    for place, folders, files in os.walk(top, onerror=onerror, followlinks=True):
        back = [name for name in folders if leads_back(Path(place, name), top)]
        folders[:] = sorted(name for name in folders if name not in back)
        yield Path(place), folders, sorted(files + back)


def leads_back(path: Path, top: Path) -> bool:
    """Whether it is a cyclic link: to a folder that contains one on the way from `top` to it."""
    if not path.is_symlink():
        return False
    target = os.path.realpath(path)
    way = [os.path.realpath(top / folder) for folder in path.relative_to(top).parents]
    return any(Path(folder).is_relative_to(target) for folder in way)


def readable_again(paths: Iterable[str]) -> bool:
    """Whether these are files, which can be read more than once, unlike pipes and terminals."""
    return all(path != "-" and locate(path).is_file() for path in paths)


def read_lines(path: str) -> Iterator[str]:
    """The texts of a file, one a line. Raises `DataError` at the first line that is not UTF-8, or if reading fails."""
    for text in scan_lines(path):
        if isinstance(text, DataError):
            raise text
        yield text


def scan_lines(path: str) -> Iterator[str | DataError]:
    """As `read_lines`, but yields an error for a line that is not UTF-8, and goes on."""
    count = 0
    for block in read_blocks(path):
        block = block.removesuffix(b"\n")
        try:
            texts: list[str] | list[str | DataError] = block.decode().split("\n")
        except UnicodeDecodeError:
            texts = [decode(raw, path, line) for line, raw in enumerate(block.split(b"\n"), start=count + 1)]
        count += len(texts)
        if b"\r" in block:
            texts = [text if isinstance(text, DataError) else text.removesuffix("\r") for text in texts]
        yield from texts


def read_blocks(path: str) -> Iterator[bytes]:
    """A file's content in blocks of whole lines, without a byte order mark at its start.

    For standard input and pipes a block is one line, so that interactive input is read at once. Raises `DataError` if
    the file can't be read or decompressed to its end.
    """
    try:
        if path == "-":
            stream = nullcontext(sys.stdin.buffer)
            at_once = False
        else:
            place = locate(path)
            at_once = place.is_file()
            stream = {".gz": gzip.open, ".xz": lzma.open}.get(place.suffix, open)(place, "rb")
        with stream as file:
            block = file.readline().removeprefix(BYTE_ORDER_MARK)
            while block:
                yield block
                block = (file.read(BLOCK) if at_once else b"") + file.readline()
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(path, f"cannot be read ({error})", "give a whole file of the type in its name") from error


def text_suffix(path: str) -> str:
    """A file's suffix, without that of its compression."""
    name = PurePath(path)
    return PurePath(name.stem).suffix if name.suffix in (".gz", ".xz") else name.suffix


def decode(raw: bytes, file: str, line: int) -> str | DataError:
    """The text of a line, or an error."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} of the line (0x{raw[error.start]:02x}) is not UTF-8"
        return DataError(file, problem, "convert the file to UTF-8, or remove the line", line, "invalid UTF-8")
