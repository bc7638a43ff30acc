"""Files that are there whole or not at all."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write a file beside `path`, then put it in place in one move: readers see the old file or the new.

    Of a symbolic link it is what the link leads to that is written. The file can be read by whoever the umask lets,
    however `write` made it. Raises `ValueError` naming `path` if it can't be written, or is a device or a pipe; what
    was there is there still.
    """
    with whole_file(path) as partial:
        write(partial)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """As `write_atomically`, for what is written piece by piece: gives the file beside `path`."""
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_file():
        raise ValueError(f"{path} is a folder, a device or a pipe: name a plain file")
    partial = place.with_name(place.name + ".partial")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        partial.touch()
        # Some libraries make files that only their owner can read; this is what the umask says.
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
