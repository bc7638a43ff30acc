"""Hand-written functions under mixed precision."""

from typing import Any

import torch
from torch import Tensor


def in_float32(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """Apply a function with its tensors in float32 at least, whatever autocast says.

    Autocast knows nothing of a hand-written backward pass, nor of products that are written into a given place.
    """
    first: Tensor = arguments[0]
    halves = (torch.bfloat16, torch.float16)
    wide = [part.float() if isinstance(part, Tensor) and part.dtype in halves else part for part in arguments]
    with torch.autocast(first.device.type, enabled=False):
        return function.apply(*wide)
