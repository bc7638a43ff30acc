"""Addressing against its equations, written out slot by slot, and its limits, exactly."""

import numpy as np
import pytest
import torch

from attend.attention import addressing

BATCH, HEADS, SLOTS, SIZE = 2, 3, 5, 4


def weights(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64).softmax(-1)


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(0)


def test_content_is_a_softmax_of_cosines():
    key = torch.randn(BATCH, HEADS, SIZE, dtype=torch.float64)
    strength = torch.rand(BATCH, HEADS, 1, dtype=torch.float64) * 5
    memory = torch.randn(BATCH, SLOTS, SIZE, dtype=torch.float64)
    found = addressing.by_content(key, strength, memory)
    for row in range(BATCH):
        for head in range(HEADS):
            cosines = [float(key[row, head] @ slot / (key[row, head].norm() * slot.norm())) for slot in memory[row]]
            raised = np.exp(float(strength[row, head]) * np.array(cosines))
            np.testing.assert_allclose(found[row, head], raised / raised.sum(), rtol=1e-9)


def test_slots_and_keys_of_zeros_have_a_cosine_of_zero_and_gradients():
    key = torch.zeros(1, 1, SIZE, requires_grad=True)
    memory = torch.zeros(1, SLOTS, SIZE, requires_grad=True)
    found = addressing.by_content(key, torch.full((1, 1, 1), 9.0), memory)
    assert torch.equal(found, torch.full((1, 1, SLOTS), 1 / SLOTS))
    found[0, 0, 0].backward()
    assert key.grad is not None
    assert memory.grad is not None
    assert bool(key.grad.isfinite().all())
    assert bool(memory.grad.isfinite().all())


def test_a_gate_keeps_a_head_where_it_was_or_moves_it_to_the_content():
    content, previous = weights(HEADS, SLOTS), weights(HEADS, SLOTS)
    assert torch.equal(addressing.interpolate(content, previous, torch.zeros(HEADS, 1)), previous)
    torch.testing.assert_close(addressing.interpolate(content, previous, torch.ones(HEADS, 1).double()), content)


@pytest.mark.parametrize(("place", "moved"), [(0, -1), (1, 0), (2, 1)])
def test_a_shift_moves_a_head_round_by_one_slot(place, moved):
    shifts = torch.zeros(HEADS, 3).index_fill(-1, torch.tensor([place]), 1.0)
    before = torch.eye(SLOTS)[[0, 2, SLOTS - 1]]
    assert addressing.shift(before, shifts).argmax(-1).tolist() == [(slot + moved) % SLOTS for slot in (0, 2, 4)]


@pytest.mark.parametrize("count", [3, 5])
def test_a_shift_is_a_circular_convolution(count):
    before, shifts = weights(HEADS, SLOTS), weights(HEADS, count)
    found = addressing.shift(before, shifts)
    for head in range(HEADS):
        for slot in range(SLOTS):
            terms = [
                float(before[head, (slot - step + count // 2) % SLOTS] * shifts[head, step]) for step in range(count)
            ]
            assert float(found[head, slot]) == pytest.approx(sum(terms), rel=1e-12)


def test_sharpening_goes_from_the_same_weights_to_their_maximum():
    before = torch.tensor([[0.1, 0.5, 0.4]])
    torch.testing.assert_close(addressing.sharpen(before, torch.ones(1, 1)), before)
    torch.testing.assert_close(addressing.sharpen(before, torch.full((1, 1), 500.0)), torch.tensor([[0.0, 1.0, 0.0]]))


def test_sharpening_a_weight_of_zero_has_a_gradient():
    before = torch.tensor([[0.0, 1.0]], requires_grad=True)
    power = torch.full((1, 1), 1.5, requires_grad=True)
    addressing.sharpen(before, power)[0, 1].backward()
    assert before.grad is not None
    assert power.grad is not None
    assert bool(before.grad.isfinite().all() & power.grad.isfinite().all())


def test_erasing_all_and_adding_nothing_empties_a_slot_and_no_other():
    memory = torch.rand(1, SLOTS, SIZE)
    head = torch.eye(SLOTS)[2].view(1, 1, SLOTS)
    found = addressing.write(memory, head, torch.ones(1, 1, SIZE), torch.zeros(1, 1, SIZE))
    assert torch.equal(found[0, 2], torch.zeros(SIZE))
    kept = [0, 1, 3, 4]
    assert torch.equal(found[0, kept], memory[0, kept])


def test_heads_write_erasures_first_in_any_order():
    memory, where = torch.rand(BATCH, SLOTS, SIZE).double(), weights(BATCH, HEADS, SLOTS)
    erase, add = torch.rand(2, BATCH, HEADS, SIZE).double()
    expected = memory.clone()
    for head in range(HEADS):
        expected = expected * (1 - where[:, head, :, None] * erase[:, head, None])
    for head in range(HEADS):
        expected = expected + where[:, head, :, None] * add[:, head, None]
    torch.testing.assert_close(addressing.write(memory, where, erase, add), expected)
