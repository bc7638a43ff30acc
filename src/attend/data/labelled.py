"""Public sets of texts with a class, from the folder that ATTEND_DATA names; one text in ten is held out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from attend.data.examples import TARGET, Column, Fixed, Kept, Log, Row, Split, check_columns
from attend.data.files import DataError, read_blocks

HELD_OUT = 10
"""One text in this many is held out: the same texts, wherever and however often they stand."""


@dataclass(frozen=True)
class Labelled:
    """Lines of a class and a text, with a space between, as the short texts of harvardnlp/sent-conv-torch are:

    1 Who is Duke Ellington ?
    """

    name: str = "trec"
    """What the data is called in results and model cards."""
    path: str = "sentence_classification/TREC.train.all.txt.gz"
    """The file."""

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fixed:
        """Raises `DataError` for a line that can't be used."""
        check_columns(columns, ("text", TARGET), self.name)
        parts: dict[Split, list[Row]] = {"train": [], "valid": []}
        lines = (line for block in read_blocks(self.path) for line in block.removesuffix(b"\n").split(b"\n"))
        for line, raw in enumerate(lines, start=1):
            label, text = self.parsed(raw, line)
            parts["valid" if held_out(text) else "train"].append(
                Row({"text": text, TARGET: label}, f"{self.path}, line {line}", line)
            )
        return Kept(parts)

    def parsed(self, raw: bytes, line: int) -> tuple[str, str]:
        """The class and the text."""
        label, space, found = raw.decode("latin-1").strip().partition(" ")
        if not space:
            raise DataError(self.path, "has no text", "write the class, a space and the text", line, "malformed line")
        return label, found

    def reads(self) -> tuple[str, ...]:
        return (self.path,)

    def files(self, split: Split) -> tuple[str, ...]:
        return (f"{self.path} ({split})",)


@dataclass(frozen=True)
class Imdb(Labelled):
    """Reviews of films, and whether they praise: an object a line, with a `text` and a `label` (0 or 1)."""

    name: str = "imdb"
    """What the data is called in results and model cards."""
    path: str = "imdb/train.jsonl.xz"
    """The file."""

    def parsed(self, raw: bytes, line: int) -> tuple[str, str]:
        """The line ends of a review are HTML."""
        try:
            found = json.loads(raw)
            return ("negative", "positive")[found["label"]], found["text"].replace("<br />", "\n")
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            advice = "give an object with a text and a label, 0 or 1"
            raise DataError(self.path, f"is no review ({error!r})", advice, line, "malformed line") from error


def held_out(text: str) -> bool:
    return blake2b(text.encode(), digest_size=8).digest()[0] % HELD_OUT == 0
