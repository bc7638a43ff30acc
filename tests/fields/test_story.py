"""Stories: their sentences, and what is kept of long ones."""

import numpy as np
import pytest

from attend.attention.trace import Tokens
from attend.contract import PAD
from attend.data.examples import Truth
from attend.fields.field import Fault, Field, Sharing, Value
from attend.fields.story import Story, StoryField
from attend.fields.text import Text

TOLD = "Mary left. John took the milk!  Where to?"


def learnt(settings: Story | None = None) -> StoryField:
    return (settings or Story()).learn([TOLD], print)


def test_both_faces_are_what_a_field_is():
    field = learnt()
    assert isinstance(Story(), Sharing)
    assert isinstance(field, Field)
    assert isinstance(field.prepare(TOLD), Value)


def test_sentences_are_lines_or_end_with_a_mark():
    expected = ["Mary left.", "John took the milk!", "Where to?"]
    for text in (TOLD, "\n".join(expected), "\n\n".join(expected) + "\n"):
        value = learnt().prepare(text)
        axis = value.axis(3, ())
        assert isinstance(axis, Tokens)
        assert axis.labels() == expected
        assert [text[token.start : token.end] for token in axis.tokens] == expected
    assert learnt().prepare("3.5 litres of milk").axis(1, ()).labels() == ["3.5 litres of milk"]


def test_a_story_is_words_of_sentences_padded():
    field = learnt()
    (story,) = field.encode(["Mary left. Mary took milk"])
    mary, left, stop, took, milk = (field.codec.encode(word).ids[0] for word in ("mary", "left", ".", "took", "milk"))
    assert story.tolist() == [[mary, left, stop], [mary, took, milk]]
    assert field.length(story) == 2
    cells = field.collate([story, story[:1, :2]])
    assert cells.values.shape == (2, 2, 3)
    assert cells.values[1].tolist() == [[mary, left, PAD], [PAD] * 3]
    assert cells.mask.tolist() == [[True, True], [True, False]]


def test_of_a_long_story_the_newest_sentences_are_read_and_that_is_said():
    field = learnt(Story(longest=2, words=2))
    (story,) = field.encode([TOLD])
    assert story.shape == (2, 2)
    assert field.prepare(TOLD, encoded=story).axis(2, ()).labels() == ["John took the milk!", "Where to?"]
    cut, shortened = field.remarks()
    assert "--inputs.story.longest" in cut
    assert cut.endswith(": 1")
    assert "--inputs.story.words" in shortened
    assert shortened.endswith(": 2")
    assert field.remarks() == []


@pytest.mark.parametrize("text", ["...", "?!", "\u2014", "\u200b", "\u200b. \u200b."])
def test_a_story_of_punctuation_alone_has_words(text):
    field = learnt()
    (story,) = field.encode([text])
    assert story.size
    assert story[:, 0].all()  # no sentence is all padding
    assert len(field.prepare(text).axis(len(story), ())) == len(story)


def test_supporting_facts_are_named_by_their_sentences():
    told = "Mary left.\nJohn left.\nMary came."
    truth = Truth("story", ((11, 21), (0, 10)))
    assert learnt().places(told, (truth,)) == [1, 0]
    assert learnt(Story(longest=2)).places(told, (truth,)) == [0]  # the other one is not read any more
    assert learnt().places(told, ()) == []


def test_a_query_shares_the_words_of_a_story(tmp_path):
    field = learnt()
    query = Text("word", like="story", tidy=True).share(field)
    assert query.encode(["where milk"])[0][:2] == field.codec.encode("where milk").ids
    field.save(tmp_path, "story")
    again = Story().open(tmp_path, "story")
    np.testing.assert_array_equal(again.encode([TOLD])[0], field.encode([TOLD])[0])


def test_what_is_no_story_is_named():
    (found,) = learnt().encode(["  \n "])
    assert isinstance(found, Fault)
    assert learnt().prepare("zebra").unknown() == 1
    with pytest.raises(TypeError):
        learnt().encode([3])
    with pytest.raises(ValueError, match="empty"):
        learnt().prepare("")
