import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Attend


def test_one_object_is_printed_and_a_record_is_left(run: Path, data: Path, tmp_path: Path, attend: Attend) -> None:
    gold, record = tmp_path / "gold.naacl", tmp_path / "results" / "tiny.json"
    sentences = (data / "test.s").read_text().splitlines()
    links = [
        f"{number} {word} {word}\n"
        for number, text in enumerate(sentences, 1)
        for word in range(1, len(text.split()) + 1)
    ]
    gold.write_text("".join(links))
    options = ["--split", "test", "--gold", gold, "--record", record, "--json"]
    found = json.loads(attend("evaluate", run, *options).out)
    assert (found["split"], found["count"], found["beam"]) == ("test", 24, 2)
    assert found["bleu"] > 60
    assert found["signature"] == found["signatures"]["bleu"]
    assert found["alignment_error_rate"] < 0.2
    assert 0 < found["attention_normalised_entropy"] < 1
    kept = json.loads(record.read_text())
    assert kept["metrics"]["bleu"] == found["bleu"]
    assert kept["recipe"] == "rnnsearch-modern"
    assert (kept["runs"], kept["seed"], len(kept["curve"])) == ([str(run)], 1, 10)
    assert "&&" in kept["command"]
    files = [str(data / "test.s"), str(data / "test.t")]
    assert (kept["data"], kept["files"]) == (", ".join(files), files)


def test_a_record_says_what_its_data_is_called(run: Path, tmp_path: Path, attend: Attend) -> None:
    named = tmp_path / "named"
    shutil.copytree(run, named)
    config = json.loads((named / "config.json").read_text())
    config["settings"]["data"]["name"] = "capitals"
    (named / "config.json").write_text(json.dumps(config))
    record, files = tmp_path / "record.json", config["settings"]["data"]["valid"]
    assert json.loads(attend("evaluate", named, "--record", record, "--json").out)["data"] == "capitals"
    kept = json.loads(record.read_text())
    assert (kept["data"], kept["files"], kept["split"]) == ("capitals", files, "valid")
    attend("evaluate", named, "--data", *files, "--record", record, "--json")
    kept = json.loads(record.read_text())
    assert (kept["data"], kept["files"], kept["split"]) == (", ".join(files), files, None)


def test_a_record_of_an_ensemble_is_of_all_its_runs(run: Path, summary: Path, tmp_path: Path, attend: Attend) -> None:
    record = tmp_path / "record.json"
    attend("evaluate", run, "--ensemble", summary, "--record", record)
    kept = json.loads(record.read_text())
    assert (kept["runs"], kept["seeds"]) == ([str(run), str(summary)], [1, 1])
    assert kept["command"].count("&&") == 2
    assert not {"seed", "curve"} & set(kept)
    trainings = [json.loads((folder / "training.json").read_text()) for folder in (run, summary)]
    assert kept["train_seconds"] == pytest.approx(sum(training["train_seconds"] for training in trainings))
    assert kept["peak_memory_mb"] == max(training["peak_memory_mb"] for training in trainings)


def test_people_are_told_of_what_and_how(run: Path, data: Path, attend: Attend) -> None:
    first, *lines = attend("evaluate", run, "--split", "test", "--beam", "1").lines
    assert first.startswith(f"{data / 'test.s'}, {data / 'test.t'}, test: 24 examples, beam 1, length penalty 1")
    signatures = dict(line.split(": ", 1) for line in lines[-3:])
    assert set(signatures) == {"bleu", "chrf", "ter"}
    assert all("version:" in signature for signature in signatures.values())


def test_a_run_is_measured_on_what_it_was_trained_on(run: Path, data: Path, attend: Attend) -> None:
    found = json.loads(attend("evaluate", run, "--split", "train", "--beam", "1", "--json").out)
    assert found["split"] == "train"
    assert 0 < found["count"] <= len((data / "train.s").read_text().splitlines())


def test_the_loss_is_that_of_validation(run: Path, attend: Attend) -> None:
    """Step by step as in decoding, and hoisted as in training: the same numbers."""
    found = json.loads(attend("evaluate", run, "--json").out)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    best = min(line["valid_loss"] for line in log if "valid_loss" in line)
    assert found["loss"] == pytest.approx(best, rel=1e-4)


def test_only_the_part_that_is_measured_is_read(run: Path, data: Path, tmp_path: Path, attend: Attend) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    config = json.loads((moved / "config.json").read_text())
    (tmp_path / "wrong").write_bytes(b"\xff\n")
    config["settings"]["data"]["train"] = [str(tmp_path / "wrong"), str(tmp_path / "wrong")]
    for valid in (config["settings"]["data"]["valid"], []):
        config["settings"]["data"]["valid"] = valid
        (moved / "config.json").write_text(json.dumps(config))
        assert json.loads(attend("evaluate", moved, "--split", "test", "--json").out)["count"] == 24


def test_what_is_left_out_of_the_run_s_own_part_is_said(run: Path, attend: Attend) -> None:
    found = attend("evaluate", run, "--longest-input", "3", "--json")
    left_out = json.loads(found.out)["left_out"]
    assert left_out > 0
    assert f"valid: {left_out} of" in found.err


def test_empty_sides_are_left_out(run: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]) -> None:
    pairs, gold = tmp_path / "pairs.tsv", tmp_path / "gold"
    pairs.write_text("\tA\na dog\tA GOD\n")
    gold.write_text("\n0-0 1-1\n")
    form = ["--gold", gold, "--gold-form", "pharaoh"]
    done = attend("evaluate", run, "--data", pairs, *form, "--json")
    found = json.loads(done.out)
    assert (found["count"], found["split"], found["alignment_error_rate"]) == (1, None, 0)
    assert "source" in done.err
    gold.write_text("0-0\n")
    assert f"{gold}: 1 lines for 2" in fails("evaluate", run, "--data", pairs, *form)


def test_gold_links_of_other_pairs_are_refused(run: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    gold = tmp_path / "gold"
    gold.write_text("0-0 40-41\n" * 24)
    words = ["evaluate", run, "--gold", gold, "--gold-form", "pharaoh"]
    assert f"{gold}: pair 1 has" in fails(*words)
    gold.write_text("\n" * 24 + "0-0\n")
    assert f"{gold}: 25 lines for 24" in fails(*words)


def test_no_alignment_error_rate_without_attention_to_tokens(
    summary: Path, bars: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    (tmp_path / "gold").write_text("1 1 1\n")
    for folder in (summary, bars):
        assert "gold" in fails("evaluate", folder, "--gold", tmp_path / "gold")


# Whatever is predicted, on any file.


def test_a_classifier_of_pictures(
    bars: Path, pictures: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]
) -> None:
    few = tmp_path / "few"
    for number, side in enumerate(("left", "right")):
        (few / side).mkdir(parents=True)
        shutil.copy(pictures / f"{number}.png", few / side)
    for given, count in ((few, 2), (pictures, 60), (pictures / "metadata.csv", 60)):
        found = json.loads(attend("evaluate", bars, "--data", given, "--json").out)
        assert (found["count"], found["split"], found["data"]) == (count, None, str(given))
        assert found["accuracy"] > 0.9
        assert found["fixation_deviation"] >= 0
    assert "'classes'" in fails("evaluate", bars, "--beam", "2")


def test_captions_of_a_table(captions: Path, scenes: Path, attend: Attend) -> None:
    found = json.loads(attend("evaluate", captions, "--data", scenes / "captions.csv", "--beam", "2", "--json").out)
    assert (found["count"], found["beam"]) == (3, 2)
    assert {"exact_match", "bleu4", "cider", "loss", "attention_variation"} <= found.keys()
    own = json.loads(attend("evaluate", captions, "--json").out)
    assert (own["count"], own["split"]) == (8, "valid")
    assert "pointing_accuracy" in own


def test_pairs_of_texts(entailment: Path, pairs: Path, attend: Attend, tmp_path: Path) -> None:
    found = json.loads(attend("evaluate", entailment, "--split", "test", "--json").out)
    same = json.loads(attend("evaluate", entailment, "--data", pairs / "test.csv", "--json").out)
    assert found["count"] == 10
    assert [same[name] for name in ("error", "loss")] == [found[name] for name in ("error", "loss")]
    table = tmp_path / "other.csv"
    table.write_text((pairs / "test.csv").read_text().replace("first,second,target", "p,h,verdict"))
    names = ["--columns", "premise=p", "hypothesis=h", "target=verdict"]
    assert json.loads(attend("evaluate", entailment, "--data", table, *names, "--json").out)["error"] == found["error"]


def test_what_is_not_predicted_is_measured_on_its_own_data(
    drawer: Path, player: Path, pictures: Path, attend: Attend, fails: Callable[..., str]
) -> None:
    assert json.loads(attend("evaluate", drawer, "--json").out)["nats"] > 0
    assert json.loads(attend("evaluate", player, "--split", "test", "--json").out)["count"] == 20
    for folder, name in ((drawer, "drawing"), (player, "game")):
        for words in (["--data", pictures], ["--beam", "2"]):
            said = fails("evaluate", folder, *words)
            assert words[0] in said
            assert name in said


def test_what_has_changed_since_training_is_said(bars: Path, pictures: Path, tmp_path: Path, attend: Attend) -> None:
    again = tmp_path / "again"
    shutil.copytree(bars, again)
    commands = (["evaluate", again], ["show", again, "valid:1"], ["compare", bars, again, "--samples", "9"])
    for words in commands:
        assert "has changed" not in attend(*words).err
    known = again / "data.json"
    known.write_text(json.dumps(dict.fromkeys(json.loads(known.read_text()), "00000000")))
    for words in commands:
        assert f"{pictures} has changed since {again} began" in attend(*words).err


def test_a_classifier_of_noise_is_no_better_than_the_commonest_class(
    noise: Path, tmp_path: Path, attend: Attend
) -> None:
    record = tmp_path / "noise.json"
    found = json.loads(attend("evaluate", noise, "--record", record, "--json").out)
    assert (found["error"], found["baseline_chance"], found["baseline_majority"]) == (0.05, 0.5, 0.95)
    assert found["balanced_accuracy"] == 0.5
    assert found["confusion"] == {"cat": {"cat": 19}, "dog": {"cat": 1}}
    assert [one["examples"] for one in found["classes"]] == [19, 1]
    assert found["intervals"]["accuracy"][0] < 0.95 < found["intervals"]["accuracy"][1]
    assert (found["finished"], found["unknown"], found["left_out"]) == (20, 0, 0)
    assert any("'cat'" in remark for remark in found["remarks"])
    assert json.loads(record.read_text())["intervals"] == found["intervals"]
    told, card = attend("evaluate", noise).out, (noise / "README.md").read_text()
    assert all(found["remarks"][0] in said for said in (told, card))
    assert "| cat | 19 | 0 |" in told
    assert "| cat | 19 | 0 |" in card
