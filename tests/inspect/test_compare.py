"""Bootstrap tests find what is there and nothing else; tables show what they are given."""

import random

import pytest

from attend.inspect.compare import by_length, markdown, paired_bootstrap, table
from attend.metrics import EXACT_MATCH, bleu, corpus_scores, exact_match

BLEU = bleu("none")
WORDS = ["a", "man", "woman", "dog", "runs", "walks", "sits", "in", "the", "park", "with", "red", "hat", "and", "two"]


def corpus(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(5, 25))) for _ in range(count)]


def spoil(sentences: list[str], share: float, seed: int) -> list[str]:
    """The sentences with this share of their words drawn anew."""
    draw = random.Random(seed)
    return [" ".join(draw.choice(WORDS) if draw.random() < share else word for word in s.split()) for s in sentences]


REFERENCES = corpus(200, seed=1)


def test_a_planted_difference_is_found() -> None:
    better, worse = spoil(REFERENCES, 0.2, seed=2), spoil(REFERENCES, 0.3, seed=3)
    found = paired_bootstrap(better, worse, REFERENCES, BLEU, samples=300)
    scores = [corpus_scores(hypotheses, REFERENCES, "none")["bleu"] for hypotheses in (better, worse)]
    assert found.difference == pytest.approx(scores[0] - scores[1])
    assert found.p == pytest.approx(1 / 301)
    assert 0 < found.lower < found.difference < found.upper


def test_exchanging_the_runs_turns_the_signs() -> None:
    one, other = spoil(REFERENCES, 0.2, seed=2), spoil(REFERENCES, 0.22, seed=3)
    there = paired_bootstrap(one, other, REFERENCES, BLEU, samples=100)
    back = paired_bootstrap(other, one, REFERENCES, BLEU, samples=100)
    assert (back.difference, back.p) == (-there.difference, there.p)
    assert (back.lower, back.upper) == pytest.approx((-there.upper, -there.lower))


def test_no_difference_is_found_between_equals() -> None:
    one, other = spoil(REFERENCES, 0.2, seed=2), spoil(REFERENCES, 0.2, seed=4)
    assert paired_bootstrap(one, one, REFERENCES, BLEU, samples=100).p == 1
    found = paired_bootstrap(one, other, REFERENCES, BLEU, samples=300)
    assert found.p > 0.05
    assert found.lower < 0 < found.upper


def test_false_alarms_are_as_rare_as_p_says() -> None:
    alarms = 0
    for seed in range(100):
        draw = random.Random(seed)
        references = ["x"] * 60
        one, other = (["x" if draw.random() < 0.5 else "y" for _ in references] for _ in range(2))
        alarms += paired_bootstrap(one, other, references, EXACT_MATCH, samples=100, seed=seed).p < 0.01
    assert alarms <= 8  # p looks one way only, at whichever run is better: 2 of 100 are due


def test_the_same_seed_gives_the_same_figures() -> None:
    runs = spoil(REFERENCES, 0.2, seed=2), spoil(REFERENCES, 0.21, seed=3)
    first = paired_bootstrap(*runs, REFERENCES, BLEU, samples=50, seed=7)
    assert first == paired_bootstrap(*runs, REFERENCES, BLEU, samples=50, seed=7)
    assert first != paired_bootstrap(*runs, REFERENCES, BLEU, samples=50, seed=8)


def test_buckets_have_the_scores_of_their_sentences() -> None:
    references = ["x"] * 8
    hypotheses = ["x", "x", "y", "x", "y", "y", "x", "y"]
    buckets = by_length([1, 10, 11, 20, 15, 12, 41, 45], hypotheses, references, (10, 20, 30), EXACT_MATCH, 200)
    assert [(b.low, b.high, b.count, b.value) for b in buckets] == [(1, 10, 2, 1), (11, 20, 4, 0.25), (31, 45, 2, 0.5)]
    assert (buckets[0].lower, buckets[0].upper) == (1, 1)
    assert buckets[1].lower == 0
    assert 0.5 <= buckets[1].upper <= 1


def test_one_bucket_is_the_corpus() -> None:
    hypotheses = spoil(REFERENCES, 0.3, seed=3)
    lengths = [len(reference.split()) for reference in REFERENCES]
    for metric, value in (
        (BLEU, corpus_scores(hypotheses, REFERENCES, "none")["bleu"]),
        (EXACT_MATCH, exact_match(hypotheses, REFERENCES)),
    ):
        [bucket] = by_length(lengths, hypotheses, REFERENCES, (), metric, samples=100)
        assert bucket.value == pytest.approx(value)
        assert bucket.lower <= bucket.value <= bucket.upper
        assert (bucket.low, bucket.high, bucket.count) == (1, max(lengths), len(REFERENCES))


@pytest.mark.parametrize(
    ("lengths", "edges", "samples", "problem"),
    [
        ([1], (10,), 10, "1 source lengths for 2 references"),
        ([1, 2], (10, 10), 10, r"edges are \[10, 10\]"),
        ([1, 2], (0, 10), 10, r"edges are \[0, 10\]"),
        ([1, 0], (10,), 10, "sentence 2 has a source of length 0"),
        ([1, 2], (10,), 0, "samples is 0"),
    ],
)
def test_lengths_that_make_no_sense_are_refused(lengths, edges, samples, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        by_length(lengths, ["x", "y"], ["x", "y"], edges, EXACT_MATCH, samples)


def test_table_has_every_column_of_every_run() -> None:
    rows = table({"none": {"BLEU": 20.123}, "additive|1": {"BLEU": 31.0, "AER": 0.25, "seed": 3}})
    assert rows == [
        {"run": "none", "BLEU": 20.123, "AER": None, "seed": None},
        {"run": "additive|1", "BLEU": 31.0, "AER": 0.25, "seed": 3},
    ]
    assert markdown(rows) == (
        "| run | BLEU | AER | seed |\n"
        "| :-- | --: | --: | --: |\n"
        "| none | 20.12 | – | – |\n"
        "| additive\\|1 | 31.00 | 0.25 | 3 |\n"
    )
    with pytest.raises(ValueError, match="no rows"):
        markdown([])
