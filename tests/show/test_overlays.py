from base64 import b64encode
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attend.attention.trace import Grid, Media, Named, Picture, PictureEachStep, Token, Tokens, Trace, Weights, Windows
from attend.show.glimpses import near_one_another, scan_animation, scan_path, seen, taken
from attend.show.overlays import word_animation, word_maps


def uri(pixels: np.ndarray) -> str:
    file = BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


PIXELS = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)


def captioned(hard: bool = False, picture: str | None = None) -> Trace:
    weights = np.eye(4)[[1, 3]] if hard else np.full((2, 4), 0.25)
    steps = Tokens("red dot", (Token("red", 0, 3), Token("dot", 4, 7)))
    look = Weights(weights, steps, Grid(2, 2), hard=hard)
    return Trace("x.png", "red dot", {"image": look}, media=pictured(picture) if picture else {})


def pictured(picture: str) -> dict[str, Media]:
    return {"input": Picture(picture)}


def test_each_word_has_its_map_raw_and_smoothed(tmp_path: Path):
    figure = word_maps(captioned(picture=uri(PIXELS)), tmp_path / "maps.png")
    assert [axes.get_title() for axes in figure.axes] == ["red", "", "dot", ""]
    assert [axes.get_ylabel() for axes in figure.axes][:2] == ["cells", "smoothed"]
    assert (tmp_path / "maps.png").stat().st_size > 0


def test_a_chosen_cell_is_outlined_where_it_is():
    figure = word_maps(captioned(hard=True, picture=uri(PIXELS)))
    (first,), (second,) = figure.axes[0].patches, figure.axes[2].patches
    assert first.get_xy() == (3.5, -0.5)
    assert second.get_xy() == (3.5, 3.5)


def test_a_cell_that_another_look_chose_is_outlined_in_the_weights():
    trace = captioned(picture=uri(PIXELS))
    both = replace(trace, looks={**trace.looks, "sampled": captioned(hard=True).looks["image"]})
    assert [len(axes.patches) for axes in word_maps(trace).axes] == [0, 0, 0, 0]
    assert [len(axes.patches) for axes in word_maps(both).axes] == [1, 0, 1, 0]


def test_several_looks_are_drawn_with_their_names():
    trace = captioned(picture=uri(PIXELS))
    both = replace(trace, looks={"head 1": trace.looks["image"], "head 2": trace.looks["image"]})
    figure = word_maps(both)
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == [
        "head 1\ncells",
        "head 1\nsmoothed",
        "head 2\ncells",
        "head 2\nsmoothed",
    ]


def test_a_look_with_a_picture_each_step_is_drawn_over_these():
    frames = PictureEachStep((uri(PIXELS), uri(PIXELS[::-1])))
    figure = word_maps(replace(captioned(), media={"image": frames}))
    first, second = (np.asarray(figure.axes[panel].images[0].get_array()) for panel in (0, 2))
    np.testing.assert_array_equal(first, second[::-1])


def test_an_animation_has_a_frame_a_word(tmp_path: Path):
    word_animation(captioned(picture=uri(PIXELS)), tmp_path / "words.gif")
    with Image.open(tmp_path / "words.gif") as gif:
        assert getattr(gif, "n_frames", 1) == 2
    with pytest.raises(ValueError, match="no weights over the cells"):
        word_animation(glimpsed(1), tmp_path / "none.gif")
    assert not (tmp_path / "none.gif").exists()


def test_cells_of_features_without_a_picture_are_drawn_by_themselves():
    figure = word_maps(captioned())
    assert len(figure.axes) == 4
    assert (np.asarray(figure.axes[0].images[0].get_array()) == 255).all()


def test_steps_at_nearly_one_place_have_their_numbers_written_together():
    places = np.array([[5.0, 5.0], [9.0, 1.0], [5.5, 4.6], [5.0, 6.1], [9.0, 1.9]])
    assert near_one_another(places, 1.0) == [[0, 2], [1, 4], [3]]


def test_what_can_not_be_drawn_is_said():
    with pytest.raises(ValueError, match="no windows in a picture"):
        scan_path(captioned(picture=uri(PIXELS)))
    with pytest.raises(ValueError, match="no windows in a picture"):
        scan_path(replace(glimpsed(1), media={}))
    with pytest.raises(ValueError, match="no weights over the cells"):
        word_maps(glimpsed(1))


def glimpsed(scales: int) -> Trace:
    steps = 2 * scales
    extent = np.array([2 / 4 * 2.0**scale for _ in range(2) for scale in range(scales)])
    look = Windows(
        np.repeat([[0.0, 0.0], [1.0, -1.0]], scales, axis=0),
        np.stack([extent, extent], axis=1),
        np.tile(np.arange(scales, dtype=float), 2),
        Named(tuple(map(str, range(steps)))),
    )
    return Trace("x.png", "three", {"glimpse": look}, media=pictured(uri(PIXELS)))


def test_what_a_window_saw_is_the_picture_there():
    _, look, _ = taken(glimpsed(1))
    # Two of eight pixels each way, in the middle; and at the top right corner, three quarters outside.
    np.testing.assert_allclose(seen(PIXELS, look, 0, 1), PIXELS[3:5, 3:5] / 255)
    corner = seen(PIXELS, look, 1, 1)
    np.testing.assert_allclose(corner[1, 0], PIXELS[0, 7] / 255)
    assert corner[0].max() == corner[:, 1].max() == 0


def test_coarser_scales_are_means():
    _, look, _ = taken(glimpsed(2))
    coarse = seen(PIXELS, look, 1, 2)
    assert coarse.shape == (2, 2, 3)
    np.testing.assert_allclose(coarse[0, 0], PIXELS[2:4, 2:4].mean(axis=(0, 1)) / 255)


def test_what_lies_under_a_filter_bank_is_shown_however_it_is_spread():
    # Its scale is a variance; and there may be next to nothing of the picture in its window.
    extent = np.array([[1.0, 1.0], [1e4, 1e4]])
    look = Windows(np.zeros((2, 2)), extent, np.array([20.25, 2000.0]), Named(("1", "2")))
    np.testing.assert_allclose(seen(PIXELS, look, 0, 1), PIXELS[2:6, 2:6] / 255)
    assert seen(PIXELS, look, 1, 1).shape == (256, 256, 3)
    shown = scan_path(Trace("x.png", "three", {"read": look}, media=pictured(uri(PIXELS))))
    assert shown.axes[1].images[0].get_size() == (4, 4)


@pytest.mark.parametrize("scales", [1, 2])
def test_scan_paths_are_drawn_and_moved(scales: int, tmp_path: Path):
    figure = scan_path(glimpsed(scales), tmp_path / "path.png")
    assert [text.get_text() for text in figure.axes[0].texts][:2] == ["1", "2"] or scales == 2
    scan_animation(glimpsed(scales), tmp_path / "path.gif")
    with Image.open(tmp_path / "path.gif") as gif:
        assert getattr(gif, "n_frames", 1) == 2 * (scales if scales == 1 else 2)
