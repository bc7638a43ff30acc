import json
import subprocess
import sys
from pathlib import Path

import pytest

from attend.catalogue import RECIPES
from attend.folder import OWN_FILES, PREPARED, empty_folder, held

CONFIGURATION = {"attend": "0", "recipe": "ram", "settings": {}}


def run_in(folder: Path, *more: str) -> None:
    """What a run, the demo and TensorBoard leave, and more files."""
    for name in (*OWN_FILES, "checkpoint.pt.partial", "tensorboard/events.out.tfevents.1.host.2.0", *more):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(CONFIGURATION))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_all_that_a_task_keeps_is_a_run_s_own() -> None:
    for name, recipe in RECIPES.items():
        assert set(recipe.task.kept) <= set(PREPARED), name


def test_a_run_is_overwritten_as_often_as_one_likes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for _ in range(3):
        run_in(folder)
        with empty_folder(folder, overwrite=True):
            assert names(folder) == []
        assert names(tmp_path) == ["run"]


def test_a_link_to_a_run_stays_one(tmp_path: Path) -> None:
    run_in(tmp_path / "large" / "run")
    (tmp_path / "run").symlink_to(tmp_path / "large" / "run")
    with empty_folder(tmp_path / "run", overwrite=True):
        (tmp_path / "run" / "config.json").touch()
    assert (tmp_path / "run").is_symlink()
    assert names(tmp_path / "large") == ["run", "run/config.json"]


def test_the_folder_one_is_in_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_in(tmp_path / "run")
    before = names(tmp_path)
    monkeypatch.chdir(tmp_path / "run")
    for folder in (Path(), tmp_path / "run"):
        with pytest.raises(ValueError, match="is the folder that this is run in"), empty_folder(folder, overwrite=True):
            pass
    assert names(tmp_path) == before


def test_what_is_not_a_run_s_own_is_kept_every_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    for _ in range(3):
        run_in(folder, "notes", "tensorboard/notes")
        with empty_folder(folder, overwrite=True):
            pass
    assert f"is now in {tmp_path / 'run.old-3'}" in capsys.readouterr().err
    kept = ["notes", "tensorboard", "tensorboard/notes"]
    assert {path.name: names(path) for path in tmp_path.iterdir()} == {
        "run": [],
        "run.old": kept,
        "run.old-2": kept,
        "run.old-3": kept,
    }


@pytest.mark.parametrize("left", [["source.tokenizer.json"], ["source.tokenizer.json", "config.json.partial"]])
def test_a_run_killed_before_it_began_can_be_overwritten(tmp_path: Path, left: list[str]) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in left:
        (folder / name).touch()
    with pytest.raises(ValueError, match="already holds a run: choose another folder, or --overwrite it"):
        empty_folder(folder, overwrite=False).__enter__()
    with empty_folder(folder, overwrite=True):
        assert names(folder) == []
    assert names(tmp_path) == ["run"]


@pytest.mark.parametrize("left", ["README.md", "source.tokenizer.json.bak"])
def test_what_only_looks_like_a_run_is_left_alone(tmp_path: Path, left: str) -> None:
    (tmp_path / left).touch()
    (tmp_path / "source.tokenizer.json").touch()
    for folder in (tmp_path, tmp_path / left):
        with pytest.raises(ValueError, match="exists and is not a run"):
            empty_folder(folder, overwrite=True).__enter__()
    assert names(tmp_path) == sorted([left, "source.tokenizer.json"])


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"architectures": ["Bert"]}'])
def test_another_program_s_configuration_is_no_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ValueError, match="exists and is not a run"), empty_folder(tmp_path, overwrite=True):
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
    with empty_folder(Path({str(folder)!r}), overwrite=True): pass
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


def test_what_was_there_is_there_again_after_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_in(folder)
    before = names(folder)

    def prepare() -> None:
        with empty_folder(folder, overwrite=True):
            (folder / "source.tokenizer.json").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare()
    assert names(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
