import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from attend.catalogue import RECIPES
from attend.commands.compare import confounded
from attend.run import RunConfig

from .conftest import Attend, translating


def test_texts(run: Path, summary: Path, tmp_path: Path, attend: Attend) -> None:
    picture = tmp_path / "lengths.png"
    options = ["--split", "test", "--samples", "50", "--out", picture]
    found = json.loads(attend("compare", run, summary, *options, "--json").out)
    assert [row["run"] for row in found["runs"]] == [str(run), str(summary)]
    assert found["runs"][0]["parameters"] > 0
    (test,) = found["comparisons"]
    assert (test["run"], test["against"], test["metric"]) == (str(summary), str(run), "BLEU")
    assert test["difference"] < 0
    assert test["p"] < 0.05
    assert sum(bucket["count"] for bucket in found["by_length"][str(run)]) == 24
    assert picture.read_bytes().startswith(b"\x89PNG")
    out = attend("compare", run, summary, *options).out
    assert out.count("| :-- |") == 4
    assert out.startswith(f"| figure | {run} | {summary} |\n")
    assert found["differences"] == [
        {"setting": "system.attention", str(run): "additive", str(summary): "last"},
        {"setting": "training.epochs", str(run): "10", str(summary): "1"},
    ]
    (warning,) = found["warnings"]
    assert all(part in warning for part in (str(summary), "system.attention", "training.epochs"))
    assert f"warning: {warning}" in out


@pytest.mark.parametrize(
    ("recipe", "changed", "warned"),
    [
        ("rnnsearch-modern", {}, False),
        ("rnnsearch-modern", {"system.attention": "last", "training.seed": 2, "training.threads": 2}, False),
        ("rnnsearch-modern", {"system.attention": "last", "training.epochs": 7}, True),
        ("rnnsearch-modern-dates-last", {"system.attention": "last"}, False),
        ("rnnsearch-modern-dates-last", {"system.attention": "last", "training.epochs": 7}, True),
    ],
)
def test_more_than_one_difference_is_warned_of(recipe: str, changed: dict[str, object], warned: bool) -> None:
    base = "rnnsearch-modern-dates" if "dates" in recipe else recipe
    settings = RECIPES[base].settings
    for name, value in changed.items():
        section, field = name.split(".")
        part = replace(getattr(settings, section), **{field: value})
        settings = replace(settings, **{section: part})
    configs = [
        RunConfig(base, RECIPES[base].settings, {}, RECIPES[base]),
        RunConfig(recipe, settings, {}, RECIPES[recipe]),
    ]
    models = {name: SimpleNamespace(config=config) for name, config in zip("ab", configs, strict=True)}
    assert bool(confounded(models)) == warned


def test_any_file(run: Path, summary: Path, data: Path, attend: Attend) -> None:
    files = [data / "test.s", data / "test.t"]
    words = ["compare", run, summary, "--samples", "10", "--json"]
    assert attend(*words, "--data", *files).out == attend(*words, "--split", "test").out


def test_the_perplexity_of_other_tokens_is_left_out(run: Path, data: Path, tmp_path: Path, attend: Attend) -> None:
    other = tmp_path / "characters"
    unit = ["--inputs.source.unit", "character", "--output.unit", "character", "--decoding.longest", "3"]
    attend(*translating(data, other, "--training.epochs", "1", *unit))
    first, second = json.loads(attend("compare", run, other, "--samples", "10", "--json").out)["runs"]
    assert first["perplexity"] > 1
    assert second["perplexity"] is None
    assert second["bleu"] is not None


def test_shares_by_length_are_printed_to_three_digits(run: Path, summary: Path, tmp_path: Path, attend: Attend) -> None:
    watching = tmp_path / "watching"
    shutil.copytree(run, watching)
    config = json.loads((watching / "config.json").read_text())
    config["settings"]["training"]["watch"] = "exact_match"
    (watching / "config.json").write_text(json.dumps(config))
    rows = attend("compare", watching, summary, "--samples", "10").out.split("| source length |")[1].splitlines()[2:]
    share = r"[01]\.\d{3} \([01]\.\d{3} to [01]\.\d{3}\)"
    assert rows
    assert all(re.fullmatch(rf"\| \d+ to \d+ \| \d+ \| {share} \| {share} \|", row) for row in rows if row)


def test_classes_of_pictures(
    bars: Path, pictures: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]
) -> None:
    other = tmp_path / "centre"
    where = ["--out", other, "--data.folder", pictures, "--data.held-out", "0.2"]
    size = ["--system.size", "2", "--system.scales", "1", "--system.places", "centre", "--training.epochs", "1"]
    attend("train", "ram", *where, *size)
    found = json.loads(attend("compare", bars, other, "--json").out)
    assert [row["run"] for row in found["runs"]] == [str(bars), str(other)]
    assert found["runs"][0]["error"] < found["runs"][1]["error"]
    (tested,) = found["comparisons"]
    assert (tested["run"], tested["against"], tested["metric"]) == (str(other), str(bars), "error")
    assert tested["difference"] == pytest.approx(found["runs"][1]["error"] - found["runs"][0]["error"])
    assert tested["p"] < 0.05
    assert found["by_length"] == {}
    shown = attend("compare", bars, other, "--data", pictures / "metadata.csv").lines
    assert shown[0] == f"| figure | {bars} | {other} |"
    assert any(line.startswith("| error | ") for line in shown)
    assert "--out" in fails("compare", bars, other, "--out", tmp_path / "x.png")


def test_pairs_of_texts_are_compared_by_length_too(entailment: Path, tmp_path: Path, attend: Attend) -> None:
    same = tmp_path / "same"
    shutil.copytree(entailment, same)
    found = json.loads(attend("compare", entailment, same, "--split", "test", "--samples", "9", "--json").out)
    assert found["comparisons"][0]["difference"] == 0
    assert sum(bucket["count"] for bucket in found["by_length"][str(same)]) == 10


def test_runs_that_figures_do_not_compare_of_are_refused(
    run: Path, bars: Path, drawer: Path, player: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    for first, second in ((run, bars), (drawer, player), (bars, drawer)):
        said = fails("compare", first, second)
        assert str(first) in said
        assert str(second) in said
    tokenised = tmp_path / "tokenised"
    shutil.copytree(run, tokenised)
    config = json.loads((tokenised / "config.json").read_text())
    config["settings"]["output"]["tokenize"] = "none"
    (tokenised / "config.json").write_text(json.dumps(config))
    assert "output.tokenize" in fails("compare", run, tokenised)


def test_drawings_of_other_images_are_not_compared(
    pictures: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]
) -> None:
    small = ["--training.epochs", "1", "--system.hidden", "8", "--system.latent", "4", "--system.steps", "2"]
    other = tmp_path / "other"
    other.mkdir()
    for name in sorted(pictures.glob("*.png"))[:30]:
        shutil.copy(name, other)
    runs = [tmp_path / name for name in ("first", "second")]
    for run, folder in zip(runs, (pictures, other), strict=True):
        attend("train", "draw", "--out", run, "--data.folder", folder, *small)
    said = fails("compare", *runs)
    assert [str(run) for run in runs if str(run) not in said] == []
