"""Recurrences with hand-written backward passes: autograd's gradients, in fewer and larger products.

Autograd computes a weight's gradient at every step: a thin product and an addition. Here the backward loop contains
only the recurrence; the weights' gradients are one large product after it. Callers compute whatever does not depend on
the previous state (input and key projections, readout) outside. Sequences are time-major: step first.

Gates follow torch's GRU, in its order reset, update, new:

    r, z = sigmoid(x_rz + U_rz h + b_rz),  n = tanh(x_n + r (U_n h + b_n)),  h' = n + z (h - n)
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from attend.fast import tanh_
from attend.precision import by_hand, plus_product, product

# With `out=`.
_tanh_backward = torch.ops.aten.tanh_backward.grad_input
_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input


class Gates(NamedTuple):
    """What a step of a gated recurrent unit saves for its backward pass."""

    reset_update: Float[Tensor, "*batch two_hidden"]
    new: Float[Tensor, "*batch hidden"]
    recurrent_new: Float[Tensor, "*batch hidden"]


def gru_step(
    inputs: Float[Tensor, "*batch three_hidden"],
    recurrent: Float[Tensor, "*batch three_hidden"],
    state: Float[Tensor, "*batch hidden"],
) -> tuple[Float[Tensor, "*batch hidden"], Gates]:
    """One step from the two projections, W x + b and U h + b. The second is overwritten with the gates."""
    size = state.shape[-1]
    reset_update = recurrent[..., : 2 * size].add_(inputs[..., : 2 * size]).sigmoid_()
    reset, update = reset_update[..., :size], reset_update[..., size:]
    recurrent_new = recurrent[..., 2 * size :]
    new = tanh_(torch.addcmul(inputs[..., 2 * size :], reset, recurrent_new))
    return torch.lerp(new.to(state.dtype), state, update.to(state.dtype)), Gates(reset_update, new, recurrent_new)


def _gru_step_backward(
    grad: Tensor, gates: Gates, state: Tensor, grad_inputs: Tensor, grad_recurrent: Tensor
) -> Float[Tensor, "*batch hidden"]:
    """Fill in the gradients of both projections; return the part of the state's gradient that bypasses them."""
    size = state.shape[-1]
    reset_update, new, recurrent_new = gates
    through = grad * reset_update[..., size:]
    grad_new = grad_inputs[..., 2 * size :]
    _tanh_backward(grad - through, new, grad_input=grad_new)
    grad_gates = grad_inputs[..., : 2 * size]
    torch.mul(grad_new, recurrent_new, out=grad_gates[..., :size])
    torch.mul(grad, state - new, out=grad_gates[..., size:])
    _sigmoid_backward(grad_gates, reset_update, grad_input=grad_gates)
    grad_recurrent[..., : 2 * size] = grad_gates
    torch.mul(grad_new, reset_update[..., :size], out=grad_recurrent[..., 2 * size :])
    return through


class _GRU(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        products: torch.dtype,
        inputs: Tensor,
        initial: Tensor,
        weight: Tensor,
        bias: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        steps, directions, batch, _ = inputs.shape
        size = initial.shape[-1]
        states = inputs.new_empty(steps + 1, directions, batch, size)
        states[0] = initial
        transposed = weight.mT.to(products).contiguous()
        bias = bias.unsqueeze(1)
        trail = []
        for step in range(steps):
            state = states[step]
            recurrent = plus_product(bias, state, transposed)
            new_state, gates = gru_step(inputs[step], recurrent, state)
            if mask is not None:
                new_state = torch.where(mask[step], new_state, state)
            states[step + 1] = new_state
            trail.append(gates)
        ctx.save_for_backward(states, weight, *([] if mask is None else [mask]))
        ctx.trail, ctx.products = trail, products
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (grad_states,) = grad_outputs
        states, weight, *rest = ctx.saved_tensors
        mask = rest[0] if rest else None
        steps, directions, batch, size = grad_states.shape
        grad_inputs = states.new_empty(steps, directions, batch, 3 * size)
        grad_recurrent = torch.empty_like(grad_inputs)
        grad = torch.zeros_like(states[0])
        weight = weight.to(ctx.products)
        for step in reversed(range(steps)):
            grad = grad + grad_states[step]
            kept = None
            if mask is not None:
                kept = grad.masked_fill(mask[step], 0.0)
                grad = grad - kept
            through = _gru_step_backward(grad, ctx.trail[step], states[step], grad_inputs[step], grad_recurrent[step])
            grad = plus_product(through, grad_recurrent[step], weight)
            if kept is not None:
                grad = grad + kept
        by_direction = grad_recurrent.transpose(0, 1).reshape(directions, steps * batch, 3 * size)
        before = states[:-1].transpose(0, 1).reshape(directions, steps * batch, size)
        grad_weight = product(by_direction.mT, before, ctx.products)
        return None, grad_inputs, grad, grad_weight, by_direction.sum(1), None


def gru(
    inputs: Float[Tensor, "step direction batch three_hidden"],
    initial: Float[Tensor, "direction batch hidden"],
    weight: Float[Tensor, "direction three_hidden hidden"],
    bias: Float[Tensor, "direction three_hidden"],
    mask: Bool[Tensor, "step batch"] | None = None,
) -> Float[Tensor, "step direction batch hidden"]:
    """The states of one or two independent GRUs, in parallel; where `mask` is False the state is copied."""
    return by_hand(_GRU, inputs, initial, weight, bias, None if mask is None else mask[:, None, :, None])


class _ConditionalGRU(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        products: torch.dtype,
        inputs: Tensor,
        initial: Tensor,
        weight1: Tensor,
        bias1: Tensor,
        weight2: Tensor,
        bias2: Tensor,
        query: Tensor | None,
        energy: Tensor | None,
        keys: Tensor | None,
        projected: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        steps, batch, _ = inputs.shape
        size, cells = initial.shape[-1], projected.shape[1]
        states = inputs.new_empty(steps + 1, batch, size)
        middles = inputs.new_empty(steps, batch, size)
        states[0] = initial
        transposed1 = weight1.mT.to(products).contiguous()
        if query is not None and energy is not None and keys is not None:
            # tanh(x) is 2 sigmoid(2 x) - 1, and softmax is invariant to a constant: use 2 sigmoid(2 x). Folded in here,
            # the factors are free; applied to the largest array, they would cost two passes a step.
            twice_keys, twice_energy = 2 * keys, 2 * energy
            # The query and the second unit's recurrent projection have the same input: one product gives both.
            both = torch.cat([weight2, 2 * query]).mT.to(products).contiguous()
            bias_both = torch.cat([bias2, bias2.new_zeros(len(query))])
            padding, weights = weights, inputs.new_empty(steps, batch, cells)
            hidden = inputs.new_empty(steps, batch, cells, len(query))
        else:
            both, bias_both, padding, hidden = weight2.mT.to(products).contiguous(), bias2, None, None
            twice_keys = twice_energy = None
            weights = weights.expand(steps, batch, cells)
        trail = []
        for step in range(steps):
            recurrent1 = plus_product(bias1, states[step], transposed1)
            middle, gates1 = gru_step(inputs[step], recurrent1, states[step])
            middles[step] = middle
            recurrent2 = plus_product(bias_both, middle, both)
            if hidden is not None and twice_keys is not None and twice_energy is not None and padding is not None:
                torch.add(twice_keys, recurrent2[:, None, 3 * size :], out=hidden[step]).sigmoid_()
                scores = torch.addmv(padding.view(-1), hidden[step].view(batch * cells, -1), twice_energy)
                torch.softmax(scores.view(batch, cells), dim=-1, out=weights[step])
            read = torch.bmm(weights[step].unsqueeze(1), projected).squeeze(1)
            states[step + 1], gates2 = gru_step(read, recurrent2[:, : 3 * size], middle)
            trail.append((gates1, gates2))
        ctx.save_for_backward(states, middles, weights, projected, weight1, weight2, query, energy, hidden)
        ctx.trail, ctx.products = trail, products
        ctx.mark_non_differentiable(*([] if hidden is not None else [weights]))
        return states[1:], weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        grad_states, grad_weights = grad_outputs
        states, middles, weights, projected, weight1, weight2, query, energy, hidden = ctx.saved_tensors
        steps, batch, size = grad_states.shape
        attending = hidden is not None
        grad_inputs1 = states.new_empty(steps, batch, 3 * size)
        grad_recurrent1 = torch.empty_like(grad_inputs1)
        grad_inputs2 = torch.empty_like(grad_inputs1)
        columns = 3 * size + (len(query) if attending else 0)
        grad_recurrent2 = states.new_empty(steps, batch, columns)
        both = (torch.cat([weight2, query]) if attending else weight2).to(ctx.products)
        factor = 4 * energy if attending else weights.new_zeros(())  # d 2 sigmoid(2 x) / d x = 4 sigmoid (1 - sigmoid)
        weight1 = weight1.to(ctx.products)
        grad_scores = torch.empty_like(weights)
        grad_keys = torch.zeros_like(hidden[0]) if attending else grad_scores.new_zeros(())
        grad_hidden = torch.empty_like(grad_keys)
        grad = torch.zeros_like(states[0])
        for step in reversed(range(steps)):
            grad = grad + grad_states[step]
            gates1, gates2 = ctx.trail[step]
            through = _gru_step_backward(
                grad, gates2, middles[step], grad_inputs2[step], grad_recurrent2[step, :, : 3 * size]
            )
            if attending:
                # As a row times a matrix: torch takes over ten times as long for a matrix times a column.
                grad_weight = torch.baddbmm(
                    grad_weights[step].unsqueeze(1), grad_inputs2[step].unsqueeze(1), projected.mT
                ).squeeze(1)
                mean = (weights[step] * grad_weight).sum(-1, keepdim=True)
                torch.mul(weights[step], grad_weight - mean, out=grad_scores[step])
                # The gradient before the sigmoid, without a factor common to all cells and steps.
                before_factor = grad_scores[step].unsqueeze(-1).expand_as(grad_hidden)
                _sigmoid_backward(before_factor, hidden[step], grad_input=grad_hidden)
                grad_keys += grad_hidden
                torch.mul(grad_hidden.sum(1), factor, out=grad_recurrent2[step, :, 3 * size :])
            grad = plus_product(through, grad_recurrent2[step], both)
            through = _gru_step_backward(grad, gates1, states[step], grad_inputs1[step], grad_recurrent1[step])
            grad = plus_product(through, grad_recurrent1[step], weight1)
        flat1 = grad_recurrent1.view(steps * batch, 3 * size)
        flat2 = grad_recurrent2.view(steps * batch, columns)
        grad_both = product(flat2.mT, middles.view(steps * batch, size), ctx.products)
        grad_projected = torch.bmm(weights.permute(1, 2, 0), grad_inputs2.transpose(0, 1))
        grad_query = grad_energy = None
        if attending:
            grad_query = grad_both[3 * size :]
            # The gradients of a look's scores sum to zero: here too the -1 of the tanh cancels.
            grad_energy = 2 * (hidden.view(-1, hidden.shape[-1]).mT @ grad_scores.view(-1))
            grad_keys = grad_keys * factor
        return (
            None,
            grad_inputs1,
            grad,
            product(flat1.mT, states[:-1].reshape(steps * batch, size), ctx.products),
            flat1.sum(0),
            grad_both[: 3 * size],
            flat2[:, : 3 * size].sum(0),
            grad_query,
            grad_energy,
            grad_keys if attending else None,
            grad_projected,
            None,
        )


def conditional_gru(
    inputs: Float[Tensor, "step batch three_hidden"],
    initial: Float[Tensor, "batch hidden"],
    unit1: tuple[Float[Tensor, "three_hidden hidden"], Float[Tensor, "three_hidden"]],
    unit2: tuple[Float[Tensor, "three_hidden hidden"], Float[Tensor, "three_hidden"]],
    query: Float[Tensor, "size hidden"],
    energy: Float[Tensor, "size"],
    keys: Float[Tensor, "batch memory size"],
    projected: Float[Tensor, "batch memory three_hidden"],
    mask: Bool[Tensor, "batch memory"],
) -> tuple[Float[Tensor, "step batch hidden"], Float[Tensor, "step batch memory"]]:
    """The conditional GRU with additive attention: all its states, and the weights of all its looks.

    Each step is GRU 1 over the input, a look with its state as the query, and GRU 2 over the context. `projected` is
    the memory's values times GRU 2's input matrix (plus its bias): a read of projections is the projection of the read,
    and they can be prepared once. `unit1` and `unit2` are the recurrent weights and biases.
    """
    padding = torch.zeros(mask.shape, device=inputs.device, dtype=initial.dtype).masked_fill(~mask, -torch.inf)
    return by_hand(_ConditionalGRU, inputs, initial, *unit1, *unit2, query, energy, keys, projected, padding)


def fixed_read_gru(
    inputs: Float[Tensor, "step batch three_hidden"],
    initial: Float[Tensor, "batch hidden"],
    unit1: tuple[Float[Tensor, "three_hidden hidden"], Float[Tensor, "three_hidden"]],
    unit2: tuple[Float[Tensor, "three_hidden hidden"], Float[Tensor, "three_hidden"]],
    projected: Float[Tensor, "batch memory three_hidden"],
    weights: Float[Tensor, "batch memory"],
) -> tuple[Float[Tensor, "step batch hidden"], Float[Tensor, "step batch memory"]]:
    """The conditional GRU with the same given weights at every step: the controls without attention."""
    return by_hand(_ConditionalGRU, inputs, initial, *unit1, *unit2, None, None, None, projected, weights)
