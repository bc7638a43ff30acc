"""DRAW: a recurrent network for image generation.

Gregor, Danihelka, Graves, Rezende & Wierstra, 2015 (arXiv 1502.04623). A variational autoencoder unrolled in time: at
each step an encoder reads from the image and from the error image, a latent vector is sampled, and a decoder writes to
the canvas. Reads and writes go through grids of Gaussian filters, whose centre, stride, variance and intensity depend
on the decoder's state. `System` generates; `Classifier` classifies an image from such reads alone (section 4.1).
Equation numbers are the paper's.

It differs from its nearest relative, RAM (Mnih et al. 2014), in that the window is differentiable: where to look is
learnt by back-propagation, without sampling.

Deviations from the paper:

- The initial canvas and hidden states are learnt, from zero; the LSTMs' cells start at zero.
- At initialisation windows cover the whole image with overlapping filters, and writing a patch of ones adds about ones
  (`first_aim`); the usual initialisation, five parameters near zero, makes filters one pixel wide.
- Arguments of exponentials (the log standard deviation here, an aim's logarithms in `attention.glimpse`) are clamped.
- The filters of a window outside the image read its nearest pixels, where the paper's would be 0 / 0.
- Equation 11's constant, T / 2, is counted for every latent dimension, as in the divergence of two Gaussians.
- The classifier's initial state is learnt too.

One matrix product of the decoder's state gives this step's write (patch and window) and the next read window. The two
windows' filter banks are computed together where they have equally many filters. In the control without attention
(eqs. 17 and 18), the constant image is projected once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from attend.attention.glimpse import Aim, FilterBanks, Views, aim, filter_bank, filter_banks, filter_views, read, write
from attend.contract import Answers, Batch, Bounds, Drawings, Look, Loss, Pictures
from attend.fast import Linear
from attend.precision import full
from attend.settings import check_config

# The log standard deviation of a latent is clamped to +- this: exp of it, squared, is far from overflow.
LARGEST_LOG = 10.0
# Scale of the aiming weights at initialisation: the bias decides where windows start.
AIM_DEVIATION = 0.01


@dataclass(frozen=True)
class Config:
    """The paper's sizes for MNIST (section 4.2, table 3)."""

    steps: int = 64
    """Steps to draw an image (T)."""
    hidden: int = 256
    """Size of the encoder's and of the decoder's state."""
    latent: int = 100
    """Size of the latent vector of a step (z)."""
    read: int = 2
    """With attention: filters each way of the window that reads (N)."""
    write: int = 5
    """With attention: filters each way of the window that writes (N)."""
    attention: Literal["both", "none"] = "both"
    """"both" reads and writes through windows; "none", the control, reads and writes the whole image at every step."""

    def __post_init__(self) -> None:
        check_config(self)


class LSTMState(NamedTuple):
    """Hidden state and cell."""

    hidden: Float[Tensor, "batch hidden"]
    cell: Float[Tensor, "batch hidden"]


class LSTM(nn.Module):
    """One step of an LSTM, with one matrix product of inputs and state for all gates."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gates = Linear(inputs + hidden, 4 * hidden)

    def forward(
        self, inputs: Sequence[Tensor], state: LSTMState, constant: Float[Tensor, "batch four_hidden"] | None = None
    ) -> LSTMState:
        """`constant` is the projection of inputs that are the same at every step."""
        gates = self.gates(torch.cat([*inputs, state.hidden], dim=-1))
        if constant is not None:
            gates = gates + constant
        size = state.cell.shape[-1]
        into, kept, out = torch.sigmoid(gates[:, : 3 * size]).chunk(3, dim=-1)
        cell = torch.addcmul(kept * state.cell, into, torch.tanh(gates[:, 3 * size :]))
        return LSTMState(out * torch.tanh(cell), cell)


class Window(NamedTuple):
    """Where a step reads or writes."""

    aim: Aim
    filters: FilterBanks


class Reach(NamedTuple):
    """What a decoder state gives: the patch and window to write, and the next read window.

    Without attention there are no windows, and the patch is the whole image.
    """

    patch: Float[Tensor, "batch channel _ _"]
    write: Window | None
    read: Window | None


class WithAttention(nn.Module):
    """Reading and writing with attention (section 3.2)."""

    def __init__(self, config: Config, channels: int, rows: int, columns: int) -> None:
        super().__init__()
        self.config, self.rows, self.columns = config, rows, columns
        self.reads = 2 * channels * config.read**2
        self.patch = (channels, config.write, config.write)
        self.from_decoder = Linear(config.hidden, 10 + channels * config.write**2)
        write = first_aim(config.write, rows, columns, writes=True)
        aim_at_everything(self.from_decoder, write, first_aim(config.read, rows, columns, writes=False))

    def constant(self, images: Float[Tensor, "batch channel rows columns"]) -> None:
        """Nothing: no read is the same at every step."""

    def forward(self, state: Float[Tensor, "batch hidden"]) -> Reach:
        """Equations 21 to 26 for both windows, and 28."""
        aims, patch = self.from_decoder(state).tensor_split([10], dim=-1)
        aims = aims.unflatten(-1, (2, 5))
        counts = (self.config.write, self.config.read)
        if counts[0] == counts[1]:
            both = window(aims, counts[0], self.rows, self.columns)
            windows = [Window(Aim(*(part[:, one] for part in both.aim)), of_one(both.filters, one)) for one in (0, 1)]
        else:
            windows = [window(aims[:, one], counts[one], self.rows, self.columns) for one in (0, 1)]
        return Reach(patch.unflatten(-1, self.patch), windows[0], windows[1])

    def read(
        self,
        images: Float[Tensor, "batch channel rows columns"],
        canvas: Float[Tensor, "batch channel rows columns"],
        reach: Reach,
    ) -> list[Tensor]:
        """The image and the error image x - sigmoid(c) through the window (eqs. 3 and 27), flattened."""
        assert reach.read is not None
        aimed, filters = reach.read
        seen = read(images, filters, aimed.intensity)
        # Reading is linear: the error image need not be computed.
        error = seen - read(torch.sigmoid(canvas), filters, aimed.intensity)
        return [seen.flatten(1), error.flatten(1)]

    def write(self, reach: Reach) -> Float[Tensor, "batch channel rows columns"]:
        """Equation 29."""
        assert reach.write is not None
        return write(reach.patch, reach.write.filters, reach.write.aim.intensity)


class WithoutAttention(nn.Module):
    """Reading and writing without attention (section 3.1): the control."""

    def __init__(self, config: Config, channels: int, rows: int, columns: int) -> None:
        super().__init__()
        self.patch = (channels, rows, columns)
        self.reads = channels * rows * columns
        self.from_image = Linear(self.reads, 4 * config.hidden, bias=False)
        self.from_decoder = Linear(config.hidden, self.reads)

    def constant(self, images: Float[Tensor, "batch channel rows columns"]) -> Float[Tensor, "batch four_hidden"]:
        """The image's projection to the encoder's gates, the same at every step."""
        return self.from_image(images.flatten(1))

    def forward(self, state: Float[Tensor, "batch hidden"]) -> Reach:
        return Reach(self.from_decoder(state).unflatten(-1, self.patch), None, None)

    def read(
        self,
        images: Float[Tensor, "batch channel rows columns"],
        canvas: Float[Tensor, "batch channel rows columns"],
        reach: Reach,
    ) -> list[Tensor]:
        """The error image (eq. 3); the image, the other half of equation 17, is in `constant`."""
        return [(images - torch.sigmoid(canvas)).flatten(1)]

    def write(self, reach: Reach) -> Float[Tensor, "batch channel rows columns"]:
        """Equation 18."""
        return reach.patch


class Course(NamedTuple):
    """How images were drawn: the canvas after each step, and its latent vector.

    `mean` and `log_deviation` are of the approximate posterior that `latent` was sampled from.
    """

    canvases: list[Tensor]
    reads: list[Window | None]
    writes: list[Window | None]
    latent: Float[Tensor, "step batch latent"]
    mean: Float[Tensor, "step batch latent"]
    log_deviation: Float[Tensor, "step batch latent"]


class System(nn.Module):
    """See the module. The images' sizes come from the data. A canvas holds logits of white."""

    def __init__(self, config: Config, channels: int, rows: int, columns: int) -> None:
        super().__init__()
        self.config = config
        self.hand = (WithAttention if config.attention == "both" else WithoutAttention)(config, channels, rows, columns)
        self.encoder = LSTM(self.hand.reads + config.hidden, config.hidden)
        self.posterior = Linear(config.hidden, 2 * config.latent)
        self.decoder = LSTM(config.latent, config.hidden)
        self.first_canvas = nn.Parameter(torch.zeros(channels, rows, columns))
        self.first_encoder = nn.Parameter(torch.zeros(config.hidden))
        self.first_decoder = nn.Parameter(torch.zeros(config.hidden))

    def noise(self, count: int, generator: torch.Generator | None = None) -> Float[Tensor, "step batch latent"]:
        """Standard normal noise, independent at every step; reproducible with a (CPU) generator."""
        shape, device = (self.config.steps, count, self.config.latent), self.first_canvas.device
        if generator is None:
            return torch.randn(shape, device=device)
        return torch.randn(shape, generator=generator).to(device)

    def course(
        self, images: Float[Tensor, "batch channel rows columns"], noise: Float[Tensor, "step batch latent"]
    ) -> Course:
        """Reconstruct images (eqs. 3 to 8): the latent is mean + deviation * noise (eqs. 1 and 2)."""
        canvas, decoder = self.start(len(images))
        encoder = started(self.first_encoder, len(images))
        constant = self.hand.constant(images)
        reach = self.hand(decoder.hidden)
        canvases, reads, writes, latents, means, logs = [], [], [], [], [], []
        for epsilon in noise:
            reads.append(reach.read)
            seen = self.hand.read(images, canvas, reach)
            encoder = self.encoder([*seen, decoder.hidden], encoder, constant)
            mean, log_deviation = full(self.posterior(encoder.hidden)).chunk(2, dim=-1)
            log_deviation = log_deviation.clamp(-LARGEST_LOG, LARGEST_LOG)
            latent = torch.addcmul(mean, log_deviation.exp(), epsilon)
            decoder = self.decoder([latent], decoder)
            reach = self.hand(decoder.hidden)
            canvas = canvas + self.hand.write(reach)
            for kept, new in zip(
                (canvases, writes, latents, means, logs),
                (canvas, reach.write, latent, mean, log_deviation),
                strict=True,
            ):
                kept.append(new)
        return Course(canvases, reads, writes, torch.stack(latents), torch.stack(means), torch.stack(logs))

    def start(self, count: int) -> tuple[Float[Tensor, "batch channel rows columns"], LSTMState]:
        """The canvas and the decoder before the first step."""
        return self.first_canvas.expand(count, -1, -1, -1), started(self.first_decoder, count)

    def forward(self, batch: Pictures) -> Loss:
        """The bound on -log p(x), in nats (eqs. 9 to 12), with one sample."""
        found = self.course(batch.images, self.noise(len(batch.images)))
        reconstruction = reconstruction_error(batch.images, found.canvases[-1]).sum()
        kl = divergence(found.mean, found.log_deviation).sum()
        terms = {"reconstruction": reconstruction.detach(), "kl": kl.detach()}
        return Loss(reconstruction + kl, len(batch.images), terms)

    def bounds(
        self, images: Float[Tensor, "batch channel rows columns"], noise: Float[Tensor, "step batch latent"]
    ) -> Bounds:
        """Each image's reconstruction loss, divergence and bound, with this noise."""
        found = self.course(images, noise)
        reconstruction = reconstruction_error(images, found.canvases[-1])
        # log p(z) - log q(z | x) of the samples: the normalisers cancel.
        log_ratio = (noise.square() - found.latent.square()) / 2 + found.log_deviation
        kl = divergence(found.mean, found.log_deviation)
        return Bounds(reconstruction, kl.T, log_ratio.sum((0, 2)) - reconstruction)

    def reconstruct(
        self, images: Float[Tensor, "batch channel rows columns"], noise: Float[Tensor, "step batch latent"]
    ) -> Drawings:
        """Reconstruct images; looks are where each step read and wrote."""
        found = self.course(images, noise)
        return drawings(found.canvases, {"read": found.reads, "write": found.writes})

    def generate(self, noise: Float[Tensor, "step batch latent"]) -> Drawings:
        """Generate images from latent vectors of the prior N(0, I) (eqs. 13 to 16); looks are where each step wrote."""
        canvas, decoder = self.start(noise.shape[1])
        canvases, writes = [], []
        for latent in noise:
            decoder = self.decoder([latent], decoder)
            reach = self.hand(decoder.hidden)
            canvas = canvas + self.hand.write(reach)
            canvases.append(canvas)
            writes.append(reach.write)
        return drawings(canvases, {"write": writes})


@dataclass(frozen=True)
class ClassifierConfig:
    """The paper's sizes for cluttered digits (section 4.1, table 3)."""

    glimpses: int = 8
    """Reads before the class is predicted (T)."""
    hidden: int = 256
    """Size of the LSTM's state."""
    read: int = 12
    """Filters each way of the window (N)."""
    attention: Literal["read", "none"] = "read"
    """"read" is the model; "none", the control, reads the whole image average-pooled to the same size each time."""

    def __post_init__(self) -> None:
        check_config(self)


class Classifier(nn.Module):
    """The differentiable RAM of section 4.1: an LSTM that reads through windows, without an error image.

    Images may be of any size.
    """

    def __init__(self, config: ClassifierConfig, image_channels: int, target_classes: int) -> None:
        super().__init__()
        self.config = config
        self.core = LSTM(image_channels * config.read**2, config.hidden)
        self.action = Linear(config.hidden, target_classes)
        self.first = nn.Parameter(torch.zeros(config.hidden))
        self.aim = None
        if config.attention == "read":
            self.aim = Linear(config.hidden, 5)
            aim_at_everything(self.aim, (0.0,) * 5)

    def scan(
        self, images: Float[Tensor, "batch channel rows columns"]
    ) -> tuple[Float[Tensor, "batch step hidden"], list[Window]]:
        """The state after each read, and its window; the control has no windows."""
        size, (rows, columns) = self.config.read, images.shape[2:]
        first = images.new_tensor(first_aim(size, rows, columns, writes=False))
        state = started(self.first, len(images))
        means = F.adaptive_avg_pool2d(images, size).flatten(1) if self.aim is None else None
        states, windows = [], []
        for _ in range(self.config.glimpses):
            seen = means
            if self.aim is not None:
                windows.append(window(self.aim(state.hidden) + first, size, rows, columns))
                seen = read(images, windows[-1].filters, windows[-1].aim.intensity).flatten(1)
            assert seen is not None
            state = self.core([seen], state)
            states.append(state.hidden)
        return torch.stack(states, 1), windows

    def forward(self, batch: Batch) -> Loss:
        states, _ = self.scan(batch.inputs["image"])
        logits = self.action(states[:, -1])
        nll = F.cross_entropy(logits, batch.target, reduction="sum")
        error = (logits.argmax(-1) != batch.target).to(logits.dtype).sum()
        return Loss(nll, len(batch.target), {"nll": nll.detach(), "error": error})

    def answer(self, batch: Batch) -> Answers:
        """The answer after each read."""
        images = batch.inputs["image"]
        states, windows = self.scan(images)
        looks = {"read": Look(views(windows, *images.shape[2:]), "image")} if windows else {}
        return Answers(self.action(states), looks)


def aim_at_everything(layer: nn.Linear, *windows: tuple[float, ...]) -> None:
    """Initialise a layer whose first outputs are aims so that they are nearly these for every input."""
    biases = layer.weight.new_tensor(windows).flatten()
    nn.init.normal_(layer.weight[: len(biases)], std=AIM_DEVIATION)
    with torch.no_grad():
        layer.bias[: len(biases)] = biases


def first_aim(count: int, rows: int, columns: int, writes: bool) -> tuple[float, ...]:
    """A window over the whole image, as parameters of `attention.glimpse.aim`.

    Neighbouring filters overlap, with half their stride as standard deviation: filters one pixel wide would be isolated
    dots, which can't draw an image and have steep gradients. Writing a patch of ones adds about ones.
    """
    shorter, longer = sorted((rows, columns))
    stride = max((longer - 1) / max(count - 1, 1), 1.0)
    # The filters' total at a pixel in the middle of a side.
    overlap = 1 / stride
    if shorter < longer:
        # Filters outside the image read its edges, or all of a narrow one.
        middle, distance, variance = torch.tensor([(shorter - 1) / 2, stride, (stride / 2) ** 2]).unbind()
        overlap = float(filter_bank(middle, distance, variance, count, shorter).sum(0)[shorter // 2])
    return 0.0, 0.0, 2 * math.log(stride / 2), 0.0, math.log(overlap / stride) if writes else 0.0


def started(first: Float[Tensor, "hidden"], count: int) -> LSTMState:
    """An LSTM's state before the first step."""
    hidden = first.expand(count, -1)
    return LSTMState(hidden, torch.zeros_like(hidden))


def window(parameters: Float[Tensor, "*batch 5"], count: int, rows: int, columns: int) -> Window:
    """Aimed in float32 at least: half precision resolves pixels no finer than eighths."""
    aimed = aim(full(parameters), count, rows, columns)
    return Window(aimed, filter_banks(aimed, count, rows, columns))


def of_one(filters: FilterBanks, one: int) -> FilterBanks:
    """The banks of one of several windows."""
    return FilterBanks(filters.vertical[:, one], filters.horizontal[:, one])


def reconstruction_error(
    images: Float[Tensor, "batch channel rows columns"], canvas: Float[Tensor, "batch channel rows columns"]
) -> Float[Tensor, "batch"]:
    """-log D(x | c_T) (eq. 9): each pixel is Bernoulli, with the canvas as its logit.

    Grey pixels are probabilities: this is then the expectation over their binarisations.
    """
    return F.binary_cross_entropy_with_logits(canvas, images, reduction="none").flatten(1).sum(-1)


def divergence(
    mean: Float[Tensor, "*batch latent"], log_deviation: Float[Tensor, "*batch latent"]
) -> Float[Tensor, "*batch"]:
    """KL(N(mean, deviation^2) || N(0, I)), in nats (eqs. 10 and 11)."""
    return ((mean.square() + (2 * log_deviation).exp() - 1) / 2 - log_deviation).sum(-1)


def drawings(canvases: list[Tensor], windows: dict[str, list[Window | None]]) -> Drawings:
    """`canvases` are logits, one a step; a look without windows is left out."""
    rows, columns = canvases[0].shape[2:]
    aimed = {name: [window for window in steps if window is not None] for name, steps in windows.items()}
    looks = {name: views(steps, rows, columns) for name, steps in aimed.items() if steps}
    of_image = [{name: look[number] for name, look in looks.items()} for number in range(len(canvases[0]))]
    return Drawings(torch.sigmoid(torch.stack(canvases, 1)), of_image)


def views(windows: Sequence[Window], rows: int, columns: int) -> list[Views]:
    """Each image's views of these steps' windows."""
    filters = windows[0].filters.vertical.shape[-2]
    centres, strides, variances, _ = (
        torch.stack(part, 1).detach().cpu() for part in zip(*(window.aim for window in windows), strict=True)
    )
    return [
        filter_views(centre, stride, variance, filters, rows, columns)
        for centre, stride, variance in zip(centres, strides, variances, strict=True)
    ]
