"""Images, brought to one size: files that Pillow reads, images that Pillow has open, or pixels."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from PIL import Image as Pillow
from torch import Tensor

from attend.atomic import write_atomically
from attend.attention.trace import Axis, Picture
from attend.data.arrays import as_pixels
from attend.data.examples import Column, Log
from attend.data.files import DataError, counted, locate
from attend.data.image import (
    KINDS,
    LARGEST_BYTES,
    Colour,
    Fit,
    Form,
    ImageError,
    as_data_uri,
    as_floats,
    decode,
    formed,
    size_of,
)
from attend.data.ragged import Stacked
from attend.fields.field import Fault, as_array, axis_of_image
from attend.settings import check_range
from attend.stored import read_object

# From more pixels a side on, what a glimpse sees of an image taken as it is, is next to nothing.
LARGE = 256
# Sizes that a remark names.
SHOWN = 3


@dataclass(frozen=True)
class Image:
    """An image, and the size that it is brought to. Images that come as arrays are taken as they are."""

    colour: Colour = "grey"
    """What image files are read as: one channel, or three."""
    rows: int = 0
    """Height that image files are resized to; 0 for that which most have."""
    columns: int = 0
    """Width that image files are resized to; 0 for that which most have."""
    fit: Fit = "pad"
    """What is done with images of another size: left out, fitted in and padded with black, or cropped."""

    kind = "image"
    like = ""

    def __post_init__(self) -> None:
        check_range(self, "rows columns", 0)
        if bool(self.rows) != bool(self.columns):
            raise ValueError("give both rows and columns, or neither")

    def column(self, name: str) -> Column:
        return Column(name, ("file_name", "path", "file"), files=True, suffixes=SUFFIXES)

    def kept(self, name: str) -> tuple[str, ...]:
        return (f"{name}.json",)

    def learn(self, values: Iterable[Any], log: Log) -> "ImageField":
        """The size of arrays, or the commonest of files. Raises `ValueError` for more than memory can hold."""
        sizes: Counter[tuple[int, int]] = Counter()
        shape: tuple[int, int, int] | None = None
        count = 0
        for value in values:
            count += 1
            if isinstance(value, np.ndarray):
                shape = shape or value.shape  # pyright: ignore[reportAssignmentType]
            elif not self.rows:
                with suppress(ImageError):  # it is refused, and then reported, when it is decoded
                    sizes[size_of(Path(value))] += 1
        if shape is not None:
            channels, rows, columns = shape
            return ImageField(Form("grey" if channels == 1 else "colour", rows, columns, self.fit))
        rows, columns = (self.rows, self.columns) if self.rows else max(sizes, key=sizes.__getitem__, default=(1, 1))
        if not self.rows and max(rows, columns) > LARGE:
            log(f"images of {rows} x {columns} are large for these models: set rows and columns to resize them")
        form = Form(self.colour, rows, columns, self.fit)
        if count * form.channels * rows * columns > LARGEST_BYTES:
            raise ValueError(
                f"{count:,} images of {rows} x {columns} don't fit into memory: set smaller rows and columns"
            )
        return ImageField(form)

    def open(self, folder: Path, name: str) -> "ImageField":
        path = folder / f"{name}.json"
        try:
            content = read_object(path)
            form = Form(content["colour"], int(content["rows"]), int(content["columns"]), content["fit"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise DataError(str(path), f"does not say the images' size ({error})", "train the run anew") from error
        return ImageField(form)

    def example(self, rng: np.random.Generator) -> UInt8[np.ndarray, "channel rows columns"]:
        """A white bar, somewhere."""
        pixels = np.zeros((1 if self.colour == "grey" else 3, 16, 16), dtype=np.uint8)
        place = int(rng.integers(13))
        pixels[:, :, place : place + 4] = 255
        return pixels


SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


class ImageField:
    """Images as bytes [channel rows columns]; a batch has brightness from 0 to 1."""

    varies = False
    limit = None

    def __init__(self, form: Form) -> None:
        assert form.rows is not None
        assert form.columns is not None
        self.form = form
        self.shape = (form.channels, form.rows, form.columns)
        self._resized: Counter[tuple[int, int]] = Counter()
        self._turned = self._over_black = self._animated = 0

    def read(self, given: str | bytes) -> Any:
        """A file, or the content of one."""
        return locate(given) if isinstance(given, str) else BytesIO(given)

    def encode(self, values: Sequence[Any], training: bool = False) -> list[Any]:
        return [self.pixels(value) for value in values]

    def pixels(self, value: Any) -> UInt8[np.ndarray, "channel rows columns"] | Fault:
        if isinstance(value, np.ndarray):
            return value if value.shape == self.shape and value.dtype == np.uint8 else self.laid_out(value)
        try:
            decoded = formed(value, self.form) if isinstance(value, Pillow.Image) else decode(as_file(value), self.form)
        except ImageError as error:
            return Fault(f"can't be used: {error}")
        if decoded.size != self.shape[1:]:
            self._resized[decoded.size] += 1
        self._turned += decoded.turned
        self._over_black += decoded.over_black
        self._animated += decoded.animated
        # Rows of channels lie as batches have them, so that convolutions compute the same whatever an image comes from.
        return np.ascontiguousarray(decoded.pixels)

    def laid_out(self, value: Shaped[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "channel rows columns"] | Fault:
        """An array of pixels as those of files may be: with the channels last, or floats from 0 to 1."""
        with suppress(DataError):
            pixels = as_pixels("", value[np.newaxis])[0]
            if pixels.shape == self.shape:
                return np.ascontiguousarray(pixels)
        channels, rows, columns = self.shape
        sizes = f"{[channels, rows, columns]} or {[rows, columns, channels]}"
        found = f"{value.dtype} {list(value.shape)}"
        return Fault.refuse(f"is an array of {found}, not of unsigned bytes, or floats from 0 to 1, {sizes}")

    def prepare(self, raw: Any, name: str = "", encoded: Any = None) -> "ImageValue":
        pixels = self.pixels(raw) if encoded is None else encoded
        named = str(raw) if isinstance(raw, str | Path) else name or "an image"
        if isinstance(pixels, Fault):
            place = named if isinstance(raw, str | Path) else "the image"
            raise DataError(place, pixels, f"give a {KINDS}, or pixels of the run's size")
        return ImageValue(pixels, named)

    def column(self) -> Stacked:
        return Stacked()

    def length(self, encoded: Any) -> int:
        return 1

    def collate(self, encoded: Any) -> Float[Tensor, "batch channel rows columns"]:
        return torch.from_numpy(as_floats(as_array(encoded)))

    def sizes(self) -> dict[str, int]:
        return dict(zip(("channels", "rows", "columns"), self.shape, strict=True))

    def remarks(self) -> list[str]:
        found = []
        if self._resized:
            how = "fitted in and padded with black" if self.form.fit == "pad" else "filled and cropped"
            sizes = [f"{rows} x {columns}" for (rows, columns), _ in self._resized.most_common(SHOWN)]
            more = ", ..." if len(self._resized) > SHOWN else ""
            found.append(
                f"{counted(self._resized.total(), 'image')} resized to {self.shape[1]} x {self.shape[2]}, {how} "
                f"(from {', '.join(sizes)}{more})"
            )
        if self._turned:
            found.append(f"{counted(self._turned, 'image')} turned as their EXIF orientation says")
        if self._over_black:
            found.append(f"{counted(self._over_black, 'image')} with transparent parts laid over black")
        if self._animated:
            found.append(f"{counted(self._animated, 'image')} of several frames: the first one is read")
        self._resized, self._turned, self._over_black, self._animated = Counter(), 0, 0, 0
        return found

    def about(self) -> str:
        return f"images of {self.shape[1]} x {self.shape[2]}, {self.form.colour}"

    def save(self, folder: Path, name: str) -> None:
        form = self.form
        content = {"colour": form.colour, "rows": form.rows, "columns": form.columns, "fit": form.fit}
        text = json.dumps(content, indent=2) + "\n"
        write_atomically(folder / f"{name}.json", lambda partial: partial.write_text(text, encoding="utf-8"))


@dataclass(frozen=True, eq=False)
class ImageValue:
    """See `attend.fields.field.Value`."""

    encoded: UInt8[np.ndarray, "channel rows columns"]
    name: str

    @property
    def text(self) -> str:
        """The file's name without its folders, which concern nobody that a trace is given to."""
        return Path(self.name).name or self.name

    def axis(self, cells: int, shape: tuple[int, ...]) -> Axis:
        return axis_of_image(cells, shape)

    def media(self) -> Picture:
        return Picture(as_data_uri(self.encoded))

    def unknown(self) -> int:
        return 0


def as_file(value: Any) -> Path | BytesIO:
    """Raises `TypeError` for what is neither a file's content nor its name."""
    if not isinstance(value, str | Path | BytesIO):
        raise TypeError(f"an image was expected (a file's name, a Pillow image or pixels), not {type(value).__name__}")
    return value if isinstance(value, BytesIO) else Path(value)
