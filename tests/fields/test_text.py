"""Texts: what is encoded and what is left out, and the names of their cells."""

import numpy as np
import pytest

from attend.attention.trace import Named, Tokens
from attend.contract import END, UNKNOWN
from attend.data.files import DataError
from attend.fields.field import Fault, Field, Sharing, Value
from attend.fields.text import Text, TextField, fitting

WORDS = Text("word", 30, longest=3)


def learnt(settings: Text = WORDS) -> TextField:
    return settings.learn(["a b", "c d", "ä b"], print)


def test_a_vocabulary_follows_the_size_of_the_data(monkeypatch):
    monkeypatch.setattr("attend.fields.text.LEAST_ENTRIES", 10)
    texts = [" ".join(f"{number % 97}x" for number in range(start, start + 20)) for start in range(200)]
    characters = sum(map(len, texts))
    assert fitting(texts)[0] == characters // 100
    assert fitting(texts[:1])[0] == 10
    assert fitting(iter(texts * 100))[0] == 8000
    assert list(fitting(iter(texts))[1]) == texts  # none is lost by looking
    assert len(Text("word").learn(texts, print).codec) == 4 + 97  # no more than there are
    assert len(Text("word", 20).learn(texts, print).codec) == 20


def test_both_faces_are_what_a_field_is():
    field = learnt()
    assert isinstance(WORDS, Sharing)
    assert isinstance(field, Field)
    assert isinstance(field.prepare("a"), Value)
    assert WORDS.column("source").name == "source"
    assert WORDS.kept("source") == ("source.tokenizer.json",)


def learnt_from(*texts: str) -> TextField:
    return Text("word", 30).learn(texts, print)


def test_a_text_is_its_tokens_and_their_end():
    field = learnt()
    a, b = (field.codec.encode(word).ids[0] for word in "ab")
    assert field.encode(["a b", "b", "a zz"]) == [[a, b, END], [b, END], [a, UNKNOWN, END]]
    assert field.sizes() == {"vocabulary": 4 + 5}
    assert field.length(field.encode(["a b"])[0]) == 3


@pytest.mark.parametrize(("text", "training"), [("", False), ("  ", False), ("\n", True), ("a b c d", True)])
def test_what_can_not_be_used_says_why(text: str, training: bool):
    (fault,) = learnt().encode([text], training)
    assert isinstance(fault, Fault)
    assert not fault.refused
    assert ("3" in fault) == bool(text.strip())


def test_what_is_too_long_to_learn_is_read_all_the_same():
    field = learnt()
    assert len(field.encode(["a b c d"])[0]) == 5
    assert field.prepare("a b c d").text == "a b c d"


def test_a_tidy_text_is_in_lower_case_and_has_no_control_characters():
    field = Text("word", 30, tidy=True).learn(["A red circle."], print)
    assert field.prepare("a RED circle.").text == "a red circle ."
    assert field.encode(["A circle."]) == field.encode(["a circle ."])
    (fault,) = field.encode(["a\0b"])
    assert isinstance(fault, Fault)
    assert "U+0000" in fault
    assert not isinstance(learnt().encode(["a\0b"])[0], Fault)


def test_cells_are_tokens_with_their_places():
    value = learnt().prepare("a zz")
    axis = value.axis(3, ())
    assert isinstance(axis, Tokens)
    assert [(token.text, token.start, token.end) for token in axis.tokens] == [
        ("a", 0, 1),
        ("zz", 2, 4),
        ("</s>", None, None),
    ]
    assert [token.unknown for token in axis.tokens] == [False, True, False]
    assert value.axis(1, ()) == Named(("summary",))
    assert (value.text, value.media(), value.unknown()) == ("a zz", None, 1)
    np.testing.assert_array_equal(value.encoded, learnt().encode(["a zz"])[0])


@pytest.mark.parametrize("odd", [" a  b ", "\ufeffa b", "a\tb", "a\r\nb\n", "a \ufeff b"])
def test_stray_spaces_and_marks_make_no_difference(odd: str):
    field = learnt()
    assert field.encode([odd, "c"]) == field.encode(["a b", "c"])
    assert field.prepare(odd).text == "a b"
    assert Text("word", 30).learn([odd], print).codec.encode("a b").ids == learnt_from("a b").codec.encode("a b").ids


def test_characters_are_composed_and_no_break_spaces_stay():
    field = Text("character", 30).learn(["e\u0301\xa0!"], print)
    assert field.encode(["\xe9\xa0!", "e\u0301\xa0!"]) == [field.encode(["\xe9\xa0!"])[0]] * 2
    assert field.prepare("e\u0301\xa0!").text == "\xe9\xa0!"
    assert field.prepare("\xe9\xa0!").unknown() == 0


def test_a_text_may_be_read_as_it_is_given():
    field = Text("character", 30, normalise=False).learn(["a b"], print)
    assert field.prepare("a  b").text == "a  b"
    assert len(field.encode(["a  b"])[0]) == 5


def test_batches_are_padded_on_the_right():
    field = learnt()
    cells = field.collate(field.encode(["a", "a b"]))
    assert cells.mask.tolist() == [[True, True, False], [True, True, True]]
    assert cells.values.tolist() == [[*field.encode(["a"])[0], 0], field.encode(["a b"])[0]]


def test_a_vocabulary_is_shared_and_kept(tmp_path):
    field = learnt()
    shared = Text("word", 9, like="source").share(field)
    assert shared.codec is field.codec
    field.save(tmp_path, "source")
    again = WORDS.open(tmp_path, "source")
    assert again.encode(["a b zz"]) == field.encode(["a b zz"])
    (tmp_path / "source.tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match=r"source\.tokenizer\.json"):
        WORDS.open(tmp_path, "source")


def test_what_is_no_text_is_refused():
    field = learnt()
    with pytest.raises(ValueError, match="text"):
        field.read(b"bytes")
    with pytest.raises(ValueError, match="empty"):
        field.prepare(" ")
    for call in (lambda: field.prepare(3), lambda: field.encode([3])):  # type: ignore[list-item]
        with pytest.raises(TypeError, match=r"int|\[3\]"):
            call()


@pytest.mark.parametrize(("name", "value"), [("longest", 0), ("vocabulary", 4)])
def test_settings_out_of_range_are_named(name: str, value: int):
    with pytest.raises(ValueError, match=name):
        Text(**{name: value})
