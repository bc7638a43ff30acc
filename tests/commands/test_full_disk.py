"""A disk that is full, and one that can't be written to: a line that names the file, and nothing half-written."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attend.run import RunConfig, hold, resume
from attend.training import Interrupted

from .conftest import run_attend, translating

SHORT = ("--training.epochs", "1")


def mount(*words: object) -> None:
    done = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file system can't be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    if shutil.which("mount") is None or os.name != "posix":
        pytest.skip("there is no mount here")
    place = tmp_path / "disk"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=3m", "tmpfs", place)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, left: int = 0) -> None:
    """Fill a disk but for some bytes."""
    space = os.statvfs(disk)
    with (disk / "ballast").open("ab") as file:
        file.write(b"x" * (space.f_bavail * space.f_frsize - left))


def refused(*words: object, names: Path) -> None:
    """The command ends with a line that names the file."""
    done = run_attend(*words)
    assert (done.status, done.out) == (2, "")
    assert "Traceback" not in done.err
    last = done.err.splitlines()[-1]
    assert last.startswith("attend: ")
    assert str(names) in last


def test_training_on_a_full_disk(disk: Path, data: Path) -> None:
    fill(disk, left=60_000)
    refused(*translating(data, disk / "run", *SHORT), names=disk / "run")
    names = {path.name for path in (disk / "run").iterdir()}
    assert not [name for name in names if name.endswith(".partial")]
    assert "model.safetensors" not in names
    # Without room for the vocabularies there is no run.
    fill(disk, left=0)
    refused(*translating(data, disk / "second", *SHORT), names=disk / "second")
    assert not (disk / "second").exists()


def test_a_run_on_a_disk_that_fills_goes_on_when_there_is_room(disk: Path, run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, disk / "run")
    config = RunConfig.read(folder)
    (folder / "checkpoint.pt").unlink()
    (folder / "last.safetensors").unlink()

    def stop(progress: Any, figures: Any) -> None:
        if progress.update == 20:
            os.kill(os.getpid(), signal.SIGTERM)

    def spill(progress: Any, figures: Any) -> None:
        if progress.update == 21:
            fill(disk)

    def quiet(*_: Any) -> None:
        """Say nothing."""

    with pytest.raises(Interrupted), hold(folder):
        resume(folder, quiet, stop)
    kept = (folder / "checkpoint.pt").read_bytes()
    with pytest.raises(ValueError, match=f"{folder}.*: can't be written"), hold(folder):
        resume(folder, quiet, spill)
    assert (folder / "checkpoint.pt").read_bytes() == kept
    (disk / "ballast").unlink()
    with hold(folder):
        assert resume(folder, quiet, quiet).epoch == config.settings.training.epochs


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_what_verbs_write_is_whole_or_not_there(state: str, disk: Path, run: Path, data: Path) -> None:
    if state == "full":
        fill(disk, left=0)
    else:
        mount("-o", "remount,ro", disk)
    before = set(disk.iterdir())
    files = [data / "test.s", data / "test.t"]
    commands = [
        ["predict", run, files[0], "--out", disk / "out"],
        ["predict", run, files[0], "--out", disk.parent / "out", "--alignments", disk / "out"],
        ["evaluate", run, "--data", *files, "--record", disk / "out.json"],
        ["show", run, "a dog", "--out", disk / "out.html"],
        ["show", run, "a dog", "--out", disk / "out.png"],
        translating(data, disk / "run"),
    ]
    for words in commands:
        refused(*words, names=disk)
    assert set(disk.iterdir()) == before
