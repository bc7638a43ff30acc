"""Generated scenes with captions: 2 to 4 coloured shapes on black, and a caption that names them all.

    a red circle left of a blue square above a green cross

Shapes are in cells of a 3 x 3 grid, jittered around their centres. The caption names them in reading order, row by row,
joined by "left of" within a row and "above" between rows. So each scene has exactly one correct caption. Colours,
shapes, cells and number are uniform and independent (no two shapes alike), so that it can't be guessed without the
image. Which words name which shape, and the shape's box, are known.

A scene is a function of (seed, epoch, index) alone: `arrange` computes the layouts, and `draw` makes any of the scenes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int, Integer, UInt8

from attend.data.examples import TARGET, Column, Fresh, Log, Row, Split, Truth, as_several, check_columns
from attend.data.image import Images
from attend.settings import check_range

SIZE = 72
"""Height and width of a scene in pixels. A grid cell is three cells of an encoder of stride 8, so that a shape is
centred on one of them and not between two. Shapes fill their cells, and are about as wide as that encoder's receptive
field: smaller ones can be recognised as well from outside their box."""
FEWEST, MOST = 2, 4
"""Shapes in a scene."""
GRID = 3
"""Rows and columns of the grid."""
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (60, 60, 255),
    "yellow": (255, 255, 0),
    "purple": (200, 0, 255),
    "white": (255, 255, 255),
}
# Radii and offsets from the centres of cells, in pixels: shapes stay in their cells, and two in one row differ less in
# height than two in different rows.
SMALLEST, LARGEST = 9.0, 11.0
WANDER = 1.0
DIMMEST = 0.7
"""Minimum brightness of a shape, as a factor."""
WINDOW = 26
"""Width in pixels of the square that a shape is drawn in, including soft edges."""

# Evaluation scenes do not depend on the run's seed, so that seeds can be compared.
FROZEN_SEED: Mapping[Split, int] = {"valid": 0, "test": 1}
# Enough scenes for their captions to contain every word.
ALL_WORDS = 2000
# Scenes drawn at a time.
TOGETHER = 500

Distance = Callable[..., np.ndarray]


def circle(x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    return radius - np.hypot(x, y)


def square(x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    return 0.85 * radius - np.maximum(np.abs(x), np.abs(y))


def diamond(x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    return (radius - np.abs(x) - np.abs(y)) / np.sqrt(2)


def triangle(x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    sides = (y + radius - 1.8 * np.abs(x)) / np.hypot(1, 1.8)
    return np.minimum(sides, 0.8 * radius - y)


def cross(x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    x, y, bar = np.abs(x), np.abs(y), radius / 3
    return np.maximum(np.minimum(radius - x, bar - y), np.minimum(bar - x, radius - y))


@dataclass(frozen=True)
class Shape:
    """The signed distance to a shape's edge, positive inside, of a point (x, y) from its centre, given its radius.

    `extent` is how far the shape reaches left, up, right and down, in radii.
    """

    inside: Distance
    extent: tuple[float, float, float, float]


SHAPES: Mapping[str, Shape] = {
    "circle": Shape(circle, (1, 1, 1, 1)),
    "square": Shape(square, (0.85, 0.85, 0.85, 0.85)),
    "triangle": Shape(triangle, (1, 1, 1, 0.8)),
    "cross": Shape(cross, (1, 1, 1, 1)),
    "diamond": Shape(diamond, (1, 1, 1, 1)),
}


@dataclass(frozen=True, eq=False)
class SceneArrangement:
    """The layout of a set of scenes; objects are in reading order, and those beyond `count` are not drawn."""

    count: Int[np.ndarray, "image"]
    """How many objects there are."""
    cell: Int[np.ndarray, "image object"]
    """Index of an object's cell, row by row."""
    colour: Int[np.ndarray, "image object"]
    shape: Int[np.ndarray, "image object"]
    centre: Float32[np.ndarray, "image object 2"]
    """x and y in pixels, from the scene's top left corner."""
    radius: Float32[np.ndarray, "image object"]
    """In pixels."""
    brightness: Float32[np.ndarray, "image object"]
    """As a factor."""

    def __len__(self) -> int:
        return len(self.count)


@dataclass(frozen=True, eq=False)
class Scenes:
    """Scenes with a caption each, and the ground truth for where a model should look.

    A box is left, top, right and bottom in [-1, 1]; those beyond `count` are zero. `mentions` are the spans of the
    caption that name each object, such as "red circle".
    """

    images: Images
    count: Int[np.ndarray, "image"]
    boxes: Float32[np.ndarray, "image object 4"]
    mentions: tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True)
class GeneratedScenes:
    """Scenes of coloured shapes, new in every epoch, each with its caption:

        .   .o. ###
        .   .   .       -> "a red circle left of a blue square
        .+.     .           above a green cross"

    Rows have an `image`, bytes [3 rows columns], the `target`, its caption, and the box of each object.
    """

    name: str = "scenes"
    """What the data is called in results and model cards."""
    scenes: int = 20_000
    """Scenes per epoch."""
    measured: int = 1000
    """Scenes for validation, and for test."""

    def __post_init__(self) -> None:
        check_range(self, "scenes measured", 1)

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fresh:
        check_columns(columns, ("image", TARGET), "scenes")
        several = any(column.several for column in columns if column.name == TARGET)
        return SceneSource(self.scenes, self.measured, seed, several)

    def reads(self) -> tuple[str, ...]:
        return ()

    def files(self, split: Split) -> tuple[str, ...]:
        return (f"generated scenes ({split})",)


class SceneSource:
    """Scenes, new in every epoch; see `attend.data.examples.Fresh`. With `several` a target is a tuple of one."""

    splits: tuple[Split, ...] = ("train", "valid", "test")

    def __init__(self, scenes: int, measured: int, seed: int, several: bool) -> None:
        self._scenes, self._measured, self._seed, self._several = scenes, measured, seed, several
        self._arranged = (0, arrange(scenes, seed, 0))

    def __len__(self) -> int:
        return self._scenes

    def rows(self, split: Split) -> Iterator[Row]:
        count = ALL_WORDS if split == "train" else self._measured
        arranged = arrange(count, FROZEN_SEED["valid" if split == "train" else split], None)
        for start in range(0, count, TOGETHER):
            yield from self._drawn(arranged, np.arange(start, min(start + TOGETHER, count)))

    def column(self, epoch: int, name: str) -> list[str | tuple[str, ...]] | None:
        if name != TARGET:
            return None
        arranged = self._of(epoch)
        return [as_several(describe(arranged, scene)[0], self._several) for scene in range(len(arranged))]

    def draw(self, epoch: int, index: Integer[np.ndarray, "chosen"]) -> list[Row]:
        return self._drawn(self._of(epoch), index)

    def _of(self, epoch: int) -> SceneArrangement:
        if self._arranged[0] != epoch:
            self._arranged = (epoch, arrange(self._scenes, self._seed, epoch))
        return self._arranged[1]

    def _drawn(self, arranged: SceneArrangement, index: Integer[np.ndarray, "chosen"]) -> list[Row]:
        drawn = draw(arranged, index)
        assert drawn.images.captions is not None
        rows = []
        for place, number in enumerate(index.tolist()):
            ((caption,), mentions) = drawn.images.captions[place], drawn.mentions[place]
            objects = zip(drawn.boxes[place, : len(mentions)].tolist(), mentions, strict=True)
            truth = tuple(Truth("image", tuple(box), of=mention) for box, mention in objects)
            values = {"image": drawn.images.pixels[place], TARGET: as_several(caption, self._several)}
            rows.append(Row(values, f"scene {number + 1}", truth=truth))
        return rows


def arrange(count: int, seed: int, epoch: int | None) -> SceneArrangement:
    """`count` scenes, the same for the same seed and epoch (from 0; None for a frozen set)."""
    generator = np.random.default_rng([seed, 0 if epoch is None else epoch + 1])
    cells, kinds = GRID * GRID, len(COLOURS) * len(SHAPES)
    # A row of random numbers for each scene, so that a scene does not depend on `count`.
    numbers = generator.random((count, 1 + cells + kinds + 4 * MOST), dtype=np.float32)
    of_count, of_cell, of_kind, rest = np.split(numbers, [1, 1 + cells, 1 + cells + kinds], axis=1)
    objects = FEWEST + np.floor(of_count[:, 0] * np.float64(MOST - FEWEST + 1)).astype(np.int64)
    # The first of the cells and kinds in a random order; cells beyond the count come last.
    cell = np.argsort(of_cell, axis=1)[:, :MOST]
    there = np.arange(MOST) < objects[:, np.newaxis]
    cell = np.sort(np.where(there, cell, cells), axis=1)
    kind = np.argsort(of_kind, axis=1)[:, :MOST]
    across, down, larger, brighter = rest.reshape(count, 4, MOST).swapaxes(0, 1)
    row, column = np.divmod(cell, GRID)
    wander = WANDER * (2 * np.stack([across, down], axis=-1) - 1)
    centre = (np.stack([column, row], axis=-1) + 0.5) * (SIZE / GRID) + wander
    return SceneArrangement(
        objects,
        cell,
        kind % len(COLOURS),
        kind // len(COLOURS),
        centre.astype(np.float32),
        SMALLEST + (LARGEST - SMALLEST) * larger,
        DIMMEST + (1 - DIMMEST) * brighter,
    )


def draw(arranged: SceneArrangement, index: Integer[np.ndarray, "batch"]) -> Scenes:
    """These scenes of an arrangement."""
    captions, mentions = [], []
    for scene in index:
        text, spans = describe(arranged, int(scene))
        captions.append((text,))
        mentions.append(spans)
    images = Images(paint(arranged, index), captions=tuple(captions))
    return Scenes(images, arranged.count[index], boxes(arranged, index), tuple(mentions))


def draw_all(count: int, seed: int) -> Scenes:
    """A frozen evaluation set: the same for the same seed."""
    return draw(arrange(count, seed, None), np.arange(count))


def describe(arranged: SceneArrangement, scene: int) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A scene's caption, and the span that names each object."""
    colours, shapes = list(COLOURS), list(SHAPES)
    rows = arranged.cell[scene] // GRID
    text, spans = "", []
    for number in range(arranged.count[scene]):
        if number:
            text += " left of " if rows[number] == rows[number - 1] else " above "
        name = f"{colours[arranged.colour[scene, number]]} {shapes[arranged.shape[scene, number]]}"
        text += f"a {name}"
        spans.append((len(text) - len(name), len(text)))
    return text, tuple(spans)


def paint(arranged: SceneArrangement, index: Integer[np.ndarray, "batch"]) -> UInt8[np.ndarray, "batch 3 rows columns"]:
    """The scenes' pixels: each shape's colour by its approximate coverage of a pixel."""
    batch, number = np.nonzero(np.arange(MOST) < arranged.count[index][:, np.newaxis])
    chosen = (index[batch], number)
    centre, radius, shape = arranged.centre[chosen], arranged.radius[chosen], arranged.shape[chosen]
    corner = np.clip(np.floor(centre - WINDOW / 2), 0, SIZE - WINDOW).astype(np.int64)
    at = corner[:, :, np.newaxis] + np.arange(WINDOW, dtype=np.float32) + 0.5 - centre[:, :, np.newaxis]
    x, y = at[:, 0, np.newaxis, :], at[:, 1, :, np.newaxis]
    covered = np.empty((len(batch), WINDOW, WINDOW), dtype=np.float32)
    for kind, form in enumerate(SHAPES.values()):
        those = shape == kind
        covered[those] = form.inside(x[those], y[those], radius[those, np.newaxis, np.newaxis])
    covered = np.clip(covered + 0.5, 0, 1)
    colour = np.array(list(COLOURS.values()), dtype=np.float32)[arranged.colour[chosen]]
    colour *= arranged.brightness[chosen][:, np.newaxis]
    painted = np.rint(colour[:, :, np.newaxis, np.newaxis] * covered[:, np.newaxis]).astype(np.uint8)
    pixels = np.zeros((len(index), 3, SIZE, SIZE), dtype=np.uint8)
    for scene, (left, top), patch in zip(batch, corner.tolist(), painted, strict=True):
        under = pixels[scene, :, top : top + WINDOW, left : left + WINDOW]
        # Windows overlap at their edges; shapes stay in their cells.
        np.maximum(under, patch, out=under)
    return pixels


def boxes(arranged: SceneArrangement, index: Integer[np.ndarray, "batch"]) -> Float32[np.ndarray, "batch object 4"]:
    reach = np.array([form.extent for form in SHAPES.values()], dtype=np.float32) * np.array([-1, -1, 1, 1])
    edges = np.tile(arranged.centre[index], 2) + reach[arranged.shape[index]] * arranged.radius[index][..., np.newaxis]
    there = np.arange(MOST) < arranged.count[index][:, np.newaxis]
    return np.where(there[..., np.newaxis], 2 * edges / SIZE - 1, 0).astype(np.float32)
