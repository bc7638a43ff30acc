"""Images of a stranger, and generated ones: what is learnt from, what is refused, what comes out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from attend.attention.glimpse import Views
from attend.attention.trace import Trace
from attend.contract import Classified
from attend.data.digits import Canvas
from attend.data.files import DataError
from attend.data.image import Form, Images
from attend.systems import ram
from attend.tasks.image import Frozen, ImageData, ImageToClass, read_parts, shuffled
from attend.tasks.pictures import decode_file

SMALL = ram.Config(glimpses=3, size=4, hidden=16, sensed=8, glimpse=16)


def quiet(line: str) -> None:
    pass


def build(channels: int, classes: int) -> ram.System:
    torch.manual_seed(0)
    return ram.System(SMALL, channels, classes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of pictures in three classes, one of another size."""
    generate = np.random.default_rng(0)
    for number in range(24):
        name = ("cat", "dog", "owl")[number % 3]
        (tmp_path / "pictures" / name).mkdir(parents=True, exist_ok=True)
        size = (30, 20) if number == 4 else (12, 10)
        pixels = generate.integers(256, size=(*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{number}.png")
    (tmp_path / "pictures" / "cat" / "broken.png").write_bytes(b"not a picture")
    (tmp_path / "pictures" / "pig").mkdir()
    return tmp_path / "pictures"


def test_a_folder_of_pictures_is_learnt_from(folder: Path, tmp_path: Path):
    said: list[str] = []
    data = ImageData(folder=str(folder), colour="colour", rows=10, columns=12, held_out=0.25)
    task = ImageToClass.prepare(build, data, 1, tmp_path, said.append)
    assert task.classes == ("cat", "dog", "owl")
    assert (task.counts()["training images"], task.counts()["validation images"]) == (18, 6)
    # A class is in both parts, in its share.
    valid = task.frozen["valid"].images
    assert valid.labels is not None
    np.testing.assert_array_equal(np.bincount(valid.labels), [2, 2, 2])
    told = "\n".join(said)
    for part in ("1 resized to 10 x 12", "cat/broken.png", "of the class: pig", "6 of the images are set aside"):
        assert part in told
    batch = task.batch(task.plan(0)[0])
    assert batch.images.shape == (18, 3, 10, 12)
    assert float(batch.images.max()) <= 1


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        (
            "wide.png",
            r"not of 10 x 12 pixels; resize it to 10 rows and 12 columns, or train with data\.fit pad or crop",
        ),
        ("large.png", "more than 80,000,000 pixels; make it smaller"),
        ("cut.png", r"unreadable \(.*\); save it anew"),
        ("text.png", "not a PNG or JPEG image; give a PNG or JPEG image"),
        ("folder", r"is a folder, not a picture; name the pictures in it, as in folder/\*\.png"),
    ],
)
def test_what_to_do_with_an_image_that_can_not_be_read_is_said(name: str, advice: str, tmp_path: Path):
    Image.new("L", (20, 10)).save(tmp_path / "wide.png")
    Image.new("1", (10_000, 8_001)).save(tmp_path / "large.png")
    noise = np.random.default_rng(0).integers(256, size=(10, 12), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:80])
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=advice):
        decode_file(str(tmp_path / name), Form(rows=10, columns=12, fit="exact"))


def test_a_run_is_opened_with_what_its_images_are_made_into(folder: Path, tmp_path: Path):
    data = ImageData(folder=str(folder), rows=10, columns=12)
    made = ImageToClass.prepare(build, data, 1, tmp_path, quiet)
    opened = ImageToClass.open(build, data, 1, tmp_path)
    assert (opened.form, opened.classes) == (made.form, made.classes)
    opened.read(quiet)
    np.testing.assert_array_equal(opened.frozen["valid"].images.pixels, made.frozen["valid"].images.pixels)
    with pytest.raises(ValueError, match="the run's are"):
        ImageToClass(build, data, 1, made.form, ("a", "b")).read(quiet)
    (tmp_path / "images.json").write_text('{"colour": "grey"}')
    with pytest.raises(DataError, match=r"images\.json"):
        ImageToClass.open(build, data, 1, tmp_path)


def test_every_epoch_has_every_image_in_another_order(folder: Path, tmp_path: Path):
    task = ImageToClass.prepare(build, ImageData(folder=str(folder), rows=9, columns=9, batch=5), 1, tmp_path, quiet)
    count = task.counts()["training images"]
    epochs = [[index % count for batch in task.plan(epoch) for index in batch] for epoch in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(count))
    assert epochs[0] != epochs[1]
    assert task.plan(1) == task.plan(1)


def test_moved_digits_are_anew_in_every_epoch_and_frozen_to_measure(tmp_path: Path):
    data = ImageData(digits="small", moved=True, canvas=Canvas(20, 20, pieces=2, piece=4), batch=32)
    task = ImageToClass.prepare(build, data, 1, tmp_path, quiet)
    count = task.counts()["training images"]
    index = [3, 8]
    first, again, later = (task.batch([number + count * epoch for number in index]).images for epoch in (0, 0, 1))
    torch.testing.assert_close(first, again)
    assert not torch.equal(first, later)
    other = ImageToClass.prepare(build, data, 2, tmp_path, quiet)
    np.testing.assert_array_equal(task.frozen["valid"].images.pixels, other.frozen["valid"].images.pixels)
    assert not torch.equal(other.batch(index).images, first)


def test_the_audit_says_whether_it_looked_at_the_object(tmp_path: Path):
    data = ImageData(digits="small", moved=True, canvas=Canvas(20, 20))
    task = ImageToClass.prepare(build, data, 1, tmp_path, quiet)
    system = build(1, 10).eval()
    found = task.evaluate(system, task.frozen["valid"])
    assert len(found.outputs) == 360
    assert 0.5 < found.figures["error"] <= 1
    assert 0 <= found.figures["glimpses_on_object"] <= 1
    assert found.figures["places_spread_step_1"] == pytest.approx(0, abs=1e-6), (
        "nothing was seen before the first place"
    )
    assert found.figures["places_spread_step_3"] > 0
    again = task.evaluate(system, task.frozen["valid"])
    assert again.figures == found.figures


class Told(nn.Module):
    """Looks at a corner and twice at the object, at two scales. Is wrong before the last look; then once in four."""

    def __init__(self, frozen: Frozen) -> None:
        super().__init__()
        self.here = nn.Parameter(torch.zeros(()))
        assert frozen.images.labels is not None
        assert frozen.boxes is not None
        self.labels, self.middles = frozen.images.labels, (frozen.boxes[:, :2] + frozen.boxes[:, 2:]) / 2
        self.done = 0

    def classify(self, images: torch.Tensor) -> Classified:
        logits, looks = torch.zeros(len(images), 3, 10), []
        for row in range(len(images)):
            label = int(self.labels[self.done])
            wrong = (label + 1) % 10
            logits[row, :2, wrong] = 9
            logits[row, 2, label if self.done % 4 else wrong] = 9
            centre = np.stack([np.full(2, -1, dtype=np.float32), *[self.middles[self.done]] * 2]).repeat(2, axis=0)
            looks.append({"glimpse": Views(centre, np.ones_like(centre), np.tile(np.float32([1, 2]), 3))})
            self.done += 1
        return Classified(logits, looks)


class Follower(nn.Module):
    """Tells which image it is given, in its first pixel, and is right where that of the other one is even."""

    def __init__(self) -> None:
        super().__init__()
        self.here = nn.Parameter(torch.zeros(()))
        self.pairs: list[tuple[int, int]] = []

    def along(self, images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        one, other = (numbered(each) for each in (images, others))
        self.pairs += zip(one.tolist(), other.tolist(), strict=True)
        return nn.functional.one_hot((one + other % 2) % 3, 3).float()


def numbered(images: torch.Tensor) -> torch.Tensor:
    high, low = (images[:, 0, 0, :2] * 255).round().long().unbind(1)
    return 256 * high + low


def test_shuffled_each_image_is_looked_at_as_another_is():
    pixels = np.zeros((601, 1, 2, 2), dtype=np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = np.divmod(np.arange(601), 256)
    images, system = Images(pixels, np.arange(601) % 3, ("a", "b", "c")), Follower()
    found = shuffled(system, images)
    assert found == {"shuffled_error": 300 / 601}
    ones, others = zip(*system.pairs, strict=True)
    assert sorted(ones) == sorted(others) == list(range(601))
    assert all(one != other for one, other in system.pairs)
    assert np.abs(np.subtract(ones, others)).mean() > 100, "the others are from anywhere in the data"
    assert shuffled(system, images) == found
    assert shuffled(system, images.select(np.array([0]))) == {}, "there is no other image"
    assert shuffled(nn.Linear(1, 1), images) == {}


def test_an_evaluation_has_the_error_along_other_paths(tmp_path: Path):
    data = ImageData(digits="small")
    task = ImageToClass.prepare(build, data, 1, tmp_path, quiet)
    torch.manual_seed(0)
    fixed = ram.System(replace(SMALL, path=0.5, places="grid"), 1, 10).eval()
    figures = task.model(fixed.config, [fixed]).evaluate("valid").figures
    assert figures["shuffled_error"] == figures["error"]
    system = build(1, 10).eval()
    assert system.location.mean is not None
    nn.init.normal_(system.location.mean.weight, std=10)
    figures = task.model(system.config, [system]).evaluate("valid").figures
    assert figures["shuffled_error"] != figures["error"]


def test_what_is_measured_is_the_last_answer_and_the_place_of_every_step(tmp_path: Path):
    data = ImageData(digits="small", moved=True, canvas=Canvas(20, 20))
    task = ImageToClass.prepare(build, data, 1, tmp_path, quiet)
    figures = task.evaluate(Told(task.frozen["valid"]), task.frozen["valid"]).figures
    assert figures["error"] == 0.25
    assert figures["glimpses_on_object"] == pytest.approx(2 / 3)
    assert figures["places_spread_step_1"] == 0
    assert figures["places_spread_step_2"] == pytest.approx(figures["places_spread_step_3"])
    assert figures["places_spread_step_3"] > 0.1


def test_clutter_to_measure_on_is_cut_from_images_that_are_learnt(tmp_path: Path):
    data = ImageData(digits="small", moved=True, canvas=Canvas(20, 20, pieces=2, piece=4))
    task = ImageToClass.prepare(build, data, 1, tmp_path, quiet)
    assert task.train is not None
    digits = read_parts(data, 1, quiet)["valid"]
    task.train = replace(task.train, pixels=np.zeros_like(task.train.pixels))
    ink = task.freeze(digits).images.pixels.sum((1, 2, 3), dtype=np.int64)
    np.testing.assert_array_equal(ink, digits.pixels.sum((1, 2, 3), dtype=np.int64))


def test_random_places_are_measured_alike_each_time(tmp_path: Path):
    task = ImageToClass.prepare(build, ImageData(digits="small"), 1, tmp_path, quiet)
    torch.manual_seed(0)
    system = ram.System(replace(SMALL, places="random"), 1, 10).eval()
    first = task.evaluate(system, task.frozen["valid"]).figures
    torch.manual_seed(5)
    assert task.evaluate(system, task.frozen["valid"]).figures == first


def test_an_answer_is_a_whole_trace(folder: Path, tmp_path: Path):
    data = ImageData(folder=str(folder), rows=10, columns=12)
    task = ImageToClass.prepare(build, data, 1, tmp_path, quiet)
    picture = str(folder / "dog" / "1.png")
    (answer,) = task.answer(build(1, 3).eval(), task.decoded([picture]))
    trace = answer.trace(run="here")
    # The folders that it lies in are nobody else's business.
    assert (trace.input, trace.output) == ("1.png", answer.text)
    assert answer.text in task.classes
    assert trace.picture is not None
    assert trace.alternatives is not None
    assert [len(step) for step in trace.alternatives] == [3, 3, 3]
    np.testing.assert_allclose(sum(np.exp(found.log_prob) for found in trace.alternatives[-1]), 1, rtol=1e-5)
    again = Trace.from_json(json.loads(json.dumps(trace.to_json())))
    assert again.looks.keys() == {"glimpse"}


def npz(path: Path, labels: list[str] | None, count: int = 6) -> str:
    arrays = {"images": np.zeros((count, 8, 8), dtype=np.uint8)} | (
        {} if labels is None else {"labels": np.array(labels)}
    )
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(
    ("labels", "valid", "said"),
    [
        (None, None, "have no labels"),
        (["a"] * 6, None, "one class alone"),
        (["a", "a", "a", "b", "c", "c"], None, "the class 'b' has 1 image; give at least two"),
        (["a", "b"] * 3, ["a", "z"] * 3, "v.npz: has valid images of the class 'z', of which there are none to learn"),
        (["a", "b"] * 3, ["a"] * 6, r"v.npz: has 1 class \(valid\), but those to learn are 2"),
    ],
)
def test_what_can_not_be_learnt_from_is_refused(
    labels: list[str] | None, valid: list[str] | None, said: str, tmp_path: Path
):
    data = ImageData(
        train=(npz(tmp_path / "train.npz", labels),), valid=() if valid is None else (npz(tmp_path / "v.npz", valid),)
    )
    with pytest.raises(DataError, match=said):
        read_parts(data, 1, quiet)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((6, 8, 8, 3), r"v.npz: has valid images of 3 x 8 x 8 \(channels, rows, columns\)"),
        ((6, 4, 8), "v.npz: has valid images of 1 x 4 x 8"),
        ((0, 8, 8), r"v.npz: has no valid images \(its array is of 0 x 1 x 8 x 8\)"),
        ((6, 0, 8), "v.npz: has no valid images"),
    ],
)
def test_parts_that_do_not_fit_are_refused(shape: tuple[int, ...], said: str, tmp_path: Path):
    labels = ["a", "b"] * 3
    given = np.array(labels[: shape[0]], dtype="U1")
    np.savez(tmp_path / "v.npz", images=np.zeros(shape, dtype=np.uint8), labels=given)
    data = ImageData(train=(npz(tmp_path / "train.npz", labels),), valid=(str(tmp_path / "v.npz"),))
    with pytest.raises(DataError, match=said):
        read_parts(data, 1, quiet)


def test_contradictory_settings_are_refused():
    with pytest.raises(ValueError, match="held_out must be above 0"):
        ImageData(folder="x", held_out=0.0)
    with pytest.raises(ValueError, match="nothing to learn from"):
        read_parts(ImageData(), 1, quiet)
    with pytest.raises(ValueError, match="leave out one of them"):
        ImageData(folder="x", digits="mnist")
    with pytest.raises(ValueError, match=r"data\.moved"):
        ImageData(folder="x", moved=True)
    with pytest.raises(DataError, match="two idx files"):
        read_parts(ImageData(train=("a", "b", "c")), 1, quiet)
    with pytest.raises(ValueError, match=r"data\.valid goes with data\.train; of a folder"):
        ImageData(folder="x", valid=("y",))
    with pytest.raises(ValueError, match=r"data\.test goes with data\.train"):
        ImageData(digits="small", test=("y",))
    with pytest.raises(ValueError, match=r"give both data\.rows and data\.columns"):
        ImageData(folder="x", rows=16)
    with pytest.raises(ValueError, match=r"data\.rows is for data\.folder: images of data\.digits"):
        ImageData(digits="small", rows=16, columns=16)
    with pytest.raises(ValueError, match=r"data\.colour is for data\.folder: images of data\.train"):
        ImageData(train=("x.npz",), colour="colour")


def test_of_every_class_one_is_learnt(tmp_path: Path):
    labels = ["a"] * 4 + ["b"] * 2
    data = ImageData(train=(npz(tmp_path / "train.npz", labels),), held_out=0.8)
    parts = read_parts(data, 1, quiet)
    assert sorted(np.bincount(parts["train"].labels)) == [1, 1]
    assert sorted(np.bincount(parts["valid"].labels)) == [1, 3]


def test_a_canvas_without_moved_digits_is_refused():
    with pytest.raises(ValueError, match=r"data\.canvas is for moved digits"):
        ImageData(digits="small", canvas=Canvas(32, 32))
