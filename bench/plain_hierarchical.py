"""The yardstick for hierarchical attention: the network as tutorials write it, on plain autograd.

The model is that of `attend.systems.hierarchical` without n-grams, equation for equation and size for size. How it is
computed differs: texts are padded to the same number of sentences and these to the same number of words, and GRUs are
stepped through all of that, with masks that keep the state where there is padding.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class PlainLevel(nn.Module):
    """A GRU in each direction, and a look."""

    def __init__(self, input_size: int, hidden: int, attention: int) -> None:
        super().__init__()
        self.forwards, self.backwards = nn.GRUCell(input_size, hidden), nn.GRUCell(input_size, hidden)
        self.key = nn.Linear(2 * hidden, attention)
        self.query = nn.Parameter(torch.randn(attention))

    def forward(
        self, inputs: Float[Tensor, "batch step input"], mask: Bool[Tensor, "batch step"]
    ) -> Float[Tensor, "batch value"]:
        real = mask.unsqueeze(-1).to(inputs.dtype)
        ahead = self.states(self.forwards, inputs, real, list(range(inputs.shape[1])))
        back = self.states(self.backwards, inputs, real, list(reversed(range(inputs.shape[1]))))[::-1]
        states = torch.cat([torch.stack(ahead, 1), torch.stack(back, 1)], -1)
        scores = torch.tanh(self.key(states)) @ self.query
        # What is all padding has weights too, which its text's mask keeps out.
        weights = scores.masked_fill(~mask, -1e9).softmax(1)
        return (weights.unsqueeze(-1) * states).sum(1)

    def states(
        self,
        cell: nn.GRUCell,
        inputs: Float[Tensor, "batch step input"],
        real: Float[Tensor, "batch step 1"],
        order: list[int],
    ) -> list[Float[Tensor, "batch hidden"]]:
        state = inputs.new_zeros(len(inputs), cell.hidden_size)
        found = []
        for step in order:
            after = cell(inputs[:, step], state)
            state = real[:, step] * after + (1 - real[:, step]) * state
            found.append(state)
        return found


class PlainHierarchical(nn.Module):
    """Words, then sentences."""

    def __init__(self, vocabulary: int, classes: int, embedding: int, hidden: int, attention: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.words = PlainLevel(embedding, hidden, attention)
        self.sentences = PlainLevel(2 * hidden, hidden, attention)
        self.output = nn.Linear(2 * hidden, classes)

    def forward(
        self, words: Int[Tensor, "batch sentence word"], mask: Bool[Tensor, "batch sentence word"]
    ) -> Float[Tensor, "batch class"]:
        vectors = self.words(self.embedding(words).flatten(0, 1), mask.flatten(0, 1))
        return self.output(self.sentences(vectors.unflatten(0, mask.shape[:2]), mask.any(2)))
