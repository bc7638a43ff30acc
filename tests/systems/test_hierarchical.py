"""What is exact about hierarchical attention, and what public code of it gets wrong: both masks, and the tanh."""

from dataclasses import replace

import pytest
import torch

from attend.contract import Batch, Cells
from attend.systems import hierarchical
from attend.systems.hierarchical import sentences_of

CONFIG = hierarchical.Config(embedding=6, hidden=5, attention=4)
BIGRAMS = replace(CONFIG, ngrams=2, ngram_embedding=3, buckets=50)


def texts(*texts_of_sentences: list[list[int]]) -> Cells:
    cells = [
        [(word, number) for number, sentence in enumerate(sentences) for word in sentence]
        for sentences in texts_of_sentences
    ]
    longest = max(map(len, cells))
    values = torch.tensor([[*one, *[(0, 0)] * (longest - len(one))] for one in cells])
    return Cells(values, torch.arange(longest) < torch.tensor([len(one) for one in cells]).unsqueeze(1))


TOLD = texts([[5, 6, 7], [8], [9, 5]], [[6, 6]])


def system(config: hierarchical.Config = CONFIG) -> hierarchical.System:
    torch.manual_seed(0)
    return hierarchical.System(config, 20, 2).eval()


def test_sentences_are_taken_out_of_their_texts():
    of = sentences_of(TOLD)
    words = TOLD.values[..., 0][TOLD.mask][of.words] * of.mask
    assert words.tolist() == [[5, 6, 7], [8, 0, 0], [9, 5, 0], [6, 6, 0]]
    assert of.text.tolist() == [0, 0, 0, 1]
    assert of.place.tolist() == [0, 1, 2, 0]
    assert of.order.tolist() == [1, 2, 3, 0]
    assert of.sentence.tolist() == [0, 0, 0, 1, 2, 2, 3, 3]
    assert of.position.tolist() == [0, 1, 2, 0, 0, 1, 0, 1]


def look(level: hierarchical.Level, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """u = tanh(W h + b), alpha = softmax(u^T u_w), sum alpha h: of one sequence, without padding."""
    key = level.pool.attend.score.key
    hidden = torch.tanh(states @ key.weight.T + key.bias)
    weights = (hidden @ level.pool.queries[0]).softmax(0)
    return weights @ states, weights


def test_both_levels_are_those_of_the_equations():
    model = system()
    sentences, real = [[5, 6, 7], [8], [9, 5]], torch.ones(1, 3, dtype=torch.bool)
    vectors, of_words = [], []
    for words in sentences:
        embedded = model.embedding(torch.tensor([words]))
        states, _ = model.words.encoder(embedded, real[:, : len(words)])
        vector, weights = look(model.words, states[0])
        vectors.append(vector)
        of_words.append(weights)
    states, _ = model.sentences.encoder(torch.stack(vectors).unsqueeze(0), real)
    read, of_sentences = look(model.sentences, states[0])
    found = model.answer(Batch({"text": TOLD}))
    torch.testing.assert_close(found.logits[0, 0], model.output(read))
    torch.testing.assert_close(found.looks["sentences"].values[0, 0], of_sentences)
    # A word of a text has its weight in its sentence times the sentence's.
    expected = torch.cat([weight * words for weight, words in zip(of_sentences, of_words, strict=True)])
    torch.testing.assert_close(found.looks["text"].values[0, 0], expected)


@pytest.mark.parametrize("config", [CONFIG, BIGRAMS])
def test_padding_has_no_part_in_anything(config):
    model = system(config)
    together = model.answer(Batch({"text": TOLD}))
    alone = model.answer(Batch({"text": texts([[6, 6]])}))
    torch.testing.assert_close(together.logits[1], alone.logits[0])
    words, sentences = together.looks["text"], together.looks["sentences"]
    assert words.values[1, :, 2:].eq(0).all()
    assert sentences.values[1].tolist() == [[1, 0, 0]]
    assert sentences.cells.tolist() == [[True, True, True], [True, False, False]]
    torch.testing.assert_close(words.values.sum(2), torch.ones(2, 1))


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_controls_are_what_they_say(pooling):
    model = system(replace(BIGRAMS, pooling=pooling))
    inputs, beside = torch.rand(1, 4, 6), torch.rand(1, 4, 3)
    mask = torch.tensor([[True, True, True, False]])
    read, weights = model.words(inputs, beside, mask)
    states, _ = model.words.encoder(inputs[:, :3], mask[:, :3])
    both = torch.cat([states, beside[:, :3]], 2)[0]
    expected = {
        "mean": both.mean(0),
        "max": both.amax(0),
        "last": torch.cat([states[0, -1, :5], states[0, 0, 5:], beside[0, 2]]),
    }[pooling]
    torch.testing.assert_close(read[0], expected)
    assert (weights is None) == (pooling != "mean")


def test_a_text_of_padding_is_refused():
    with pytest.raises(ValueError, match="padding"):
        sentences_of(Cells(TOLD.values, TOLD.mask & torch.tensor([[True], [False]])))
