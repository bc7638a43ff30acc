"""What a run leaves for people, worked out by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attend.catalogue import RECIPES
from attend.record import averaged, learning_curve, result, usage, watched_measure
from attend.run import RunConfig


def config(name: str, **training: Any) -> RunConfig:
    made_by = RECIPES[name]
    settings = replace(made_by.settings, training=replace(made_by.settings.training, **training))
    made = {"command": f"attend train {name}", "commit": "abc", "machine": "here"}
    return RunConfig(name, settings, made, made_by)


def a_run(folder: Path, seconds: float) -> Path:
    folder.mkdir()
    took = {"train_seconds": seconds, "cpu_seconds": 2 * seconds, "peak_memory_mb": 100 * seconds}
    learnt = {"parameters": 3, "data": {}, "files": {"train": [], "valid": []}}
    came = {"updates": 20, "best_update": 20, "stopped": "2 epochs"}
    (folder / "training.json").write_text(json.dumps(took | learnt | came))
    lines = [{"update": 10, "loss": 3.0}, {"update": 20, "loss": 2.0, "valid_bleu": 1.0, "valid_loss": 4.0}]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_curve_is_what_was_logged(tmp_path: Path):
    folder = a_run(tmp_path / "run", 1.0)
    assert learning_curve(folder, "loss") == [(10, 3.0), (20, 2.0)]
    assert learning_curve(folder, "valid_bleu") == [(20, 1.0)]
    assert averaged([(1, 1.0), (2, 3.0), (3, 5.0), (4, 7.0)], most=2) == [(1.5, 2.0), (3.5, 6.0)]
    assert averaged([]) == []


@pytest.mark.parametrize(
    ("name", "watch", "expected"),
    [
        ("rnnsearch-modern", "bleu", "bleu"),
        ("rnnsearch-modern", "loss", "bleu"),
        ("ram", "loss", "error"),
        ("draw-small", "loss", "nats"),
        ("ram-catch", "loss", "caught"),
    ],
)
def test_a_curve_shows_what_is_watched_or_the_first_measure(name: str, watch: str, expected: str):
    assert watched_measure(config(name, watch=watch)) == expected


def test_a_result_is_of_one_run_or_of_several(tmp_path: Path):
    folders = [a_run(tmp_path / "one", 1.0), a_run(tmp_path / "two", 3.0)]
    evaluated = {"data": "x", "files": ["y"], "split": "test", "count": 5, "figures": {"bleu": 3.0}}
    evaluated |= {"signatures": {}, "intervals": {"bleu": [2.0, 4.0]}}
    evaluated |= dict.fromkeys(("beam", "length_penalty", "longest", "ratio"), 1)
    configs = [config("rnnsearch-modern", seed=seed, watch="bleu") for seed in (1, 2)]
    one = result(folders[:1], configs[:1], evaluated, "attend evaluate one")
    assert (one["seed"], one["curve"], one["metrics"]) == (1, [(20, 1.0)], {"bleu": 3.0})
    assert one["command"] == "attend train rnnsearch-modern && attend evaluate one"
    both = result(folders, configs, evaluated, None)
    assert both["seeds"] == [1, 2]
    assert (both["train_seconds"], both["cpu_seconds"], both["peak_memory_mb"]) == (4.0, 8.0, 300)
    assert both["recipe"] == "rnnsearch-modern"
    assert "curve" not in both


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("rnnsearch-modern", ["attend predict", "attend show", 'model.predict("...")']),
        ("ram", ["picture.png"]),
        ("entailment", ['model.predict(premise="...", hypothesis="...")']),
        ("draw-small", ["model.generate", "new:1"]),
        ("ram-catch", ["attend evaluate", "model.evaluate"]),
    ],
)
def test_a_card_says_how_a_model_of_each_kind_is_used(name: str, parts: list[str]):
    said = usage(config(name), Path("runs/my run"))
    assert all(part in said for part in [*parts, "attend.load", "'runs/my run'"]), said
