"""Grids of features: a pretrained network's features for each cell of an image; NPZ and safetensors files."""

from math import isqrt

import numpy as np
from jaxtyping import Float, Shaped

from attend.data.arrays import ARCHIVES, read_named, read_names
from attend.data.files import DataError, locate

ADVICE = "save floats [image rows columns size] under the name features"


def read_features(path: str) -> Float[np.ndarray, "*shape"]:
    """The array `features` of an .npz or .safetensors file, [image rows columns size] or [image cells size].

    Raises `DataError` for anything else.
    """
    if locate(path).suffix not in ARCHIVES:
        raise DataError(path, "is neither .npz nor .safetensors", ADVICE)
    if "features" not in read_names(path):
        raise DataError(path, "has no array named features", ADVICE)
    features = read_named(path, ["features"])["features"]
    check_features(path, features)
    return features


def check_features(path: str, features: Shaped[np.ndarray, "*shape"]) -> None:
    """Raises `DataError` unless they are floats of a grid's shape."""
    if features.dtype.kind != "f" or features.ndim not in (3, 4):
        raise DataError(path, f"has features of type {features.dtype} and shape {features.shape}", ADVICE)
    if not features.size:
        raise DataError(path, f"has features of shape {features.shape}: there are none", ADVICE)


def as_grids(features: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "image rows columns size"]:
    """Features [image cells size] as grids: a square, row by row, if possible, or else one row."""
    if features.ndim == 4:
        return features
    side = isqrt(features.shape[1])
    rows = side if side**2 == features.shape[1] else 1
    return features.reshape(len(features), rows, -1, features.shape[2])
