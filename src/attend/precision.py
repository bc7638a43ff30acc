"""Mixed precision: hand-written functions under autocast, and whether a CPU is fast in bf16."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from attend.fast import gains, multiply, onednn_linear

HALVES = (torch.bfloat16, torch.float16)
# The least `bf16_speed` at which training gets faster: casts cost time, and only matrix products gain.
WORTH_IT = 1.2


def full(values: Tensor) -> Tensor:
    """The values in float32 at least: half precision is too coarse for sums, scores and pixel coordinates."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def recur(layers: nn.LSTM, *arguments: Any) -> Any:
    """torch's LSTM, in float32 on a CPU without bfloat16 instructions, where oneDNN has no bfloat16 LSTM."""
    onednn = next(layers.parameters()).device.type == "cpu" and torch.backends.mkldnn.is_available()
    missing = onednn and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    with torch.autocast("cpu", enabled=False) if missing else nullcontext():
        return layers(*arguments)


def by_hand(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """Apply a function to the type for its large products, followed by `arguments`, in float32 at least.

    Autocast does not handle hand-written backward passes, nor products with `out=`: it is disabled inside. The function
    itself computes those products in autocast's type, or in the arguments' where autocast is off.
    """
    first: Tensor = arguments[0]
    device = first.device.type
    wide = [part.float() if isinstance(part, Tensor) and part.dtype in HALVES else part for part in arguments]
    products = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else wide[0].dtype
    with torch.autocast(device, enabled=False):
        return function.apply(products, *wide)


def plus_product(
    addend: Float[Tensor, "..."],
    left: Float[Tensor, "*batch rows inner"],
    right: Float[Tensor, "*batch inner columns"],
    out: Tensor | None = None,
) -> Float[Tensor, "*batch rows columns"]:
    """addend + left right, into `out` if given: the product in `right`'s type, the sum in `addend`'s."""
    if right.dtype != addend.dtype:
        # Two passes: torch takes three times as long for one pass with mixed types.
        return torch.add(addend, torch.matmul(left.to(right.dtype), right).to(addend.dtype), out=out)
    if gains(left, right.shape[-1]):
        if addend.ndim == 1 and out is None:
            return onednn_linear(left, right.mT, addend)
        return torch.add(addend, multiply(left, right), out=out)
    return (torch.addmm if right.ndim == 2 else torch.baddbmm)(addend, left, right, out=out)


def product(
    left: Float[Tensor, "*batch rows inner"], right: Float[Tensor, "*batch inner columns"], dtype: torch.dtype
) -> Float[Tensor, "*batch rows columns"]:
    """left right, computed in `dtype` and returned in `left`'s type."""
    return multiply(left.to(dtype), right.to(dtype)).to(left.dtype)


def bf16_speed(size: int = 512, tries: int = 20) -> float:
    """How many times faster than in float32 a matrix product in bf16 is on this CPU, on one thread.

    About 2 with instructions for it (AVX-512 BF16, AMX), about 1/3 without.
    """
    wide = torch.randn(size, size, generator=torch.Generator())
    narrow = wide.bfloat16()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # Alternating, and the minimum of many: other load only ever adds to a time.
    pairs = [(timed(lambda: multiply(wide, wide)), timed(lambda: narrow @ narrow)) for _ in range(tries)]
    torch.set_num_threads(threads)
    in_float32, in_bf16 = (min(seconds) for seconds in zip(*pairs, strict=True))
    return in_float32 / in_bf16


def onednn_speed(size: int = 768, tries: int = 10) -> float | None:
    """How many times as fast as MKL, torch's own choice, oneDNN takes a large product in float32 here, on one thread.

    None where torch has not both.
    """
    if not (torch.backends.mkl.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return None
    wide = torch.randn(size, size, generator=torch.Generator())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # Alternating, and the minimum of several, as above.
    pairs = [(timed(lambda: F.linear(wide, wide)), timed(lambda: onednn_linear(wide, wide))) for _ in range(tries)]
    torch.set_num_threads(threads)
    by_mkl, by_onednn = (min(seconds) for seconds in zip(*pairs, strict=True))
    return by_mkl / by_onednn


def timed(function: Callable[[], object]) -> float:
    """The seconds a call takes."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin
