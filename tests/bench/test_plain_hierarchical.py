"""The yardstick computes what hierarchical attention does, so that a ratio of speeds is one of how, not of what."""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from attend.contract import Cells
from attend.systems import hierarchical

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import hierarchical as bench
from plain_hierarchical import PlainHierarchical, PlainLevel


def test_the_plain_network_computes_what_hierarchical_does():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    texts = [bench.sentences(rng, count) for count in (3, 1, 5)]
    mask = torch.arange(max(map(len, texts))) < torch.tensor([len(one) for one in texts]).unsqueeze(1)
    values = torch.zeros(*mask.shape, 2, dtype=torch.int64)
    values[mask] = torch.from_numpy(np.concatenate(texts))
    text = Cells(values, mask)
    config = hierarchical.Config(embedding=6, hidden=5, attention=4)
    system = hierarchical.System(config, bench.VOCABULARY, 3)
    plain = PlainHierarchical(bench.VOCABULARY, 3, 6, 5, 4)
    copy(system, plain)
    expected, found = system.read(text)[0], plain(*bench.apart(text))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    ours = torch.autograd.grad(expected.square().sum(), system.embedding.weight)
    theirs = torch.autograd.grad(found.square().sum(), plain.embedding.weight)
    torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-5)


def copy(system: hierarchical.System, plain: PlainHierarchical) -> None:
    """Give the yardstick the system's parameters."""
    plain.embedding.load_state_dict(system.embedding.state_dict())
    plain.output.load_state_dict(system.output.state_dict())
    pairs: list[tuple[hierarchical.Level, PlainLevel]] = [
        (system.words, plain.words),
        (system.sentences, plain.sentences),
    ]
    for level, into in pairs:
        assert level.pool.attend is not None
        assert level.pool.queries is not None
        encoder, score = level.encoder, level.pool.attend.score
        assert isinstance(score, nn.Module)
        into.key.load_state_dict(score.key.state_dict())  # type: ignore[union-attr]
        with torch.no_grad():
            into.query.copy_(level.pool.queries[0])
            for number, cell in enumerate((into.forwards, into.backwards)):
                cell.weight_ih.copy_(encoder.input.weight.chunk(2)[number])
                cell.bias_ih.copy_(encoder.input.bias.chunk(2)[number])
                cell.weight_hh.copy_(encoder.recurrent[number])
                cell.bias_hh.copy_(encoder.bias[number])
