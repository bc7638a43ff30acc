"""What an output depends on, to hold beside where the model looked.

Attention shows where a model read. Whether the output would have been another without it is another question (Jain &
Wallace 2019; Wiegreffe & Pinter 2019), and these are three ways to ask it: leave a source token out, follow the
gradient back to it, or make the attention another one. All of them know a decoder and nothing of its kind.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attend import decoding
from attend.contract import Decoder, Pairs
from attend.data.corpus import collate

# Sources decoded together, when each has another token left out.
TOGETHER = 64
PERMUTATION_SEED = 1


@torch.inference_mode()
def leave_one_out(
    decoder: Decoder, source: Sequence[int], target: Sequence[int], stop: Callable[[], None] = lambda: None
) -> Float[np.ndarray, "step memory"]:
    """log p(token | source) minus log p(token | source without a cell), in nats, of each target token and source cell.

    `source` and `target` end with END, which is a cell too. `stop` is called now and then, to raise if nobody waits any
    more. Raises `ValueError` for a source of one token: nothing would be left of it.
    """
    if len(source) < 2:
        raise ValueError("a source of one token has none to leave out")
    whole = log_probs(decoder, [source], target)
    without = []
    shorter = [[*source[:cell], *source[cell + 1 :]] for cell in range(len(source))]
    for first in range(0, len(shorter), TOGETHER):
        stop()
        without.append(log_probs(decoder, shorter[first : first + TOGETHER], target))
    return (whole - np.concatenate(without)).T


def gradient_times_input(
    decoder: nn.Module, source: Sequence[int], target: Sequence[int], stop: Callable[[], None] = lambda: None
) -> Float[np.ndarray, "step memory"]:
    """The gradient of each target token's log-probability by each source embedding, times that embedding.

    To first order, what the token's log-probability owes to the embedding (Simonyan et al. 2013; Denil et al. 2014).
    Raises `ValueError` if the decoder looks its source up in no embedding table.
    """
    batch = pairs([source], device_of(decoder))
    written = torch.tensor([list(target)], device=batch.source.device)
    rows = []
    with torch.inference_mode(False), torch.enable_grad(), embedded(decoder, batch.source) as found:
        steps = list(decoding.teacher_forced(decoder, batch, written))  # type: ignore[arg-type]
        if not found:
            raise ValueError(f"{type(decoder).__name__} does not look its source up in an embedding table")
        for number, step in enumerate(steps):
            stop()
            log_prob = step.logits[0, 0].float().log_softmax(dim=-1)[target[number]]
            gradient = torch.autograd.grad(log_prob, found[0], retain_graph=True, allow_unused=True)[0]
            owed = torch.zeros(len(source)) if gradient is None else (gradient * found[0])[0].sum(dim=-1)
            rows.append(owed.detach().float().cpu().numpy())
    return np.stack(rows)


def permuted(weights: Float[np.ndarray, "step memory"]) -> Float[np.ndarray, "step memory"]:
    """Each row with its weights on other cells, the same at every call."""
    random = np.random.default_rng(PERMUTATION_SEED)
    return random.permuted(weights, axis=1)


def rows_as_looks(weights: Float[np.ndarray, "step memory"]) -> decoding.Looks:
    """These rows as looks to set by hand, of a batch of one example."""
    return [dict(enumerate(weights))]


def log_probs(
    decoder: Decoder, sources: Sequence[Sequence[int]], target: Sequence[int]
) -> Float[np.ndarray, "source step"]:
    """log p of each token of one target, from each of several sources."""
    device = device_of(decoder)
    batch = pairs(sources, device)
    written = torch.tensor([list(target)] * len(sources), device=device)
    found = [
        step.logits[:, 0].float().log_softmax(dim=-1)[:, token]
        for token, step in zip(target, decoding.teacher_forced(decoder, batch, written), strict=True)
    ]
    return torch.stack(found, dim=1).cpu().numpy()


def pairs(sources: Sequence[Sequence[int]], device: torch.device) -> Pairs:
    """A batch to decode from, whose target is only a placeholder."""
    batch = collate([np.array(source) for source in sources], [np.array([0])] * len(sources))
    return Pairs(*(part.to(device) for part in vars(batch).values()))


def device_of(decoder: Any) -> torch.device:
    return next(decoder.parameters()).device if isinstance(decoder, nn.Module) else torch.device("cpu")


@contextmanager
def embedded(decoder: nn.Module, source: Int[Tensor, "1 memory"]) -> Iterator[list[Tensor]]:
    """A list that the first embedding of these ids comes into, when the decoder makes it: as a leaf of the graph."""
    found: list[Tensor] = []

    def catch(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if found or not torch.equal(inputs[0], source):
            return None
        found.append(output.detach().requires_grad_())
        return found[0]

    hooks = [module.register_forward_hook(catch) for module in decoder.modules() if isinstance(module, nn.Embedding)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
