import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from attend.inspect.alignment import read_pharaoh

from .conftest import Attend, run_attend


def test_score_of_a_prediction_is_its_own(run: Path, lines: Path, attend: Attend) -> None:
    predicted = json.loads(attend("predict", run, lines, "--format", "jsonl").lines[0])["outputs"][0]["log_prob"]
    pair = b"a dog runs\tA GOD SNUR\n"
    for options, value in (([], predicted), (["--normalise"], predicted / 4)):
        assert float(attend("score", run, *options, stdin=pair).out) == pytest.approx(value, abs=1e-5)


def test_score_of_files(run: Path, data: Path, attend: Attend) -> None:
    scores = [json.loads(line) for line in attend("score", run, data / "test.s", data / "test.t", "--json").lines]
    assert len(scores) == 24
    assert all(score["log_prob"] / score["tokens"] == score["log_prob_per_token"] for score in scores)
    assert all(score["unknown"] == 0 for score in scores)


def test_a_line_that_can_not_be_scored_is_named_and_the_others_go_on(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_bytes(b"a\tA\na\t\n\xff\tA\n\t\na\na\tA\n")
    links = tmp_path / "links"
    for given in (path, "-"):
        done = run_attend("score", run, given, "--alignments", links, stdin=path.read_bytes())
        assert done.status == 2
        assert [bool(line) for line in done.lines] == [True, False, False, False, False, True]
        assert done.lines[0] == done.lines[5]
        for line in ("2: target", "3: ", "5: "):
            assert f"{given}, line {line}" in done.err
        assert "line 4" not in done.err  # it is empty
        assert "3 of 6" in done.err
        assert len(links.read_text().splitlines()) == 6
    found = [json.loads(line) for line in run_attend("score", run, path, "--json").lines]
    assert ["left_out" in one for one in found] == [False, True, True, True, True, False]
    path.write_text("\tA\n")
    assert (run_attend("score", run, path).status, run_attend("score", run, path).out) == (2, "\n")
    path.write_text("\t\n\t\n")
    assert (run_attend("score", run, path).status, run_attend("score", run, path).out) == (0, "\n\n")


def test_alignments_of_given_targets(
    run: Path, summary: Path, uniform: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]
) -> None:
    path, links = tmp_path / "pairs.tsv", tmp_path / "links"
    path.write_text("a dog runs\tA GOD SNUR\n\t\nthe red ball\tEHT DER LLAB\n")
    assert len(attend("score", run, path, "--alignments", links).lines) == 3
    first, empty, last = read_pharaoh(str(links), first=0)
    assert first.sure == last.sure == {(0, 0), (1, 1), (2, 2)}
    assert not empty.sure
    attend("score", run, path, "--alignments", links, "--alignment-form", "npz")
    with np.load(links) as arrays:
        assert arrays["1/weights"].shape == (4, 4)
        assert arrays["2/weights"].shape == (0, 0)
        assert arrays["3/source"].tolist() == ["the", "red", "ball", "</s>"]
        assert arrays["3/target"].tolist() == ["EHT", "DER", "LLAB", "</s>"]
        np.testing.assert_allclose(arrays["3/weights"].sum(1), 1, atol=1e-5)
    links.unlink()
    for folder in (summary, uniform):
        for verb in ("score", "predict"):
            assert "--alignments" in fails(verb, folder, path, "--alignments", links)
        assert not links.exists()
    assert "pairs.tsv" in fails("score", run, path, "--alignments", path)


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


def test_classes_of_pictures_are_scored(bars: Path, pictures: Path, attend: Attend) -> None:
    scores = [float(line) for line in attend("score", bars, pictures / "metadata.csv").lines]
    words = ["predict", bars, pictures / "0.png", pictures / "1.png", "--format", "tsv"]
    assert scores[:2] == [float(line.split("\t")[1]) for line in attend(*words).lines]
    table = pictures / "other.csv"
    table.write_text("file_name,label\n0.png,left\n1.png,middle\n")
    try:
        done = run_attend("score", bars, table)
        assert done.status == 2
        assert [bool(line) for line in done.lines] == [True, False]
        assert f"{table}, line 3: target" in done.err
        assert "'middle'" in done.err
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
    for head in (b"", b"first\tsecond\ttarget\n"):
        assert [float(line) for line in attend("score", entailment, stdin=head + given).lines] == pytest.approx(scores)


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
