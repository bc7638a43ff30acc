"""Sequence to sequence learning with neural networks.

Sutskever, Vinyals & Le, 2014 (arXiv 1409.3215). No attention: a deep LSTM encodes the reversed source, and the final
states of all its layers initialise a second one, the decoder.

It differs from its nearest relative, `encdec` (Cho et al. 2014), in its depth, in the LSTM, in the reversed source, and
in that the summary only initialises the decoder. Runs with different seeds make the paper's ensembles (`attend predict
RUN FILE --ensemble RUN2 ...`).

Deviations from the paper:

- Layers are torch's LSTM: with two bias vectors a gate, and without the peephole connections of Graves (2013), whose
  formulation the paper uses.
- The recipe trains for 8 epochs, the paper for 7.5.
- Vocabularies here are the user's; the paper's are 160,000 and 80,000 words.
- `reverse` is the paper's own comparison (its section 3.3), kept as a field.
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from attend.attention.normalise import check_mask
from attend.contract import BEGIN, END, Batch, Cells, Loss, State, Step
from attend.fast import Linear
from attend.layers import reverse_order, shift_right
from attend.learning import cross_entropy
from attend.precision import recur
from attend.settings import check_config


@dataclass(frozen=True)
class Config:
    """The paper's sizes (section 3.4)."""

    embedding: int = 1000
    """Size of the word embeddings."""
    hidden: int = 1000
    """Cells in each layer."""
    layers: int = 4
    """Layers of each LSTM."""
    reverse: bool = True
    """Reverse the source, so that its first words are near the target's first words."""
    scale: float = 0.08
    """Initial weights are uniform in [-scale, scale]."""
    dropout: float = 0.0
    """Between layers (the paper has none)."""

    def __post_init__(self) -> None:
        check_config(self)


class System(nn.Module):
    """See the module. Vocabulary sizes come from the data; PAD, UNKNOWN, BEGIN and END are their first ids."""

    def __init__(self, config: Config, source_vocabulary: int, target_vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.source_embedding = nn.Embedding(source_vocabulary, config.embedding)
        self.target_embedding = nn.Embedding(target_vocabulary, config.embedding)
        between = config.dropout if config.layers > 1 else 0.0
        sizes = (config.embedding, config.hidden, config.layers)
        self.encoder = nn.LSTM(*sizes, batch_first=True, dropout=between)
        self.decoder = nn.LSTM(*sizes, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(config.dropout)
        self.output = Linear(config.hidden, target_vocabulary)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -config.scale, config.scale)

    def encode(self, source: Cells) -> tuple[Float[Tensor, "layer batch hidden"], Float[Tensor, "layer batch hidden"]]:
        """The last state and cell of every layer. Raises `ValueError` if a source is all padding."""
        tokens, mask = source.values, source.mask
        check_mask(mask)
        if self.config.reverse:
            # Only the words are reversed: END stays after them, and padding after END.
            tokens = tokens.gather(1, reverse_order(mask & (tokens != END)))
        embedded = self.dropout(self.source_embedding(tokens))
        packed = pack_padded_sequence(embedded, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        return recur(self.encoder, packed)[1]

    def forward(self, batch: Batch) -> Loss:
        states = self.encode(batch.inputs["source"])
        target, real = batch.target.values, batch.target.mask
        words = self.dropout(self.target_embedding(shift_right(target, BEGIN)))
        hidden = self.dropout(recur(self.decoder, words, states)[0][real])
        loss = cross_entropy(hidden, self.output.weight, self.output.bias, target[real])
        return Loss(loss.total, len(hidden), {"nll": loss.nll})

    def start(self, batch: Batch) -> State:
        state, cell = self.encode(batch.inputs["source"])
        # batch query layer hidden
        return State(None, {"state": state.transpose(0, 1).unsqueeze(1), "cell": cell.transpose(0, 1).unsqueeze(1)})

    def step(self, token: Int[Tensor, "batch query"], state: State) -> Step:
        batch, queries = token.shape

        def by_layer(value: Tensor) -> Tensor:
            return value.flatten(0, 1).transpose(0, 1).contiguous()  # layer batch*query hidden

        def by_hypothesis(value: Tensor) -> Tensor:
            return value.transpose(0, 1).unflatten(0, (batch, queries))

        word = self.target_embedding(token).reshape(batch * queries, 1, -1)
        before = by_layer(state.hidden["state"]), by_layer(state.hidden["cell"])
        hidden, (after, cell) = recur(self.decoder, word, before)
        logits = self.output(hidden.reshape(batch, queries, -1))
        return Step(logits, State(None, {"state": by_hypothesis(after), "cell": by_hypothesis(cell)}), None)
