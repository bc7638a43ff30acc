import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from attend.attention.trace import Token, Tokens, Trace, Weights
from attend.commands.predict import one_line, replace_unknown
from attend.contract import END, UNKNOWN
from attend.inspect.alignment import read_pharaoh
from attend.show.formats import read_nematus

from .conftest import Attend, run_attend

# Text.


def test_a_line_becomes_a_line(run: Path, lines: Path, attend: Attend) -> None:
    done = attend("predict", run, lines)
    assert (done.out, done.err) == ("A GOD SNUR\n\nEHT DER LLAB\n", "")


def test_standard_input_is_the_same(run: Path, lines: Path, attend: Attend) -> None:
    from_file = attend("predict", run, lines, "--format", "jsonl").out
    assert attend("predict", run, "--format", "jsonl", stdin=lines.read_bytes()).out == from_file
    assert attend("predict", run).out == ""


def test_it_goes_on_after_a_chunk(run: Path, lines: Path, attend: Attend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attend.commands.predict.CHUNK", 1)
    assert attend("predict", run, lines).out == "A GOD SNUR\n\nEHT DER LLAB\n"


def test_a_column_of_a_table_is_the_same(run: Path, tmp_path: Path, attend: Attend) -> None:
    tables = {
        "a.tsv": "source\ttarget\na dog runs\tX\nthe red ball\t\n",
        "b.csv": "id,source\n1,a dog runs\n2,the red ball\n",
        "c.jsonl": '{"source": "a dog runs"}\n{"source": "the red ball"}\n',
        "d.csv": "english\na dog runs\nthe red ball\n",
    }
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
        columns = ["--columns", "source=english"] if name == "d.csv" else []
        assert attend("predict", run, tmp_path / name, *columns).out == "A GOD SNUR\nEHT DER LLAB\n"


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.txt", "pairs", "-"])
def test_of_a_table_the_inputs_are_read_whatever_it_is_called(
    name: str, run: Path, tmp_path: Path, attend: Attend
) -> None:
    for text in ("a dog runs\tX Y\nthe red ball\tZ\n", "target\tsource\nX Y\ta dog runs\n\tthe red ball\n"):
        (tmp_path / name).write_text(text)
        given = "-" if name == "-" else tmp_path / name
        assert attend("predict", run, given, stdin=text.encode()).out == "A GOD SNUR\nEHT DER LLAB\n"


def test_stray_spaces_and_marks_make_no_difference(run: Path, attend: Attend) -> None:
    odd = "\ufeffa dog runs\n  a  dog runs \n\ufeffa dog\ufeff runs\na dog runs\u00a0\n"
    first, *others = attend("predict", run, "--format", "tsv", stdin=odd.encode()).lines
    assert others[:2] == [first, first]
    assert first.split("\t")[1] == "A GOD SNUR"


@pytest.mark.parametrize("chunk", [1, 9])
def test_a_line_that_is_no_text_is_named_and_the_others_go_on(
    chunk: int, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attend.commands.predict.CHUNK", chunk)
    content = b"a dog runs\n\xff\nthe red ball\n"
    (tmp_path / "wrong").write_bytes(content)
    for path in (str(tmp_path / "wrong"), "-"):
        done = run_attend("predict", run, path, "--alignments", tmp_path / "links", stdin=content)
        assert (done.status, done.out) == (2, "A GOD SNUR\n\nEHT DER LLAB\n")
        assert f"{path}, line 2" in done.err
        assert "1 of 3" in done.err
        assert len((tmp_path / "links").read_text().splitlines()) == 3
    lines = [json.loads(line) for line in run_attend("predict", run, path, "--format", "jsonl", stdin=content).lines]
    assert [line.get("left_out") is None for line in lines] == [True, False, True]
    assert (lines[1]["input"], lines[1]["outputs"]) == (None, [])


def test_a_malformed_line_of_a_table_is_named_once(entailment: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("premise\thypothesis\na\tb\na\na\tb\n")
    done = run_attend("predict", entailment, tmp_path / "pairs.tsv")
    assert [bool(line) for line in done.lines] == [True, False, True]
    for name, text in (("a", b"a\n\xff\na\n"), ("b", b"b\n\xff\nb\n")):
        (tmp_path / name).write_bytes(text)
    aligned = run_attend("predict", entailment, tmp_path / "a", tmp_path / "b")
    assert (aligned.status, aligned.out) == (done.status, done.out) == (2, done.out)
    assert "1 of 3" in aligned.err


def test_several_outputs(run: Path, lines: Path, attend: Attend) -> None:
    rows = [line.split("\t") for line in attend("predict", run, lines, "--best", "2", "--format", "tsv").lines]
    assert [row[:2] for row in rows] == [["1", "1"], ["1", "2"], ["2", "1"], ["3", "1"], ["3", "2"]]
    assert rows[0][3] == "A GOD SNUR"
    assert float(rows[0][2]) > float(rows[1][2])
    assert rows[2][2:] == ["", ""]
    assert [len(line.split("\t")) for line in attend("predict", run, lines, "--format", "tsv").lines] == [2, 2, 2]


def test_jsonl_has_the_attention(run: Path, lines: Path, attend: Attend) -> None:
    first, empty, _ = map(json.loads, attend("predict", run, lines, "--format", "jsonl").lines)
    (output,) = first["outputs"]
    assert (first["input"], output["text"]) == ("a dog runs", "A GOD SNUR")
    assert output["tokens"] == ["A", "GOD", "SNUR", "</s>"]
    assert sum(output["token_log_probs"]) == pytest.approx(output["log_prob"], abs=1e-4)
    assert [len(row) for row in output["attention"]["weights"]] == [4, 4, 4, 4]
    assert (output["finished"], output["unknown"]) == (True, 0)
    assert empty == {"input": "", "outputs": []}


def test_outputs_that_were_cut_and_unknown_words_are_said(run: Path, attend: Attend) -> None:
    words = ["predict", run, "--format", "jsonl", "--longest", "1", "--beam", "1"]
    done = attend(*words, stdin=b"a zebra runs\na dog\n")
    (output,) = json.loads(done.lines[0])["outputs"]
    assert "1 of 2 lines with tokens that are in no vocabulary" in done.err
    marked = [token.get("unknown", False) for token in output["attention"]["memory"]["tokens"]]
    assert marked == [False, True, False, False]
    assert (output["finished"], output["unknown"]) == (False, 1)
    assert output["tokens"] == ["A", "</s>"]
    # The text is scored as it was predicted, cut or not.
    done = attend("score", run, "--json", stdin=b"a zebra runs\tA\n")
    assert json.loads(done.out)["log_prob"] == pytest.approx(output["log_prob"], abs=1e-4)
    done = attend("predict", run, "--longest", "1", stdin=b"a dog runs\nthe red ball\n")
    assert done.lines == ["A", "EHT"]
    assert "2 outputs" in done.err


def test_what_is_too_long_is_named_and_the_rest_goes_on(run: Path, tmp_path: Path, attend: Attend) -> None:
    (tmp_path / "lines").write_text(f"a dog runs\n{'a dog ' * 10_000}\n{'dog' * 20_000}\nthe red ball\n")
    done = run_attend("predict", run, tmp_path / "lines")
    assert (done.status, done.out) == (2, "A GOD SNUR\n\n\nEHT DER LLAB\n")
    assert ["line 2: source" in line for line in done.err.splitlines()] == [True, False, False]
    assert "line 3: source" in done.err.splitlines()[1]
    assert "2 of 4 lines" in done.err.splitlines()[-1]
    for number, reached in ((2, False), (3, True)):
        done = run_attend("predict", run, "--longest-input", number, "--format", "jsonl", stdin=b"a dog runs\n")
        found = json.loads(done.out)
        assert (bool(found["outputs"]), "--longest-input" in found.get("left_out", "")) == (reached, not reached)
        assert done.status == (0 if reached else 2)


def test_a_limit_on_inputs_is_for_what_varies(
    run: Path, bars: Path, drawer: Path, pictures: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    assert "longest_input" in fails("predict", bars, pictures / "0.png", "--longest-input", "3")
    assert "longest_input" in fails("predict", run, "--longest-input", "0")
    assert "--longest-input" in fails("evaluate", drawer, "--longest-input", "3")
    assert "--longest-input" in fails("show", run, "a dog runs", "--longest-input", "2")
    (tmp_path / "pair").write_text("a dog runs\tA GOD SNUR\n")
    assert "3 tokens" not in fails("evaluate", run, "--data", tmp_path / "pair", "--longest-input", "2")


def test_chunks_of_long_inputs_are_small(
    run: Path, lines: Path, attend: Attend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attend.commands.predict.CHUNK_CELLS", 5)
    assert attend("predict", run, lines).out == "A GOD SNUR\n\nEHT DER LLAB\n"


def test_what_needs_more_memory_than_there_is_is_refused(run: Path, fails: Callable[..., str]) -> None:
    for flag in ("--beam", "--samples"):
        assert "memory" in fails("predict", run, flag, 10**9, "--format", "tsv", stdin=b"a dog runs\n")


def test_outputs_that_go_round_are_said_and_can_be_forbidden(run: Path, attend: Attend) -> None:
    words = ["predict", run, "--beam", "1", "--longest", "40", "--format", "jsonl"]
    given = " ".join(["dog"] * 24).encode()
    done = attend(*words, stdin=given)
    (output,) = json.loads(done.out)["outputs"]
    assert "--no-repeat-ngram" in done.err
    done = attend(*words, "--no-repeat-ngram", "2", "--no-unknown", stdin=given)
    (other,) = json.loads(done.out)["outputs"]
    pairs = list(zip(other["tokens"], other["tokens"][1:], strict=False))
    assert len(set(pairs)) == len(pairs) != len(output["tokens"])
    assert "--no-repeat-ngram" not in done.err


def test_samples_are_the_same_for_the_same_seed(run: Path, lines: Path, attend: Attend) -> None:
    outputs = [
        attend("predict", run, lines, "--samples", "9", "--seed", seed, "--format", "tsv").out
        for seed in ("1", "1", "2")
    ]
    assert outputs[0] == outputs[1] != outputs[2]


def test_alignments(run: Path, lines: Path, tmp_path: Path, attend: Attend) -> None:
    out, path = tmp_path / "out", tmp_path / "links"
    assert attend("predict", run, lines, "--alignments", path, "--out", out).out == ""
    assert out.read_text() == "A GOD SNUR\n\nEHT DER LLAB\n"
    links = read_pharaoh(str(path), first=0)
    assert links[0].sure == {(0, 0), (1, 1), (2, 2)}
    assert links[1].sure == set()
    attend("predict", run, lines, "--alignments", path, "--alignment-form", "npz")
    with np.load(path) as arrays:
        assert [arrays[f"{number}/target"].size for number in (1, 2, 3)] == [4, 0, 4]
    attend("predict", run, lines, "--alignments", path, "--alignment-form", "nematus")
    assert [trace.output for trace in read_nematus(path)] == ["A GOD SNUR", "", "EHT DER LLAB"]


def test_no_alignments_without_attention_to_tokens(
    summary: Path, captions: Path, scenes: Path, lines: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    for folder, given in ((summary, lines), (captions, scenes / "0.png")):
        assert "--alignments" in fails("predict", folder, given, "--alignments", tmp_path / "links")
        assert not (tmp_path / "links").exists()


def test_an_ensemble_of_one_run_twice(run: Path, lines: Path, attend: Attend) -> None:
    twice = attend("predict", run, lines, "--ensemble", run, "--format", "tsv").out
    assert twice == attend("predict", run, lines, "--format", "tsv").out


def test_an_unknown_word_is_the_one_that_was_looked_at_most() -> None:
    source = Tokens("", tuple(Token(text) for text in ("ein", "Hund", "bellt", "</s>")))
    written = ("a", "<unk>", "barks", "</s>")
    weights = np.eye(4)
    weights[1] = [0.1, 0.3, 0.1, 0.5]  # the end is no word
    tokens = tuple(Token(text) for text in written)
    prediction: Any = SimpleNamespace(tokens=tokens, ids=(7, UNKNOWN, 8, END))
    look = Weights(weights, Tokens("", tokens), source)
    assert replace_unknown(prediction, look) == "a Hund barks"


def test_unknown_words_are_replaced(
    run: Path, bars: Path, pictures: Path, attend: Attend, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replacing = ["predict", run, "--replace-unknown"]
    assert attend(*replacing, stdin=b"a dog runs\n").out == "A GOD SNUR\n"
    # As if the output's words were in no vocabulary: each is then the word that was looked at.
    monkeypatch.setattr("attend.contract.UNKNOWN", 6)
    assert set(attend(*replacing, stdin=b"a dog runs\n").out.split()) & {"a", "dog", "runs", "A"}
    said = fails("predict", bars, pictures / "0.png", "--replace-unknown")
    assert "--replace-unknown" in said
    assert "'classes'" in said


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--best", "2"], "--format"),
        (["--best", "3", "--format", "tsv"], "best"),
        (["--best", "0"], "--best"),
        (["--best", "2", "--samples", "2", "--format", "tsv"], "--samples"),
        (["--samples", "-1"], "--samples"),
        (["--weights", "averaged"], "averaged.safetensors"),
        (["--beam", "0"], "beam"),
        (["--columns", "source"], "--columns"),
    ],
)
def test_it_refuses(options: list[str], named: str, run: Path, lines: Path, fails: Callable[..., str]) -> None:
    assert named in fails("predict", run, lines, *options)


def test_no_output_takes_the_place_of_an_input(
    run: Path, lines: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    text, link, record = tmp_path / "text", tmp_path / "link", tmp_path / "record.json"
    text.write_text("a dog\n")
    link.symlink_to(text)
    record.write_text('{"mine": 1}')
    for flag in ("--out", "--alignments"):
        assert str(link) in fails("predict", run, text, flag, link)
    assert str(tmp_path / "new") in fails(
        "predict", run, text, "--out", tmp_path / "new", "--alignments", tmp_path / "new"
    )
    assert str(tmp_path) in fails("predict", run, text, "--out", tmp_path)
    assert str(text) in fails("evaluate", run, "--record", text)
    assert str(record) in fails("evaluate", run, "--record", record)
    assert str(text / "lengths.png") in fails("compare", run, run.parent, "--out", text / "lengths.png")
    assert text.read_text() == "a dog\n"
    assert record.read_text() == '{"mine": 1}'


def test_the_nearest_file_is_named(run: Path, lines: Path, fails: Callable[..., str]) -> None:
    assert f"{lines}?" in fails("predict", run, lines.with_name("linse"))


def test_one_line() -> None:
    assert one_line("a\tb\r\nc\u2028d") == "a b  c\u2028d"


# Images.


def test_pictures_are_answered_in_order(bars: Path, pictures: Path, attend: Attend) -> None:
    files = [str(pictures / f"{number}.png") for number in (0, 1, 2)]
    assert attend("predict", bars, *files).lines == ["left", "right", "left"]
    rows = [line.split("\t") for line in attend("predict", bars, *files, "--format", "tsv").lines]
    assert [row[0] for row in rows] == files
    assert all(-0.7 <= float(row[1]) <= 0 for row in rows)
    found = json.loads(attend("predict", bars, files[0], "--format", "jsonl").out)
    assert found.keys() == {"input", "text", "score", "trace", "finished", "unknown"}
    assert Trace.from_json(found["trace"]).output == "left"


def test_pictures_of_a_table_bear_its_names(bars: Path, pictures: Path, attend: Attend) -> None:
    rows = [line.split("\t") for line in attend("predict", bars, pictures / "metadata.csv", "--format", "tsv").lines]
    assert [row[0] for row in rows] == [f"{number}.png" for number in range(60)]
    assert sum(row[2] == ("left", "right")[number % 2] for number, row in enumerate(rows)) > 50


def test_a_classifier_has_its_likeliest_classes_and_samples(bars: Path, pictures: Path, attend: Attend) -> None:
    words = ["predict", bars, pictures / "0.png", pictures / "1.png", "--format"]
    rows = [line.split("\t") for line in attend(*words, "tsv", "--best", "2").lines]
    assert [row[1::2] for row in rows] == [["1", "left"], ["2", "right"], ["1", "right"], ["2", "left"]]
    found = json.loads(attend(*words, "jsonl", "--best", "2").lines[0])
    assert [one["text"] for one in found["outputs"]] == ["left", "right"]
    assert sum(found["outputs"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    sampled = [row.split("\t")[3] for row in attend(*words, "tsv", "--samples", "40").lines]
    assert set(sampled) == {"left", "right"}
    assert attend(*words, "tsv", "--ensemble", bars).lines == attend(*words, "tsv").lines


def test_a_folder_is_answered_but_for_what_can_not_be_read(bars: Path, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    (folder / "more").mkdir(parents=True)
    files = [folder / name for name in ("a.png", "b.jpg", "more/c.png")]
    shutil.copy(pictures / "1.png", files[0])
    files[1].write_bytes(b"no picture")
    shutil.copy(pictures / "0.png", files[2])
    (folder / "notes.txt").write_text("no picture either")
    done = run_attend("predict", bars, folder)
    assert (done.status, done.out) == (2, "right\n\nleft\n")
    assert f"{files[1]}: " in done.err
    assert "1 left out, not a .png" in done.err
    assert "notes.txt" in done.err
    assert "1 of 3 files" in done.err.splitlines()[-1]
    out = tmp_path / "answers.tsv"
    assert run_attend("predict", bars, folder, "--format", "tsv", "--out", out).status == 2
    rows = [line.split("\t") for line in out.read_text().splitlines()]
    assert [row[0] for row in rows] == [str(file) for file in files]
    assert rows[1][1:] == ["", ""]
    unread, read = map(json.loads, run_attend("predict", bars, files[1], files[0], "--format", "jsonl").lines)
    assert "PNG" in unread.pop("left_out")
    assert unread == {"input": str(files[1]), "text": None, "score": None, "trace": None}
    assert (read["finished"], read["unknown"]) == (True, 0)
    assert read["text"] == "right"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["{run}"], ["'ram'"]),
        (["{run}", "nowhere.png"], ["nowhere.png"]),
        (["{run}", "{pictures}/empty"], ["{pictures}/empty", ".png"]),
        (["{run}", "{pictures}", "--out", "{picture}"], ["{picture}"]),
        (["{run}", "{picture}", "--beam", "3"], ["beam", "'classes'"]),
        (["{run}", "{picture}", "--longest", "3"], ["longest", "'classes'"]),
        (["{run}", "{picture}", "--alignments", "nowhere"], ["--alignments", "'classes'"]),
    ],
)
def test_what_a_classifier_of_images_can_not_do_is_said(
    arguments: list[str], named: list[str], bars: Path, pictures: Path, fails: Callable[..., str]
) -> None:
    def filled(words: list[str]) -> list[str]:
        return [word.format(run=bars, picture=pictures / "0.png", pictures=pictures) for word in words]

    said = fails("predict", *filled(arguments))
    assert [name for name in filled(named) if name not in said] == []


def test_captions_are_searched_for_and_sampled(captions: Path, scenes: Path, attend: Attend) -> None:
    words = ["predict", captions, scenes / "0.png", scenes / "1.png", "--format"]
    best = [line.split("\t") for line in attend(*words, "tsv", "--best", "3", "--beam", "4").lines]
    assert [row[:2] for row in best] == [[str(scenes / f"{n}.png"), str(rank)] for n in (0, 1) for rank in (1, 2, 3)]
    assert float(best[0][2]) >= float(best[1][2]) >= float(best[2][2])
    samples = [attend(*words, "tsv", "--samples", "3", "--seed", seed).out for seed in ("1", "1", "2")]
    assert samples[0] == samples[1] != samples[2]
    assert attend(*words, "tsv", "--ensemble", captions).out == attend(*words, "tsv").out
    found = json.loads(attend(*words, "jsonl", "--samples", "2", "--longest", "2").lines[0])
    assert len(found["outputs"]) == 2
    assert all(len(one["tokens"]) <= 3 for one in found["outputs"])
    assert Trace.from_json(found["trace"]).looks["image"].memory.kind == "grid"  # pyright: ignore


def test_grids_of_a_file_are_numbered(tmp_path: Path, attend: Attend, fails: Callable[..., str]) -> None:
    grids, out = np.random.default_rng(0).random((6, 2, 3, 4), dtype=np.float32), tmp_path / "run"
    np.savez(tmp_path / "some.npz", features=grids)
    (tmp_path / "captions").write_text("a dog\na cat\n" * 3)
    small = [word for name in ("embedding", "hidden", "alignment") for word in (f"--system.{name}", "8")]
    files = ["--data.train", tmp_path / "some.npz", tmp_path / "captions", "--training.epochs", "1"]
    attend("train", "captioner-paper", "--out", out, *files, *small, "--decoding.longest", "3")
    rows = [line.split("\t") for line in attend("predict", out, tmp_path / "some.npz", "--format", "tsv").lines]
    assert [row[0] for row in rows] == [f"{tmp_path / 'some.npz'}:{number}" for number in range(1, 7)]
    assert "7" in fails("show", out, f"{tmp_path / 'some.npz'}:7")
    assert attend("show", out, rows[1][0]).out.startswith("some.npz:2: ")


# Several inputs.


def test_rows_of_two_texts(entailment: Path, pairs: Path, tmp_path: Path, attend: Attend) -> None:
    table = pairs / "test.csv"  # the run's own tables have these columns
    answers = attend("predict", entailment, table).lines
    assert len(answers) == 10
    assert set(answers) <= {"same", "other"}
    rows = [line.split("\t") for line in attend("predict", entailment, table, "--best", "2", "--format", "tsv").lines]
    assert [row[:2] for row in rows[:3]] == [["1", "1"], ["1", "2"], ["2", "1"]]
    found = json.loads(attend("predict", entailment, table, "--format", "jsonl").lines[0])
    first, second, _ = table.read_text().splitlines()[1].split(",")
    assert found["input"] == {"premise": first, "hypothesis": second}
    (output,) = found["outputs"]
    assert output["probabilities"].keys() == {"same", "other"}
    assert output["attention"]["memory"]["text"] == first
    attend("predict", entailment, table, "--alignments", tmp_path / "links")
    assert len(read_pharaoh(str(tmp_path / "links"), first=0)) == 10
    lines = [line.rsplit(",", 1)[0].replace(",", "\t") for line in table.read_text().splitlines()[1:]]
    for head in ([], ["first\tsecond"], ["premise\thypothesis"]):  # the run's own tables have the former
        assert attend("predict", entailment, stdin="\n".join([*head, *lines]).encode()).lines == answers
    (tmp_path / "a").write_text("\n".join(line.split("\t")[0] for line in lines))
    (tmp_path / "b").write_text("\n".join(line.split("\t")[1] for line in lines))
    assert attend("predict", entailment, tmp_path / "a", tmp_path / "b").lines == answers


def test_a_row_with_an_empty_text_is_named(entailment: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("premise\thypothesis\na dog runs\tthe dog sits\n\tthe dog sits\n")
    done = run_attend("predict", entailment, tmp_path / "pairs.tsv")
    assert done.status == 2
    assert [bool(line) for line in done.lines] == [True, False]
    assert "line 3: premise" in done.err


# What has no predictions.


def test_what_has_no_predictions_is_said(drawer: Path, player: Path, scenes: Path, fails: Callable[..., str]) -> None:
    assert "drawing has no predictions" in fails("predict", drawer, scenes / "0.png")
    assert "game has no predictions" in fails("predict", player, scenes / "0.png")
