"""Documents: their words and sentences, and what is read of long ones."""

import pytest

from attend.attention.trace import Tokens
from attend.contract import PAD, UNKNOWN
from attend.fields.document import Document, DocumentField
from attend.fields.field import Fault, Field, Sharing, Value

TOLD = "A good film. Is it?\nIt isn't"


def learnt(settings: Document | None = None) -> DocumentField:
    return (settings or Document()).learn([TOLD], print)


def test_both_faces_are_what_a_field_is():
    assert isinstance(Document(), Sharing)
    assert isinstance(learnt(), Field)
    assert isinstance(learnt().prepare(TOLD), Value)


def test_words_know_their_sentence():
    field = learnt()
    (found,) = field.encode([TOLD])
    words = [field.piece(number) for number in found[:, 0].tolist()]
    assert words == ["a", "good", "film", ".", "is", "it", "?", "it", "isn't"]
    assert found[:, 1].tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2]
    assert field.length(found) == 9
    cells = field.collate([found, found[:2]])
    assert cells.values.shape == (2, 9, 2)
    assert cells.values[1, 2:].eq(PAD).all()
    assert cells.mask.sum(1).tolist() == [9, 2]


def test_cells_are_words_or_sentences_of_the_text():
    value = learnt().prepare(TOLD)
    for count, labels in (
        (9, value.text.split()),
        (3, ["a good film .", "is it ?", "it isn't"]),
    ):
        axis = value.axis(count, ())
        assert isinstance(axis, Tokens)
        assert axis.labels() == labels
        assert [value.text[token.start : token.end] for token in axis.tokens] == labels
    assert value.unknown() == 0
    assert learnt().prepare("a bad film").encoded[1, 0] == UNKNOWN


def test_of_a_long_text_the_first_words_are_read_and_that_is_said():
    field = learnt(Document(longest=5))
    for text in (TOLD, "word " * 100_000, "a. " * 100_000, "w" * 100_000):
        (found,) = field.encode([text])
        assert 1 <= len(found) <= 5
        (said,) = field.remarks()
        assert said.endswith(": 1")
        assert field.remarks() == []
        value = field.prepare(text)
        assert len(value.axis(len(found), ()).labels()) == len(found)
        field.remarks()
    field.encode(["a good film. Yes"])
    assert field.remarks() == []


def test_a_long_sentence_goes_on_as_another():
    (found,) = learnt(Document(sentence=2)).encode([TOLD])
    assert found[:, 1].tolist() == [0, 0, 1, 1, 2, 2, 3, 4, 4]


def test_an_empty_text_is_a_fault():
    field = learnt()
    assert isinstance(field.encode([" \n"])[0], Fault)
    with pytest.raises(ValueError, match="empty"):
        field.prepare("")
    with pytest.raises(TypeError):
        field.encode([3])  # type: ignore[list-item]
