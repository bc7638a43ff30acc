"""Digits, and images generated from them: translated on a larger canvas, scaled, among pieces of other digits.

The layout of an epoch's images is a function of (seed, epoch) and the image's index alone: `arrange` computes it, and
`draw` makes any of the images, so that a resumed run sees the same images. Evaluation sets are frozen (epoch None).

The digits are MNIST's (Le Cun et al. 1998) or scikit-learn's 1,797 of 8 x 8 pixels (Alpaydin and Kaynak 1998).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Int, Integer, UInt8

from attend.data.examples import TARGET, Column, Fixed, Fresh, Log, Row, Split, Truth, check_columns
from attend.data.files import DataError
from attend.data.image import Images, read_idx_images
from attend.settings import check_range

Source = Literal["mnist", "small"]
Part = Literal["train", "valid"]

MNIST = ("mnist/train-images-idx3-ubyte.gz", "mnist/train-labels-idx1-ubyte.gz")
# Evaluation sets do not depend on the run's seed, so that seeds can be compared.
FROZEN_SEED = 0
# Moved digits that sizes and classes are learnt from, and that are drawn at a time.
LEARNT, TOGETHER = 1000, 500

# Of MNIST's 60,000 training images, the last 10,000 are for validation; of the small digits, the last 360.
TRAINING = {"mnist": 50_000, "small": 1_437}


@dataclass(frozen=True)
class DigitCanvas:
    """How images are generated from digits."""

    rows: int = 60
    """Height in pixels."""
    columns: int = 60
    """Width in pixels."""
    pieces: int = 0
    """Number of distractors: random square pieces of other digits."""
    piece: int = 8
    """Width of a piece in pixels."""
    smallest: float = 1.0
    """Smallest scale of a digit."""
    largest: float = 1.0
    """Largest scale of a digit; scales are uniformly distributed."""

    def __post_init__(self) -> None:
        check_range(self, "rows columns piece", 1)
        check_range(self, "pieces", 0)
        if not 0 < self.smallest <= self.largest:
            raise ValueError(f"smallest must be above 0 and at most largest, not {self.smallest} and {self.largest}")


TRANSLATED = DigitCanvas()
"""Mnih et al. 2014, section 4.1: a digit anywhere on a larger canvas."""
CLUTTERED = DigitCanvas(pieces=4)
"""The same section: with 4 pieces of other digits."""
CLUTTERED_LARGE = DigitCanvas(100, 100, pieces=8)
"""The same section: on 100 x 100 pixels, with 8 pieces."""
SCALED = DigitCanvas(smallest=0.5, largest=1.5)
"""A digit anywhere, scaled by 0.5 to 1.5, after Ba et al. 2015."""


@dataclass(frozen=True, eq=False)
class DigitArrangement:
    """The layout of a set of images; places are (row, column) of a top left corner, in pixels."""

    canvas: DigitCanvas
    digit: Int[np.ndarray, "image"]
    """Index of the digit."""
    scale: Float32[np.ndarray, "image"]
    """Its scale."""
    corner: Float32[np.ndarray, "image 2"]
    """Its place on the canvas; integer where it isn't scaled."""
    piece_digit: Int[np.ndarray, "image piece"]
    """Index of the digit that a piece is cut from."""
    piece_from: Int[np.ndarray, "image piece 2"]
    """Where a piece is cut from its digit."""
    piece_to: Int[np.ndarray, "image piece 2"]
    """Where it is added to the canvas."""

    def __len__(self) -> int:
        return len(self.digit)


@dataclass(frozen=True, eq=False)
class DrawnDigits:
    """Generated images; boxes are of the digits' ink: left, top, right, bottom, in [-1, 1]."""

    images: Images
    boxes: Float32[np.ndarray, "image 4"]


@dataclass(frozen=True)
class Digits:
    """Digits, as they are or translated on a larger canvas, at new places in every epoch:

        ............    moved = a larger canvas,
        ..#####.....    optionally with pieces
        ......#..##.    of other digits
        .....#...#..
        ....#.......    -> "7"

    Rows have an `image`, bytes [channel rows columns], and the `target`, its class; moved digits also have the box of
    their ink.
    """

    name: str = ""
    """What the data is called in results and model cards, such as "mnist 28x28"."""
    source: Source = "mnist"
    """MNIST's training images from the folder that ATTEND_DATA names (the first 50,000 for training, the last 10,000
    for validation), or scikit-learn's small ones."""
    moved: bool = False
    """Put the digits on a larger canvas, at new places in every epoch."""
    canvas: DigitCanvas = field(default_factory=lambda: TRANSLATED)
    """The canvas of moved digits."""

    def __post_init__(self) -> None:
        if self.canvas != TRANSLATED and not self.moved:
            raise ValueError("data.canvas is for moved digits: set data.moved too")

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fixed | Fresh:
        """Raises `DataError` if the digits aren't there, `ValueError` if they don't fit on the canvas."""
        check_columns(columns, ("image", TARGET), f"{self.source} digits")
        train, valid = read_digits(self.source, "train"), read_digits(self.source, "valid")
        return MovedDigits(train, valid, self.canvas, seed) if self.moved else StillDigits(train, valid)

    def reads(self) -> tuple[str, ...]:
        return MNIST if self.source == "mnist" else ()

    def files(self, split: Split) -> tuple[str, ...]:
        if split == "test":
            return ()
        return (f"{self.source} digits{', moved' if self.moved else ''} ({split})",)


class StillDigits:
    """Digits as they are; see `attend.data.examples.Fixed`."""

    splits: tuple[Split, ...] = ("train", "valid")

    def __init__(self, train: Images, valid: Images) -> None:
        self._parts: dict[Split, Images] = {"train": train, "valid": valid}

    def rows(self, split: Split) -> Iterator[Row]:
        return labelled_rows(self._parts[split], range(len(self._parts[split])))


class MovedDigits:
    """Digits at new places in every epoch; see `attend.data.examples.Fresh`."""

    splits: tuple[Split, ...] = ("train", "valid")

    def __init__(self, train: Images, valid: Images, canvas: DigitCanvas, seed: int) -> None:
        self._train, self._valid, self._canvas, self._seed = train, valid, canvas, seed
        self._arranged = (0, arrange(train, canvas, seed, 0))

    def __len__(self) -> int:
        return len(self._train)

    def rows(self, split: Split) -> Iterator[Row]:
        if split == "valid":
            arranged = arrange(self._valid, self._canvas, FROZEN_SEED, None, cut_from=self._train)
            yield from drawn_rows(self._valid, arranged, np.arange(len(self._valid)), self._train)
            return
        assert self._train.labels is not None
        first = np.unique(self._train.labels, return_index=True)[1]
        chosen = np.union1d(np.arange(min(LEARNT, len(self))), first)
        yield from drawn_rows(self._train, arrange(self._train, self._canvas, FROZEN_SEED, None), chosen)

    def column(self, epoch: int, name: str) -> None:
        return None

    def draw(self, epoch: int, index: Integer[np.ndarray, "chosen"]) -> list[Row]:
        if self._arranged[0] != epoch:
            self._arranged = (epoch, arrange(self._train, self._canvas, self._seed, epoch))
        return list(drawn_rows(self._train, self._arranged[1], index))


def drawn_rows(
    digits: Images, arranged: DigitArrangement, index: Integer[np.ndarray, "chosen"], cut_from: Images | None = None
) -> Iterator[Row]:
    """These images of an arrangement, in chunks, with the box of each digit."""
    for start in range(0, len(index), TOGETHER):
        part = index[start : start + TOGETHER]
        drawn = draw(digits, arranged, part, cut_from)
        yield from labelled_rows(drawn.images, part.tolist(), drawn.boxes)


def labelled_rows(
    images: Images, numbers: Sequence[int], boxes: Float32[np.ndarray, "image 4"] | None = None
) -> Iterator[Row]:
    """Images with the names of their classes; `numbers` are their indices in the set."""
    assert images.labels is not None
    places = [()] * len(images) if boxes is None else [(Truth("image", tuple(box)),) for box in boxes.tolist()]
    for pixels, label, number, truth in zip(images.pixels, images.labels.tolist(), numbers, places, strict=True):
        yield Row({"image": pixels, TARGET: images.classes[label]}, f"image {number + 1}", truth=truth)


def read_digits(source: Source, part: Part) -> Images:
    """MNIST from the folder that ATTEND_DATA names (`mnist/train-*-idx*-ubyte.gz`), or the small digits.

    Raises `DataError` if the files, or scikit-learn, aren't there.
    """
    images = read_mnist() if source == "mnist" else read_small()
    count = TRAINING[source]
    return images.part(0, count) if part == "train" else images.part(count, len(images))


def read_mnist() -> Images:
    try:
        return read_idx_images(*MNIST)
    except DataError as error:
        advice = f"{error.advice}; or choose the small digits, which come with scikit-learn"
        raise DataError(error.file, error.problem, advice) from error


def read_small() -> Images:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("the small digits", "scikit-learn is not installed", "pip install 'attend[image]'") from error
    digits, labels = load_digits(return_X_y=True)
    # Brightness is from 0 to 16.
    pixels = np.rint(np.asarray(digits).reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return Images(pixels, np.asarray(labels, dtype=np.int64), tuple(map(str, range(10))))


def arrange(
    digits: Images, canvas: DigitCanvas, seed: int, epoch: int | None, cut_from: Images | None = None
) -> DigitArrangement:
    """One image of each digit, the same for the same seed and epoch (from 0; None for a frozen set).

    Pieces are cut from `cut_from` (the training digits, for an evaluation set) or, by default, from the other digits;
    at any position, so that many are partly empty, as in the paper. Raises `ValueError` if the digits or pieces don't
    fit.
    """
    count = len(digits)
    room = np.array([canvas.rows, canvas.columns])
    size = np.array(digits.pixels.shape[2:])
    if (size * canvas.largest > room).any():
        raise ValueError(
            f"digits of {size[0]} x {size[1]}, times {canvas.largest:g}, don't fit on "
            f"{canvas.rows} x {canvas.columns}: enlarge the canvas"
        )
    pieces = digits if cut_from is None else cut_from
    source = np.array(pieces.pixels.shape[2:])
    if canvas.pieces and (canvas.piece > min(*source, *room) or len(pieces) < 2):
        problem = f"no pieces of {canvas.piece} x {canvas.piece} can be cut from {len(pieces)} digits"
        raise ValueError(f"{problem}: lower canvas.piece, or set canvas.pieces to 0")
    # A stream for each quantity, and a row for each image: an image does not depend on the set's size.
    moment = 0 if epoch is None else epoch + 1
    placing, strewing = (np.random.default_rng([seed, moment, stream]) for stream in (0, 1))
    chosen = placing.random((count, 3), dtype=np.float32)
    scale = canvas.smallest + (canvas.largest - canvas.smallest) * chosen[:, 0]
    free = room - scale[:, np.newaxis] * size
    unscaled = canvas.smallest == canvas.largest == 1
    corner = np.floor(chosen[:, 1:] * (free + 1)) if unscaled else chosen[:, 1:] * free
    strewn = strewing.random((count, canvas.pieces, 5), dtype=np.float32)
    own = cut_from is None
    piece_digit = np.floor(strewn[..., 0] * np.float64(len(pieces) - own)).astype(np.int64)
    if own:  # any digit but the image's own
        piece_digit += piece_digit >= np.arange(count)[:, np.newaxis]
    return DigitArrangement(
        canvas,
        np.arange(count),
        scale.astype(np.float32),
        np.minimum(corner, np.ceil(free)).astype(np.float32),
        piece_digit,
        np.floor(strewn[..., 1:3] * (source - canvas.piece + 1)).astype(np.int64),
        np.floor(strewn[..., 3:5] * (room - canvas.piece + 1)).astype(np.int64),
    )


def draw(
    digits: Images, arranged: DigitArrangement, index: Integer[np.ndarray, "batch"], cut_from: Images | None = None
) -> DrawnDigits:
    """These images of an arrangement, made for the same digits.

    Overlapping brightness is added, up to white.
    """
    canvas = arranged.canvas
    shape = (len(index), digits.pixels.shape[1], canvas.rows, canvas.columns)
    numbers = arranged.digit[index]
    inked = digits.pixels[numbers]
    if canvas.smallest == canvas.largest == 1:
        pixels = np.zeros(shape, dtype=np.uint8)
        rows, columns = inked.shape[2:]
        corners = arranged.corner[index].astype(np.int64).tolist()
        for image, digit, (top, left) in zip(pixels, inked, corners, strict=True):
            image[:, top : top + rows, left : left + columns] = digit
    else:
        pixels = scaled(inked, arranged.scale[index], arranged.corner[index], canvas)
    if canvas.pieces:
        strew(pixels, (digits if cut_from is None else cut_from).pixels, arranged, index)
    labels = None if digits.labels is None else digits.labels[numbers]
    return DrawnDigits(Images(pixels, labels, digits.classes), boxes(inked, arranged, index))


def draw_all(digits: Images, canvas: DigitCanvas, seed: int, cut_from: Images | None = None) -> DrawnDigits:
    """A frozen evaluation set: one image of each digit, the same for the same seed."""
    return draw(digits, arrange(digits, canvas, seed, None, cut_from), np.arange(len(digits)), cut_from)


def strew(
    pixels: UInt8[np.ndarray, "batch channel rows columns"],
    cut_from: UInt8[np.ndarray, "digit channel _ _"],
    arranged: DigitArrangement,
    index: Integer[np.ndarray, "batch"],
) -> None:
    """Add each image's pieces to it, in place."""
    size = arranged.canvas.piece
    step = np.arange(size)
    image = np.arange(len(index))[:, np.newaxis, np.newaxis]
    added = pixels.transpose(0, 2, 3, 1)
    for piece in range(arranged.canvas.pieces):
        (top, left), (row, column) = arranged.piece_from[index, piece].T, arranged.piece_to[index, piece].T
        digit = arranged.piece_digit[index, piece][:, np.newaxis, np.newaxis]
        cut = cut_from.transpose(0, 2, 3, 1)[digit, (top[:, None] + step)[:, :, None], (left[:, None] + step)[:, None]]
        place = (image, (row[:, None] + step)[:, :, None], (column[:, None] + step)[:, None])
        under = added[place]
        # A byte sum above white wraps around.
        total = under + cut
        total[total < cut] = 255
        added[place] = total


def scaled(
    digits: UInt8[np.ndarray, "batch channel _ _"],
    scale: Float32[np.ndarray, "batch"],
    corner: Float32[np.ndarray, "batch 2"],
    canvas: DigitCanvas,
) -> UInt8[np.ndarray, "batch channel {canvas.rows} {canvas.columns}"]:
    """Scaled digits at real-valued corners, on black."""
    down = triangles(digits.shape[2], canvas.rows, scale, corner[:, 0])[:, np.newaxis]
    across = triangles(digits.shape[3], canvas.columns, scale, corner[:, 1])[:, np.newaxis]
    return np.rint(down @ digits.astype(np.float32) @ across.swapaxes(2, 3)).clip(0, 255).astype(np.uint8)


def triangles(
    cells: int, count: int, scale: Float32[np.ndarray, "batch"], start: Float32[np.ndarray, "batch"]
) -> Float32[np.ndarray, "batch {count} {cells}"]:
    """Linear interpolation weights from the digit's pixels to the canvas's.

    For smaller digits a triangle is as wide as a pixel of the canvas, so that no pixel is skipped.
    """
    width = np.maximum(1, 1 / scale)[:, np.newaxis, np.newaxis]
    at = (np.arange(count, dtype=np.float32) + 0.5 - start[:, np.newaxis]) / scale[:, np.newaxis] - 0.5
    distance = np.abs(at[:, :, np.newaxis] - np.arange(cells, dtype=np.float32)) / width
    return np.maximum(0, 1 - distance, dtype=np.float32) / width


def boxes(
    inked: UInt8[np.ndarray, "batch channel _ _"], arranged: DigitArrangement, index: Integer[np.ndarray, "batch"]
) -> Float32[np.ndarray, "batch 4"]:
    """Left, top, right and bottom of the digits' ink, in [-1, 1]; of an empty digit, its whole square."""
    ink = inked.max(axis=1)
    top, bottom = edges(ink.max(axis=2) > 0)
    left, right = edges(ink.max(axis=1) > 0)
    scale = arranged.scale[index][:, np.newaxis]
    row, column = arranged.corner[index].T
    pixels = np.stack([left, top, right, bottom], axis=1) * scale + np.stack([column, row, column, row], axis=1)
    canvas = arranged.canvas
    extent = np.array([canvas.columns, canvas.rows, canvas.columns, canvas.rows], dtype=np.float32)
    return (2 * pixels / extent - 1).astype(np.float32)


def edges(line: Bool[np.ndarray, "batch cell"]) -> tuple[Int[np.ndarray, "batch"], Int[np.ndarray, "batch"]]:
    """Where the first true cell begins and the last one ends; the whole line where none is true."""
    first, last = line.argmax(axis=1), line.shape[1] - line[:, ::-1].argmax(axis=1)
    return first, last


def binarise(images: Images, seed: int) -> Images:
    """Binarised images: each pixel is white with its brightness as probability.

    The same seed gives the same set (a fixed binarisation, as Salakhutdinov and Murray's of 2008); likelihoods under
    other seeds, or dynamic binarisation, are not exactly comparable.
    """
    drawn = np.random.default_rng([seed]).integers(255, size=images.pixels.shape, dtype=np.uint8)
    return replace(images, pixels=np.where(drawn < images.pixels, np.uint8(255), np.uint8(0)))
