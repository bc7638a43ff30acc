from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attend.attention.trace import Named, Picture, PictureEachStep, Trace, Windows
from attend.data.image import as_data_uri
from attend.show.steps import FURTHEST, reach_of, step_animation, step_panels, steps_of

URIS = tuple(as_data_uri(np.full((1, 6, 8), 60 * step, dtype=np.uint8)) for step in range(3))
STEPS = Named(("1", "2", "3"))


def look(*extents: float) -> Windows:
    return Windows(np.zeros((3, 2)), np.array([[extent, extent] for extent in extents]), np.ones(3), STEPS)


def drawn(given: bool, **looks: Windows) -> Trace:
    owner = "write" if "write" in looks else "output"
    media = {owner: PictureEachStep(URIS)} | ({"input": Picture(URIS[0])} if given else {})
    return Trace("x.png", "a drawing of it", looks, media=media)


def test_every_picture_has_its_windows(tmp_path: Path):
    trace = drawn(True, read=look(1.0, 0.5, 0.2), write=look(2.0, 2.0, 2.0))
    figure = step_panels(trace, tmp_path / "steps.svg")
    assert [axes.get_title() for axes in figure.axes] == ["input", "1", "2", "3"]
    assert [len(axes.patches) for axes in figure.axes] == [0, 2, 2, 2]
    read, write = figure.axes[2].patches
    assert (read.get_x(), read.get_width()) == (-0.25, 0.5)  # pyright: ignore[reportAttributeAccessIssue]
    assert write.get_width() == pytest.approx(2 * 0.94)  # pyright: ignore[reportAttributeAccessIssue]
    assert read.get_edgecolor() != write.get_edgecolor()
    assert (tmp_path / "steps.svg").read_text().count("read") == 1


def test_all_windows_of_a_step_are_outlined_and_other_looks_are_not():
    two_scales = Windows(np.zeros((6, 2)), np.ones((6, 2)), np.ones(6), Named(tuple("abcdef")))
    other = Windows(np.zeros((2, 2)), np.ones((2, 2)), np.ones(2), Named(("1", "2")))
    figure = step_panels(drawn(False, write=two_scales, other=other))
    assert [len(axes.patches) for axes in figure.axes] == [2, 2, 2]


def test_windows_over_the_edge_end_in_sight():
    assert reach_of({"read": look(1.0, 2.4, 0.2)}) == 1.2
    assert reach_of({"read": look(1.0, 9.0, 0.2)}) == FURTHEST
    figure = step_panels(drawn(False, read=look(9.0, 9.0, 9.0)))
    (box,) = figure.axes[0].patches
    assert -FURTHEST < box.get_x() < -1  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("given", [True, False])
def test_an_animation_has_a_frame_a_step(given: bool, tmp_path: Path):
    step_animation(drawn(given, write=look(1.0, 1.0, 1.0)), tmp_path / "steps.gif")
    with Image.open(tmp_path / "steps.gif") as gif:
        assert getattr(gif, "n_frames", 1) == 3


def test_what_was_not_looked_at_through_windows_is_drawn_without_them():
    figure = step_panels(drawn(False))
    assert [len(axes.patches) for axes in figure.axes] == [0, 0, 0]
    assert np.asarray(figure.axes[1].images[0].get_array()).max() == 60


def test_without_pictures_there_is_nothing_to_show(tmp_path: Path):
    trace = replace(drawn(True), media={"input": Picture(URIS[0])})
    for draw in (steps_of, step_panels, lambda trace: step_animation(trace, tmp_path / "steps.gif")):
        with pytest.raises(ValueError, match="no pictures of each step"):
            draw(trace)


def test_a_picture_that_is_none_is_named():
    trace = Trace("", "", {}, media={"output": PictureEachStep(("data:image/png;base64,AAAA",))})
    with pytest.raises(ValueError, match="data:image/png;base64,AAAA"):
        step_panels(trace)
