from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attend.attention.trace import Named, Windows
from attend.show.canvases import FURTHEST, canvas_animation, canvas_steps, reach_of

CANVASES = [np.full((6, 8), 60 * step, dtype=np.uint8) for step in range(3)]
STEPS = Named(("1", "2", "3"))


def look(*extents: float) -> Windows:
    return Windows(np.zeros((3, 2)), np.array([[extent, extent] for extent in extents]), np.ones(3), STEPS)


def test_every_canvas_has_its_windows(tmp_path: Path):
    looks = {"read": look(1.0, 0.5, 0.2), "write": look(2.0, 2.0, 2.0)}
    figure = canvas_steps(CANVASES, looks, CANVASES[0], tmp_path / "steps.svg")
    assert [axes.get_title() for axes in figure.axes] == ["given", "1", "2", "3"]
    assert [len(axes.patches) for axes in figure.axes] == [0, 2, 2, 2]
    read, write = figure.axes[2].patches
    assert (read.get_x(), read.get_width()) == (-0.25, 0.5)  # pyright: ignore[reportAttributeAccessIssue]
    assert write.get_width() == pytest.approx(2 * 0.94)  # pyright: ignore[reportAttributeAccessIssue]
    assert (tmp_path / "steps.svg").read_text().count("read") == 1


def test_windows_over_the_edge_end_in_sight():
    assert reach_of({"read": look(1.0, 2.4, 0.2)}) == 1.2
    assert reach_of({"read": look(1.0, 9.0, 0.2)}) == FURTHEST
    figure = canvas_steps(CANVASES, {"read": look(9.0, 9.0, 9.0)})
    (box,) = figure.axes[0].patches
    assert -FURTHEST < box.get_x() < -1  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("given", [None, np.zeros((6, 8), dtype=np.uint8)])
def test_a_moving_picture_has_a_frame_a_step(given: np.ndarray | None, tmp_path: Path):
    canvas_animation(CANVASES, {"write": look(1.0, 1.0, 1.0)}, tmp_path / "steps.gif", given)
    with Image.open(tmp_path / "steps.gif") as gif:
        assert getattr(gif, "n_frames", 1) == 3


def test_without_a_canvas_there_is_nothing_to_show(tmp_path: Path):
    with pytest.raises(ValueError, match="no canvas"):
        canvas_steps([], {})
    with pytest.raises(ValueError, match="no canvas"):
        canvas_animation([], {}, tmp_path / "steps.gif")
