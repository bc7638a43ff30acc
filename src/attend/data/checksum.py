"""Whether the data has changed since a run began."""

import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from attend.data.files import DataError, locate, walk

PIECE = 1 << 20
TEXTS = (".csv", ".jsonl")


def checksum(path: str) -> str:
    """A file's CRC-32; for a folder, that of its text files, and of the names and sizes of its other files.

    Raises `DataError` if it can't be read.
    """
    place = locate(path)
    try:
        return f"{of_folder(place) if place.is_dir() else of_file(place):08x}"
    except OSError as error:
        raise DataError(path, f"cannot be read ({error})", "make it readable") from error


def of_file(place: Path) -> int:
    value = 0
    with place.open("rb") as file:
        while piece := file.read(PIECE):
            value = zlib.crc32(piece, value)
    return value


def of_folder(place: Path) -> int:
    """Images are not read: there may be many. Of broken and cyclic links only the names count."""
    value = 0
    for file in sorted(folder / name for folder, _, names in walk(place) for name in names):
        what: int | None = None
        if os.path.isfile(file):
            what = of_file(file) if file.suffix in TEXTS else file.stat().st_size
        value = zlib.crc32(f"{file.relative_to(place)}\t{what}\n".encode("utf-8", "surrogateescape"), value)
    return value


def checksums(paths: Iterable[str]) -> dict[str, str]:
    return {path: checksum(path) for path in dict.fromkeys(paths)}


def changes(known: Mapping[str, str]) -> list[str]:
    """The files and folders that have changed. Raises `DataError` for a missing one."""
    return [path for path, value in known.items() if checksum(path) != value]


def check_unchanged(known: Mapping[str, str], paths: Iterable[str]) -> dict[str, str]:
    """The checksums of these files and folders, which may have other names than the known ones, in the same order.

    Raises `DataError` for the first that has changed or is missing.
    """
    now = checksums(paths)
    names = list(known)
    for place, (path, value) in enumerate(now.items()):
        if place < len(names) and value == known[names[place]]:
            continue
        if path in known:
            problem, advice = "has changed since this run began, so it can't be resumed", "restore the data"
        else:
            known_as = f" ({names[place]})" if place < len(names) else ""
            problem = f"is not what this run learns from{known_as}, so it can't be resumed"
            advice = "name the same data"
        raise DataError(path, problem, f"{advice}, or train a new run")
    if len(now) < len(names):
        raise DataError(names[len(now)], "is not named any more, but this run learns from it", "name it too")
    return now
