import json
from dataclasses import replace
from pathlib import Path

import pytest

from attend import demo
from attend.catalogue import RECIPES
from attend.cli import main
from attend.inspect.spans import SpanRead


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo on a handful of dates: what it says is then wrong, but all of it is there."""
    monkeypatch.setattr(demo, "UNSEEN", 8)
    monkeypatch.setattr(demo, "SHOWN", demo.SHOWN[:2])
    for name in (demo.RECIPE, *demo.CONTROLS.values()):
        settings = RECIPES[name].settings
        data = replace(settings.data, train=200, valid=10, test=12)
        settings = replace(settings, data=data, training=replace(settings.training, epochs=1))
        monkeypatch.setitem(RECIPES, name, replace(RECIPES[name], settings=settings))


def test_the_demo_leaves_figures_and_pictures(tiny: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "demo"
    demo.demo(out, overwrite=False)
    found = json.loads((out / "metrics.json").read_text())
    for name in ("exact_match", "alignment_accuracy", "mass_in_span"):
        assert 0 <= found[name] <= 1
        assert 0 <= found[f"unseen_{name}"] <= 1
    distances = found["distance_from_span"]
    assert sum(distances.values()) == pytest.approx(1)
    # Of the same steps, counted in two ways.
    assert found["alignment_accuracy"] == pytest.approx(distances["0"])
    assert (found["count"], found["split"]) == (12, "test")
    assert (out / "attention.png").read_bytes().startswith(b"\x89PNG")
    assert "2008年5月3日" in (out / "report.html").read_text(encoding="utf-8")
    printed = capsys.readouterr()
    assert "held-out dates" in printed.out
    assert "Samstag" in printed.out
    weights = (out / "model.safetensors").read_bytes()
    demo.demo(out, overwrite=False)
    assert "has been trained already" in capsys.readouterr().err
    assert (out / "model.safetensors").read_bytes() == weights


def test_the_command_records_the_run_and_compares_it_with_its_controls(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--out", "demo", "--record", "results/dates.json", "--compare"]) == 0
    found = json.loads((tmp_path / "results" / "dates.json").read_text())
    assert found["recipe"] == "rnnsearch-modern-dates"
    assert (found["data"], found["split"], found["seed"]) == ("dates", "test", 1)
    assert {"exact_match", "alignment_accuracy", "unseen_exact_match"} <= found["metrics"].keys()
    assert (tmp_path / "demo" / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert "| figure | demo | demo-last | demo-uniform |" in capsys.readouterr().out
    runs = [tmp_path / name for name in ("demo-last", "demo-uniform")]
    data = [json.loads((run / "config.json").read_text())["settings"]["data"] for run in runs]
    assert data[0] == data[1]
    for run in runs:
        metrics = json.loads((run / "metrics.json").read_text())
        assert (metrics["split"], metrics["count"]) == ("valid", 10)
        assert 0 <= metrics["figures"]["exact_match"] <= 1
        assert (run / "curve.png").exists()
        assert metrics["signatures"]["bleu"] in (run / "README.md").read_text(encoding="utf-8")


def test_an_overwritten_demo_leaves_nothing_behind(tiny: None, tmp_path: Path):
    for _ in range(2):
        demo.train(demo.RECIPE, tmp_path / "demo", overwrite=True)
        (tmp_path / "demo" / "compare.png").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo"]


def test_reads_are_counted_by_their_distance():
    reads = [SpanRead(0, distance, 0.5) for distance in (0, 0, -1, 1, 4, -9, None, 0)]
    shares = demo.beside(reads)
    assert shares == {"0": 3 / 8, "-1": 1 / 8, "+1": 1 / 8, "farther": 2 / 8, "end": 1 / 8}
