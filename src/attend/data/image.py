"""Images in memory, and reading them: PNG, JPEG, WebP and GIF files, idx files, NPZ files."""

import struct
import warnings
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Integer, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from attend.data.arrays import LARGEST_BYTES as LARGEST_BYTES
from attend.data.arrays import read_idx
from attend.data.files import DataError

Colour = Literal["grey", "colour"]
Fit = Literal["exact", "pad", "crop"]

# Of files of several frames, the first is read.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
KINDS = "PNG, JPEG, WebP or GIF image"
# A small file can declare any size: larger images are not decoded.
LARGEST_PIXELS = 80_000_000
# What Pillow raises on malformed files, besides OSError.
FAULTS = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, KeyError, IndexError, TypeError)


class ImageError(ValueError):
    """An image that can't be used; the text says why, and `advice` what to do if it was named by itself."""

    def __init__(self, problem: str, advice: str = f"give a {KINDS}") -> None:
        super().__init__(problem)
        self.advice = advice


@dataclass(frozen=True)
class Form:
    """The common form that images are converted to, so that they fit in one array.

    Without a size (None), the most frequent one is used.
    """

    colour: Colour = "grey"
    """One channel, or three: red, green, blue."""
    rows: int | None = None
    """Height in pixels."""
    columns: int | None = None
    """Width in pixels."""
    fit: Fit = "pad"
    """For images of another size: leave them out, resize to fit and pad with black, or resize to fill and crop."""

    def __post_init__(self) -> None:
        if (self.rows is None) != (self.columns is None):
            raise ValueError("give both rows and columns, or neither")
        if self.rows is not None and self.columns is not None and min(self.rows, self.columns) < 1:
            raise ValueError(f"rows and columns must be at least 1, not {self.rows} and {self.columns}")

    @property
    def channels(self) -> int:
        return 1 if self.colour == "grey" else 3


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size, as bytes; labels, captions and names have an entry for each image, or are None.

    `labels` are indices of `classes`. An image has one caption or several. `names` are file names, empty where images
    have none. Raises `ValueError` where these don't match.
    """

    pixels: UInt8[np.ndarray, "image channel rows columns"]
    labels: Int[np.ndarray, "image"] | None = None
    classes: tuple[str, ...] = ()
    captions: tuple[tuple[str, ...], ...] | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, values in (("labels", self.labels), ("captions", self.captions), ("names", self.names or None)):
            if values is not None and len(values) != len(self.pixels):
                raise ValueError(f"there are {len(self.pixels)} images, but {len(values)} {name}")
        labels = self.labels
        if labels is not None and len(labels) and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise ValueError(f"labels are {labels.min()} to {labels.max()}, for {len(self.classes)} classes")

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, rows and columns of an image."""
        return self.pixels.shape[1:]

    def part(self, start: int, stop: int) -> "Images":
        """The images from number `start` to before `stop`: a view, not a copy."""
        chosen = slice(start, stop)
        return Images(
            self.pixels[chosen],
            None if self.labels is None else self.labels[chosen],
            self.classes,
            None if self.captions is None else self.captions[chosen],
            self.names[chosen],
        )

    def select(self, index: Integer[np.ndarray, "chosen"]) -> "Images":
        """The images of these numbers, in this order: a copy."""
        return Images(
            self.pixels[index],
            None if self.labels is None else self.labels[index],
            self.classes,
            None if self.captions is None else tuple(self.captions[number] for number in index),
            tuple(self.names[number] for number in index) if self.names else (),
        )

    def floats(self, index: Integer[np.ndarray, "batch"]) -> Float32[np.ndarray, "batch channel rows columns"]:
        """A batch of images with brightness from 0 to 1."""
        return as_floats(self.pixels[index])


def as_floats(pixels: UInt8[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Bytes as brightness from 0 to 1."""
    return np.multiply(pixels, np.float32(1 / 255), dtype=np.float32)


def as_data_uri(pixels: UInt8[np.ndarray, "channel rows columns"]) -> str:
    """An image as a PNG in a data URI, for pages and traces."""
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(rows_first(pixels))).save(file, format="PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


def rows_first(pixels: UInt8[np.ndarray, "channel rows columns"]) -> UInt8[np.ndarray, "rows columns *channel"]:
    """With the channels last, or without their axis if grey, as viewers expect."""
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)


class Decoded(NamedTuple):
    """An image's pixels, and how it was converted; `size` is its original (rows, columns), upright.

    Of an `animated` one they are those of the first frame.
    """

    pixels: UInt8[np.ndarray, "channel rows columns"]
    size: tuple[int, int]
    over_black: bool
    turned: bool
    animated: bool = False


@contextmanager
def opened(file: Path | BytesIO) -> Iterator[Image.Image]:
    """An image file whose header has been read. Any error, now or on decoding, is an `ImageError`."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of defects that it can read nevertheless, and of sizes that are refused here.
            warnings.simplefilter("ignore")
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > LARGEST_PIXELS:
                    raise ImageError(f"more than {LARGEST_PIXELS:,} pixels", "make it smaller")
                yield image
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except IsADirectoryError:
        raise ImageError("is a folder, not an image", "name the images in it, as in folder/*.png") from None
    except UnidentifiedImageError:
        raise ImageError(f"not a {KINDS}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"more than {LARGEST_PIXELS:,} pixels", "make it smaller") from None
    except FAULTS as error:
        advice = "make it readable" if isinstance(error, PermissionError) else "save it again"
        raise ImageError(f"unreadable ({error})", advice) from None


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(rows, columns) once the image is turned as its EXIF orientation says."""
    sideways = orientation(image) in (5, 6, 7, 8)
    return (image.width, image.height) if sideways else (image.height, image.width)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, from 1 (upright) to 8."""
    return image.getexif().get(0x0112, 1)


def size_of(file: Path) -> tuple[int, int]:
    """An image's (rows, columns), upright, without decoding it. Raises `ImageError` if it can't be read."""
    with opened(file) as image:
        return upright_size(image)


def decode(file: Path | BytesIO, form: Form) -> Decoded:
    """Read an image file in this form. Raises `ImageError` if that can't be done."""
    with opened(file) as image:
        return formed(image, form)


def formed(image: Image.Image, form: Form) -> Decoded:
    """A Pillow image in this form. Raises `ImageError` if it is of another size and must not be."""
    turned, size = orientation(image) in range(2, 9), upright_size(image)
    # The other pictures in a telephone's JPEG are no frames.
    animated = image.format in ("PNG", "WEBP", "GIF") and getattr(image, "is_animated", False)
    rows, columns = form.rows or size[0], form.columns or size[1]
    if size != (rows, columns):
        if form.fit == "exact":
            advice = f"resize it to {rows} rows and {columns} columns, or train with data.fit pad or crop"
            raise ImageError(f"not of {rows} x {columns} pixels", advice)
        # Decoding a JPEG at a half, a quarter, ... of its size is faster; twice the needed size leaves something to
        # average for the resizing below.
        enough = 2 * max(rows, columns)
        image.draft(None, (enough, enough))
    upright = ImageOps.exif_transpose(image)
    over_black = upright.has_transparency_data
    if upright.mode in ("I", "F") and image.format != "PNG":
        raise ImageError(f"of Pillow's mode {upright.mode}, whose maximum is not known: convert it to L or RGB")
    if upright.mode.startswith("I;16"):  # Pillow would clip 16 bits of grey to 8 instead of scaling
        upright = Image.fromarray(np.clip(np.asarray(upright) >> 8, 0, 255).astype(np.uint8))
    elif over_black:
        upright = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, (0, 0, 0, 255)), upright)
    upright = upright.convert("L" if form.colour == "grey" else "RGB")
    if size != (rows, columns):
        fit = ImageOps.pad if form.fit == "pad" else ImageOps.fit
        upright = fit(upright, (columns, rows), Image.Resampling.BILINEAR)
    pixels = np.asarray(upright)
    pixels = pixels[np.newaxis] if form.colour == "grey" else pixels.transpose(2, 0, 1)
    return Decoded(pixels, size, over_black, turned, animated)


def read_idx_images(images: str, labels: str | None = None) -> Images:
    """Grey images from one idx file, and their labels, integers from 0, from another.

    Raises `DataError` as `read_idx` does, and if the two don't match.
    """
    pixels = read_idx(images)
    if pixels.ndim != 3:
        raise DataError(images, f"has {pixels.ndim} axes", "give an idx file of images: number, rows, columns")
    if labels is None:
        return Images(pixels[:, np.newaxis])
    numbers = read_idx(labels)
    if numbers.shape != pixels.shape[:1]:
        problem = f"has labels of shape {numbers.shape}, but {images} has {len(pixels):,} images"
        raise DataError(labels, problem, "give the labels of these images")
    classes = tuple(map(str, range(int(numbers.max(initial=0)) + 1)))
    return Images(pixels[:, np.newaxis], numbers.astype(np.int64), classes)
