"""Public sets of texts with a class: how they are read and held out, and what is refused by file and line."""

import json
from pathlib import Path

import pytest

from attend.data.examples import TARGET, Column
from attend.data.files import DataError
from attend.data.labelled import Imdb, Labelled

COLUMNS = [Column("text"), Column(TARGET)]


def test_lines_have_a_class_and_a_text(tmp_path: Path):
    lines = [f"{number % 2} What is number {number} ?".encode() for number in range(100)]
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\n".join([*lines, lines[0], b"0 caf\xe9"]) + b"\n")
    source = Labelled("lines", str(path)).open(COLUMNS, 1, print)
    parts = {split: list(source.rows(split)) for split in ("train", "valid")}
    assert len(parts["train"]) + len(parts["valid"]) == 102
    assert 2 <= len(parts["valid"]) <= 25
    texts = {split: {row.values["text"] for row in rows} for split, rows in parts.items()}
    assert not texts["train"] & texts["valid"]  # also of texts that stand there twice
    (last,) = (row for rows in parts.values() for row in rows if row.line == 102)
    assert last.values == {"text": "café", TARGET: "0"}


def test_reviews_have_line_ends_where_html_has_them(tmp_path: Path):
    path = tmp_path / "reviews.jsonl"
    path.write_text(json.dumps({"text": "Bad.<br /><br />Don't.", "label": 0}) + "\n")
    source = Imdb("reviews", str(path)).open(COLUMNS, 1, print)
    (row,) = (row for split in ("train", "valid") for row in source.rows(split))
    assert row.values == {"text": "Bad.\n\nDon't.", TARGET: "negative"}


@pytest.mark.parametrize(
    ("kind", "line"),
    [(Labelled, b"0"), (Imdb, b"{}"), (Imdb, b"["), (Imdb, b'{"text": "a", "label": 7}'), (Imdb, b"\xff")],
)
def test_malformed_lines_are_named(kind: type[Labelled], line: bytes, tmp_path: Path):
    path = tmp_path / "file"
    good = b"1 a b" if kind is Labelled else b'{"text": "a", "label": 1}'
    path.write_bytes(good + b"\n" + line + b"\n")
    with pytest.raises(DataError) as caught:
        kind("bad", str(path)).open(COLUMNS, 1, print)
    assert (caught.value.file, caught.value.line) == (str(path), 2)
