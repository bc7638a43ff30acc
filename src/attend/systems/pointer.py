"""Pointer networks: attention as the output.

Vinyals, Fortunato & Jaitly, 2015 (arXiv 1506.03134). An LSTM reads vectors x_1 ... x_n and leaves its states e_j, which
are the memory. A second LSTM, which starts from the first one's last state, points to one of the vectors at each step,
or ends. The weights of a look, softmax_j(v^T tanh(W_1 e_j + W_2 d_i)), are the probabilities of the places: nothing is
read. The vector that was pointed to is the second LSTM's next input. The places to choose from are those of the input,
however many that are, so that a network can be used on longer inputs than it was trained on.

It differs from its nearest relative, `rnnsearch` (Bahdanau et al. 2014), in that the weights, which there blend the
memory for a softmax over a fixed vocabulary, are the output themselves. They are soft, and learnt by back-propagation
from the cross-entropy of the right places.

The control, `choice` "places", has no attention: an ordinary softmax over a fixed number of places, with the same two
LSTMs. It must be told how many places there are, and can't say those that it never learnt.

Deviations from the paper:

- A place is pointed to once at most: its score is minus infinity from then on, in training too. So outputs that end
  where they began, such as closed tours, leave the last place out.
- The end is a cell of the memory before all others, with a learnt vector in the place of a state, so that each look's
  weights sum to one over the places and the end. The first input of the second LSTM is learnt too.
- The LSTMs have torch's two bias vectors a gate.
- The recipes standardise the vectors, and those for a CPU have smaller LSTMs and Adam, where the paper has SGD.
- The control, too, chooses among the places of the input alone, each once.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attend.attention.memory import Memory, Read
from attend.attention.normalise import check_mask
from attend.attention.score import Additive
from attend.contract import BEGIN, END, Batch, Cells, Loss, State, Step
from attend.fast import Linear
from attend.precision import full, recur
from attend.settings import check_config


@dataclass(frozen=True)
class Config:
    """The size of the LSTMs, and how a place is chosen."""

    choice: Literal["pointer", "places"] = "pointer"
    """Point at the input; or, the control, choose among a fixed number of places."""
    hidden: int = 512
    """Size of the LSTMs' states, and of the hidden layer of the scores."""
    places: int = 20
    """Places that the control knows: longer inputs are refused."""
    scale: float = 0.08
    """Initial weights are uniform in [-scale, scale]."""

    def __post_init__(self) -> None:
        check_config(self)


def closed_before(chosen: Int[Tensor, "batch step"], options: int) -> Bool[Tensor, "batch step option"]:
    """Which options each step finds closed: those that were chosen before it, but never the end, which is option 0.

    >>> closed_before(torch.tensor([[2, 1, 0]]), 3).int()
    tensor([[[0, 0, 0],
             [0, 0, 1],
             [0, 1, 1]]], dtype=torch.int32)
    """
    taken = F.one_hot(chosen, options)
    closed = (taken.cumsum(1) - taken).bool()
    closed[..., 0] = False
    return closed


class System(nn.Module):
    """See the module. A token is END, or END + j for the j-th vector of the input, counted from 1."""

    def __init__(self, config: Config, points_size: int) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden
        self.encoder = nn.LSTM(points_size, hidden, batch_first=True)
        self.decoder = nn.LSTM(points_size, hidden, batch_first=True)
        self.begin = nn.Parameter(torch.empty(points_size))
        pointing = config.choice == "pointer"
        self.score = Additive(hidden, hidden, hidden) if pointing else None
        self.end = nn.Parameter(torch.empty(hidden)) if pointing else None
        self.output = None if pointing else Linear(hidden, 1 + config.places)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -config.scale, config.scale)

    def encode(
        self, points: Cells
    ) -> tuple[
        Float[Tensor, "batch option key"] | None,
        Float[Tensor, "batch option size"],
        Bool[Tensor, "batch option"],
        tuple[Float[Tensor, "1 batch hidden"], Float[Tensor, "1 batch hidden"]],
    ]:
        """Of the end and of each place: its key, where there is attention; the vector that it stands for; whether it is
        real. And the last state and cell. Raises `ValueError` for an input that is all padding, or too long for the
        control."""
        mask = points.mask
        check_mask(mask)
        if self.output is not None and mask.shape[1] > self.config.places:
            longest = int(mask.sum(1).max())
            if longest > self.config.places:
                raise ValueError(
                    f"an input has {longest} vectors, but this model chooses among {self.config.places} places: "
                    "train with a larger system.places"
                )
        packed = pack_padded_sequence(points.values, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        states, last = recur(self.encoder, packed)
        values = F.pad(points.values * mask.unsqueeze(-1), (0, 0, 1, 0))
        options = F.pad(mask, (1, 0), value=True)
        if self.score is None or self.end is None:
            return None, values, options, last
        states = pad_packed_sequence(states, batch_first=True, total_length=mask.shape[1])[0]
        end = self.end.to(states.dtype).expand(len(mask), 1, -1)
        return self.score.prepare(torch.cat([end, states], 1)), values, options, last

    def log_probs(
        self,
        states: Float[Tensor, "batch step hidden"],
        keys: Float[Tensor, "batch option key"] | None,
        closed: Bool[Tensor, "batch step option"],
    ) -> Float[Tensor, "batch step option"]:
        """log p of each option at each step; minus infinity where it is closed."""
        if self.score is not None and keys is not None:
            scores = self.score(states, keys)
        else:
            assert self.output is not None
            scores = self.output(states)
            # Padding beyond the places that the control knows is closed anyway.
            scores = F.pad(scores, (0, max(0, closed.shape[-1] - scores.shape[-1])))[..., : closed.shape[-1]]
        return full(scores).masked_fill(closed, -torch.inf).log_softmax(-1)

    def forward(self, batch: Batch) -> Loss:
        keys, values, options, last = self.encode(batch.inputs["points"])
        real = batch.target.mask
        chosen = (batch.target.values - END).masked_fill(~real, 0)
        pointed = values.gather(1, chosen[:, :-1].unsqueeze(-1).expand(-1, -1, values.shape[-1]))
        inputs = torch.cat([self.begin.to(values.dtype).expand(len(values), 1, -1), pointed], 1)
        closed = closed_before(chosen, options.shape[1]) | ~options.unsqueeze(1)
        log_probs = self.log_probs(recur(self.decoder, inputs, last)[0], keys, closed)
        nll = -log_probs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)[real].sum()
        return Loss(nll, int(real.sum()), {"nll": nll.detach()})

    def start(self, batch: Batch) -> State:
        keys, values, options, (state, cell) = self.encode(batch.inputs["points"])
        hidden = {"state": state.transpose(0, 1), "cell": cell.transpose(0, 1)}
        hidden["closed"] = (~options).to(values.dtype).unsqueeze(1)
        if keys is None:  # without attention there is no memory
            return State(None, {**hidden, "values": values.unsqueeze(1)})
        return State(Memory(keys, values, options, over="points"), hidden)

    def step(self, token: Int[Tensor, "batch query"], state: State) -> Step:
        memory, hidden = state.memory, state.hidden
        batch, queries = token.shape
        values = hidden["values"] if memory is None else memory.values.unsqueeze(1)
        values = values.expand(-1, queries, -1, -1)
        chosen = (token - END).clamp(min=0)
        pointed = values.gather(2, chosen[..., None, None].expand(-1, -1, 1, values.shape[-1])).squeeze(2)
        inputs = torch.where((token == BEGIN).unsqueeze(-1), self.begin.to(values.dtype), pointed)
        taken = F.one_hot(chosen, values.shape[2]).to(values.dtype)
        taken[..., 0] = 0
        closed = torch.maximum(hidden["closed"], taken)

        before = [hidden[name].flatten(0, 1).unsqueeze(0).contiguous() for name in ("state", "cell")]
        states, after = recur(self.decoder, inputs.flatten(0, 1).unsqueeze(1), tuple(before))
        keys = None if memory is None else memory.keys
        log_probs = self.log_probs(states.view(batch, queries, -1), keys, closed.bool())
        read = None
        if memory is not None:
            weights = memory.or_forced(log_probs.exp())
            if memory.forced is not None:
                log_probs = weights.log()
            read = Read(weights @ memory.values, weights)
        named = {name: one.view(batch, queries, -1) for name, one in zip(("state", "cell"), after, strict=True)}
        logits = F.pad(log_probs, (END, 0), value=-torch.inf)
        return Step(logits, State(memory, {**hidden, **named, "closed": closed}), read)
