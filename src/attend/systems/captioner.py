"""Show, attend and tell: image captions with visual attention at each word.

Xu, Ba, Kiros, Cho, Courville, Salakhutdinov, Zemel & Bengio, 2015 (arXiv 1502.03044). The memory is a convolutional
network's feature map: one annotation vector a_i per cell. Before each word the LSTM's state scores the cells. The
context is their weighted mean ("soft": deterministic attention, 4.2) or one sampled cell ("hard": stochastic attention,
4.1). Soft attention is trained by back-propagation. No gradient passes through a sampled cell, so hard attention is
trained on a variational bound on the caption's likelihood. Section and equation numbers are the paper's; details that
it omits are from the authors' code.

It differs from its nearest relative, `rnnsearch` (Bahdanau et al. 2014), in its memory, in hard attention, in a scalar
gate on the context (4.2.1), and in a penalty that encourages equal attention to every cell (eq. 14).

Deviations from the paper:

- The scores are those of one hidden layer; the authors' code for COCO has a second tanh layer on the annotations.
- Initialisation is torch's default, with orthogonal recurrent matrices; the authors' code uses N(0, 0.01^2).
- Dropout is on the deep output's hidden layer, on the context that enters the LSTM, and on the LSTM's state before the
  output (after Zaremba et al. 2014, who also drop word embeddings).
- Without a pretrained network, annotations come from a small convolutional encoder trained jointly. VGG's receptive
  fields cover nearly the whole image, so they encode position; a small encoder's do not, so it gets position features.
- An image whose size is not a multiple of the cell is resized to the next multiple, so that attention maps align with
  it; the paper has 14 x 14 cells for every image.
- The penalty (eq. 14), where its weight is not 0, applies to hard attention's sampling probabilities too.
- The baseline of hard attention averages only minibatches that sample, as only these use it; the authors' code averages
  all. As there, it is of the log-likelihood per token.

At test, hard attention reads the expectation under its weights, as the authors' code does. `attention` selects: "soft"
and "hard" are the models; "mean" is their control, which reads the mean annotation at every step.
"""

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from attend.attention.memory import Memory, Read
from attend.attention.normalise import Hard, softmax
from attend.attention.score import Additive
from attend.contract import BEGIN, Batch, Loss, State, Step
from attend.fast import Linear
from attend.layers import shift_right
from attend.learning import entropy, moving_average, variational_bound
from attend.settings import check_range

MOMENTUM = 0.9
"""Of the moving-average baseline."""
COARSEST = 16
"""Largest stride of a backbone's feature map, in pixels."""
CELL = 8
"""Stride of the small convolutional encoder, in pixels."""
BANDS = 8
"""Position features for each axis."""


@dataclass(frozen=True)
class Config:
    """The sizes for COCO (the authors' code), on precomputed annotations: VGG's, 14 x 14 x 512."""

    encoder: Literal["convolutional", "none", "backbone"] = "none"
    """Where annotations come from: a small convolutional encoder trained jointly, nowhere (the data are feature grids
    already), or a frozen pretrained network: its last feature map with a stride of at most 16, which for VGG is the one
    before the last pooling, as in the paper."""
    features: int = 512
    """With `encoder` "convolutional": size of an annotation (D)."""
    backbone: str = "vgg19"
    """With `encoder` "backbone": its name in timm, which the extra "backbone" installs."""
    backbone_weights: str = ""
    """With `encoder` "backbone": the file of its pretrained weights, in a format that timm reads, for a new run."""
    attention: Literal["soft", "hard", "mean"] = "soft"
    """"soft" and "hard" are the models; "mean" (the mean annotation at every step) is the control."""
    embedding: int = 512
    """Size of the word embeddings, and of the deep output's hidden layer (m)."""
    hidden: int = 1800
    """Size of the LSTM's state (n)."""
    alignment: int = 512
    """Soft and hard attention: size of the hidden layer that scores the cells."""
    dropout: float = 0.5
    """On the deep output's hidden layer."""
    state_dropout: float = 0.5
    """On the context that enters the LSTM, and on the LSTM's state that enters the deep output. The context enters the
    deep output without dropout, so a larger value favours attending again over remembering."""
    penalty: float = 1.0
    """Soft and hard attention: weight of sum_i (1 - sum_t alpha_ti)^2, summed over the cells, not averaged (lambda,
    eq. 14). It spreads attention out: a caption has fewer words than there are cells, so with little data 1 makes maps
    near-uniform."""
    sampled: float = 0.5
    """Hard attention: the share of minibatches that sample cells; the others read the expectation."""
    reward_weight: float = 0.1
    """Hard attention: weight of the REINFORCE term, whose reward is the log-likelihood per token (lambda_r)."""
    entropy_weight: float = 0.002
    """Hard attention: weight of the entropy of the sampling distribution (lambda_e)."""

    def __post_init__(self) -> None:
        check_range(self, "features embedding hidden alignment", 1)
        check_range(self, "penalty reward_weight entropy_weight", 0)
        check_range(self, "dropout state_dropout", 0, 1)
        if not 0 < self.sampled <= 1:
            raise ValueError(f"sampled must be above 0 and at most 1, not {self.sampled}: cells are learnt by sampling")
        if self.backbone_weights and self.encoder != "backbone":
            hint = "set that, or leave the weights out"
            raise ValueError(f'backbone_weights is for encoder "backbone", not "{self.encoder}": {hint}')


class ConvolutionalEncoder(nn.Module):
    """An annotation per 8 x 8 pixels: two convolutions of stride 2, average pooling, and a 1 x 1 convolution.

    Pooling covers 16 x 16 pixels, with a receptive field of 22 x 22 centred on the cell: an object is then seen best
    from the cell that contains it. (A third convolution instead of pooling learns as well, but recognises shapes by
    their upper edges, which the cell above sees too.) Everything is zero-padded, pooling included. The last convolution
    also gets each cell's position features (`places`). Annotations are normalised over an image's cells: mostly dark
    images differ little at first, which slows learning.
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        half = max(features // 2, 1)
        # Even kernels are centred on the 2 x 2 pixels they reduce; a kernel of 3 sees more above than below.
        self.halve = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in ((channels, half), (half, features))
        )
        self.placed = nn.Conv2d(features + 2 * BANDS, features, 1)
        self.normalise = nn.GroupNorm(1, features)
        for layer in (*self.halve, self.placed):
            nn.init.kaiming_normal_(layer.get_parameter("weight"), nonlinearity="relu")
            nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, images: Float[Tensor, "batch channel rows columns"]) -> Float[Tensor, "batch feature row column"]:
        seen = whole_cells(images, CELL)
        for layer in self.halve:
            seen = F.relu(layer(seen))
        seen = F.avg_pool2d(seen, 4, stride=2, padding=1)
        return F.relu(self.normalise(self.placed(torch.cat([seen, places(seen)], dim=1))))


class Backbone(nn.Module):
    """A feature map of a timm model (`Config.encoder` says which), frozen and in evaluation mode.

    It starts from the weights of a file that timm reads, or untrained: a run's weights are loaded afterwards. Nothing
    is downloaded. Raises `ValueError` without timm, and for a model or file that it can't use.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, channels: int, weights: str = "") -> None:
        super().__init__()
        try:
            timm = import_module("timm")
        except ImportError as error:
            raise ValueError("a backbone needs timm: pip install 'attend[backbone]'") from error
        given = {"pretrained": True, "pretrained_cfg_overlay": {"file": weights}} if weights else {"pretrained": False}
        make = partial(timm.create_model, name, features_only=True, in_chans=channels)
        try:
            coarse = make(pretrained=False).feature_info.reduction()
            index = max((index for index, reduction in enumerate(coarse) if reduction <= COARSEST), default=0)
            self.model = make(out_indices=(index,), **given)
        except (RuntimeError, OSError) as error:
            raise ValueError(f"timm can't make the backbone {name!r} {weights} ({error})") from error
        self.size, self.cell = int(self.model.feature_info.channels()[-1]), int(coarse[index])
        # Brightness is from 0 to 1 here; a pretrained network expects its own mean and standard deviation.
        units = timm.data.resolve_model_data_config(self.model)
        for what in ("mean", "std"):
            values = torch.tensor(units[what])
            values = values if len(values) == channels else values.mean().expand(channels)
            self.register_buffer(what, values.reshape(-1, 1, 1).clone())
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "Backbone":
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, images: Float[Tensor, "batch channel rows columns"]) -> Float[Tensor, "batch feature row column"]:
        with torch.no_grad():
            return self.model((whole_cells(images, self.cell) - self.mean) / self.std)[-1]


class Course(NamedTuple):
    """A teacher-forced caption, step by step: states, gated contexts, weights, and log-probabilities of samples."""

    states: Float[Tensor, "batch step hidden"]
    reads: Float[Tensor, "batch step feature"]
    weights: Float[Tensor, "batch step memory"]
    log_probs: Float[Tensor, "batch step"] | None


class System(nn.Module):
    """See the module. Images are pixels of `image_channels`, or grids of `image_features`; the other size is 0.

    Raises `ValueError` if `Config.encoder` does not fit.
    """

    baseline: Tensor

    def __init__(
        self, config: Config, target_vocabulary: int, image_channels: int = 0, image_features: int = 0
    ) -> None:
        super().__init__()
        if not (image_features if config.encoder == "none" else image_channels):
            given, hint = ("features", "none") if image_features else ("pixels", "convolutional or backbone")
            raise ValueError(
                f'encoder "{config.encoder}" is not for images that are {given}: set system.encoder to {hint}'
            )
        self.config, self.channels = config, image_channels
        embedding, hidden = config.embedding, config.hidden
        self.encoder = None
        size = image_features
        if config.encoder == "convolutional":
            self.encoder, size = ConvolutionalEncoder(image_channels, config.features), config.features
        elif config.encoder == "backbone":
            self.encoder = Backbone(config.backbone, image_channels)
            size = self.encoder.size
        # The first word's predecessor is a zero vector.
        self.embedding = nn.Embedding(target_vocabulary, embedding, padding_idx=BEGIN)
        self.score = None
        if config.attention != "mean":
            self.score = Additive(hidden, size, config.alignment, bias=True)
        self.gate = Linear(hidden, 1)
        self.first_state = nn.Sequential(Linear(size, size), nn.ReLU(), Linear(size, hidden), nn.Tanh())
        self.first_cell = nn.Sequential(Linear(size, size), nn.ReLU(), Linear(size, hidden), nn.Tanh())
        self.from_word = Linear(embedding, 4 * hidden)
        self.from_read = Linear(size, 4 * hidden, bias=False)
        self.from_state = Linear(hidden, 4 * hidden, bias=False)
        self.state_to_word = Linear(hidden, embedding)
        self.read_to_word = Linear(size, embedding, bias=False)
        self.dropout, self.state_dropout = nn.Dropout(config.dropout), nn.Dropout(config.state_dropout)
        self.output = Linear(embedding, target_vocabulary)
        for block in self.from_state.weight.data.split(hidden):
            nn.init.orthogonal_(block)
        if config.attention == "hard":
            self.register_buffer("baseline", torch.zeros(()))

    def prepare_training(self) -> None:
        """Load the backbone's pretrained weights, if the configuration names a file. Raises as `Backbone` does."""
        if self.config.backbone_weights:
            self.encoder = Backbone(self.config.backbone, self.channels, self.config.backbone_weights)

    def begin(
        self, images: Float[Tensor, "batch channel rows columns"]
    ) -> tuple[Memory, Float[Tensor, "batch 1 hidden"], Float[Tensor, "batch 1 hidden"]]:
        """The memory (of the control: the mean annotation), and the LSTM's first state and cell: MLPs of the mean."""
        grid = images if self.encoder is None else self.encoder(images)
        annotations, shape = grid.flatten(2).mT, tuple(grid.shape[2:])  # batch memory feature
        mean = annotations.mean(1, keepdim=True)
        if self.score is None:
            annotations, shape = mean, ()
        keys = annotations if self.score is None else self.score.prepare(annotations)
        mask = torch.ones(annotations.shape[:2], dtype=torch.bool, device=annotations.device)
        hard = self.config.attention == "hard"
        memory = Memory(keys, annotations, mask, over="image", shape=shape, sampled=hard)
        return memory, self.first_state(mean), self.first_cell(mean)

    def look(
        self, state: Float[Tensor, "batch query hidden"], memory: Memory, sampled: bool
    ) -> tuple[Read, Float[Tensor, "batch query memory"]]:
        """z_t = beta_t phi(a, alpha_t), beta_t = sigmoid(w h_{t-1} + b) a scalar (4.2.1); and alpha_t.

        Where a cell is sampled, the read's weights are one-hot.
        """
        gate = torch.sigmoid(self.gate(state))
        if self.score is None:
            weights = memory.values.new_ones(*state.shape[:2], 1)
            return Read(gate * (weights @ memory.values), weights), weights
        scores = self.score(state, memory.keys)
        if sampled:
            chosen = Hard()(scores, memory.mask)
            read = Read(gate * (chosen.weights @ memory.values), chosen.weights, chosen.log_prob)
            return read, softmax(scores, memory.mask).weights
        weights = memory.or_forced(softmax(scores, memory.mask).weights)
        return Read(gate * (weights @ memory.values), weights), weights

    def advance(
        self,
        word: Float[Tensor, "batch query four_hidden"],
        read: Float[Tensor, "batch query feature"],
        state: Float[Tensor, "batch query hidden"],
        cell: Float[Tensor, "batch query hidden"],
    ) -> tuple[Float[Tensor, "batch query hidden"], Float[Tensor, "batch query hidden"]]:
        """The LSTM: i, f, o, g from E y_{t-1}, h_{t-1} and z_t (eqs. 1 to 3); `word` is the projected E y_{t-1}."""
        gates = word + self.from_state(state) + self.from_read(self.state_dropout(read))
        size = state.shape[-1]
        enter, keep, show = torch.sigmoid(gates[..., : 3 * size]).chunk(3, dim=-1)
        cell = keep * cell + enter * torch.tanh(gates[..., 3 * size :])
        return show * torch.tanh(cell), cell

    def read_out(
        self,
        word: Float[Tensor, "*batch embedding"],
        state: Float[Tensor, "*batch hidden"],
        read: Float[Tensor, "*batch feature"],
    ) -> Float[Tensor, "*batch vocabulary"]:
        """The deep output, L_o tanh(E y_{t-1} + L_h h_t + L_z z_t) (eq. 7, with the code's tanh)."""
        hidden = torch.tanh(word + self.state_to_word(self.state_dropout(state)) + self.read_to_word(read))
        return self.output(self.dropout(hidden))

    def follow(
        self,
        images: Float[Tensor, "batch channel rows columns"],
        words: Float[Tensor, "batch step embedding"],
        sampled: bool,
    ) -> Course:
        """Teacher forcing; what does not depend on the state is computed outside the loop."""
        memory, state, cell = self.begin(images)
        inputs = self.from_word(words)
        states, reads, weights = [], [], []
        for step in range(words.shape[1]):
            read, soft = self.look(state, memory, sampled)
            state, cell = self.advance(inputs[:, step : step + 1], read.context, state, cell)
            states.append(state)
            reads.append(read)
            weights.append(soft)
        log_probs = [read.log_prob for read in reads if read.log_prob is not None]
        return Course(
            torch.cat(states, 1),
            torch.cat([read.context for read in reads], 1),
            torch.cat(weights, 1),
            torch.cat(log_probs, 1) if log_probs else None,
        )

    def forward(self, batch: Batch) -> Loss:
        config, target, real = self.config, batch.target.values, batch.target.mask
        hard = self.training and config.attention == "hard"
        sampled = hard and bool(torch.rand(()) < config.sampled)
        words = self.embedding(shift_right(target, BEGIN))
        course = self.follow(batch.inputs["image"], words, sampled)
        logits = self.read_out(words[real], course.states[real], course.reads[real])
        nll = F.cross_entropy(logits, target[real], reduction="none")
        total, units = nll.sum(), len(nll)
        terms = {"nll": total.detach()}
        if not self.training or self.score is None:
            return Loss(total, units, terms)
        penalty = coverage_penalty(course.weights, real)
        if hard:
            spread = entropy(course.weights) * real
            terms["entropy"] = spread.sum().detach()
            if course.log_probs is None:
                total = total - config.entropy_weight * spread.sum()
            else:
                likelihood = torch.zeros(real.shape, dtype=nll.dtype, device=nll.device).masked_scatter(real, -nll)
                total = self.bound(likelihood, course.log_probs * real, spread, real)
        return Loss(total + config.penalty * penalty, units, {**terms, "penalty": penalty.detach()})

    def bound(
        self,
        log_likelihood: Float[Tensor, "batch step"],
        log_prob: Float[Tensor, "batch step"],
        spread: Float[Tensor, "batch step"],
        real: Bool[Tensor, "batch step"],
    ) -> Float[Tensor, ""]:
        """Minus the variational bound (eqs. 10 to 12); updates the baseline with this batch's likelihoods.

        All steps of a caption have the same return: its log-likelihood per token, less the baseline.
        """
        length = real.sum(1, keepdim=True)
        caption = log_likelihood.sum(1, keepdim=True)
        found = variational_bound(
            caption,
            log_prob.unsqueeze(1),
            spread.unsqueeze(1),
            self.baseline * length,
            self.config.reward_weight / length,
            self.config.entropy_weight,
        )
        self.baseline.copy_(moving_average(self.baseline, caption / length, MOMENTUM))
        return found.total

    def start(self, batch: Batch) -> State:
        memory, state, cell = self.begin(batch.inputs["image"])
        return State(memory, {"state": state, "cell": cell})

    def step(self, token: Int[Tensor, "batch query"], state: State) -> Step:
        assert state.memory is not None
        word, before = self.embedding(token), state.hidden["state"]
        read, _ = self.look(before, state.memory, sampled=False)
        after, cell = self.advance(self.from_word(word), read.context, before, state.hidden["cell"])
        logits = self.read_out(word, after, read.context)
        return Step(logits, State(state.memory, {"state": after, "cell": cell}), read)


def coverage_penalty(
    weights: Float[Tensor, "batch step memory"], real: Bool[Tensor, "batch step"]
) -> Float[Tensor, ""]:
    """sum_i (1 - sum_t alpha_ti)^2, summed over the cells and over the batch (eq. 14): doubly stochastic attention."""
    looked_at = (weights * real.unsqueeze(-1)).sum(1)
    return (1 - looked_at).square().sum()


def whole_cells(
    images: Float[Tensor, "batch channel rows columns"], cell: int
) -> Float[Tensor, "batch channel whole_rows whole_columns"]:
    """Images resized to the next multiple of the cell's size, so that cells divide them evenly."""
    rows, columns = (size + -size % cell for size in images.shape[2:])
    if images.shape[2:] == (rows, columns):
        return images
    return F.interpolate(images, (rows, columns), mode="bilinear", align_corners=False)


def places(like: Float[Tensor, "batch feature row column"]) -> Float[Tensor, "batch band row column"]:
    """Position features: each cell's centre, linearly interpolated between eight bands down, and eight across.

    With plain x and y a score that decreases in reading order is easily learnt; attention then goes to an object's
    upper left, or beside it there.
    """
    rows, columns = like.shape[2:]
    bands = torch.arange(BANDS, device=like.device).unsqueeze(1)

    def shares(count: int) -> Float[Tensor, "band cell"]:
        middles = ((torch.arange(count, device=like.device) + 0.5) * BANDS / count - 0.5).clamp(0, BANDS - 1)
        return (1 - (middles - bands).abs()).clamp(min=0).to(like.dtype)

    down = shares(rows).unsqueeze(2).expand(-1, -1, columns)
    across = shares(columns).unsqueeze(1).expand(-1, rows, -1)
    return torch.cat([down, across]).expand(len(like), -1, -1, -1)
