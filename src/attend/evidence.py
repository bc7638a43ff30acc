"""What an output depends on, to hold beside where the model looked.

Attention shows where a model read. Whether the output would have been another without it is another question (Jain &
Wallace 2019; Wiegreffe & Pinter 2019), and these are three ways to ask it: leave a source token out (of a picture:
cover a part of it), follow the gradient back to it, or make the attention another one. All of them know a decoder and
nothing of its kind.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attend import decoding
from attend.contract import Captioned, Decoder, Pairs, Step
from attend.data.corpus import collate

# Sources, or pictures, decoded together, when each has another part left out.
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
    device = device_of(decoder)
    whole = log_probs(decoder, pairs([source], device), 1, target)
    without = []
    shorter = [[*source[:cell], *source[cell + 1 :]] for cell in range(len(source))]
    for first in range(0, len(shorter), TOGETHER):
        stop()
        some = shorter[first : first + TOGETHER]
        without.append(log_probs(decoder, pairs(some, device), len(some), target))
    return (whole - np.concatenate(without)).T


@torch.inference_mode()
def cover_one(
    decoder: Decoder,
    batch: Captioned,
    grid: tuple[int, int],
    target: Sequence[int],
    stop: Callable[[], None] = lambda: None,
) -> Float[np.ndarray, "step memory"]:
    """log p(token | picture) minus log p(token | picture with a cell's part covered), in nats, of each token and cell.

    What covers it is the picture's mean (occlusion: Zeiler & Fergus 2014). `batch` is one picture, or one grid of
    features; `grid` are the rows and columns of its cells.
    """
    whole = log_probs(decoder, batch, 1, target)
    mean = batch.images[0].mean((1, 2), keepdim=True)
    parts, without = areas(batch.images, grid), []
    for first in range(0, len(parts), TOGETHER):
        stop()
        some = parts[first : first + TOGETHER]
        covered = batch.images.repeat(len(some), 1, 1, 1)
        for picture, (rows, columns) in zip(covered, some, strict=True):
            picture[:, rows, columns] = mean
        asked = replace(
            batch,
            images=covered,
            target=batch.target.expand(len(some), -1),
            target_mask=batch.target_mask.expand(len(some), -1),
        )
        without.append(log_probs(decoder, asked, len(some), target))
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
    with torch.inference_mode(False), torch.enable_grad(), embedded(decoder, batch.source) as found:
        steps = list(decoding.teacher_forced(decoder, batch, written))  # type: ignore[arg-type]
        if not found:
            raise ValueError(f"{type(decoder).__name__} does not look its source up in an embedding table")
        return np.stack([part.sum(-1).numpy() for part in owed(steps, found[0], target, stop)])


def gradient_times_picture(
    decoder: nn.Module,
    batch: Captioned,
    grid: tuple[int, int],
    target: Sequence[int],
    stop: Callable[[], None] = lambda: None,
) -> Float[np.ndarray, "step memory"]:
    """The gradient of each token's log-probability by the picture, times the picture, summed over each cell's part.

    `batch` and `grid` are as in `cover_one`. All of it is zero behind a backbone, which lets no gradient through.
    """
    written = torch.tensor([list(target)], device=batch.images.device)
    with torch.inference_mode(False), torch.enable_grad():
        picture = batch.images.clone().requires_grad_()
        steps = list(decoding.teacher_forced(decoder, replace(batch, images=picture), written))  # type: ignore[arg-type]
        pixels = [part.sum(0).numpy() for part in owed(steps, picture, target, stop)]
    return np.stack([[part[area].sum() for area in areas(batch.images, grid)] for part in pixels])


def owed(
    steps: Sequence[Step], leaf: Float[Tensor, "1 ..."], target: Sequence[int], stop: Callable[[], None]
) -> Iterator[Float[Tensor, "..."]]:
    """What each token's log-probability owes to a leaf of the graph, to first order; zero where it does not know it."""
    for step, token in zip(steps, target, strict=True):
        stop()
        log_prob = step.logits[0, 0].float().log_softmax(dim=-1)[token]
        gradient = torch.autograd.grad(log_prob, leaf, retain_graph=True, allow_unused=True)[0]
        part = torch.zeros_like(leaf) if gradient is None else gradient * leaf
        yield part[0].detach().float().cpu()


def areas(images: Float[Tensor, "1 channel rows columns"], grid: tuple[int, int]) -> list[tuple[slice, slice]]:
    """The part of a picture that each cell of a grid stands for, row by row."""
    edges = [
        np.linspace(0, size, count + 1).round().astype(int).tolist()
        for size, count in zip(images.shape[2:], grid, strict=True)
    ]
    down, across = ([slice(*pair) for pair in pairwise(edge)] for edge in edges)
    return [(rows, columns) for rows in down for columns in across]


def permuted(weights: Float[np.ndarray, "step memory"]) -> Float[np.ndarray, "step memory"]:
    """Each row with its weights on other cells, the same at every call."""
    random = np.random.default_rng(PERMUTATION_SEED)
    return random.permuted(weights, axis=1)


def rows_as_looks(weights: Float[np.ndarray, "step memory"]) -> decoding.Looks:
    """These rows as looks to set by hand, of a batch of one example."""
    return [dict(enumerate(weights))]


def log_probs(decoder: Decoder, batch: Any, count: int, target: Sequence[int]) -> Float[np.ndarray, "batch step"]:
    """log p of each token of one target, from each of the batch's `count` inputs."""
    written = torch.tensor([list(target)] * count, device=device_of(decoder))
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
