"""The benchmark compares like with like only if its yardstick computes the same as the system."""

import sys
from pathlib import Path

import numpy as np
import torch

from attend.contract import BEGIN, PAD, Batch
from attend.fields.field import stack_cells
from attend.systems import rnnsearch_modern

sys.path.append(str(Path(__file__).parents[2] / "bench"))

from plain_loop import PlainLoop


def copy_weights(plain: PlainLoop, system: rnnsearch_modern.System) -> None:
    assert system.attend is not None
    score, encoder = system.attend.score, plain.encoder
    forward, backward = system.encoder.input.weight.chunk(2)
    forward_bias, backward_bias = system.encoder.input.bias.chunk(2)
    pairs = [
        (encoder.weight_ih_l0, forward),
        (encoder.weight_ih_l0_reverse, backward),
        (encoder.bias_ih_l0, forward_bias),
        (encoder.bias_ih_l0_reverse, backward_bias),
        (encoder.weight_hh_l0, system.encoder.recurrent[0]),
        (encoder.weight_hh_l0_reverse, system.encoder.recurrent[1]),
        (encoder.bias_hh_l0, system.encoder.bias[0]),
        (encoder.bias_hh_l0_reverse, system.encoder.bias[1]),
        (plain.source_embedding.weight, system.source_embedding.weight),
        (plain.target_embedding.weight, system.target_embedding.weight),
        (
            plain.readout.weight,
            torch.cat([system.from_state.weight, system.from_word.weight, system.from_context.weight], 1),
        ),
        (plain.readout.bias, system.from_state.bias),
        (plain.output.bias, system.output_bias),
    ]
    modules = [
        (plain.initial, system.initial),
        (plain.query, score.query),
        (plain.key, score.key),
        (plain.energy, score.energy),
        (plain.unit1, system.unit1),
        (plain.unit2, system.unit2),
    ]
    with torch.no_grad():
        for to, of in pairs:
            to.copy_(of)
        for to, of in modules:
            to.load_state_dict(of.state_dict())


def test_the_plain_loop_computes_what_the_system_does():
    torch.manual_seed(0)
    config = rnnsearch_modern.Config(8, 8, 8, "additive", 0.0, 0.0, 0.0, 0.0)
    system, plain = rnnsearch_modern.System(config, 20, 21), PlainLoop((20, 21), 8, 8, 8)
    copy_weights(plain, system)
    generate = np.random.default_rng(1)
    source, target = (
        stack_cells([generate.integers(4, 20, length) for length in lengths]) for lengths in ((3, 6, 5), (4, 2, 7))
    )
    expected = system(Batch({"source": source}, target)).total
    found = plain(source.values, source.mask, target.values, BEGIN, PAD)
    torch.testing.assert_close(found, expected)
    gradient = torch.autograd.grad(expected, system.target_embedding.weight)
    torch.testing.assert_close(torch.autograd.grad(found, plain.target_embedding.weight), gradient)
