"""The supervised task: rows to columns, what is left out and what refused, batches, and predictions in order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from attend import decoding
from attend.contract import Batch, StoredTask
from attend.data.examples import TARGET, Row
from attend.data.files import DataError
from attend.data.own import Files
from attend.fields.image import Image
from attend.fields.text import Text
from attend.outputs.classes import Classes
from attend.outputs.output import Wanted
from attend.outputs.sequence import Decoding, SequenceOutput
from attend.outputs.sequence import Sequence as Tokens
from attend.task import LeftOut, Supervised, device_of
from attend.training import Training
from small_models import Bigrams, Config, Given, Made, Sorter, log_probs_by_hand, prepared, rows

WORDS = Text("word", 30, longest=6)
SOURCES = ["a b", "c", "a b c d", "d c", "b", "a a a", "c d a"]
TARGETS = ["x y", "y", "x x y y", "y y y", "x", "x y x", "y x"]


def pairs(folder: Path, sources: Any = SOURCES, targets: Any = TARGETS, valid: Any = None, **more: Any) -> Made:
    """A task from a source to a target, both texts."""
    training = rows(targets, source=sources)
    data = Given({"train": training, "valid": valid or training[:4]})
    return prepared(folder, Bigrams, {"source": WORDS}, Tokens("word", 30, longest=6), data, **more)


def every(task: Supervised, epoch: int) -> list[int]:
    return [index for batch in task.plan(epoch) for index in batch]


# Sizes, and what fields share


def test_a_task_is_what_a_run_keeps(tmp_path: Path):
    task = pairs(tmp_path).task
    assert isinstance(task, StoredTask)
    assert {path.name for path in tmp_path.iterdir()} == set(Supervised.kept(task.settings))
    assert task.unit == "tokens"
    assert set(task.measures) == {"bleu", "exact_match"}


def test_sizes_come_to_a_system_by_their_names(tmp_path: Path):
    task = pairs(tmp_path).task
    assert task.sizes() == {"source_vocabulary": 8, "target_vocabulary": 6}
    system = task.build()
    assert system.table.shape == (6, 6)  # type: ignore[union-attr]
    assert system.embedding.weight.shape == (8, 8)  # type: ignore[union-attr]


class Other(nn.Module):
    def __init__(self, config: Config, image_channels: int, target_vocabulary: int) -> None: ...


def test_a_size_that_nothing_gives_is_named(tmp_path: Path):
    task = pairs(tmp_path).task
    task.recipe = replace(task.recipe, system=Other)
    with pytest.raises(ValueError, match=r"'image_channels'.*source_vocabulary, target_vocabulary"):
        task.build()


def test_fields_that_are_alike_share_one_vocabulary_learnt_from_all_of_them(tmp_path: Path):
    fields = {"first": WORDS, "second": Text("word", 30, like="first")}
    data = Given(dict.fromkeys(("train", "valid"), rows(["e", "f"], first=["a", "b"], second=["c", "d"])))
    task = prepared(tmp_path, Bigrams, fields, Tokens("word", 30, like="first"), data).task
    assert (
        len({id(codec) for codec in (task.fields["first"].codec, task.fields["second"].codec, task.output.field.codec)})
        == 1
    )  # type: ignore[attr-defined]
    assert task.sizes() == {"first_vocabulary": 10, "second_vocabulary": 10, "target_vocabulary": 10}
    apart = prepared(tmp_path, Bigrams, {**fields, "second": WORDS}, Tokens("word", 30), data).task
    assert apart.sizes() == {"first_vocabulary": 6, "second_vocabulary": 6, "target_vocabulary": 6}


@pytest.mark.parametrize(
    ("fields", "output", "named"),
    [
        ({"first": Text(like="frist")}, Tokens(), r"inputs\.first\.like is 'frist'"),
        ({"first": WORDS}, Tokens(like="source"), r"output\.like is 'source'.*first"),
    ],
)
def test_a_field_that_is_like_none_is_named(fields: Any, output: Any, named: str, tmp_path: Path):
    data = Given(dict.fromkeys(("train", "valid"), rows(["e"], first=["a"])))
    with pytest.raises(ValueError, match=named):
        prepared(tmp_path, Bigrams, fields, output, data)


# Reading


def test_rows_that_can_not_be_used_are_left_out_counted_and_named(tmp_path: Path):
    made = pairs(tmp_path, [*SOURCES, " ", "a " * 7, ""], [*TARGETS, "x", "x", "x"])
    assert len(made.task.training) == len(SOURCES)
    assert "train: 7 examples; 3 of 10 left out" in made.told
    assert "2 whose source is empty (row 8, row 10)" in made.told
    assert "1 whose source has more than 6 tokens (row 9)" in made.told
    assert made.task.counts()["training examples"] == 7


def test_what_is_left_out_is_shortened():
    found = LeftOut(12)
    for number in range(5):
        found.add("is bad", f"row {number}")
    found.add("is bad", "row 0", 2)
    assert str(found) == "7 of 12 left out: 7 whose is bad (row 0, row 1, row 2, ...)"


def test_validation_rows_are_never_too_long(tmp_path: Path):
    long = rows(["x " * 9], source=["a " * 9])
    task = pairs(tmp_path, valid=long).task
    assert len(task.frozen["valid"].targets[0]) == 10


@pytest.mark.parametrize("part", ["train", "valid"])
def test_a_part_of_which_nothing_is_left_is_named(part: str, tmp_path: Path):
    parts = {"train": rows(TARGETS, source=SOURCES), "valid": rows(TARGETS, source=SOURCES)}
    parts[part] = rows(["x", " "], source=[" ", "a"])
    with pytest.raises(DataError, match="2 of 2 left out") as caught:
        prepared(tmp_path, Bigrams, {"source": WORDS}, Tokens("word", 30), Given({**parts, "train": parts["train"]}))
    assert caught.value.file == f"{part} rows"


def test_a_value_that_makes_the_data_wrong_is_named_by_row_and_column(tmp_path: Path):
    images = [np.zeros((1, 4, 4), np.uint8)] * 3
    parts = {"train": rows(["a", "b", "a"], image=images), "valid": rows(["a", "z"], image=images[:2])}
    with pytest.raises(DataError, match="target is 'z'") as caught:
        prepared(tmp_path, Sorter, {"image": Image()}, Classes(), Given(parts))
    assert (caught.value.file, caught.value.line) == ("valid rows", 2)
    parts["valid"] = rows(["a", "b", "b"], image=[images[0], images[0], np.zeros((1, 4, 5), np.uint8)])
    with pytest.raises(DataError, match=r"image .*\[1, 4, 5\]") as caught:
        prepared(tmp_path, Sorter, {"image": Image()}, Classes(), Given(parts))
    assert (caught.value.file, caught.value.line) == ("valid rows", 3)
    # A row that stands in no line is named.
    parts["valid"] = [replace(row, line=0) for row in parts["valid"]]
    with pytest.raises(DataError, match="row 3: image"):
        prepared(tmp_path, Sorter, {"image": Image()}, Classes(), Given(parts))


def test_several_captions_of_an_image_are_all_learnt_and_the_wrong_ones_left_out_alone(tmp_path: Path):
    images = [np.full((1, 4, 4), 50 * number, np.uint8) for number in range(4)]
    targets = [("a", "b"), ("c " * 9, "d"), ("\0",), ("e",)]
    output = Tokens("word", 30, longest=6, tidy=True, metrics="captions")
    data = Given({"train": rows(targets, image=images), "valid": rows(targets, image=images)})
    made = prepared(tmp_path, Bigrams, {"image": Image()}, output, data, decoding=Decoding(longest=5))
    part = made.task.training
    spell = made.task.output.field.codec.decode  # type: ignore[attr-defined]
    assert [spell(ids.tolist()) for ids in part.targets] == ["a", "b", "d", "e"]
    assert list(part.row) == [0, 0, 1, 2]
    assert "train: 4 examples; 2 of 6 left out" in made.told
    assert "1 whose target has more than 6 tokens (row 2)" in made.told
    assert "1 whose target has the control character U+0000 (row 3)" in made.told
    batch = made.task.batch(0, [1, 3])
    np.testing.assert_allclose(batch.inputs["image"][:, 0, 0, 0] * 255, [0, 150], atol=1e-4)
    # To measure on, a long one is kept; every row has all of its own.
    valid = made.task.frozen["valid"]
    assert [row.name for row in valid.rows] == ["row 1", "row 2", "row 4"]
    assert valid.given == ["a", "b", "c " * 9, "d", "e"]
    assert made.task.counts()["training examples"] == 4


def test_what_is_set_aside_is_not_learnt_from(tmp_path: Path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"s{number}\tt{number}\n" for number in range(20)))
    data = Files(train=(str(path),), held_out=0.25)
    task = prepared(tmp_path / "run", Bigrams, {"source": WORDS}, Tokens("word", 30), data).task
    spell = task.output.field.codec.decode  # type: ignore[attr-defined]
    valid = {row.values[TARGET] for row in task.frozen["valid"].rows}
    assert len(valid) == 5
    assert {spell(ids.tolist()) for ids in task.training.targets} | valid == {f"t{number}" for number in range(20)}
    assert len(task.training) == 15


def test_a_task_that_is_opened_again_is_the_same(tmp_path: Path):
    made = pairs(tmp_path).task
    opened = Supervised.open(made.recipe, made.settings, tmp_path)
    assert opened.sizes() == made.sizes()
    opened.read(lambda line: None)
    assert [opened.plan(epoch) for epoch in range(3)] == [made.plan(epoch) for epoch in range(3)]
    one, other = (task.batch(0, [3, 1]) for task in (made, opened))
    torch.testing.assert_close(one.inputs["source"].values, other.inputs["source"].values)
    torch.testing.assert_close(one.target.values, other.target.values)
    assert opened.counts() == made.counts()


def test_files_that_can_not_be_learnt_from_are_refused_with_their_first_line(tmp_path: Path):
    (tmp_path / "pairs.tsv").write_text("a\tx\nonly\nb\ty\nc\td\te\n")
    data = Files(train=(str(tmp_path / "pairs.tsv"),), valid=(str(tmp_path / "pairs.tsv"),))
    with pytest.raises(ValueError, match=r"pairs\.tsv, line 2") as caught:
        prepared(tmp_path / "run", Bigrams, {"source": WORDS}, Tokens("word", 30), data)
    assert "attend check" in str(caught.value)  # which names the others
    assert list((tmp_path / "run").iterdir()) == []


def test_what_looks_wrong_with_files_is_counted(tmp_path: Path):
    path = str(tmp_path / "pairs.tsv")
    (tmp_path / "pairs.tsv").write_text("a\tx\na\tx\nb\ty\n")
    made = prepared(
        tmp_path / "run", Bigrams, {"source": WORDS}, Tokens("word", 30), Files(train=(path,), valid=(path,))
    )
    assert "duplicate" in made.told
    assert "attend check" in made.told


# Batches


def test_examples_that_training_has_too_are_counted_whatever_they_are_read_from(tmp_path: Path):
    made = pairs(tmp_path)
    assert "valid: 4 of 4 examples" in made.told
    assert made.task.counts()["valid examples of inputs that training has too"] == 4
    assert "valid: " not in pairs(tmp_path, valid=rows(["x"], source=["d d d"])).told.replace("valid: 1 example\n", "")


def test_pictures_are_the_same_by_their_pixels(tmp_path: Path):
    pixels = [np.full((1, 4, 4), shade, dtype=np.uint8) for shade in (10, 20, 30, 10, 10)]
    made = prepared(
        tmp_path,
        Sorter,
        {"image": Image()},
        Classes(),
        Given(
            {
                "train": rows(["a", "b", "b", "b", "a"], image=pixels),
                "valid": rows(["a", "b"], image=[pixels[1], pixels[0] + 90]),
            }
        ),
    )
    assert "valid: 1 of 2 examples" in made.told
    assert "train: 1 example of another class" in made.told


@pytest.mark.parametrize("how", [Training(batch=2), Training(batch=2, batch_tokens=9)])
def test_an_epoch_is_the_same_whoever_asks_and_has_every_example_once(how: Training, tmp_path: Path):
    task = pairs(tmp_path, SOURCES * 3, TARGETS * 3, training=how).task
    first = task.plan(1)
    assert sorted(every(task, 0)) == sorted(every(task, 1)) == list(range(21))
    assert task.plan(1) == first != task.plan(0)
    # Whatever chance was used for in between.
    np.random.seed(3)
    torch.manual_seed(3)
    assert Supervised.plan(task, 1) == first
    other = pairs(tmp_path, SOURCES * 3, TARGETS * 3, training=replace(how, seed=2)).task
    assert other.plan(1) != first
    if how.batch_tokens:
        for batch in (task.batch(0, indices) for indices in task.plan(0)):
            assert batch.inputs["source"].values.numel() <= 9
            assert batch.target.values.numel() <= 9


def test_a_batch_has_the_inputs_and_targets_of_its_rows(tmp_path: Path):
    task = pairs(tmp_path).task
    batch = task.batch(0, [2, 1])
    assert batch.inputs["source"].mask.sum(1).tolist() == [5, 2]
    assert batch.target.mask.sum(1).tolist() == [5, 2]
    read = task.fields["source"].codec  # type: ignore[attr-defined]
    assert [read.decode(ids.tolist()) for ids in batch.inputs["source"].values] == [SOURCES[2], SOURCES[1]]


def test_validation_has_every_target_once(tmp_path: Path):
    task = pairs(tmp_path, valid=rows(TARGETS * 40, source=SOURCES * 40)).task
    batches = list(task.validation())
    assert sum(map(len, batches)) == 280
    assert max(map(len, batches)) == 64
    assert sum(int(batch.target.mask.sum()) for batch in batches) == 40 * sum(len(text.split()) + 1 for text in TARGETS)


def test_a_part_of_the_validation_rows_is_measured_evenly_chosen_with_all_of_their_targets(tmp_path: Path):
    output = Tokens("word", 30, tidy=True, metrics="captions")
    valid = rows([(f"x{n}", f"y{n}") for n in range(9)], source=[f"s{n}" for n in range(9)])
    data = Given({"train": valid, "valid": valid})
    some, all_of_them = (
        prepared(tmp_path / f"{most}", Bigrams, {"source": WORDS}, output, data, training=Training(measured=most)).task
        for most in (3, 50)
    )
    part = some.measured
    assert [row.values["source"] for row in part.rows] == ["s0", "s3", "s6"]
    assert part.given == ["x0", "y0", "x3", "y3", "x6", "y6"]
    assert list(part.row) == [0, 0, 1, 1, 2, 2]
    assert sum(map(len, some.validation())) == 6
    assert all_of_them.measured is all_of_them.frozen["valid"]


# What is new in every epoch


@dataclass(frozen=True)
class Draws:
    """The settings of examples that are new ones in every epoch, each of as many letters as its number."""

    name: str = "draws"

    def open(self, columns: Any, seed: int, log: Any) -> "Drawn":
        return Drawn(seed)

    def reads(self) -> tuple[str, ...]:
        return ()

    def files(self, split: str) -> tuple[str, ...]:
        return (f"draws ({split})",)


class Drawn:
    splits: tuple[str, ...] = ("train", "valid")

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __len__(self) -> int:
        return 12

    def row(self, epoch: int | None, index: int) -> Row:
        seed = [0 if epoch is None else self.seed, 0 if epoch is None else epoch + 1, index]
        letters = np.random.default_rng(seed).choice(list("abcd"), index % 5 + 1)
        return Row({"source": " ".join(letters), TARGET: " ".join(letters).upper()}, f"draw {index}")

    def rows(self, split: str) -> Iterator[Row]:
        if split == "train":
            yield Row({"source": "a b c d", TARGET: "A B C D"})
        else:
            yield from (self.row(None, index) for index in range(4))

    def column(self, epoch: int, name: str) -> list[str]:
        return [self.row(epoch, index).values[name] for index in range(len(self))]

    def draw(self, epoch: int, index: np.ndarray) -> list[Row]:
        return [self.row(epoch, number) for number in index.tolist()]


def drawn(folder: Path, seed: int = 1) -> Made:
    how = Training(seed=seed, batch=4)
    return prepared(folder, Bigrams, {"source": WORDS}, Tokens("word", 30), Draws(), training=how)


def read(task: Supervised, batch: Batch) -> list[str]:
    return [task.fields["source"].codec.decode(ids.tolist()) for ids in batch.inputs["source"].values]  # type: ignore[attr-defined]


def test_fresh_examples_are_others_in_every_epoch_and_the_same_for_the_same_one(tmp_path: Path):
    made = drawn(tmp_path)
    task = made.task
    assert task.train is None
    assert "12 new examples an epoch" in made.told
    assert task.counts()["training examples"] == 12
    first = read(task, task.batch(0, [3, 9]))
    assert first == [Drawn(1).row(0, index).values["source"] for index in (3, 9)]
    assert read(task, task.batch(1, [3, 9])) != first
    opened = Supervised.open(task.recipe, task.settings, tmp_path)
    opened.read(lambda line: None)
    opened.plan(5)
    assert read(opened, opened.batch(0, [3, 9])) == first
    batch = task.batch(0, [3])
    assert task.output.field.codec.decode(batch.target.values[0].tolist()) == first[0].upper()  # type: ignore[attr-defined]


def test_the_epoch_of_fresh_examples_is_planned_by_their_lengths(tmp_path: Path):
    task = drawn(tmp_path).task
    assert sorted(every(task, 0)) == list(range(12))
    assert task.plan(0) != task.plan(1)
    ranges = sorted((min(n % 5 for n in batch), max(n % 5 for n in batch)) for batch in task.plan(0))
    assert all(before[1] <= after[0] for before, after in pairwise(ranges))


def test_what_fresh_examples_are_measured_on_is_frozen(tmp_path: Path):
    one, other = drawn(tmp_path).task, drawn(tmp_path, seed=2).task
    assert [row.values for row in one.frozen["valid"].rows] == [row.values for row in other.frozen["valid"].rows]
    assert read(one, one.batch(0, [3])) != read(other, other.batch(0, [3]))


# Predicting


def sorting(folder: Path, count: int = 300) -> Supervised:
    choose = np.random.default_rng(0)
    texts = [" ".join(choose.choice(list("abcdef"), choose.integers(1, 7))) for _ in range(count)]
    data = Given(dict.fromkeys(("train", "valid"), rows([text[0] for text in texts], text=texts)))
    return prepared(folder, Sorter, {"text": WORDS}, Classes(), data).task


def test_predictions_are_in_order_whatever_goes_together(tmp_path: Path):
    task = sorting(tmp_path)
    system, cases = task.build(), task.cases(task.frozen["valid"])
    told: list[Any] = []
    found = task.predict(system, cases, task.settings.decoding, Wanted(), lambda *done: told.append(done))
    table = system.table.detach()  # type: ignore[union-attr]
    first = [case["text"].encoded[0] for case in cases]
    assert [several[0].ids[0] for several in found] == table[first].argmax(1).tolist()
    assert told[-1] == (300, 300, 1.0)
    assert all(share <= done / of for done, of, share in told)  # short inputs come first
    assert len(told) > 1
    # Looks are those of the example, without padding.
    for case, (result, *_) in zip(cases, found, strict=True):
        assert result.looks["text"].values.shape == (2, len(case["text"].encoded))  # type: ignore[union-attr]


def test_given_targets_are_scored_in_order(tmp_path: Path):
    task = pairs(tmp_path, valid=rows(TARGETS, source=SOURCES)).task
    system = task.build().eval()
    part = task.frozen["valid"]
    found = task.force(system, task.cases(part), part.given, task.settings.decoding)
    for result, ids in zip(found, part.targets, strict=True):
        assert result.token_log_probs == pytest.approx(log_probs_by_hand(system, list(ids)), abs=1e-5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="target 2 is empty"):
        task.force(system, task.cases(part)[:2], ["x", " "], task.settings.decoding)


def test_what_is_measured_is_what_is_predicted(tmp_path: Path):
    task = sorting(tmp_path, 60)
    system = task.build().eval()
    cases = task.cases(task.frozen["valid"])
    right = [
        several[0].text == case["text"].text[0]
        for case, several in zip(cases, task.predict(system, cases, task.settings.decoding, Wanted()), strict=True)
    ]
    assert task.measure(system)["accuracy"] == pytest.approx(np.mean(right))


def test_a_reference_of_any_length_can_be_written_when_weights_are_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[Decoding] = []
    plain = SequenceOutput.texts

    def texts(output: Any, system: Any, batch: Any, how: Any) -> list[str]:
        asked.append(how)
        return plain(output, system, batch, how)

    monkeypatch.setattr(SequenceOutput, "texts", texts)
    for valid in (rows(["x"], source=["a"]), rows(["x", "y " * 20], source=["a", "b"])):
        task = pairs(tmp_path, valid=valid).task
        task.measure(task.build().eval())
    # 21 tokens with END, of which 10 are spare, for a source of two.
    assert sorted({how.ratio for how in asked}) == [2.0, 6]


def test_inputs_are_given_by_their_names(tmp_path: Path):
    fields = {"premise": WORDS, "hypothesis": Text("word", 30, like="premise")}
    data = Given(dict.fromkeys(("train", "valid"), rows(["a", "b"], premise=["a", "b"], hypothesis=["c", "d"])))
    task = prepared(tmp_path, Sorter, fields, Classes(), data).task
    case = task.case({"hypothesis": "d", "premise": "a b"})
    assert [value.text for value in case.values()] == ["a b", "d"]
    wrong: Sequence[tuple[Mapping[str, Any], str]] = [
        ({"premise": "a"}, "'hypothesis' is missing.*premise, hypothesis"),
        ({"premise": "a", "hypotesis": "d"}, "'hypotesis'.*'hypothesis'"),
        ({"premise": "a", "hypothesis": " "}, "hypothesis: the text is empty"),
    ]
    for given, named in wrong:
        with pytest.raises(ValueError, match=named):
            task.case(given)


def test_where_a_system_is_is_found_behind_what_is_around_it():
    system = Bigrams(Config(), 5, 5)
    around = [decoding.Ensemble([system]), decoding.Shuffled(system, torch.Generator()), system]
    assert [device_of(one) for one in around] == [torch.device("cpu")] * 3
    assert device_of(object()) == torch.device("cpu")
