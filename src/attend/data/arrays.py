"""Arrays in files: idx (MNIST's format), NPZ and safetensors. Declared sizes are checked before loading."""

import gzip
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8
from safetensors import SafetensorError, safe_open

from attend.data.files import DataError, locate

# A small file can declare any size: larger data are not loaded.
LARGEST_BYTES = 8 << 30
# What numpy and zipfile raise on malformed files; RuntimeError is for encrypted members and unknown compression.
ARCHIVE_FAULTS = (OSError, ValueError, EOFError, KeyError, RuntimeError, SyntaxError, zlib.error)
ARCHIVES = (".npz", ".safetensors")
# Rows checked at a time.
TOGETHER = 1024


def holds_arrays(path: str) -> bool:
    """Whether it is an .npz or .safetensors file, or starts as an idx file does; pipes are not read."""
    if path == "-":
        return False
    place = locate(path)
    if place.suffix in ARCHIVES:
        return True
    if not place.is_file():
        return False
    try:
        with opened(place) as file:
            head = file.read(4)
    except (OSError, EOFError, zlib.error):
        return False  # reading it raises the error
    return len(head) == 4 and head[:2] == b"\0\0" and 0x08 <= head[2] <= 0x0E and 1 <= head[3] <= 4


def opened(place: Path) -> Any:
    return gzip.open(place, "rb") if place.suffix == ".gz" else place.open("rb")


def read_names(path: str) -> list[str]:
    """The names of an archive's arrays. Raises `DataError` if it can't be read."""
    place = locate(path)
    try:
        if place.suffix == ".npz":
            with zipfile.ZipFile(place) as archive:
                return [name.removesuffix(".npy") for name in archive.namelist()]
        with safe_open(place, framework="numpy") as tensors:
            return list(tensors.keys())
    except (zipfile.BadZipFile, SafetensorError, *ARCHIVE_FAULTS) as error:
        raise unreadable(path, error) from error


def read_named(path: str, names: Sequence[str]) -> dict[str, Shaped[np.ndarray, "*size"]]:
    """These arrays of an .npz or .safetensors file. Nothing that needs pickle is read. Raises `DataError`."""
    place = locate(path)
    arrays: dict[str, np.ndarray] = {}
    try:
        if place.suffix == ".npz":
            with zipfile.ZipFile(place) as archive:
                arrays = {name: read_member(archive, f"{name}.npy") for name in names}
        else:
            with safe_open(place, framework="numpy") as tensors:
                for name in names:
                    if tensors.get_slice(name).get_dtype() == "BF16":
                        problem = f"has {name} of type bfloat16, which NumPy doesn't know"
                        raise DataError(path, problem, "save it as float16 or float32")
                    arrays[name] = tensors.get_tensor(name)
    except DataError:
        raise
    except (zipfile.BadZipFile, SafetensorError, *ARCHIVE_FAULTS) as error:
        raise unreadable(path, error) from error
    for name, array in arrays.items():
        check_finite(path, name, array)
    return arrays


def unreadable(path: str, error: Exception) -> DataError:
    return DataError(path, f"cannot be read ({error})", "give a whole file of arrays, without Python objects")


def check_finite(path: str, name: str, array: Shaped[np.ndarray, "*size"]) -> None:
    """Raises `DataError` for an array that is too large, or has numbers that 32 bits can't hold."""
    if array.nbytes > LARGEST_BYTES:
        problem = f"holds {array.nbytes / 2**30:.0f} GiB, too much to be held in memory"
        raise DataError(path, problem, "divide it among several files")
    if array.dtype.kind != "f" or not array.ndim or not array.size:
        return
    for start in range(0, len(array), TOGETHER):
        with np.errstate(over="ignore"):  # converted as in use: values beyond 32 bits become infinite
            taken = array[start : start + TOGETHER].astype(np.float32, copy=False)
        bad = np.flatnonzero(~np.isfinite(taken).reshape(len(taken), -1).all(1))
        if len(bad):
            problem = f"has {name} that are not finite, first in row {start + bad[0] + 1}"
            raise DataError(path, problem, "leave that row out, or repair it")


def read_member(archive: zipfile.ZipFile, member: str) -> Shaped[np.ndarray, "*shape"]:
    """An array of an NPZ file. Raises one of `ARCHIVE_FAULTS`."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read_head(file)
        left = archive.getinfo(member).file_size - file.tell()
    size = prod(shape) * kind.itemsize
    if kind.hasobject:
        raise ValueError(f"{member} holds Python objects")
    if size != left or size > LARGEST_BYTES:
        raise ValueError(f"{member} claims {size:,} bytes, and has {left:,}")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def read_idx(path: str) -> UInt8[np.ndarray, "*shape"]:
    """The array of an idx file of bytes, plain or compressed (`.gz`): MNIST's format.

    Raises `DataError` if the file has another format, is truncated or has trailing bytes.
    """
    place = locate(path)

    def wrong(problem: str) -> DataError:
        return DataError(path, problem, "give a whole idx file of unsigned bytes")

    try:
        with opened(place) as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or not 1 <= head[3] <= 4:
                raise wrong("is not an idx file")
            if head[2] != 0x08:
                raise wrong(f"holds numbers of type 0x{head[2]:02x}, not bytes")
            sizes = file.read(4 * head[3])
            if len(sizes) < 4 * head[3]:
                raise wrong("ends within its head")
            shape = struct.unpack(f">{head[3]}I", sizes)
            if prod(shape) > LARGEST_BYTES:
                raise wrong(f"claims an array of {' x '.join(map(str, shape))}")
            data = np.empty(prod(shape), dtype=np.uint8)
            view, filled = data.data, 0
            while filled < len(data):
                count = file.readinto(view[filled:])
                if not count:
                    raise wrong(f"ends after {filled:,} of {len(data):,} bytes")
                filled += count
            if file.read(1):
                raise wrong(f"goes on after its {len(data):,} bytes")
    except (OSError, EOFError, zlib.error) as error:
        raise wrong(f"cannot be read ({error})") from error
    return data.reshape(shape)


def as_labels(path: str, array: Shaped[np.ndarray, "row"]) -> list[str]:
    """Names of classes, from integers or texts. Raises `DataError` for other types, and for numbers below 0."""
    if array.dtype.kind not in "iuU":
        raise DataError(path, f"has labels of type {array.dtype}", "give each row a whole number or a text")
    if array.dtype.kind != "U" and array.min(initial=0) < 0:
        raise DataError(path, f"has the label {array.min()}", "number the classes from 0")
    return [str(label) for label in array.tolist()]


def as_pixels(path: str, array: Shaped[np.ndarray, "row *size"]) -> UInt8[np.ndarray, "image channel rows columns"]:
    """Images as bytes, from [image rows columns], or with an axis of 1 or 3 channels, last or before the rows.

    They are unsigned bytes, or floats from 0 to 1, which are rounded to bytes. Raises `DataError` for others.
    """

    def wrong(problem: str, advice: str) -> DataError:
        return DataError(path, problem, advice)

    return channels_first(as_bytes(array, wrong), wrong)


def as_bytes(
    pixels: Shaped[np.ndarray, "*shape"], wrong: Callable[[str, str], DataError]
) -> UInt8[np.ndarray, "*shape"]:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind != "f":
        problem = f"has images of type {pixels.dtype}, not unsigned bytes or floats"
        raise wrong(problem, "convert them, with images.astype('uint8') if they are from 0 to 255")
    if pixels.size and not (pixels.min() >= 0 and pixels.max() <= 1):  # so that NaN is caught
        problem = f"has images with brightness from {pixels.min()} to {pixels.max()}, not from 0 to 1"
        raise wrong(problem, "divide them by their maximum, such as 255")
    return np.rint(pixels * 255).astype(np.uint8)


def channels_first(
    pixels: UInt8[np.ndarray, "*shape"], wrong: Callable[[str, str], DataError]
) -> UInt8[np.ndarray, "image channel rows columns"]:
    if pixels.ndim == 3:
        return pixels[:, np.newaxis]
    last = pixels.ndim == 4 and pixels.shape[3] in (1, 3)
    first = pixels.ndim == 4 and pixels.shape[1] in (1, 3)
    if last == first:
        problem = f"has images of shape {pixels.shape}, in which the channel axis (1 or 3) is ambiguous or missing"
        raise wrong(problem, "give them as [image, rows, columns], or with an axis of 1 or 3 channels, first or last")
    return np.moveaxis(pixels, 3, 1) if last else pixels
