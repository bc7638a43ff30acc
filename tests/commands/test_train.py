import ast
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from attend.progress import counting, duration, training_line
from attend.record import write_card
from attend.run import RunConfig
from attend.training import Progress

from .conftest import TINY, Attend, run_attend, translating


def test_recipe_help_lists_its_settings_with_docs_and_defaults(attend: Attend) -> None:
    out = attend("train", "rnnsearch-modern", "--help").out
    for flag in (
        "--system.hidden",
        "--inputs.source.unit",
        "--output.vocabulary",
        "--data.train",
        "--training.seed",
        "--decoding.beam",
        "(default: 256)",
        "What a token is",
        "examples:",
    ):
        assert flag in out
    out = attend("train", "entailment", "--help").out
    assert "--inputs.premise.unit" in out
    assert "--inputs.hypothesis.unit" in out


def test_training_leaves_a_whole_run(run: Path, data: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert {"config.json", "model.safetensors", "curve.png", "README.md", "metrics.json", "training.json"} <= names
    config = json.loads((run / "config.json").read_text())
    assert config["settings"]["system"]["hidden"] == tomllib.loads(TINY)["system"]["hidden"]
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["count"] == 24
    card = (run / "README.md").read_text()
    for part in (metrics["signatures"]["bleu"], str(data / "train.s"), "| training examples | 240 |", "attend.load"):
        assert part in card


def test_a_finished_training_says_what_it_reached_and_by_how_many_examples(
    noise: Path, tmp_path: Path, attend: Attend
) -> None:
    folder = tmp_path / "noise"
    shutil.copytree(noise, folder)
    done = attend("train", "--resume", "--out", folder, "--json")
    found = json.loads(done.out)
    assert (found["recipe"], found["run"], found["updates"], found["stopped"]) == ("ram", str(folder), 9, "3 epochs")
    assert (found["baseline_chance"], found["baseline_majority"], found["left_out"]) == (0.5, 0.95, 0)
    assert (found["finished"], found["unknown"], found["count"]) == (20, 0, 20)
    assert "20 validation examples" in done.err
    assert found["diagnosis"]
    assert all(line in done.err and line in (folder / "README.md").read_text() for line in found["diagnosis"])
    assert found["remarks"][0] in done.err


def test_a_folder_of_pictures_becomes_a_run(bars: Path, pictures: Path, attend: Attend) -> None:
    card = (bars / "README.md").read_text()
    for part in ("| target classes | 2 |", str(pictures), "attend predict", "error"):
        assert part in card
    found = json.loads(attend("evaluate", bars, "--json").out)
    assert found["count"] == 12
    assert found["error"] <= 0.1


def test_a_recipe_of_a_module_becomes_a_run_that_is_used_only_by_its_name(
    outside: Path, data: Path, attend: Attend, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(outside)
    folder, name = outside / "mine", "my_recipes:MINE"
    assert json.loads((folder / "config.json").read_text())["recipe"] == name
    for words in (["predict", folder, data / "test.s"], ["evaluate", folder], ["show", folder, "a dog"]):
        said = fails(*words)
        assert "--recipe" in said
        assert name in said
    assert len(attend("predict", folder, data / "test.s", "--recipe", name).lines) == 24
    assert "--recipe" in fails("train", "--resume", "--out", folder)
    assert "'rnnsearch'" in fails("train", "rnnsearch", "--resume", "--out", folder)
    attend("train", name, "--resume", "--out", folder)


def test_the_cards_commands_work_for_any_folder_name(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'two words, "quoted"'
    shutil.copytree(run, folder)
    write_card(folder, RunConfig.read(folder))
    card = (folder / "README.md").read_text()
    (command,) = re.findall(r"attend predict (.+)", card)
    assert shlex.split(command)[0] == str(folder)
    (loaded,) = re.findall(r"attend\.load\((.+)\)", card)
    assert ast.literal_eval(loaded) == str(folder)


def test_flags_win_over_the_file(summary: Path) -> None:
    settings = json.loads((summary / "config.json").read_text())["settings"]
    assert settings["training"]["epochs"] == 1
    assert settings["training"]["learning_rate"] == 0.01


@pytest.mark.parametrize(
    ("flag", "value", "named"),
    [
        ("--training.watch", "blue", "bleu"),
        ("--training.threads", "4096", "training.threads"),
        ("--training.epochs", "-1", "epochs"),
        ("--system.hidden", "0", "hidden"),
        ("--inputs.source.vocabulary", "4", "vocabulary"),
        ("--output.longest", "0", "longest"),
        ("--decoding.beam", "0", "beam"),
        ("--training.average", "2", "average"),
    ],
)
def test_what_can_not_be_trained_costs_nothing(
    flag: str, value: str, named: str, data: Path, run: Path, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(run, old)
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    done = run_attend(*translating(data, old, "--overwrite", flag, value))
    assert done.status == 2
    assert named in done.err
    assert "Traceback" not in done.err
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    assert run_attend(*translating(data, new, flag, value)).status == 2
    assert not new.exists()


def test_a_run_under_a_file_is_refused(tmp_path: Path, fails: Callable[..., str]) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert str(tmp_path / "file") in fails("train", "ram-small", "--out", out)


def test_a_run_is_not_put_where_it_learns_from(pictures: Path, fails: Callable[..., str]) -> None:
    out = pictures / "runs" / "x"
    said = fails("train", "ram", "--out", out, "--data.folder", pictures)
    assert str(out) in said
    assert f" {pictures}," in said
    assert not out.parent.exists()


def test_a_run_is_overwritten_only_when_told(
    data: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]
) -> None:
    folder = tmp_path / "run"
    short = ("--training.epochs", "1")
    attend(*translating(data, folder, *short))
    (folder / "notes").write_text("mine")
    assert f"{folder} " in fails(*translating(data, folder, *short))
    attend(*translating(data, folder, "--overwrite", "--training.seed", "2", *short))
    assert json.loads((folder / "config.json").read_text())["settings"]["training"]["seed"] == 2
    assert [path.name for path in (tmp_path / "run.old").iterdir()] == ["notes"]
    assert f"{tmp_path} " in fails(*translating(data, tmp_path, *short))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[training]\nsead = 3\n", ["'training.sead'", "'seed'"]),
        ("[data]\nunit = 'word'\n", ["'data.unit'", "inputs.source.unit", "output.unit"]),
        ("[training]\nseed = 'x'\n", ["'training.seed'", "int"]),
        ("[training\n", ["TOML", "line 1"]),
        (None, ["mine.toml"]),
    ],
)
def test_wrong_settings_files(text: str | None, named: list[str], tmp_path: Path, fails: Callable[..., str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text or "")
    name = str(path) if text is not None else str(tmp_path / "mime.toml")
    said = fails("train", "rnnsearch-modern", "--out", tmp_path / "x", "--config", name)
    assert [part for part in (*named, name) if part not in said] == []


def test_data_that_can_not_be_learnt_from_makes_no_run(data: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    (tmp_path / "short").write_text("one line\n")
    files = ["--data.train", data / "train.s", tmp_path / "short"]
    said = fails("train", "rnnsearch-modern", "--out", tmp_path / "run", *files)
    assert str(data / "train.s") in said
    assert str(tmp_path / "short") in said
    assert not (tmp_path / "run").exists()


def test_a_link_that_leads_nowhere_stops_no_training(tmp_path: Path, attend: Attend) -> None:
    for number in range(4):
        name = tmp_path / "pictures" / ("cat", "dog")[number % 2] / f"{number}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 40 * number).save(name)
    (tmp_path / "pictures" / "cat" / "gone.png").symlink_to("nowhere.png")
    where = ["--out", tmp_path / "run", "--data.folder", tmp_path / "pictures", "--training.epochs", "1"]
    done = attend("train", "feedforward", *where, "--system.hidden", "8", "--system.rows", "8")
    assert "cat/gone.png" in done.err


def test_a_run_goes_on_for_more_epochs_and_with_other_data(
    run: Path, data: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    said = attend("train", "--resume", "--out", folder, "--training.epochs", "11").err
    assert "training.epochs was 10, and is 11 now" in said
    assert json.loads((folder / "training.json").read_text())["updates"] == 11 * 12
    assert "--training.epochs 11" in json.loads((folder / "config.json").read_text())["provenance"]["command"]
    assert "'--training.seed'" in fails("train", "--resume", "--out", folder, "--training.seed", "3")
    assert "--init" in fails("train", "--resume", "--out", folder, "--init", run)
    tuned, files = tmp_path / "tuned", ["--data.train", data / "test.s", data / "test.t"]
    short = ["--training.epochs", "1", "--training.watch", "loss", "--training.learning-rate", "1e-5"]
    attend("train", "rnnsearch-modern", "--init", run, "--out", tuned, *files, *short)
    assert (tuned / "source.tokenizer.json").read_bytes() == (run / "source.tokenizer.json").read_bytes()
    assert attend("predict", tuned, data / "test.s").lines[:3] == attend("predict", run, data / "test.s").lines[:3]
    other = ["train", "rnnsearch-modern", "--init", run, "--out", tmp_path / "x", *files, "--system.hidden", "8"]
    assert f"in {run}, and [" in fails(*other)


def test_training_that_diverges_ends_with_a_remedy(data: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    for rate in ("1e3", "1e30"):
        said = fails(*translating(data, tmp_path / rate, "--training.learning-rate", rate))
        assert "training.learning_rate" in said
        assert re.search(r"at update \d+", said)
        assert not (tmp_path / rate / "training.json").exists()


def test_interrupted_training_says_how_to_go_on_and_does(
    data: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]
) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "attend", *translating(data, folder, "--training.epochs", "15")]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (folder / "log.jsonl").exists() and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 128 + signal.SIGINT
    assert f"attend train --resume --out {folder}" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert "'rnnsearch-modern'" in fails("train", "encdec", "--resume", "--out", folder)
    config = json.loads((folder / "config.json").read_text())
    begun, here = config["provenance"], dict(config["provenance"])
    begun["machine"] = "another machine"
    (folder / "config.json").write_text(json.dumps(config))
    attend("train", "--resume", "--out", folder)
    assert json.loads((folder / "training.json").read_text())["updates"] == 15 * 12
    made = json.loads((folder / "config.json").read_text())["provenance"]
    assert made == here | {"machine": f"another machine; {here['machine']}"}
    assert f"another machine; {here['machine']}" in (folder / "README.md").read_text()


def test_training_line_says_how_far_it_is() -> None:
    progress = Progress(epoch=1, update=100, updates_expected=400, epochs_expected=4, seconds=50.0)
    figures = {"loss": 2.0, "nll": 1.0, "learning_rate": 1e-3}
    line = training_line(progress, figures, 1234.4)
    assert line == (
        "epoch 2/4, update 100/400, 0:02:30 left, loss 2.000, perplexity 2.72, 1,234 tokens/s, learning rate 0.001"
    )
    assert duration(3723.4) == "1:02:03"


def test_counting_says_how_long_is_left(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((0.0, 1.9, 4.0, 5.0, 14.0, 30.0))
    monkeypatch.setattr("attend.progress.time.monotonic", lambda: next(times))
    with counting("lines") as report:
        for done, of in ((10, 50), (20, 50), (25, 50), (28, 5000), (60, 0)):
            report(done, of)
    assert capsys.readouterr().err.splitlines() == [
        "20 of 50 lines, 0:00:06 left, 5 a second",
        "28 of 5,000 lines, 0:41:26 left, 2 a second",
        "60 lines, 2 a second",
    ]
