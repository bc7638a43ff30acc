"""Shared by figures of images: pixels from data URIs, and axes around them."""

import binascii
import io
from base64 import b64decode

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from PIL import Image

from attend.show.figure import FAINT

# Colours of a path over an image, and of the current step.
PATH, NOW = "#d55e00", "#56b4e9"


Pixels = UInt8[np.ndarray, "rows columns 3"]


def pixels(uri: str) -> Pixels:
    """The image of a data URI. Raises `ValueError` if it can't be decoded."""
    try:
        with Image.open(io.BytesIO(b64decode(uri.split(",", 1)[1], validate=True))) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, IndexError, binascii.Error, Image.DecompressionBombError) as error:
        raise ValueError(f"the picture {uri:.40}... can't be decoded: {error}") from None


def bare(axes: Axes) -> None:
    """Remove ticks, and draw a faint frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(FAINT)
