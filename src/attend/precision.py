"""Mixed precision: hand-written functions under it, and whether a CPU is made for it."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attend.fast import gains, multiply, onednn_linear

HALVES = (torch.bfloat16, torch.float16)
# From this `bf16_speed` on training gains: the rest of it does not get faster, and changing types takes time.
WORTH_IT = 1.2


def full(values: Tensor) -> Tensor:
    """The values in float32 at least: what is summed, scored or measured in pixels is past half precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def recur(layers: nn.LSTM, *arguments: Any) -> Any:
    """What torch's LSTM gives: in float32 on a CPU that has no instructions for bfloat16, where oneDNN has no other."""
    onednn = next(layers.parameters()).device.type == "cpu" and torch.backends.mkldnn.is_available()
    missing = onednn and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    with torch.autocast("cpu", enabled=False) if missing else nullcontext():
        return layers(*arguments)


def by_hand(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """Apply a function to the type that its large products may have, and then to `arguments`, in float32 at least.

    Autocast knows nothing of a hand-written backward pass, nor of products that are written into a given place: it is
    off in there. The function itself takes those products in autocast's type, or in the arguments' where that is off.
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
        # Two passes: torch takes three times as long for one that adds two types.
        return torch.add(addend, torch.matmul(left.to(right.dtype), right).to(addend.dtype), out=out)
    if gains(left, right.shape[-1]):
        if addend.ndim == 1 and out is None:
            return onednn_linear(left, right.mT, addend)
        return torch.add(addend, multiply(left, right), out=out)
    return (torch.addmm if right.ndim == 2 else torch.baddbmm)(addend, left, right, out=out)


def product(
    left: Float[Tensor, "*batch rows inner"], right: Float[Tensor, "*batch inner columns"], dtype: torch.dtype
) -> Float[Tensor, "*batch rows columns"]:
    """left right, taken in `dtype` and returned in `left`'s type."""
    return multiply(left.to(dtype), right.to(dtype)).to(left.dtype)


def bf16_speed(size: int = 512, tries: int = 20) -> float:
    """How many times faster than in float32 this CPU takes a matrix product in bf16, on one thread.

    About two where it has instructions for that (AVX-512 BF16, AMX), a third where it has none.
    """
    wide = torch.randn(size, size, generator=torch.Generator())
    narrow = wide.bfloat16()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # In turns, and the least of many: whatever else runs here only ever adds to a time.
    pairs = [(timed(lambda: multiply(wide, wide)), timed(lambda: narrow @ narrow)) for _ in range(tries)]
    torch.set_num_threads(threads)
    in_float32, in_bf16 = (min(seconds) for seconds in zip(*pairs, strict=True))
    return in_float32 / in_bf16


def timed(function: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin
