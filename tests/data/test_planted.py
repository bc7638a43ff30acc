"""Texts with a planted key."""

from collections import Counter

from attend.data.examples import TARGET, Column
from attend.data.planted import MARK, PlantedKey

COLUMNS = [Column("text"), Column(TARGET)]


def test_the_word_after_the_key_is_the_class_and_where_it_is_is_known():
    rows = list(PlantedKey(distractors=20, train=50, valid=5).open(COLUMNS, 1, print).rows("train"))
    assert len(rows) == 50
    places = Counter()
    for row in rows:
        text, (truth,) = row.values["text"], row.truth
        start, end = truth.where
        assert text[start:end] == f"{MARK} {row.values[TARGET]}"
        assert text.split().count(MARK) == 1
        assert len(text.split()) == 22
        places[start] += 1
    assert len(places) > 10


def test_texts_depend_on_their_seed_alone():
    def made(data_seed: int, run_seed: int) -> list[str]:
        source = PlantedKey(distractors=5, train=4, valid=1, seed=data_seed).open(COLUMNS, run_seed, print)
        return [row.values["text"] for row in source.rows("train")]

    assert made(1, 1) == made(1, 2)
    assert made(1, 1) != made(2, 1)
