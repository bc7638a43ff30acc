"""What the tasks over pictures share: the parts of a folder, what is set aside, and the form of a run's images."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from jaxtyping import Int, Shaped, UInt8
from PIL import Image

from attend.atomic import write_atomically
from attend.data.files import DataError, locate
from attend.data.grids import Grids
from attend.data.image import Form, ImageError, Images, decode, formed
from attend.data.image_folder import ALL, read_folder
from attend.settings import check_range

Part = Literal["train", "valid", "test"]
Fit = Literal["exact", "pad", "crop"]
# From more pixels a side on, what a glimpse sees of an image taken as it is, is next to nothing.
LARGE = 256
PARTS: tuple[Part, ...] = ("train", "valid", "test")
Made = TypeVar("Made")
# A file, an image that Pillow has open, or pixels (unsigned bytes, which `pixels_of` checks).
Picture = str | Path | Image.Image | Shaped[np.ndarray, "channel rows columns"]


@dataclass(frozen=True)
class ImageSource:
    """What is said of images whatever is learnt from them; a task says more of some of it."""

    name: str = ""
    """What the data is called in results and model cards."""
    folder: str = ""
    """A folder of PNG and JPEG images."""
    train: tuple[str, ...] = ()
    """Files, instead of a folder."""
    valid: tuple[str, ...] = ()
    """The same as train, to choose the best weights by; never learnt from."""
    test: tuple[str, ...] = ()
    """The same as train, for `attend evaluate` after training; neither learnt from nor chosen by."""
    held_out: float = 0.1
    """The share of the training images that is set aside to validate, where the data has no part for that."""
    colour: Literal["grey", "colour"] = "grey"
    """What a folder's images are read as."""
    rows: int = 0
    """Height that a folder's images are resized to; 0 for that which most have."""
    columns: int = 0
    """Width that a folder's images are resized to; 0 for that which most have."""
    fit: Fit = "pad"
    """What is done with a folder's images of another size: left out, fitted in and padded with black, or cropped."""
    batch: int = 64
    """Images to a batch."""

    @property
    def form(self) -> Form:
        return Form(self.colour, self.rows or None, self.columns or None, self.fit)


def check_source(data: ImageSource, *sources: str) -> None:
    """Raises `ValueError` for settings out of their range, and for more than one of those that name what is learnt."""
    check_range(data, "batch", 1)
    check_range(data, "rows columns", 0)
    check_range(data, "held_out", 0, 1)
    if not data.held_out:
        raise ValueError("held_out must be above 0: without images to validate the best weights can't be told")
    given = [name for name in sources if getattr(data, name)]
    if len(given) > 1:
        problem = f"data.{given[0]} and data.{given[1]} both say what to learn from"
        raise ValueError(f"{problem}: leave out one of them (one that the recipe sets, with --data.{given[1]} '')")
    if not data.train and (beside := [part for part in ("valid", "test") if getattr(data, part)]):
        problem = f"data.{beside[0]} goes with data.train"
        raise ValueError(f"{problem}; of a folder, put the images into a folder {beside[0]} in it")
    if bool(data.rows) != bool(data.columns):
        raise ValueError("give both data.rows and data.columns, or neither")
    defaults = {field.name: field.default for field in fields(data)}
    for name in ("colour", "rows", "columns") if given and not data.folder else ():
        if getattr(data, name) != defaults[name]:
            raise ValueError(f"data.{name} is for data.folder: images of data.{given[0]} are taken as they are")


def folder_parts(folder: str, form: Form, log: Callable[[str], None]) -> dict[Part, Images]:
    """The parts of a folder of images; one that says no split is all for training.

    Raises `DataError` if it can't be read, or says the split of some images only.
    """
    read = read_folder(folder, form)
    log(f"{folder}: {read.report}")
    for note in read.notes:
        log(note)
    rows, columns = next(iter(read.parts.values())).shape[1:]
    if not form.rows and max(rows, columns) > LARGE:
        log(f"images of {rows} x {columns} are large for these models: --data.rows and --data.columns resize them")
    if ALL not in read.parts:
        return {part: read.parts[part] for part in PARTS if part in read.parts}
    if len(read.parts) > 1:
        raise DataError(folder, "says a split of some images only", "say one of all of them, or of none")
    return {"train": read.parts[ALL]}


def given_parts(
    data: ImageSource, read_files: Callable[[tuple[str, ...]], Images], log: Callable[[str], None]
) -> dict[Part, Images]:
    """The parts of the folder, or of the files, that are said. Raises `DataError` or `ValueError` if there are none."""
    parts: dict[Part, Images]
    if data.folder:
        parts = folder_parts(data.folder, data.form, log)
    elif data.train:
        named: dict[Part, tuple[str, ...]] = {"train": data.train, "valid": data.valid, "test": data.test}
        parts = {part: read_files(paths) for part, paths in named.items() if paths}
    else:
        raise ValueError("there is nothing to learn from: set data.folder, data.train or data.digits")
    check_parts(parts, data)
    return parts


def named_part(parts: Mapping[Any, Made], split: str) -> Made:
    """Raises `ValueError` if the run's data has no such part."""
    if split not in parts:
        raise ValueError(f"the run's data has no part {split!r}: name another with --split ({', '.join(parts)})")
    return parts[split]


def place_of(data: ImageSource, part: Part) -> str:
    """Where a part's images are from, for messages."""
    return data.folder or ", ".join(getattr(data, part) or data.train)


def check_parts(parts: Mapping[Part, Images | Grids], data: ImageSource) -> None:
    """Raises `DataError` if there is nothing to learn from, a part is empty, or has images of another size."""
    if "train" not in parts:
        raise DataError(place_of(data, "train"), "has no training images", "put some into a split called train")
    expected = parts["train"].shape
    for part, images in parts.items():
        place, shape = place_of(data, part), images.shape
        if not len(images) or not all(shape):
            sizes = " x ".join(map(str, (len(images), *shape)))
            raise DataError(place, f"has no {part} images (its array is of {sizes})", "give at least one")
        if shape != expected:
            what, axes, advice = "images", "channels, rows, columns", "give images of one size and colour"
            if isinstance(images, Grids):  # their sizes are said in the order in which files have them
                what, axes, advice = "grids", "rows, columns, size", "give grids of one size"
                shape, expected = (*shape[1:], shape[0]), (*expected[1:], expected[0])
            sizes, learnt = (" x ".join(map(str, each)) for each in (shape, expected))
            problem = f"has {part} {what} of {sizes} ({axes}), but those to learn are of {learnt}"
            raise DataError(place, problem, advice)


def divided(
    count: int, share: float, seed: int, place: str
) -> tuple[Int[np.ndarray, "train"], Int[np.ndarray, "valid"]]:
    """The numbers of so many images to learn from and of a random share to validate, at least one of each, in order.

    Raises `DataError` for fewer than two.
    """
    if count < 2:
        raise DataError(place, "has one image alone", "give at least two, to learn from one and validate the other")
    order = np.random.default_rng([seed]).permutation(count)
    held = min(count - 1, max(1, round(share * count)))
    return np.sort(order[held:]), np.sort(order[:held])


def say_held_out(count: int, log: Callable[[str], None]) -> None:
    log(f"{count:,} of the images {'is' if count == 1 else 'are'} set aside to validate (data.held_out)")


def form_of(images: Images, fit: Fit) -> Form:
    """The form that other images are brought to, to be like these."""
    channels, rows, columns = images.pixels.shape[1:]
    return Form("grey" if channels == 1 else "colour", rows, columns, fit)


def as_members(form: Form) -> dict[str, Any]:
    """A form as it is kept in a run's folder."""
    return {"colour": form.colour, "rows": form.rows, "columns": form.columns, "fit": form.fit}


def as_form(content: Mapping[str, Any]) -> Form:
    """The form of such members, which may have others beside them. Raises `KeyError` for one that is missing."""
    return Form(content["colour"], content["rows"], content["columns"], content["fit"])


def keep(path: Path, content: Mapping[str, Any]) -> None:
    """Write what a run makes of images to its folder."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def kept(path: Path, made: Callable[[Any], Made]) -> Made:
    """What is made of the content that was kept. Raises `DataError` if the file is damaged or missing."""
    try:
        return made(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(str(path), f"does not say what images are made into ({error})", "train the run anew") from error


def decode_file(path: str, form: Form) -> UInt8[np.ndarray, "channel rows columns"]:
    """An image file in a form. Raises `DataError` for one that can't be read."""
    try:
        return decode(locate(path), form).pixels
    except ImageError as error:
        raise DataError(path, str(error), error.advice) from error


def pixels_of(image: Picture, form: Form) -> UInt8[np.ndarray, "channel rows columns"]:
    """An image in a form; pixels must be of it already.

    Raises `DataError` for a file that can't be read, `ValueError` for pixels of another shape or type.
    """
    if isinstance(image, Image.Image):
        return formed(image, form).pixels
    if not isinstance(image, np.ndarray):
        return decode_file(str(image), form)
    expected = (form.channels, form.rows, form.columns)
    if image.shape != expected or image.dtype != np.uint8:
        what = f"the array is {image.dtype} of shape {image.shape}"
        raise ValueError(f"{what}; this run takes an image file, or unsigned bytes of {expected}")
    return image


def stacked(parts: Sequence[Images | Grids]) -> Images | Grids:
    """Several images or grids, at least one, as one array; nothing but their names goes with them."""
    names = tuple(name for part in parts for name in part.names)
    if isinstance(parts[0], Grids):
        return Grids(np.concatenate([part.features for part in parts if isinstance(part, Grids)]), names=names)
    return Images(np.concatenate([part.pixels for part in parts if isinstance(part, Images)]), names=names)


def name_of(image: Picture) -> str:
    return str(image) if isinstance(image, str | Path) else "an image"


def short_name(name: str) -> str:
    """A file's name without its folders, which are nobody's business who a trace is given to."""
    return Path(name).name or name
