"""Captions end to end: a stranger's folder, grids of features, scenes, NLVR; what is measured and what is refused."""

import csv
import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import attend
from attend import decoding, run
from attend.attention.trace import Grid, Named, Weights
from attend.cli import main
from attend.contract import Captioned
from attend.data import scenes
from attend.data.files import DataError
from attend.data.image import Images
from attend.recipes.captions import RECIPES
from attend.systems import captioner
from attend.tasks.caption import (
    Caption,
    CaptionData,
    CaptionModel,
    Describing,
    Frozen,
    ImageToCaption,
    Shuffled,
    drawn_cells,
    over_time,
    pointing,
)

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
TINY = captioner.Config(
    encoder="convolutional",
    features=8,
    embedding=8,
    hidden=12,
    alignment=8,
    dropout=0.0,
    state_dropout=0.0,
    penalty=0.0,
)


def write_folder(folder: Path, count: int = 12, captions: Any = None) -> list[str]:
    """Images of one colour each, and their captions in metadata.csv."""
    folder.mkdir(exist_ok=True)
    names = [f"{number:02}.png" for number in range(count)]
    with (folder / "metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file_name", "caption"])
        for number, name in enumerate(names):
            colour = list(COLOURS)[number % 3]
            Image.new("RGB", (20, 16), COLOURS[colour]).save(folder / name)
            several = captions(number, colour) if captions else [f"All {colour}."]
            rows.writerows([name, caption] for caption in several)
    return names


def prepare(data: CaptionData, folder: Path, config: captioner.Config = TINY) -> tuple[ImageToCaption, list[str]]:
    """A task, and what it said of its data."""
    said: list[str] = []
    folder.mkdir(exist_ok=True)
    build = lambda *sizes: captioner.System(config, *sizes)  # noqa: E731
    return ImageToCaption.prepare(build, data, 1, folder, said.append), said


def test_a_stranger_s_folder_is_learnt_measured_and_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    names = write_folder(tmp_path / "photos")
    shutil.copy(tmp_path / "photos" / names[0], tmp_path / "mine.png")
    folder = str(tmp_path / "run")
    small = "--system.features 16 --system.hidden 24 --system.embedding 16 --system.alignment 8 --system.dropout 0"
    options = f"--data.folder {tmp_path / 'photos'} --data.rows 16 --data.columns 16 {small} --data.batch 4"
    how = "--training.epochs 25 --training.learning-rate 0.02 --training.warmup 0 --training.watch exact_match"
    assert main(["train", "captioner", "--out", folder, *options.split(), *how.split()]) == 0
    assert "12 of 12 files read; 12 resized to 16 x 16" in capsys.readouterr().err
    assert main(["evaluate", folder, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["exact_match"] == 1.0
    assert "tok:none" in found["signatures"]["bleu4"]
    assert {"bleu4", "cider", "loss", "attention_entropy", "attention_variation", "shuffled_exact_match"} <= set(found)
    model = attend.load(folder)
    assert isinstance(model, CaptionModel)
    caption = model.predict(str(tmp_path / "mine.png"))
    assert caption.text == "all red ."
    assert caption.pixels is not None
    trace = caption.trace(recipe="captioner")
    look = trace.looks["image"]
    assert isinstance(look, Weights)
    assert look.memory == Grid(2, 2)
    assert look.steps.labels() == ["all", "red", ".", "</s>"]
    assert attend.attention.trace.Trace.from_json(trace.to_json()).output == "all red ."
    # What was written scores as it did, and better than what is not so.
    right, wrong = model.score([(tmp_path / "mine.png", "All RED."), (caption.pixels, "all blue.")])
    assert right == pytest.approx(caption.log_prob, rel=1e-4)
    assert right > wrong
    assert model.predict(caption.pixels, beam=3).log_prob >= right - 1e-4
    assert "captions.tokenizer.json" in "".join(path.name for path in Path(folder).iterdir())
    assert "all red" in str(caption)


def test_images_that_can_not_be_described_are_named(tmp_path: Path):
    write_folder(tmp_path / "photos")
    task, _ = prepare(CaptionData(folder=str(tmp_path / "photos"), rows=16, columns=16), tmp_path / "run")
    config = run.RunConfig("captioner", RECIPES["captioner"].settings, {})
    model = task.model(config, [task.build().eval()])
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.png: not a PNG or JPEG image"):
        model.predict(tmp_path / "broken.png")
    with pytest.raises(
        ValueError,
        match=r"uint8 of shape \(3, 9, 9\); .* unsigned bytes of \(3, 16, 16\)",
    ):
        model.predict(np.zeros((3, 9, 9), np.uint8))
    with pytest.raises(ValueError, match="float64"):
        model.predict(np.zeros((3, 16, 16)))
    for caption, reason in (("", "an empty caption"), ("a\0b", r"U\+0000"), ("x " * 99, "longer than 50 words")):
        with pytest.raises(ValueError, match=reason):
            model.score([(np.zeros((3, 16, 16), np.uint8), caption)])
    with pytest.raises(ValueError, match="no part 'test'"):
        model.evaluate("test")
    with pytest.raises(ValueError, match="is one run: an ensemble is for text"):
        task.model(config, [task.build(), task.build()])


def test_captions_that_can_not_be_learnt_are_left_out_and_named(tmp_path: Path):
    def captions(number: int, colour: str) -> list[str]:
        return {0: ["x " * 60], 1: ["!\u0007"], 2: ["A photo", "two  captions"]}.get(number, [colour])

    write_folder(tmp_path / "photos", captions=captions)
    data = CaptionData(folder=str(tmp_path / "photos"), rows=8, columns=8, held_out=0.2)
    task, said = prepare(data, tmp_path / "run")
    told = "\n".join(said)
    assert "2 of 13 captions left out" in told
    assert "1 for a caption longer than 50 words (00.png)" in told
    assert "1 for the control character U+0007 in the caption (01.png)" in told
    assert "2 of the images are set aside to validate" in told
    assert task.counts()["training images"] == 8
    assert task.train is not None
    learnt = {task.codec.decode(ids.tolist()) for ids in task.train.ids}
    valid = {caption for several in task.frozen["valid"].captions for caption in several}
    assert learnt | valid == {"a photo", "two captions", "red", "green", "blue"}


def test_data_without_captions_or_of_no_use_is_refused(tmp_path: Path):
    (tmp_path / "bare").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "bare" / "a.png")
    with pytest.raises(DataError, match=r"have no captions; give metadata\.csv"):
        prepare(CaptionData(folder=str(tmp_path / "bare")), tmp_path / "run")
    write_folder(tmp_path / "hostile", captions=lambda number, colour: ["\x01"])
    with pytest.raises(DataError, match="no train caption is left to use"):
        prepare(CaptionData(folder=str(tmp_path / "hostile")), tmp_path / "run")
    write_folder(tmp_path / "one", count=1)
    with pytest.raises(DataError, match="has one image alone"):
        prepare(CaptionData(folder=str(tmp_path / "one")), tmp_path / "run")
    with pytest.raises(ValueError, match="nothing to learn from"):
        prepare(CaptionData(), tmp_path / "run")
    with pytest.raises(ValueError, match=r"data\.folder and data\.generated both say"):
        CaptionData(folder="x", generated="scenes")
    # An empty caption in metadata is wrong metadata, which is refused with its line.
    write_folder(tmp_path / "empty", captions=lambda number, colour: [" "] if number == 2 else [colour])
    with pytest.raises(DataError, match=r"metadata\.csv, line 4: an empty caption"):
        prepare(CaptionData(folder=str(tmp_path / "empty")), tmp_path / "run")


def write_grids(folder: Path, count: int = 9) -> tuple[str, str]:
    """Grids in which one cell says what it is; and what it is."""
    features = np.zeros((count, 2, 3, 4), np.float32)
    words = []
    for number in range(count):
        features[number, number % 2, number % 3, number % 4] = 3.0
        words.append(["one", "two", "three", "four"][number % 4])
    np.savez(folder / "grids.npz", features=features)
    (folder / "words.txt").write_text("".join(f"It is {word}\t{word}\n" for word in words))
    return str(folder / "grids.npz"), str(folder / "words.txt")


def test_grids_of_features_are_learnt_and_described(tmp_path: Path):
    files = write_grids(tmp_path)
    config = replace(TINY, encoder="none", penalty=0.1)
    data = CaptionData(train=files, valid=files, batch=4)
    task, said = prepare(data, tmp_path / "run", config)
    assert "grids of 2 x 3: 9 train, 9 valid; 18 captions to learn" in said
    model = CaptionModel(run.RunConfig("captioner", RECIPES["captioner"].settings, {}), task, [task.build().eval()])
    caption = model.predict(np.zeros((2, 3, 4), np.float32))
    assert caption.pixels is None
    assert caption.trace().looks["image"].memory == Grid(2, 3)  # pyright: ignore[reportAttributeAccessIssue]
    many = list(model.predict_many(task.decoded([files[0]])))
    assert [one.name for one in many][:2] == [f"{files[0]}:1", f"{files[0]}:2"]
    with pytest.raises(ValueError, match=r"has 9 grids: say which, such as .*:1$"):
        model.predict(files[0])
    assert str(model.predict(f"{files[0]}:2")) == str(many[1])
    for number in (0, 10):
        with pytest.raises(ValueError, match="the file has grids 1 to 9"):
            model.predict(f"{files[0]}:{number}")
    with pytest.raises(ValueError, match="takes floats of"):
        model.predict(np.zeros((2, 3, 5), np.float32))
    np.savez(tmp_path / "others.npz", features=np.zeros((1, 2, 2, 4), np.float32))
    with pytest.raises(DataError, match="has grids of 2 x 2 x 4; give grids of 2 x 3 x 4"):
        task.decoded([str(tmp_path / "others.npz")])
    figures = model.evaluate("valid").figures
    assert 0 <= figures["exact_match"] <= 1
    opened = ImageToCaption.open(lambda *sizes: captioner.System(config, *sizes), data, 1, tmp_path / "run")
    assert opened.form == task.form
    opened.read(lambda line: None)
    assert opened.plan(3) == task.plan(3)
    with pytest.raises(ValueError, match=r"the data are grids.*set system\.encoder to none"):
        prepare(data, tmp_path / "run")[0].build()
    with pytest.raises(DataError, match=r"data\.train names 1 file; give one"):
        prepare(CaptionData(train=files[:1]), tmp_path / "run", config)
    (tmp_path / "one.txt").write_text("One\n")
    others = (str(tmp_path / "others.npz"), str(tmp_path / "one.txt"))
    with pytest.raises(
        DataError, match=r"valid grids of 2 x 2 x 4 \(rows, columns, size\), .* 2 x 3 x 4; give grids of"
    ):
        prepare(CaptionData(train=files, valid=others), tmp_path / "run", config)
    assert (
        "1 of the images is set aside to validate (data.held_out)"
        in prepare(CaptionData(train=files), tmp_path / "run", config)[1]
    )


def test_hard_attention_says_a_cell_that_it_could_have_looked_at(tmp_path: Path):
    files = write_grids(tmp_path)
    data = CaptionData(train=files, valid=files, batch=4)
    task, _ = prepare(data, tmp_path / "run", replace(TINY, encoder="none", attention="hard"))
    model = CaptionModel(run.RunConfig("captioner", RECIPES["captioner"].settings, {}), task, [task.build().eval()])
    images = task.decoded([files[0]])
    first, again = (list(model.predict_many(images)) for _ in range(2))
    for one, same in zip(first, again, strict=True):
        assert one.sampled is not None
        np.testing.assert_array_equal(one.sampled, same.sampled)
        look = one.trace().looks["sampled"]
        assert isinstance(look, Weights)
        assert look.hard
        np.testing.assert_array_equal(look.weights.argmax(1), one.sampled)
    # Cells are drawn as often as they weigh.
    weights = np.array([[0.7, 0.0, 0.3]])
    drawn = np.array([drawn_cells(weights, seed)[0] for seed in range(500)])
    assert np.bincount(drawn, minlength=3) / 500 == pytest.approx(weights[0], abs=0.06)


def test_images_need_a_system_that_takes_images(tmp_path: Path):
    write_folder(tmp_path / "photos")
    data = CaptionData(folder=str(tmp_path / "photos"), rows=8, columns=8)
    with pytest.raises(ValueError, match=r"the data are images.*convolutional or backbone"):
        prepare(data, tmp_path / "run", replace(TINY, encoder="none"))[0].build()
    (tmp_path / "weights").touch()
    task, _ = prepare(replace(data, backbone_weights=str(tmp_path / "weights")), tmp_path / "run")
    with pytest.raises(ValueError, match=r"for system\.encoder backbone"):
        task.build()


def test_a_damaged_run_is_named(tmp_path: Path):
    data = CaptionData(generated="scenes", scenes=8, measured=4)
    prepare(data, tmp_path / "run")
    for damaged in ("{", '{"rows": 8}', '{"colour": "colour", "rows": 0, "columns": 4, "fit": "pad"}'):
        (tmp_path / "run" / "images.json").write_text(damaged)
        with pytest.raises(DataError, match=r"images\.json: does not say what images are made into"):
            ImageToCaption.open(lambda *sizes: captioner.System(TINY, *sizes), data, 1, tmp_path / "run")


def test_scenes_are_new_ones_in_every_epoch_and_frozen_to_measure_on(tmp_path: Path):
    task, said = prepare(CaptionData(generated="scenes", scenes=40, measured=6, batch=16), tmp_path / "run")
    assert "scenes of 72 x 72: 40 an epoch; 6 to measure on" in said
    first, second = task.plan(0), task.plan(1)
    assert sorted(index for batch in first for index in batch) == list(range(40))
    assert sorted(index for batch in second for index in batch) == list(range(40, 80))
    assert task.plan(0) == first
    batch = task.batch(first[0])
    assert bool((batch.images == task.batch(first[0]).images).all())
    drawn = scenes.draw(scenes.arrange(40, 1, 1), np.array([3]))
    one = task.batch([43])
    assert [task.codec.decode(one.target[0].tolist())] == [drawn.images.captions[0][0]]  # pyright: ignore
    np.testing.assert_array_equal(one.images[0].numpy(), drawn.images.floats(np.array([0]))[0])
    assert task.frozen["valid"].captions == scenes.draw_all(6, 0).images.captions
    assert task.frozen["test"].captions != task.frozen["valid"].captions
    # Captions of like length go together.
    lengths = task.lengths(0)
    ranges = sorted((lengths[indices].min(), lengths[indices].max()) for indices in first)
    assert all(before[1] <= after[0] for before, after in pairwise(ranges))


def test_a_tiny_set_of_scenes_is_learnt_by_heart(tmp_path: Path):
    task, _ = prepare(CaptionData(generated="scenes", scenes=8, measured=5), tmp_path / "run")
    part = scenes.draw_all(5, 0)
    torch.manual_seed(0)
    system: Any = captioner.System(replace(TINY, features=16, hidden=64, embedding=24), 3, len(task.codec))
    ids = task.encoded([several[0] for several in part.images.captions or ()])
    (batch,) = task.validation()
    assert batch.target_mask.sum() == sum(map(len, ids))
    optimiser = torch.optim.Adam(system.parameters(), 1e-2)
    for _ in range(200):
        loss = system(batch)
        optimiser.zero_grad()
        (loss.total / loss.units).backward()
        torch.nn.utils.clip_grad_norm_(system.parameters(), 1.0)
        optimiser.step()
    assert task.measure(system.eval())["exact_match"] == 1.0


def test_shuffled_attention_puts_the_same_weights_on_other_cells():
    torch.manual_seed(0)
    system: Any = captioner.System(replace(TINY, encoder="none"), 3, 9).double().eval()
    images = torch.rand(2, 3, 2, 3).double()
    batch = Captioned(images, torch.full((2, 1), 3), torch.ones(2, 1, dtype=torch.bool))
    shuffled = Shuffled(system, torch.Generator().manual_seed(5))
    state = shuffled.start(batch)
    order = torch.rand(2, 6, generator=torch.Generator().manual_seed(5)).argsort(1)
    step, plain = shuffled.step(torch.full((2, 1), 2), state), system.step(torch.full((2, 1), 2), system.start(batch))
    torch.testing.assert_close(step.read.weights, plain.read.weights)
    gate = torch.sigmoid(system.gate(state.hidden["state"]))
    for row in range(2):
        cells = images[row].flatten(1).mT
        moved = gate[row, 0] * (step.read.weights[row, 0] @ cells[order[row]])
        torch.testing.assert_close(step.read.context[row, 0], moved)
    assert decoding.greedy(shuffled, batch, 4)[0][0].weights is not None


def test_pointing_is_measured_at_the_noun_of_each_object():
    drawn = scenes.draw_all(5, 7)
    captions = []
    for number, (text,) in enumerate(drawn.images.captions or ()):
        tokens = text.split()
        weights = np.zeros((len(tokens) + 1, 64))
        weights[:, 0] = 1.0  # nowhere, but at nouns
        nouns = [place for place, word in enumerate(tokens) if word in scenes.SHAPES]
        assert len(nouns) == drawn.count[number]
        for noun, box in zip(nouns, drawn.boxes[number], strict=False):
            column, row = ((box[:2] + box[2:]) / 2 + 1) / 2 * 8
            weights[noun] = np.eye(64)[int(row) * 8 + int(column)]
        captions.append(spelt(text, weights))
    figures = pointing(captions, drawn, 8, 8)
    assert figures["pointing_accuracy"] == 1.0
    assert figures["pointing_accuracy_first_word"] < 0.3
    assert 0.05 < figures["pointing_by_chance"] < 0.1
    # One step too late is not at the noun.
    late = [replace(caption, weights=np.roll(caption.weights, 1, axis=0)) for caption in captions]
    assert pointing(late, drawn, 8, 8)["pointing_accuracy"] < 0.3
    early = [replace(caption, weights=np.roll(caption.weights, -1, axis=0)) for caption in captions]
    assert pointing(early, drawn, 8, 8)["pointing_accuracy_first_word"] == 1.0
    # In half of the captions at the noun, in half at the word before it: always at either.
    mixed = pointing([*captions[:2], *early[2:]], drawn, 8, 8)
    assert max(mixed["pointing_accuracy"], mixed["pointing_accuracy_first_word"]) < 0.9
    assert mixed["pointing_accuracy_either_word"] == 1.0


def spelt(text: str, weights: np.ndarray) -> Caption:
    from attend.attention.trace import Token

    tokens, start = [], 0
    for word in text.split():
        tokens.append(Token(word, start, start + len(word)))
        start += len(word) + 1
    return Caption("", None, text, (*tokens, Token("</s>")), (), (), 0.0, 0.0, weights, (8, 8))


def test_a_path_that_ignores_the_image_has_no_spread():
    fixed = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    figures = over_time([fixed, fixed], 2, 2)
    assert figures["places_spread_over_images"] == 0
    assert figures["attention_entropy_step_1"] == pytest.approx(np.log(2))
    assert figures["attention_entropy_step_2"] == 0
    # The second step's places are 1 apart across: half of that as deviation.
    other = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    figures = over_time([fixed, other], 2, 2)
    assert figures["places_spread_step_1"] == 0
    assert figures["places_spread_step_2"] == pytest.approx(0.5)
    # A third step is only one image's.
    assert "places_spread_step_3" not in over_time([fixed, other, np.tile(fixed, (2, 1))], 2, 2)


def test_the_control_has_no_map_to_audit(tmp_path: Path):
    data = CaptionData(generated="scenes", scenes=8, measured=4)
    task, _ = prepare(data, tmp_path / "run", replace(TINY, attention="mean"))
    system = task.build().eval()
    found = task.evaluate(system, task.frozen["valid"], Describing(longest=5))
    assert set(found.figures) == {"exact_match", "bleu4", "cider", "loss", "perplexity"}
    (caption, *_) = task.describe(system, task.frozen["valid"].images, Describing(longest=5))
    assert caption.trace().looks["image"].memory == Named(("mean",))  # pyright: ignore[reportAttributeAccessIssue]


def test_scenes_are_evaluated_with_pointing_and_a_frozen_search(tmp_path: Path):
    task, _ = prepare(CaptionData(generated="scenes", scenes=8, measured=4), tmp_path / "run")
    system = task.build().eval()
    done: list[tuple[int, int]] = []
    how = Describing(beam=2, longest=5)
    first = task.evaluate(system, task.frozen["valid"], how, lambda *told: done.append(told))
    assert first == task.evaluate(system, task.frozen["valid"], how)
    assert done == [(4, 4)]
    assert {"pointing_accuracy", "pointing_by_chance", "shuffled_exact_match", "shuffled_bleu4"} <= set(first.figures)
    assert all(len(output.split()) <= 6 for output in first.outputs)


def test_several_captions_of_an_image_are_all_learnt_and_all_right(tmp_path: Path):
    write_folder(tmp_path / "photos", captions=lambda number, colour: [f"{colour} picture", colour])
    task, _ = prepare(CaptionData(folder=str(tmp_path / "photos"), rows=8, columns=8), tmp_path / "run")
    assert task.train is not None
    assert len(task.train.ids) == 2 * len(task.train.images)
    assert task.frozen["valid"].spread(1).captions[0] == task.frozen["valid"].captions[0]
    part = Frozen(Images(np.zeros((1, 3, 8, 8), np.uint8)), (("red picture", "red"),))
    figures = task.evaluate(task.build().eval(), part, Describing()).figures
    assert np.isfinite(figures["loss"])


def test_captions_are_scored_on_the_images_they_name(tmp_path: Path):
    task, _ = prepare(CaptionData(generated="scenes", scenes=8, measured=4), tmp_path / "run")
    system, images = task.build().eval(), task.frozen["valid"].images
    captions, image = ["a red circle", "a blue square", "a red circle"], np.array([2, 2, 0])
    found = [one.log_prob for one in task.force(system, images, captions, image)]
    expected = [one.log_prob for one in task.force(system, images.select(image), captions)]
    assert found == pytest.approx(expected)
    assert found[0] != found[2]


@pytest.mark.data
def test_nlvr_is_divided_by_what_was_shown_together(data_folder: Path, tmp_path: Path):
    task, said = prepare(CaptionData(generated="nlvr", measured=20), tmp_path / "run")
    assert any(line.startswith("images of 50 x 200:") for line in said)
    assert task.train is not None
    assert isinstance(task.train.images, Images)
    learnt = {name.split("-")[1] for name in task.train.images.names}
    assert isinstance(task.frozen["valid"].images, Images)
    assert learnt.isdisjoint({name.split("-")[1] for name in task.frozen["valid"].images.names})
    assert len(task.frozen["valid"].spread(20)) == 20


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_watch_what_is_measured(name: str):
    recipe = RECIPES[name]
    assert recipe.settings.training.watch in ("loss", *ImageToCaption.measures)
    measured = {"exact_match", "bleu4", "cider", "perplexity", "loss", "pointing_accuracy"}
    assert set(recipe.reaches) <= measured
