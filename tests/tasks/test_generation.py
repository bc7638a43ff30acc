"""The task of drawing: what is read, how it is measured, and what a trained model draws."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import attend.run
from attend.attention.trace import Canvas, Trace, Windows
from attend.cli import main
from attend.data.files import DataError
from attend.data.image import Images, as_data_uri
from attend.recipes.recipe import Settings
from attend.systems.draw import Config, System
from attend.tasks.generation import Drawing, DrawingModel, Generation, Measuring, PictureData, read_files
from attend.training import Training

SMALL = Config(steps=3, hidden=12, latent=4, read=3, write=3)
DIGITS = PictureData(digits="small")


def silent(line: str) -> None:
    """Say nothing."""


def build(*sizes: int) -> System:
    return System(SMALL, *sizes)


def prepared(folder: Path, data: PictureData = DIGITS, seed: int = 1) -> Generation:
    return Generation.prepare(build, data, seed, folder, silent)


@pytest.fixture
def model(tmp_path: Path) -> DrawingModel:
    """An untrained one, of the small digits."""
    torch.manual_seed(0)
    task = prepared(tmp_path)
    config = attend.run.RunConfig("draw-small", Settings(SMALL, DIGITS, Training(), Measuring()), {})
    return DrawingModel(config, task, [task.build().eval()])


def stripes(folder: Path, count: int, size: tuple[int, int] = (10, 12)) -> Path:
    """Pictures of a bar, bright on dark, at some place."""
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.full(size, 20, dtype=np.uint8)
        pixels[:, number % (size[1] - 3) : number % (size[1] - 3) + 3] = 230
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def same(one: Drawing, other: Drawing) -> bool:
    return bool(np.allclose(one.canvases, other.canvases, atol=1e-6))


def test_images_are_made_black_and_white_once_and_for_all(tmp_path: Path):
    first, second = prepared(tmp_path, seed=1), prepared(tmp_path, seed=2)
    batch = first.batch([0, 5, 9])
    assert batch.images.unique().tolist() == [0, 1]
    torch.testing.assert_close(batch.images, first.batch([0, 5, 9]).images)
    torch.testing.assert_close(batch.images, second.batch([0, 5, 9]).images, msg="another seed, the same images")
    valid = next(first.validation()).images
    torch.testing.assert_close(valid, next(second.validation()).images)
    shades = prepared(tmp_path, replace(DIGITS, pixels="grey")).batch([0, 5, 9]).images
    assert len(shades.unique()) > 5


def test_measuring_leaves_nothing_to_chance(model: DrawingModel):
    first = model.evaluate("valid")
    torch.manual_seed(5)
    assert model.evaluate("valid").figures == first.figures
    assert len(first.outputs) == 360
    figures = first.figures
    assert figures["nats"] == pytest.approx(figures["reconstruction"] + figures["kl"], rel=1e-5)
    assert figures["nats"] == pytest.approx(np.mean([float(nats) for nats in first.outputs]), rel=1e-5)
    steps = [figures[f"kl_step_{step}"] for step in (1, 2, 3)]
    assert sum(steps) == pytest.approx(figures["kl"], rel=1e-5)
    assert figures["read_spread_over_images"] > 0
    assert model.task.measure(model.systems[0]) == {"nats": figures["nats"]}


def test_the_importance_weighted_bound_is_a_figure_of_its_own(model: DrawingModel):
    with torch.no_grad():  # let the latent vectors matter
        for parameter in model.systems[0].parameters():
            parameter.mul_(2)
    plain = model.evaluate("valid").figures
    weighted = model.evaluate("valid", importance_samples=20).figures
    assert "nats_importance_weighted" not in plain
    assert weighted["nats"] == plain["nats"]
    assert weighted["nats_importance_weighted"] < plain["nats"]


def test_new_images_are_the_same_for_the_same_seed(model: DrawingModel):
    many, few, other = model.generate(4, seed=3), model.generate(2, seed=3), model.generate(2, seed=4)
    assert all(same(one, two) for one, two in zip(many, few, strict=False))
    assert not same(many[0], many[1])
    assert not same(few[0], other[0])
    assert many[0].canvases.shape == (3, 1, 8, 8)
    assert many[0].picture().shape == (8, 8)
    assert set(many[0].looks) == {"write"}


def test_a_drawing_has_a_valid_trace(model: DrawingModel):
    images = model.part("valid")
    drawn = list(model.reconstruct_many(images.part(0, 3)))
    assert len(drawn) == 3
    trace = drawn[1].trace(recipe="draw-small")
    again = Trace.from_json(json.loads(json.dumps(trace.to_json())))
    assert again.about == {"recipe": "draw-small"}
    assert set(again.looks) == {"read", "write"}
    assert again.picture == as_data_uri(images.pixels[1])
    assert again.canvas == Canvas(tuple(as_data_uri(drawn[1].canvas(step)) for step in range(3)), "write")
    new = model.generate()[0].trace()
    assert new.picture is None
    assert new.canvas
    assert len(new.canvas.after) == 3
    for look in again.looks.values():
        assert isinstance(look, Windows)
        assert look.steps.labels() == ["1", "2", "3"]
    assert drawn[1].kl is not None
    assert drawn[1].kl.shape == (3,)
    alone = model.reconstruct(images.pixels[0])
    assert same(alone, drawn[0])
    np.testing.assert_allclose(alone.looks["read"].centre, drawn[0].looks["read"].centre, atol=1e-6)


def test_pixels_of_another_shape_are_refused(model: DrawingModel):
    with pytest.raises(ValueError, match=r"shape \(1, 9, 8\); .* unsigned bytes of \(1, 8, 8\)"):
        model.reconstruct(np.zeros((1, 9, 8), dtype=np.uint8))
    with pytest.raises(ValueError, match="no part 'test'"):
        model.evaluate("test")
    with pytest.raises(ValueError, match="ensemble"):
        DrawingModel(model.config, model.task, model.systems * 2)


def test_a_folder_of_images_is_learnt_from_drawn_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = stripes(tmp_path / "pictures", 30)
    Image.fromarray(np.zeros((20, 24), dtype=np.uint8)).save(folder / "other.png")
    small = ["--system.steps", "3", "--system.hidden", "16", "--system.latent", "4", "--training.epochs", "2"]
    run = tmp_path / "run"
    assert main(["train", "draw", "--out", str(run), "--data.folder", str(folder), *small]) == 0
    said = capsys.readouterr().err
    assert "3 of the images are set aside" in said
    assert "1 resized to 10 x 12, fitted in and padded with black (from 20 x 24)" in said
    assert "nats" in said
    assert main(["evaluate", str(run), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["count"] == 3
    assert figures["nats"] == pytest.approx(figures["reconstruction"] + figures["kl"], rel=1e-4)
    model = attend.run.load(run)
    drawn = model.reconstruct(str(folder / "00.png"))
    assert drawn.canvases.shape == (3, 1, 10, 12)
    assert drawn.pixels is not None
    assert set(np.unique(drawn.pixels)) == {20, 230}, "an own picture keeps its shades"
    assert len(model.generate(2)) == 2
    assert "model.generate" in (run / "README.md").read_text()


def test_files_of_images_are_read_one_after_the_other(tmp_path: Path):
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    np.savez_compressed(first, images=np.zeros((3, 4, 5), dtype=np.uint8))
    np.savez_compressed(second, images=np.ones((2, 4, 5), dtype=np.uint8))
    assert read_files((str(first), str(second))).pixels.mean(axis=(1, 2, 3)).tolist() == [0, 0, 0, 1, 1]
    task = prepared(tmp_path, PictureData(train=(str(first),), valid=(str(second),)))
    assert task.shape == (1, 4, 5)
    assert task.counts()["validation images"] == 2
    np.savez_compressed(second, images=np.ones((2, 4, 4), dtype=np.uint8))
    with pytest.raises(DataError, match=r"second.npz: has images of shape \(1, 4, 4\)"):
        read_files((str(first), str(second)))
    with pytest.raises(DataError, match=r"second.npz: has valid images of 1 x 4 x 4"):
        prepared(tmp_path, PictureData(train=(str(first),), valid=(str(second),)))


def test_data_that_cannot_be_learnt_from_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"set data\.folder, data\.train or data\.digits"):
        prepared(tmp_path, PictureData())
    with pytest.raises(ValueError, match="leave out one of them"):
        PictureData(folder="here", digits="small")
    with pytest.raises(DataError, match="one image alone"):
        prepared(tmp_path, PictureData(folder=str(stripes(tmp_path / "one", 1))))
    stripes(tmp_path / "split" / "valid", 2)
    with pytest.raises(DataError, match="has no training images"):
        prepared(tmp_path, PictureData(folder=str(tmp_path / "split")))


def test_images_set_aside_are_not_learnt_from(tmp_path: Path):
    task = prepared(tmp_path, PictureData(folder=str(stripes(tmp_path / "pictures", 20)), held_out=0.25))
    names: Sequence[set[str]] = [set(task.parts[part].names) for part in ("train", "valid")]
    assert [len(part) for part in names] == [15, 5]
    assert not names[0] & names[1]


def test_a_run_is_opened_as_it_was_made(tmp_path: Path):
    made = prepared(tmp_path)
    opened = Generation.open(build, DIGITS, 1, tmp_path)
    assert opened.form == made.form
    opened.read(silent)
    torch.testing.assert_close(opened.batch([3]).images, made.batch([3]).images)
    (tmp_path / "images.json").write_text('{"colour": "grey"}')
    with pytest.raises(DataError, match="does not say what images are made into"):
        Generation.open(build, DIGITS, 1, tmp_path)


def test_colours_keep_their_axis():
    canvases = np.linspace(0, 1, 2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    picture = Drawing("colours", canvases, {}).picture(0)
    assert picture.shape == (4, 5, 3)
    assert picture[0, 0, 1] == round(float(canvases[0, 1, 0, 0]) * 255)


def test_black_and_white_images_stay_so(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(2, size=(1, 1, 8, 8), dtype=np.uint8) * 255
    np.testing.assert_array_equal(prepared(tmp_path).as_drawn(Images(pixels), "given").pixels, pixels)
