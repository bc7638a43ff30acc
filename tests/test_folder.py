import json
import subprocess
import sys
from pathlib import Path

import pytest

from attend.catalogue import RECIPES
from attend.folder import KEPT, OWN_FILES, PREPARING, empty_folder, held, kept_in

FIELDS = ("source.tokenizer.json", "target.json")
CONFIGURATION = {"attend": "0", "recipe": "ram", "settings": {}, "kept": list(FIELDS)}


def run_in(folder: Path, *more: str) -> None:
    """What a run, the demo and TensorBoard leave, and more files."""
    events = "tensorboard/events.out.tfevents.1.host.2.0"
    for name in (*OWN_FILES, *FIELDS, "checkpoint.pt.partial", "target.json.partial", events, *more):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(CONFIGURATION))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_all_that_a_task_keeps_is_a_run_s_own() -> None:
    for name, recipe in RECIPES.items():
        for kept in recipe.task.kept(recipe.settings):
            assert KEPT.fullmatch(kept), f"{name}: {kept}"
            assert kept not in OWN_FILES


def test_a_run_is_overwritten_as_often_as_one_likes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for _ in range(3):
        run_in(folder)
        inode = folder.stat().st_ino
        with empty_folder(folder, True, FIELDS):
            assert names(folder) == [PREPARING]
        assert names(tmp_path) == ["run"]
        assert folder.stat().st_ino == inode, "what other processes see as held is another folder now"


def test_a_link_to_a_run_stays_one(tmp_path: Path) -> None:
    run_in(tmp_path / "large" / "run")
    (tmp_path / "run").symlink_to(tmp_path / "large" / "run")
    with empty_folder(tmp_path / "run", True, FIELDS):
        (tmp_path / "run" / "config.json").touch()
    assert (tmp_path / "run").is_symlink()
    assert names(tmp_path / "large") == ["run", "run/config.json"]


def test_the_folder_one_is_in_can_be_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_in(tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    with empty_folder(Path(), True, FIELDS):
        Path("config.json").touch()
    assert names(tmp_path) == ["run", "run/config.json"]


def test_what_is_not_a_run_s_own_is_kept_every_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    for _ in range(3):
        run_in(folder, "notes", "tensorboard/notes")
        with empty_folder(folder, True, FIELDS):
            pass
    assert f"are now in {tmp_path / 'run.old-3'}" in capsys.readouterr().err
    kept = ["notes", "tensorboard", "tensorboard/notes"]
    assert {path.name: names(path) for path in tmp_path.iterdir()} == {
        "run": [],
        "run.old": kept,
        "run.old-2": kept,
        "run.old-3": kept,
    }


@pytest.mark.parametrize("left", [[], ["target.json"], [*FIELDS, "target.json.partial", "config.json.partial"]])
def test_what_an_interrupted_preparation_left_is_replaced_without_asking(tmp_path: Path, left: list[str]) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in (PREPARING, *left):
        (folder / name).write_text(json.dumps({"attend": "preparing", "kept": FIELDS}))
    with empty_folder(folder, False, FIELDS):
        assert names(folder) == [PREPARING]
    assert names(tmp_path) == ["run"]


@pytest.mark.parametrize("left", ["README.md", "data.json", "source.tokenizer.json.bak"])
def test_what_only_looks_like_a_run_is_left_alone(tmp_path: Path, left: str) -> None:
    (tmp_path / left).touch()
    (tmp_path / "source.tokenizer.json").touch()
    for folder in (tmp_path, tmp_path / left):
        with pytest.raises(ValueError, match="exists and is not a run"):
            empty_folder(folder, True, FIELDS).__enter__()
    assert names(tmp_path) == sorted([left, "source.tokenizer.json"])


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"architectures": ["Bert"]}'])
def test_another_program_s_configuration_is_no_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ValueError, match="exists and is not a run"), empty_folder(tmp_path, True, FIELDS):
        pass
    assert names(tmp_path) == ["config.json", "model.safetensors"]


def test_a_run_that_is_being_trained_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_in(folder)
    before = names(folder)
    program = f"""
from pathlib import Path
from attend.folder import empty_folder, held
try:
    with held(Path({str(folder)!r}), make=True), empty_folder(Path({str(folder)!r}), True, ()): pass
except ValueError as error:
    print(error)
"""
    with held(folder), pytest.raises(ValueError, match="is being trained by another process"), held(folder):
        pass
    with held(folder):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "is being trained by another process" in done.stdout
    assert names(folder) == before
    with held(folder):
        pass


def test_only_what_was_made_and_is_empty_is_removed(tmp_path: Path) -> None:
    with held(tmp_path / "runs" / "deep" / "run", make=True):
        (tmp_path / "runs" / "other").touch()
    assert names(tmp_path) == ["runs", "runs/other"]
    (tmp_path / "empty").mkdir()
    with held(tmp_path / "empty", make=True):
        pass
    with held(tmp_path / "new", make=True):
        (tmp_path / "new" / "config.json").touch()
    assert names(tmp_path) == ["empty", "new", "new/config.json", "runs", "runs/other"]
    with pytest.raises(ValueError, match="exists and is not a run"), held(tmp_path / "runs" / "other", make=True):
        pass


def test_a_folder_that_another_process_has_just_removed_is_not_held(tmp_path: Path, monkeypatch) -> None:
    """It was opened before the other one failed, and is locked afterwards."""
    import fcntl

    (tmp_path / "run").mkdir()
    lock = fcntl.flock

    def late(handle: int, how: int) -> None:
        (tmp_path / "run").rmdir()
        lock(handle, how)

    monkeypatch.setattr("fcntl.flock", late)
    with pytest.raises(ValueError, match="by another process"), held(tmp_path / "run", make=True):
        pass


def test_where_folders_can_not_be_locked_it_is_said(tmp_path: Path, monkeypatch, capsys) -> None:
    def refuse(handle: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    with held(tmp_path):
        pass
    assert "Operation not supported" in capsys.readouterr().err


def test_what_was_there_is_there_again_after_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_in(folder)
    before = names(folder)

    def prepare() -> None:
        with empty_folder(folder, True, FIELDS):
            (folder / "source.tokenizer.json").write_text("half")
            (folder / "target.json.partial").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare()
    assert names(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_a_stranger_s_folder_says_it_keeps_is_removed_only_if_it_is_a_field_s_own(tmp_path: Path) -> None:
    """No path, and no file of another kind."""
    safe = ["source.tokenizer.json", "target-2.json"]
    others = ["notes.txt", "..json", ".json", "deep.notes.json", "folder/target.json", "model.py"]
    paths = ["../outside.json", str(tmp_path / "absolute.json"), "folder/../../outside.json"]
    folder = tmp_path / "run"
    run_in(folder, *safe, *others)
    content = CONFIGURATION | {"kept": [*paths, *others, *safe, 3, None]}
    (folder / "config.json").write_text(json.dumps(content))
    for name in ("outside.json", "absolute.json"):
        (tmp_path / name).touch()
    assert kept_in(folder) == safe
    with empty_folder(folder, True, FIELDS):
        pass
    assert {"outside.json", "absolute.json"} <= {path.name for path in tmp_path.iterdir()}
    # target.json is none of those that this folder names.
    assert names(tmp_path / "run.old") == sorted(["folder", "target.json", "target.json.partial", *others])


@pytest.mark.parametrize("content", ["[]", "{}", '{"kept": 3}', '{"kept": "target.json"}', "no JSON", "[" * 100_000])
def test_a_folder_that_says_nothing_of_what_it_keeps_keeps_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    assert kept_in(tmp_path) == []
