"""RAM: recurrent models of visual attention.

Mnih, Heess, Graves & Kavukcuoglu, 2014 (arXiv 1406.6247). A network that never sees a whole image: a small retina takes
glimpses at a sequence of locations, each chosen from the glimpses before. Attention is hard: a location is sampled from
a Gaussian, whose mean is trained by REINFORCE; everything else is trained by back-propagation. `System` classifies
images, `Player` plays a game. Section numbers are the paper's.

It differs from its nearest relative, DRAW's classifier with a read window (Gregor et al. 2015), in that no gradient
passes through the location.

Where gradients flow is essential. In `System` the cross-entropy of the last step trains the classifier, the core and
the glimpse network; the location network is trained by REINFORCE alone, and the baseline by its own error alone, both
on detached states. `Player` has no labels: everything but the baseline is trained by REINFORCE, the location network
through its locations (on detached states here too), the core and the glimpse network through the moves.

Deviations from the paper:

- Adam instead of momentum SGD with a search over rates.
- An update may use several Monte-Carlo samples per image (`copies`); the paper has one.
- The first location, too, is sampled, around the location network's output for a zero state.
- With `reward` "probability" the reward is the probability of the correct class: the expectation of the paper's reward
  over classes sampled from the softmax, with less variance.
- With `reward` "log-probability" the reward is log p of the correct class, so that locations and classes are trained on
  one bound (Ba et al. 2014, as in `wsram`). Locations that help with a misclassified image count most.
- With `path` each step has its own learnt bias b_t, and the mean is tanh(b_t + f_l(h) / 10). The biases start as a grid
  in reading order with this distance between neighbours: at a patch's width glimpses are adjacent. Without `path`, all
  means start near the centre and depend far more on the image. The factor 1/10 slows the learning of f_l, because
  Adam's steps are as large for noise as for a gradient.
- tanh bounds the mean, so that it can't drift to where clamping hides it. A sample outside the image is clamped to its
  edge, in the glimpse and in the location that the network gets; its log-probability is of the unclamped sample.
- At test the locations are the means (the paper does not say), in one pass.
- `Player` trains each step on the return of the whole game, with a baseline per step: a location's depends on the
  glimpses before it, a move's also on the glimpse before the move.

`places` selects the locations: "learnt" is the model; "random" (uniform) and "centre" are its controls.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from attend.attention.glimpse import Pyramid, glimpse_views, look, place_log_prob, prepare, sample_place
from attend.contract import Answers, Batch, Games, Look, Loss
from attend.fast import Linear, joined
from attend.learning import baseline_error, entropy, hybrid, reinforce
from attend.precision import full
from attend.settings import check_config


@dataclass(frozen=True)
class Config:
    """The paper's sizes (section 4) for digits of 28 x 28."""

    glimpses: int = 6
    """Glimpses before the class is predicted (T)."""
    size: int = 8
    """Rows and columns of a patch, in pixels (g_w)."""
    scales: int = 1
    """Patches of a glimpse, each twice as wide as the one before (k)."""
    hidden: int = 256
    """Size of the core's state."""
    sensed: int = 128
    """Size of the hidden layers h_g of the patches and h_l of the location."""
    glimpse: int = 256
    """Size of the glimpse vector."""
    deviation: float = 0.1
    """Standard deviation of sampled locations, in half images."""
    copies: int = 1
    """Monte-Carlo samples per image in an update (M)."""
    reward: Literal["right", "probability", "log-probability"] = "right"
    """Reward of learnt locations: 1 if the predicted class is correct and else 0, as in the paper; or the probability
    of the correct class, or its logarithm."""
    places: Literal["learnt", "random", "centre"] = "learnt"
    """Locations: "learnt" is the model, "random" and "centre" are the controls."""
    path: float = 0.0
    """Distance of neighbours in the grid that each step's location bias starts from, in half images; 0: no biases."""

    def __post_init__(self) -> None:
        check_config(self)
        if self.path and self.places != "learnt":
            raise ValueError(f'path is only for places "learnt": set path to 0 where places is "{self.places}"')
        if self.path:
            grid(self.glimpses, self.path)  # it must lie within the image
        if not self.deviation > 0:
            raise ValueError("deviation must be above 0: without noise there is no exploration")


class GlimpseNetwork(nn.Module):
    """g = relu(W_h h_g + W_l h_l): what is seen at a location, and the location (figure 1 B)."""

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        self.size = config.size
        self.patches = Linear(config.scales * channels * config.size**2, config.sensed)
        self.place = Linear(2, config.sensed)
        self.from_patches = Linear(config.sensed, config.glimpse)
        self.from_place = Linear(config.sensed, config.glimpse)

    def sensor(self) -> Callable[[Pyramid, Tensor], Float[Tensor, "batch copy glimpse"]]:
        """A function from a pyramid and places [batch, copy, 2] to glimpses, for use at many steps."""
        together = joined(self.from_patches, self.from_place)

        def glimpse(pyramid: Pyramid, where: Tensor) -> Tensor:
            patches = self.patches(look(pyramid, where, self.size).flatten(2))
            return F.relu(together(F.relu(patches), F.relu(self.place(where))))

        return glimpse


def grid(count: int, apart: float) -> Float[Tensor, "place 2"]:
    """`count` places (x, y) around the centre, row by row: as many rows as columns, or one more; the last row may be
    shorter. Raises `ValueError` if the grid doesn't fit in the image."""
    columns = round(math.sqrt(count))
    rows = torch.arange(count).split(columns)
    if apart * (len(rows) - 1) >= 2:
        most = 2 / (len(rows) - 1)
        raise ValueError(f"a path of {count} glimpses must be less than {most:.3g} apart to lie within the image")
    return apart * torch.tensor(
        [
            (column - (len(row) - 1) / 2, number - (len(rows) - 1) / 2)
            for number, row in enumerate(rows)
            for column in range(len(row))
        ]
    )


FROM_PATH = 0.1
"""Scale of the location network's output with a path, relative to without."""


class LocationNetwork(nn.Module):
    """Where to look next, from a state: a Gaussian, or the control's location (2.1)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.places, self.deviation = config.places, config.deviation
        self.mean = Linear(config.hidden, 2) if config.places == "learnt" else None
        self.path = nn.Parameter(grid(config.glimpses, config.path).atanh()) if config.path else None

    def around(
        self, state: Float[Tensor, "*batch hidden"], step: int | slice = slice(None)
    ) -> Float[Tensor, "*batch 2"]:
        """The mean location of a step, or of all steps, from the state before it."""
        assert self.mean is not None
        mean = full(self.mean(state))
        return torch.tanh(mean if self.path is None else self.path[step] + FROM_PATH * mean)

    @torch.no_grad()
    def choose(self, state: Float[Tensor, "*batch hidden"], sampled: bool, step: int) -> Float[Tensor, "*batch 2"]:
        """A sample, or the mean; random places are always random. Detached."""
        if self.mean is None:
            middle = full(state).new_zeros(*state.shape[:-1], 2)
            return middle.uniform_(-1, 1) if self.places == "random" else middle
        mean = self.around(state, step)
        return sample_place(mean, self.deviation).where if sampled else mean

    def log_prob(
        self, where: Float[Tensor, "*batch step 2"], state: Float[Tensor, "*batch step hidden"]
    ) -> Float[Tensor, "*batch step"]:
        """The log-probabilities of the places: 0 in the controls. The states are detached here."""
        if self.mean is None:
            return state.new_zeros(state.shape[:-1])
        return place_log_prob(where, self.around(state.detach()), self.deviation)


class Scan(NamedTuple):
    """A scan path: the state after each glimpse, its location, log-probability and baseline."""

    states: list[Float[Tensor, "batch copy hidden"]]
    where: Float[Tensor, "batch copy step 2"]
    log_probs: Float[Tensor, "batch copy step"]
    baselines: Float[Tensor, "batch copy step"]


class System(nn.Module):
    """See the module. Images may be of any size."""

    def __init__(self, config: Config, image_channels: int, target_classes: int) -> None:
        super().__init__()
        self.config = config
        self.glimpse = GlimpseNetwork(config, image_channels)
        self.location = LocationNetwork(config)
        self.from_glimpse = Linear(config.glimpse, config.hidden)
        self.from_state = Linear(config.hidden, config.hidden)
        self.action = Linear(config.hidden, target_classes)
        self.baseline = Linear(config.hidden, 1) if config.places == "learnt" else None

    def scan(self, images: Float[Tensor, "batch channel rows columns"], copies: int, sampled: bool) -> Scan:
        """Scan each image `copies` times: h_t = relu(W h_{t-1} + W g_t), at locations chosen from h_{t-1}."""
        pyramid, glimpse = prepare(images, self.config.scales), self.glimpse.sensor()
        core = joined(self.from_state, self.from_glimpse)
        states, places = [images.new_zeros(len(images), copies, self.config.hidden)], []
        for step in range(self.config.glimpses):
            chosen = self.location.choose(states[-1], sampled, step)
            places.append(chosen)
            # Clamp the retina to the image, but score the unclamped sample.
            states.append(F.relu(core(states[-1], glimpse(pyramid, chosen.clamp(-1, 1)))))
        where, before = torch.stack(places, 2), torch.stack(states[:-1], 2).detach()
        log_prob = self.location.log_prob(where, before)
        baseline = torch.zeros_like(log_prob) if self.baseline is None else self.baseline(before).squeeze(-1)
        return Scan(states[1:], where.clamp(-1, 1), log_prob, baseline)

    def forward(self, batch: Batch) -> Loss:
        copies = self.config.copies if self.training else 1
        scan = self.scan(batch.inputs["image"], copies, sampled=self.training)
        log_probs = full(self.action(scan.states[-1])).log_softmax(-1)  # batch copy class
        label = batch.target.unsqueeze(1).expand(-1, copies)
        log_likelihood = log_probs.gather(-1, label.unsqueeze(-1)).squeeze(-1)
        right = (log_probs.argmax(-1) == label).to(log_probs.dtype)
        terms = {"error": (1 - right).mean(1).sum()}
        if not self.training or self.baseline is None:
            nll = -log_likelihood.mean(1).sum()
            return Loss(nll, len(label), {"nll": nll.detach(), **terms})
        rewards = {"right": right, "probability": log_likelihood.exp(), "log-probability": log_likelihood}
        reward = rewards[self.config.reward]
        found = hybrid(log_likelihood, scan.log_probs, reward.unsqueeze(-1), scan.baselines)
        terms |= {"baseline_error": found.baseline_error / self.config.glimpses}
        return Loss(found.total, len(label), {"nll": found.nll, **terms})

    def answer(self, batch: Batch) -> Answers:
        """The answer after each glimpse, at the mean locations (random ones are redrawn each time)."""
        images = batch.inputs["image"]
        scan = self.scan(images, copies=1, sampled=False)
        size, scales, (rows, columns) = self.config.size, self.config.scales, images.shape[2:]
        views = [glimpse_views(where, size, scales, rows, columns) for where in scan.where[:, 0]]
        return Answers(self.action(torch.stack(scan.states, 2)[:, 0]), {"glimpse": Look(views, "image")})


class Played(NamedTuple):
    """Games played: each glimpse's location, the log-probabilities of it and of the move after it, and the reward.

    `entropy` is that of each move's policy, in nats, and `patch` the rows and columns of a glimpse's finest patch, in
    pixels. `expected` is the baseline: the expected reward in each state, from the one before the first glimpse to the
    last.
    """

    where: Float[Tensor, "batch step 2"]
    log_prob_place: Float[Tensor, "batch step"]
    log_prob_move: Float[Tensor, "batch step"]
    entropy: Float[Tensor, "batch step"]
    expected: Float[Tensor, "batch state"]
    reward: Float[Tensor, "batch"]
    patch: int


class Player(nn.Module):
    """The agent of section 4.2: an LSTM that takes a glimpse of each frame of a game, and moves.

    `channels` and `actions` come from the game.
    """

    def __init__(self, config: Config, channels: int, actions: int) -> None:
        super().__init__()
        own = "glimpses", "copies", "reward", "path"
        if any(getattr(config, name) != getattr(Config, name) for name in own):
            reason = "a game sets the number of glimpses and the reward, and is played once"
            raise ValueError(f"{reason}: leave out glimpses, copies, reward and path")
        self.config = config
        self.glimpse = GlimpseNetwork(config, channels)
        self.location = LocationNetwork(config)
        self.core = nn.LSTMCell(config.glimpse, config.hidden)
        self.action = Linear(config.hidden, actions)
        self.baseline = Linear(config.hidden, 1)

    def play(self, games: Games, sampled: bool) -> Played:
        """Play the games to their end."""
        device = self.action.weight.device
        state = cell = torch.zeros(len(games), self.config.hidden, device=device)
        glimpse = self.glimpse.sensor()
        states, places, moves, entropies = [state], [], [], []
        for step in range(games.frames - 1):
            where = self.location.choose(state, sampled, step)
            pyramid = prepare(torch.from_numpy(games.frame()).to(device), self.config.scales)
            state, cell = self.core(glimpse(pyramid, where.clamp(-1, 1).unsqueeze(1)).squeeze(1), (state, cell))
            log_policy = full(self.action(state)).log_softmax(-1)
            move = log_policy.exp().multinomial(1) if sampled else log_policy.argmax(-1, keepdim=True)
            games.act(move.squeeze(1).cpu().numpy())
            states.append(state)
            places.append(where)
            moves.append(log_policy.gather(-1, move).squeeze(-1))
            entropies.append(entropy(log_policy.detach().exp()))
        before, where = torch.stack(states, 1).detach(), torch.stack(places, 1)
        expected = self.baseline(before).squeeze(-1)
        log_prob = self.location.log_prob(where, before[:, :-1])
        reward = torch.from_numpy(games.reward()).to(device)
        return Played(
            where.clamp(-1, 1),
            log_prob,
            torch.stack(moves, 1),
            torch.stack(entropies, 1),
            expected,
            reward,
            self.config.size,
        )

    def forward(self, batch: Games) -> Loss:
        played = self.play(batch, sampled=self.training)
        returns = played.reward[:, None, None]
        expected = played.expected.unsqueeze(1)
        # A place is chosen before its glimpse, the move after it.
        policy = reinforce(played.log_prob_place.unsqueeze(1), returns, expected[..., :-1])
        policy = policy + reinforce(played.log_prob_move.unsqueeze(1), returns, expected[..., 1:])
        error = baseline_error(expected, returns)
        terms = {"caught": played.reward.sum(), "baseline_error": error.detach() / expected.shape[-1]}
        return Loss(policy + error, len(played.reward), terms)
