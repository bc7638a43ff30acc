"""The yardsticks for glimpses: RAM and DRAW as public code writes them, on plain autograd.

The models are those of `attend.systems.ram` and `attend.systems.draw`, equation for equation and size for size. How
they are computed differs. This RAM cuts every patch of every image by itself, at whole pixels, and pools the wide ones
after it cut them; this DRAW makes every filter bank and every product on its own.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class Sizes(NamedTuple):
    """RAM's: as in `attend.systems.ram.Config`."""

    glimpses: int
    size: int
    scales: int
    hidden: int
    sensed: int
    glimpse: int
    deviation: float


class PlainRam(nn.Module):
    """A retina, a glimpse network, a core, and three heads, looped over in Python."""

    def __init__(self, sizes: Sizes, channels: int, classes: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.patches = nn.Linear(sizes.scales * channels * sizes.size**2, sizes.sensed)
        self.place = nn.Linear(2, sizes.sensed)
        self.from_patches = nn.Linear(sizes.sensed, sizes.glimpse)
        self.from_place = nn.Linear(sizes.sensed, sizes.glimpse)
        self.from_glimpse = nn.Linear(sizes.glimpse, sizes.hidden)
        self.from_state = nn.Linear(sizes.hidden, sizes.hidden)
        self.mean = nn.Linear(sizes.hidden, 2)
        self.baseline = nn.Linear(sizes.hidden, 1)
        self.action = nn.Linear(sizes.hidden, classes)

    def crop(
        self, images: Float[Tensor, "batch channel rows columns"], where: Float[Tensor, "batch 2"], size: int
    ) -> Float[Tensor, "batch channel size size"]:
        """A square of whole pixels around each place, zero outside the image."""
        rows, columns = images.shape[2:]
        corner = ((where + 1) / 2 * where.new_tensor([columns, rows])).round().long()
        padded = F.pad(images, (size // 2,) * 4)
        crops = []
        for image, (x, y) in zip(padded, corner, strict=True):
            crops.append(image[:, y : y + size, x : x + size])
        return torch.stack(crops)

    def retina(
        self, images: Float[Tensor, "batch channel rows columns"], where: Float[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch seen"]:
        """The crops at each scale, pooled to one size."""
        seen = []
        for scale in range(self.sizes.scales):
            crop = self.crop(images, where, self.sizes.size * 2**scale)
            seen.append(F.avg_pool2d(crop, 2**scale).flatten(1))
        return torch.cat(seen, 1)

    def forward(
        self,
        images: Float[Tensor, "batch channel rows columns"],
        label: Int[Tensor, "batch"],
        noise: Float[Tensor, "step batch 2"],
    ) -> Float[Tensor, ""]:
        """Cross-entropy, REINFORCE and the baseline's error, summed over the batch; places move by standard noise."""
        state = images.new_zeros(len(images), self.sizes.hidden)
        log_probs, baselines = [], []
        for chance in noise:
            mean = torch.tanh(self.mean(state.detach()))
            baselines.append(self.baseline(state.detach()).squeeze(1))
            where = (mean + self.sizes.deviation * chance).detach()
            policy = torch.distributions.Normal(mean, self.sizes.deviation)
            log_probs.append(policy.log_prob(where).sum(1))
            state = self.step(images, where.clamp(-1, 1), state)
        scores = self.action(state).log_softmax(1)
        reward = (scores.argmax(1) == label).float().unsqueeze(1)
        baseline, log_prob = torch.stack(baselines, 1), torch.stack(log_probs, 1)
        policy = -(log_prob * (reward - baseline.detach())).sum()
        return F.nll_loss(scores, label, reduction="sum") + policy + (baseline - reward).square().sum()

    def step(
        self,
        images: Float[Tensor, "batch channel rows columns"],
        where: Float[Tensor, "batch 2"],
        state: Float[Tensor, "batch hidden"],
    ) -> Float[Tensor, "batch hidden"]:
        """The state after a glimpse."""
        what = F.relu(self.patches(self.retina(images, where)))
        glimpse = F.relu(self.from_patches(what) + self.from_place(F.relu(self.place(where))))
        return F.relu(self.from_glimpse(glimpse) + self.from_state(state))

    def classify(self, images: Float[Tensor, "batch channel rows columns"]) -> Float[Tensor, "batch class"]:
        """The scores after the last glimpse, at the means."""
        state = images.new_zeros(len(images), self.sizes.hidden)
        for _ in range(self.sizes.glimpses):
            state = self.step(images, torch.tanh(self.mean(state)), state)
        return self.action(state)


class PlainDraw(nn.Module):
    """DRAW with attention, looped over in Python."""

    def __init__(self, hidden: int, latent: int, read: int, write: int, channels: int, rows: int) -> None:
        super().__init__()
        self.read_size, self.write_size, self.channels, self.rows = read, write, channels, rows
        self.encoder = nn.LSTMCell(2 * channels * read**2 + hidden, hidden)
        self.mean = nn.Linear(hidden, latent)
        self.log_deviation = nn.Linear(hidden, latent)
        self.decoder = nn.LSTMCell(latent, hidden)
        self.read_aim = nn.Linear(hidden, 5)
        self.write_aim = nn.Linear(hidden, 5)
        self.patch = nn.Linear(hidden, channels * write**2)

    def filters(
        self, aim: Float[Tensor, "batch 5"], count: int
    ) -> tuple[Float[Tensor, "batch count rows"], Float[Tensor, "batch count rows"], Float[Tensor, "batch 1"]]:
        """The vertical and the horizontal bank, and the intensity (eqs. 21 to 26)."""
        x, y, log_variance, log_stride, log_intensity = aim.chunk(5, 1)
        variance, stride = log_variance.exp(), (self.rows - 1) / (count - 1) * log_stride.exp()
        banks = []
        for place in (y, x):
            centre = (self.rows + 1) / 2 * (place + 1)
            mean = centre + (torch.arange(1, count + 1) - count / 2 - 0.5) * stride
            cells = torch.arange(1, self.rows + 1)
            bank = torch.exp(-(cells - mean.unsqueeze(2)).square() / (2 * variance.unsqueeze(2)))
            banks.append(bank / bank.sum(2, keepdim=True).clamp_min(1e-8))
        return banks[0], banks[1], log_intensity.exp()

    def read(
        self, images: Float[Tensor, "batch channel rows rows"], aim: Float[Tensor, "batch 5"]
    ) -> Float[Tensor, "batch seen"]:
        """One image through its window (eq. 27)."""
        vertical, horizontal, intensity = self.filters(aim, self.read_size)
        seen = [torch.bmm(torch.bmm(vertical, images[:, c]), horizontal.mT) for c in range(self.channels)]
        return torch.stack(seen, 1).flatten(1) * intensity

    def write(self, state: Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch channel rows rows"]:
        """What a state adds to the canvas (eqs. 28 and 29)."""
        vertical, horizontal, intensity = self.filters(self.write_aim(state), self.write_size)
        patch = self.patch(state).unflatten(1, (self.channels, self.write_size, self.write_size))
        added = [torch.bmm(torch.bmm(vertical.mT, patch[:, c]), horizontal) for c in range(self.channels)]
        return torch.stack(added, 1) / intensity[:, :, None, None]

    def forward(
        self, images: Float[Tensor, "batch channel rows rows"], noise: Float[Tensor, "step batch latent"]
    ) -> Float[Tensor, ""]:
        """The bound on -log p(x), summed over the batch."""
        batch, hidden = len(images), self.encoder.hidden_size
        canvas = torch.zeros_like(images)
        encoder = encoder_cell = decoder = decoder_cell = images.new_zeros(batch, hidden)
        kl = images.new_zeros(())
        for chance in noise:
            error = images - torch.sigmoid(canvas)
            seen = [self.read(image, self.read_aim(decoder)) for image in (images, error)]
            encoder, encoder_cell = self.encoder(torch.cat([*seen, decoder], 1), (encoder, encoder_cell))
            mean, log_deviation = self.mean(encoder), self.log_deviation(encoder)
            latent = mean + log_deviation.exp() * chance
            kl = kl + ((mean.square() + (2 * log_deviation).exp() - 1) / 2 - log_deviation).sum()
            decoder, decoder_cell = self.decoder(latent, (decoder, decoder_cell))
            canvas = canvas + self.write(decoder)
        return F.binary_cross_entropy_with_logits(canvas, images, reduction="sum") + kl

    def generate(self, noise: Float[Tensor, "step batch latent"]) -> Float[Tensor, "batch channel rows rows"]:
        """New images, as log-odds of white."""
        decoder = cell = noise.new_zeros(noise.shape[1], self.decoder.hidden_size)
        canvas = noise.new_zeros(noise.shape[1], self.channels, self.rows, self.rows)
        for latent in noise:
            decoder, cell = self.decoder(latent, (decoder, cell))
            canvas = canvas + self.write(decoder)
        return canvas
