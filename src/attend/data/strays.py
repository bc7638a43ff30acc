"""What other programs leave in texts: a header that is read as data, CSV's quotes, stray spaces.

Only counts and the first lines are kept.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

STRAY = " \t\n\v\f\r"
# What a column's name looks like.
NAME = re.compile(r"[^\W\d][\w.-]*(?: [\w.-]+)?")
# Names of columns, in data of single words too.
NAMES = (
    *("source", "src", "target", "tgt", "trg", "input", "output", "text", "label", "class", "category", "caption"),
    *("sentence", "sentence1", "sentence2", "translation", "premise", "hypothesis", "question", "answer", "word"),
    *("image", "file", "file_name", "filename", "path", "id", "en", "de", "fr", "es", "it"),
    *("english", "german", "french", "spanish", "italian"),
)
# A header's cells are shorter than others' mean by this factor, where there are so many others.
SHORTER = 3
LEAST = 3


@dataclass
class Strays:
    """Of a part's columns, whose kinds are given ("text", "label", "file"): texts, counted by what is odd in them.

    `first_line` is where a header could stand; 0 for nowhere.
    """

    kinds: Mapping[str, str]
    first_line: int = 1
    texts: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    found: dict[str, Counter[str]] = field(default_factory=dict)
    first: dict[tuple[str, str], int] = field(default_factory=dict)
    head: dict[str, str] = field(default_factory=dict)
    as_head: Counter[str] = field(default_factory=Counter)

    def add(self, column: str, text: str, line: int) -> None:
        self.texts[column] += 1
        self.characters[column] += len(text)
        if line == self.first_line and line and column not in self.head:
            self.head[column] = text.strip()
        elif text == self.head.get(column):
            self.as_head[column] += 1
        if not text.strip():
            return
        if text[0] in STRAY or text[-1] in STRAY or "  " in text or "\t" in text:
            self.count("stray space", column, line)
        if text[:1] == text[-1:] == '"' and len(text) > 1:
            self.count("quotes" if '""' not in text[1:-1] else "CSV's quotes", column, line)
        if not text.isascii() and not unicodedata.is_normalized("NFC", text):
            self.count("decomposed character", column, line)

    def count(self, kind: str, column: str, line: int) -> None:
        self.found.setdefault(kind, Counter())[column] += 1
        self.first.setdefault((kind, column), line)

    def problems(self) -> Iterator[tuple[str, int, str, str]]:
        """Column, line, kind, and what is wrong."""
        if self.has_header():
            cells = ", ".join(map(repr, self.head.values()))
            yield next(iter(self.head)), 1, "header as data", f"{cells} look like names of columns"
        for kind, what in (
            ("stray space", "have spaces at an end, several together, or tabs"),
            ("decomposed character", "have letters apart from their accents (not in Unicode's NFC)"),
        ):
            for column, count in self.found.get(kind, Counter()).items():
                yield column, self.first[kind, column], kind, f"{self.share(column, count)} {what}, from here on"
        for column in self.texts:
            sure = self.found.get("CSV's quotes", Counter())[column]
            count = sure + self.found.get("quotes", Counter())[column]
            if count and (sure or 2 * count >= self.texts[column] > 1):
                lines = [line for (kind, name), line in self.first.items() if name == column and "quotes" in kind]
                what = f"{self.share(column, count)} are in quotes, as in CSV, from here on"
                yield column, min(lines), "quoted cell", what

    def share(self, column: str, count: int) -> str:
        return f"{count:,} of {self.texts[column]:,} values of {column}"

    def has_header(self) -> bool:
        """Whether the first line names columns: as many do, or with names that are short for a value."""
        if not self.head or self.head.keys() != self.kinds.keys():
            return False
        if not all(NAME.fullmatch(text) for text in self.head.values()):
            return False
        if all(text.lower() in NAMES for text in self.head.values()):
            return not any(self.as_head.values())
        return all(self.is_short(column) for column in self.head)

    def is_short(self, column: str) -> bool:
        if self.kinds[column] == "label":
            return not self.as_head[column]
        others = self.texts[column] - 1
        length = len(self.head[column])
        return others >= LEAST and SHORTER * length <= (self.characters[column] - length) / others


ADVICE = {
    "header as data": "name the columns (--data.columns, or --columns here), or remove the line: it is learnt from",
    "quoted cell": "name the file .csv, with commas, or remove the quotes: they are read as characters of the text",
    "stray space": "nothing to do: values are read without them",
    "decomposed character": "nothing to do: texts are read in NFC",
}
