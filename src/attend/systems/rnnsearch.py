"""RNNsearch: neural machine translation by jointly learning to align and translate.

Bahdanau, Cho & Bengio, 2014 (arXiv 1409.0473). Before each target word the decoder attends to the annotations of a
bidirectional encoder, with additive scores (the "alignment model") and soft weights, trained jointly by
back-propagation. Equation numbers are the paper's; A.1 and A.2 are its appendix.

It differs from its nearest relative, `encdec` (Cho et al. 2014), in that each step has its own context instead of one
fixed summary, and that the encoder is bidirectional.

Deviations from the paper:

- The paper sorts every 20 minibatches by length and has vocabularies of 30,000 words; data and vocabularies here are
  the user's.
- Initial weights follow the paper: N(0, 0.01^2), recurrent matrices orthogonal, W_a and U_a N(0, 0.001^2), v_a and all
  biases zero.
- The paper has no bias vectors in its equations ("we omit bias terms"); here every projection into a unit has one.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attend.attention.mechanism import Attend
from attend.attention.memory import Memory
from attend.attention.normalise import softmax
from attend.attention.score import Additive
from attend.contract import BEGIN, Batch, Cells, Loss, State, Step
from attend.fast import Linear
from attend.layers import GatedUnit, gaussian, maxout, reverse_order, shift_right
from attend.learning import cross_entropy
from attend.settings import check_config


@dataclass(frozen=True)
class Config:
    """The paper's sizes (A.2.3)."""

    embedding: int = 620
    """Size of the word embeddings (m)."""
    hidden: int = 1000
    """Size of the decoder's state, and of each direction of the encoder (n)."""
    maxout: int = 500
    """Size of the readout after maxout (l)."""
    alignment: int = 1000
    """Size of the hidden layer of the alignment model (n')."""

    def __post_init__(self) -> None:
        check_config(self)


class System(nn.Module):
    """See the module. Vocabulary sizes come from the data; PAD, UNKNOWN, BEGIN and END are their first ids."""

    def __init__(self, config: Config, source_vocabulary: int, target_vocabulary: int) -> None:
        super().__init__()
        embedding, hidden = config.embedding, config.hidden
        self.source_embedding = nn.Embedding(source_vocabulary, embedding)
        self.target_embedding = nn.Embedding(target_vocabulary, embedding)
        self.forward_encoder = GatedUnit(embedding, hidden)
        self.backward_encoder = GatedUnit(embedding, hidden)
        score = Additive(hidden, 2 * hidden, config.alignment)
        self.attend = Attend(score, softmax)
        self.initial = Linear(hidden, hidden)
        self.unit = GatedUnit(embedding, hidden)
        self.context = Linear(2 * hidden, 3 * hidden, bias=False)
        self.from_state = Linear(hidden, 2 * config.maxout)
        self.from_word = Linear(embedding, 2 * config.maxout, bias=False)
        self.from_context = Linear(2 * hidden, 2 * config.maxout, bias=False)
        self.output = Linear(config.maxout, target_vocabulary)
        gaussian(self, 0.01)
        for unit in (self.forward_encoder, self.backward_encoder, self.unit):
            unit.make_orthogonal()
        gaussian(self.attend, 0.001)
        nn.init.zeros_(score.energy.weight)

    def encode(self, source: Cells) -> tuple[Memory, Float[Tensor, "batch hidden"]]:
        """Annotations h_j = [forward; backward] (A.2.1), and s_0 = tanh(W_s backward_1) (A.2.2)."""
        mask, embedded = source.mask, self.source_embedding(source.values)
        zero = embedded.new_zeros(len(mask), self.unit.hidden_size)
        order = reverse_order(mask).unsqueeze(-1)
        forward = self.forward_encoder.run(self.forward_encoder.input(embedded), zero, mask)
        reversed_inputs = embedded.gather(1, order.expand_as(embedded))
        backward = self.backward_encoder.run(self.backward_encoder.input(reversed_inputs), zero, mask)
        first = torch.tanh(self.initial(backward[:, -1]))  # the state after the source's first word
        annotations = torch.cat([forward, backward.gather(1, order.expand_as(backward))], dim=-1)
        return self.attend.prepare(annotations * mask.unsqueeze(-1), mask, "source"), first

    def readout(self, state: Tensor, word: Tensor, context: Tensor) -> Tensor:
        """t_i: maxout over U_o s_{i-1} + V_o E y_{i-1} + C_o c_i (A.2.2)."""
        return maxout(self.from_state(state) + self.from_word(word) + self.from_context(context))

    def forward(self, batch: Batch) -> Loss:
        memory, state = self.encode(batch.inputs["source"])
        target, real = batch.target.values, batch.target.mask
        words = self.target_embedding(shift_right(target, BEGIN))
        inputs = self.unit.input(words)
        states, contexts = [], []
        for step in range(words.shape[1]):
            states.append(state)
            read = self.attend(state.unsqueeze(1), memory)
            contexts.append(read.context.squeeze(1))
            state = self.unit(inputs[:, step] + self.context(contexts[-1]), state)
        hidden = self.readout(torch.stack(states, 1)[real], words[real], torch.stack(contexts, 1)[real])
        loss = cross_entropy(hidden, self.output.weight, self.output.bias, target[real])
        return Loss(loss.total, len(hidden), {"nll": loss.nll})

    def start(self, batch: Batch) -> State:
        memory, first = self.encode(batch.inputs["source"])
        return State(memory, {"decoder": first.unsqueeze(1)})

    def step(self, token: Int[Tensor, "batch query"], state: State) -> Step:
        assert state.memory is not None
        before, word = state.hidden["decoder"], self.target_embedding(token)
        read = self.attend(before, state.memory)
        after = self.unit(self.unit.input(word) + self.context(read.context), before)
        logits = self.output(self.readout(before, word, read.context))
        return Step(logits, State(state.memory, {"decoder": after}), read)
