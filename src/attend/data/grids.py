"""Grids of features: what a large network, trained before, saw in each cell of an image; NPZ and safetensors files."""

import zipfile
from dataclasses import dataclass
from math import isqrt

import numpy as np
from jaxtyping import Float, Float32, Integer
from safetensors import SafetensorError, safe_open

from attend.data.files import DataError, counted, locate, read_lines
from attend.data.image import ARCHIVE_FAULTS, LARGEST_BYTES, read_array

# Images whose features are looked through at a time.
TOGETHER = 1024


@dataclass(frozen=True, eq=False)
class Grids:
    """Grids of one size, with captions or without; `names` say which each is. Kept as read, in 16 or 32 bits."""

    features: Float[np.ndarray, "image rows columns size"]
    captions: tuple[tuple[str, ...], ...] | None = None
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.features)

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers in a cell, rows and columns of a grid."""
        return self.features.shape[3], *self.features.shape[1:3]

    def select(self, index: Integer[np.ndarray, "chosen"]) -> "Grids":
        """The grids of these numbers, in this order: a copy."""
        return Grids(
            self.features[index],
            None if self.captions is None else tuple(self.captions[number] for number in index),
            tuple(self.names[number] for number in index) if self.names else (),
        )

    def floats(self, index: Integer[np.ndarray, "batch"]) -> Float32[np.ndarray, "batch size rows columns"]:
        """A batch of grids, features before rows, as images have channels."""
        return np.ascontiguousarray(np.moveaxis(self.features[index], 3, 1), dtype=np.float32)


def read_grids(path: str, captions: str | None = None) -> Grids:
    """Grids from the array `features` of an .npz or .safetensors file, and their captions from a text file.

    The array is of floats [image rows columns size], or [image cells size], whose cells are a square, row by row, or
    else one row. Line n of the captions is of grid n; several captions of one stand in its line with tabs between.
    Nothing that needs pickle is read. Raises `DataError` for anything else.
    """
    features = read_features(path)
    if features.ndim == 3:
        side = isqrt(features.shape[1])
        rows = side if side**2 == features.shape[1] else 1
        features = features.reshape(len(features), rows, -1, features.shape[2])
    names = tuple(f"{path}:{number + 1}" for number in range(len(features)))
    if captions is None:
        return Grids(features, names=names)
    lines = tuple(tuple(line.split("\t")) for line in read_lines(captions))
    if len(lines) != len(features):
        problem = f"has {counted(len(lines), 'line')}, but {path} has {counted(len(features), 'grid')}"
        raise DataError(captions, problem, "write the captions of grid n in line n, with tabs between")
    return Grids(features, lines, names)


def read_features(path: str) -> Float[np.ndarray, "*shape"]:
    """The array of a file, checked, but for where its cells lie."""
    place = locate(path)

    def wrong(problem: str) -> DataError:
        return DataError(path, problem, "save floats [image rows columns size] under the name features")

    try:
        if place.suffix == ".npz":
            with zipfile.ZipFile(place) as archive:
                features = read_array(archive, "features.npy")
        elif place.suffix == ".safetensors":
            with safe_open(place, framework="numpy") as tensors:
                if tensors.get_slice("features").get_dtype() == "BF16":
                    raise wrong("has features of type bfloat16, which NumPy doesn't know")
                features = tensors.get_tensor("features")
        else:
            raise wrong("is neither .npz nor .safetensors")
    except DataError:
        raise
    except (zipfile.BadZipFile, SafetensorError, *ARCHIVE_FAULTS) as error:
        raise wrong(f"cannot be read ({error})") from error
    if features.dtype.kind != "f" or features.ndim not in (3, 4):
        raise wrong(f"has features of type {features.dtype} and shape {features.shape}")
    if not features.size:
        raise wrong(f"has features of shape {features.shape}: there are none")
    if features.nbytes > LARGEST_BYTES:
        raise wrong(f"holds {features.nbytes / 2**30:.0f} GiB, too much to be held in memory")
    for start in range(0, len(features), TOGETHER):
        with np.errstate(over="ignore"):  # as they are taken: what 32 bits can't hold is infinite
            taken = features[start : start + TOGETHER].astype(np.float32, copy=False)
        bad = np.flatnonzero(~np.isfinite(taken).reshape(-1, features[0].size).all(1))
        if len(bad):
            raise wrong(f"has features that are not finite, first in grid {start + bad[0] + 1}")
    return features
