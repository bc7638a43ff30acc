"""Shared by figures of images: their colours, and axes around them."""

from matplotlib.axes import Axes

from attend.show.figure import FAINT

# Colours of a path over an image, and of the current step.
PATH, NOW = "#d55e00", "#56b4e9"


def bare(axes: Axes) -> None:
    """Remove ticks, and draw a faint frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(FAINT)
