"""The yardsticks for memories: a Neural Turing Machine and a memory network as public code writes them, on autograd.

The models are those of `attend.systems.ntm`, with an LSTM of one layer, and of `attend.systems.memn2n`, with adjacent
tying, equation for equation and size for size. How they are computed differs: each head has a layer of its own, and the
shift is a convolution for every example by itself; sentences are embedded one after another, in each embedding anew.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class PlainHead(nn.Module):
    """A head that reads, or with `writes` one that writes."""

    def __init__(self, hidden: int, slots: int, size: int, start: float, writes: bool) -> None:
        super().__init__()
        self.sizes = [size, 1, 1, 3, 1] + ([size, size] if writes else [])
        self.layer = nn.Linear(hidden, sum(self.sizes))
        first = torch.zeros(slots)
        first[0] = start
        self.first = nn.Parameter(first)

    def address(
        self,
        parts: tuple[Tensor, ...],
        memory: Float[Tensor, "batch slot size"],
        previous: Float[Tensor, "batch slot"],
    ) -> Float[Tensor, "batch slot"]:
        """Where the head goes: by content, and from where it was."""
        key, strength, gate, shifts, power = parts[:5]
        similar = F.cosine_similarity(memory, torch.tanh(key).unsqueeze(1), dim=-1)
        content = F.softmax(F.softplus(strength) * similar, dim=1)
        gate = torch.sigmoid(gate)
        weights = gate * content + (1 - gate) * previous
        weights = self.shift(weights, F.softmax(shifts, dim=1))
        weights = (weights + 1e-12) ** (1 + F.softplus(power))
        return weights / weights.sum(1, keepdim=True)

    def shift(
        self, weights: Float[Tensor, "batch slot"], shifts: Float[Tensor, "batch 3"]
    ) -> Float[Tensor, "batch slot"]:
        """A circular convolution, example by example."""
        moved = []
        for row, kernel in zip(weights, shifts, strict=True):
            around = torch.cat([row[-1:], row, row[:1]])
            moved.append(F.conv1d(around.view(1, 1, -1), kernel.flip(0).view(1, 1, -1)).view(-1))
        return torch.stack(moved)


class PlainNtm(nn.Module):
    """An LSTM, a head that reads and one that writes, looped over in Python."""

    def __init__(self, inputs: int, outputs: int, hidden: int, slots: int, size: int, start: float) -> None:
        super().__init__()
        self.slots, self.size = slots, size
        self.cell = nn.LSTMCell(inputs + size, hidden)
        self.first = nn.Parameter(torch.zeros(2, hidden))
        self.first_read = nn.Parameter(torch.zeros(size))
        self.reader = PlainHead(hidden, slots, size, start, writes=False)
        self.writer = PlainHead(hidden, slots, size, start, writes=True)
        self.output = nn.Linear(hidden + size, outputs)

    def forward(self, inputs: Float[Tensor, "batch step input"]) -> Float[Tensor, "batch step output"]:
        """The log-odds of the output's bits at every step."""
        batch = len(inputs)
        state, cell = (value.expand(batch, -1) for value in self.first)
        reading, writing = (head.first.softmax(0).expand(batch, -1) for head in (self.reader, self.writer))
        read = self.first_read.expand(batch, -1)
        memory = torch.full((batch, self.slots, self.size), 1e-6)
        outputs = []
        for step in range(inputs.shape[1]):
            state, cell = self.cell(torch.cat([inputs[:, step], read], 1), (state, cell))
            of_reader, of_writer = (
                head.layer(state).clamp(-20, 20).split(head.sizes, 1) for head in (self.reader, self.writer)
            )
            reading = self.reader.address(of_reader, memory, reading)
            writing = self.writer.address(of_writer, memory, writing)
            erase, add = torch.sigmoid(of_writer[5]), torch.tanh(of_writer[6])
            memory = memory * (1 - writing.unsqueeze(2) * erase.unsqueeze(1))
            memory = memory + writing.unsqueeze(2) * add.unsqueeze(1)
            read = torch.bmm(reading.unsqueeze(1), memory).squeeze(1)
            outputs.append(self.output(torch.cat([state, read], 1)))
        return torch.stack(outputs, 1)


class PlainMemn2n(nn.Module):
    """Hops over sentences, each of which is looked up by itself."""

    def __init__(self, vocabulary: int, others: int, hops: int, size: int, memories: int) -> None:
        super().__init__()
        self.words = nn.ModuleList(nn.Embedding(vocabulary, size, padding_idx=0) for _ in range(hops + 1))
        self.ages = nn.ModuleList(nn.Embedding(memories + 1, size, padding_idx=0) for _ in range(hops + 1))
        self.others = nn.Linear(size, others, bias=False)

    def embed(self, table: nn.Module, sentence: Int[Tensor, "batch word"]) -> Float[Tensor, "batch size"]:
        """The words of a sentence, weighted by their positions."""
        words = table(sentence)
        count = (sentence != 0).sum(1).clamp(min=1).view(-1, 1, 1)
        word = torch.arange(1, words.shape[1] + 1).view(1, -1, 1)
        number, size = torch.arange(1, words.shape[2] + 1), words.shape[2]
        weights = 1 + 4 * (number - (size + 1) / 2) * (word - (count + 1) / 2) / (size * count)
        return (weights * words).sum(1)

    def forward(
        self,
        story: Int[Tensor, "batch sentence word"],
        age: Int[Tensor, "batch sentence"],
        query: Int[Tensor, "batch word"],
    ) -> Float[Tensor, "batch answer"]:
        """The scores of all answers, the words of the stories first."""
        state = self.embed(self.words[0], query)
        for hop in range(len(self.words) - 1):
            keys, values = [], []
            for number in range(story.shape[1]):
                for side, of in ((keys, hop), (values, hop + 1)):
                    embedded = self.embed(self.words[of], story[:, number])
                    side.append(embedded + self.ages[of](age[:, number]))
            scores = (torch.stack(keys, 1) * state.unsqueeze(1)).sum(2)
            weights = F.softmax(scores.masked_fill(age == 0, -torch.inf), dim=1)
            state = state + (torch.stack(values, 1) * weights.unsqueeze(2)).sum(1)
        last: Any = self.words[-1]
        return torch.cat([state @ last.weight[4:].T, self.others(state)], 1)
