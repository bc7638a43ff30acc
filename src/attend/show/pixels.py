"""Pixels from data URIs."""

import binascii
import io
from base64 import b64decode

import numpy as np
from jaxtyping import UInt8
from PIL import Image

Pixels = UInt8[np.ndarray, "rows columns 3"]


def pixels(uri: str) -> Pixels:
    """The image of a data URI. Raises `ValueError` if it can't be decoded."""
    try:
        with Image.open(io.BytesIO(b64decode(uri.split(",", 1)[1], validate=True))) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, IndexError, binascii.Error, Image.DecompressionBombError) as error:
        raise ValueError(f"the picture {uri:.40}... can't be decoded: {error}") from None
