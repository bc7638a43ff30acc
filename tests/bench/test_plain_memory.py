"""The yardstick computes what the Neural Turing Machine does, so that a ratio of speeds is one of how, not of what."""

import sys
from pathlib import Path

import torch

from attend.attention.heads import sizes
from attend.systems import ntm

sys.path.append(str(Path(__file__).parents[2] / "bench"))

from plain_memory import PlainNtm


def test_the_plain_ntm_computes_what_ntm_does():
    torch.manual_seed(0)
    system = ntm.System(ntm.Config(hidden=12, slots=7, size=5), 4, 3)
    plain = PlainNtm(4, 3, 12, 7, 5, 6)
    copy(system, plain)
    inputs = torch.rand(3, 6, 4).round()
    found, (expected, _) = plain(inputs), system.run(inputs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    ours = torch.autograd.grad(expected.square().sum(), system.controller.cells[0].weight_ih)
    theirs = torch.autograd.grad(found.square().sum(), plain.cell.weight_ih)
    torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-5)


def copy(system: ntm.System, plain: PlainNtm) -> None:
    """Give the yardstick the system's parameters: there one layer has those of both heads, kind by kind."""
    weight = system.heads.parameters_of.weight.split(sizes(1, 1, 5))
    bias = system.heads.parameters_of.bias.split(sizes(1, 1, 5))
    with torch.no_grad():
        plain.cell.load_state_dict(system.controller.cells[0].state_dict())
        plain.output.load_state_dict(system.output.state_dict())
        plain.first.copy_(system.controller.first[0])
        plain.first_read.copy_(system.first_read)
        for number, head in enumerate((plain.reader, plain.writer)):
            head.first.copy_(system.heads.first[number])
            for into, (key, add, gate, erase, *others) in ((head.layer.weight, weight), (head.layer.bias, bias)):
                strength, power, shifts = (part.chunk(2)[number] for part in others)
                shared = [key.chunk(2)[number], strength, gate.chunk(2)[number], shifts, power]
                into.copy_(torch.cat([*shared, erase, add] if number else shared))
