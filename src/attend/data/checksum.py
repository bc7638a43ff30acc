"""Whether the data is still what a run began with."""

import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from attend.data.files import DataError, locate, walk

PIECE = 1 << 20
TEXTS = (".csv", ".jsonl")


def checksum(path: str) -> str:
    """A file's CRC-32; of a folder, that of its texts, and of the names and sizes of its other files.

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
    """Images are not read once more: there may be many. A link that leads nowhere, or back, has its name alone."""
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
    """The files and folders that are not what they were. Raises `DataError` for one that is not there any more."""
    return [path for path, value in known.items() if checksum(path) != value]


def check_unchanged(known: Mapping[str, str]) -> None:
    """Raises `DataError` for the first file or folder that is not what it was, or not there any more."""
    for path in changes(known):
        raise DataError(
            path,
            "has changed since this run began, which can't go on as if it had not",
            "put back what was there, or train a new run",
        )
