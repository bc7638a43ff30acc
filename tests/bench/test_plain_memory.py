"""The yardsticks compute what attend's models with a memory do: a ratio of speeds is one of how, not of what."""

import sys
from pathlib import Path

import torch

from attend.attention.heads import sizes
from attend.contract import END, Batch, Cells
from attend.layers import ages
from attend.systems import memn2n, ntm

sys.path.append(str(Path(__file__).parents[2] / "bench"))

from plain_memory import PlainMemn2n, PlainNtm


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


def test_the_plain_memory_network_computes_what_memn2n_does():
    torch.manual_seed(0)
    config = memn2n.Config(hops=2, size=6, memories=8, noise=0.0)
    system = memn2n.System(config, 20, 20 - memn2n.WORDS + 3)
    plain = PlainMemn2n(20, 3, 2, 6, 8)
    with torch.no_grad():
        for tables, whole in ((plain.words, system.sentences.words), (plain.ages, system.sentences.ages)):
            for table, part in zip(tables, whole.weight.split(6, dim=1), strict=True):
                table.weight.copy_(part)
        plain.others.weight.copy_(system.output.weight)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    story = torch.randint(4, 20, (2, 3, 4)) * mask.unsqueeze(2)
    story[0, 1, 2:] = 0  # a shorter sentence
    query = torch.randint(4, 20, (2, 3))
    asked = torch.cat([query, torch.full((2, 1), END)], 1)
    batch = Batch({"story": Cells(story, mask), "query": Cells(asked, torch.ones_like(asked, dtype=torch.bool))})
    found, expected = plain(story, ages(mask, 0.0, 8), query), system.answer(batch).logits[:, -1]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    ours = torch.autograd.grad(expected.square().sum(), system.sentences.words.weight)[0]
    theirs = torch.autograd.grad(found.square().sum(), [table.weight for table in plain.words])
    torch.testing.assert_close(torch.cat(theirs, 1), ours, rtol=1e-3, atol=1e-5)
