import contextlib
import gzip
import io
import json
import lzma
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attend.data.files import DataError, Pair, locate, read_lines, read_pairs

COMPRESS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
# What a line may hold: anything but its end. A "\r" last would be taken for part of the end.
LINE = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])).filter(lambda s: not s.endswith("\r"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


def put(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


@given(lines=st.lists(LINE), end=st.sampled_from(["\n", "\r\n"]), suffix=st.sampled_from(sorted(COMPRESS)))
def test_lines_come_back_whatever_characters_they_hold(folder, lines, end, suffix):
    data = "".join(line + end for line in lines).encode()
    assert list(read_lines(put(folder, f"lines{suffix}", COMPRESS[suffix](data)))) == lines


def test_only_newlines_end_lines(tmp_path):
    text = "a\u2028b\u2029c\x85d\x0be\rf\r\ng\n\nh"
    assert list(read_lines(put(tmp_path, "t", text))) == ["a\u2028b\u2029c\x85d\x0be\rf", "g", "", "h"]


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("né\nb".encode())))
    assert list(read_lines("-")) == ["né", "b"]


def test_invalid_utf8_names_file_line_and_byte(tmp_path):
    path = put(tmp_path, "t", b"fine\nab\xffc\n")
    with pytest.raises(DataError, match=r"t, line 2: byte 2 of the line \(0xff\) is not UTF-8"):
        list(read_lines(path))


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_truncated_file(tmp_path, suffix):
    path = put(tmp_path, f"t{suffix}", COMPRESS[suffix](b"some text\n" * 1000)[:-8])
    with pytest.raises(DataError, match=f"t{suffix}: cannot be read"):
        list(read_lines(path))


def test_folder_instead_of_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        list(read_lines(str(tmp_path)))


def test_locate_looks_in_the_data_folder(tmp_path, monkeypatch):
    put(tmp_path, "here.txt", "")
    monkeypatch.setenv("ATTEND_DATA", str(tmp_path))
    assert locate("here.txt") == tmp_path / "here.txt"
    monkeypatch.chdir(tmp_path)
    assert str(locate("here.txt")) == "here.txt"


def test_locate_names_the_places_and_the_nearest_file(tmp_path, monkeypatch):
    put(tmp_path, "train.en", "")
    monkeypatch.setenv("ATTEND_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"trian.en or {tmp_path}/trian.en; did you mean {tmp_path}/train.en"):
        locate("trian.en")


@pytest.mark.parametrize("name", ["nowhere/at/all", "\0", "x" * 5000])
def test_locate_without_data_folder(name, monkeypatch):
    monkeypatch.delenv("ATTEND_DATA", raising=False)
    with pytest.raises(DataError, match=f"looked for from {Path.cwd()}, or set ATTEND_DATA"):
        locate(name)


def test_pairs_of_aligned_files(tmp_path):
    source, target = put(tmp_path, "t.en", "a\n\nc"), put(tmp_path, "t.de.gz", gzip.compress(b"x\ny\nz\n"))
    assert list(read_pairs((source, target))) == [Pair(1, "a", "x"), Pair(2, "", "y"), Pair(3, "c", "z")]


def test_pairs_of_tsv_and_jsonl(tmp_path):
    pairs = [Pair(1, 'a "quoted" b', "x"), Pair(2, "c", "")]
    tsv = put(tmp_path, "t.tsv.xz", lzma.compress(b'a "quoted" b\tx\nc\t\n'))
    assert list(read_pairs((tsv,))) == pairs
    records = "".join(json.dumps({"en": pair.source, "de": pair.target, "id": 7}) + "\n" for pair in pairs)
    jsonl = put(tmp_path, "t.jsonl", records)
    assert list(read_pairs((jsonl,), source_key="en", target_key="de")) == pairs


def test_different_line_counts_name_both(tmp_path):
    paths = put(tmp_path, "t.en", "a\nb\nc\n"), put(tmp_path, "t.de", "x\n")
    pairs = read_pairs(paths)
    assert next(pairs) == Pair(1, "a", "x")
    with pytest.raises(DataError, match=r"t\.en: has 3 lines, but .*t\.de has 1") as caught:
        list(pairs)
    assert caught.value.kind == "line counts differ"


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("t.tsv", "a\tb\tc", "3 columns instead of 2"),
        ("t.tsv", "a", "1 columns instead of 2"),
        ("t.jsonl", "{", "not JSON"),
        ("t.jsonl", "\n", "not JSON"),
        ("t.jsonl", "[" * 100_000, "not JSON"),
        ("t.jsonl", "1" * 10_000, "not JSON"),
        ("t.jsonl", '["source", "target"]', "not a JSON object"),
        ("t.jsonl", '{"source": "a", "traget": "b"}', r"no key 'target' \(there: 'source', 'traget'\)"),
        ("t.jsonl", '{"source": "a", "target": 3}', "the value of 'target' is not a text"),
        ("t.jsonl", '{"source": "\\ud800", "target": "b"}', "the value of 'source' has a lone surrogate"),
    ],
)
def test_malformed_line(tmp_path, name, line, message):
    good = "a\tb\n" if name == "t.tsv" else '{"source": "a", "target": "b"}\n'
    with pytest.raises(DataError, match=rf"{name}, line 2: {message}"):
        list(read_pairs((put(tmp_path, name, good + line),)))


@pytest.mark.parametrize("paths", [(), ("a.txt",), ("a.tsv", "b.tsv", "c.tsv"), ("-",), ("-", "-")])
def test_paths_that_are_no_pairs(paths):
    with pytest.raises(DataError):
        list(read_pairs(paths))


NAMES = [f"t{kind}{suffix}" for kind in (".tsv", ".jsonl", ".txt") for suffix in COMPRESS]
# Bytes that are often well formed up to somewhere.
PARTS = [b"\t", b"\n", b"\r", b"{", b'"source":', b'"target":', b'"a"', b",", b"}", b"\xc3", b"\0"]
HOSTILE = st.one_of(st.binary(), st.lists(st.sampled_from(PARTS)).map(b"".join))


@given(data=HOSTILE, name=st.sampled_from(NAMES), packed=st.booleans(), cut=st.integers(0, 20))
def test_any_bytes_are_pairs_or_a_data_error(folder, data, name, packed, cut):
    if packed:
        data = COMPRESS["." + name.rpartition(".")[2] if name.endswith((".gz", ".xz")) else ""](data)
        data = data[: len(data) - cut]
    path = put(folder, name, data)
    paths = (path, path) if ".txt" in name else (path,)
    with contextlib.suppress(DataError):
        for pair in read_pairs(paths):
            assert isinstance(pair, Pair)
            (pair.source + pair.target).encode()
