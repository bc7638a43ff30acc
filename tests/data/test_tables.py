"""Rows of tables, of line-aligned files and of arrays: what is read, and what is refused, by file, line and column."""

import contextlib
import csv
import gzip
import io
import json
import lzma
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from attend.data.examples import Column, Row
from attend.data.files import DataError
from attend.data.tables import read, scan

COMPRESS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
PAIR = (Column("source"), Column("target"))
JUDGED = (Column("premise"), Column("hypothesis"), Column("target", ("label", "class")))
CAPTIONED = (
    Column("image", ("file_name",), files=True, suffixes=(".png", ".jpg")),
    Column("target", ("caption",), several=True),
)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), max_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def put(folder: Path, name: str, data: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def values(rows) -> list[tuple]:
    return [tuple(row.values.values()) for row in rows]


def written(rows, names, kind: str, head: bool) -> str:
    """Rows as a table of a kind."""
    if kind == "jsonl":
        return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)
    if kind == "tsv":
        return "".join("\t".join(row) + "\n" for row in ([names] if head else []) + list(rows))
    file = io.StringIO()
    csv.writer(file).writerows([names, *rows])
    return file.getvalue()


@given(
    rows=st.lists(st.tuples(TEXT, TEXT, TEXT)),
    kind=st.sampled_from(["tsv", "csv", "jsonl"]),
    head=st.booleans(),
    suffix=st.sampled_from(sorted(COMPRESS)),
)
def test_what_is_written_in_any_form_is_read(folder, rows, kind, head, suffix):
    names = ["premise", "hypothesis", "label"]
    content = written(rows, names, kind, head).encode()
    found = list(read((put(folder, f"t.{kind}{suffix}", COMPRESS[suffix](content)),), JUDGED))
    # In CSV spaces around a cell mean nothing.
    expected = [tuple(cell.strip() for cell in row) for row in rows] if kind == "csv" else rows
    assert values(found) == expected
    assert all(list(row.values) == ["premise", "hypothesis", "target"] for row in found)
    first = 1 if kind == "jsonl" or (kind == "tsv" and not head) else 2
    assert [(row.name, row.line) for row in found] == [
        (f"line {line}", line) for line in range(first, first + len(rows))
    ]


@pytest.mark.parametrize("name", ["t.tsv", "t.txt"])
def test_columns_of_a_head_line_are_in_any_order_and_others_are_told_of(tmp_path, name):
    said: list[str] = []
    path = put(tmp_path, name, "id\tlabel\thypothesis\tnote\tpremise\n7\tyes\th\tn\tp\n")
    assert values(read((path,), JUDGED, log=said.append)) == [("p", "h", "yes")]
    assert len(said) == 1
    assert path in said[0]
    assert "'id'" in said[0]
    assert "'note'" in said[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.tsv", "sentence1\tsentence2\tgold\np\th\tyes\n"),
        ("t.csv", "gold,sentence1,sentence2\nyes,p,h\n"),
        ("t.jsonl", '{"sentence2": "h", "gold": "yes", "sentence1": "p", "premise": "other"}\n'),
    ],
)
def test_a_column_may_be_named_otherwise(tmp_path, name, content):
    mapping = {"premise": "sentence1", "hypothesis": "sentence2", "target": "gold"}
    assert values(read((put(tmp_path, name, content),), JUDGED, mapping)) == [("p", "h", "yes")]


def test_a_name_of_its_own_goes_before_an_alias(tmp_path):
    path = put(tmp_path, "t.tsv", "premise\thypothesis\tlabel\ttarget\np\th\tx\tyes\n")
    assert values(read((path,), JUDGED)) == [("p", "h", "yes")]
    # Another column's name is no alias: "text" is the field, and not the target.
    columns = (Column("text"), Column("target", ("caption", "text")))
    assert values(read((put(tmp_path, "u.tsv", "caption\ttext\nc\tt\n"),), columns)) == [("t", "c")]
    columns = (Column("source"), Column("target", ("caption", "text")))
    path = put(tmp_path, "v.tsv", "caption\ttext\nc\tt\n")
    assert values(read((path,), columns, {"source": "text"})) == [("t", "c")]


def test_a_tsv_without_a_head_line_has_the_columns_in_their_order(tmp_path):
    assert values(read((put(tmp_path, "t.tsv", "a\tb\nc\t\n"),), PAIR)) == [("a", "b"), ("c", "")]
    assert values(read((put(tmp_path, "e.tsv", ""),), PAIR)) == []
    # A row that is like the names is no head line; one that has some of them is.
    assert values(read((put(tmp_path, "f.tsv", "sources\ttargets\n"),), PAIR)) == [("sources", "targets")]
    assert values(read((put(tmp_path, "g.tsv", "source\tQuelle\n"),), PAIR)) == [("source", "Quelle")]


def test_the_target_may_be_missing_where_it_is_optional(tmp_path):
    contents = {
        "t.tsv": "p\th\n",
        "u.tsv": "hypothesis\tpremise\nh\tp\n",
        "t.csv": "premise,hypothesis\np,h\n",
        "t.jsonl": '{"premise": "p", "hypothesis": "h", "label": null}\n',
    }
    for name, content in contents.items():
        rows = list(read((put(tmp_path, name, content),), JUDGED, optional={"target"}))
        assert [row.values for row in rows] == [{"premise": "p", "hypothesis": "h"}]
    aligned = (put(tmp_path, "p.txt", "p\n"), put(tmp_path, "h.txt", "h\n"))
    assert values(read(aligned, JUDGED, optional={"target"})) == [("p", "h")]
    # Lines whose first one has a tab are a table, whatever the file's name; others are texts.
    rows = read((put(tmp_path, "s.txt", "a\tb\nc\t\n"),), PAIR, optional={"target"})
    assert [row.values for row in rows] == [{"source": "a", "target": "b"}, {"source": "c", "target": ""}]
    rows = read((put(tmp_path, "s.txt", "a\n\nb\tc\n"),), PAIR, optional={"target"})
    assert [row.values for row in rows] == [{"source": "a"}, {"source": ""}, {"source": "b\tc"}]


def test_standard_input_is_tsv_or_the_lines_of_one_column(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\tb\n")))
    assert values(read(("-",), PAIR)) == [("a", "b")]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\tb\n")))
    assert values(read(("-",), PAIR[:1])) == [("a\tb",)]


def test_line_aligned_files_are_one_a_column(tmp_path):
    paths = tuple(put(tmp_path, f"{name}.txt", f"{name}1\r\n\n{name}3") for name in "phl")
    found = list(read(paths, JUDGED))
    assert values(found) == [("p1", "h1", "l1"), ("", "", ""), ("p3", "h3", "l3")]
    assert found[2] == Row({"premise": "p3", "hypothesis": "h3", "target": "l3"}, "line 3", 3)


def test_several_files_of_one_column_follow_one_another(tmp_path):
    paths = (put(tmp_path, "a.txt", "a\nb\n"), put(tmp_path, "b.txt", "c\n"))
    assert values(read(paths, PAIR[:1])) == [("a",), ("b",), ("c",)]


@pytest.mark.parametrize("counts", [(3, 1, 3), (1, 3, 3), (0, 1, 1), (3, 3, 70_000)])
def test_different_line_counts_name_two_files_and_their_counts(tmp_path, counts):
    paths = tuple(put(tmp_path, f"{name}.txt", "x\n" * count) for name, count in zip("phl", counts, strict=True))
    rows = scan(paths, JUDGED)
    *whole, error = list(rows)
    assert len(whole) == min(counts)
    assert isinstance(error, DataError)
    assert (error.file, error.kind) == (paths[0], "line counts differ")
    other = next(place for place, count in enumerate(counts) if count != counts[0])
    assert paths[other] in error.problem
    assert f"{counts[0]:,} line" in error.problem
    assert f"{counts[other]:,}" in error.problem


@pytest.mark.parametrize(
    ("name", "line", "names"),
    [
        ("t.tsv", "a\tb\tc", ["3 columns instead of 2"]),
        ("t.tsv", "a", ["1 column instead of 2"]),
        ("t.csv", "a,b,c", ["3 columns instead of 2"]),
        ("t.csv", 'a,"b"x', ["not CSV"]),
        ("t.csv", 'a,"b', ["not CSV"]),
        ("t.csv", "a,b\rc", ["not CSV"]),
        ("t.jsonl", "{", ["not JSON"]),
        ("t.jsonl", "[" * 100_000, ["not JSON"]),
        ("t.jsonl", "1" * 10_000, ["not JSON"]),
        ("t.jsonl", '["source", "target"]', ["not a JSON object"]),
        ("t.jsonl", '{"source": "a", "traget": "b"}', ["'target'", "'traget'"]),
        ("t.jsonl", '{"source": "a", "target": null}', ["'target'"]),
        ("t.jsonl", '{"source": "a", "target": 3.5}', ["'target'"]),
        ("t.jsonl", '{"source": "a", "target": true}', ["'target'"]),
        ("t.jsonl", '{"source": "a", "target": ["b"]}', ["'target'"]),
        ("t.jsonl", '{"source": "\\ud800", "target": "b"}', ["'source'", "surrogate"]),
        ("t.tsv", b"a\tb\xff", ["not UTF-8", "byte 3"]),
        ("t.csv", b"a,b\xff", ["not UTF-8"]),
        ("t.jsonl", b'{"source": "\xff"}', ["not UTF-8"]),
    ],
)
def test_a_line_that_is_no_row_is_named_and_reading_goes_on(tmp_path, name, line, names):
    good = {"t.tsv": "a\tb\n", "t.csv": "source,target\n", "t.jsonl": '{"source": "a", "target": "b"}\n'}[name]
    line = line if isinstance(line, bytes) else line.encode()
    after = b"" if line.endswith(b'"b') else b"\n" + {"t.csv": b"c,d"}.get(name, good.strip().encode())
    path = put(tmp_path, name, good.encode() + line + after + b"\n")
    errors = [row for row in scan((path,), PAIR) if isinstance(row, DataError)]
    assert [(error.file, error.line) for error in errors] == [(path, 2)]
    assert all(part in str(errors[0]) for part in names)
    rows = sum(isinstance(row, Row) for row in scan((path,), PAIR))
    assert rows == (name != "t.csv") + bool(after)
    with pytest.raises(DataError, match=rf"{name}, line 2: "):
        list(read((path,), PAIR))


@pytest.mark.parametrize(
    ("name", "head", "names"),
    [
        # A column that is missing, misspelt, there twice, or one of two.
        ("t.csv", "premise,hypothesis", ["'target' (or 'label', 'class')"]),
        ("t.csv", "premise,hypotesis,label", ["'hypothesis'", "did you mean 'hypotesis'"]),
        ("t.csv", "premise,Hypothesis,label", ["'hypothesis'", "did you mean 'Hypothesis'"]),
        ("t.csv", "premise,premise,hypothesis,label", ["'premise' is duplicated"]),
        ("t.csv", "premise,hypothesis,label,class", ["'label' and 'class'"]),
        ("t.csv", "", ["'premise'"]),
        ("t.csv", "premise;hypothesis;label", ["semicolons"]),
        ("t.csv", "premise\thypothesis\tlabel", ["tabs"]),
        ("t.tsv", "premise\thypotesis\tlabel", ["'hypothesis'", "did you mean 'hypotesis'"]),
        ("t.tsv", "premise\tpremise\thypothesis\tlabel", ["'premise' is duplicated"]),
        ("t.tsv", "a\tb", ["2 columns instead of 3", "premise, hypothesis, target"]),
        ("t.jsonl", '{"premise": "a", "hypothesis": "b"}', ["'target' (or 'label', 'class')"]),
    ],
)
def test_columns_that_are_not_there_are_named(tmp_path, name, head, names):
    path = put(tmp_path, name, head)
    with pytest.raises(DataError) as caught:
        list(read((path,), JUDGED))
    assert (caught.value.file, caught.value.line) == (path, 1)
    assert all(part in str(caught.value) for part in names), str(caught.value)


@pytest.mark.parametrize(
    ("mapping", "names"),
    [
        ({"premis": "sentence1"}, ["'premis'", "did you mean 'premise'"]),
        ({"premise": "sentense1"}, ["'sentense1'", "premise", "did you mean 'sentence1'"]),
        ({"target": "gold_lable"}, ["'gold_lable'", "target", "did you mean 'gold_label'"]),
    ],
)
@pytest.mark.parametrize("name", ["t.tsv", "t.csv", "t.jsonl"])
def test_misspelt_names_of_columns_are_told_with_the_nearest(tmp_path, name, mapping, names):
    kind = name.partition(".")[2]
    path = put(tmp_path, name, written([("p", "h", "y")], ["sentence1", "hypothesis", "gold_label"], kind, True))
    with pytest.raises(DataError, match=name) as caught:
        list(read((path,), JUDGED, mapping))
    assert all(part in str(caught.value) for part in names), str(caught.value)


def test_an_optional_column_that_is_misspelt_is_told(tmp_path):
    path = put(tmp_path, "t.csv", "premise,hypothesis,lable\np,h,y\n")
    with pytest.raises(DataError, match=r"t\.csv, line 1: .*'lable'") as caught:
        list(read((path,), JUDGED, optional={"target"}))
    assert "'target'" in str(caught.value)
    path = put(
        tmp_path, "u.jsonl", '{"premise": "p", "hypothesis": "h"}\n{"premise": "p", "hypothesis": "h", "label": "y"}'
    )
    with pytest.raises(DataError, match=r"u\.jsonl, line 2: .*'label'"):
        list(read((path,), JUDGED, optional={"target"}))


@pytest.mark.parametrize(
    "paths", [(), ("a.txt",), ("a.tsv", "b.tsv", "c.tsv"), ("-", "-"), ("a.jsonl", "b.jsonl"), ("a.csv", "b.txt")]
)
def test_paths_that_are_no_table(paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError):
        list(read(paths, PAIR))


def test_names_of_columns_are_for_tables(tmp_path):
    paths = (put(tmp_path, "a.txt", "a"), put(tmp_path, "b.txt", "b"))
    with pytest.raises(DataError, match="source target"):
        list(read(paths, PAIR, {"source": "en"}))


def test_whole_numbers_of_json_are_texts(tmp_path):
    path = put(tmp_path, "t.jsonl", '{"source": "a", "target": 7}\n\n{"source": "b", "target": -1}\n')
    assert values(read((path,), PAIR)) == [("a", "7"), ("b", "-1")]


def test_quoted_cells_of_csv(tmp_path):
    path = put(tmp_path, "t.csv", '\ufeffsource, target\r\n"a ""b"", c"," d "\r\n\r\n"two\nlines",\r\n')
    found = list(read((path,), PAIR))
    assert values(found) == [('a "b", c', "d"), ("two\nlines", "")]
    assert [row.line for row in found] == [2, 5]


def test_a_cell_of_csv_may_be_a_book(tmp_path):
    path = put(tmp_path, "t.csv", "source,target\n" + "word " * 100_000 + ",b\n")
    assert values(read((path,), PAIR))[0][1] == "b"


# Files that cells name


@pytest.fixture
def pictures(tmp_path):
    for name in ("a.png", "b.PNG", "sub/c.jpg", "notes.txt"):
        put(tmp_path / "pictures", name, name)
    put(tmp_path / "outside", "secret.png", "")
    (tmp_path / "pictures" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "pictures" / "secret.png").symlink_to(tmp_path / "outside" / "secret.png")
    return tmp_path / "pictures"


def test_files_are_absolute_paths_and_named_as_written(pictures, monkeypatch):
    put(pictures, "t.csv", "file_name,caption\n./a.png,x\nsub/../b.PNG,y\n sub/c.jpg ,z\n")
    monkeypatch.chdir(pictures.parent)
    found = list(read(("pictures/t.csv",), CAPTIONED))
    assert [row.values["image"] for row in found] == [pictures / name for name in ("a.png", "b.PNG", "sub/c.jpg")]
    assert [(row.name, row.line) for row in found] == [("a.png", 2), ("b.PNG", 3), ("sub/c.jpg", 4)]
    monkeypatch.setenv("ATTEND_DATA", str(pictures))
    monkeypatch.chdir("/")
    assert next(row.values["image"] for row in read(("t.csv",), CAPTIONED)) == pictures / "a.png"


def test_files_of_aligned_lines_are_beside_their_own_list(pictures):
    paths = (put(pictures, "images.txt", "a.png\nb.PNG\n"), put(pictures.parent, "captions.txt", "x\ty\nz\n"))
    found = list(read(paths, CAPTIONED))
    assert values(found) == [(pictures / "a.png", ("x", "y")), (pictures / "b.PNG", ("z",))]
    assert found[1].name == "b.PNG"
    columns = (Column("question"), *CAPTIONED)
    found = list(read((put(pictures.parent, "questions.txt", "why\nhow\n"), *paths), columns))
    assert values(found)[1] == ("how", pictures / "b.PNG", ("z",))


def test_a_link_within_the_folder_is_followed_before_it_is_left(pictures):
    put(pictures, "sub/deep/d.png", "")
    (pictures / "short").symlink_to("sub/deep")
    path = put(pictures, "t.csv", "file_name,caption\nshort/../c.jpg,x\nshort/d.png,y\n")
    found = list(read((path,), CAPTIONED))
    assert [row.values["image"].resolve() for row in found] == [pictures / "sub/c.jpg", pictures / "sub/deep/d.png"]


def test_rows_that_agree_but_for_the_captions_are_one(pictures):
    said: list[str] = []
    lines = ["a.png\tone", "b.PNG\ttwo", "./a.png\tthree", "a.png\tone", "b.PNG\tfour", "a.png\tthree"]
    path = put(pictures, "t.tsv", "\n".join(lines))
    found = list(read((path,), CAPTIONED, log=said.append))
    assert [(row.name, row.line, row.values["target"]) for row in found] == [
        ("a.png", 1, ("one", "three")),
        ("b.PNG", 2, ("two", "four")),
    ]
    assert len(said) == 1
    assert "2 repeated" in said[0]
    assert "4, 6" in said[0]
    records = [{"file_name": "a.png", "caption": ["x", "y"]}, {"file_name": "a.png", "caption": "z"}]
    path = put(pictures, "t.jsonl", "\n".join(map(json.dumps, records)))
    assert values(read((path,), CAPTIONED)) == [(pictures / "a.png", ("x", "y", "z"))]


def test_rows_that_differ_in_another_column_stay_apart(pictures):
    columns = (CAPTIONED[0], Column("question"), Column("target", ("answer",), several=True))
    path = put(pictures, "t.csv", "file_name,question,answer\na.png,why,x\na.png,how,y\na.png,why,z\n")
    assert [row.values["target"] for row in read((path,), columns)] == [("x", "z"), ("y",)]


def test_several_texts_without_files_stay_in_their_lines(tmp_path):
    columns = (Column("source"), Column("target", several=True))
    path = put(tmp_path, "t.jsonl", '{"source": "a", "target": ["x", "y"]}\n{"source": "a", "target": "z"}\n')
    assert values(read((path,), columns)) == [("a", ("x", "y")), ("a", ("z",))]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../outside/secret.png", "leaves the folder"),
        ("sub/../../outside/secret.png", "leaves the folder"),
        ("/etc/passwd", "leaves the folder"),
        ("link/secret.png", "leaves the folder"),
        ("link/../a.png", "leaves the folder"),
        ("secret.png", "leaves the folder"),
        ("", "empty"),
        (" ", "empty"),
        ("sub", "is a folder"),
        ("c.png", "not there"),
        ("sub/d.jpg", "did you mean 'sub/c.jpg'"),
        ("a.pgn", "did you mean 'a.png'"),
        ("x" * 5000 + ".png", "not there"),
        ("notes.txt", "another kind"),
        ("a\0.png", "null"),
    ],
)
@pytest.mark.parametrize("kind", ["tsv", "jsonl"])
def test_files_that_can_not_be_used_are_named_by_line_and_column(pictures, name, problem, kind):
    path = put(
        pictures,
        f"t.{kind}",
        written([("a.png", "x"), (name, "y"), ("b.PNG", "z")], ["file_name", "caption"], kind, True),
    )
    rows = list(scan((path,), CAPTIONED))
    (error,) = (row for row in rows if isinstance(row, DataError))
    assert (error.file, error.line) == (path, 3 if kind == "tsv" else 2)
    assert error.problem.startswith("image ")
    assert problem in str(error)
    assert [row.name for row in rows if isinstance(row, Row)] == ["a.png", "b.PNG"]


# Arrays


RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(256, size=(4, 5, 6), dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


LABELLED = (CAPTIONED[0], Column("target", ("label",)))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_of_images_and_labels(tmp_path, suffix):
    pack = COMPRESS[suffix]
    labels = np.array([2, 0, 2, 10], dtype=np.uint8)
    paths = (put(tmp_path, f"i-ubyte{suffix}", pack(idx(PIXELS))), put(tmp_path, f"l-ubyte{suffix}", pack(idx(labels))))
    found = list(read(paths, LABELLED))
    assert [row.values["target"] for row in found] == ["2", "0", "2", "10"]
    np.testing.assert_array_equal(np.stack([row.values["image"] for row in found]), PIXELS[:, np.newaxis])
    assert found[0].values["image"].base is not None, "views"
    assert found[2].name == "line 3"
    with pytest.raises(DataError, match="image target"):
        list(read(paths[:1], LABELLED))
    (alone,) = {len(list(read(paths[:1], LABELLED, optional={"target"})))}
    assert alone == 4


@pytest.mark.parametrize("channels", ["none", "first", "last"])
@pytest.mark.parametrize("names", [("images", "labels"), ("image", "target")])
def test_an_npz_with_an_array_for_each_column(tmp_path, channels, names):
    pixels = RANDOM.integers(256, size=(4, 1 if channels == "none" else 3, 5, 6), dtype=np.uint8)
    stored = {"none": pixels[:, 0], "first": pixels, "last": pixels.transpose(0, 2, 3, 1)}[channels]
    said: list[str] = []
    labels = np.array(["cat", "dog", "cat", "dog"])
    np.savez(tmp_path / "t.npz", **dict(zip(names, (stored, labels), strict=True)), more=np.zeros(9))
    found = list(read((str(tmp_path / "t.npz"),), LABELLED, log=said.append))
    assert [row.values["target"] for row in found] == labels.tolist()
    np.testing.assert_array_equal(np.stack([row.values["image"] for row in found]), pixels)
    assert "'more'" in said[0]


@pytest.mark.parametrize("name", ["f.npz", "f.safetensors"])
@pytest.mark.parametrize(("shape", "each"), [((2, 9, 4), (3, 3, 4)), ((2, 5, 4), (1, 5, 4)), ((2, 2, 3, 4), (2, 3, 4))])
def test_grids_of_features_with_captions(tmp_path, name, shape, each):
    columns = (Column("image", ("features",)), CAPTIONED[1])
    features = RANDOM.normal(size=shape).astype(np.float32)
    if name.endswith("npz"):
        np.savez(tmp_path / name, features=features)
    else:
        save_file({"features": features}, tmp_path / name)
    found = list(read((str(tmp_path / name), put(tmp_path, "c.txt", "a\tb\nc\n")), columns))
    assert [row.values["target"] for row in found] == [("a", "b"), ("c",)]
    assert [row.values["image"].shape for row in found] == [each] * 2
    np.testing.assert_array_equal(found[1].values["image"].reshape(-1), features[1].reshape(-1))
    with pytest.raises(DataError, match=r"f\..*has 2 lines, but .*c\.txt has 1"):
        list(read((str(tmp_path / name), put(tmp_path, "c.txt", "a\n")), columns))


def test_vectors_are_views_of_one_array(tmp_path):
    array = RANDOM.normal(size=(3, 7, 2))
    np.savez(tmp_path / "v.npz", sequence=array, target=array > 0)
    found = list(read((str(tmp_path / "v.npz"),), (Column("sequence"), Column("target"))))
    np.testing.assert_array_equal(np.stack([row.values["sequence"] for row in found]), array)
    assert found[0].values["sequence"].base is not None
    assert found[0].values["target"].dtype == bool


def test_sequences_in_an_array_have_lengths_of_their_own(tmp_path):
    path, array = str(tmp_path / "v.npz"), RANDOM.normal(size=(3, 7, 2))
    columns = (Column("sequence"), Column("target"))
    np.savez(path, sequence=array, sequence_lengths=[7, 1, 3], target=array)
    said: list[str] = []
    found = list(read((path,), columns, log=said.append))
    assert [len(row.values["sequence"]) for row in found] == [7, 1, 3]
    assert [len(row.values["target"]) for row in found] == [7, 7, 7]
    assert not said
    for lengths, wrong in (([7, 0, 3], "0 in sequence_lengths, in row 2"), ([7, 8, 3], "8 in"), ([7.0, 1, 2], "float")):
        np.savez(path, sequence=array, sequence_lengths=lengths, target=array)
        with pytest.raises(DataError, match=wrong):
            list(read((path,), columns))


@pytest.mark.parametrize(
    ("arrays", "names"),
    [
        ({"labels": np.zeros(2, int)}, ["'image'"]),
        ({"images": PIXELS, "lables": np.zeros(4, int)}, ["'target' (or 'label')", "did you mean 'lables'"]),
        ({"images": PIXELS, "labels": np.zeros(3, int)}, ["4 rows in images", "3 in labels"]),
        ({"images": PIXELS, "labels": np.array([0, 1, 2, -1])}, ["-1"]),
        ({"images": PIXELS, "labels": np.zeros(4)}, ["float64"]),
        ({"images": PIXELS, "labels": np.array(7)}, ["labels"]),
        ({"images": PIXELS.astype(int), "labels": np.zeros(4, int)}, ["int64"]),
        ({"images": PIXELS / 2.0, "labels": np.zeros(4, int)}, ["brightness"]),
        ({"images": np.zeros((4, 3, 5, 3), np.uint8), "labels": np.zeros(4, int)}, ["channels"]),
        ({"images": np.full((4, 5, 6), np.nan), "labels": np.zeros(4, int)}, ["not finite", "row 1"]),
        ({"images": PIXELS, "labels": np.array([{}] * 4, dtype=object)}, ["Python objects"]),
    ],
)
def test_arrays_that_can_not_be_used(tmp_path, arrays, names):
    path = str(tmp_path / "t.npz")
    np.savez(path, **arrays)
    with pytest.raises(DataError) as caught:
        list(read((path,), LABELLED))
    assert caught.value.file == path
    assert all(part in str(caught.value) for part in names), str(caught.value)


def test_an_array_may_be_named_otherwise(tmp_path):
    path = str(tmp_path / "t.npz")
    np.savez(path, x=PIXELS, y=np.arange(4))
    assert [row.values["target"] for row in read((path,), LABELLED, {"image": "x", "target": "y"})] == list("0123")
    with pytest.raises(DataError, match=r"t\.npz: .*'z'"):
        list(read((path,), LABELLED, {"image": "x", "target": "z"}))


# Whatever a stranger's file holds


NAMES = [f"t{kind}{suffix}" for kind in (".tsv", ".csv", ".jsonl", ".txt") for suffix in COMPRESS] + ["t.npz"]
# Bytes that are often well formed up to somewhere.
PARTS = [
    b"\t",
    b"\n",
    b"\r",
    b",",
    b'"',
    b"source",
    b"target",
    b"{",
    b'"source":',
    b'"target":',
    b'"a"',
    b"}",
    b"\xc3",
    b"\0",
]
HOSTILE = st.one_of(st.binary(), st.lists(st.sampled_from(PARTS)).map(b"".join))


@given(
    data=HOSTILE,
    name=st.sampled_from(NAMES),
    packed=st.booleans(),
    cut=st.integers(0, 20),
    columns=st.sampled_from([PAIR, CAPTIONED, (CAPTIONED[0], CAPTIONED[1], Column("source"))]),
    optional=st.sampled_from([frozenset[str](), frozenset({"target"})]),
)
def test_any_bytes_are_rows_or_data_errors(folder, data, name, packed, cut, columns, optional):
    if packed and (suffix := name[name.rfind(".") :]) in COMPRESS:
        data = COMPRESS[suffix](data)
        data = data[: len(data) - cut]
    path = put(folder, name, data)
    paths = (path,) * len(columns) if ".txt" in name else (path,)
    for row in scan(paths, columns, optional=optional):
        if isinstance(row, DataError):
            assert str(row)
            continue
        assert set(row.values) >= {column.name for column in columns} - optional
        for value in row.values.values():
            for text in value if isinstance(value, tuple) else (value,):
                str(text).encode("utf-8", "surrogateescape")
    with contextlib.suppress(DataError):
        assert all(isinstance(row, Row) for row in read(paths, columns, optional=optional))


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = put(tmp_path, "t.tsv", "a\tb\n")
    Path(path).chmod(0)
    with pytest.raises(DataError, match=r"t\.tsv"):
        list(read((path,), PAIR))
