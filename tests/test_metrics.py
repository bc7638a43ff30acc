"""Scores equal sacreBLEU's, and sums of sentence statistics give the score of the corpus."""

import math

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as some

from attend.metrics import (
    ERROR,
    EXACT_MATCH,
    TOKENIZERS,
    balanced_accuracy,
    bleu,
    bootstrap_interval,
    caption_bleu,
    caption_match,
    cider,
    commonest,
    confusion_of,
    corpus_scores,
    exact_match,
    looks_tokenized,
    sentence_statistics,
    share_interval,
)

HYPOTHESES = ["The cat sat on the mat.", "A dog runs, quickly, over there!", "two men walk"]
REFERENCES = ["The cat is on the mat.", "A dog runs quickly over there!", "two women are walking"]

words = some.lists(some.sampled_from(["a", "man", "walks", "in", "the", "park", ".", "Zürich", "犬"]), max_size=12)
pairs = some.lists(some.tuples(words.map(" ".join), words.map(" ".join)), min_size=1, max_size=8)


@pytest.mark.parametrize("tokenize", TOKENIZERS)
def test_scores_are_sacrebleu_s(tokenize: str) -> None:
    scores = corpus_scores(HYPOTHESES, REFERENCES, tokenize)
    assert scores["bleu"] == sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES], tokenize=tokenize, force=True).score
    assert scores["chrf"] == sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score
    assert scores["ter"] == sacrebleu.corpus_ter(HYPOTHESES, [REFERENCES]).score
    assert scores["signature"] == scores["signatures"]["bleu"]
    assert f"tok:{tokenize}|" in scores["signature"]
    assert set(scores["signatures"]) == {"bleu", "chrf", "ter"}


def test_bleu_by_hand() -> None:
    # 4 of 5 words, 3 of 4 pairs, 2 of 3 triples, 1 of 2 fours; 5 words against 6: brevity penalty exp(1 - 6/5).
    score = corpus_scores(["a b c d x"], ["a b c d e f"], "none")["bleu"]
    assert score == pytest.approx(100 * 2.718281828**-0.2 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)


@given(pairs)
def test_sums_of_sentences_score_as_the_corpus(pairs: list[tuple[str, str]]) -> None:
    hypotheses, references = map(list, zip(*pairs, strict=True))
    metric = bleu("13a")
    total = sentence_statistics(metric, hypotheses, references).sum(axis=0)
    assert metric.score(total) == pytest.approx(sacrebleu.corpus_bleu(hypotheses, [references]).score)
    total = sentence_statistics(EXACT_MATCH, hypotheses, references).sum(axis=0)
    assert EXACT_MATCH.score(total) == pytest.approx(exact_match(hypotheses, references))


def test_exact_match_is_a_share() -> None:
    assert exact_match(["2024-05-01", "2024-05-02", "x", "y"], ["2024-05-01", "2024-05-2", "x", "Y"]) == 0.5


@pytest.mark.parametrize("measure", [lambda a, b: corpus_scores(a, b, "13a"), exact_match])
def test_pairs_that_do_not_fit_are_refused(measure) -> None:
    with pytest.raises(ValueError, match="2 hypotheses for 1 references"):
        measure(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="no hypotheses"):
        measure([], [])


def test_unknown_tokenizer_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'moses'; choose one of 13a, intl, char, zh, none"):
        corpus_scores(["a"], ["a"], "moses")


def test_captions_are_scored_against_all_references_of_their_image() -> None:
    hypotheses = ["a b c d x", "e f g h"]
    references = [("a b c d e f",), ("e f g h", "other words")]
    score, signature = caption_bleu(hypotheses, references)
    # By hand: 5 + 4 words against 6 + 4, so exp(1 - 10/9); 4 + 4 of 9 words, 3 + 3 of 7, 2 + 2 of 5, 1 + 1 of 3.
    assert score == pytest.approx(100 * math.exp(-1 / 9) * (8 / 9 * 6 / 7 * 4 / 5 * 2 / 3) ** 0.25)
    assert "tok:none" in signature
    assert caption_match(hypotheses, references) == 0.5
    assert caption_match(["other words"], [("e f g h", "other words")]) == 1.0


def test_cider_by_hand() -> None:
    """Two images; g(s) counts n-grams times log 2 where one image alone has them, and 0 where both do."""
    references = [("a cat sits",), ("a dog",)]
    # "a" weighs nothing. Image 1, candidate "a cat": of single words cat against cat, sits: 1 / sqrt(2); of pairs "a
    # cat" against "a cat", "cat sits": 1 / sqrt(2); no triples in the candidate. Lengths differ by one pair.
    first = (1 / math.sqrt(2) + 1 / math.sqrt(2)) / 4 * math.exp(-1 / 72)
    # Image 2, the candidate is the reference: dog, "a dog" agree wholly, and there are no triples or fours.
    assert cider(["a cat", "a dog"], references) == pytest.approx(10 * (first + 2 / 4) / 2)
    # Words that no image has weigh log 2, too, and only make the candidate longer.
    strange = (1 / math.sqrt(2) / math.sqrt(2) + 1 / math.sqrt(2) / math.sqrt(2)) / 4
    assert cider(["a cat runs", "a dog"], references) == pytest.approx(10 * (strange + 2 / 4) / 2)


def test_cider_clips_what_is_said_too_often() -> None:
    references = [("cat",), ("dog",)]
    # min(3, 1) * 1 / (3 * 1) of single words; two pairs against none.
    assert cider(["cat cat cat", "x"], references) == pytest.approx(10 * (1 / 3 / 4 * math.exp(-4 / 72)) / 2)


def test_cider_is_the_mean_over_an_image_s_references() -> None:
    one = cider(["a b c d", "x"], [("a b c d",), ("y",)])
    assert one == pytest.approx(5.0)
    assert cider(["a b c d", "x"], [("a b c d", "p q"), ("y",)]) == pytest.approx(2.5)
    assert cider(["a b c d"], [("a b c d",)]) == 0.0


@pytest.mark.parametrize("measure", [caption_bleu, caption_match, cider])
def test_captions_that_do_not_fit_their_images_are_refused(measure) -> None:
    with pytest.raises(ValueError, match="2 captions for 1 images"):
        measure(["a", "b"], [("a",)])
    with pytest.raises(ValueError, match="no captions"):
        measure([], [])
    with pytest.raises(ValueError, match="image 2 has no reference"):
        measure(["a", "b"], [("a",), ()])


def test_tokenized_text_is_known_by_full_stops_that_stand_alone():
    assert looks_tokenized(["a dog runs ."] + ["a dog runs"] * 9)
    assert not looks_tokenized(["a dog runs ."] + ["a dog runs."] * 10)
    assert not looks_tokenized([])


def test_error_is_the_share_that_is_not_right() -> None:
    counts = sentence_statistics(ERROR, ["cat", "dog", "owl", "cat"], ["cat", "cat", "owl", "owl"]).sum(axis=0)
    assert ERROR.score(counts) == pytest.approx(0.5)
    assert ERROR.score(sentence_statistics(ERROR, ["a"], ["a"]).sum(axis=0)) == 0


def test_the_interval_of_a_share_is_that_of_the_score_test():
    # Wilson's interval ends where the share is as far from the null as the null's own deviation allows.
    for share, count in ((0.5, 10), (0.95, 20), (0.0, 30), (1.0, 27)):
        for end in share_interval(share, count):
            deviation = math.sqrt(end * (1 - end) / count)
            assert end == share or abs(end - share) == pytest.approx(1.959964 * deviation, abs=1e-6)
    assert share_interval(1.0, 27)[0] < 0.9


def test_a_bootstrap_interval_holds_the_score_and_narrows_with_more_sentences():
    widths = []
    for times in (1, 16):
        hypotheses, references = HYPOTHESES * times, REFERENCES * times
        lower, upper = bootstrap_interval(bleu("13a"), hypotheses, references, samples=200)
        assert lower <= corpus_scores(hypotheses, references, "13a")["bleu"] <= upper
        widths.append(upper - lower)
    assert widths[1] < widths[0] / 2


def test_classes_are_confused_as_counted():
    confusion = confusion_of(["a", "a", "b", "a"], ["a", "a", "b", "b"])
    assert confusion == {"a": {"a": 2}, "b": {"a": 1, "b": 1}}
    assert balanced_accuracy(confusion) == 0.75
    assert commonest([("x", "x", "y"), ("y",)]) == ("y", 1.0)
