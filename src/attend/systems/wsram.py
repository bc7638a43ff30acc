"""WS-RAM: wake-sleep recurrent attention models.

Ba, Grosse, Salakhutdinov & Frey, 2015 (arXiv 1509.06812). It looks at a few places of an image, one after the other,
and names what is there. The places a = a_1, ..., a_T are cells of a grid, drawn from p(a | x); the class has
p(y | x) = sum_a p(a | x) p(y | a, x). The paper's matter is how such a choice is learnt: a second network
q(a | y, x), which is given the answer, proposes places that explain it, and the proposals are weighted by importance
(reweighted wake-sleep). The network that answers learns from places that it would seldom have tried by itself.

It differs from its nearest relative, RAM (Mnih et al. 2014), in that the places are discrete, chosen from a preview of
the whole image and from what was seen, and that the gradient is that of log p(y | x), of all that predicts, instead of
REINFORCE's for the choice alone. `rule` chooses what is learnt by:

- "wake-sleep": samples from q, each weighted by p(a | x) p(y | a, x) / q(a | y, x); q learns from the same weights;
- "wake-sleep-prior": the same without q: samples from p(a | x), weighted by p(y | a, x);
- "variational": what it is compared with: samples from p(a | x), and REINFORCE with log p(y | a, x) as the return, the
  gradient of the bound sum_a p(a | x) log p(y | a, x) (Ba et al. 2014; Xu et al. 2015).

Which gradient goes where: the weights are constants (`attend.learning.wake_sleep`). What predicts (its eye, core,
classifier and chooser) learns by the weighted log p(a, y | x), together; the inference network, which shares no weights
with it, by the weighted log q; the baseline by its own error, from a detached state. The class is read from a core
that has seen only the glimpses and where each was: the preview says where to look, and can hint at the answer by that
alone.

Predictions come from p alone, neither from q nor from the label: `answer` looks at the likeliest place of each step,
in one pass.

What of this is the paper's: its text beyond the abstract was not at hand. The abstract and the published reviews say
that there is an inference network trained along, importance weights as in reweighted wake-sleep, and control variates
made for it; the estimator follows from these, and tests hold that it approaches the enumerated gradient as copies grow.
That the inference network is recurrent over glimpses of its own, with the label and a preview of low resolution as
inputs, is as the paper is remembered. No figure of the paper is claimed, and everything else is a choice of ours:

- q is p times a learnt correction, q(a_t | ...) proportional to p(a_t | ...) exp(f_t), where p is a constant and f
  begins at zero. A q that has to learn from weighted samples what p knows lags behind it: in short runs its samples
  were worth less than p's own. Where p is nearly deterministic, as it soon is without `chance`, q has little to add.
- The weights' control variate for log p(a | x) is 1 / M without q, and the normalised p / q with it. That of the
  variational rule is a learnt baseline for each step.
- `chance` mixes p with the uniform distribution, which explores. It is off by default; the variational rule, whose p
  soon collapses to the same places in every image, gains the most from it.
- Sizes, the grid, and the rectified recurrences: RAM's core, and above it a layer that chooses the places.
- Adam; no sleep phase (q learns from weighted samples, never from dreams of p).
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
    """Three glimpses at digits of different sizes, somewhere on 60 x 60 pixels."""

    rule: Literal["wake-sleep", "wake-sleep-prior", "variational"] = "wake-sleep"
    """How the choice of places is learnt: see the module."""
    control_variates: bool = True
    """Subtract a control variate from each gradient's weight (wake-sleep), or a learnt baseline (variational)."""
    copies: int = 5
    """Samples of an image's places in an update (M)."""
    glimpses: int = 3
    """Places looked at before the class is named (T)."""
    grid: int = 6
    """Rows and columns of the grid that places are chosen from."""
    size: int = 12
    """Rows and columns of a patch, in pixels."""
    scales: int = 2
    """Patches of a glimpse, each twice as wide as the one before."""
    preview: int = 12
    """Rows and columns that the whole image is shrunk to, to choose places by."""
    chance: float = 0.0
    """Share of the uniform distribution in each step's p(a | x), which keeps it from becoming deterministic."""
    hidden: int = 128
    """Size of each recurrent state."""
    glimpse: int = 128
    """Size of the glimpse vector, and of the layer below it."""

    def __post_init__(self) -> None:
        check_config(self)
        if self.rule != "variational" and self.copies < 2:
            raise ValueError("copies must be at least 2: wake-sleep compares samples, and one alone always weighs 1")


class Eye(nn.Module):
    """g = relu(W relu(V x_a) + e_a): what is seen at a place, and which place that is."""

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
    """Scores of where to look next, from a state that begins with the preview (and with the label, if it is given).

    r_0 = relu(W x + e_y), r_t = relu(U r_{t-1} + V s_t) for what was seen, s_t; the scores are P r_t.
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
    """What q(a | y, x) has of its own: an eye, and a chooser that is given the label."""

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
    """A scan path: the core's state after each glimpse, where each was, and the log-probability of that.

    `log_proposal` is q's, of the same places; None where q is not used. `before` is the state that each place
    was chosen by.
    """

    states: Float[Tensor, "batch copy step hidden"]
    place: Int[Tensor, "batch copy step"]
    log_prior: Float[Tensor, "batch copy step"]
    log_proposal: Float[Tensor, "batch copy step"] | None
    before: Float[Tensor, "batch copy step hidden"]


def sample(step: int, log_probs: Float[Tensor, "batch copy place"]) -> Int[Tensor, "batch copy"]:
    """A place from the distribution."""
    return log_probs.detach().exp().flatten(0, 1).multinomial(1).view(log_probs.shape[:2])


def likeliest(step: int, log_probs: Float[Tensor, "batch copy place"]) -> Int[Tensor, "batch copy"]:
    """The most probable place."""
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
        """Scan each image `copies` times, each copy on a path of its own: h_t = relu(W h_{t-1} + U g_t).

        `pick` is given log p of the places or, where a label is given and there is an inference network, log q.
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
        """What is minimised, by the rule, given paths that were sampled as the rule says; and what to log of it."""
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
        """The answer after each glimpse, at the likeliest places."""
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
    """The log-probability of what was chosen."""
    return log_probs.gather(-1, choice.unsqueeze(-1)).squeeze(-1)
