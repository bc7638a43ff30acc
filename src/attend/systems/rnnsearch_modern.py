"""RNNsearch as later implemented: attention inside a conditional GRU.

Firat & Cho's conditional GRU (the dl4mt tutorial; Sennrich et al. 2017, "Nematus", section 2), regularised as later
small models were. It attends to the annotations of a bidirectional GRU over the source, with additive scores and soft
weights.

It differs from its nearest relative, `rnnsearch` (Bahdanau et al. 2014), in these parts:

- the query is the state *after* a first GRU has read the previous target word, and the context enters a second GRU, so
  that attention depends on that word; the paper's query is the state before, and its one unit takes both;
- torch's GRU (reset after the recurrent product) instead of the paper's unit;
- the first state comes from the mean annotation, not from the backward state;
- a tanh readout with an output layer tied to the target embeddings (Press & Wolf 2017) instead of maxout;
- dropout on embeddings, annotations and readout; label smoothing.

`attention` selects what each step reads: "additive" is the model. "general" (a bilinear form), "dot" and "cosine" are
other scores (Luong et al. 2015; Graves et al. 2014); the last two have no parameters, and score the sum of an
annotation's two directions, which has the state's size. "uniform" (the mean annotation) and "last" (the last state of
each direction, a fixed summary) are the controls. Everything else is equal. The constructor takes scores of one's own.

With the additive score, teacher forcing uses the hand-written recurrence `attend.recurrence.conditional_gru`, which
repeats the score's equation; `step`, and training with any other score, which takes longer, use `attention/score.py`.
A test holds the two equal.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attend.attention.mechanism import Attend
from attend.attention.memory import Memory, Read
from attend.attention.normalise import check_mask, softmax, uniform
from attend.attention.score import Additive, Bilinear, Cosine, Dot, Score
from attend.contract import BEGIN, Batch, Cells, Loss, State, Step
from attend.fast import Linear, linear
from attend.layers import BidirectionalGRU, masked_mean, project, shift_right
from attend.learning import cross_entropy
from attend.recurrence import conditional_gru, fixed_read_gru, gru_step
from attend.settings import check_config

# Of the cosine, which is at most 1: softmax weights of two cells then differ by a factor of up to e^20.
SHARPNESS = 10.0


@dataclass(frozen=True)
class Config:
    """Sizes and regularisation."""

    embedding: int = 256
    """Size of the source and target embeddings, and of the readout."""
    hidden: int = 256
    """Size of the decoder's state, and of each direction of the encoder."""
    alignment: int = 256
    """Size of the hidden layer of the alignment model."""
    attention: Literal["additive", "general", "dot", "cosine", "uniform", "last"] = "additive"
    """What a step reads: "additive" is the model, "general", "dot" and "cosine" are other scores, "uniform" and "last"
    the controls without attention."""
    embedding_dropout: float = 0.3
    """On source and target embeddings."""
    annotation_dropout: float = 0.3
    """On annotations."""
    readout_dropout: float = 0.3
    """On the readout."""
    label_smoothing: float = 0.1
    """Probability mass moved from the target to the uniform distribution."""

    def __post_init__(self) -> None:
        check_config(self)


class OfBothDirections(nn.Module):
    """A score of states with sums of the two directions' annotations, which are of the states' size."""

    def __init__(self, score: Score) -> None:
        super().__init__()
        self.score = score

    def prepare(self, values: Float[Tensor, "batch memory two_hidden"]) -> Float[Tensor, "batch memory hidden"]:
        forward, backward = values.chunk(2, dim=-1)
        return self.score.prepare(forward + backward)

    def forward(
        self,
        query: Float[Tensor, "batch query hidden"],
        keys: Float[Tensor, "batch memory hidden"],
        previous: Float[Tensor, "batch query memory"] | None = None,
    ) -> Float[Tensor, "batch query memory"]:
        return self.score(query, keys, previous)


def score_of(config: Config) -> Score:
    """The score that a configuration names."""
    match config.attention:
        case "general":
            return Bilinear(config.hidden, 2 * config.hidden)
        case "dot":
            return OfBothDirections(Dot())
        case "cosine":
            return OfBothDirections(Cosine(SHARPNESS))
        case _:
            return Additive(config.hidden, 2 * config.hidden, config.alignment, bias=True)


class System(nn.Module):
    """See the module. Vocabulary sizes come from the data; PAD, UNKNOWN, BEGIN and END are their first ids."""

    def __init__(
        self, config: Config, source_vocabulary: int, target_vocabulary: int, score: Score | None = None
    ) -> None:
        super().__init__()
        self.config = config
        embedding, hidden = config.embedding, config.hidden
        self.source_embedding = nn.Embedding(source_vocabulary, embedding)
        self.target_embedding = nn.Embedding(target_vocabulary, embedding)
        self.encoder = BidirectionalGRU(embedding, hidden)
        self.attend = None
        if config.attention not in ("uniform", "last"):
            self.attend = Attend(score or score_of(config), softmax)
        self.initial = Linear(2 * hidden, hidden)
        self.unit1 = nn.GRUCell(embedding, hidden)
        self.unit2 = nn.GRUCell(2 * hidden, hidden)
        self.from_state = Linear(hidden, embedding)
        self.from_word = Linear(embedding, embedding, bias=False)
        self.from_context = Linear(2 * hidden, embedding, bias=False)
        self.parts = (3 * hidden, embedding)  # of a memory's values: for unit 2, and for the readout
        self.output_bias = nn.Parameter(torch.zeros(target_vocabulary))
        self.dropout_embedding = nn.Dropout(config.embedding_dropout)
        self.dropout_annotation = nn.Dropout(config.annotation_dropout)
        self.dropout_readout = nn.Dropout(config.readout_dropout)
        for table in (self.source_embedding, self.target_embedding):
            # The tied embeddings are also the output layer: their norms start at about 1.
            nn.init.normal_(table.weight, std=embedding**-0.5)
        for unit in (self.unit1, self.unit2):
            for block in unit.weight_hh.data.split(hidden):
                nn.init.orthogonal_(block)

    def encode(self, source: Cells) -> tuple[Memory, Float[Tensor, "batch hidden"]]:
        """The memory to read from, and the decoder's first state. Raises `ValueError` if a source is all padding."""
        mask = source.mask
        check_mask(mask)
        embedded = self.dropout_embedding(self.source_embedding(source.values))
        annotations, final = self.encoder(embedded, mask)
        if self.config.attention == "last":
            annotations, mask = final.unsqueeze(1), mask[:, :1]
        annotations = self.dropout_annotation(annotations)
        first = torch.tanh(self.initial(masked_mean(annotations, mask)))
        # A read is a weighted sum, and projections are linear: project each cell once for unit 2 and the readout, then
        # read the projections. (Weights sum to one, so unit 2's bias is unchanged.)
        values = torch.cat([project(annotations, self.unit2), self.from_context(annotations)], dim=-1)
        keys = annotations if self.attend is None else self.attend.score.prepare(annotations)
        return Memory(keys, values, mask, over="source"), first

    def readout(self, state: Tensor, word: Tensor, context: Tensor) -> Tensor:
        """From state, previous word and projected context to a vector in the target embedding's space."""
        return self.dropout_readout(torch.tanh(self.from_state(state) + self.from_word(word) + context))

    def forward(self, batch: Batch) -> Loss:
        memory, first = self.encode(batch.inputs["source"])
        target = batch.target.values
        words = self.dropout_embedding(self.target_embedding(shift_right(target, BEGIN).T))  # step batch size
        unit1 = (self.unit1.weight_hh, self.unit1.bias_hh)
        unit2 = (self.unit2.weight_hh, self.unit2.bias_hh)
        inputs = project(words, self.unit1)
        projected, for_readout = memory.values.split(self.parts, dim=-1)
        score = None if self.attend is None else self.attend.score
        if isinstance(score, Additive):
            states, weights = conditional_gru(
                inputs,
                first,
                unit1,
                unit2,
                score.query.weight,
                score.energy.weight.squeeze(0),
                memory.keys,
                projected,
                memory.mask,
            )
        elif score is not None:
            states, weights = self.recur(inputs, first, memory)
        else:
            states, weights = fixed_read_gru(inputs, first, unit1, unit2, projected, fixed_weights(memory).squeeze(1))
        contexts = torch.bmm(weights.transpose(0, 1), for_readout).transpose(0, 1)
        # By index: the gradient of indexing by a mask takes three times as long.
        real = batch.target.mask.T.flatten().nonzero().squeeze(1)
        hidden = self.readout(*(part.flatten(0, 1).index_select(0, real) for part in (states, words, contexts)))
        loss = cross_entropy(
            hidden,
            self.target_embedding.weight,
            self.output_bias,
            target.T.flatten()[real],
            self.config.label_smoothing if self.training else 0.0,
        )
        return Loss(loss.total, len(hidden), {"nll": loss.nll})

    def recur(
        self, inputs: Float[Tensor, "step batch three_hidden"], state: Float[Tensor, "batch hidden"], memory: Memory
    ) -> tuple[Float[Tensor, "step batch hidden"], Float[Tensor, "step batch memory"]]:
        """All states, and the weights of each step's look, for any score; `conditional_gru` is faster for the additive
        one."""
        states, weights = [], []
        for word in inputs:
            state, read = self.advance(word.unsqueeze(1), state.unsqueeze(1), memory)
            state = state.squeeze(1)
            states.append(state)
            weights.append(read.weights.squeeze(1))
        return torch.stack(states), torch.stack(weights)

    def start(self, batch: Batch) -> State:
        memory, first = self.encode(batch.inputs["source"])
        return State(memory, {"decoder": first.unsqueeze(1)})

    def step(self, token: Int[Tensor, "batch query"], state: State) -> Step:
        assert state.memory is not None
        word = self.target_embedding(token)
        after, read = self.advance(project(word, self.unit1), state.hidden["decoder"], state.memory)
        context = read.context[..., self.parts[0] :]
        logits = linear(self.readout(after, word, context), self.target_embedding.weight, self.output_bias)
        return Step(logits, State(state.memory, {"decoder": after}), read)

    def advance(
        self,
        word: Float[Tensor, "batch query three_hidden"],
        state: Float[Tensor, "batch query hidden"],
        memory: Memory,
    ) -> tuple[Float[Tensor, "batch query hidden"], Read]:
        """One step of the conditional GRU: unit 1 reads the word, its state is the query, unit 2 reads the context."""
        middle, _ = gru_step(word, linear(state, self.unit1.weight_hh, self.unit1.bias_hh), state)
        if self.attend is not None:
            read = self.attend(middle, memory)
        else:
            weights = memory.or_forced(fixed_weights(memory).expand(-1, middle.shape[1], -1))
            read = Read(weights @ memory.values, weights)
        recurrent = linear(middle, self.unit2.weight_hh, self.unit2.bias_hh)
        after, _ = gru_step(read.context[..., : self.parts[0]], recurrent, middle)
        return after, read


def fixed_weights(memory: Memory) -> Float[Tensor, "batch 1 memory"]:
    """The controls' weights, independent of the query: uniform over real cells (a summary is one cell)."""
    return uniform(memory.values.new_zeros(len(memory.values), 1, memory.values.shape[1]), memory.mask).weights
