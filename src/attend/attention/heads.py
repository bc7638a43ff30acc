"""A step of the heads of a memory (Graves, Wayne & Danihelka, 2014, section 3), with its gradient written out.

The step is made of some fifty operations on small tensors, which cost more to keep account of than to compute: as one
function with a gradient of its own it takes half the time.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from attend.attention import addressing
from attend.attention.addressing import EPSILON

SHIFTS = 3
"""Shifts of a head: back by one, none, on by one."""
LIMIT = 20.0
"""Largest parameter of a head before it is squashed."""


class Parameters(NamedTuple):
    """What moves the heads, read heads first, and what the write heads write."""

    key: Float[Tensor, "batch head size"]
    add: Float[Tensor, "batch writer size"]
    gate: Float[Tensor, "batch head 1"]
    erase: Float[Tensor, "batch writer size"]
    strength: Float[Tensor, "batch head 1"]
    power: Float[Tensor, "batch head 1"]
    shifts: Float[Tensor, "batch head shift"]


class Stages(NamedTuple):
    """The weights after each stage of addressing; those of the last are the heads'."""

    content: Float[Tensor, "batch head slot"]
    interpolated: Float[Tensor, "batch head slot"]
    shifted: Float[Tensor, "batch head slot"]
    sharpened: Float[Tensor, "batch head slot"]


def sizes(readers: int, writers: int, size: int) -> tuple[int, ...]:
    """How many numbers of a controller's output each of `Parameters` takes: those squashed alike are neighbours."""
    heads = readers + writers
    return heads * size, writers * size, heads, writers * size, heads, heads, heads * SHIFTS


def parameters(raw: Float[Tensor, "batch number"], readers: int, writers: int, size: int) -> Parameters:
    """What a controller says, limited to [-20, 20] and squashed into each parameter's range."""
    parts = raw.clamp(-LIMIT, LIMIT).split(sizes(readers, writers, size), 1)
    heads = readers + writers
    counts = (heads, writers, heads, writers, heads, heads, heads)
    key, add, gate, erase, strength, power, shifts = (
        part.view(len(raw), count, -1) for part, count in zip(parts, counts, strict=True)
    )
    return Parameters(
        key.tanh(),
        add.tanh(),
        gate.sigmoid(),
        erase.sigmoid(),
        F.softplus(strength),
        1 + F.softplus(power),
        shifts.softmax(-1),
    )


def address(
    of: Parameters, previous: Float[Tensor, "batch head slot"], memory: Float[Tensor, "batch slot size"]
) -> Stages:
    """Where each head goes."""
    content = addressing.by_content(of.key, of.strength, memory)
    interpolated = addressing.interpolate(content, previous, of.gate)
    shifted = addressing.shift(interpolated, of.shifts)
    return Stages(content, interpolated, shifted, addressing.sharpen(shifted, of.power))


def move(
    raw: Float[Tensor, "batch number"],
    weights: Float[Tensor, "batch head slot"],
    memory: Float[Tensor, "batch slot size"],
    readers: int,
) -> tuple[Float[Tensor, "batch head slot"], Float[Tensor, "batch slot size"], Float[Tensor, "batch reader size"]]:
    """The heads' new weights, the memory after the write heads wrote, and what the read heads then read of it.

    `raw` is what the controller says, `weights` are those of the step before; the first `readers` heads read.
    """
    with torch.autocast(raw.device.type, enabled=False):
        return _Move.apply(raw, weights, memory, readers)  # type: ignore[no-any-return]


class _Move(torch.autograd.Function):
    """`parameters`, `address`, `write` and `read`, equation for equation, in as few operations as were found."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, previous: Tensor, memory: Tensor, readers: int) -> tuple[Tensor, Tensor, Tensor]:
        (batch, heads, _), size = previous.shape, memory.shape[2]
        writers, split = heads - readers, sizes(readers, heads - readers, size)
        limited = raw.clamp(-LIMIT, LIMIT)
        squashed, gates, positive, shifts = limited.split(
            (sum(split[:2]), sum(split[2:4]), sum(split[4:6]), split[6]), 1
        )
        tanh, sigmoid, softplus = squashed.tanh(), gates.sigmoid(), F.softplus(positive)
        key, add = tanh[:, : split[0]].view(batch, heads, size), tanh[:, split[0] :].view(batch, writers, size)
        gate, erase = sigmoid[:, :heads].view(batch, heads, 1), sigmoid[:, heads:].view(batch, writers, size)
        strength = softplus[:, :heads].view(batch, heads, 1)
        power = softplus[:, heads:].view(batch, heads, 1) + 1
        kernel = shifts.view(batch, heads, 1, SHIFTS).softmax(3)  # back by one, none, on by one
        of_key = (key.square().sum(2, keepdim=True) + EPSILON).rsqrt()
        of_slot = (memory.square().sum(2).unsqueeze(1) + EPSILON).rsqrt()
        cosine = (key @ memory.mT).mul_(of_key).mul_(of_slot)
        content = (strength * cosine).softmax(2)
        interpolated = previous.lerp(content, gate)
        shifted = (kernel.flip(3) @ around(interpolated)).squeeze(2)
        logarithm = (shifted + EPSILON).log()
        weights = (power * logarithm).softmax(2)
        reading, writing = weights.split((readers, writers), 1)
        kept = 1 - writing.unsqueeze(3) * erase.unsqueeze(2)
        after = torch.baddbmm(memory * (kept.squeeze(1) if writers == 1 else kept.prod(1)), writing.mT, add)
        ctx.save_for_backward(raw, previous, memory, tanh, sigmoid, positive, strength, power, kernel, of_key, of_slot,
            cosine, content, interpolated, shifted, logarithm, weights, kept, after)  # fmt: skip
        ctx.readers = readers
        return weights, after, reading @ after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        d_weights, d_after, d_read = grad_outputs
        raw, previous, memory, tanh, sigmoid, positive, strength, power, kernel, of_key, of_slot, *more = (
            ctx.saved_tensors
        )
        cosine, content, interpolated, shifted, logarithm, weights, kept, after = more
        (batch, heads, _), (writers, size) = previous.shape, kept.shape[1::2]
        key, add = tanh[:, : heads * size].view(batch, heads, size), tanh[:, heads * size :].view(batch, -1, size)
        gate, erase = sigmoid[:, :heads].view(batch, heads, 1), sigmoid[:, heads:].view(batch, writers, size)
        reading, writing = weights.split((ctx.readers, writers), 1)
        # The read, the additions, and the erasures: (M times the product of all 1 - w e) + w a.
        d_after = torch.baddbmm(d_after, reading.mT, d_read)
        d_add = writing @ d_after
        d_kept = (d_after * memory).unsqueeze(1)
        if writers == 1:
            d_memory = d_after * kept.squeeze(1)
        else:
            d_memory, d_kept = d_after * kept.prod(1), d_kept * others(kept)
        d_erase = -(writing.unsqueeze(2) @ d_kept).squeeze(2)
        d_writing = (add @ d_after.mT).sub_((d_kept @ erase.unsqueeze(3)).squeeze(3))
        d_weights = torch.cat([d_read @ after.mT, d_writing], 1).add_(d_weights)
        # Sharpening: a softmax of the power times the logarithm.
        d_scores = of_softmax(weights, d_weights, 2)
        d_power = (d_scores * logarithm).sum(2)
        d_shifted = (power * d_scores).div_(shifted + EPSILON)
        # The shift, and for what came from where the shift back.
        d_kernel = (d_shifted.unsqueeze(2) @ around(interpolated).mT).flip(3)
        d_interpolated = (kernel @ around(d_shifted)).squeeze(2)
        # The gate.
        d_gate = (d_interpolated * (content - previous)).sum(2)
        d_content = d_interpolated * gate
        # Content: a softmax of the strength times the cosine.
        d_scores = of_softmax(content, d_content, 2)
        d_strength = (d_scores * cosine).sum(2)
        d_cosine = strength * d_scores
        along = d_cosine * cosine
        d_dots = d_cosine.mul_(of_key).mul_(of_slot)
        d_key = (d_dots @ memory).addcmul_(key, along.sum(2, keepdim=True) * of_key.square(), value=-1)
        of_memory = along.sum(1).unsqueeze(2) * of_slot.mT.square()
        d_memory = d_memory.baddbmm_(d_dots.mT, key).addcmul_(memory, of_memory, value=-1)
        aten = torch.ops.aten
        d_raw = torch.cat(
            [
                aten.tanh_backward(torch.cat([d_key.flatten(1), d_add.flatten(1)], 1), tanh),
                aten.sigmoid_backward(torch.cat([d_gate, d_erase.flatten(1)], 1), sigmoid),
                aten.softplus_backward(torch.cat([d_strength, d_power], 1), positive, 1, LIMIT),
                of_softmax(kernel, d_kernel, 3).flatten(1),
            ],
            1,
        )
        return aten.hardtanh_backward(d_raw, raw, -LIMIT, LIMIT), d_interpolated - d_content, d_memory, None


def around(weights: Float[Tensor, "batch head slot"]) -> Float[Tensor, "batch head 3 slot"]:
    """For each slot the weights before it, of it and after it, around the end."""
    last, first = weights[:, :, -1:], weights[:, :, :1]
    return torch.cat([last, weights, first], 2).unfold(2, weights.shape[2], 1)


def of_softmax(values: Tensor, gradient: Tensor, axis: int) -> Tensor:
    """The gradient of a softmax's scores, from that of its values."""
    return torch.ops.aten._softmax_backward_data(gradient, values, axis, values.dtype)


def others(factors: Float[Tensor, "batch factor *rest"]) -> Float[Tensor, "batch factor *rest"]:
    """For each factor the product of all others."""
    every = range(factors.shape[1])
    return torch.stack([factors[:, [other for other in every if other != one]].prod(1) for one in every], 1)
