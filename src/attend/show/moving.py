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

# Milliseconds for each step, and for the last one.
STEP, LAST = 700, 2000


def frame(width: float, height: float) -> Figure:
    """An empty frame; width and height in inches."""
    return Figure(figsize=(width, height), dpi=110, facecolor="white")


def write_gif(frames: Sequence[Figure], path: Path) -> None:
    """The frames as a looping GIF."""
    images = []
    for figure in frames:
        canvas = FigureCanvasAgg(finish(figure, None))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # `finish` has warned, with advice
            canvas.draw()
        images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    file = io.BytesIO()
    lasting = [STEP] * (len(images) - 1) + [LAST]
    images[0].save(file, format="GIF", save_all=True, append_images=images[1:], duration=lasting, loop=0)
    write_atomically(path, lambda partial: partial.write_bytes(file.getvalue()))
