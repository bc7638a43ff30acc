import json
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from .conftest import Attend, run_attend


def test_it_reports_and_fails_on_what_is_fatal(data: Path, tmp_path: Path, attend: Attend) -> None:
    train = [data / "train.s", data / "train.t"]
    found = json.loads(attend("check", "--train", *train, "--json").out)
    assert (found["rows"], found["pairs"], found["fatal"]) == ({"train": 240}, {"train": 240}, False)
    (tmp_path / "short").write_text("one line\n")
    done = run_attend("check", "--train", train[0], tmp_path / "short")
    assert done.status == 1
    assert "line counts differ" in done.out
    assert str(tmp_path / "short") in done.out


def test_files_and_folders_may_be_named_without_a_flag(
    data: Path, pairs: Path, pictures: Path, attend: Attend, fails: Callable[..., str]
) -> None:
    train = [data / "train.s", data / "train.t"]
    assert attend("check", *train).out == attend("check", "--train", *train).out
    columns = ["--columns", "premise=first", "hypothesis=second"]
    for files in ([pairs / "train.csv"], ["--train", pairs / "train.csv"]):
        assert "60 usable" in attend("check", "entailment", *files, *columns).out
    assert attend("check", "ram", pictures).out == attend("check", "ram", "--folder", pictures).out
    assert "name the data once" in fails("check", "ram", pictures, "--folder", pictures)
    assert "'entailment'" in fails("check", "entailmnt")
    assert "'entailment'" in fails("check", "entailmnt", "--train", *train)
    assert run_attend("check", data / "train.x", data / "train.t").status != 0


def test_a_recipe_says_what_columns_there_are(pairs: Path, attend: Attend, tmp_path: Path) -> None:
    files = ["--train", pairs / "train.csv", "--valid", pairs / "valid.csv"]
    columns = ["--columns", "premise=first", "hypothesis=second"]
    found = json.loads(attend("check", "entailment", *files, *columns, "--json").out)
    assert found["rows"] == {"train": 60, "valid": 12}
    assert {"duplicate", "shared between parts"} <= found["counts"].keys()
    done = run_attend("check", "entailment", *files, "--json")
    assert done.status == 1
    assert "'premise'" in json.loads(done.out)["problems"][0]["what"]


def test_files_are_looked_into(pictures: Path, tmp_path: Path, attend: Attend) -> None:
    folder = tmp_path / "pictures"
    shutil.copytree(pictures, folder)
    (folder / "3.png").write_bytes(b"no picture")
    for recipe in ("ram", "draw"):
        found = json.loads(attend("check", recipe, "--folder", folder, "--json").out)
        assert found["rows"] == {"train": 59}
        (problem,) = [one for one in found["problems"] if one["kind"] == "broken file"]
        assert "3.png" in problem["what"]


def test_pictures_are_compared_by_their_pixels(pictures: Path, tmp_path: Path, attend: Attend) -> None:
    for part in ("train/left", "train/right", "valid/left"):
        (tmp_path / part).mkdir(parents=True)
    for number in range(4):
        shutil.copy(pictures / f"{number}.png", tmp_path / "train" / ("left", "right")[number % 2])
    with Image.open(pictures / "0.png") as image:
        for place in ("train/right/again.png", "valid/left/again.png"):
            image.save(tmp_path / place, compress_level=0)
    found = json.loads(attend("check", "ram", "--folder", tmp_path, "--json").out)
    assert found["counts"] == {"conflicting labels": 1, "shared between parts": 1}
    assert all("again.png" in problem["what"] for problem in found["problems"])


def test_what_is_learnt_from_no_files_is_said(fails: Callable[..., str]) -> None:
    assert "ram-catch" in fails("check", "ram-catch")
    assert "--train" in fails("check", "ram-small")


def test_vectors_and_places_are_read_as_in_training(tmp_path: Path) -> None:
    lines = [
        "points,target",
        "0.4 0.1 0.9,2 1 3",
        "0.3 nan 0.1,1 2 3",
        "0.3 0.2,2 1 3",
        "0.3 0.2,1 1",
        "x 0.2,1 2",
        "1 2,",
    ]
    (tmp_path / "sets.csv").write_text("".join(f"{line}\n" for line in lines))
    done = run_attend("check", "pointer", tmp_path / "sets.csv", "--json")
    assert done.status == 1
    found = json.loads(done.out)
    assert found["rows"] == {"train": 1}
    problems = {one["line"]: (one["severity"], one["what"].split()[0]) for one in found["problems"]}
    assert problems == {
        3: ("fatal", "points"),
        4: ("fatal", "target"),
        5: ("fatal", "target"),
        6: ("warning", "points"),
        7: ("warning", "target"),
    }
