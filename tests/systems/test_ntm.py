"""What is exact about Neural Turing Machines."""

from dataclasses import replace

import pytest
import torch

from attend.attention.heads import LIMIT, Parameters, sizes
from attend.contract import Batch, Cells
from attend.systems import ntm

CONFIG = ntm.Config(hidden=6, slots=5, size=3)


def cells(*lengths: int, size: int = 2) -> Cells:
    torch.manual_seed(1)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    return Cells(torch.randint(2, (*mask.shape, size)).float() * mask.unsqueeze(-1), mask)


def test_an_answer_follows_its_input_at_once_whatever_is_beside_it():
    inputs, places, real = ntm.with_answer(Batch({"sequence": cells(4, 2)}, cells(1, 3)), "after")
    assert inputs.shape[1] == 5
    assert places[0, :1].tolist() == [4]
    assert places[1].tolist() == [2, 3, 4]
    assert real.sum(1).tolist() == [5, 5]
    assert not inputs[0, 4:].any()
    assert not inputs[1, 2:].any()


def test_an_answer_during_the_input_is_at_its_last_steps():
    _, places, real = ntm.with_answer(Batch({"sequence": cells(4, 3)}, cells(4, 1)), "during")
    assert places[0].tolist() == [0, 1, 2, 3]
    assert places[1, :1].tolist() == [2]
    assert real.sum(1).tolist() == [4, 3]
    with pytest.raises(ValueError, match="more vectors than its input"):
        ntm.with_answer(Batch({"sequence": cells(2)}, cells(3)), "during")


def test_padding_is_read_as_nothing():
    given = cells(4, 2)
    noise = Cells(given.values + (~given.mask).unsqueeze(-1) * 7.0, given.mask)
    first, second = (ntm.with_answer(Batch({"sequence": one}, cells(1, 1)), "after")[0] for one in (given, noise))
    assert torch.equal(first, second)


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, read_heads=2, write_heads=3)])
def test_heads_start_on_the_first_slot_of_a_constant_memory(config):
    system = ntm.System(config, 2, 2)
    weights = system.heads.start(3)
    assert weights.argmax(-1).eq(0).all()
    assert float(weights.detach().min(-1).values.max()) < 0.01
    assert len(system.answer(Batch({"sequence": cells(3, 1)}, cells(1, 1))).looks) == len(weights[0])


def test_a_memory_read_by_its_own_content_is_read_exactly():
    """Heads made by hand: write each vector one slot on, and then read from the first slot on."""
    system = ntm.System(replace(CONFIG, controller="feedforward", hidden=2, size=2), 2, 2)
    heads = system.heads
    with torch.no_grad():
        heads.parameters_of.weight.zero_()
        heads.parameters_of.bias.zero_()
        parts = heads.parameters_of.bias.detach().split(sizes(1, 1, 2))
        of = dict(zip(Parameters._fields, parts, strict=True))
        of["gate"].fill_(-LIMIT)
        of["shifts"].view(2, 3)[:, 2] = LIMIT
        of["power"].fill_(LIMIT)
        of["erase"].fill_(LIMIT)
        heads.first[:, 0] = 40.0
        of["add"].copy_(torch.tensor([5.0, -5.0]))
    weights, memory = heads.start(1), torch.zeros(1, 5, 2)
    for step in range(1, 4):
        weights, memory, read = heads(torch.zeros(1, 2), weights, memory)
        assert weights.argmax(-1).tolist() == [[step, step]]
        torch.testing.assert_close(read, torch.tensor([[5.0, -5.0]]).tanh())
    assert memory[0, 4].eq(0).all()


def test_the_control_attends_to_its_past_alone():
    system = ntm.Recurrent(ntm.RecurrentConfig(4, 1, past=True), 2, 2)
    weights = system.answer(Batch({"sequence": cells(3)}, cells(2))).looks["past"].values
    assert isinstance(weights, torch.Tensor)
    assert not weights[0].detach().triu(1).any()
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 5))


def test_the_loss_is_of_all_real_bits_and_a_unit_is_a_sequence():
    target = Cells(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), torch.tensor([[True, False]]))
    loss = ntm.bit_loss(torch.tensor([[[0.0, 20.0], [9.0, 9.0]]]), target)
    assert float(loss.total) == pytest.approx(20.0 + torch.log(torch.tensor(2.0)).item(), abs=1e-5)
    assert loss.units == 1
    assert float(loss.terms["wrong_bits"]) == 2  # a log-odds of 0 is no 1


def test_the_workings_are_those_of_the_answer():
    system = ntm.System(replace(CONFIG, write_heads=2), 2, 2)
    batch = Batch({"sequence": cells(3, 1)}, cells(2, 1))
    looks, workings = system.answer(batch).looks, system.workings(batch)
    assert list(workings.stages) == [f"{name}: {stage}" for name in looks for stage in ntm.STAGES]
    for stage in workings.stages.values():
        assert isinstance(stage.values, torch.Tensor)
        torch.testing.assert_close(stage.values.sum(-1), torch.ones(2, 5))
    assert {name: memory.shape for name, memory in workings.memory.items()} == {"write 1": (2, 5, 5, 3)}


def test_the_stages_of_a_step_end_in_its_weights():
    heads = ntm.System(replace(CONFIG, read_heads=2), 2, 2).heads
    before = torch.rand(4, CONFIG.hidden), heads.start(4), torch.rand(4, CONFIG.slots, CONFIG.size)
    torch.testing.assert_close(heads.stages(*before).sharpened, heads(*before)[0])
