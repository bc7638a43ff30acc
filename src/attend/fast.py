"""Faster matrix products and tanh on a CPU.

For float32 products torch calls MKL, which on processors other than Intel's uses AVX2, half the width of AVX-512.
oneDNN, torch's library for convolutions, uses AVX-512: on an AMD EPYC of 2024 a product takes half the time. Where
AVX-512 is of half width it gains less: `attend doctor` measures which is faster here. On other processors, and for
products too small to gain, torch's own are used.
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
# The least multiplications at which oneDNN, with a hand-written backward pass, is faster.
GAIN, GAIN_WITH_GRADIENT = 2**20, 2**21


def tanh_(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """tanh of values that are not needed afterwards: in place where no gradient is needed.

    There it is 2 sigmoid(2 x) - 1, with an error of about one unit in 2^24: on some processors torch's tanh is not
    vectorised (0.39 million values: 1.0 ms on an AMD EPYC), but its sigmoid is (0.16 ms).
    """
    if values.requires_grad:
        return torch.tanh(values)
    return values.mul_(2).sigmoid_().mul_(2).sub_(1)


def keep_memory() -> None:
    """Let this process keep freed memory for its next arrays, until it ends (Linux with glibc).

    Otherwise large arrays are returned to the system and come back page by page, each zeroed: every step of a search
    allocates tens of megabytes.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
        libc.mallopt(M_TRIM_THRESHOLD, LARGE)


@cache
def by_onednn() -> bool:
    """Whether to use oneDNN for large products: AVX-512, a processor other than Intel's, and torch with MKL."""
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
    """Whether to use oneDNN for the product of `left` with a matrix of `columns` columns."""
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
        weight = weight.contiguous()  # oneDNN is a thousand times slower for strided matrices
    return torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")


def multiply(
    left: Float[Tensor, "*batch rows inner"], right: Float[Tensor, "*batch inner columns"]
) -> Float[Tensor, "*batch rows columns"]:
    """left right, without a gradient: as `torch.matmul`, for matrices or batches of equal size."""
    if not gains(left, right.shape[-1]):
        return torch.matmul(left, right)
    if left.ndim == 2:
        if not left.is_contiguous() and left.numel() > right.numel():
            return onednn_linear(right.mT, left).mT  # it would copy its first argument: make that the smaller one
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
    """`torch.nn.Linear` with this module's `linear`."""

    def forward(self, input: Float[Tensor, "*batch inner"]) -> Float[Tensor, "*batch columns"]:
        return linear(input, self.weight, self.bias)


def joined(*layers: nn.Linear) -> Callable[..., Float[Tensor, "*batch columns"]]:
    """W x + U h + ... as one product [W U ...] [x; h; ...]: made once, for use at many steps."""
    weight = torch.cat([layer.weight for layer in layers], dim=1)
    bias = torch.stack([layer.bias for layer in layers]).sum(0)
    return lambda *inputs: linear(torch.cat(inputs, dim=-1), weight, bias)
