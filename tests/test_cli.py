"""The command line, mostly in this process; in others where a signal, a pipe or what is imported matters."""

import ast
import io
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

import attend
from attend.cli import VERBS, main
from attend.commands.predict import one_line
from attend.inspect.alignment import read_pharaoh
from attend.progress import counting, duration, training_line
from attend.record import write_card
from attend.show.formats import read_nematus, read_npz
from attend.training import Progress

WORDS = ["a", "dog", "cat", "man", "woman", "runs", "sits", "sees", "the", "red", "blue", "ball", "house"]
TINY = """
[system]
hidden = 32
embedding = 32
alignment = 32
embedding_dropout = 0.0
annotation_dropout = 0.0
readout_dropout = 0.0

[data]
unit = "word"
batch_sentences = 20

[training]
epochs = 10
learning_rate = 0.01
warmup = 10
average = 0.0
watch = "loss"

[decoding]
beam = 2
"""


def write_pairs(folder: Path, part: str, count: int, seed: int) -> None:
    """Sentences, and the same with every word in capitals and turned round."""
    choose = random.Random(seed)
    sentences = [[choose.choice(WORDS) for _ in range(choose.randint(2, 7))] for _ in range(count)]
    (folder / f"{part}.s").write_text("".join(" ".join(words) + "\n" for words in sentences))
    (folder / f"{part}.t").write_text(
        "".join(" ".join(word.upper()[::-1] for word in words) + "\n" for words in sentences)
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for seed, (part, count) in enumerate((("train", 240), ("valid", 24), ("test", 24))):
        write_pairs(folder, part, count, seed)
    (folder / "tiny.toml").write_text(TINY)
    return folder


def training(data: Path, out: Path, *more: str) -> list[str]:
    files: list[str] = []
    for part in ("train", "valid", "test"):
        files += [f"--data.{part}", str(data / f"{part}.s"), str(data / f"{part}.t")]
    return ["train", "rnnsearch-modern", "--out", str(out), "--config", str(data / "tiny.toml"), *files, *more]


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(training(data, folder)) == 0
    return folder


@pytest.fixture(scope="module")
def summary(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that looks at no words, with the same vocabulary."""
    folder = tmp_path_factory.mktemp("runs") / "last"
    assert main(training(data, folder, "--system.attention", "last", "--training.epochs", "1")) == 0
    return folder


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines"
    path.write_text("a dog runs\n\nthe red ball\n")
    return path


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that must fail says: one line, and nothing on standard output."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    said = err.splitlines()[-1]
    assert said.startswith("attend: ")
    return said


# Help, and mistakes in the command.


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
    assert all(text.count("\n  attend ") + text.count("| attend ") >= 2 for text in helps if "usage:" in text)


def test_module_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "attend", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"attend {attend.__version__}\n"


def test_no_arguments_print_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {verb} " in out for verb in VERBS)


def test_recipe_help_lists_its_settings_with_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "rnnsearch-modern", "--help"]) == 0
    out = capsys.readouterr().out
    for flag in (
        "--system.hidden",
        "--data.train",
        "--training.seed",
        "--decoding.beam",
        "(default: 256)",
        "examples:",
    ):
        assert flag in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "there is no verb 'trian'; did you mean 'train'?"),
        (["predict", "x", "--bem", "3"], "there is no flag '--bem'; did you mean '--beam'?"),
        (["show", "x", "two", "words"], "'words' is one argument too many"),
        (["train", "rnnsearch-moden", "--out", "x"], "did you mean 'rnnsearch-modern'?"),
        (["train", "rnnsearch-modern", "--out", "x", "--system.hiden", "3"], "did you mean '--system.hidden'?"),
        (["train", "rnnsearch-modern", "--ot", "x"], "did you mean '--out'?"),
        (["train", "--ot", "x"], "did you mean '--out'?"),
        (["train", "--out", "x"], "which recipe?"),
        (["train", "rnnsearch-modern"], "--out"),
        (["train", "--resume"], "--out"),
        (["train", "--resume", "--out", "x", "--training.seed", "3"], "leave out '--training.seed'"),
        (["train", "rnnsearch-modern", "--out", "x"], "data.train is not set"),
        (["compare", "x"], "two different run folders"),
        (["compare", "x", "x"], "two different run folders"),
        (["show", "x", " "], "the text is empty"),
        (["show", "x", "a", "--out", "a.doc"], "a.doc: name a file .png"),
        (["predict", "nowhere"], "nowhere is not a run folder"),
    ],
)
def test_mistakes_are_named_in_a_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in error_of(capsys, *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [["--training.seed", "x"], ["--training.schedule", "linear"]])
def test_values_of_another_type_are_refused(value: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "rnnsearch-modern", "--out", "x", *value]) == 2
    assert value[0] in capsys.readouterr().err


def test_unknown_run_names_the_nearest(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"did you mean '{run}'" in error_of(capsys, "predict", str(run.with_name("tinny")))


# Listing, checking and looking around.


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert "\nrnnsearch-modern " in capsys.readouterr().out
    assert main(["list", "--json"]) == 0
    assert "about" in json.loads(capsys.readouterr().out)["rnnsearch-modern"]


def test_check_reports_and_fails_on_what_is_fatal(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = [str(data / "train.s"), str(data / "train.t")]
    assert main(["check", "--train", *train, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"] == {"train": 240}
    (tmp_path / "short").write_text("one line\n")
    assert main(["check", "--train", train[0], str(tmp_path / "short")]) == 1
    assert "line counts differ" in capsys.readouterr().out


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["works"]
    assert {"torch", "threads", "GPU", "ATTEND_DATA"} <= {finding["subject"] for finding in found["findings"]}


# Training.


def test_training_leaves_a_whole_run(run: Path, data: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert {"config.json", "model.safetensors", "curve.png", "README.md", "metrics.json", "training.json"} <= names
    config = json.loads((run / "config.json").read_text())
    assert config["settings"]["system"]["hidden"] == tomllib.loads(TINY)["system"]["hidden"]
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["count"] == 24
    card = (run / "README.md").read_text()
    for part in (metrics["signatures"]["bleu"], str(data / "train.s"), "| training pairs | 240 |", "attend.load"):
        assert part in card


def test_the_cards_commands_work_for_any_folder_name(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'two words, "quoted"'
    shutil.copytree(run, folder)
    write_card(folder)
    card = (folder / "README.md").read_text()
    (command,) = re.findall(r"attend predict (.+)", card)
    assert shlex.split(command) == [str(folder)]
    (loaded,) = re.findall(r"attend\.load\((.+)\)", card)
    assert ast.literal_eval(loaded) == str(folder)


def test_flags_win_over_the_file(summary: Path) -> None:
    settings = json.loads((summary / "config.json").read_text())["settings"]
    assert settings["training"]["epochs"] == 1
    assert settings["training"]["learning_rate"] == 0.01


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--training.watch", "blue", "what is measured is loss, perplexity, bleu, exact_match"),
        ("--training.threads", "4096", "this machine has"),
        ("--training.epochs", "0", "epochs must be at least 1"),
        ("--system.hidden", "0", "hidden must be at least 1"),
        ("--decoding.beam", "0", "beam must be at least 1"),
        ("--training.average", "2", "average must be at least 0 and below 1"),
    ],
)
def test_what_can_not_be_trained_costs_nothing(
    flag: str, value: str, message: str, data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(run, old)
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    assert main(training(data, old, "--overwrite", flag, value)) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    assert main(training(data, new, flag, value)) == 2
    assert not new.exists()


def test_gold_links_of_other_pairs_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold = tmp_path / "gold"
    gold.write_text("0-0 40-41\n" * 24)
    said = error_of(capsys, "evaluate", str(run), "--gold", str(gold), "--gold-form", "pharaoh")
    assert f"{gold}: pair 1 has" in said
    assert "gold links go beyond them" in said
    gold.write_text("\n" * 24 + "0-0\n")
    said = error_of(capsys, "evaluate", str(run), "--gold", str(gold), "--gold-form", "pharaoh")
    assert "25 lines for 24 pairs" in said


def test_a_run_under_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert main(["train", "ram-small", "--out", str(out)]) == 2
        assert f"{tmp_path / 'file'} is a file, not a folder" in capsys.readouterr().err


def test_a_run_is_overwritten_only_when_told(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    short = ("--training.epochs", "1")
    assert main(training(data, folder, *short)) == 0
    (folder / "notes").write_text("mine")
    assert "already holds a run" in error_of(capsys, *training(data, folder, *short))
    assert main(training(data, folder, "--overwrite", "--training.seed", "2", *short)) == 0
    assert json.loads((folder / "config.json").read_text())["settings"]["training"]["seed"] == 2
    assert [path.name for path in (tmp_path / "run.old").iterdir()] == ["notes"]
    assert "not a run: choose another" in error_of(capsys, *training(data, tmp_path, *short))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[training]\nsead = 3\n", "there is no field 'training.sead'; did you mean 'seed'?"),
        ("[training]\nseed = 'x'\n", "'training.seed' must be of type int"),
        ("[training\n", "not TOML"),
        (None, "did you mean"),
    ],
)
def test_wrong_settings_files(text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text or "")
    name = str(path) if text is not None else str(tmp_path / "mime.toml")
    error = error_of(capsys, "train", "rnnsearch-modern", "--out", str(tmp_path / "x"), "--config", name)
    assert said in error
    assert name in error


def test_data_that_can_not_be_learnt_from_makes_no_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "short").write_text("one line\n")
    files = ["--data.train", str(data / "train.s"), str(tmp_path / "short")]
    assert main(["train", "rnnsearch-modern", "--out", str(tmp_path / "run"), *files]) == 2
    assert "line counts differ" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_interrupted_training_says_how_to_go_on_and_does(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "attend", *training(data, folder, "--training.epochs", "15")]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (folder / "log.jsonl").exists() and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 128 + signal.SIGINT
    assert f"attend train --resume --out {folder}" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert "is a run of 'rnnsearch-modern'" in error_of(capsys, "train", "encdec", "--resume", "--out", str(folder))
    config = json.loads((folder / "config.json").read_text())
    begun, here = config["provenance"], dict(config["provenance"])
    begun["machine"] = "another machine"
    (folder / "config.json").write_text(json.dumps(config))
    assert main(["train", "--resume", "--out", str(folder)]) == 0
    assert json.loads((folder / "training.json").read_text())["updates"] == 15 * 12
    made = json.loads((folder / "config.json").read_text())["provenance"]
    assert made == here | {"machine": f"another machine; {here['machine']}"}
    assert f"another machine; {here['machine']}" in (folder / "README.md").read_text()


def test_training_line_says_how_far_it_is() -> None:
    progress = Progress(epoch=1, update=100, updates_expected=400, seconds=50.0)
    figures = {"loss": 2.0, "nll": 1.0, "learning_rate": 1e-3}
    line = training_line(progress, figures, 4, 1234.4)
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


# Predicting.


def test_predict_writes_a_line_a_line(run: Path, lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(run), str(lines)]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("A GOD SNUR\n\nEHT DER LLAB\n", "")


def test_predict_from_standard_input_is_the_same(
    run: Path, lines: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["predict", str(run), str(lines), "--format", "jsonl"])
    from_file = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.read_bytes())))
    assert main(["predict", str(run), "--format", "jsonl"]) == 0
    assert capsys.readouterr().out == from_file


def test_predict_goes_on_after_a_chunk(
    run: Path, lines: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attend.commands.predict.CHUNK", 1)
    assert main(["predict", str(run), str(lines)]) == 0
    assert capsys.readouterr().out == "A GOD SNUR\n\nEHT DER LLAB\n"


def test_what_is_no_text_is_found_before_predicting(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attend.commands.predict.CHUNK", 1)
    (tmp_path / "lines").write_bytes(b"a dog runs\n\xff\n")
    assert main(["predict", str(run), str(tmp_path / "lines")]) == 2
    out, err = capsys.readouterr()
    assert "line 2: byte 0 of the line (0xff) is not UTF-8" in err
    assert out == ""


def test_predict_from_nothing_writes_nothing(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert main(["predict", str(run)]) == 0
    assert capsys.readouterr().out == ""


def test_predict_several_outputs(run: Path, lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(run), str(lines), "--best", "2", "--format", "tsv"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows] == [["1", "1"], ["1", "2"], ["2", "1"], ["3", "1"], ["3", "2"]]
    assert rows[0][3] == "A GOD SNUR"
    assert float(rows[0][2]) > float(rows[1][2])
    assert rows[2][2:] == ["", ""]
    assert main(["predict", str(run), str(lines), "--format", "tsv"]) == 0
    assert [len(line.split("\t")) for line in capsys.readouterr().out.splitlines()] == [2, 2, 2]


def test_predict_jsonl_has_the_attention(run: Path, lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(run), str(lines), "--format", "jsonl"]) == 0
    first, empty, _ = map(json.loads, capsys.readouterr().out.splitlines())
    output = first["outputs"][0]
    assert (first["input"], output["text"]) == ("a dog runs", "A GOD SNUR")
    assert output["tokens"] == ["A", "GOD", "SNUR", "</s>"]
    assert sum(output["token_log_probs"]) == pytest.approx(output["log_prob"], abs=1e-4)
    assert [len(row) for row in output["attention"]["weights"]] == [4, 4, 4, 4]
    assert empty == {"input": "", "outputs": []}


def test_samples_are_the_same_for_the_same_seed(run: Path, lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for seed in ("1", "1", "2"):
        assert main(["predict", str(run), str(lines), "--samples", "9", "--seed", seed, "--format", "tsv"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != outputs[2]


def test_predict_alignments(run: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, path = tmp_path / "out", tmp_path / "links"
    assert main(["predict", str(run), str(lines), "--alignments", str(path), "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    assert out.read_text() == "A GOD SNUR\n\nEHT DER LLAB\n"
    links = read_pharaoh(str(path), first=0)
    assert links[0].sure == {(0, 0), (1, 1), (2, 2)}
    assert links[1].sure == set()
    assert main(["predict", str(run), str(lines), "--alignments", str(path), "--alignment-form", "nematus"]) == 0
    traces = read_nematus(path)
    assert [trace.output for trace in traces] == ["A GOD SNUR", "", "EHT DER LLAB"]


def test_predict_with_an_ensemble_of_one_run_twice(run: Path, lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(run), str(lines), "--ensemble", str(run), "--format", "tsv"]) == 0
    twice = capsys.readouterr().out
    assert main(["predict", str(run), str(lines), "--format", "tsv"]) == 0
    assert twice == capsys.readouterr().out


def test_unknown_words_are_replaced(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, dictionary = tmp_path / "lines", tmp_path / "dictionary.tsv"
    lines.write_text("a dog runs\n")
    dictionary.write_text("one column\n")
    replacing = ["predict", str(run), str(lines), "--replace-unknown"]
    assert main(replacing) == 0
    assert capsys.readouterr().out == "A GOD SNUR\n"
    assert "line 1: 1 columns instead of 2" in error_of(capsys, *replacing, "--dictionary", str(dictionary))
    assert "--replace-unknown" in error_of(capsys, "predict", str(run), str(lines), "--dictionary", str(dictionary))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--best", "2"], "several outputs a line need --format"),
        (["--best", "3", "--format", "tsv"], "--best is 3: it must be from 1 to the beam, which is 2"),
        (["--best", "2", "--samples", "2", "--format", "tsv"], "leave out one"),
        (["--samples", "-1"], "--samples is -1"),
        (["--weights", "averaged"], "averaged.safetensors does not exist"),
    ],
)
def test_predict_refuses(
    options: list[str], said: str, run: Path, lines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in error_of(capsys, "predict", str(run), str(lines), *options)


def test_no_output_takes_the_place_of_an_input(
    run: Path, lines: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, link, record = tmp_path / "text", tmp_path / "link", tmp_path / "record.json"
    text.write_text("a dog\n")
    link.symlink_to(text)
    record.write_text('{"mine": 1}')
    already = "is read or written by this command already"
    for flag in ("--out", "--alignments"):
        assert already in error_of(capsys, "predict", str(run), str(text), flag, str(link))
    both = ("--out", str(tmp_path / "new"), "--alignments", str(tmp_path / "new"))
    assert already in error_of(capsys, "predict", str(run), str(text), *both)
    assert "is a folder" in error_of(capsys, "predict", str(run), str(text), "--out", str(tmp_path))
    assert "is a .json file" in error_of(capsys, "evaluate", str(run), "--record", str(text))
    assert "is no results record" in error_of(capsys, "evaluate", str(run), "--record", str(record))
    below = ("--out", str(text / "lengths.png"))
    assert "can't be written" in error_of(capsys, "compare", str(run), str(run.parent), *below)
    assert text.read_text() == "a dog\n"
    assert record.read_text() == '{"mine": 1}'


def test_predict_names_the_line_that_is_not_utf8(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong, out = tmp_path / "wrong", tmp_path / "out"
    wrong.write_bytes(b"a dog\n\xff\n")
    assert f"{wrong}, line 2" in error_of(capsys, "predict", str(run), str(wrong), "--out", str(out))
    assert [path.name for path in tmp_path.iterdir()] == ["wrong"]


def test_predict_names_the_nearest_file(run: Path, lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"did you mean {lines}" in error_of(capsys, "predict", str(run), str(lines.with_name("linse")))


def test_no_alignments_without_attention(summary: Path, lines: Path, tmp_path: Path) -> None:
    assert main(["predict", str(summary), str(lines), "--alignments", str(tmp_path / "links")]) == 2
    assert not (tmp_path / "links").exists()


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "attend", "--help"]
    child = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (child.returncode, child.stderr) == (128 + signal.SIGPIPE, "")


def test_one_line() -> None:
    assert one_line("a\tb\r\nc\u2028d") == "a b  c\u2028d"


# Scoring, measuring, showing, comparing.


def test_score_of_a_prediction_is_its_own(
    run: Path, lines: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["predict", str(run), str(lines), "--format", "jsonl"])
    predicted = json.loads(capsys.readouterr().out.splitlines()[0])["outputs"][0]["log_prob"]
    pair = b"a dog runs\tA GOD SNUR\n"
    for options, value in (([], predicted), (["--normalise"], predicted / 4)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pair)))
        assert main(["score", str(run), *options]) == 0
        assert float(capsys.readouterr().out) == pytest.approx(value, abs=1e-5)


def test_score_of_files(run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(data / "test.s"), str(data / "test.t")]
    assert main(["score", str(run), *files, "--json"]) == 0
    scores = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(scores) == 24
    assert all(score["log_prob"] / score["tokens"] == score["log_prob_per_token"] for score in scores)
    assert all(score["unknown"] == 0 for score in scores)
    (tmp_path / "pairs.tsv").write_text("a\tA\na\t\n")
    assert main(["score", str(run), str(tmp_path / "pairs.tsv")]) == 2
    out, err = capsys.readouterr()
    assert "line 2: the target is empty" in err
    assert out == ""


def test_score_counts_unknown_tokens(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("a dog\tA GOD\na zebra x\tA ARBEZ\na y\tA\n")
    assert main(["score", str(run), str(pairs), "--json"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["unknown"] for line in out.splitlines()] == [0, 3, 1]
    assert err == "2 of 3 pairs have tokens that are in no vocabulary (<unk>): --json counts them\n"


def test_score_of_an_ensemble_is_that_of_the_mean(
    run: Path, summary: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("a dog runs\tA GOD SNUR\n")

    def score(*more: str) -> float:
        assert main(["score", str(run), str(pairs), *more]) == 0
        return float(capsys.readouterr().out)

    alone, twice = score(), score("--ensemble", str(run))
    both, thrice = score("--ensemble", str(summary)), score("--ensemble", str(run), "--ensemble", str(summary))
    assert alone == pytest.approx(twice, abs=1e-4)
    # The other run knows next to nothing; it weighs less among three.
    assert both < thrice < alone


def test_evaluate_prints_one_object_and_records(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold, record = tmp_path / "gold.naacl", tmp_path / "results" / "tiny.json"
    sentences = (data / "test.s").read_text().splitlines()
    links = [
        f"{number} {word} {word}\n"
        for number, text in enumerate(sentences, 1)
        for word in range(1, len(text.split()) + 1)
    ]
    gold.write_text("".join(links))
    options = ["--split", "test", "--gold", str(gold), "--record", str(record), "--json"]
    assert main(["evaluate", str(run), *options]) == 0
    found = json.loads(capsys.readouterr().out)
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


def test_record_says_what_its_data_is_called(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = tmp_path / "named"
    shutil.copytree(run, named)
    config = json.loads((named / "config.json").read_text())
    config["settings"]["data"]["name"] = "capitals"
    (named / "config.json").write_text(json.dumps(config))
    record, files = tmp_path / "record.json", config["settings"]["data"]["valid"]
    assert main(["evaluate", str(named), "--record", str(record), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == "capitals"
    kept = json.loads(record.read_text())
    assert (kept["data"], kept["files"], kept["split"]) == ("capitals", files, "valid")
    assert main(["evaluate", str(named), "--data", *files, "--record", str(record), "--json"]) == 0
    kept = json.loads(record.read_text())
    assert (kept["data"], kept["files"], kept["split"]) == (", ".join(files), files, None)


def test_record_of_an_ensemble_is_of_all_its_runs(run: Path, summary: Path, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    assert main(["evaluate", str(run), "--ensemble", str(summary), "--record", str(record)]) == 0
    kept = json.loads(record.read_text())
    assert (kept["runs"], kept["seeds"]) == ([str(run), str(summary)], [1, 1])
    assert kept["command"].count("&&") == 2
    assert not {"seed", "curve"} & set(kept)
    trainings = [json.loads((folder / "training.json").read_text()) for folder in (run, summary)]
    assert kept["train_seconds"] == pytest.approx(sum(training["train_seconds"] for training in trainings))
    assert kept["peak_memory_mb"] == max(training["peak_memory_mb"] for training in trainings)


def test_evaluate_for_people_says_of_what_and_how(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--split", "test"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"{data / 'test.s'}, {data / 'test.t'}, test: 24 examples, beam 2, length penalty 1, longest 2"
    signatures = dict(line.split(": ", 1) for line in lines[-3:])
    assert set(signatures) == {"bleu", "chrf", "ter"}
    assert all("version:" in signature for signature in signatures.values())


def test_evaluate_loss_is_that_of_validation(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Step by step as in decoding, and hoisted as in training: the same numbers."""
    assert main(["evaluate", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    best = min(line["valid_loss"] for line in log if "valid_loss" in line)
    assert found["loss"] == pytest.approx(best, rel=1e-4)


def test_evaluate_leaves_out_empty_sides(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs, gold = tmp_path / "pairs.tsv", tmp_path / "gold"
    pairs.write_text("\tA\na dog\tA GOD\n")
    gold.write_text("\n0-0 1-1\n")
    form = ["--gold", str(gold), "--gold-form", "pharaoh"]
    assert main(["evaluate", str(run), "--data", str(pairs), *form, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["count"], found["split"], found["alignment_error_rate"]) == (1, None, 0)
    gold.write_text("0-0\n")
    assert "1 lines for 2 pairs" in error_of(capsys, "evaluate", str(run), "--data", str(pairs), *form)


def test_no_alignment_error_rate_without_attention(
    summary: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gold").write_text("1 1 1\n")
    said = error_of(capsys, "evaluate", str(summary), "--gold", str(tmp_path / "gold"))
    assert "does not look at the source's words" in said


def test_show_in_the_terminal(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(run), "a dog runs"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("A GOD SNUR\n")
    assert "GOD <- dog" in out
    assert "\x1b" not in out


def test_show_writes_every_form(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [tmp_path / f"look.{suffix}" for suffix in ("PNG", "svg", "html", "json", "NPZ", "pharaoh")]
    target = ["--target", "SNUR GOD A"]
    assert main(["show", str(run), "a dog runs", *target, "--out", *map(str, names)]) == 0
    assert capsys.readouterr().out == ""
    assert names[0].read_bytes().startswith(b"\x89PNG")
    assert read_npz(names[4]).output == "SNUR GOD A"
    assert len(read_pharaoh(str(names[5]), first=0)) == 1
    assert json.loads(names[3].read_text())["schema"] == "attend.trace.v1"


def test_show_takes_its_files_in_one_flag_or_in_several(run: Path, tmp_path: Path) -> None:
    names = ["a.json", "b.npz", "c.pharaoh"]
    first, second, third = (str(tmp_path / name) for name in names)
    assert main(["show", str(run), "a dog", "--out", first, second, "--out", third]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_show_outlines_gold_links(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold, plain, outlined = tmp_path / "gold", tmp_path / "plain.svg", tmp_path / "gold.svg"
    gold.write_text("0-0 1p1\n")
    given = ["show", str(run), "a dog", "--target", "A GOD"]
    form = ["--gold", str(gold), "--gold-form", "pharaoh"]
    assert main([*given, "--out", str(plain)]) == 0
    assert main([*given, *form, "--out", str(outlined)]) == 0
    assert outlined.read_text().count("stroke: #d55e00") == plain.read_text().count("stroke: #d55e00") + 2
    gold.write_text("0-0 2-1\n")
    said = error_of(capsys, *given, *form, "--out", str(outlined))
    assert f"{gold}, line 1: links word 3 to 2, but there are 2 and 2 words" in said
    assert "--gold needs --target and a picture" in error_of(capsys, *given, *form)


def test_show_says_which_font_is_missing(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Private use: no font is asked to have it.
    assert main(["show", str(run), "a \U000f1234", "--target", "A", "--out", str(tmp_path / "x.png")]) == 0
    assert "no installed font has" in capsys.readouterr().err


def test_compare(run: Path, summary: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "lengths.png"
    options = ["--split", "test", "--samples", "50", "--out", str(picture)]
    assert main(["compare", str(run), str(summary), *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["run"] for row in found["runs"]] == [str(run), str(summary)]
    (test,) = found["comparisons"]
    assert (test["run"], test["against"], test["metric"]) == (str(summary), str(run), "BLEU")
    assert test["difference"] < 0
    assert test["p"] < 0.05
    assert sum(bucket["count"] for bucket in found["by_length"][str(run)]) == 24
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["compare", str(run), str(summary), *options]) == 0
    assert capsys.readouterr().out.count("| :-- |") == 3


def test_compare_leaves_out_the_perplexity_of_other_tokens(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "characters"
    assert main(training(data, other, "--training.epochs", "1", "--data.unit", "character")) == 0
    capsys.readouterr()
    assert main(["compare", str(run), str(other), "--samples", "10", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["runs"]
    assert first["perplexity"] > 1
    assert second["perplexity"] is None
    assert second["bleu"] is not None


def test_compare_prints_shares_by_length_to_three_digits(
    run: Path, summary: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watching = tmp_path / "watching"
    shutil.copytree(run, watching)
    config = json.loads((watching / "config.json").read_text())
    config["settings"]["training"]["watch"] = "exact_match"
    (watching / "config.json").write_text(json.dumps(config))
    assert main(["compare", str(watching), str(summary), "--samples", "10"]) == 0
    rows = capsys.readouterr().out.split("| source length |")[1].splitlines()[2:]
    share = r"[01]\.\d{3} \([01]\.\d{3} to [01]\.\d{3}\)"
    assert rows
    assert all(re.fullmatch(rf"\| \d+ to \d+ \| \d+ \| {share} \| {share} \|", row) for row in rows if row)
