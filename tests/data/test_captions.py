"""Captions are tidied, and those that can't be learnt are named."""

import pytest

from attend.data import scenes
from attend.data.captions import fault, tidy, usable


@pytest.mark.parametrize(
    ("caption", "tidied"),
    [
        ("A dog's ball, red.", "a dog's ball , red ."),
        ("  two\tlines\n here ", "two lines here"),
        ("'quoted' well-known -- x", "' quoted ' well-known - - x"),
        ("ÉTÉ à Zürich", "été à zürich"),
        ("e\u0301te\u0301", "été"),
        ("यह एक किताब है।", "यह एक किताब है ।"),
        ("a 🐕‍🦺 dog", "a 🐕 \u200d 🦺 dog"),
        ("$5 off!", "$ 5 off !"),
        ("", ""),
    ],
)
def test_words_and_punctuation_are_apart(caption: str, tidied: str) -> None:
    assert tidy(caption) == tidied
    assert tidy(tidied) == tidied


def test_captions_of_scenes_are_tidy_already() -> None:
    for (caption,) in scenes.draw_all(50, 3).images.captions or ():
        assert tidy(caption) == caption


@pytest.mark.parametrize(
    ("caption", "reason"),
    [
        ("", "an empty caption"),
        (" \t ", "an empty caption"),
        ("a nul\0", "the control character U+0000 in the caption"),
        ("half \ud83d", "the control character U+D83D in the caption"),
        ("word " * 6, "a caption longer than 5 words"),
        ("word " * 5, None),
        ("a\u2028line\nend", None),
    ],
)
def test_what_is_wrong_is_said(caption: str, reason: str | None) -> None:
    assert fault(caption, 5) == reason


def test_what_is_left_out_is_counted_and_named() -> None:
    given = [("A cat.", ""), ("x " * 9,), ("y " * 9,), ("z " * 9,), ("w " * 9,), ("ok",)]
    kept, left_out = usable(given, ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"], 5)
    assert kept == [("a cat .",), (), (), (), (), ("ok",)]
    assert str(left_out) == (
        "5 of 7 captions left out: 1 for an empty caption (a.png); "
        "4 for a caption longer than 5 words (b.png, c.png, d.png, ...)"
    )
    _, unnamed = usable(given, (), 5)
    assert "(image 1)" in str(unnamed)
