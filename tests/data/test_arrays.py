"""Arrays in files: what is read, and what is refused before room is made for it."""

import contextlib
import gzip
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from attend.data.arrays import as_labels, as_pixels, holds_arrays, read_idx, read_named, read_names
from attend.data.files import DataError

BLANK = np.zeros((2, 4, 4), dtype=np.uint8)


def put(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 4, 5)])
def test_idx_files(tmp_path, suffix, shape):
    array = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    path = put(tmp_path, f"images{suffix}", gzip.compress(idx(array)) if suffix else idx(array))
    np.testing.assert_array_equal(read_idx(path), array)


WHOLE = idx(np.zeros((2, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is not an idx file"),
        (b"PK\x03\x04", "is not an idx file"),
        (b"\0\0\x0d\x01" + bytes(8), "holds numbers of type 0x0d, not bytes"),
        (b"\0\0\x08\x03" + bytes(8), "ends within its head"),
        (b"\0\0\x08\x04" + b"\xff" * 16, "claims an array of 4294967295 x"),
        (b"\0\0\x08\x01" + b"\x40\0\0\0" + bytes(9), "ends after 9 of 1,073,741,824 bytes"),
        (WHOLE[:-1], "ends after 5 of 6 bytes"),
        (WHOLE + b"\0", "goes on after its 6 bytes"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_that_are_none(tmp_path, data, problem, suffix):
    path = put(tmp_path, f"images{suffix}", gzip.compress(data) if suffix else data)
    with pytest.raises(DataError, match=problem) as caught:
        read_idx(path)
    assert caught.value.file == path


@given(st.binary(max_size=40))
def test_damaged_compressed_idx_files(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("idx") / "a.gz"
    whole = gzip.compress(WHOLE)
    path.write_bytes(whole[: len(data)] + data)
    with pytest.raises(DataError, match=r"a\.gz"):
        read_idx(str(path))


def test_which_files_hold_arrays(tmp_path):
    assert all(holds_arrays(put(tmp_path, name, b"")) for name in ("a.npz", "a.safetensors"))
    assert holds_arrays(put(tmp_path, "a", WHOLE))
    assert holds_arrays(put(tmp_path, "a.gz", gzip.compress(WHOLE)))
    texts = {
        "a.txt": b"a text",
        "empty": b"",
        "b.gz": gzip.compress(b"a text"),
        "broken.gz": b"no gzip",
        "nul": b"\0\0a\2",
    }
    assert not any(holds_arrays(put(tmp_path, name, data)) for name, data in texts.items())
    assert not holds_arrays("-")
    with pytest.raises(DataError, match="none"):
        holds_arrays(str(tmp_path / "none"))


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors"])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int64, np.uint8])
def test_archives(tmp_path, name, kind):
    arrays = {"one": np.arange(6).reshape(2, 3).astype(kind), "two": np.arange(4).astype(kind)}
    path = tmp_path / name
    np.savez(path, **arrays) if name.endswith("npz") else save_file(arrays, path)
    assert sorted(read_names(str(path))) == ["one", "two"]
    (found,) = read_named(str(path), ["two"]).values()
    assert found.dtype == kind
    np.testing.assert_array_equal(found, arrays["two"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_numbers_that_are_not_finite_are_named_by_their_row(tmp_path, bad):
    array = np.zeros((3000, 2))
    array[2049, 1] = bad
    np.savez(tmp_path / "a.npz", x=array)
    with pytest.raises(DataError, match=r"a\.npz: has x that are not finite, first in row 2050"):
        read_named(str(tmp_path / "a.npz"), ["x"])


def test_archives_that_are_not_what_they_say(tmp_path):
    for name in ("a.npz", "a.safetensors"):
        path = put(tmp_path, name, b"not what it says")
        for read in (read_names, lambda path: read_named(path, ["x"])):
            with pytest.raises(DataError, match="cannot be read") as caught:
                read(path)
            assert caught.value.file == path
    np.savez(tmp_path / "objects.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match=r"objects\.npz: .*Python objects"):
        read_named(str(tmp_path / "objects.npz"), ["x"])
    save_torch({"x": torch.zeros(1, 2, dtype=torch.bfloat16)}, tmp_path / "half.safetensors")
    with pytest.raises(DataError, match=r"half\.safetensors: .*bfloat16"):
        read_named(str(tmp_path / "half.safetensors"), ["x"])


def test_arrays_that_claim_more_than_there_is(tmp_path):
    head = io.BytesIO()
    claim = {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 100, 100)}
    np.lib.format.write_array_header_1_0(head, claim)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", head.getvalue() + bytes(100))
    with pytest.raises(DataError, match="claims 10,995,116,277,760,000 bytes, and has 100"):
        read_named(str(tmp_path / "a.npz"), ["images"])


@given(place=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.none() | st.integers(0, 10_000))
def test_damaged_archives(tmp_path_factory, place, value, cut):
    file = io.BytesIO()
    np.savez_compressed(file, images=BLANK, labels=np.array(["a", "b"]))
    data = bytearray(file.getvalue())
    data[place % len(data)] = value
    path = put(tmp_path_factory.mktemp("npz"), "a.npz", bytes(data[: cut if cut is None else cut % len(data)]))
    with contextlib.suppress(DataError):
        for array in read_named(path, read_names(path)).values():
            assert len(array) == 2


@pytest.mark.parametrize("channels", ["none", "first", "last"])
@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_pixels(channels, kind):
    pixels = np.random.default_rng(0).integers(256, size=(4, 3, 5, 6), dtype=np.uint8)
    pixels = pixels[:, :1] if channels == "none" else pixels
    stored = {"none": pixels[:, 0], "first": pixels, "last": pixels.transpose(0, 2, 3, 1)}[channels]
    stored = stored if kind == "bytes" else stored.astype(np.float32) / 255
    np.testing.assert_array_equal(as_pixels("a.npz", stored), pixels)


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (BLANK.astype(np.int64), "int64"),
        (BLANK + 1.5, "from 1.5 to 1.5"),
        (BLANK + np.nan, "from nan"),
        (BLANK[0], "channels"),
        (np.zeros((2, 3, 4, 3), dtype=np.uint8), "channels"),
    ],
)
def test_arrays_that_are_no_pixels(array, problem):
    with pytest.raises(DataError, match=rf"a\.npz: .*{problem}"):
        as_pixels("a.npz", array)


def test_labels():
    assert as_labels("a.npz", np.array([3, 10, 3])) == ["3", "10", "3"]
    assert as_labels("a.npz", np.array(["cat", "ant"])) == ["cat", "ant"]
    for array, problem in ((np.array([0.5]), "float64"), (np.array([0, -1]), "-1"), (np.array([True]), "bool")):
        with pytest.raises(DataError, match=rf"a\.npz: .*{problem}"):
            as_labels("a.npz", array)
