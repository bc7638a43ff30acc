import gzip
import io
import lzma
import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attend.data.files import DataError, locate, read_lines, scan_lines

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
    if lines and lines[0].startswith("\ufeff"):
        lines = [lines[0][1:], *lines[1:]]
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
    with pytest.raises(DataError, match=f"relative to {Path.cwd()}, or set ATTEND_DATA"):
        locate(name)


def test_lines_longer_and_shorter_than_a_block(tmp_path):
    lines = ["a" * 200_000, "", "é" * 65_535, *[str(number) for number in range(50_000)], "last"]
    for suffix, compress in COMPRESS.items():
        assert list(read_lines(put(tmp_path, f"t{suffix}", compress("\n".join(lines).encode())))) == lines


def test_every_line_that_is_not_utf8_is_told_of_and_reading_goes_on(tmp_path):
    lines = [b"a", b"\xff", b"b\r", *[b"x"] * 70_000, b"c\xc3", b"d"]
    found = list(scan_lines(put(tmp_path, "t", b"\n".join(lines))))
    assert [number for number, text in enumerate(found, start=1) if isinstance(text, DataError)] == [2, 70_004]
    assert [text.line for text in found if isinstance(text, DataError)] == [2, 70_004]
    assert (found[0], found[2], found[-1]) == ("a", "b", "d")


def test_a_byte_order_mark_is_removed_at_the_start_alone(tmp_path):
    assert list(read_lines(put(tmp_path, "t", "\ufeffa\n\ufeffb"))) == ["a", "\ufeffb"]


def test_what_is_written_into_a_pipe_is_read_at_once(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    texts = ["first", "second", "third"]
    read = threading.Semaphore(0)
    waited: list[bool] = []

    def write():
        with path.open("w") as pipe:
            for text in texts:
                pipe.write(f"{text}\n")
                pipe.flush()
                waited.append(read.acquire(timeout=5))

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    for line in read_lines(str(path)):
        found.append(line)
        read.release()
    writer.join()
    assert found == texts
    assert all(waited)
