import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from attend.data.normal import CHUNK, normalised, normalised_each, normalised_together

TEXTS = st.lists(st.text(st.sampled_from(" \t\n\r\v\f\ufeff\xa0ae\u0301\xe9"), max_size=8), max_size=5)


@given(TEXTS)
def test_together_is_as_one_by_one(texts: list[str]) -> None:
    expected = [normalised(text) for text in texts]
    assert list(normalised_together(texts)) == expected
    assert list(normalised_each(texts)) == expected


@given(TEXTS)
def test_what_is_normal_stays(texts: list[str]) -> None:
    for text in map(normalised, texts):
        assert normalised(text) == text
        assert text.strip(" \t\n") == text
        assert unicodedata.is_normalized("NFC", text)


def test_a_stream_is_read_in_chunks() -> None:
    texts = ["a b"] * CHUNK + ["a  b", "c"]
    assert list(normalised_each(iter(texts))) == ["a b"] * (CHUNK + 1) + ["c"]
