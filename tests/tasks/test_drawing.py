"""The task of drawing: what is read, how it is measured, and what a trained model draws."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

import attend
from attend.attention.trace import Picture, PictureEachStep, Trace, Windows
from attend.contract import StoredTask
from attend.data.digits import Digits
from attend.data.files import DataError
from attend.data.image import Images, as_data_uri
from attend.data.own import Files
from attend.fields.image import Image
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import draw
from attend.tasks.drawing import Decoding, Drawing, DrawingModel, Drawn, Pixels
from attend.training import Training

SMALL = draw.Config(steps=3, hidden=12, latent=4, read=3, write=3)
DIGITS = Digits("digits 8x8", "small")


def quiet(line: str) -> None:
    """Say nothing."""


def recipe(
    data: Any = DIGITS,
    made: Literal["binarised", "grey"] = "binarised",
    seed: int = 1,
    image: Image = Image(),  # noqa: B008
) -> Recipe:
    settings: Any = SupervisedSettings(
        SMALL, inputs(image=image), Pixels(made), data, Training(seed=seed, epochs=2), Decoding()
    )
    return Recipe("drawings", settings, draw.System, Drawing)


def prepared(folder: Path, log: Any = quiet, **more: Any) -> Drawing:
    made = recipe(**more)
    folder.mkdir(exist_ok=True)
    return Drawing.prepare(made, made.settings, folder, log)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> DrawingModel:
    """An untrained one, of the small digits."""
    task = prepared(tmp_path_factory.mktemp("digits"))
    torch.manual_seed(0)
    return DrawingModel(SimpleNamespace(recipe="drawings", settings=task.settings), task, [task.build().eval()])


def stripes(folder: Path, count: int, size: tuple[int, int] = (10, 12)) -> Path:
    """Pictures of a bar, bright on dark, at some place."""
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.full(size, 20, dtype=np.uint8)
        pixels[:, number % (size[1] - 3) : number % (size[1] - 3) + 3] = 230
        Pillow.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def same(one: Drawn, other: Drawn) -> bool:
    return bool(np.allclose(one.canvases, other.canvases, atol=1e-6))


def test_images_are_made_black_and_white_once_and_for_all(tmp_path: Path):
    first, second = prepared(tmp_path, seed=1), prepared(tmp_path, seed=2)
    assert isinstance(first, StoredTask)
    batch = first.batch(0, [0, 5, 9])
    assert batch.images.unique().tolist() == [0, 1]
    torch.testing.assert_close(batch.images, first.batch(3, [0, 5, 9]).images)
    torch.testing.assert_close(batch.images, second.batch(0, [0, 5, 9]).images, msg="another seed, the same images")
    torch.testing.assert_close(next(first.validation()).images, next(second.validation()).images)
    shades = prepared(tmp_path, made="grey").batch(0, [0, 5, 9]).images
    assert len(shades.unique()) > 5
    given = first.as_drawn(Images((batch.images.numpy() * 255).astype(np.uint8)), "given")
    np.testing.assert_array_equal(given.pixels, batch.images.numpy() * 255)


def test_every_epoch_has_every_image_in_another_order(tmp_path: Path):
    task = prepared(tmp_path)
    count = task.counts()["training images"]
    epochs = [[index for batch in task.plan(epoch) for index in batch] for epoch in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(count))
    assert epochs[0] != epochs[1]
    assert task.plan(1) == prepared(tmp_path).plan(1) != prepared(tmp_path, seed=2).plan(1)


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
    assert figures["read_deviation"] > 0
    assert model.task.measure(model.systems[0]) == {"nats": figures["nats"]}


def test_the_importance_weighted_bound_is_a_figure_of_its_own(model: DrawingModel):
    state = {name: value.clone() for name, value in model.systems[0].state_dict().items()}
    with torch.no_grad():  # let the latent vectors matter
        for parameter in model.systems[0].parameters():
            parameter.mul_(2)
    plain = model.evaluate("valid").figures
    weighted = model.evaluate("valid", importance_samples=20).figures
    model.systems[0].load_state_dict(state)
    assert "nats_importance_weighted" not in plain
    assert weighted["nats"] == plain["nats"]
    assert weighted["nats_importance_weighted"] < plain["nats"]


def test_new_images_are_the_same_for_the_same_seed(model: DrawingModel):
    many, few, other = model.generate(4, seed=3), model.generate(2, seed=3), model.generate(2, seed=4)
    assert all(same(one, two) for one, two in zip(many, few, strict=False))
    assert same(model.generate(1, seed=3, first=2)[0], many[2])
    assert not same(many[0], many[1])
    assert not same(few[0], other[0])
    assert many[0].canvases.shape == (3, 1, 8, 8)
    assert many[0].picture().shape == (8, 8)
    assert set(many[0].looks) == {"write"}


def test_a_drawing_has_a_valid_trace(model: DrawingModel):
    images = model.part("valid")
    drawn = list(model.reconstruct_many(images.part(0, 3)))
    assert len(drawn) == 3
    again = Trace.from_json(json.loads(json.dumps(drawn[1].trace(recipe="drawings").to_json())))
    assert again.about == {"recipe": "drawings"}
    assert set(again.looks) == {"read", "write"}
    assert again.media["input"] == Picture(as_data_uri(images.pixels[1]))
    after = tuple(as_data_uri(drawn[1].canvas(step)) for step in range(3))
    assert again.media["write"] == PictureEachStep(after)
    for look in again.looks.values():
        assert isinstance(look, Windows)
        assert look.steps.labels() == ["1", "2", "3"]
    new = model.generate()[0]
    assert "input" not in new.trace().media
    assert new._repr_html_().startswith("<iframe")
    assert drawn[1].kl is not None
    assert drawn[1].kl.shape == (3,)
    alone = model.reconstruct(images.pixels[0])
    assert same(alone, drawn[0])
    np.testing.assert_allclose(alone.looks["read"].centre, drawn[0].looks["read"].centre, atol=1e-6)


def test_what_can_not_be_drawn_is_refused(model: DrawingModel):
    with pytest.raises(ValueError, match=r"\[1, 9, 8\].*\[1, 8, 8\]"):
        model.reconstruct(np.zeros((1, 9, 8), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"'test'.*train, valid"):
        model.evaluate("test")
    with pytest.raises(ValueError, match="drawings is one run"):
        DrawingModel(model.config, model.task, model.systems * 2)


def test_a_folder_of_images_is_learnt_from_drawn_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = stripes(tmp_path / "pictures", 30)
    Pillow.fromarray(np.zeros((20, 24), dtype=np.uint8)).save(folder / "other.png")
    (folder / "broken.png").write_bytes(b"no image")
    run = tmp_path / "run"
    made = recipe(Files("stripes", folder=str(folder)), "grey")
    model = attend.train(made, run)
    said = capsys.readouterr().err
    assert "3 of the examples are held out" in said
    assert "1 image resized to 10 x 12, fitted in and padded with black (from 20 x 24)" in said
    assert "broken.png left out" in said
    assert "nats" in said
    found = model.evaluate()
    assert len(found.outputs) == 3
    assert json.loads((run / "metrics.json").read_text())["figures"] == found.figures
    drawn = model.reconstruct(str(folder / "00.png"))
    assert drawn.canvases.shape == (3, 1, 10, 12)
    assert drawn.pixels is not None
    assert set(np.unique(drawn.pixels)) == {20, 230}, "an own picture keeps its shades"
    assert drawn.trace().input == "00.png"
    assert len(model.generate(2)) == 2
    assert "model.generate" in (run / "README.md").read_text()


def test_pictures_that_training_has_too_are_counted(tmp_path: Path):
    for part in ("train", "valid"):
        stripes(tmp_path / "bars" / part, 4)
    said: list[str] = []
    prepared(tmp_path / "run", said.append, data=Files(folder=str(tmp_path / "bars")))
    assert any(line.startswith("valid: 4 of 4 examples") for line in said)
    said.clear()
    prepared(tmp_path / "run", said.append)
    assert not any("training has too" in line for line in said)


def test_arrays_of_another_form_are_refused(tmp_path: Path):
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    np.savez_compressed(first, images=np.zeros((3, 4, 5), dtype=np.uint8))
    np.savez_compressed(second, images=np.ones((2, 4, 5), dtype=np.uint8))
    task = prepared(tmp_path, data=Files(train=(str(first),), valid=(str(second),)))
    assert task.counts() == {"training images": 3, "validation images": 2, "rows": 4, "columns": 5}
    np.savez_compressed(second, images=np.ones((2, 4, 4), dtype=np.uint8))
    with pytest.raises(DataError, match=r"\[1, 4, 4\].*\[1, 4, 5\]") as caught:
        prepared(tmp_path, data=Files(train=(str(first),), valid=(str(second),)))
    assert caught.value.file == str(second)


def test_data_that_can_not_be_learnt_from_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"data\.train or data\.folder"):
        prepared(tmp_path, data=Files())
    with pytest.raises(DataError, match="1 example"):
        prepared(tmp_path, data=Files(folder=str(stripes(tmp_path / "one", 1))))
    broken = tmp_path / "broken"
    stripes(broken / "train", 3)
    (broken / "valid").mkdir()
    (broken / "valid" / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="no valid image"):
        prepared(tmp_path, data=Files(folder=str(broken)))


def test_images_set_aside_are_not_learnt_from(tmp_path: Path):
    task = prepared(tmp_path, data=Files(folder=str(stripes(tmp_path / "pictures", 20)), held_out=0.25))
    names = [set(task.parts[part].names) for part in ("train", "valid")]
    assert [len(part) for part in names] == [15, 5]
    assert not names[0] & names[1]


def test_a_run_is_opened_as_it_was_made(tmp_path: Path):
    made = prepared(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(Drawing.kept(made.settings))
    opened = Drawing.open(made.recipe, made.settings, tmp_path)
    assert opened.field.form == made.field.form
    opened.read(quiet)
    torch.testing.assert_close(opened.batch(0, [3]).images, made.batch(0, [3]).images)
    (tmp_path / "image.json").write_text('{"colour": "grey"}')
    with pytest.raises(DataError, match=r"image\.json"):
        Drawing.open(made.recipe, made.settings, tmp_path)


def test_colours_keep_their_axis():
    canvases = np.linspace(0, 1, 2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    picture = Drawn("colours", canvases, {}).picture(0)
    assert picture.shape == (4, 5, 3)
    assert picture[0, 0, 1] == round(float(canvases[0, 1, 0, 0]) * 255)
