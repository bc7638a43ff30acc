"""Captions are tidied."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attend.data import scenes
from attend.data.captions import tidy


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


@given(st.text(st.characters(max_codepoint=127)))
def test_texts_of_ascii_are_made_tidy_as_all_others(text: str) -> None:
    """A letter that is not ASCII, apart, has it take the other way."""
    assert f"{tidy(text)} é".strip() == tidy(f"{text} é")
