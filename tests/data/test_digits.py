"""Generated images against a slow oracle, and what makes them fit to train and to evaluate on."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from attend.data.digits import (
    CLUTTERED,
    CLUTTERED_LARGE,
    SCALED,
    TRANSLATED,
    DigitArrangement,
    DigitCanvas,
    Digits,
    arrange,
    binarise,
    draw,
    draw_all,
    read_digits,
    triangles,
)
from attend.data.examples import Column, Fixed, Fresh
from attend.data.files import DataError
from attend.data.image import Images

RANDOM = np.random.default_rng(1)


def some_digits(count: int = 12, size: int = 28) -> Images:
    """Bright squares of different places and sizes, each in a black margin."""
    pixels = np.zeros((count, 1, size, size), dtype=np.uint8)
    for image in pixels[:, 0]:
        top, left = RANDOM.integers(1, size // 2, 2)
        height, width = RANDOM.integers(2, size // 2, 2)
        image[top : top + height, left : left + width] = RANDOM.integers(1, 256, (height, width))
    return Images(pixels, RANDOM.integers(3, size=count), ("a", "b", "c"))


DIGITS = some_digits()
EVERY = np.arange(len(DIGITS))


def slow_draw(digits: Images, pieces: Images, arranged: DigitArrangement, number: int) -> np.ndarray:
    """An image put together pixel by pixel, in numbers that don't overflow."""
    canvas = arranged.canvas
    image = np.zeros((canvas.rows, canvas.columns), dtype=int)
    top, left = arranged.corner[number].astype(int)
    digit = digits.pixels[arranged.digit[number], 0]
    for row in range(digit.shape[0]):
        for column in range(digit.shape[1]):
            image[top + row, left + column] += digit[row, column]
    for piece in range(canvas.pieces):
        source = pieces.pixels[arranged.piece_digit[number, piece], 0]
        (from_row, from_column), (to_row, to_column) = (
            arranged.piece_from[number, piece],
            arranged.piece_to[number, piece],
        )
        for row in range(canvas.piece):
            for column in range(canvas.piece):
                image[to_row + row, to_column + column] += source[from_row + row, from_column + column]
    return np.minimum(image, 255)


@pytest.mark.parametrize("canvas", [TRANSLATED, CLUTTERED, CLUTTERED_LARGE, DigitCanvas(30, 40, pieces=9, piece=20)])
def test_images_are_what_their_arrangement_says(canvas):
    arranged = arrange(DIGITS, canvas, seed=1, epoch=3)
    drawn = draw(DIGITS, arranged, EVERY)
    assert drawn.images.pixels.shape == (12, 1, canvas.rows, canvas.columns)
    np.testing.assert_array_equal(drawn.images.labels, DIGITS.labels)
    for number in EVERY:
        np.testing.assert_array_equal(drawn.images.pixels[number, 0], slow_draw(DIGITS, DIGITS, arranged, number))


def test_colours_keep_their_channels():
    digits = Images(RANDOM.integers(256, size=(5, 3, 10, 10), dtype=np.uint8))
    canvas = DigitCanvas(20, 20, pieces=3, piece=6)
    arranged = arrange(digits, canvas, 1, 1)
    drawn = draw(digits, arranged, np.arange(5)).images.pixels
    for channel in range(3):
        grey = Images(np.ascontiguousarray(digits.pixels[:, channel : channel + 1]))
        np.testing.assert_array_equal(drawn[:, channel : channel + 1], draw(grey, arranged, np.arange(5)).images.pixels)


@pytest.mark.parametrize("canvas", [CLUTTERED, SCALED])
def test_an_image_does_not_depend_on_its_batch(canvas):
    arranged = arrange(DIGITS, canvas, 1, 1)
    together = draw(DIGITS, arranged, EVERY)
    index = np.array([7, 2])
    alone = draw(DIGITS, arranged, index)
    np.testing.assert_array_equal(alone.images.pixels, together.images.pixels[index])
    np.testing.assert_array_equal(alone.boxes, together.boxes[index])


@pytest.mark.parametrize("canvas", [CLUTTERED, SCALED])
def test_epochs_and_seeds_differ_and_repeat(canvas):
    def pixels(seed: int, epoch: int | None) -> bytes:
        return draw(DIGITS, arrange(DIGITS, canvas, seed, epoch), EVERY).images.pixels.tobytes()

    assert pixels(1, 1) == pixels(1, 1)
    assert len({pixels(*moment) for moment in ((1, None), (1, 0), (1, 1), (2, 0), (2, 1))}) == 5
    assert draw_all(DIGITS, canvas, 1).images.pixels.tobytes() == pixels(1, None)


def test_pieces_are_of_other_digits():
    canvas = DigitCanvas(60, 60, pieces=200)
    arranged = arrange(DIGITS, canvas, 1, 1)
    for number in EVERY:
        assert set(arranged.piece_digit[number]) == set(EVERY) - {number}


def test_pieces_of_an_evaluation_set_are_of_training_digits():
    training = some_digits(5, 20)
    drawn = draw_all(DIGITS, CLUTTERED, 1, cut_from=training)
    arranged = arrange(DIGITS, CLUTTERED, 1, None, cut_from=training)
    assert set(arranged.piece_digit.flatten()) == set(range(5))
    for number in EVERY:
        np.testing.assert_array_equal(drawn.images.pixels[number, 0], slow_draw(DIGITS, training, arranged, number))


@pytest.mark.parametrize("canvas", [CLUTTERED, DigitCanvas(30, 33), SCALED])
def test_places_reach_every_edge_and_are_spread_evenly(canvas):
    digits = Images(np.zeros((20_000, 1, 28, 28), dtype=np.uint8))
    arranged = arrange(digits, canvas, 1, 1)
    room = np.array([canvas.rows, canvas.columns])
    share = arranged.corner / (room - 28 * arranged.scale[:, np.newaxis])
    assert share.min() >= 0
    assert share.max() <= 1 + 1e-6
    np.testing.assert_allclose([share.min(), share.max()], [0, 1], atol=1e-3)
    np.testing.assert_allclose(share.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(
        [arranged.scale.min(), arranged.scale.max()], [canvas.smallest, canvas.largest], atol=1e-3
    )
    if canvas.pieces:
        for places, most in ((arranged.piece_from, 20), (arranged.piece_to, 52)):
            assert (places.min(), places.max()) == (0, most)
            np.testing.assert_allclose(places.mean(axis=(0, 1)), most / 2, atol=0.2)


@pytest.mark.parametrize("canvas", [TRANSLATED, DigitCanvas(50, 80), SCALED])
def test_boxes_hold_the_ink_and_nothing_else(canvas):
    drawn = draw_all(DIGITS, canvas, 1)
    # Scaling spreads ink over less than two pixels beyond the digit's.
    slack = 0 if canvas.largest == 1 else 2
    for image, (left, top, right, bottom) in zip(drawn.images.pixels[:, 0], drawn.boxes, strict=True):
        rows, columns = np.nonzero(image)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        expected = [
            (edge + 1) / 2 * extent
            for edge, extent in zip(
                (left, top, right, bottom), (canvas.columns, canvas.rows, canvas.columns, canvas.rows), strict=True
            )
        ]
        np.testing.assert_allclose(found, expected, atol=slack + 1e-4)


def test_a_digit_without_ink_has_a_box():
    digits = Images(np.zeros((1, 1, 28, 28), dtype=np.uint8))
    (box,) = draw_all(digits, TRANSLATED, 1).boxes
    np.testing.assert_allclose(box[2:] - box[:2], 2 * 28 / 60, rtol=1e-5)


def test_a_digit_scaled_by_one_is_the_digit():
    arranged = arrange(DIGITS, DigitCanvas(50, 50, smallest=0.5, largest=1.5), 1, 1)
    ones, fives = np.ones(12, dtype=np.float32), np.full((12, 2), 5, dtype=np.float32)
    whole = replace(arranged, scale=ones, corner=fives)
    pixels = draw(DIGITS, whole, EVERY).images.pixels
    np.testing.assert_array_equal(pixels[:, :, 5:33, 5:33], DIGITS.pixels)
    assert pixels.sum() == DIGITS.pixels.sum()


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.3, 2.0])
def test_scaling_keeps_brightness_and_centre(scale):
    """Of a smooth spot: the sum grows with the area, and the centre moves as the corner says."""
    axis = np.arange(28) - 12.0
    spot = np.exp(-(axis[:, None] ** 2 + axis**2) / 18).astype(np.float32)
    factor, start = np.full(1, scale, dtype=np.float32), np.full(1, 3.3, dtype=np.float32)
    weights = triangles(28, 64, factor, start)[0]
    found = weights @ spot @ weights.T
    np.testing.assert_allclose(found.sum(), spot.sum() * scale**2, rtol=0.01)
    centre = (found.sum(axis=1) * (np.arange(64) + 0.5)).sum() / found.sum()
    np.testing.assert_allclose(centre, 3.3 + scale * 12.5, atol=0.02)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"digits of 28 x 28, times 1\.5, don't fit on 40 x 60: enlarge the canvas"):
        arrange(DIGITS, DigitCanvas(40, 60, smallest=0.5, largest=1.5), 1, 1)
    with pytest.raises(ValueError, match="no pieces of 29 x 29 can be cut from 12 digits"):
        arrange(DIGITS, DigitCanvas(pieces=1, piece=29), 1, 1)
    with pytest.raises(ValueError, match="no pieces of 8 x 8 can be cut from 1 digits"):
        arrange(DIGITS.part(0, 1), CLUTTERED, 1, 1)
    with pytest.raises(ValueError, match=r"smallest must be above 0 and at most largest, not 2\.0 and 1\.0"):
        DigitCanvas(smallest=2.0)
    with pytest.raises(ValueError, match="rows must be at least 1, not 0"):
        DigitCanvas(rows=0)


def test_the_small_digits():
    pytest.importorskip("sklearn", reason="scikit-learn is in the extra attend[image]")
    train, valid = read_digits("small", "train"), read_digits("small", "valid")
    assert train.pixels.shape == (1437, 1, 8, 8)
    assert len(valid) == 360
    assert train.classes == tuple("0123456789")
    assert (train.pixels.min(), train.pixels.max()) == (0, 255)
    # Every digit is there, about as often in either part.
    assert np.bincount(train.labels).min() > 100
    assert np.bincount(valid.labels).min() > 20


def test_missing_digits_are_said_to_be_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTEND_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"there is no file or folder mnist/train-images.*or choose the small digits"):
        read_digits("mnist", "train")
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"scikit-learn is not installed; pip install 'attend\[image\]'"):
        read_digits("small", "train")


@pytest.mark.data
def test_mnist(data_folder):
    train, valid = read_digits("mnist", "train"), read_digits("mnist", "valid")
    assert train.pixels.shape == (50_000, 1, 28, 28)
    assert len(valid) == 10_000
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.shares_memory(train.pixels, train.part(0, 9).pixels)


def test_binarised_pixels_are_white_as_often_as_they_are_bright():
    images = Images(np.repeat(np.array([0, 51, 204, 255], dtype=np.uint8), 10_000).reshape(4, 1, 100, 100))
    found = binarise(images, 1)
    assert set(np.unique(found.pixels)) == {0, 255}
    np.testing.assert_allclose(found.pixels.mean(axis=(1, 2, 3)), [0, 51, 204, 255], atol=3)
    assert (found.pixels[0] == 0).all()
    assert (found.pixels[3] == 255).all()
    np.testing.assert_array_equal(found.pixels, binarise(images, 1).pixels)
    assert (found.pixels != binarise(images, 2).pixels).any()
    np.testing.assert_array_equal(binarise(images.part(0, 2), 1).pixels, found.pixels[:2])


COLUMNS = (Column("image", files=True), Column("target"))


def test_still_digits_are_rows_of_views():
    source = Digits(source="small").open(COLUMNS, 1, print)
    assert isinstance(source, Fixed)
    assert not isinstance(source, Fresh)
    digits = {part: read_digits("small", part) for part in ("train", "valid")}
    for part in source.splits:
        rows = list(source.rows(part))
        np.testing.assert_array_equal(np.stack([row.values["image"] for row in rows]), digits[part].pixels)
        assert [row.values["target"] for row in rows] == list(map(str, digits[part].labels))
        assert len({id(row.values["image"].base) for row in rows}) == 1
        assert (rows[2].name, rows[2].line, rows[2].truth) == ("image 3", 0, ())


@pytest.mark.parametrize("canvas", [DigitCanvas(20, 24, 2, 3), DigitCanvas(24, 20, smallest=0.5, largest=1.5)])
def test_moved_digits_are_those_of_the_epoch(canvas):
    source = Digits(source="small", moved=True, canvas=canvas).open(COLUMNS, 5, print)
    assert isinstance(source, Fresh)
    train, valid = read_digits("small", "train"), read_digits("small", "valid")
    assert len(source) == len(train)
    index = np.array([700, 3, 0])
    for epoch in (2, 0, 2):
        rows, drawn = source.draw(epoch, index), draw(train, arrange(train, canvas, 5, epoch), index)
        np.testing.assert_array_equal(np.stack([row.values["image"] for row in rows]), drawn.images.pixels)
        assert [row.values["target"] for row in rows] == [str(label) for label in train.labels[index]]
        assert [row.name for row in rows] == ["image 701", "image 4", "image 1"]
        for row, box in zip(rows, drawn.boxes, strict=True):
            (truth,) = row.truth
            assert (truth.over, truth.of) == ("image", None)
            np.testing.assert_array_equal(np.float32(truth.where), box)
    assert source.column(0, "image") is source.column(0, "target") is None
    frozen = draw_all(valid, canvas, 0, cut_from=train)
    rows = list(source.rows("valid"))
    np.testing.assert_array_equal(np.stack([row.values["image"] for row in rows]), frozen.images.pixels)
    np.testing.assert_array_equal(np.float32([row.truth[0].where for row in rows]), frozen.boxes)
    learnt = list(source.rows("train"))
    assert {row.values["target"] for row in learnt} == set("0123456789")
    assert learnt[0].values["image"].shape == (1, canvas.rows, canvas.columns)


def test_digits_that_can_not_be_had():
    with pytest.raises(ValueError, match=r"data\.canvas .*data\.moved"):
        Digits(canvas=CLUTTERED)
    with pytest.raises(ValueError, match="'source'"):
        Digits(source="small").open((Column("source"), Column("target")), 1, print)
    with pytest.raises(ValueError, match=r"8 x 8.*4 x 4"):
        Digits(source="small", moved=True, canvas=DigitCanvas(4, 4)).open(COLUMNS, 1, print)


def test_what_digits_are_read_from():
    assert all(path.startswith("mnist/") for path in Digits().reads())
    assert Digits(source="small").reads() == ()
    assert Digits().files("train") == ("mnist digits (train)",)
    assert Digits(moved=True).files("valid") == ("mnist digits, moved (valid)",)
