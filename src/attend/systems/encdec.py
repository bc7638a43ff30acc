"""RNN Encoder-Decoder: learning phrase representations.

Cho et al., 2014 (arXiv 1406.1078). No attention: the source is summarised in one vector c, which the decoder gets at
every step. Made to score phrase pairs (`attend score` gives log p(target | source)); here also a baseline that decodes.

It differs from its nearest relative, `seq2seq` (Sutskever et al. 2014), in its gated unit, and in that c enters every
step, not only the first state. Symbols are those of the paper's appendix A.

Deviations from the paper:

- The paper trains on unique phrase pairs of a phrase table, ignoring their frequency; data here is the user's.
- The rank-100 factorised input matrices are embeddings of that size with a projection per gate, as is usual. The output
  matrix, which the paper also factorises, is not.
- Every projection into a unit has a bias, which the paper's equations leave out.
- Gradients are clipped by norm.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attend.attention.normalise import check_mask
from attend.contract import BEGIN, Batch, Cells, Loss, State, Step
from attend.fast import Linear
from attend.layers import GatedUnit, gaussian, maxout, shift_right
from attend.learning import cross_entropy
from attend.recurrence import gru_step
from attend.settings import check_config


@dataclass(frozen=True)
class Config:
    """The paper's sizes (section 4.1)."""

    embedding: int = 100
    """Size of the word embeddings."""
    hidden: int = 1000
    """Size of the encoder's state, of the summary c, and of the decoder's state."""
    maxout: int = 500
    """Size of the readout after maxout."""

    def __post_init__(self) -> None:
        check_config(self)


class DecoderUnit(nn.Module):
    """The decoder's unit (A.1.2). Its reset gate acts *after* the recurrent product, and on c too:

    r, z = sigmoid(W_rz e + U_rz h + C_rz c),  n = tanh(W_n e + r (U_n h + C_n c)),  h' = z h + (1 - z) n
    """

    def __init__(self, embedding: int, hidden: int) -> None:
        super().__init__()
        self.input = Linear(embedding, 3 * hidden)
        self.recurrent = Linear(hidden, 3 * hidden, bias=False)
        self.context = Linear(hidden, 3 * hidden, bias=False)

    def forward(
        self,
        inputs: Float[Tensor, "*batch three_hidden"],
        context: Float[Tensor, "*batch three_hidden"],
        state: Float[Tensor, "*batch hidden"],
    ) -> Float[Tensor, "*batch hidden"]:
        """One step, from the projections `input` and `context`."""
        after, _ = gru_step(inputs, self.recurrent(state) + context, state)
        return after


class System(nn.Module):
    """See the module. Vocabulary sizes come from the data; PAD, UNKNOWN, BEGIN and END are their first ids."""

    def __init__(self, config: Config, source_vocabulary: int, target_vocabulary: int) -> None:
        super().__init__()
        embedding, hidden = config.embedding, config.hidden
        self.source_embedding = nn.Embedding(source_vocabulary, embedding)
        self.target_embedding = nn.Embedding(target_vocabulary, embedding)
        self.encoder = GatedUnit(embedding, hidden)
        self.summary = Linear(hidden, hidden)
        self.initial = Linear(hidden, hidden)
        self.unit = DecoderUnit(embedding, hidden)
        self.from_state = Linear(hidden, 2 * config.maxout)
        self.from_word = Linear(embedding, 2 * config.maxout, bias=False)
        self.from_context = Linear(hidden, 2 * config.maxout, bias=False)
        self.output = Linear(config.maxout, target_vocabulary)
        gaussian(self, 0.01)
        self.encoder.make_orthogonal()
        for block in self.unit.recurrent.weight.data.split(hidden):
            nn.init.orthogonal_(block)

    def encode(self, source: Cells) -> Float[Tensor, "batch hidden"]:
        """c = tanh(V h_N): the summary of each source. Raises `ValueError` if one is all padding."""
        check_mask(source.mask)
        inputs = self.encoder.input(self.source_embedding(source.values))
        states = self.encoder.run(inputs, inputs.new_zeros(len(inputs), self.encoder.hidden_size), source.mask)
        return torch.tanh(self.summary(states[:, -1]))

    def readout(self, state: Tensor, word: Tensor, summary: Tensor) -> Tensor:
        """s_t: maxout over O_h h_t + O_y e(y_{t-1}) + O_c c."""
        return maxout(self.from_state(state) + self.from_word(word) + self.from_context(summary))

    def forward(self, batch: Batch) -> Loss:
        summary = self.encode(batch.inputs["source"])
        target, real = batch.target.values, batch.target.mask
        words = self.target_embedding(shift_right(target, BEGIN))
        inputs, context = self.unit.input(words), self.unit.context(summary)
        state, every = torch.tanh(self.initial(summary)), []
        for step in inputs.unbind(1):
            state = self.unit(step, context, state)
            every.append(state)
        states = torch.stack(every, 1)
        hidden = self.readout(states[real], words[real], summary.unsqueeze(1).expand_as(states)[real])
        loss = cross_entropy(hidden, self.output.weight, self.output.bias, target[real])
        return Loss(loss.total, len(hidden), {"nll": loss.nll})

    def start(self, batch: Batch) -> State:
        summary = self.encode(batch.inputs["source"]).unsqueeze(1)
        return State(
            None,
            {
                "decoder": torch.tanh(self.initial(summary)),
                "summary": summary,
                "context": self.unit.context(summary),
            },
        )

    def step(self, token: Int[Tensor, "batch query"], state: State) -> Step:
        hidden, word = state.hidden, self.target_embedding(token)
        after = self.unit(self.unit.input(word), hidden["context"], hidden["decoder"])
        logits = self.output(self.readout(after, word, hidden["summary"]))
        return Step(logits, State(None, {**hidden, "decoder": after}), None)
