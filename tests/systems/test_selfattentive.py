"""What is exact about structured self-attention, and what public code of it gets wrong."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attend.contract import Batch, Cells
from attend.systems import selfattentive
from attend.systems.selfattentive import penalty

CONFIG = selfattentive.Config(embedding=6, hidden=5, attention=4, rows=3, classifier=7, dropout=0.0)


def texts(*lengths: int) -> Cells:
    """Random words, in one sentence each."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    words = torch.randint(4, 20, mask.shape, generator=torch.Generator().manual_seed(0)) * mask
    return Cells(torch.stack([words, torch.zeros_like(words)], 2), mask)


def system(config: selfattentive.Config = CONFIG) -> selfattentive.System:
    torch.manual_seed(0)
    return selfattentive.System(config, 20, 2).eval()


def test_rows_are_those_of_the_equation():
    model, text = system(), texts(6, 4)
    states, _ = model.encode(text)
    found = model.answer(Batch({"text": text})).looks["rows"].values
    first, second = model.pool.attend.score.key.weight, model.pool.queries
    for row, length in enumerate((6, 4)):
        scores = second @ torch.tanh(first @ states[row, :length].T)  # W_s2 tanh(W_s1 H^T)
        torch.testing.assert_close(found[row, :, :length], scores.softmax(1))
        assert found[row, :, length:].eq(0).all()


def test_the_penalty_is_the_square_of_the_frobenius_norm():
    weights = torch.rand(2, 3, 5).softmax(2)
    expected = [np.linalg.norm(one @ one.T - np.eye(3)) ** 2 for one in weights.numpy()]
    torch.testing.assert_close(penalty(weights), torch.tensor(expected, dtype=torch.float32))


def test_the_penalty_is_in_the_loss_and_is_no_likelihood():
    batch = Batch({"text": texts(6, 4)}, torch.tensor([0, 1]))
    without, found = system(replace(CONFIG, penalty=0.0))(batch), system(replace(CONFIG, penalty=2.0))(batch)
    torch.testing.assert_close(found.total, without.total + 2 * found.terms["penalty"])
    assert found.terms["nll"] == without.terms["nll"]


def test_the_penalty_parts_rows():
    batch = Batch({"text": texts(8, 8, 8, 8)}, torch.tensor([0, 1, 0, 1]))
    overlaps = []
    for weight in (0.0, 1.0):
        model = system(replace(CONFIG, penalty=weight)).train()
        optimiser = torch.optim.Adam(model.parameters(), 3e-2)
        for _ in range(200):
            optimiser.zero_grad()
            model(batch).total.backward()
            optimiser.step()
        rows = model.answer(batch).looks["rows"].values
        products = rows @ rows.mT
        overlaps.append(float(products.triu(1).sum().detach()))
    assert overlaps[1] < overlaps[0] / 2


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_controls_are_what_they_say(pooling):
    model, text = system(replace(CONFIG, pooling=pooling)), texts(6, 4)
    states, last = model.encode(text)
    read, _ = model.pool(states, last, text.mask)
    for row, length in enumerate((6, 4)):
        one = states[row, :length]
        expected = {
            "mean": one.mean(0),
            "max": one.amax(0),
            "last": torch.cat([one[-1, :5], one[0, 5:]]),  # of the backward direction the first
        }[pooling]
        torch.testing.assert_close(read[row, 0], expected)


def test_a_text_of_padding_is_refused():
    text = texts(3, 2)
    with pytest.raises(ValueError, match="padding"):
        system().encode(Cells(text.values, text.mask & torch.tensor([[True], [False]])))
