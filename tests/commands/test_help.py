"""Help, and mistakes in the command itself."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import attend as package
from attend.cli import VERBS

from .conftest import Attend, run_attend

ATTEND = shutil.which("attend", path=Path(sys.executable).parent)


def test_every_help_has_examples_and_brings_in_nothing_slow() -> None:
    program = """
import sys
from attend.cli import VERBS, main
for verb in [None, *VERBS]:
    print("verb", verb)
    assert main(["--help"] if verb is None else [verb, "--help"]) == 0
slow = {"torch", "accelerate", "matplotlib", "sacrebleu", "tokenizers"} & set(sys.modules)
assert not slow, slow
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    helps = done.stdout.split("verb ")[1:]
    assert len(helps) == len(VERBS) + 1
    assert all(text.count("\n  attend ") + text.count("| attend ") >= 2 for text in helps)


def test_the_installed_script_and_the_module_are_the_same_command() -> None:
    assert ATTEND
    for command in ([ATTEND], [sys.executable, "-m", "attend"]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"attend {package.__version__}\n"


def test_no_arguments_print_the_verbs(attend: Attend) -> None:
    out = attend().out
    assert all(f"\n  {verb} " in out for verb in VERBS)


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "attend", "--help"]
    child = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (child.returncode, child.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["trian"], ["'trian'", "'train'"]),
        (["predict", "x", "--bem", "3"], ["'--bem'", "'--beam'"]),
        (["show", "x", "two", "words"], ["'words'"]),
        (["train", "rnnsearch-moden", "--out", "x"], ["'rnnsearch-modern'"]),
        (["train", "rnnsearch-modern", "--out", "x", "--system.hiden", "3"], ["'--system.hidden'"]),
        (["train", "rnnsearch-modern", "--out", "x", "--data.unit", "word"], ["--inputs.source.unit", "--output.unit"]),
        (["train", "rnnsearch-modern", "--ot", "x"], ["'--out'"]),
        (["train", "--ot", "x"], ["'--out'"]),
        (["train", "--out", "x"], ["RECIPE"]),
        (["train", "rnnsearch-modern"], ["--out"]),
        (["train", "--resume"], ["--out"]),
        (["train", "--resume", "--out", "x", "--training.seed", "3"], ["'--training.seed'"]),
        (["train", "rnnsearch-modern", "--out", "x"], ["data.train"]),
        (["train", "no_such_module:RECIPE", "--out", "x"], ["'no_such_module'"]),
        (["train", "attend.recipes.dates:RECIPE", "--out", "x"], ["'RECIPE'"]),
        (["compare", "x"], ["two"]),
        (["compare", "x", "x"], ["two"]),
        (["show", "x"], ["input"]),
        (["show", "x", " "], ["input"]),
        (["show", "x", "a", "--out", "a.doc"], ["a.doc", ".png"]),
        (["show", "x", "a", "--inputs", "premise=a"], ["'a'", "--inputs"]),
        (["show", "x", "--inputs", "premise"], ["--inputs", "'premise'"]),
        (["predict", "nowhere"], ["nowhere", "config.json"]),
        (["evaluate", "nowhere"], ["nowhere", "config.json"]),
        (["score", "nowhere"], ["nowhere", "config.json"]),
        (["check"], ["--train"]),
        (["check", "rnnsearch-moden", "--train", "x"], ["'rnnsearch-modern'"]),
    ],
)
def test_mistakes_are_named_in_a_line(
    arguments: list[str],
    named: list[str],
    fails: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = fails(*arguments)
    assert [name for name in named if name not in said] == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [["--training.seed", "x"], ["--training.schedule", "linear"]])
def test_values_of_another_type_are_refused(value: list[str]) -> None:
    done = run_attend("train", "rnnsearch-modern", "--out", "x", *value)
    assert done.status == 2
    assert value[0] in done.err


def test_unknown_run_names_the_nearest(run: Path, fails: Callable[..., str]) -> None:
    assert f"'{run}'" in fails("predict", run.with_name("tinny"))
