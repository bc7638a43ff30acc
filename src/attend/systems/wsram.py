"""WS-RAM: wake-sleep recurrent attention models.

Ba, Grosse, Salakhutdinov & Frey, 2015 (arXiv 1509.06812). It classifies an image from a sequence of glimpses. The
locations a = a_1, ..., a_T are cells of a grid, sampled from p(a | x); the class has p(y | x) =
sum_a p(a | x) p(y | a, x). The paper is about training such hard attention: an inference network q(a | y, x), which
sees the label, proposes locations that explain it, and the samples are importance-weighted (reweighted wake-sleep). So
the model also learns from locations that it would rarely sample itself.

It differs from its nearest relative, RAM (Mnih et al. 2014), in that locations are discrete and depend on a preview of
the whole image as well as on glimpses, and that all of the model is trained on the gradient of log p(y | x), instead of
REINFORCE for the locations alone. `rule` selects the estimator:

- "wake-sleep": samples from q, each weighted by p(a | x) p(y | a, x) / q(a | y, x); q learns from the same weights;
- "wake-sleep-prior": the same without q: samples from p(a | x), weighted by p(y | a, x);
- "variational": the paper's baseline: samples from p(a | x), and REINFORCE with log p(y | a, x) as the return, the
  gradient of the bound sum_a p(a | x) log p(y | a, x) (Ba et al. 2014; Xu et al. 2015).

Where gradients flow: the importance weights are constants (`attend.learning.wake_sleep`). The predictive model (eye,
core, classifier and chooser) is trained jointly on the weighted log p(a, y | x); the inference network, which shares no
parameters with it, on the weighted log q; the baseline on its own error, from a detached state. The class is predicted
from a core that sees only glimpses and their locations: the preview affects the answer only through the locations.

Predictions use p alone, neither q nor the label: `answer` takes the most probable location at each step, in one pass.

What is from the paper: only its abstract and published reviews were available. They describe a jointly trained
inference network, importance weights as in reweighted wake-sleep, and control variates for it; the estimator follows
from these, and tests check that it approaches the enumerated gradient as samples grow. That the inference network is
recurrent over its own glimpses, with the label and a low-resolution preview as inputs, is from memory of the paper. No
result of the paper is claimed, and everything else is our choice:

- q is p times a learnt correction, q(a_t | ...) proportional to p(a_t | ...) exp(f_t), where p is detached and f starts
  at zero. A q that must learn p from weighted samples lags behind it: in short runs its samples were worth less than
  p's own. Where p is nearly deterministic, as it soon is without `chance`, q has little to add.
- The control variate of the weights for log p(a | x) is 1 / M without q, and the normalised p / q with it. That of the
  variational rule is a learnt baseline for each step.
- `chance` mixes p with the uniform distribution, for exploration. It is off by default; the variational rule, whose p
  soon collapses to the same locations in every image, gains the most from it.
- Sizes, the grid, and the ReLU recurrences: RAM's core, and above it a layer that chooses the locations.
- Adam; no sleep phase (q learns from weighted samples, never from samples of p alone).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from attend.attention.glimpse import glimpse_views, look, prepare
from attend.contract import Answers, Batch, Look, Loss
from attend.fast import Linear
from attend.learning import effective_sample_size, hybrid, importance_bound, wake_sleep
from attend.precision import full
from attend.settings import check_config

# (step, log-probabilities of the places) -> a place for each copy.
Pick = Callable[[int, Float[Tensor, "batch copy place"]], Int[Tensor, "batch copy"]]


@dataclass(frozen=True)
class Config:
    """Three glimpses at digits of varying size and position on 60 x 60 pixels."""

    rule: Literal["wake-sleep", "wake-sleep-prior", "variational"] = "wake-sleep"
    """The estimator of the locations' gradient: see the module."""
    control_variates: bool = True
    """Subtract a control variate from each gradient's weight (wake-sleep), or a learnt baseline (variational)."""
    copies: int = 5
    """Monte-Carlo samples per image in an update (M)."""
    glimpses: int = 3
    """Glimpses before the class is predicted (T)."""
    grid: int = 6
    """Rows and columns of the grid of locations."""
    size: int = 12
    """Rows and columns of a patch, in pixels."""
    scales: int = 2
    """Patches of a glimpse, each twice as wide as the one before."""
    preview: int = 12
    """Rows and columns of the preview, the downsampled whole image."""
    chance: float = 0.0
    """Weight of the uniform distribution in each step's p(a | x), which keeps it from becoming deterministic."""
    hidden: int = 128
    """Size of each recurrent state."""
    glimpse: int = 128
    """Size of the glimpse vector, and of the hidden layer below it."""

    def __post_init__(self) -> None:
        check_config(self)
        if self.rule != "variational" and self.copies < 2:
            raise ValueError("copies must be at least 2: wake-sleep normalises weights, and a single one is always 1")


class Eye(nn.Module):
    """g = relu(W relu(V x_a) + e_a): what is seen at a location, and the location's embedding."""

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        self.patches = Linear(config.scales * channels * config.size**2, config.glimpse)
        self.joined = Linear(config.glimpse, config.glimpse, bias=False)
        self.place = nn.Embedding(config.grid**2, config.glimpse)

    def forward(
        self, patches: Float[Tensor, "batch copy pixel"], place: Int[Tensor, "batch copy"]
    ) -> Float[Tensor, "batch copy glimpse"]:
        return F.relu(self.joined(F.relu(self.patches(patches))) + self.place(place))


class Chooser(nn.Module):
    """Scores of the next location, from a state initialised with the preview (and the label, if given).

    r_0 = relu(W x + e_y), r_t = relu(U r_{t-1} + V s_t) with `seen` s_t; the scores are P r_t.
    """

    def __init__(self, config: Config, channels: int, seen: int) -> None:
        super().__init__()
        self.preview = Linear(channels * config.preview**2, config.hidden)
        self.from_state = Linear(config.hidden, config.hidden)
        self.from_seen = Linear(seen, config.hidden, bias=False)
        self.place = Linear(config.hidden, config.grid**2)

    def start(
        self, preview: Float[Tensor, "batch pixel"], label: Float[Tensor, "batch hidden"] | None = None
    ) -> Float[Tensor, "batch hidden"]:
        first = self.preview(preview)
        return F.relu(first if label is None else first + label)

    def after(
        self, state: Float[Tensor, "batch copy hidden"], seen: Float[Tensor, "batch copy seen"]
    ) -> Float[Tensor, "batch copy hidden"]:
        return F.relu(self.from_state(state) + self.from_seen(seen))

    def forward(self, state: Float[Tensor, "batch copy hidden"]) -> Float[Tensor, "batch copy place"]:
        return full(self.place(state))


class Inference(nn.Module):
    """The parameters of q(a | y, x): an eye, and a chooser that gets the label."""

    def __init__(self, config: Config, channels: int, classes: int) -> None:
        super().__init__()
        self.eye = Eye(config, channels)
        self.label = nn.Embedding(classes, config.hidden)
        self.chooser = Chooser(config, channels, config.glimpse)
        nn.init.zeros_(self.chooser.place.weight)
        nn.init.zeros_(self.chooser.place.bias)

    def start(
        self, preview: Float[Tensor, "batch pixel"], label: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch hidden"]:
        return self.chooser.start(preview, self.label(label))

    def correct(
        self, log_prior: Float[Tensor, "batch copy place"], state: Float[Tensor, "batch copy hidden"]
    ) -> Float[Tensor, "batch copy place"]:
        """log q of each place: p (detached) times exp(f), normalised."""
        return (log_prior.detach() + self.chooser(state)).log_softmax(-1)


class Scan(NamedTuple):
    """A scan path: the core's state after each glimpse, its location, and the location's log-probability.

    `log_proposal` is q's for the same places; None where q is not used. `before` is the state that each place was
    chosen from.
    """

    states: Float[Tensor, "batch copy step hidden"]
    place: Int[Tensor, "batch copy step"]
    log_prior: Float[Tensor, "batch copy step"]
    log_proposal: Float[Tensor, "batch copy step"] | None
    before: Float[Tensor, "batch copy step hidden"]


def sample(step: int, log_probs: Float[Tensor, "batch copy place"]) -> Int[Tensor, "batch copy"]:
    """Sampled places."""
    return log_probs.detach().exp().flatten(0, 1).multinomial(1).view(log_probs.shape[:2])


def likeliest(step: int, log_probs: Float[Tensor, "batch copy place"]) -> Int[Tensor, "batch copy"]:
    """The most probable places."""
    return log_probs.argmax(-1)


class System(nn.Module):
    """See the module. Images may be of any size."""

    centres: Tensor

    def __init__(self, config: Config, image_channels: int, target_classes: int) -> None:
        super().__init__()
        self.config = config
        self.eye = Eye(config, image_channels)
        self.from_glimpse = Linear(config.glimpse, config.hidden)
        self.from_state = Linear(config.hidden, config.hidden, bias=False)
        self.classifier = Linear(config.hidden, target_classes)
        self.chooser = Chooser(config, image_channels, config.hidden)
        infers = config.rule == "wake-sleep"
        self.inference = Inference(config, image_channels, target_classes) if infers else None
        with_baseline = config.rule == "variational" and config.control_variates
        self.baseline = Linear(config.hidden, 1) if with_baseline else None
        self.register_buffer("centres", grid_places(config.grid), persistent=False)

    def scan(
        self,
        images: Float[Tensor, "batch channel rows columns"],
        copies: int,
        pick: Pick,
        label: Int[Tensor, "batch"] | None = None,
    ) -> Scan:
        """Scan each image `copies` times, each on its own path: h_t = relu(W h_{t-1} + U g_t).

        `pick` gets log p of the places or, with a label and an inference network, log q.
        """
        pyramid = prepare(images, self.config.scales)
        preview = F.adaptive_avg_pool2d(images, self.config.preview).flatten(1)
        state = images.new_zeros(len(images), copies, self.config.hidden)
        prior = self.chooser.start(preview).unsqueeze(1).expand(-1, copies, -1)
        inference, proposal = None, prior
        if label is not None and self.inference is not None:
            inference = self.inference
            proposal = inference.start(preview, label).unsqueeze(1).expand(-1, copies, -1)
        states, places, befores, log_priors, log_proposals = [], [], [], [], []
        for step in range(self.config.glimpses):
            log_prior = log_proposal = self.log_prior(prior)
            if inference is not None:
                log_proposal = inference.correct(log_prior, proposal)
            place = pick(step, log_proposal)
            befores.append(prior)
            patches = look(pyramid, self.centres[place], self.config.size).flatten(2)
            state = F.relu(self.from_state(state) + self.from_glimpse(self.eye(patches, place)))
            states.append(state)
            places.append(place)
            log_priors.append(of_choice(log_prior, place))
            log_proposals.append(of_choice(log_proposal, place))
            if step + 1 < self.config.glimpses:
                prior = self.chooser.after(prior, state)
                if inference is not None:
                    proposal = inference.chooser.after(proposal, inference.eye(patches, place))
        return Scan(
            torch.stack(states, 2),
            torch.stack(places, 2),
            torch.stack(log_priors, 2),
            None if inference is None else torch.stack(log_proposals, 2),
            torch.stack(befores, 2),
        )

    def log_prior(self, state: Float[Tensor, "batch copy hidden"]) -> Float[Tensor, "batch copy place"]:
        """log p of each place, mixed with the uniform distribution."""
        log_probs = self.chooser(state).log_softmax(-1)
        if not self.config.chance:
            return log_probs
        uniform = log_probs.new_tensor(math.log(self.config.chance / log_probs.shape[-1]))
        return torch.logaddexp(log_probs + math.log1p(-self.config.chance), uniform)

    def log_likelihood(self, scan: Scan, label: Int[Tensor, "batch"]) -> Float[Tensor, "batch copy"]:
        """log p(y | a, x)."""
        log_probs = full(self.classifier(scan.states[:, :, -1])).log_softmax(-1)
        return of_choice(log_probs, label.unsqueeze(1).expand(log_probs.shape[:2]))

    def learn(self, scan: Scan, label: Int[Tensor, "batch"]) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The rule's loss, given paths sampled as the rule requires; and terms to log."""
        log_likelihood = self.log_likelihood(scan, label)
        nll = -log_likelihood.detach().mean(1).sum()
        if self.config.rule != "variational":
            found = wake_sleep(log_likelihood, scan.log_prior, scan.log_proposal, self.config.control_variates)
            terms = {"bound": found.bound, "effective_sample_size": found.effective_sample_size}
            return found.total, {"nll": nll, **terms}
        returns = log_likelihood.unsqueeze(-1)
        baseline = torch.zeros_like(scan.log_prior)
        if self.baseline is not None:
            baseline = self.baseline(scan.before.detach()).squeeze(-1)
        found = hybrid(log_likelihood, scan.log_prior, returns, baseline)
        log_weights = log_likelihood.detach()
        terms = {
            "bound": importance_bound(log_weights).sum(),
            "effective_sample_size": effective_sample_size(log_weights).sum(),
            "baseline_error": found.baseline_error / self.config.glimpses,
        }
        return found.total, {"nll": nll, **terms}

    def forward(self, batch: Batch) -> Loss:
        images, label = batch.inputs["image"], batch.target
        if self.training:
            scan = self.scan(images, self.config.copies, sample, label)
        else:
            scan = self.scan(images, 1, likeliest)
        answers = self.classifier(scan.states[:, :, -1].detach()).argmax(-1)
        terms = {"error": (answers != label.unsqueeze(1)).to(images.dtype).mean(1).sum()}
        if self.training:
            total, more = self.learn(scan, label)
            return Loss(total, len(label), terms | more)
        nll = -self.log_likelihood(scan, label).sum()
        return Loss(nll, len(label), terms | {"nll": nll.detach()})

    def answer(self, batch: Batch) -> Answers:
        """The answer after each glimpse, at the most probable places."""
        images = batch.inputs["image"]
        scan = self.scan(images, 1, likeliest)
        size, scales, (rows, columns) = self.config.size, self.config.scales, images.shape[2:]
        views = [glimpse_views(where, size, scales, rows, columns) for where in self.centres[scan.place[:, 0]]]
        return Answers(self.classifier(scan.states[:, 0]), {"glimpse": Look(views, "image")})


def grid_places(count: int) -> Float[Tensor, "place 2"]:
    """The (x, y) of the centres of count x count equal cells, row by row from the top left."""
    centres = (2 * torch.arange(count) + 1) / count - 1
    return torch.cartesian_prod(centres, centres).flip(-1)


def of_choice(
    log_probs: Float[Tensor, "batch copy choice"], choice: Int[Tensor, "batch copy"]
) -> Float[Tensor, "batch copy"]:
    """The log-probability of each choice."""
    return log_probs.gather(-1, choice.unsqueeze(-1)).squeeze(-1)
