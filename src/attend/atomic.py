"""Atomic writing of files."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write a temporary file beside `path`, then rename it: readers see the old file or the new.

    Symbolic links are followed. The file's permissions follow the umask, whatever `write` set. Raises `ValueError`
    naming `path` if it can't be written, or is a device or a pipe; the old file is then unchanged.
    """
    with whole_file(path) as partial:
        write(partial)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """As `write_atomically`, for incremental writing: gives the temporary file's path."""
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_file():
        raise ValueError(f"{path} is a folder, a device or a pipe: name a plain file")
    partial = place.with_name(place.name + ".partial")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        partial.touch()
        # Some libraries make files that only their owner can read; follow the umask instead.
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(place)
    except OSError as error:
        raise ValueError(f"{path}: can't be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
