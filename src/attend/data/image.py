"""Images in memory, and reading them: PNG and JPEG files, idx files, NPZ files. `image_folder` reads whole folders."""

import gzip
import struct
import warnings
import zipfile
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Integer, Shaped, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from attend.data.files import DataError, locate

Colour = Literal["grey", "colour"]
Fit = Literal["exact", "pad", "crop"]

# A file of few bytes can claim any size: larger images are not decoded, and larger data not loaded.
LARGEST_PIXELS = 80_000_000
LARGEST_BYTES = 8 << 30
# What Pillow raises on files that are not what they seem, besides errors of the system.
FAULTS = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, KeyError, IndexError, TypeError)
# What numpy and zipfile raise on such files; RuntimeError is of members that are encrypted or oddly compressed.
ARCHIVE_FAULTS = (OSError, ValueError, EOFError, KeyError, RuntimeError, SyntaxError, zlib.error)


class ImageError(ValueError):
    """An image that can't be used; the text says why, and `advice` what to do where it is asked for by itself."""

    def __init__(self, problem: str, advice: str = "give a PNG or JPEG image") -> None:
        super().__init__(problem)
        self.advice = advice


@dataclass(frozen=True)
class Form:
    """What images are made into, so that they fit in one array.

    A size that isn't given (None) is the images' own: the commonest.
    """

    colour: Colour = "grey"
    """One channel, or three: red, green, blue."""
    rows: int | None = None
    """Height in pixels."""
    columns: int | None = None
    """Width in pixels."""
    fit: Fit = "pad"
    """For images of another size: leave them out, fit the whole image in and pad with black, or fill and crop."""

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
    """Images of one size, held once, as bytes; what goes with them has an entry an image, or is None.

    `labels` are numbers of `classes`. An image has one caption or several. `names` are file names, empty where images
    have none. Raises `ValueError` where these don't fit together.
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
    """As viewers have it: grey without an axis of channels, colour with it."""
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)


class Decoded(NamedTuple):
    """An image as pixels, and what was done to it; `size` is its own (rows, columns), once upright."""

    pixels: UInt8[np.ndarray, "channel rows columns"]
    size: tuple[int, int]
    over_black: bool
    turned: bool


@contextmanager
def opened(file: Path | BytesIO) -> Iterator[Image.Image]:
    """An image file whose head has been read. Whatever is wrong with it, now or on decoding, is an `ImageError`."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of what it can read nevertheless, and of sizes that are refused here.
            warnings.simplefilter("ignore")
            with Image.open(file, formats=("PNG", "JPEG")) as image:
                if image.width * image.height > LARGEST_PIXELS:
                    raise ImageError(f"more than {LARGEST_PIXELS:,} pixels", "make it smaller")
                yield image
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except IsADirectoryError:
        raise ImageError("is a folder, not a picture", "name the pictures in it, as in folder/*.png") from None
    except UnidentifiedImageError:
        raise ImageError("not a PNG or JPEG image") from None
    except Image.DecompressionBombError:
        raise ImageError(f"more than {LARGEST_PIXELS:,} pixels", "make it smaller") from None
    except FAULTS as error:
        advice = "make it readable" if isinstance(error, PermissionError) else "save it anew"
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
    """Read a PNG or JPEG image in this form. Raises `ImageError` if that can't be done."""
    with opened(file) as image:
        return formed(image, form)


def formed(image: Image.Image, form: Form) -> Decoded:
    """A Pillow image in this form. Raises `ImageError` if it is of another size and must not be."""
    turned, size = orientation(image) in range(2, 9), upright_size(image)
    rows, columns = form.rows or size[0], form.columns or size[1]
    if size != (rows, columns):
        if form.fit == "exact":
            advice = f"resize it to {rows} rows and {columns} columns, or train with data.fit pad or crop"
            raise ImageError(f"not of {rows} x {columns} pixels", advice)
        # A JPEG can be decoded at a half, a quarter, ... of its size, in as much less time; twice what is needed leaves
        # the resizing below something to average.
        enough = 2 * max(rows, columns)
        image.draft(None, (enough, enough))
    upright = ImageOps.exif_transpose(image)
    over_black = upright.has_transparency_data
    if upright.mode in ("I", "F") and image.format != "PNG":
        raise ImageError(f"of Pillow's mode {upright.mode}, whose brightest value is not known: convert it to L or RGB")
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
    return Decoded(pixels, size, over_black, turned)


def number_labels(labels: Sequence[str]) -> tuple[Int[np.ndarray, "image"], tuple[str, ...]]:
    """Labels as numbers of their classes, which are in the order of their names, or of their values if all are such."""
    classes = sorted(set(labels))
    if all(name.isascii() and name.isdigit() and len(name) < 19 for name in classes):
        classes.sort(key=int)
    of_name = {name: index for index, name in enumerate(classes)}
    return np.array([of_name[label] for label in labels], dtype=np.int64), tuple(classes)


def read_idx(path: str) -> UInt8[np.ndarray, "*shape"]:
    """The array of an idx file of bytes, plain or compressed (`.gz`): MNIST's form.

    Raises `DataError` if the file is another, is cut short or goes on after its array.
    """
    place = locate(path)

    def wrong(problem: str) -> DataError:
        return DataError(path, problem, "give a whole idx file of unsigned bytes")

    try:
        with (gzip.open if place.suffix == ".gz" else open)(place, "rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or not 1 <= head[3] <= 4:
                raise wrong("is not an idx file")
            if head[2] != 0x08:
                raise wrong(f"holds numbers of type 0x{head[2]:02x}, not bytes")
            sizes = file.read(4 * head[3])
            if len(sizes) < 4 * head[3]:
                raise wrong("ends within its head")
            shape = struct.unpack(f">{head[3]}I", sizes)
            if prod(shape) > LARGEST_BYTES:
                raise wrong(f"claims an array of {' x '.join(map(str, shape))}")
            data = np.empty(prod(shape), dtype=np.uint8)
            view, filled = data.data, 0
            while filled < len(data):
                count = file.readinto(view[filled:])
                if not count:
                    raise wrong(f"ends after {filled:,} of {len(data):,} bytes")
                filled += count
            if file.read(1):
                raise wrong(f"goes on after its {len(data):,} bytes")
    except (OSError, EOFError, zlib.error) as error:
        raise wrong(f"cannot be read ({error})") from error
    return data.reshape(shape)


def read_idx_images(images: str, labels: str | None = None) -> Images:
    """Grey images from one idx file, and their labels, whole numbers from 0, from another.

    Raises `DataError` as `read_idx` does, and if the two don't go together.
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


def read_npz(path: str) -> Images:
    """Images from an NPZ file: an array `images` and, optionally, `labels`, one an image.

    Images are [image rows columns], or have an axis of 1 or 3 channels in addition, last or before the rows. They are
    unsigned bytes, or floats from 0 to 1, which are rounded to bytes. Labels are whole numbers or texts. Nothing that
    needs pickle is read. Raises `DataError` for anything else.
    """
    place = locate(path)

    def wrong(
        problem: str, advice: str = "save it with numpy.savez_compressed(path, images=..., labels=...)"
    ) -> DataError:
        return DataError(path, problem, advice)

    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(place) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            if unknown := sorted(set(members) - {"images", "labels"}):
                raise wrong(f"has arrays that are not known: {', '.join(unknown)}", "keep images and labels only")
            if "images" not in members:
                raise wrong("has no array named images")
            for name, member in members.items():
                arrays[name] = read_array(archive, member)
    except DataError:
        raise
    except (zipfile.BadZipFile, *ARCHIVE_FAULTS) as error:
        raise wrong(f"cannot be read ({error})") from error
    pixels = channels_first(as_bytes(arrays.pop("images"), wrong), wrong)
    if not arrays:
        return Images(pixels)
    labels = arrays["labels"]
    if labels.shape != pixels.shape[:1] or labels.dtype.kind not in "iuU":
        problem = f"has labels of shape {labels.shape} and type {labels.dtype}, for {len(pixels):,} images"
        raise wrong(problem, "give each image one label, a whole number or a text")
    if labels.dtype.kind != "U" and labels.min(initial=0) < 0:
        raise wrong(f"has the label {labels.min()}", "number the classes from 0")
    numbers, classes = number_labels([str(label) for label in labels])
    return Images(pixels, numbers, classes)


def read_array(archive: zipfile.ZipFile, member: str) -> Shaped[np.ndarray, "*shape"]:
    """An array of an NPZ file. Its claims are checked before there is room made for it."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read_head(file)
        left = archive.getinfo(member).file_size - file.tell()
    size = prod(shape) * kind.itemsize
    if kind.hasobject:
        raise ValueError(f"{member} holds Python objects")
    if size != left or size > LARGEST_BYTES:
        raise ValueError(f"{member} claims {size:,} bytes, and has {left:,}")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def as_bytes(
    pixels: Shaped[np.ndarray, "*shape"], wrong: Callable[[str, str], DataError]
) -> UInt8[np.ndarray, "*shape"]:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind != "f":
        problem = f"has images of type {pixels.dtype}, not unsigned bytes or floats"
        raise wrong(problem, "convert them, with images.astype('uint8') if they are from 0 to 255")
    if pixels.size and not (pixels.min() >= 0 and pixels.max() <= 1):  # so that NaN is caught
        problem = f"has images with brightness from {pixels.min()} to {pixels.max()}, not from 0 to 1"
        raise wrong(problem, "divide them by their greatest brightness, such as 255")
    return np.rint(pixels * 255).astype(np.uint8)


def channels_first(
    pixels: UInt8[np.ndarray, "*shape"], wrong: Callable[[str, str], DataError]
) -> UInt8[np.ndarray, "image channel rows columns"]:
    if pixels.ndim == 3:
        return pixels[:, np.newaxis]
    last = pixels.ndim == 4 and pixels.shape[3] in (1, 3)
    first = pixels.ndim == 4 and pixels.shape[1] in (1, 3)
    if last == first:
        problem = f"has images of shape {pixels.shape}, in which the channels (1 or 3) can't be told"
        raise wrong(problem, "give them as [image, rows, columns], or with an axis of 1 or 3 channels, first or last")
    return np.moveaxis(pixels, 3, 1) if last else pixels
