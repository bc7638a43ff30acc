"""NLVR: human sentences about pictures of boxes with coloured shapes (Suhr et al. 2017).

Sentences that are true of their picture serve as captions. Pictures are read from their archive into memory: nothing is
unpacked to disk, whatever paths an archive holds.
"""

import json
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np

from attend.data.examples import TARGET, Column, Fixed, Kept, Log, Row, Split, as_several, check_columns
from attend.data.files import DataError, locate, read_lines
from attend.data.image import Form, ImageError, Images, decode

Part = Literal["dev", "hidden"]

# split-presentation-sentence-order.png, where the order is that of the three boxes.
NAME = re.compile(r"(?:dev|hidden|test)-(\d+)-(\d+)-(\d)\.png")
# A picture takes about a thousand bytes.
LARGEST_FILE = 1 << 22
# The pictures' own size, and half of it.
ROWS, COLUMNS = 100, 400
FORM = Form("colour", ROWS // 2, COLUMNS // 2)


@dataclass(frozen=True)
class Nlvr:
    """The pictures of NLVR, each with the sentence that is true of it, from the folder that ATTEND_DATA names:

        +------+ +------+ +------+
        | o    | |   ^  | |  []  |
        | []   | | o    | |  []  |   -> "there is a box with only squares"
        +------+ +------+ +------+

    Rows have an `image`, bytes [3 rows columns], and the `target`, its sentence. The development set is split, by
    presentation, into training and validation; the hidden set is for testing.
    """

    name: str = "nlvr"
    """What the data is called in results and model cards."""

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fixed:
        """Raises `DataError` if the files are missing or malformed."""
        check_columns(columns, ("image", TARGET), "NLVR")
        several = any(column.several for column in columns if column.name == TARGET)
        train, valid = divide(read_nlvr("dev"))
        parts: dict[Split, Images] = {"train": train, "valid": valid, "test": read_nlvr("hidden")}
        return Kept({split: captioned_rows(images, several) for split, images in parts.items()})

    def reads(self) -> tuple[str, ...]:
        return ("nlvr/dev.jsonl.gz", "nlvr/dev_images.tar")

    def files(self, split: Split) -> tuple[str, ...]:
        return (f"NLVR {'hidden' if split == 'test' else 'development'} set, true sentences ({split})",)


def captioned_rows(images: Images, several: bool) -> list[Row]:
    assert images.captions is not None
    pictures = zip(images.pixels, images.captions, images.names, strict=True)
    return [Row({"image": pixels, TARGET: as_several(caption, several)}, name) for pixels, (caption,), name in pictures]


def read_nlvr(part: Part, form: Form = FORM) -> Images:
    """The pictures of a part, in every available order of their boxes, with the sentence that is true of each.

    Read from `nlvr/<part>.jsonl.gz` and `nlvr/<part>_images.tar` in the folder that ATTEND_DATA names. Raises
    `DataError` if these can't be read, or a picture or its item is missing.
    """
    archive = f"nlvr/{part}_images.tar"
    sentences = read_sentences(f"nlvr/{part}.jsonl.gz")
    rows, columns = form.rows or ROWS, form.columns or COLUMNS
    if form.rows is None:
        form = Form(form.colour, rows, columns, "exact")
    try:
        with tarfile.open(locate(archive), "r:") as tar:
            members = {member.name.rsplit("/", 1)[-1]: member for member in tar if member.isfile()}
            names = sorted(name for name in members if item_of(name) in sentences)
            missing = sentences.keys() - {item_of(name) for name in names}
            if missing:
                raise DataError(archive, f"has no picture of item {min(missing)}", "get the whole archive")
            pixels = np.empty((len(names), form.channels, rows, columns), dtype=np.uint8)
            for number, name in enumerate(names):
                file = tar.extractfile(members[name])
                if file is None or members[name].size > LARGEST_FILE:
                    raise DataError(archive, f"{name} is not a picture", "get the archive again")
                try:
                    pixels[number] = decode(BytesIO(file.read()), form).pixels
                except ImageError as error:
                    raise DataError(archive, f"{name}: {error}", "get the archive again") from error
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(archive, f"cannot be read ({error})", "give a whole tar archive") from error
    captions = tuple((sentences[item_of(name)],) for name in names)
    return Images(pixels, captions=captions, names=tuple(names))


def read_sentences(path: str) -> dict[str, str]:
    """The true sentences of a part by their items' identifiers ("1572-0")."""
    sentences: dict[str, str] = {}
    for line, text in enumerate(read_lines(path), start=1):
        try:
            record = json.loads(text)
            identifier, sentence, label = record["identifier"], record["sentence"], record["label"]
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            problem = f"not a line of NLVR ({error!r})"
            raise DataError(path, problem, "get the file again", line, "malformed line") from None
        if not (isinstance(identifier, str) and isinstance(sentence, str) and label in ("true", "false")):
            problem = "identifier and sentence must be texts, label true or false"
            raise DataError(path, problem, "get the file again", line, "malformed line")
        if label == "true":
            sentences[identifier] = " ".join(sentence.split())
    return sentences


def item_of(name: str) -> str:
    """The identifier of a picture's item, from its file name; empty if it isn't a picture's."""
    match = NAME.fullmatch(name)
    return f"{match[1]}-{match[2]}" if match else ""


def divide(images: Images, share: int = 10) -> tuple[Images, Images]:
    """Training and validation images, the latter one in `share` presentations.

    Not split by picture: a presentation's sentence has up to four pictures, each in several orders of its boxes.
    """
    presentations = np.array([int(item_of(name).split("-")[0]) for name in images.names])
    held_out = presentations % share == 0
    return images.select(np.nonzero(~held_out)[0]), images.select(np.nonzero(held_out)[0])
