"""No verb writes over a run's own files, nor over what it reads, whatever option or link names the file."""

import importlib
import os
import shutil
from pathlib import Path
from typing import get_type_hints

import pytest

from attend.cli import VERBS
from attend.commands.options import OutFile, OutFiles
from attend.commands.output import check_outputs
from attend.folder import run_of

from .conftest import run_attend


def options_of_files() -> list[tuple[str, str]]:
    """Every verb with every option of it that names a file to write."""
    found = []
    for verb in VERBS:
        module = importlib.import_module(f"attend.commands.{verb}")
        hints = get_type_hints(module.Options, include_extras=True) if hasattr(module, "Options") else {}
        names = [name for name, hint in hints.items() if hint in (OutFile, OutFiles)]
        found += [(verb, "--" + name.replace("_", "-")) for name in names]
    return found


def words(verb: str, run: Path, lines: Path, spare: Path) -> list[object]:
    """How a verb is called, so that it would write. A new verb that writes a file needs a line here."""
    return {
        "predict": ["predict", run, lines],
        "score": ["score", run, lines, lines],
        "evaluate": ["evaluate", run, "--data", lines, lines],
        "compare": ["compare", run, spare, "--data", lines, lines],
        "show": ["show", run, lines],
        "demo": ["demo", "--out", run],
    }[verb]


@pytest.fixture(scope="module")
def kept(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run, and another one beside it."""
    folder = tmp_path_factory.mktemp("kept")
    for name in ("run", "spare"):
        shutil.copytree(run, folder / name)
    return folder / "run", folder / "spare"


def content(*folders: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("verb", "flag"), options_of_files())
def test_no_verb_writes_over_a_run_or_an_input(
    verb: str, flag: str, kept: tuple[Path, Path], tmp_path: Path, data: Path
) -> None:
    run, spare = kept
    # As a file of its own, with every suffix that a verb may ask for.
    inputs = [tmp_path / f"lines.{suffix}" for suffix in ("txt", "json", "png", "html")]
    for path in inputs:
        shutil.copy(data / "test.s", path)
    own = ("config.json", "model.safetensors", "averaged.safetensors", "source.tokenizer.json", "curve.png")
    named = [*(run / name for name in own), spare / "checkpoint.pt", data / "train.s"]
    links = tmp_path / "links"
    links.mkdir()
    for place in (run / "metrics.json", run / "curve.png", *inputs):
        (links / f"soft-{place.name}").symlink_to(place)
        os.link(place, links / f"hard-{place.name}")
    (links / "nowhere.json").symlink_to(run / "preparing.json")
    before = content(run, spare, data, tmp_path)
    for path in (*named, *inputs, *links.iterdir()):
        for given in inputs if path in inputs or "lines" in path.name else inputs[:1]:
            if given.suffix != path.suffix and "lines" in path.name:
                continue
            done = run_attend(*words(verb, run, given, spare), flag, path)
            assert (done.status, done.out) == (2, ""), path
            assert done.err.startswith("attend: "), done.err
            assert str(path) in done.err
    assert content(run, spare, data, tmp_path) == before
    assert (links / "nowhere.json").is_symlink()


def test_all_that_a_run_has_is_its_own(run: Path, bars: Path, drawer: Path) -> None:
    for path in (path for folder in (run, bars, drawer) for path in folder.iterdir()):
        with pytest.raises(ValueError, match="is a file of the run"):
            check_outputs([path])


def test_files_that_a_table_names_are_inputs_too(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "pictures")
    table, picture = tmp_path / "pictures" / "metadata.csv", tmp_path / "pictures" / "7.png"
    (tmp_path / "link.png").symlink_to(picture)
    for given in (table, tmp_path / "pictures"):
        for path in (picture, tmp_path / "link.png"):
            with pytest.raises(ValueError, match="read or written by this command"):
                check_outputs([path], [given])
    (tmp_path / "pictures" / "answers.tsv").touch()  # the same command may be given again
    check_outputs([tmp_path / "pictures" / "answers.tsv", tmp_path / "new.png"], [tmp_path / "pictures"])
    with pytest.raises(ValueError, match="read or written by this command"):
        check_outputs([table], [tmp_path / "pictures"])


def test_what_a_run_learnt_from_is_not_written_over(bars: Path, run: Path, pictures: Path, data: Path) -> None:
    for folder, path in ((bars, pictures / "7.png"), (run, data / "valid.t"), (run, data / "test.s")):
        with pytest.raises(ValueError, match="read or written by this command"):
            check_outputs([path], runs=[folder])


def test_what_is_not_a_run_s_own_may_be_beside_it(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / "look.html").touch()  # the same command may be given again
    check_outputs([copy / "look.html", copy / "more" / "table.json"], runs=[copy])
    (tmp_path / "config.json").write_text('{"name": "of another program"}')
    check_outputs([tmp_path / "README.md", tmp_path / "config.json"])


@pytest.mark.parametrize("config", ['{"attend": ', None])
def test_a_damaged_run_and_one_that_is_being_prepared_are_runs_too(config: str | None, tmp_path: Path) -> None:
    (tmp_path / ("config.json" if config else "preparing.json")).write_text(config or "{}")
    (tmp_path / "tensorboard").mkdir()
    for name in ("model.safetensors", "checkpoint.pt.partial", "tensorboard/events.out.tfevents.1"):
        assert run_of(tmp_path / name) == tmp_path
    assert run_of(tmp_path / "notes") is None
    assert run_of(tmp_path / "other" / "model.safetensors") is None
