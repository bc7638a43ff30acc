"""torch's own arithmetic in less time on a CPU.

Matrix products: torch takes those in float32 from MKL, and on a processor that is not Intel's MKL keeps to AVX2, half
the width of AVX-512. oneDNN, which torch has for its convolutions, uses all of it: on an AMD EPYC of 2024 a product
takes half the time. Elsewhere, and where a product is too small to gain, torch does as it always does.
"""

import ctypes
import platform
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

# glibc's names for what `keep_memory` sets.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGE = 2**30
# From so many multiplications on a product of oneDNN pays, and its backward pass by hand.
GAIN, GAIN_WITH_GRADIENT = 2**20, 2**21


def tanh_(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """tanh of values that nobody needs any more: written over them where no gradient is asked for.

    There it is 2 sigmoid(2 x) - 1, with an error of one unit in 2^24 or so: on processors for which torch's tanh has no
    vector instructions (0.39 million values: 1.0 ms on an AMD EPYC) its sigmoid has them (0.16 ms).
    """
    if values.requires_grad:
        return torch.tanh(values)
    return values.mul_(2).sigmoid_().mul_(2).sub_(1)


def keep_memory() -> None:
    """Let this process keep memory that it has freed for its next arrays, until it ends (Linux with glibc).

    Otherwise arrays of some size go back to the system and come back page by page, each to be cleared: every step of a
    search makes some of tens of megabytes.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
        libc.mallopt(M_TRIM_THRESHOLD, LARGE)


@cache
def by_onednn() -> bool:
    """Whether large products are oneDNN's here: with AVX-512, on a processor not of Intel's, where torch has MKL."""
    processor = Path("/proc/cpuinfo")
    return (
        torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and processor.exists()
        and "GenuineIntel" not in processor.read_text()
    )


def gains(left: Tensor, columns: int, least: int = GAIN) -> bool:
    """Whether the product of this with a matrix of so many columns is to be oneDNN's."""
    return (
        left.numel() * columns >= least
        and left.dtype == torch.float32
        and left.device.type == "cpu"
        and by_onednn()
        and not torch.is_autocast_enabled("cpu")
    )


def onednn_linear(
    inputs: Float[Tensor, "*batch inner"],
    weight: Float[Tensor, "columns inner"],
    bias: Float[Tensor, "columns"] | None = None,
) -> Float[Tensor, "*batch columns"]:
    """inputs weight^T + bias, without a gradient."""
    if not (weight.is_contiguous() or weight.mT.is_contiguous()):
        weight = weight.contiguous()  # oneDNN takes a matrix with gaps too, in a thousand times as long
    return torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")


def multiply(
    left: Float[Tensor, "*batch rows inner"], right: Float[Tensor, "*batch inner columns"]
) -> Float[Tensor, "*batch rows columns"]:
    """left right, without a gradient: as `torch.matmul`, of matrices or of equally many of both."""
    if not gains(left, right.shape[-1]):
        return torch.matmul(left, right)
    if left.ndim == 2:
        if not left.is_contiguous() and left.numel() > right.numel():
            return onednn_linear(right.mT, left).mT  # its first argument it would copy: better the smaller one
        return onednn_linear(left, right.mT)
    return torch.stack([onednn_linear(one, other.mT) for one, other in zip(left, right, strict=True)])


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return onednn_linear(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (grad,) = grad_outputs
        inputs, weight = ctx.saved_tensors
        flat = grad.reshape(-1, len(weight))
        grad_inputs = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_inputs = multiply(flat, weight).view(inputs.shape)
        if ctx.needs_input_grad[1]:
            grad_weight = multiply(flat.mT, inputs.reshape(-1, weight.shape[1]))
        if ctx.needs_input_grad[2]:
            grad_bias = flat.sum(0)
        return grad_inputs, grad_weight, grad_bias


def linear(
    inputs: Float[Tensor, "*batch inner"],
    weight: Float[Tensor, "columns inner"],
    bias: Float[Tensor, "columns"] | None = None,
) -> Float[Tensor, "*batch columns"]:
    """inputs weight^T + bias, as `torch.nn.functional.linear`."""
    learning = torch.is_grad_enabled()
    if not gains(inputs, len(weight), GAIN_WITH_GRADIENT if learning else GAIN):
        return F.linear(inputs, weight, bias)
    return _Linear.apply(inputs, weight, bias) if learning else onednn_linear(inputs, weight, bias)


class Linear(nn.Linear):
    """`torch.nn.Linear` with its product from here."""

    def forward(self, input: Float[Tensor, "*batch inner"]) -> Float[Tensor, "*batch columns"]:
        return linear(input, self.weight, self.bias)


def joined(*layers: nn.Linear) -> Callable[..., Float[Tensor, "*batch columns"]]:
    """W x + U h + ... as one product [W U ...] [x; h; ...]: made once for what is done at many steps."""
    weight = torch.cat([layer.weight for layer in layers], dim=1)
    bias = torch.stack([layer.bias for layer in layers]).sum(0)
    return lambda *inputs: linear(torch.cat(inputs, dim=-1), weight, bias)
