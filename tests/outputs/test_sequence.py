"""A sequence as an output: every figure of a result is that of a decoder known by heart."""

from itertools import product

import numpy as np
import pytest
import torch

from attend import decoding
from attend.attention.trace import Tokens
from attend.contract import END, UNKNOWN, Batch, Cells
from attend.fields.field import Fault
from attend.fields.text import Text
from attend.metrics import EXACT_MATCH, bleu
from attend.outputs.output import Output, OutputSettings, Result, Wanted
from attend.outputs.sequence import Decoding, Sequence, SequenceOutput
from small_models import Bigrams, Config, log_probs_by_hand, weights_by_hand

WORDS = Sequence("word", 30, longest=4)
OUTPUT = WORDS.learn(["x y z", "x"], print)
SYSTEM = Bigrams(Config(), 9, len(OUTPUT.field.codec)).eval()
# Two sources, of 3 and 2 cells.
BATCH = Batch({"source": Cells(torch.tensor([[4, 5, 3], [6, 3, 0]]), torch.tensor([[True] * 3, [True, True, False]]))})
WORD = [token for word in "xyz" for token in OUTPUT.field.codec.encode(word).ids]


def every(longest: int) -> list[tuple[float, list[int]]]:
    """Every output of up to so many tokens with its log-probability, best first."""
    found = [
        (sum(log_probs_by_hand(SYSTEM, [*start, END])), [*start, END])
        for length in range(longest)
        for start in product([UNKNOWN, *WORD], repeat=length)
    ]
    return sorted(found, reverse=True)


def check(result: Result, cells: int) -> None:
    """What is true of any result: its figures are the decoder's, and its tokens stand in its text."""
    ids = list(result.ids)
    assert result.token_log_probs == pytest.approx(log_probs_by_hand(SYSTEM, ids), abs=1e-5)
    assert result.log_prob == pytest.approx(sum(result.token_log_probs), abs=1e-5)
    assert ids[-1] == END
    (name,) = result.looks
    seen = result.looks[name]
    assert (name, seen.over, seen.steps) == ("source", "source", "output")
    np.testing.assert_allclose(seen.values, list(weights_by_hand(len(ids), cells)), atol=1e-6)
    assert isinstance(result.steps, Tokens)
    assert result.steps.tokens == result.tokens
    assert len(result.tokens) == len(ids)
    for token in result.tokens:
        assert token.start is None or result.text[token.start : token.end] == token.text


def test_both_faces_are_what_an_output_is():
    assert isinstance(WORDS, OutputSettings)
    assert isinstance(OUTPUT, Output)


def test_the_best_outputs_are_those_of_enumeration():
    how = Decoding(beam=50, length_penalty=0.0, longest=4)
    for results, cells in zip(OUTPUT.predict(SYSTEM, BATCH, how, Wanted(best=4)), (3, 2), strict=True):
        for result in results:
            check(result, cells)
        finished = [result for result in results if result.finished]
        assert [list(one.ids) for one in finished] == [ids for _, ids in every(4)[: len(finished)]]
        assert len(finished) == 4
        assert [one.score for one in results] == [one.log_prob for one in results]


def test_a_beam_of_one_is_greedy():
    (found, *_), (other, *_) = OUTPUT.predict(SYSTEM, BATCH, Decoding(beam=1, longest=5), Wanted())
    check(found, 3)
    check(other, 2)
    assert found.score == pytest.approx(found.log_prob / len(found.ids))
    assert found.ids == other.ids
    (best, *_) = decoding.greedy(SYSTEM, BATCH, 5)[0]
    assert list(found.ids) == best.tokens


def test_samples_come_as_often_as_they_should():
    generator = torch.Generator().manual_seed(0)
    results = OUTPUT.predict(SYSTEM, BATCH, Decoding(longest=1), Wanted(samples=1500, generator=generator))[0]
    first = [result.ids[0] for result in results]
    table = SYSTEM.table.detach()[2].softmax(-1).numpy()
    possible = np.array([0, 1, 0, 1, *[1] * (len(table) - 4)])  # neither padding nor the beginning
    chances = table * possible / (table * possible).sum()
    np.testing.assert_allclose(np.bincount(first, minlength=len(table)) / 1500, chances, atol=0.05)


def test_a_given_target_is_scored_and_kept_as_it_was_given():
    targets = ["y unheard", "x"]
    encoded = OUTPUT.encode(targets)
    results = OUTPUT.force(SYSTEM, BATCH, Decoding(), encoded, targets)
    for result, ids, target, cells in zip(results, encoded, targets, (3, 2), strict=True):
        check(result, cells)
        assert (list(result.ids), result.text) == (ids, target)
    assert UNKNOWN in results[0].ids
    written = SYSTEM_log_probs(encoded[1])
    assert written == pytest.approx(results[1].token_log_probs, abs=1e-6)


def SYSTEM_log_probs(ids: list[int]) -> list[float]:  # noqa: N802
    found = OUTPUT.log_probs(SYSTEM, BATCH, ids)
    assert found.shape == (2, len(ids))
    assert found.requires_grad
    return found[1].tolist()


def test_several_systems_are_an_ensemble():
    other = Bigrams(Config(1), 9, len(OUTPUT.field.codec)).eval()
    assert OUTPUT.join([SYSTEM]) is SYSTEM
    (result, *_) = OUTPUT.force(OUTPUT.join([SYSTEM, other]), BATCH, Decoding(), OUTPUT.encode(["x", "x"]), ["x", "x"])
    each = np.array([log_probs_by_hand(system, result.ids) for system in (SYSTEM, other)])
    assert result.token_log_probs == pytest.approx(np.log(np.exp(each).mean(0)).tolist(), abs=1e-5)


def test_the_greatest_length_is_set_or_a_multiple_of_the_input():
    assert OUTPUT.longest(BATCH, Decoding(longest=7)) == 7
    assert OUTPUT.longest(BATCH, Decoding(ratio=1.5)).tolist() == [14, 13]  # type: ignore[union-attr]
    image = Batch({"image": torch.zeros(1, 1, 4, 4)})
    with pytest.raises(ValueError, match=r"decoding\.longest"):
        OUTPUT.longest(image, Decoding())
    assert OUTPUT.longest(image, Decoding(longest=3)) == 3


@pytest.mark.parametrize(
    ("how", "lengths", "expected"),
    [
        (Decoding(5, 1.0), [(4, 3), (2, 9)], Decoding(1, 1.0, 0, 2)),
        # 41 tokens with END, of which 10 are spare, for a source of two.
        (Decoding(5, 0.0), [(4, 3), (2, 41)], Decoding(1, 0.0, 0, 16)),
        (Decoding(5, 1.0, longest=2), [(1, 3)], Decoding(1, 0.0, 4)),
        (Decoding(5, 1.0, longest=20), [(1, 3)], Decoding(1, 0.0, 20)),
    ],
)
def test_a_target_of_any_length_can_be_written_when_weights_are_chosen(how, lengths, expected):
    assert OUTPUT.to_measure(how, *np.array(lengths).T) == expected


def test_work_that_nobody_waits_for_ends():
    def stop() -> None:
        raise InterruptedError

    for how, wanted in (
        (Decoding(1), Wanted(stop=stop)),
        (Decoding(2), Wanted(stop=stop)),
        (Decoding(), Wanted(samples=1, stop=stop)),
    ):
        with pytest.raises(InterruptedError):
            OUTPUT.predict(SYSTEM, BATCH, how, wanted)


def results_of(texts: list[str], output: SequenceOutput = OUTPUT) -> list[Result]:
    return [Result(text, 0.0, 0.0, (), (), (), Tokens(text, ())) for text in texts]


def test_translations_are_measured_against_one_reference():
    found, signatures = OUTPUT.figures(results_of(["x y z x", "y"]), ["x y z x", "z"])
    assert found["exact_match"] == 0.5
    assert set(found) == {"bleu", "chrf", "ter", "exact_match"}
    assert "tok:13a" in signatures["bleu"]
    watched = OUTPUT.watched(["x y z x", "y"], ["x y z x", "z"])
    assert watched.keys() == OUTPUT.measures.keys()
    assert watched == pytest.approx({name: found[name] for name in watched})
    assert OUTPUT.reference("x y") == "x y"
    assert OUTPUT.metric().name == bleu("13a").name


def test_captions_are_measured_against_all_of_theirs_made_tidy():
    settings = Sequence("word", 30, tidy=True, metrics="captions")
    output = settings.learn([("A cat.", "One cat"), ("a dog",)], print)
    assert settings.column().several
    references = [("A cat.", "One CAT"), ("a dog",)]
    found, signatures = output.figures(results_of(["one cat", "a cat ."]), references)
    assert found["exact_match"] == 0.5
    assert set(found) == {"exact_match", "bleu4", "cider"} == set(output.measures)
    assert "tok:none" in signatures["bleu4"]
    assert output.watched(["one cat", "a cat ."], references) == found
    assert output.reference(references[0]) is None
    assert output.reference(("A Dog",)) == "a dog"
    assert output.metric() is EXACT_MATCH
    assert output.singles(references[0]) == references[0]


def test_figures_of_texts_have_intervals_and_a_baseline_where_targets_repeat():
    texts = ["x y z x", "y"] * 10
    found = OUTPUT.assess(texts, ["x y z x", "z"] * 10)
    lower, upper = found.intervals["exact_match"]
    assert 0.2 < lower < 0.5 < upper < 0.8
    lower, upper = found.intervals["bleu"]
    assert lower < OUTPUT.watched(texts, ["x y z x", "z"] * 10)["bleu"] < upper
    assert found.figures == {"baseline_majority": 0.5}
    assert len(found.remarks) == 1  # half is right, as of one answer to all
    different = [f"{first} {second} {third}" for first in "xyz" for second in "xyz" for third in "xyz"]
    assert OUTPUT.assess(different, different).figures == {}
    output = Sequence("word", 30, metrics="captions").learn([("x",)], print)
    found = output.assess(["x"] * 4, [("x", "y"), ("x",), ("z", "x"), ("y",)])
    assert found.figures == {"baseline_majority": 0.75}
    assert found.intervals.keys() == {"exact_match"}


def test_targets_that_look_tokenised_are_remarked_on():
    assert any("tokenize" in line for line in OUTPUT.remarks(["a dog runs ."] * 5))
    assert OUTPUT.remarks(["a dog runs."] * 5) == []
    none = Sequence("word", 30, tokenize="none").learn(["x"], print)
    assert none.remarks(["a dog runs ."] * 5) == []


def test_a_vocabulary_is_learnt_shared_and_kept(tmp_path):
    source = Text("word", 30).learn(["a b"], print)
    assert Sequence("word", 30, like="source").learn(["c"], print, source).field.codec is source.codec
    OUTPUT.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(WORDS.kept())
    assert WORDS.open(tmp_path).encode(["x z"]) == OUTPUT.encode(["x z"])
    assert isinstance(OUTPUT.encode(["x y z x y"], training=True)[0], Fault)


def test_settings_out_of_range_are_named():
    for call, name in ((lambda: Sequence(longest=0), "longest"), (lambda: Decoding(beam=0), "beam")):
        with pytest.raises(ValueError, match=name):
            call()


def test_several_outputs_have_no_text_twice():
    output = Sequence("bpe", 14).learn(["ab ab ab ab", "b a", "a b"], print)
    codec = output.field.codec
    whole, first, second = (codec.encode(text).ids for text in ("ab", "a", "b"))
    bare = [token for token in range(4, len(codec)) if codec.piece(token) == "b"]
    assert len(whole) == len(first) == len(bare) == 1
    ids = [[*whole, END], [*first, *bare, END], [*second, END]]
    found = [decoding.Hypothesis(tokens, -1.0, -1.0, [], None, True) for tokens in ids]
    assert [hypothesis.tokens for hypothesis in output.distinct(found)] == [ids[0], ids[2]]


def test_what_is_unknown_is_not_written_where_that_is_asked():
    for how in (Decoding(1, longest=8, no_unknown=True), Decoding(3, longest=8, no_unknown=True)):
        for several in OUTPUT.predict(SYSTEM, BATCH, how, Wanted()):
            assert UNKNOWN not in several[0].ids


def test_memory_grows_with_what_is_asked_for():
    lengths, none = np.array([2, 20]), np.array([0, 0])
    few = OUTPUT.memory(Decoding(2), Wanted(), lengths, none)
    assert few[0] < few[1]
    assert (OUTPUT.memory(Decoding(200), Wanted(), lengths, none) == 100 * few).all()
    assert (OUTPUT.memory(Decoding(9), Wanted(samples=2), lengths, none) == few).all()
    assert (OUTPUT.memory(Decoding(2), Wanted(), lengths, np.array([900, 900])) > few).all()
