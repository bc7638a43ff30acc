"""The yardstick: RNNsearch as public tutorials write it, on plain autograd.

The model is that of `attend.systems.rnnsearch_modern`, equation for equation and size for size. How it is
computed differs: each decoder step embeds its word, projects the keys anew, and projects its read-out to all words.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class PlainLoop(nn.Module):
    """A bidirectional GRU, additive attention, a conditional GRU, and a read-out tied to the target embedding."""

    def __init__(self, vocabularies: tuple[int, int], embedding: int, hidden: int, alignment: int) -> None:
        super().__init__()
        source_vocabulary, target_vocabulary = vocabularies
        self.source_embedding = nn.Embedding(source_vocabulary, embedding)
        self.target_embedding = nn.Embedding(target_vocabulary, embedding)
        for table in (self.source_embedding, self.target_embedding):
            nn.init.normal_(table.weight, std=embedding**-0.5)
        self.encoder = nn.GRU(embedding, hidden, batch_first=True, bidirectional=True)
        self.initial = nn.Linear(2 * hidden, hidden)
        self.query = nn.Linear(hidden, alignment, bias=False)
        self.key = nn.Linear(2 * hidden, alignment)
        self.energy = nn.Linear(alignment, 1, bias=False)
        self.unit1 = nn.GRUCell(embedding, hidden)
        self.unit2 = nn.GRUCell(2 * hidden, hidden)
        self.readout = nn.Linear(hidden + embedding + 2 * hidden, embedding)
        self.output = nn.Linear(embedding, target_vocabulary)
        self.output.weight = self.target_embedding.weight

    def encode(
        self, source: Int[Tensor, "batch memory"], mask: Bool[Tensor, "batch memory"]
    ) -> tuple[Float[Tensor, "batch memory value"], Float[Tensor, "batch hidden"]]:
        """The annotations (zero on padding), and the decoder's first state from their mean."""
        lengths = mask.sum(1)
        packed = pack_padded_sequence(self.source_embedding(source), lengths, batch_first=True, enforce_sorted=False)
        annotations, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        return annotations, torch.tanh(self.initial(annotations.sum(1) / lengths.unsqueeze(1)))

    def step(
        self,
        token: Int[Tensor, "batch"],
        state: Float[Tensor, "batch hidden"],
        annotations: Float[Tensor, "batch memory value"],
        mask: Bool[Tensor, "batch memory"],
    ) -> tuple[Float[Tensor, "batch vocabulary"], Float[Tensor, "batch hidden"]]:
        """The scores of the next token, and the state after this one."""
        word = self.target_embedding(token)
        state = self.unit1(word, state)
        scores = self.energy(torch.tanh(self.query(state).unsqueeze(1) + self.key(annotations))).squeeze(2)
        weights = scores.masked_fill(~mask, -torch.inf).softmax(1)
        context = torch.bmm(weights.unsqueeze(1), annotations).squeeze(1)
        state = self.unit2(context, state)
        return self.output(torch.tanh(self.readout(torch.cat([state, word, context], 1)))), state

    def forward(
        self,
        source: Int[Tensor, "batch memory"],
        source_mask: Bool[Tensor, "batch memory"],
        target: Int[Tensor, "batch step"],
        begin: int,
        padding: int,
    ) -> Float[Tensor, ""]:
        """The cross-entropy of the targets, summed over their real tokens."""
        annotations, state = self.encode(source, source_mask)
        token = target.new_full((len(target),), begin)
        logits = []
        for step in range(target.shape[1]):
            scores, state = self.step(token, state, annotations, source_mask)
            logits.append(scores)
            token = target[:, step]
        return nn.functional.cross_entropy(
            torch.stack(logits, 1).flatten(0, 1), target.flatten(), ignore_index=padding, reduction="sum"
        )
