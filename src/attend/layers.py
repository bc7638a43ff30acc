"""Layers that several systems share: encoders, sentences, readouts, and sequence reversal."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from attend.attention.mechanism import Attend
from attend.attention.normalise import softmax, uniform
from attend.attention.score import Perceptron
from attend.fast import Linear, linear
from attend.recurrence import gru


def reverse_order(mask: Bool[Tensor, "batch step"]) -> Int[Tensor, "batch step"]:
    """Indices that reverse each sequence within its own length; padding stays at the right."""
    positions = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    lengths = mask.sum(dim=1, keepdim=True)
    return torch.where(mask, lengths - 1 - positions, positions)


def shift_right(target: Int[Tensor, "batch step"], begin: int) -> Int[Tensor, "batch step"]:
    """A decoder's input under teacher forcing: BEGIN, then each target token but the last."""
    return torch.cat([target.new_full((len(target), 1), begin), target[:, :-1]], dim=1)


class BidirectionalGRU(nn.Module):
    """Two GRUs over a sequence, one a direction; the backward one reads each sequence from its own last real step."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input = Linear(input_size, 6 * hidden_size)
        self.recurrent = nn.Parameter(torch.empty(2, 3 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(2, 3 * hidden_size))
        for block in self.recurrent.data.view(6, hidden_size, hidden_size):
            nn.init.orthogonal_(block)

    def forward(
        self, inputs: Float[Tensor, "batch step input"], mask: Bool[Tensor, "batch step"]
    ) -> tuple[Float[Tensor, "batch step two_hidden"], Float[Tensor, "batch two_hidden"]]:
        """Annotations (zero on padding), and the last state of each direction side by side, forward first."""
        batch = len(inputs)
        order = reverse_order(mask).unsqueeze(-1)
        size = self.recurrent.shape[-1]
        forward, backward = self.input(inputs).split(3 * size, dim=-1)
        backward = backward.gather(1, order.expand_as(backward))
        gates = torch.stack([forward, backward]).permute(2, 0, 1, 3)  # step direction batch three_hidden
        full = bool(mask.all())
        states = gru(gates, inputs.new_zeros(2, batch, size), self.recurrent, self.bias, None if full else mask.T)
        forward, backward = states.permute(1, 2, 0, 3).unbind()  # batch step hidden
        annotations = torch.cat([forward, backward.gather(1, order.expand_as(backward))], dim=-1)
        final = states[-1].transpose(0, 1).reshape(batch, 2 * size)
        return annotations if full else annotations * mask.unsqueeze(-1), final


# n-grams are hashed: a polynomial in their words' numbers, modulo 2^64, whose upper bits depend on all of them (Knuth's
# multiplier for MMIX).
BASE, SHIFT = 6364136223846793005, 32


class NGrams(nn.Module):
    """An embedding for each word, and for each n-gram that ends with it, up to so many words long, hashed into a table.

    Their sum is the word's vector. Words are not hashed: two share a row only where there are more of them than rows.
    What begins before the sequence does is an n-gram of its own.
    """

    def __init__(self, longest: int, buckets: int, size: int) -> None:
        super().__init__()
        self.longest, self.buckets = longest, buckets
        self.table = nn.Embedding(buckets, size)
        nn.init.normal_(self.table.weight, std=0.1)

    def rows(self, words: Int[Tensor, "batch step"]) -> Int[Tensor, "batch step length"]:
        """The rows of the table, of the word first."""
        found, number = [words], words
        for length in range(1, self.longest):
            number = number * BASE + F.pad(words, (length, 0), value=-1)[:, : words.shape[1]]
            found.append(number * BASE >> SHIFT)
        return torch.stack(found, 2) % self.buckets

    def forward(self, words: Int[Tensor, "batch step"]) -> Float[Tensor, "batch step size"]:
        return self.table(self.rows(words)).sum(2)


class GatedUnit(nn.Module):
    """The gated unit of Cho et al. 2014 (and of RNNsearch), whose reset gate acts *before* the recurrent product:

        r, z = sigmoid(W_rz x + U_rz h),  n = tanh(W_n x + U_n (r h)),  h' = z h + (1 - z) n

    torch's GRU applies r after U_n, which is a different function. (RNNsearch writes z for 1 - z.) The input's
    projection does not need the state, and is separate: `input(x)` gives it for reset, update and new.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.input = Linear(input_size, 3 * hidden_size)
        self.gates = Linear(hidden_size, 2 * hidden_size, bias=False)
        self.new = Linear(hidden_size, hidden_size, bias=False)

    def make_orthogonal(self) -> None:
        """Initialise each recurrent matrix as a random orthogonal one."""
        for block in (*self.gates.weight.data.split(self.hidden_size), self.new.weight.data):
            nn.init.orthogonal_(block)

    def forward(
        self, inputs: Float[Tensor, "*batch three_hidden"], state: Float[Tensor, "*batch hidden"]
    ) -> Float[Tensor, "*batch hidden"]:
        """One step, from the output of `input` (plus any other terms)."""
        gates, new = inputs.split((2 * self.hidden_size, self.hidden_size), dim=-1)
        reset, update = torch.sigmoid(gates + self.gates(state)).chunk(2, dim=-1)
        new = torch.tanh(new + self.new(reset * state))
        return torch.lerp(new.to(state.dtype), state, update.to(state.dtype))

    def run(
        self,
        inputs: Float[Tensor, "batch step three_hidden"],
        state: Float[Tensor, "batch hidden"],
        mask: Bool[Tensor, "batch step"],
    ) -> Float[Tensor, "batch step hidden"]:
        """All states; padding copies the state, so the last is that of the last real step."""
        states = []
        for step in range(inputs.shape[1]):
            state = torch.where(mask[:, step, None], self(inputs[:, step], state), state)
            states.append(state)
        return torch.stack(states, dim=1)


class Sentences(nn.Module):
    """Sentences as vectors: embeddings of their words, weighted by their positions and summed, and of how old they are.

    Word j of J has the weights l_kj of `position_weights`; without `positions` all words count alike. `memories` is the
    greatest age; 0 for sentences without one. Word 0 is padding, and age 0 that of a padded sentence: their vectors are
    zero. There are `layers` embeddings of each word, side by side in one table: it is read once.
    """

    def __init__(self, vocabulary: int, size: int, layers: int = 1, memories: int = 0, positions: bool = True) -> None:
        super().__init__()
        self.size, self.layers, self.positions = size, layers, positions
        self.words = nn.Embedding(vocabulary, layers * size, padding_idx=0)
        self.ages = nn.Embedding(memories + 1, layers * size, padding_idx=0) if memories else None
        for table in (self.words, self.ages):
            if table is not None:
                nn.init.normal_(table.weight, std=0.1)
                table.weight.data[0] = 0

    def forward(
        self, words: Int[Tensor, "batch sentence word"], age: Int[Tensor, "batch sentence"] | None = None
    ) -> Float[Tensor, "batch sentence layer size"]:
        flat = words.flatten(0, 1)
        embedded = self.words(flat)
        found = embedded.sum(1)
        if self.positions:
            # sum_j l_kj x_jk = sum_j x_jk + slope_k sum_j step_j x_jk
            step, slope = position_terms((flat != 0).sum(-1), flat.shape[1], self.size)
            found = torch.addcmul(found, (embedded * step.unsqueeze(-1)).sum(1), slope.repeat(self.layers))
        found = found.view(*words.shape[:2], -1)
        if age is not None and self.ages is not None:
            found = found + self.ages(age)
        return found.unflatten(-1, (self.layers, self.size))


def ages(mask: Bool[Tensor, "batch sentence"], noise: float, most: int) -> Int[Tensor, "batch sentence"]:
    """How old each sentence is: 1 for the newest, and one more for each sentence after it.

    With `noise` an empty memory follows a sentence with that probability, and counts too. What is padded has age 0.

    >>> ages(torch.tensor([[True, True, True], [True, False, False]]), 0.0, 9)
    tensor([[3, 2, 1],
            [1, 0, 0]])
    """
    steps = mask.to(torch.int64)
    if noise:
        steps = steps + (mask & (torch.rand(mask.shape, device=mask.device) < noise))
    return steps.flip(1).cumsum(1).flip(1).clamp(max=most) * mask


def position_terms(
    count: Int[Tensor, "*batch"], longest: int, size: int
) -> tuple[Float[Tensor, "*batch word"], Float[Tensor, "size"]]:
    """What the weight of a word depends on its place by, (j - (J+1)/2) / J, and on k by, 4 (k - (d+1)/2) / d."""
    count = count.clamp(min=1).unsqueeze(-1).to(torch.float32)
    step = (torch.arange(1, longest + 1, device=count.device) - (count + 1) / 2) / count
    return step, 4 * (torch.arange(1, size + 1, device=count.device) - (size + 1) / 2) / size


def position_weights(count: Int[Tensor, "*batch"], longest: int, size: int) -> Float[Tensor, "*batch word size"]:
    """l_kj of word j of J and number k of d, both from 1: 1 + 4 (k - (d+1)/2) (j - (J+1)/2) / (d J).

    Sukhbaatar et al. 2015, as their code has it.

    >>> position_weights(torch.tensor(2), 2, 2)
    tensor([[1.2500, 0.7500],
            [0.7500, 1.2500]])
    """
    step, slope = position_terms(count, longest, size)
    return 1 + step.unsqueeze(-1) * slope


def gaussian(module: nn.Module, deviation: float) -> None:
    """Weights from N(0, deviation^2), biases zero."""
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.normal_(parameter, std=deviation)


def maxout(inputs: Float[Tensor, "*batch two_size"]) -> Float[Tensor, "*batch size"]:
    """The larger of each pair of neighbours (Goodfellow et al. 2013, with two pieces)."""
    return inputs.unflatten(-1, (-1, 2)).amax(dim=-1)


def masked_mean(
    values: Float[Tensor, "batch memory value"], mask: Bool[Tensor, "batch memory"]
) -> Float[Tensor, "batch value"]:
    """The mean over the real cells."""
    real = mask.unsqueeze(-1).to(values.dtype)
    return (values * real).sum(1) / real.sum(1)


Pool = Literal["attention", "mean", "max", "last"]
"""How a sequence becomes one vector: what attention reads, or, as controls, the mean, the maximum in each dimension, or
the last states of both directions."""


class Pooling(nn.Module):
    """The annotations of a sequence as one vector; of attention as a row for each of several learnt queries."""

    def __init__(self, kind: Pool, value_size: int, size: int, rows: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.kind = kind
        self.attend = self.queries = None
        if kind == "attention":
            self.attend = Attend(Perceptron(value_size, size, bias), softmax)
            self.queries = nn.Parameter(torch.empty(rows, size).uniform_(-1, 1) * size**-0.5)

    def forward(
        self,
        annotations: Float[Tensor, "batch memory value"],
        final: Float[Tensor, "batch value"],
        mask: Bool[Tensor, "batch memory"],
    ) -> tuple[Float[Tensor, "batch row value"], Float[Tensor, "batch row memory"] | None]:
        """The vectors, and the weights of attention, or of the mean. Raises `ValueError` for a sequence of padding."""
        if self.attend is not None and self.queries is not None:
            queries = self.queries.expand(len(annotations), -1, -1)
            read = self.attend(queries, self.attend.prepare(annotations, mask))
            return read.context, read.weights
        if self.kind == "mean":
            weights = uniform(annotations.new_zeros(len(mask), 1, mask.shape[1]), mask).weights
            return weights @ annotations, weights
        if self.kind == "max":
            return annotations.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1, keepdim=True), None
        return final.unsqueeze(1), None


def project(inputs: Tensor, layer: nn.GRUCell) -> Tensor:
    """W x + b of a GRU unit for all its gates, which does not depend on the state."""
    return linear(inputs, layer.weight_ih, layer.bias_ih)
