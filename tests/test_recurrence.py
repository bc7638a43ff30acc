"""The hand-written backward passes against autograd, finite differences and torch's own units."""

import pytest
import torch
from torch import Tensor, nn

from attend.recurrence import conditional_gru, fixed_read_gru, gru, gru_step

STEPS, BATCH, CELLS, SIZE, ALIGNMENT = 4, 3, 5, 6, 7


@pytest.fixture(autouse=True)
def double_precision():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def leaf(*shape: int) -> Tensor:
    return (0.5 * torch.randn(*shape)).requires_grad_()


def conditional_arguments() -> dict[str, Tensor]:
    return {
        "inputs": leaf(STEPS, BATCH, 3 * SIZE),
        "initial": leaf(BATCH, SIZE),
        "weight1": leaf(3 * SIZE, SIZE),
        "bias1": leaf(3 * SIZE),
        "weight2": leaf(3 * SIZE, SIZE),
        "bias2": leaf(3 * SIZE),
        "query": leaf(ALIGNMENT, SIZE),
        "energy": leaf(ALIGNMENT),
        "keys": leaf(BATCH, CELLS, ALIGNMENT),
        "projected": leaf(BATCH, CELLS, 3 * SIZE),
    }


MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0]], dtype=torch.bool)


def hand_written(arguments: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    inputs, initial, weight1, bias1, weight2, bias2, query, energy, keys, projected = arguments.values()
    return conditional_gru(inputs, initial, (weight1, bias1), (weight2, bias2), query, energy, keys, projected, MASK)


def plain(arguments: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The same, a step at a time, for autograd."""
    inputs, state, weight1, bias1, weight2, bias2, query, energy, keys, projected = arguments.values()
    states, rows = [], []
    for step in inputs:
        middle, _ = gru_step(step, state @ weight1.T + bias1, state)
        scores = torch.tanh((middle @ query.T).unsqueeze(1) + keys) @ energy
        weights = scores.masked_fill(~MASK, -torch.inf).softmax(-1)
        read = (weights.unsqueeze(1) @ projected).squeeze(1)
        state, _ = gru_step(read, middle @ weight2.T + bias2, middle)
        states.append(state)
        rows.append(weights)
    return torch.stack(states), torch.stack(rows)


def test_conditional_gru_equals_autograd():
    arguments = conditional_arguments()
    for_states, for_weights = torch.randn(STEPS, BATCH, SIZE), torch.randn(STEPS, BATCH, CELLS)
    gradients = []
    for function in (hand_written, plain):
        states, weights = function(arguments)
        total = (states * for_states).sum() + (weights * for_weights).sum()
        gradients.append(torch.autograd.grad(total, list(arguments.values())))
    torch.testing.assert_close(hand_written(arguments), plain(arguments))
    for name, ours, autograd in zip(arguments, *gradients, strict=True):
        torch.testing.assert_close(ours, autograd, msg=lambda text, name=name: f"{name}: {text}")


def test_conditional_gru_gives_padding_no_weight_and_no_gradient():
    arguments = conditional_arguments()
    states, weights = hand_written(arguments)
    assert (weights[:, ~MASK] == 0.0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(STEPS, BATCH))
    for name in ("keys", "projected"):
        (gradient,) = torch.autograd.grad(states.sum(), arguments[name], retain_graph=True)
        assert (gradient[~MASK] == 0.0).all()
        assert gradient[MASK].abs().max() > 0


def test_fixed_read_passes_finite_differences():
    names = ("inputs", "initial", "weight1", "bias1", "weight2", "bias2", "projected")
    arguments = conditional_arguments()
    weights = torch.rand(BATCH, CELLS)

    def states(inputs, initial, weight1, bias1, weight2, bias2, projected):
        return fixed_read_gru(inputs, initial, (weight1, bias1), (weight2, bias2), projected, weights)[0]

    assert torch.autograd.gradcheck(states, [arguments[name] for name in names])


def test_gru_is_torch_gru():
    reference = nn.GRU(SIZE + 1, SIZE)
    inputs, initial = leaf(STEPS, BATCH, SIZE + 1), leaf(1, BATCH, SIZE)
    expected, _ = reference(inputs, initial)
    projected = (inputs @ reference.weight_ih_l0.T + reference.bias_ih_l0).unsqueeze(1)
    states = gru(projected, initial, reference.weight_hh_l0[None], reference.bias_hh_l0[None]).squeeze(1)
    torch.testing.assert_close(states, expected)
    leaves = [inputs, initial, *reference.parameters()]
    weights = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((states * weights).sum(), leaves),
        torch.autograd.grad((expected * weights).sum(), leaves),
    )


def test_gru_with_a_mask_passes_finite_differences_and_keeps_its_state():
    mask = torch.tensor([[1, 1, 1], [1, 1, 1], [1, 0, 1], [1, 0, 0]], dtype=torch.bool)
    arguments = [leaf(STEPS, 2, BATCH, 3 * SIZE), leaf(2, BATCH, SIZE), leaf(2, 3 * SIZE, SIZE), leaf(2, 3 * SIZE)]
    assert torch.autograd.gradcheck(lambda *given: gru(*given, mask), arguments)
    states = gru(*arguments, mask)
    assert (states[3, :, 1] == states[1, :, 1]).all()
    assert (states[3, :, 0] != states[2, :, 0]).all()
