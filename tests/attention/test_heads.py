"""A step of the heads of a memory."""

import pytest
import torch

from attend.attention import addressing, heads


def given(readers, writers, scale):
    torch.manual_seed(0)
    count = readers + writers
    raw = scale * torch.randn(2, sum(heads.sizes(readers, writers, 3)), dtype=torch.float64)
    weights = torch.randn(2, count, 5, dtype=torch.float64).softmax(-1)
    memory = torch.randn(2, 5, 3, dtype=torch.float64)
    return [value.requires_grad_() for value in (raw, weights, memory)]


def plain(raw, weights, memory, readers):
    """The same by the equations alone, whose gradient torch takes."""
    of = heads.parameters(raw, readers, weights.shape[1] - readers, memory.shape[2])
    now = heads.address(of, weights, memory).sharpened
    after = addressing.write(memory, now[:, readers:], of.erase, of.add)
    return now, after, addressing.read(after, now[:, :readers])


@pytest.mark.parametrize(("readers", "writers"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("scale", [1.0, 15.0])  # of the second many are beyond the limit
def test_the_gradient_is_that_of_the_equations(readers, writers, scale):
    values = given(readers, writers, scale)
    found, expected = heads.move(*values, readers), plain(*values, readers)
    torch.manual_seed(1)
    ahead = [torch.randn_like(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    ours = torch.autograd.grad(found, values, ahead)
    theirs = torch.autograd.grad(expected, values, ahead)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_a_memory_of_zeros_has_a_gradient():
    raw, weights, memory = given(1, 1, 1.0)
    memory = torch.zeros_like(memory).requires_grad_()
    now, after, read = heads.move(raw, weights, memory, 1)
    (now.square().sum() + after.sum() + read.sum()).backward()
    for value in (raw, weights, memory):
        assert value.grad.isfinite().all()


def test_each_parameter_is_in_its_range():
    raw = torch.linspace(-50, 50, sum(heads.sizes(1, 1, 3))).expand(2, -1)
    of = heads.parameters(raw, 1, 1, 3)
    assert of.key.abs().max() <= 1
    assert of.add.abs().max() <= 1
    assert of.strength.min() >= 0
    assert of.power.min() >= 1
    assert of.gate.min() >= 0
    assert of.gate.max() <= 1
    torch.testing.assert_close(of.shifts.sum(-1), torch.ones(2, 2))
    assert of.erase.min() >= 0
    assert of.erase.max() <= 1
