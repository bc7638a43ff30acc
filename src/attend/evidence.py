"""What an output depends on, to hold beside where the model looked.

Attention shows where a model read. Whether the output would have been another without it is another question (Jain &
Wallace 2019; Wiegreffe & Pinter 2019), and these are three ways to ask it: leave a cell out (of a picture: cover it),
follow the gradient back to it, or set the attention to something else. They work on batches, whatever the fields are:
an input is a sequence of token ids, whose cells are its tokens, or an image, whose cells are parts of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attend import decoding
from attend.contract import Batch, Cells

# Inputs taken together, when each has another part left out.
TOGETHER = 64
PERMUTATION_SEED = 1

# batch -> log p of each token of the output, [batch step].
LogProbs = Callable[[Batch], Float[Tensor, "batch step"]]


@torch.inference_mode()
def leave_one_out(
    log_probs: LogProbs, batch: Batch, over: str, shape: tuple[int, ...], stop: Callable[[], None] = lambda: None
) -> Float[np.ndarray, "step memory"]:
    """log p(token | input) minus log p(token | input without a cell), in nats, of each step and cell of a field.

    A token is removed; a part of an image is covered with the image's mean (occlusion: Zeiler & Fergus 2014). `batch`
    has one input, and `shape` has the rows and columns of an image's cells. Raises `ValueError` for a sequence of one
    token: nothing would be left of it.
    """
    whole = log_probs(batch)
    value = batch.inputs[over]
    variants = without_token(value) if isinstance(value, Cells) else covered(value, shape)
    found = []
    for first in range(0, len(variants), TOGETHER):
        stop()
        some = variants[first : first + TOGETHER]
        changed = Cells(some, some.new_ones(some.shape[:2], dtype=torch.bool)) if isinstance(value, Cells) else some
        rows = torch.zeros(len(some), dtype=torch.long, device=some.device)
        found.append(log_probs(Batch({**batch.select(rows).inputs, over: changed})))
    return (whole - torch.cat(found)).T.cpu().numpy()


def without_token(value: Cells) -> Int[Tensor, "cell shorter *size"]:
    """The sequence without each of its cells (of a text: tokens, END included)."""
    ids = value.values[0]
    if len(ids) < 2:
        raise ValueError("a sequence of one token has none to leave out")
    every = torch.arange(len(ids), device=ids.device)
    return torch.stack([ids[every != cell] for cell in every])


def covered(
    image: Float[Tensor, "1 channel rows columns"], shape: tuple[int, ...]
) -> Float[Tensor, "cell channel rows columns"]:
    """The image with each of its parts covered."""
    mean = image[0].mean((1, 2), keepdim=True)
    parts = areas(image, shape)
    found = image.repeat(len(parts), 1, 1, 1)
    for one, (rows, columns) in zip(found, parts, strict=True):
        one[:, rows, columns] = mean
    return found


def gradient_times_input(
    system: nn.Module,
    log_probs: LogProbs,
    batch: Batch,
    over: str,
    shape: tuple[int, ...],
    stop: Callable[[], None] = lambda: None,
) -> Float[np.ndarray, "step memory"] | None:
    """The gradient of each token's log-probability by a field's embeddings, or by its image, times these, by cell.

    To first order, what the log-probability is attributed to (Simonyan et al. 2013; Denil et al. 2014). All of it is
    zero behind a backbone, which lets no gradient through. None for a system that looks the ids of a sequence up in no
    embedding table, such as one that reads n-grams alone; of one that reads them too, what comes by way of words.
    """
    value = batch.inputs[over]
    with torch.inference_mode(False), torch.enable_grad():
        if isinstance(value, Cells):
            with embedded(system, value.values) as found:
                each = log_probs(batch)[0]
            if not found:
                return None
            return np.stack([part.flatten(1).sum(1).numpy() for part in attributions(each, found[0], stop)])
        image = value.clone().requires_grad_()
        each = log_probs(replace(batch, inputs={**batch.inputs, over: image}))[0]
        pixels = [part.sum(0).numpy() for part in attributions(each, image, stop)]
    return np.stack([[part[area].sum() for area in areas(value, shape)] for part in pixels])


def attributions(
    log_probs: Float[Tensor, "step"], leaf: Float[Tensor, "1 ..."], stop: Callable[[], None]
) -> Iterator[Float[Tensor, "..."]]:
    """Gradient times input of each step, by a leaf of the graph; zero where a step doesn't depend on it."""
    for log_prob in log_probs:
        stop()
        gradient = torch.autograd.grad(log_prob, leaf, retain_graph=True, allow_unused=True)[0]
        part = torch.zeros_like(leaf) if gradient is None else gradient * leaf
        yield part[0].detach().float().cpu()


def areas(image: Float[Tensor, "1 channel rows columns"], shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """The part of an image that each cell of a grid stands for, row by row."""
    edges = [
        np.linspace(0, size, count + 1).round().astype(int).tolist()
        for size, count in zip(image.shape[2:], shape, strict=True)
    ]
    down, across = ([slice(*pair) for pair in pairwise(edge)] for edge in edges)
    return [(rows, columns) for rows in down for columns in across]


def permuted(weights: Float[np.ndarray, "step memory"]) -> Float[np.ndarray, "step memory"]:
    """Each row with its weights on other cells, the same at every call."""
    random = np.random.default_rng(PERMUTATION_SEED)
    return random.permuted(weights, axis=1)


def rows_as_looks(weights: Float[np.ndarray, "step memory"]) -> decoding.Looks:
    """These rows as weights to set by hand, of a batch of one example."""
    return [dict(enumerate(weights))]


@contextmanager
def embedded(system: nn.Module, ids: Int[Tensor, "1 memory *size"]) -> Iterator[list[Tensor]]:
    """A list that the first embedding of these ids comes into, when the system makes it: as a leaf of the graph.

    Of cells with several numbers that are not all ids, as words with their sentences are, the first is the id.
    """
    found: list[Tensor] = []
    first = ids.flatten(2)[:, :, 0] if ids.ndim > 2 else ids

    def catch(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if found or not (torch.equal(inputs[0], ids) or torch.equal(inputs[0], first)):
            return None
        found.append(output.detach().requires_grad_())
        return found[0]

    hooks = [module.register_forward_hook(catch) for module in system.modules() if isinstance(module, nn.Embedding)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
