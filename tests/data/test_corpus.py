import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attend.data.codec import END, PAD, Codec
from attend.data.corpus import Corpus, collate, plan
from attend.data.files import DataError, Pair

CODEC = Codec.train(["a b c d e f g"], "word", 20)


def corpus_of(lengths):
    pairs = [Pair(line, "a " * source, "b " * target) for line, (source, target) in enumerate(lengths, start=1)]
    return Corpus.build(pairs, CODEC, CODEC, longest=1000)[0]


SIDES = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=60)
SOME = [(1 + 7 * i % 23, 1 + 5 * i % 19) for i in range(300)]


def test_sentences_come_back_with_their_end():
    pairs = [Pair(1, "a b c", "d"), Pair(2, "e", "f g")]
    corpus, left_out = Corpus.build(pairs, CODEC, CODEC, longest=3)
    assert len(corpus) == 2
    assert corpus.source(0).tolist() == [*CODEC.encode("a b c").ids, END]
    assert corpus.target(1).tolist() == [*CODEC.encode("f g").ids, END]
    assert corpus.source_lengths.tolist() == [4, 2]
    assert corpus.target_lengths.tolist() == [2, 3]
    assert str(left_out) == "none of 2 pairs left out"


def test_ids_are_held_in_as_few_bytes_as_they_need():
    wide = Codec.train(map(str, range(70_000)), "word", 70_000)
    corpus, _ = Corpus.build([Pair(1, "a", "69000")], CODEC, wide, longest=9)
    assert (corpus.source_ids.dtype, corpus.target_ids.dtype) == (np.uint16, np.int32)
    assert wide.decode(corpus.target(0).tolist()) == "69000"


def test_left_out_says_how_many_why_and_where(tmp_path):
    lines = ["a\tb", "\tb", "a\t  ", "a b c d\tb", *["a\ta b c d"] * 5]
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(lines))
    corpus, left_out = Corpus.read((str(path),), CODEC, CODEC, longest=3)
    assert len(corpus) == 1
    assert left_out.total == 8
    assert str(left_out) == (
        "8 of 9 pairs left out: 1 with an empty source (line 2); 1 with an empty target (line 3); "
        "1 with a source longer than 3 tokens (line 4); 5 with a target longer than 3 tokens (lines 5, 6, 7, ...)"
    )


def test_no_pair_left_is_an_error(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("a b\tc\n")
    with pytest.raises(DataError, match=r"pairs\.tsv: no pair is left to use \(1 of 1 pairs left out"):
        Corpus.read((str(path),), CODEC, CODEC, longest=1)


def test_pairs_are_encoded_across_chunks():
    count = 10_000
    corpus, _ = Corpus.build((Pair(i, "a " * (i % 3 + 1), "b") for i in range(count)), CODEC, CODEC, longest=9)
    assert corpus.source_lengths.tolist() == [i % 3 + 2 for i in range(count)]


@given(lengths=SIDES, tokens=st.integers(31, 200), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_plan_by_tokens_has_every_pair_once_within_the_budget(lengths, tokens, seed, epoch):
    corpus = corpus_of(lengths)
    batches = plan(corpus, tokens, seed, epoch)
    assert sorted(np.concatenate([*batches, []]).astype(int).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) * corpus.source_lengths[batch].max() <= tokens
        assert len(batch) * corpus.target_lengths[batch].max() <= tokens


@given(lengths=SIDES, sentences=st.integers(1, 20))
def test_plan_by_sentences_has_every_pair_once_in_full_batches(lengths, sentences):
    batches = plan(corpus_of(lengths), 0, 1, 1, sentences)
    assert sorted(np.concatenate([*batches, []]).astype(int).tolist()) == list(range(len(lengths)))
    sizes = sorted((len(batch) for batch in batches), reverse=True)
    whole, rest = divmod(len(lengths), sentences)
    assert sizes == [sentences] * whole + [rest] * (rest > 0)


@pytest.mark.parametrize("sentences", [None, 8])
def test_plan_is_the_same_for_a_seed_and_epoch_only(sentences):
    corpus = corpus_of(SOME)

    def batches(seed, epoch):
        return [batch.tolist() for batch in plan(corpus, 100, seed, epoch, sentences)]

    assert batches(1, 2) == batches(1, 2)
    for other in (batches(1, 3), batches(2, 2)):
        # Not the same batches in another order: other pairs meet.
        assert not {tuple(sorted(batch)) for batch in batches(1, 2)} >= {tuple(sorted(batch)) for batch in other}


def test_batch_order_does_not_follow_length():
    corpus = corpus_of(SOME)
    longest = [int(corpus.source_lengths[batch].max()) for batch in plan(corpus, 100, 1, 1)]
    assert abs(np.corrcoef(longest, range(len(longest)))[0, 1]) < 0.5


def padding(corpus, batches):
    """The share of padding in these batches."""
    sides = (corpus.source_lengths, corpus.target_lengths)
    cells = sum(len(batch) * int(lengths[batch].max()) for batch in batches for lengths in sides)
    return 1 - sum(int(lengths.sum()) for lengths in sides) / cells


def test_pairs_of_like_lengths_are_together():
    corpus = corpus_of(SOME * 10)
    assert padding(corpus, plan(corpus, 0, 1, 1, 16)) < 0.05
    shuffled = np.array_split(np.random.default_rng(0).permutation(len(corpus)), len(corpus) // 16)
    assert padding(corpus, shuffled) > 0.4


def test_a_sentence_beyond_the_budget_is_an_error():
    with pytest.raises(ValueError, match=r"of 20 tokens \(data.batch_tokens\) can.t hold the longest sentence, of 31"):
        plan(corpus_of([(3, 30)]), 20, 1, 1)


@settings(deadline=None)
@given(sources=st.lists(st.lists(st.integers(4, 9)), min_size=1, max_size=4))
def test_collate_pads_at_the_right(sources):
    sides = [np.array([*source, END], dtype=np.uint16) for source in sources]
    batch = collate(sides, [side[-1:] for side in sides])
    assert batch.target.tolist() == [[END]] * len(sides)
    assert batch.source.shape == batch.source_mask.shape == (len(sides), max(map(len, sides)))
    for row, mask, side in zip(batch.source, batch.source_mask, sides, strict=True):
        assert row[mask].tolist() == side.tolist()
        assert mask.tolist() == sorted(mask.tolist(), reverse=True)
        assert set(row[~mask].tolist()) <= {PAD}


@pytest.mark.data
@pytest.mark.skipif("ATTEND_DATA" not in os.environ, reason="ATTEND_DATA does not name the data folder")
def test_little_padding_on_real_sentences():
    paths = tuple(f"multi30k/tok/val.lc.norm.tok.{language}.gz" for language in ("en", "de"))
    words = Codec.train(["a man"], "word", 20)
    corpus, left_out = Corpus.read(paths, words, words, longest=50)
    assert (len(corpus), left_out.total) == (1014, 0)
    assert padding(corpus, plan(corpus, 0, 1, 1, 16)) < 0.05
