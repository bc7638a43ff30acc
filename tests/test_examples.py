"""The examples, run as their docstrings say, on data and with sizes that take seconds."""

import importlib
import json
import random
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from commands.conftest import run_attend

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL = "--system.embedding 16 --training.epochs 2"
WARM = "--training.epochs 10 --training.learning-rate 0.02 --training.batch 8"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the examples with small data, which commands and imports start from."""
    place = tmp_path_factory.mktemp("examples") / "here"
    shutil.copytree(EXAMPLES, place, ignore=shutil.ignore_patterns("__pycache__"))
    choose = random.Random(0)
    for part, count in (("train", 60), ("valid", 12)):
        words = [choose.choices(["red", "blue", "green", "black", "white"], k=3) for _ in range(count)]
        sources, targets = ([" ".join(order(one)) for one in words] for order in (list, reversed))
        write(place / f"{part}.en", sources)
        write(place / f"{part}.de", targets)
        labels = ["warm" if "red" in text else "cold" for text in sources]
        write(place / f"{part}.tsv", ["text\tlabel", *map("\t".join, zip(sources, labels, strict=True))])
        write(place / f"pairs-{part}.tsv", map("\t".join, zip(sources, targets, strict=True)))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        patched.syspath_prepend(place)
        yield place


def write(path: Path, lines: Any) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def attend(line: str) -> str:
    """What a command that must succeed prints."""
    done = run_attend(*shlex.split(line))
    assert done.status == 0, done.err
    return done.out


@pytest.fixture(scope="module")
def distance(folder: Path) -> str:
    """A run of `own_score`."""
    data = "--data.train train.en train.de --data.valid valid.en valid.de"
    units = "--inputs.source.vocabulary 60 --output.vocabulary 60"
    attend(f"train own_score:RECIPE --out runs/distance {data} {units} {SMALL} --system.hidden 16")
    return "runs/distance"


def test_a_score_of_ones_own_is_what_the_run_looks_with(distance: str) -> None:
    assert attend(f"predict {distance} valid.en --recipe own_score:RECIPE").count("\n") == 12
    assert "▒" in attend(f"show {distance} red --recipe own_score:RECIPE")
    model = importlib.import_module("attend").load(distance, recipe="own_score:RECIPE")
    score = model.system.attend.score
    assert type(score).__name__ == "Distance"
    query, keys = torch.randn(1, 2, 16), score.prepare(torch.randn(1, 3, 32))
    distances = torch.cdist(query, keys) ** 2
    torch.testing.assert_close(score(query, keys), -distances / 4, rtol=1e-4, atol=1e-4)


def test_a_recipe_from_outside_must_be_named_again(distance: str) -> None:
    sys.modules.pop("own_score", None)
    for words in (("predict", distance, "valid.en"), ("show", distance, "red"), ("evaluate", distance)):
        done = run_attend(*words)
        assert (done.status, done.out) == (2, "")
        assert "--recipe own_score:RECIPE" in done.err
    assert "own_score" not in sys.modules
    done = run_attend("predict", distance, "valid.en", "--recipe", "own_system:RECIPE")
    assert (done.status, done.out) == (2, "")
    assert "a run of 'own_score:RECIPE'" in done.err


def test_a_system_of_ones_own_learns_and_is_looked_into(folder: Path) -> None:
    data = "--data.train train.tsv --data.valid valid.tsv"
    attend(f"train own_system:RECIPE --out runs/topics {data} {WARM}")
    found = json.loads(attend("evaluate runs/topics --recipe own_system:RECIPE --json"))
    assert found["accuracy"] > 0.9
    attend("show runs/topics 'white red' --recipe own_system:RECIPE --out shown.json")
    (look,) = json.loads((folder / "shown.json").read_text())["looks"].values()
    assert [token["text"] for token in look["memory"]["tokens"]] == ["white", "red", "</s>"]
    assert sum(look["weights"][0]) == pytest.approx(1, abs=1e-4)


def test_an_algorithm_of_ones_own_is_generated_and_learnt(folder: Path) -> None:
    small = "--data.examples 64 --data.measured 4 --system.hidden 8 --system.slots 16 --training.epochs 2"
    attend(f"train own_algorithm:RECIPE --out runs/reverse {small}")
    found = json.loads(attend("evaluate runs/reverse --recipe own_algorithm:RECIPE --json"))
    assert {"bits", "bits_at_2x", "bits_at_4x"} <= found.keys()
    task = importlib.import_module("own_algorithm").Reverse()
    sequence, target, _ = task.pair(np.random.default_rng(0))
    assert sequence[:-1, :4].tolist() == target[::-1].tolist()
    assert sequence[-1].tolist() == [0, 0, 0, 0, 1]


def test_the_notebook_trains_predicts_and_measures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = importlib.import_module("notebook")
    assert 0 <= notebook.main("pairs-train.tsv", epochs=1) <= 1
    assert "steps x cells" in capsys.readouterr().out
    assert (folder / "runs/notebook/model.safetensors").exists()
