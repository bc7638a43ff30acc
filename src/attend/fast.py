"""torch's own arithmetic in less time on a CPU."""

import ctypes
import platform
import sys

import torch
from jaxtyping import Float
from torch import Tensor

# glibc's names for what `keep_memory` sets.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGE = 2**30


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
