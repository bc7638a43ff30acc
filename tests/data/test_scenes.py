"""Scenes: the caption is read back from the pixels alone, by plain rules, so it is right and the only one."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from attend.data.examples import Column, Fresh
from attend.data.scenes import (
    COLOURS,
    GRID,
    LARGEST,
    MOST,
    SHAPES,
    SIZE,
    GeneratedScenes,
    Scenes,
    arrange,
    describe,
    draw,
    draw_all,
    paint,
)

SCENES = draw_all(400, seed=1)


def blobs(image: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The (rows, columns) of each connected bright patch, by flooding."""
    bright = image.max(axis=0) > 60
    found = []
    while bright.any():
        start = tuple(np.argwhere(bright)[0])
        stack, members = [start], []
        bright[start] = False
        while stack:
            row, column = stack.pop()
            members.append((row, column))
            for near in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                if min(near) >= 0 and max(near) < SIZE and bright[near]:
                    bright[near] = False
                    stack.append(near)
        rows, columns = np.array(members).T
        # What is covered by half.
        brightness = image[:, rows, columns].max(axis=0)
        full = brightness > brightness.max() / 2
        found.append((rows[full], columns[full]))
    return found


def colour_of(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> str:
    """The colour whose direction is nearest to that of the brightest pixels."""
    pixel = image[:, rows, columns].astype(float).max(axis=1)
    directions = {name: np.array(value) / np.linalg.norm(value) for name, value in COLOURS.items()}
    return max(directions, key=lambda name: float(directions[name] @ pixel))


def shape_of(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> str:
    """The shape that fills the blob's bounding box most nearly as the blob does, by the share of each pixel."""
    filled = image[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].max(axis=0)
    filled = filled / filled.max()
    height, width = filled.shape
    v, u = np.meshgrid(
        (np.arange(height) + 0.5) / height * 2 - 1, (np.arange(width) + 0.5) / width * 2 - 1, indexing="ij"
    )
    ideals = {
        "circle": u**2 + v**2 <= 1,
        "square": np.ones_like(filled, dtype=bool),
        "triangle": np.abs(u) <= (v + 1) / 2,
        "cross": np.minimum(np.abs(u), np.abs(v)) <= 1 / 3,
        "diamond": np.abs(u) + np.abs(v) <= 1,
    }
    assert ideals.keys() == SHAPES.keys()
    return min(ideals, key=lambda name: float(np.abs(ideals[name] - filled).sum()))


def read_back(image: np.ndarray) -> str:
    objects = []
    for rows, columns in blobs(image):
        middle = ((rows.min() + rows.max() + 1) / 2, (columns.min() + columns.max() + 1) / 2)
        row, column = (int(place / SIZE * GRID) for place in middle)
        objects.append((row, column, f"a {colour_of(image, rows, columns)} {shape_of(image, rows, columns)}"))
    objects.sort()
    text = objects[0][2]
    for before, after in pairwise(objects):
        text += (" left of " if before[0] == after[0] else " above ") + after[2]
    return text


def test_captions_can_be_read_off_the_pixels():
    found = [read_back(image) for image in SCENES.images.pixels]
    assert SCENES.images.captions is not None
    assert found == [caption for (caption,) in SCENES.images.captions]


def test_boxes_hold_the_shapes_and_mentions_their_names():
    assert SCENES.images.captions is not None
    for number, image in enumerate(SCENES.images.pixels):
        (caption,) = SCENES.images.captions[number]
        count = SCENES.count[number]
        left, top, right, bottom = ((SCENES.boxes[number, :count] + 1) / 2 * SIZE).T
        assert len(blobs(image)) == count
        for rows, columns in blobs(image):
            found = np.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            assert np.abs(np.stack([left, top, right, bottom], axis=1) - found).max(axis=1).min() < 1.5
        assert (SCENES.boxes[number, count:] == 0).all()
        assert len(SCENES.mentions[number]) == count
        for object_, (start, end) in enumerate(SCENES.mentions[number]):
            inside = [
                name
                for rows, columns in blobs(image)
                for name in [f"{colour_of(image, rows, columns)} {shape_of(image, rows, columns)}"]
                if left[object_] < columns.mean() < right[object_] and top[object_] < rows.mean() < bottom[object_]
            ]
            assert inside == [caption[start:end]]


def test_no_shape_is_cut_off(monkeypatch):
    arranged = arrange(400, 1, None)
    arranged.radius[:] = LARGEST
    index = np.arange(len(arranged))
    pixels = paint(arranged, index)
    monkeypatch.setattr("attend.data.scenes.WINDOW", 2 * SIZE // GRID)
    np.testing.assert_array_equal(pixels, paint(arranged, index))


def test_no_caption_is_likely_without_a_look():
    scenes = arrange(20_000, 1, 0)
    # Colours and shapes come up evenly at every place in the caption, the number of shapes as well.
    for numbers, kinds in ((scenes.colour, len(COLOURS)), (scenes.shape, len(SHAPES))):
        for place in range(MOST):
            there = numbers[scenes.count > place, place]
            np.testing.assert_allclose(np.bincount(there, minlength=kinds) / len(there), 1 / kinds, atol=0.02)
    np.testing.assert_allclose(np.bincount(scenes.count)[2:] / len(scenes), 1 / 3, atol=0.02)
    captions = Counter(caption for (caption,) in draw_all(2000, 1).images.captions or ())
    assert captions.most_common(1)[0][1] <= 5


def test_no_two_shapes_of_a_scene_are_alike():
    assert SCENES.images.captions is not None
    for (caption,), mentions in zip(SCENES.images.captions, SCENES.mentions, strict=True):
        names = [caption[start:end] for start, end in mentions]
        assert len(set(names)) == len(names)


def same(first: Scenes, second: Scenes) -> bool:
    return (
        first.images.pixels.tobytes() == second.images.pixels.tobytes()
        and first.images.captions == second.images.captions
        and first.mentions == second.mentions
        and bool((first.boxes == second.boxes).all())
    )


def test_a_scene_depends_on_seed_epoch_and_number_alone():
    index = np.array([5, 2])
    long, short = arrange(100, 1, 3), arrange(6, 1, 3)
    assert same(draw(long, index), draw(short, index))
    assert same(draw(long, np.arange(100)), draw(arrange(100, 1, 3), np.arange(100)))
    others = [draw(arrange(100, *moment), index) for moment in ((1, None), (1, 0), (1, 3), (2, 3))]
    assert not any(same(a, b) for number, a in enumerate(others) for b in others[:number])
    assert same(draw_all(9, 1), draw(arrange(100, 1, None), np.arange(9)))


@pytest.mark.parametrize("count", [0, 1])
def test_few_scenes(count):
    scenes = draw_all(count, 1)
    assert len(scenes.images) == len(scenes.count) == count


COLUMNS = (Column("image", files=True), Column("target"))
SEVERAL = (Column("image", files=True), Column("target", several=True))


def check_rows(rows, drawn: Scenes) -> None:
    """Rows are these scenes, and what is known of each object is where it is and how it is called."""
    np.testing.assert_array_equal(np.stack([row.values["image"] for row in rows]), drawn.images.pixels)
    for number, row in enumerate(rows):
        caption = row.values["target"]
        assert (caption,) == drawn.images.captions[number]
        assert tuple(truth.of for truth in row.truth) == drawn.mentions[number]
        boxes = np.float32([truth.where for truth in row.truth])
        np.testing.assert_array_equal(boxes, drawn.boxes[number, : drawn.count[number]])
        for truth in row.truth:
            colour, shape = caption[slice(*truth.of)].split()
            assert (truth.over, colour in COLOURS, shape in SHAPES) == ("image", True, True)


def test_rows_are_the_scenes_of_the_epoch():
    source = GeneratedScenes(scenes=50, measured=30).open(COLUMNS, 7, print)
    assert isinstance(source, Fresh)
    assert (len(source), source.splits) == (50, ("train", "valid", "test"))
    index = np.array([40, 2, 2])
    for epoch in (3, 0, 3):
        arranged = arrange(50, 7, epoch)
        check_rows(source.draw(epoch, index), draw(arranged, index))
        assert source.column(epoch, "target") == [describe(arranged, number)[0] for number in range(50)]
    assert source.column(0, "image") is None
    assert [row.name for row in source.draw(0, index)] == ["scene 41", "scene 3", "scene 3"]
    for seed, part in enumerate(("valid", "test")):
        check_rows(list(source.rows(part)), draw_all(30, seed))
    check_rows(list(source.rows("train")), draw_all(2000, 0))


def test_a_column_of_several_has_tuples():
    source = GeneratedScenes(scenes=5, measured=2).open(SEVERAL, 7, print)
    texts = source.column(1, "target")
    assert [row.values["target"] for row in source.draw(1, np.arange(5))] == texts
    assert all(isinstance(text, tuple) and len(text) == 1 for text in texts)


def test_scenes_that_can_not_be_had():
    with pytest.raises(ValueError, match="measured"):
        GeneratedScenes(measured=0)
    with pytest.raises(ValueError, match="'question'"):
        GeneratedScenes().open((Column("image"), Column("question"), Column("target")), 1, print)
