"""Glimpses of an image: foveated crops, and grids of Gaussian filters that read and write.

Places are (x, y) in [-1, 1], as in a `Windows` trace: (-1, -1) is the top left corner of the image, (1, 1) the bottom
right corner and (0, 0) the middle, whatever the image's shape. These are corners, not the centres of the outermost
pixels: the centre of column c (from 0) is at x = (2 c + 1) / columns - 1.

A crop is not differentiable in its place: a system samples the place (`sample_place`) and learns by a score-function
estimator. Filter banks are differentiable in all parameters of their aim.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

# Clamp of the logarithms of a filter bank's variance, stride and intensity: beyond any use, and far from overflow.
LARGEST_LOG = 10.0


class Place(NamedTuple):
    """A sampled place, detached, and its log-probability."""

    where: Float[Tensor, "*batch 2"]
    log_prob: Float[Tensor, "*batch"]


class Views(NamedTuple):
    """Where windows lie in an image, in the units of `attend.attention.trace.Windows`, whose arrays these are."""

    centre: Float[np.ndarray, "step 2"]
    extent: Float[np.ndarray, "step 2"]
    scale: Float[np.ndarray, "step"]


class Pyramid(NamedTuple):
    """Images prepared for glimpses: level k holds the means of every square of 2^k x 2^k pixels.

    A level's first square has only its last pixel in the image, so that level k is 2^k - 1 rows and columns larger
    than the image. Level 0 is the image itself.
    """

    levels: tuple[Float[Tensor, "batch channel _ _"], ...]


class Aim(NamedTuple):
    """The parameters of a grid of Gaussian filters (Gregor et al. 2015, eqs. 21 to 24).

    `centre` is the grid's (x, y), counted in pixels from the centre of the first pixel; `stride` is the distance of two
    filters and `variance` that of each, both in pixels. `intensity` is what a read is multiplied by.
    """

    centre: Float[Tensor, "*batch 2"]
    stride: Float[Tensor, "*batch"]
    variance: Float[Tensor, "*batch"]
    intensity: Float[Tensor, "*batch"]


class FilterBanks(NamedTuple):
    """The filters of a grid, along each of an image's axes: every row sums to one."""

    vertical: Float[Tensor, "*batch count rows"]
    horizontal: Float[Tensor, "*batch count columns"]


def sample_place(mean: Float[Tensor, "*batch 2"], deviation: float, generator: torch.Generator | None = None) -> Place:
    """A place from a Gaussian of this mean and standard deviation in both directions (Mnih et al. 2014, section 3.1).

    The sample is detached; otherwise the gradient of its log-probability would be exactly zero, since it moves with the
    mean. It isn't clamped: a sensor that can't look outside the image clamps its input, but the log-probability is of
    the unclamped sample. Raises `ValueError` if the deviation isn't above 0.

    >>> mean = torch.zeros(2, requires_grad=True)
    >>> place = sample_place(mean, deviation=0.1)
    >>> place.where.requires_grad, place.log_prob.requires_grad
    (False, True)
    """
    if not deviation > 0:
        raise ValueError(f"deviation must be above 0, not {deviation}: without noise, use the mean as the place")
    fixed = mean.detach()
    noise = torch.randn(fixed.shape, generator=generator, dtype=fixed.dtype, device=fixed.device)
    where = fixed + deviation * noise
    return Place(where, place_log_prob(where, mean, deviation))


def place_log_prob(
    where: Float[Tensor, "*batch 2"], mean: Float[Tensor, "*batch 2"], deviation: float
) -> Float[Tensor, "*batch"]:
    """log N(where; mean, deviation^2 I), in nats.

    >>> place_log_prob(torch.zeros(2), torch.zeros(2), deviation=1.0)
    tensor(-1.8379)
    """
    squares = ((where - mean) / deviation).square().sum(dim=-1)
    return -squares / 2 - 2 * math.log(deviation) - math.log(2 * math.pi)


def prepare(images: Float[Tensor, "batch channel rows columns"], scales: int) -> Pyramid:
    """The pyramid for glimpses of this many scales: made once per batch, whatever the number of glimpses.

    Raises `ValueError` if there is no scale.

    >>> [tuple(level.shape) for level in prepare(torch.zeros(1, 1, 28, 28), scales=3).levels]
    [(1, 1, 28, 28), (1, 1, 29, 29), (1, 1, 31, 31)]
    """
    if scales < 1:
        raise ValueError(f"scales must be at least 1, not {scales}")
    levels = [images]
    for scale in range(1, scales):
        half = 2 ** (scale - 1)
        smaller = F.pad(levels[-1], (half, half, half, half))
        smaller = smaller[..., :-half] + smaller[..., half:]
        levels.append((smaller[..., :-half, :] + smaller[..., half:, :]) / 4)
    return Pyramid(tuple(levels))


def look(
    pyramid: Pyramid, where: Float[Tensor, "batch copy 2"], size: int
) -> Float[Tensor, "batch copy scale channel size size"]:
    """Square patches of an image around places, each scale twice as wide as the one before and size x size in all.

    A patch of scale k is centred at its place and covers size * 2^k pixels each way. Each of its cells is the mean of
    the image over the cell's area (pixels as squares of constant brightness), with zero outside the image (the retina
    of Mnih et al. 2014, section 3.1). `copy` indexes several places in one image, which is never copied.

    >>> image = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> look(prepare(image, scales=2), torch.zeros(1, 1, 2), size=2)[0, 0, :, 0]
    tensor([[[ 5.0000,  6.0000],
             [ 9.0000, 10.0000]],
    <BLANKLINE>
            [[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """
    batch, channel, rows, columns = pyramid.levels[0].shape
    copies = where.shape[1]
    # In half pixels from the image's corner, as the sampler counts too.
    place = (where + 1) * where.new_tensor([columns, rows])
    steps = torch.arange(1 - size, size, 2, dtype=where.dtype, device=where.device).unsqueeze(-1)
    patches = []
    for scale, level in enumerate(pyramid.levels):
        width = 2**scale
        # A cell overlaps at most two squares of the pyramid each way; a bilinear sampler's weights are their shares of
        # its area.
        extent = where.new_tensor([level.shape[3], level.shape[2]])
        centres = (place.unsqueeze(2) + width * steps + (width - 1)) / extent - 1  # batch copy size 2
        across = centres[..., 0].unsqueeze(2).expand(-1, -1, size, -1)
        down = centres[..., 1].unsqueeze(3).expand(-1, -1, -1, size)
        grid = torch.stack([across, down], dim=-1).reshape(batch, copies * size, size, 2)
        patch = F.grid_sample(level, grid.to(level.dtype), align_corners=False)
        patches.append(patch.reshape(batch, channel, copies, size, size).transpose(1, 2))
    return torch.stack(patches, dim=2)


def glimpse_views(where: Float[Tensor, "step 2"], size: int, scales: int, rows: int, columns: int) -> Views:
    """Where the patches of one image's glimpses lie: all scales of a step, the finest first, then the next step's.

    `scale` is the scale's number, from 0.

    >>> glimpse_views(torch.zeros(1, 2), size=8, scales=2, rows=32, columns=32).extent.tolist()
    [[0.5, 0.5], [1.0, 1.0]]
    """
    places = where.detach().cpu().double().numpy()
    powers = np.tile(np.arange(scales, dtype=np.float64), len(places))
    extent = 2 * size * np.exp2(powers)[:, np.newaxis] / np.array([columns, rows])
    return Views(np.repeat(places, scales, axis=0), extent, powers)


def aim(parameters: Float[Tensor, "*batch 5"], count: int, rows: int, columns: int) -> Aim:
    """The aim of count x count filters from five unbounded parameters (Gregor et al. 2015, eqs. 21 to 24).

    They are the centre's x and y, and the logarithms of variance, stride and intensity. With zeros the grid spans the
    whole image. The logarithms are clamped to +-10.

    >>> aimed = aim(torch.zeros(5), count=4, rows=28, columns=28)
    >>> aimed.centre, aimed.stride
    (tensor([13.5000, 13.5000]), tensor(9.))
    """
    centre, logs = parameters.split([2, 3], dim=-1)
    extent = parameters.new_tensor([columns, rows])
    variance, stride, intensity = logs.clamp(-LARGEST_LOG, LARGEST_LOG).exp().unbind(dim=-1)
    # The paper counts pixels from 1.
    centre = (extent + 1) / 2 * (centre + 1) - 1
    # A single filter has no stride.
    return Aim(centre, (max(rows, columns) - 1) / max(count - 1, 1) * stride, variance, intensity)


def filter_bank(
    centre: Float[Tensor, "*batch"],
    stride: Float[Tensor, "*batch"],
    variance: Float[Tensor, "*batch"],
    count: int,
    cells: int,
) -> Float[Tensor, "*batch count cells"]:
    """A row of Gaussians over cells, evenly spaced around a centre (Gregor et al. 2015, eqs. 19, 20, 25 and 26).

    Filter i, from 0, has its mean at centre + (i - (count - 1) / 2) stride, counted in cells from the centre of the
    first. Every row sums to one. A filter so far outside the image that its weights would underflow keeps their
    proportions: it reads the cells nearest to it.

    >>> filter_bank(torch.tensor(1.0), torch.tensor(1.0), torch.tensor(1e-3), count=3, cells=3)
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.]])
    """
    steps = torch.arange(1 - count, count, 2, dtype=centre.dtype, device=centre.device) / 2
    means = (centre.unsqueeze(-1) + stride.unsqueeze(-1) * steps).unsqueeze(-1)  # *batch count 1
    cell = torch.arange(cells, dtype=centre.dtype, device=centre.device)
    # (cell - mean)^2 minus the same at the image's point nearest to the mean, which normalising removes. Written as a
    # product, to avoid cancellation of large numbers.
    nearest = means.detach().clamp(0, cells - 1)
    distance = (cell - nearest) * (cell + nearest - 2 * means)
    return (distance / (-2 * variance[..., None, None])).softmax(dim=-1)


def filter_banks(aimed: Aim, count: int, rows: int, columns: int) -> FilterBanks:
    """The count x count filters of an aim, along both axes.

    >>> filters = filter_banks(aim(torch.zeros(1, 5), count=5, rows=28, columns=20), count=5, rows=28, columns=20)
    >>> filters.vertical.shape, filters.horizontal.shape
    (torch.Size([1, 5, 28]), torch.Size([1, 5, 20]))
    """
    if rows == columns:
        stride, variance = (part.unsqueeze(-1).expand_as(aimed.centre) for part in (aimed.stride, aimed.variance))
        horizontal, vertical = filter_bank(aimed.centre, stride, variance, count, rows).unbind(dim=-3)
    else:
        horizontal = filter_bank(aimed.centre[..., 0], aimed.stride, aimed.variance, count, columns)
        vertical = filter_bank(aimed.centre[..., 1], aimed.stride, aimed.variance, count, rows)
    return FilterBanks(vertical, horizontal)


def read(
    images: Float[Tensor, "batch channel rows columns"], filters: FilterBanks, intensity: Float[Tensor, "batch"]
) -> Float[Tensor, "batch channel count count"]:
    """A patch read through the filters, times the intensity (Gregor et al. 2015, eq. 27, for any number of channels).

    >>> aimed = aim(torch.zeros(1, 5), count=5, rows=28, columns=28)
    >>> read(torch.zeros(1, 3, 28, 28), filter_banks(aimed, 5, 28, 28), aimed.intensity).shape
    torch.Size([1, 3, 5, 5])
    """
    patch = filters.vertical.unsqueeze(1) @ images @ filters.horizontal.unsqueeze(1).mT
    return patch * intensity[:, None, None, None]


def write(
    patches: Float[Tensor, "batch channel count count"], filters: FilterBanks, intensity: Float[Tensor, "batch"]
) -> Float[Tensor, "batch channel rows columns"]:
    """What a patch adds to the image through the filters, over the intensity (Gregor et al. 2015, eq. 29).

    >>> aimed = aim(torch.zeros(1, 5), count=5, rows=28, columns=28)
    >>> write(torch.zeros(1, 3, 5, 5), filter_banks(aimed, 5, 28, 28), aimed.intensity).shape
    torch.Size([1, 3, 28, 28])
    """
    canvas = filters.vertical.unsqueeze(1).mT @ patches @ filters.horizontal.unsqueeze(1)
    return canvas / intensity[:, None, None, None]


def filter_views(
    centre: Float[Tensor, "step 2"],
    stride: Float[Tensor, "step"],
    variance: Float[Tensor, "step"],
    count: int,
    rows: int,
    columns: int,
) -> Views:
    """Where the grids of one image's steps lie: each `count` strides wide.

    A grid of as many filters as there are pixels, a stride of 1 apart, thus covers exactly the image. `scale` is the
    variance.

    >>> filter_views(torch.tensor([[13.5, 13.5]]), torch.ones(1), torch.ones(1), count=28, rows=28, columns=28)
    Views(centre=array([[0., 0.]]), extent=array([[2., 2.]]), scale=array([1.]))
    """
    extent = np.array([columns, rows])
    places = (2 * centre.detach().cpu().double().numpy() + 1) / extent - 1
    widths = 2 * count * stride.detach().cpu().double().numpy()[:, np.newaxis] / extent
    return Views(places, widths, variance.detach().cpu().double().numpy())
