"""How much memory there is, and a refusal of what would need more than that, before it is asked for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# Share of the memory that is free that may be asked for: an estimate is none to the byte.
SHARE = 0.9
# Numbers that fit into any memory.
LARGE = 10**7
MADE_OF_A_SIZE = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had: of the GPU, or of the machine."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if (known := Path("/proc/meminfo")).exists():
        for line in known.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def require(needed: float, device: torch.device, what: str, advice: str) -> None:
    """Raise `ValueError` if `what` needs more bytes than are free."""
    free = free_memory(device)
    if needed > SHARE * free:
        raise ValueError(f"{what} needs about {shown(needed)} of memory, and {shown(free)} are free: {advice}")


def shown(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB"


@contextmanager
def said_when_out(advice: str) -> Iterator[None]:
    """Memory that can't be had inside is a `ValueError` with this advice."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # On a CPU it is a plain RuntimeError.
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error):
            raise ValueError(f"out of memory: {advice}") from error
        raise


def kept_for_backward(system: nn.Module, batch: Any) -> int:
    """Bytes of intermediate results that a forward pass on the batch keeps for the backward pass.

    Nothing else of the system, or of what is random, is changed by that.
    """
    own = {parameter.untyped_storage().data_ptr() for parameter in system.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    before = {name: buffer.clone() for name, buffer in system.named_buffers()}
    with torch.random.fork_rng(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = system(batch)
        del loss
    with torch.no_grad():
        for name, buffer in system.named_buffers():
            buffer.copy_(before[name])
    return sum(kept.values())


class _Counting(TorchFunctionMode):
    """Adds up what is made on the way, and refuses it before it is.

    Of calls in Python: a dispatch mode sees all, but imports torch's compiler first, which takes a second.
    """

    def __init__(self, what: str, advice: str, copies: int) -> None:
        super().__init__()
        self.what, self.advice, self.copies, self.numbers = what, advice, copies, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        if func in MADE_OF_A_SIZE:
            size = named.get("size", args)
            self.numbers += prod(size[0] if size and not isinstance(size[0], int) else size)
            if self.numbers > LARGE:
                require(4 * self.copies * self.numbers, torch.device("cpu"), self.what, self.advice)
        return func(*args, **named)


@contextmanager
def within_memory(what: str, advice: str, copies: int = 1) -> Iterator[None]:
    """Raises `ValueError` before the arrays made inside, each in so many `copies`, need more than is free."""
    with _Counting(what, advice, copies):
        yield
