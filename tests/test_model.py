"""A trained model and what it predicts, held against systems known by heart, and one that has learnt."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import attend
from attend.attention.glimpse import Views
from attend.attention.trace import Grid as GridAxis
from attend.attention.trace import Named, Picture, Tokens, Trace, Weights, Windows
from attend.contract import Answers, Batch, Look
from attend.data.examples import Row, Truth
from attend.fields.grid import Grid
from attend.fields.image import Image
from attend.fields.text import Text
from attend.model import Model, Prediction, drawn_cells, windows
from attend.outputs.classes import Classes
from attend.outputs.sequence import Decoding, Sequence
from attend.systems import captioner
from small_models import Bigrams, Config, Given, Sorter, log_probs_by_hand, model_of, prepared, rows, weights_by_hand

WORDS = Text("word", 30)
SOURCES, TARGETS = ["a b", "c", "a b c d", "d c"], ["x y", "y", "x x y y", "y z y"]
TEXTS, LABELS = ["a b", "c", "a b c d", "d c"], ["first", "second", "first", "third"]


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A text to a text, by `Bigrams`."""
    part = [replace(row, group=group) for row, group in zip(rows(TARGETS, source=SOURCES), "ppqq", strict=True)]
    data = Given({"train": part, "valid": part})
    decoding = Decoding(beam=3, longest=6)
    made = prepared(
        tmp_path_factory.mktemp("writer"), Bigrams, {"source": WORDS}, Sequence("word", 30), data, decoding=decoding
    )
    return model_of(made.task)


@pytest.fixture(scope="module")
def sorter(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A text to a class, by `Sorter`."""
    data = Given(dict.fromkeys(("train", "valid"), rows(LABELS, text=TEXTS)))
    return model_of(prepared(tmp_path_factory.mktemp("sorter"), Sorter, {"text": WORDS}, Classes(), data).task)


# Predictions


def test_a_prediction_of_a_text_says_all_of_it(writer: Model):
    found = writer.predict("a b")
    ids = list(found.ids)
    system: Any = writer.systems[0]
    assert found.token_log_probs == pytest.approx(log_probs_by_hand(system, ids), abs=1e-5)
    assert found.log_prob == pytest.approx(sum(found.token_log_probs), abs=1e-5)
    assert found.score == pytest.approx(found.log_prob / len(ids), abs=1e-5)
    np.testing.assert_allclose(found.weights, list(weights_by_hand(len(ids), 3)), atol=1e-6)
    look = found.looks["source"]
    assert isinstance(look, Weights)
    assert look.memory.labels() == ["a", "b", "</s>"]
    assert isinstance(look.memory, Tokens)
    assert [(token.start, token.end) for token in look.memory.tokens] == [(0, 1), (2, 3), (None, None)]
    assert look.steps.labels() == [token.text for token in found.tokens]
    assert (found.input, found.probabilities) == ("a b", {})
    trace = found.trace(run="here")
    assert (trace.input, trace.output, trace.about) == ("a b", found.text, {"run": "here"})
    assert Trace.from_json(trace.to_json()).to_json() == trace.to_json()


def test_a_prediction_of_a_class_has_the_probabilities_of_all(sorter: Model):
    found = sorter.predict("c d")
    system: Any = sorter.systems[0]
    likely = system.table.detach()[sorter.case("c d")["text"].encoded[0]].softmax(-1)
    assert found.probabilities == pytest.approx(dict(zip(["first", "second", "third"], likely.tolist(), strict=True)))
    assert found.text == max(found.probabilities, key=found.probabilities.__getitem__)
    assert found.finished
    np.testing.assert_allclose(found.weights, [[1, 0, 0], [1 / 3] * 3], atol=1e-6)
    look = found.looks["text"]
    assert isinstance(look, Weights)
    assert look.steps == Named(("1", "2"))
    trace = found.trace()
    assert trace.alternatives is not None
    assert trace.entropies is not None
    assert [[one.text for one in step] for step in trace.alternatives] == [["first", "second", "third"]] * 2
    assert trace.entropies[0] == pytest.approx(math.log(3))
    assert Trace.from_json(trace.to_json()).to_json() == trace.to_json()


def test_a_prediction_shows_itself(writer: Model, sorter: Model):
    for found in (writer.predict("a b c"), sorter.predict("a")):
        assert found.text in str(found)
        assert found._repr_html_().startswith("<iframe")
        assert repr(found).startswith(f"<prediction {found.text!r}")
    long = replace(found, result=replace(found.result, text="x" * 500))
    assert len(repr(long)) < 100


def test_unknown_tokens_of_input_and_output_are_counted(writer: Model, sorter: Model):
    assert writer.attention("a zz", "x qq").unknown() == 2
    assert sorter.predict("a zz b").unknown() == 1


class Seer(nn.Module):
    """Sees an image twice at two scales, and a text word by word beside it."""

    def __init__(self, config: Any, text_vocabulary: int, target_classes: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(target_classes))

    def answer(self, batch: Batch) -> Answers:
        count, cells = batch.inputs["text"].mask.shape
        centre = np.tile(np.float32([[0.5, 0.5]]), (4, 1))
        views = [Views(centre, np.ones_like(centre), np.float32([1, 2, 1, 2]))] * count
        eye = torch.eye(cells).expand(count, -1, -1)
        looks = {"words": Look(eye, "text", "text"), "glimpse": Look(views, "image")}
        return Answers(self.bias.expand(count, 2, -1), looks)


@pytest.fixture(scope="module")
def seer(tmp_path_factory: pytest.TempPathFactory) -> Model:
    images = [np.full((1, 4, 4), 60 * number, np.uint8) for number in range(4)]
    data = Given(dict.fromkeys(("train", "valid"), rows(LABELS, text=TEXTS, image=images)))
    fields = {"text": WORDS, "image": Image()}
    return model_of(prepared(tmp_path_factory.mktemp("seer"), Seer, fields, Classes(), data).task)


def test_looks_have_the_names_of_whatever_field_they_are_over(seer: Model):
    pixels = np.zeros((1, 4, 4), np.uint8)
    found = seer.predict(text="a b", image=pixels)
    words, glimpse = found.looks["words"], found.looks["glimpse"]
    assert isinstance(words, Weights)
    assert words.steps.labels() == words.memory.labels() == ["a", "b", "</s>"]
    assert isinstance(glimpse, Windows)
    assert glimpse.steps.labels() == ["1 x1", "1 x2", "2 x1", "2 x2"]
    assert found.input == "text: a b\nimage: an image"
    assert isinstance(found.trace().media["input"], Picture)
    assert Trace.from_json(found.trace().to_json()).to_json() == found.trace().to_json()


def test_glimpses_of_one_scale_are_numbered():
    views = Views(np.zeros((2, 2)), np.ones((2, 2)), np.ones(2))
    assert windows(views, 2).steps == Named(("1", "2"))


# Inputs


def test_an_input_is_given_alone_by_name_or_as_a_mapping(writer: Model, seer: Model):
    alone, named, mapped = writer.predict("a b"), writer.predict(source="a b"), writer.predict({"source": "a b"})
    assert alone.log_prob == named.log_prob == mapped.log_prob
    assert (writer.inputs, seer.inputs) == (("source",), ("text", "image"))
    pixels = np.zeros((1, 4, 4), np.uint8)
    one, other = seer.predict(image=pixels, text="a"), seer.predict({"text": "a", "image": pixels})
    assert one.log_prob == other.log_prob


@pytest.mark.parametrize(
    ("given", "named", "error", "says"),
    [
        ("a", {"image": 3}, TypeError, "'image'"),
        ("a", {}, TypeError, "text and image"),
        (None, {"text": "a"}, ValueError, "'image'.*text, image"),
        (None, {"text": "a", "imgae": 3}, ValueError, "'imgae'.*'image'"),
        (None, {}, ValueError, "'text'.*text, image"),
    ],
)
def test_inputs_that_are_missing_or_unknown_are_named(given: Any, named: Any, error: type, says: str, seer: Model):
    with pytest.raises(error, match=says):
        seer.predict(given, **named)


def test_many_inputs_come_back_in_order_with_none_for_an_empty_one(writer: Model):
    found = writer.predict_many(["a b c", "", "d", "  "], best=2)
    assert [[one.input for one in several] for several in found] == [["a b c"] * 2, [], ["d"] * 2, []]
    assert writer.predict_many([]) == []
    alone = [None if one is None else one.text for one in writer.predict_all(iter(["a b c", "", "d"]))]
    assert alone == [found[0][0].text, None, found[2][0].text]


def test_what_is_no_list_of_inputs_is_refused(writer: Model, seer: Model):
    wrong: Any
    for wrong in ("a b", {"source": "a"}, b"a", None, 3):
        with pytest.raises(TypeError, match=r"list of inputs|checking the parameters"):
            writer.predict_many(wrong)
    for wrong in ([None], [1], ["a", 2.0]):
        with pytest.raises(TypeError, match=rf"input {len(wrong)}: .*text.*{type(wrong[-1]).__name__}"):
            writer.predict_all(wrong)
    with pytest.raises(TypeError, match=r"input 1: .*image.*NoneType"):
        seer.predict_all([{"text": "a", "image": None}])
    with pytest.raises(ValueError, match=r"input 2: .*empty"):
        writer.predict_all(["a", "\ufeff"])


def test_the_search_is_the_run_s_unless_it_is_changed(writer: Model, sorter: Model):
    assert writer.how() == Decoding(beam=3, longest=6)
    assert writer.how(beam=1, length_penalty=None) == Decoding(beam=1, longest=6)
    with pytest.raises(ValueError, match=r"best is 4.*3"):
        writer.predict_many(["a"], best=4)
    with pytest.raises(ValueError, match=r"beam.*'classes'"):
        sorter.predict("a", beam=2)
    for beam in ("3", 2.0, True):
        with pytest.raises(ValueError, match=r"beam.*int"):
            writer.how(beam=beam)
    assert len(sorter.predict_many(["a"], best=3)[0]) == 3


def test_a_given_target_is_scored(writer: Model, sorter: Model):
    system: Any = writer.systems[0]
    ids = writer.task.output.encode(["y x"])[0]
    (score,) = writer.score([("a b", "y x")])
    assert score == pytest.approx(sum(log_probs_by_hand(system, ids)), abs=1e-5)
    assert writer.attention("a b", "y x").log_prob == score
    assert sorter.score([("a b", "third")])[0] == pytest.approx(math.log(sorter.predict("a b").probabilities["third"]))


def test_what_can_not_be_scored_is_refused(writer: Model, sorter: Model):
    for wrong in ("ab", ("a",), ("a", "b", "c"), None, 3):
        with pytest.raises(TypeError, match="pair"):
            writer.score([wrong])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        writer.score([("a", 3)])
    for model, pair in ((writer, ("a", " ")), (writer, (" ", "x")), (sorter, ("a", "pig"))):
        with pytest.raises(ValueError, match=r"empty|'pig'"):
            model.score([pair])


# Measuring


def test_pairs_are_measured_as_a_part_is(
    writer: Model, seer: Model, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    figures = {name: value for name, value in writer.evaluate().figures.items() if name[-2:] not in ("_p", "_q")}
    found = writer.evaluate(zip(SOURCES, TARGETS, strict=True))
    assert found.figures == pytest.approx(figures)
    assert len(repr(found)) < 1000
    assert "4 outputs" in repr(found)
    several = writer.evaluate([*zip(SOURCES, TARGETS, strict=True), ("", "x")])
    assert several.figures == pytest.approx(figures)
    assert "pair 5" in capsys.readouterr().err
    image = np.full((4, 4), 60, np.uint8)
    classes = seer.evaluate(
        [({"text": text, "image": image}, label) for text, label in zip(TEXTS, LABELS, strict=True)]
    )
    assert 0 <= classes.figures["accuracy"] <= 1
    wrong: Any
    for model, wrong in ((writer, 3), (writer, ["ab"]), (writer, [("a", "b", "c")]), (seer, [("a", LABELS[0])])):
        with pytest.raises(TypeError, match=r"pair|checking the parameters"):
            model.evaluate(wrong)
    with pytest.raises(ValueError, match="no example is left"):
        writer.evaluate([("", "x")])


def test_a_trace_has_a_short_name(writer: Model):
    assert len(repr(writer.predict("a b").trace())) < 200


def test_an_evaluation_is_that_of_its_predictions_and_targets(writer: Model, sorter: Model):
    system: Any = writer.systems[0]
    found = writer.evaluate()
    log_probs = [log_probs_by_hand(system, ids) for ids in writer.task.output.encode(TARGETS)]
    loss = -sum(map(sum, log_probs)) / sum(map(len, log_probs))
    assert found.figures["loss"] == pytest.approx(loss, abs=1e-5)
    assert found.figures["perplexity"] == pytest.approx(math.exp(loss), rel=1e-4)
    assert found.outputs == [writer.predict(source).text for source in SOURCES]
    assert list(found.references) == TARGETS
    assert found.figures["exact_match"] == np.mean(
        [one == two for one, two in zip(found.outputs, TARGETS, strict=True)]
    )
    assert "tok:13a" in found.signatures["bleu"]
    classes = sorter.evaluate("valid").figures
    right = [sorter.predict(text) for text in TEXTS]
    assert classes["accuracy"] == np.mean([one.text == label for one, label in zip(right, LABELS, strict=True)])
    expected = -np.mean([math.log(one.probabilities[label]) for one, label in zip(right, LABELS, strict=True)])
    assert classes["loss"] == pytest.approx(expected)
    assert "perplexity" not in classes


def test_figures_are_given_by_group_too(tmp_path: Path):
    part = [replace(row, group=group) for row, group in zip(rows(LABELS, text=TEXTS), "pqqp", strict=True)]
    model = model_of(prepared(tmp_path, Sorter, {"text": WORDS}, Classes(), Given({"train": part, "valid": part})).task)
    figures = model.evaluate().figures
    right = [model.predict(text).text == label for text, label in zip(TEXTS, LABELS, strict=True)]
    assert figures["accuracy_p"] == np.mean([right[0], right[3]])
    assert figures["accuracy_q"] == np.mean(right[1:3])
    assert figures["error_q"] == 1 - figures["accuracy_q"]


def test_where_it_ought_to_look_is_measured(tmp_path: Path):
    # The first step of a `Bigrams` is strongest on its first cell, the second on its second.
    truths = [
        Truth("source", (0, 1), of=(0, 1)),  # x from a: right
        Truth("source", (0, 1), of=(2, 3)),  # y from a: wrong
        Truth("source", (2, 5), of=(2, 3)),  # y from b c: right
    ]
    part = [Row({"source": "a b c", "target": "x y"}, "row", truth=tuple(truths))]
    data = Given({"train": part, "valid": part})
    model = model_of(prepared(tmp_path, Bigrams, {"source": WORDS}, Sequence("word", 30), data).task)
    figures = model.evaluate().figures
    assert figures["pointing_accuracy"] == pytest.approx(2 / 3)
    assert figures["pointing_by_chance"] == pytest.approx((1 / 4 + 1 / 4 + 2 / 4) / 3)
    assert "attention_entropy" in figures


def test_windows_are_measured_where_the_row_says_what_to_look_at(seer: Model):
    # Both steps of a `Seer` look at (0.5, 0.5).
    image = np.zeros((1, 4, 4), np.uint8)
    boxes = [(0.0, 0.0, 1.0, 1.0), (-1.0, -1.0, 0.0, 0.0)]
    given = [
        Row({"text": "a", "image": image, "target": "first"}, str(box), truth=(Truth("glimpse", box),)) for box in boxes
    ]
    figures = seer.evaluate_part(seer.rows(given, "given"), seer.how()).figures
    assert figures["pointing_accuracy"] == 0.5
    assert figures["pointing_by_chance"] == 0.25


def test_parts_that_there_are_not_are_named(writer: Model):
    with pytest.raises(ValueError, match=r"'test'.*--split \(train, valid\)"):
        writer.evaluate("test")


def test_what_was_trained_on_is_measured_too(writer: Model):
    trained = writer.evaluate("train")
    assert len(trained.outputs) == len(list(writer.task.source.rows("train")))
    assert "train" not in writer.task.frozen  # it may be large


def test_own_rows_are_measured_and_what_is_left_out_is_said(writer: Model, capsys: pytest.CaptureFixture[str]):
    part = writer.rows(rows(["x", " ", "y"], source=["a", "b", "c"]), "mine.tsv")
    assert [row.name for row in part.rows] == ["row 1", "row 3"]
    assert "mine.tsv: 1 of 3 left out" in capsys.readouterr().err
    assert len(writer.evaluate_part(part, writer.how()).outputs) == 2
    with pytest.raises(ValueError, match=r"mine\.tsv.*1 of 1 left out"):
        writer.rows(rows([" "], source=["a"]), "mine.tsv")
    with pytest.raises(ValueError, match=r"mine\.tsv"):
        writer.rows([], "mine.tsv")


class Chancy(Sorter):
    """Answers by chance."""

    def answer(self, batch: Batch) -> Answers:
        found = super().answer(batch)
        return replace(found, logits=found.logits + torch.randn(found.logits.shape))


def test_what_is_left_to_chance_is_measured_alike_each_time(sorter: Model):
    chancy = Chancy(Config(), 8, 3)
    model = Model(sorter.config, sorter.task, [chancy])
    first = model.evaluate()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert model.evaluate() == first
    assert torch.equal(torch.get_rng_state(), before)


# Grids


TINY = captioner.Config(features=8, embedding=8, hidden=12, alignment=8, dropout=0.0, state_dropout=0.0, penalty=0.0)


def describer(folder: Path, config: captioner.Config = TINY, systems: int = 1) -> Model:
    """Captions of grids of features, in which one cell says what it is."""
    grids = np.zeros((8, 2, 3, 4), np.float32)
    for number, grid in enumerate(grids):
        grid[number % 2, number % 3, number % 4] = 3.0
    captions = [(f"It is {('one', 'two', 'three', 'four')[number % 4]}",) for number in range(8)]
    data = Given(dict.fromkeys(("train", "valid"), rows(captions, image=list(grids))))
    output = Sequence("word", 30, tidy=True, metrics="captions")
    how = Decoding(1, 0.0, longest=5)
    task = prepared(folder, captioner.System, {"image": Grid()}, output, data, config, decoding=how).task
    torch.manual_seed(0)
    return model_of(task, *(task.build() for _ in range(systems)))


def test_attention_over_cells_is_audited_and_put_on_others(tmp_path: Path):
    model = describer(tmp_path)
    figures = model.evaluate().figures
    expected = {
        "attention_entropy",
        "attention_variation",
        "fixation_deviation",
        "shuffled_exact_match",
        "shuffled_bleu4",
    }
    assert expected <= figures.keys()
    assert model.evaluate().figures == figures
    look = model.predict(np.zeros((2, 3, 4), np.float32)).looks["image"]
    assert isinstance(look, Weights)
    assert look.memory == GridAxis(2, 3)
    assert model.evaluate().references == [
        f"it is {('one', 'two', 'three', 'four')[number % 4]}" for number in range(8)
    ]


def test_an_ensemble_is_audited_as_one(tmp_path: Path):
    model = describer(tmp_path, systems=2)
    figures = model.evaluate().figures
    assert "shuffled_exact_match" in figures
    one, other = (Model(model.config, model.task, [system]) for system in model.systems)
    grid = np.ones((2, 3, 4), np.float32)
    pair = (grid, "it is two")
    # Of one token, and not of the whole: the probabilities of each step are averaged.
    steps = [np.exp(each.attention(*pair).token_log_probs) for each in (one, other)]
    assert model.attention(*pair).token_log_probs == pytest.approx(np.log(np.mean(steps, axis=0)).tolist(), abs=1e-5)


class Tiler(Sorter):
    """A classifier that looks at the cells of a grid."""

    def __init__(self, config: Config, target_classes: int) -> None:
        super().__init__(config, 4, target_classes)

    def answer(self, batch: Batch) -> Answers:
        weights = torch.full((len(batch), 2, 6), 1 / 6)
        return Answers(self.table[:1].expand(len(batch), 2, -1), {"image": Look(weights, "image", shape=(2, 3))})


def test_a_classifier_that_looks_at_cells_is_audited_without_a_search(tmp_path: Path):
    data = Given(dict.fromkeys(("train", "valid"), rows(["a", "b"], image=[np.zeros((2, 3, 4), np.float32)] * 2)))
    figures = model_of(prepared(tmp_path, Tiler, {"image": Grid()}, Classes(), data).task).evaluate().figures
    assert figures["attention_entropy"] == pytest.approx(math.log(6))
    assert not any(name.startswith("shuffled") for name in figures)


def test_a_mean_has_no_map_to_audit(tmp_path: Path):
    model = describer(tmp_path, replace(TINY, attention="mean"))
    figures = model.evaluate().figures
    assert set(figures) == {"exact_match", "bleu4", "cider", "loss", "perplexity", "baseline_majority"}
    look = model.predict(np.zeros((2, 3, 4), np.float32)).looks["image"]
    assert isinstance(look, Weights)
    assert look.memory == Named(("mean",))


def test_hard_attention_says_a_cell_that_it_could_have_looked_at(tmp_path: Path):
    model = describer(tmp_path, replace(TINY, attention="hard"))
    first, again = (model.predict_cases(model.task.cases(model.part("valid"))) for _ in range(2))
    for (one,), (same,) in zip(first, again, strict=True):
        drawn, whole = one.looks["sampled"], one.looks["image"]
        assert isinstance(drawn, Weights)
        assert isinstance(whole, Weights)
        assert drawn.hard
        assert (drawn.weights.max(1) == 1).all()
        np.testing.assert_array_equal(drawn.weights, same.looks["sampled"].weights)  # type: ignore[union-attr]
    # Cells are drawn as often as they weigh.
    weights = np.array([[0.7, 0.0, 0.3]])
    cells = np.array([drawn_cells(weights, seed)[0] for seed in range(500)])
    assert np.bincount(cells, minlength=3) / 500 == pytest.approx(weights[0], abs=0.06)


# A model that has learnt


def outputs(found: list[list[Prediction]]) -> list[str]:
    return [several[0].text if several else "" for several in found]


@pytest.fixture(scope="module")
def speller(spelling: Path) -> Model:
    from small_models import backwards

    return attend.load(spelling, recipe=backwards(spelling.parent))


def test_words_are_spelt_backwards_with_the_right_alignment(speller: Model):
    assert speller.evaluate().figures["exact_match"] >= 0.95
    for word, (found, *_) in zip(["abcd", "hgfed"], speller.predict_many(["abcd", "hgfed"]), strict=True):
        assert found.text == word[::-1]
        assert found.weights is not None
        assert found.weights[: len(word)].argmax(1).tolist() == list(range(len(word)))[::-1]


def test_order_and_empty_lines_are_kept(speller: Model):
    lines = ["abc", "", "hgfed", "ab", "   ", "cd"]
    assert outputs(speller.predict_many(lines, beam=3)) == ["cba", "", "defgh", "ba", "", "dc"]
    assert outputs(speller.predict_many(lines[::-1])) == ["dc", "", "ba", "defgh", "", "cba"]


def test_forcing_the_output_gives_its_score_and_attention_again(speller: Model):
    found = [several[0] for several in speller.predict_many(["abcde", "fgh"])]
    for best in found:
        again = speller.attention(best.input, best.text)
        assert again.log_prob == pytest.approx(best.log_prob, abs=1e-4)
        np.testing.assert_allclose(again.weights, best.weights, atol=1e-5)  # type: ignore[arg-type]


def test_samples_come_in_the_number_asked_for_and_by_their_seed(speller: Model):
    def draw() -> list[str]:
        generator = torch.Generator().manual_seed(3)
        return [one.text for one in speller.predict_many(["abcd"], samples=4, generator=generator)[0]]

    assert len(draw()) == 4
    assert draw() == draw()
