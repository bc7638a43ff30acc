"""Animated GIFs, a frame for each step."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from attend.atomic import write_atomically
from attend.show.figure import finish

# How long a step is shown, in milliseconds, and the last one.
STEP, LAST = 700, 2000


def frame(width: float, height: float) -> Figure:
    """An empty frame of so many inches."""
    return Figure(figsize=(width, height), dpi=110, facecolor="white")


def write_gif(frames: Sequence[Figure], path: Path) -> None:
    """The frames one after the other, over and over."""
    images = []
    for figure in frames:
        canvas = FigureCanvasAgg(finish(figure, None))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # `finish` said so, and what to do
            canvas.draw()
        images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    file = io.BytesIO()
    lasting = [STEP] * (len(images) - 1) + [LAST]
    images[0].save(file, format="GIF", save_all=True, append_images=images[1:], duration=lasting, loop=0)
    write_atomically(path, lambda partial: partial.write_bytes(file.getvalue()))
