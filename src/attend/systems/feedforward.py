"""Feed-forward networks that see the whole image at once: baselines for glimpses.

Mnih, Heess, Graves & Kavukcuoglu, 2014 (arXiv 1406.6247), section 4.1, compare RAM with a fully connected network with
two hidden layers of 256 (`System`) and a convolutional one (`Convolutional`). Neither chooses where to look: an object
must be learnt at every position, or position be pooled away.

Deviations from the paper:

- The convolution's sizes are ours, so that it has about as many parameters as RAM on the same images.
- Adam instead of momentum SGD.
- Images of another size are first average-pooled to the network's.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from attend.contract import Answers, Batch, Loss
from attend.fast import Linear
from attend.settings import check_config


@dataclass(frozen=True)
class Config:
    """The fully connected network, for images of 28 x 28."""

    rows: int = 28
    """Rows and columns of the images that it sees."""
    hidden: int = 256
    """Size of each of the two hidden layers."""

    def __post_init__(self) -> None:
        check_config(self)


@dataclass(frozen=True)
class ConvolutionalConfig:
    """The convolutional network, for images of 28 x 28."""

    rows: int = 28
    """Rows and columns of the images that it sees."""
    filters: int = 16
    """Filters of the convolution."""
    size: int = 8
    """Rows and columns of a filter, in pixels."""
    stride: int = 3
    """Stride of the convolution, in pixels."""
    hidden: int = 256
    """Size of the hidden layer after it."""

    def __post_init__(self) -> None:
        check_config(self)
        if self.size > self.rows:
            raise ValueError(f"size ({self.size}) must not be above rows ({self.rows}): a filter must fit the image")


class System(nn.Module):
    """See the module. Images may be of any size."""

    def __init__(self, config: Config, image_channels: int, target_classes: int) -> None:
        super().__init__()
        self.rows = config.rows
        self.first = Linear(image_channels * config.rows**2, config.hidden)
        self.second = Linear(config.hidden, config.hidden)
        self.action = Linear(config.hidden, target_classes)

    def scores(self, images: Float[Tensor, "batch channel rows columns"]) -> Float[Tensor, "batch class"]:
        """The scores of the classes."""
        state = F.relu(self.first(brought_to(images, self.rows).flatten(1)))
        return self.action(F.relu(self.second(state)))

    def forward(self, batch: Batch) -> Loss:
        return cross_entropy(self.scores(batch.inputs["image"]), batch.target)

    def answer(self, batch: Batch) -> Answers:
        """The answer, after one step and without a look."""
        return Answers(self.scores(batch.inputs["image"]).unsqueeze(1))


class Convolutional(nn.Module):
    """See the module. Images may be of any size."""

    def __init__(self, config: ConvolutionalConfig, image_channels: int, target_classes: int) -> None:
        super().__init__()
        self.rows = config.rows
        self.filters = nn.Conv2d(image_channels, config.filters, config.size, config.stride)
        places = (config.rows - config.size) // config.stride + 1
        self.hidden = Linear(config.filters * places**2, config.hidden)
        self.action = Linear(config.hidden, target_classes)

    def scores(self, images: Float[Tensor, "batch channel rows columns"]) -> Float[Tensor, "batch class"]:
        """The scores of the classes."""
        maps = F.relu(self.filters(brought_to(images, self.rows)))
        return self.action(F.relu(self.hidden(maps.flatten(1))))

    def forward(self, batch: Batch) -> Loss:
        return cross_entropy(self.scores(batch.inputs["image"]), batch.target)

    def answer(self, batch: Batch) -> Answers:
        """The answer, after one step and without a look."""
        return Answers(self.scores(batch.inputs["image"]).unsqueeze(1))


def brought_to(
    images: Float[Tensor, "batch channel rows columns"], rows: int
) -> Float[Tensor, "batch channel size size"]:
    """Images average-pooled to rows x rows pixels."""
    return F.adaptive_avg_pool2d(images, rows)


def cross_entropy(scores: Float[Tensor, "batch class"], label: Int[Tensor, "batch"]) -> Loss:
    nll = F.cross_entropy(scores, label, reduction="sum")
    error = (scores.argmax(-1) != label).to(torch.float32).sum()
    return Loss(nll, len(label), {"nll": nll.detach(), "error": error})
