import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Attend, run_attend


def test_score_of_a_prediction_is_its_own(run: Path, lines: Path, attend: Attend) -> None:
    predicted = json.loads(attend("predict", run, lines, "--format", "jsonl").lines[0])["outputs"][0]["log_prob"]
    pair = b"a dog runs\tA GOD SNUR\n"
    for options, value in (([], predicted), (["--normalise"], predicted / 4)):
        assert float(attend("score", run, *options, stdin=pair).out) == pytest.approx(value, abs=1e-5)


def test_score_of_files(run: Path, data: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]) -> None:
    scores = [json.loads(line) for line in attend("score", run, data / "test.s", data / "test.t", "--json").lines]
    assert len(scores) == 24
    assert all(score["log_prob"] / score["tokens"] == score["log_prob_per_token"] for score in scores)
    assert all(score["unknown"] == 0 for score in scores)
    (tmp_path / "pairs.tsv").write_text("a\tA\na\t\n")
    said = fails("score", run, tmp_path / "pairs.tsv")
    assert f"{tmp_path / 'pairs.tsv'}, line 2: target" in said


def test_unknown_tokens_are_counted(run: Path, tmp_path: Path, attend: Attend) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("a dog\tA GOD\na zebra x\tA ARBEZ\na y\tA\n")
    done = attend("score", run, pairs, "--json")
    assert [json.loads(line)["unknown"] for line in done.lines] == [0, 3, 1]
    assert done.err.startswith("2 of 3 ")


def test_score_of_an_ensemble_is_that_of_the_mean(run: Path, summary: Path, tmp_path: Path, attend: Attend) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("a dog runs\tA GOD SNUR\n")

    def score(*more: object) -> float:
        return float(attend("score", run, pairs, *more).out)

    alone, twice = score(), score("--ensemble", run)
    both, thrice = score("--ensemble", summary), score("--ensemble", run, "--ensemble", summary)
    assert alone == pytest.approx(twice, abs=1e-4)
    # The other run knows next to nothing; it weighs less among three.
    assert both < thrice < alone


def test_classes_of_pictures_are_scored(
    bars: Path, pictures: Path, attend: Attend, tmp_path: Path, fails: Callable[..., str]
) -> None:
    scores = [float(line) for line in attend("score", bars, pictures / "metadata.csv").lines]
    words = ["predict", bars, pictures / "0.png", pictures / "1.png", "--format", "tsv"]
    assert scores[:2] == [float(line.split("\t")[1]) for line in attend(*words).lines]
    table = pictures / "other.csv"
    table.write_text("file_name,label\n0.png,left\n1.png,middle\n")
    try:
        said = fails("score", bars, table)
        assert f"{table}, line 3: target" in said
        assert "'middle'" in said
    finally:
        table.unlink()


def test_captions_are_scored_line_by_line(captions: Path, scenes: Path, attend: Attend) -> None:
    found = [json.loads(line) for line in attend("score", captions, scenes / "captions.csv", "--json").lines]
    assert [one["tokens"] for one in found] == [4, 4, 4, 8]  # two captions of the first picture


def test_pairs_of_texts_are_scored(entailment: Path, pairs: Path, attend: Attend) -> None:
    scores = [float(line) for line in attend("score", entailment, pairs / "test.csv").lines]
    assert len(scores) == 10
    rows = [line.split(",") for line in (pairs / "test.csv").read_text().splitlines()[1:]]
    given = "\n".join("\t".join(row) for row in rows).encode()
    assert [float(line) for line in attend("score", entailment, stdin=given).lines] == pytest.approx(scores)


def test_what_has_no_targets_is_said(drawer: Path, player: Path, fails: Callable[..., str]) -> None:
    for folder, name in ((drawer, "drawing"), (player, "game")):
        assert name in fails("score", folder, "a.tsv")


def test_what_is_too_long_is_named_and_the_rest_is_scored(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(f"a dog\tA GOD\n{'a dog ' * 900}\tA\na dog\t{'A ' * 900}\nthe ball\tEHT LLAB\n")
    done = run_attend("score", run, path)
    assert done.status == 2
    assert [bool(line) for line in done.lines] == [True, False, False, True]
    assert [
        f"{path}, line {number}: {name}" in line
        for number, name, line in zip((2, 3), ("source", "target"), done.err.splitlines(), strict=False)
    ] == [True, True]
    assert "2 of 4" in done.err.splitlines()[-1]
    assert json.loads(run_attend("score", run, path, "--json").lines[1])["log_prob"] is None
    assert run_attend("score", run, path, "--longest-input", 2000).status == 0
