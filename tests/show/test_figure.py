import warnings
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.patches import Rectangle
from PIL import Image

from attend.attention.trace import Named, Token, Tokens, Weights
from attend.show import figure


@dataclass(frozen=True)
class Bucket:
    low: int
    high: int
    count: int
    value: float
    lower: float
    upper: float


def square(size: int, label: str = "word") -> Weights:
    names = Named(tuple(f"{label}{index}" for index in range(size)))
    return Weights(np.eye(size), names, names)


def svg_texts(path: Path) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_svg_keeps_text_as_text(tmp_path: Path) -> None:
    names = ("$x_1$", "</svg>", "a\x1bb", "مرحبا", "e\u0301")
    path = tmp_path / "look.svg"
    figure.heat_map(Weights(np.eye(5), Named(names), Named(names)), path)
    texts = svg_texts(path)
    assert [texts.count(name) for name in ("$x_1$", "</svg>", "a␛b", "مرحبا", "e\u0301")] == [2] * 5


def test_the_same_figure_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        figure.heat_map(square(3), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_size_grows_with_the_matrix(tmp_path: Path) -> None:
    sizes = []
    for size in (10, 60):
        figure.heat_map(square(size), tmp_path / "look.png")
        with Image.open(tmp_path / "look.png") as image:
            sizes.append(image.size)
    # 0.2 inches a word at 150 dots an inch, which leaves room for a line of text.
    assert sizes[1][1] - sizes[0][1] >= 50 * 30 - 20
    assert sizes[1][0] - sizes[0][0] >= 50 * 30 - 20


def test_very_long_axes_stay_in_bounds() -> None:
    drawn = figure.heat_map(Weights(np.full((1, 1000), 1e-3), Named(("step",)), square(1000).memory))
    assert drawn.get_size_inches()[0] <= 30
    assert 100 <= len(drawn.axes[0].get_xticklabels()) <= figure.MOST_LABELS


def test_dots_and_gold() -> None:
    names = Named(("a", "b", "c"))
    weights = np.array([[0.25, 0.75, 0], [0, 0, 0], [0.375, 0.3125, 0.3125]])
    axes = figure.heat_map(Weights(weights, names, names), gold={(2, 0)}).axes[0]
    (dots,) = [collection for collection in axes.collections if isinstance(collection, PathCollection)]
    assert np.asarray(dots.get_offsets()).tolist() == [[1, 0], [0, 2]]
    (gold,) = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert (gold.get_xy(), gold.get_width(), gold.get_height()) == ((1.5, -0.5), 1, 1)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]


def test_an_empty_look_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match=r"nothing to draw: .*0 steps and 1 cells"):
        figure.heat_map(Weights(np.zeros((0, 1)), Named(()), Named(("a",))))


def test_missing_glyphs_are_named_once_with_what_to_install(tmp_path: Path) -> None:
    # Linear A and Glagolitic: no common font has them.
    text = "a\U00010600\u2c00"
    assert figure.missing_glyphs(text) == {"LINEAR": "\U00010600", "GLAGOLITIC": "\u2c00"}
    assert figure.missing_glyphs("aé€→ \u200d\n") == {}
    look = Weights(np.eye(1), Named((text,)), Named((text,)))
    with pytest.warns(UserWarning, match="GLAGOLITIC characters Ⰰ: install fonts-noto-core") as caught:
        figure.heat_map(look, tmp_path / "look.png")
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.heat_map(look, tmp_path / "look.svg")


def test_advice_by_script() -> None:
    assert "fonts-noto-cjk" in figure.font_advice({"HIRAGANA": "は"})
    assert figure.font_advice({}) == ""


def test_wrong_suffix_and_place(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"look\.gif: a figure is written as \.png or \.svg, not \.gif"):
        figure.heat_map(square(1), tmp_path / "look.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file/look\.png: can't be written"):
        figure.heat_map(square(1), tmp_path / "file" / "look.png")


def test_curves(tmp_path: Path) -> None:
    path = tmp_path / "curves.svg"
    losses = {"attention": [(0.0, 9.0), (100.0, 4.0)], "$none$": [(0.0, 9.0)]}
    drawn = figure.curves({"training loss": losses, "BLEU": {"attention": [(100.0, 30.0)]}}, path)
    lines = drawn.axes[0].get_lines()
    assert np.asarray(lines[0].get_data()).tolist() == [[0, 100], [9, 4]]
    assert lines[0].get_color() != lines[1].get_color()
    assert {"attention", "$none$", "training loss", "BLEU", "updates"} <= set(svg_texts(path))
    with pytest.raises(ValueError, match="at least one panel"):
        figure.curves({})


def test_length_curve(tmp_path: Path) -> None:
    buckets = [Bucket(1, 10, 300, 30, 28, 32), Bucket(11, 47, 20, 25, 20, 30)]
    path = tmp_path / "length.svg"
    drawn = figure.length_curve([("search", buckets), ("enc", buckets)], "BLEU", path)
    (line, _), (band, _) = drawn.axes[0].get_lines(), drawn.axes[0].collections
    assert np.asarray(line.get_data()).tolist() == [[0, 1], [30, 25]]
    assert set(map(tuple, np.asarray(band.get_paths()[0].vertices))) == {(0, 28), (0, 32), (1, 20), (1, 30)}
    assert {"1–10", "300", "11–47", "20", "search", "enc", "BLEU"} <= set(svg_texts(path))


def test_length_curve_compares_like_with_like() -> None:
    one, other = Bucket(1, 10, 300, 30, 28, 32), Bucket(1, 20, 300, 30, 28, 32)
    with pytest.raises(ValueError, match="run 'b' has other length buckets than run 'a'"):
        figure.length_curve([("a", [one]), ("b", [other])], "BLEU")
    with pytest.raises(ValueError, match="at least one run"):
        figure.length_curve([], "BLEU")


def test_a_story_has_lines_and_its_answer_after_each_hop(tmp_path: Path) -> None:
    text = "Mary left. John came back."
    story = Tokens(text, (Token("Mary left.", 0, 10), Token("John came back.", 11, 26)))
    look = Weights(np.array([[0.9, 0.1], [0.2, 0.8]]), Named(("1", "2")), story)
    drawn = figure.story(look, ["hall", "garden"], tmp_path / "story.svg")
    assert [[bar.get_width() for bar in axes.patches] for axes in drawn.axes] == [[0.9, 0.1], [0.2, 0.8]]
    texts = " ".join(svg_texts(tmp_path / "story.svg"))
    assert all(part in texts for part in ("Mary left.", "John came back.", "hop 1", "hall", "hop 2", "garden"))
    with pytest.raises(ValueError, match="nothing to draw"):
        figure.story(Weights(np.empty((0, 2)), Named(()), story))
