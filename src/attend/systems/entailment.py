"""Reasoning about entailment with neural attention.

Rocktäschel, Grefenstette, Hermann, Kočiský & Blunsom, 2015 (arXiv 1509.06664). Does a premise entail a hypothesis,
contradict it, or neither? One LSTM reads the premise. A second one, with its own parameters, reads a delimiter and the
hypothesis, starting from the first one's last cell state (conditional encoding). The memory is the first one's outputs,
one for each token of the premise. Attention is once, with the last hypothesis state as query, or word by word, with a
query that also depends on the previous read r_{t-1}. Scores are additive; the soft weights are learnt by
back-propagation.

It differs from its nearest relative, `rnnsearch` (Bahdanau et al. 2014), in that its queries come from encoding a given
sentence, not from decoding; that reads have their own recurrence, r_t, which does not feed back into the state; and
that it predicts one class.

`attention` selects: "word-by-word" and "attention" are the models, "none" is the paper's conditional encoding. The
control "hypothesis" reads the hypothesis alone: what it gets right needs no premise. With `two_way` the same network
also encodes the pair with the sentences swapped, and predicts from both encodings.

Deviations from the paper:

- Word embeddings are learnt; the paper's are fixed word2vec vectors. As there, one linear layer, shared by both
  sentences, projects them to the LSTMs' size.
- Sentences end with END, which is read and attended to like a word. The delimiter is BEGIN. It is not a step of the
  word-by-word recurrence, so that each row of weights belongs to a token of the hypothesis.
- The LSTMs have torch's two bias vectors a gate. Recurrent matrices, W^t among them, are initialised orthogonal.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attend.attention.mechanism import Attend
from attend.attention.memory import Memory, Read
from attend.attention.normalise import check_mask, softmax
from attend.attention.score import Additive
from attend.contract import BEGIN, Answers, Batch, Cells, Look, Loss
from attend.fast import Linear, tanh_
from attend.precision import full, recur
from attend.settings import check_config


@dataclass(frozen=True)
class Config:
    """Sizes, regularisation, and the kind of attention."""

    attention: Literal["word-by-word", "attention", "none", "hypothesis"] = "word-by-word"
    """Attention to the premise: at each token of the hypothesis, once at its end, or none (conditional encoding).
    "hypothesis" is the control that does not read the premise."""
    two_way: bool = False
    """Also encode the pair with premise and hypothesis swapped, with the same parameters."""
    embedding: int = 300
    """Size of the word embeddings."""
    hidden: int = 100
    """Size of the LSTMs' states, and of everything computed from them (k)."""
    dropout: float = 0.2
    """On the LSTMs' inputs, and on the representation h* that is classified."""

    def __post_init__(self) -> None:
        check_config(self)
        if self.two_way and self.attention == "hypothesis":
            raise ValueError('two_way needs both sentences: leave it out where attention is "hypothesis"')


class WordByWord(nn.Module):
    """A look for each token t of the hypothesis, whose query depends on the previous read:

    M_t = tanh(W^y Y + W^h h_t + W^r r_{t-1}),  alpha_t = softmax(w^T M_t),  r_t = Y alpha_t^T + tanh(W^t r_{t-1})

    with Y the premise's outputs, h_t the hypothesis's, and r_0 = 0.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.score = Additive(size, size, size)  # W^h, W^y and w
        self.recurrent = Linear(size, 2 * size, bias=False)  # W^r and W^t
        nn.init.orthogonal_(self.recurrent.weight.data[size:])

    def prepare(
        self, values: Float[Tensor, "batch memory value"], mask: Bool[Tensor, "batch memory"], over: str
    ) -> Memory:
        return Memory(self.score.prepare(values), values, mask, over=over)

    def forward(
        self, states: Float[Tensor, "batch step hidden"], memory: Memory, real: Bool[Tensor, "batch step"]
    ) -> Read:
        """r_t and alpha_t of every step. Padding copies r, so that the last step has r_N."""
        read = torch.zeros_like(states[:, 0])
        reads, weights = [], []
        for query, step in zip(self.score.query(states).unbind(1), real.unsqueeze(-1).unbind(1), strict=True):
            from_read, carried = self.recurrent(read).chunk(2, dim=-1)
            hidden = tanh_((query + from_read).unsqueeze(1) + memory.keys)  # batch memory size
            alpha = softmax(self.score.energy(hidden).mT, memory.mask).weights
            read = ((alpha @ memory.values).squeeze(1) + torch.tanh(carried)).where(step, read)
            reads.append(read)
            weights.append(alpha)
        return Read(torch.stack(reads, 1), torch.cat(weights, 1))


class System(nn.Module):
    """See the module. Both sentences share one vocabulary, whose first ids are PAD, UNKNOWN, BEGIN and END."""

    def __init__(self, config: Config, premise_vocabulary: int, target_classes: int) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden
        self.embedding = nn.Embedding(premise_vocabulary, config.embedding)
        self.project = Linear(config.embedding, hidden)
        self.premise = None if config.attention == "hypothesis" else nn.LSTM(hidden, hidden, batch_first=True)
        self.hypothesis = nn.LSTM(hidden, hidden, batch_first=True)
        self.attend = None
        if config.attention == "word-by-word":
            self.attend = WordByWord(hidden)
        elif config.attention == "attention":
            self.attend = Attend(Additive(hidden, hidden, hidden), softmax)
        self.from_read = None if self.attend is None else Linear(hidden, hidden, bias=False)  # W^p
        self.from_state = Linear(hidden, hidden, bias=False)  # W^x
        self.output = Linear((2 if config.two_way else 1) * hidden, target_classes)
        self.dropout = nn.Dropout(config.dropout)
        for encoder in (self.premise, self.hypothesis):
            for block in () if encoder is None else encoder.get_parameter("weight_hh_l0").data.split(hidden):
                nn.init.orthogonal_(block)

    def words(self, tokens: Int[Tensor, "batch cell"]) -> Float[Tensor, "batch cell hidden"]:
        return self.dropout(full(self.project(self.embedding(tokens))))

    def encode(
        self, premise: Cells
    ) -> tuple[Float[Tensor, "batch memory hidden"] | None, Float[Tensor, "1 batch hidden"]]:
        """The premise's outputs Y, and its last cell state; zeros in the control that does not read it."""
        if self.premise is None:
            return None, self.output.weight.new_zeros(1, len(premise.mask), self.config.hidden)
        check_mask(premise.mask)
        lengths = premise.mask.sum(1).cpu()
        packed = pack_padded_sequence(self.words(premise.values), lengths, batch_first=True, enforce_sorted=False)
        outputs, (_, cell) = recur(self.premise, packed)
        return pad_packed_sequence(outputs, batch_first=True, total_length=premise.mask.shape[1])[0], cell

    def compare(
        self, premise: Cells, hypothesis: Cells, over: str = "premise"
    ) -> tuple[Float[Tensor, "batch hidden"], Read | None]:
        """h* = tanh(W^p r_N + W^x h_N), and the looks; without attention, h* = tanh(W^x h_N).

        Raises `ValueError` if a sentence is all padding.
        """
        outputs, cell = self.encode(premise)
        check_mask(hypothesis.mask)
        delimiter = torch.full_like(hypothesis.values[:, :1], BEGIN)
        words = self.words(torch.cat([delimiter, hypothesis.values], 1))
        # Only the cell of the premise's last state is passed on.
        states = recur(self.hypothesis, words, (torch.zeros_like(cell), cell))[0][:, 1:]
        last = states[torch.arange(len(states), device=states.device), hypothesis.mask.sum(1) - 1]
        result = self.from_state(last)
        if outputs is None or self.attend is None or self.from_read is None:
            return torch.tanh(result), None
        memory = self.attend.prepare(outputs, premise.mask, over)
        if isinstance(self.attend, WordByWord):
            read = self.attend(states, memory, hypothesis.mask)
        else:
            read = self.attend(last.unsqueeze(1), memory)
        return torch.tanh(self.from_read(read.context[:, -1]) + result), read

    def forward(self, batch: Batch) -> Loss:
        logits = self.answer(batch).logits[:, -1]
        nll = F.cross_entropy(logits, batch.target, reduction="sum")
        error = (logits.argmax(-1) != batch.target).to(torch.float32).sum()
        return Loss(nll, len(batch.target), {"nll": nll.detach(), "error": error})

    def answer(self, batch: Batch) -> Answers:
        """The class, and the weights over the premise's tokens; with `two_way`, over the hypothesis's too."""
        sides = [("premise", "hypothesis"), ("hypothesis", "premise")][: 2 if self.config.two_way else 1]
        results, looks = [], {}
        for first, second in sides:
            result, read = self.compare(batch.inputs[first], batch.inputs[second], first)
            results.append(result)
            if read is not None:
                steps = second if self.config.attention == "word-by-word" else "output"
                looks[first] = Look(read.weights, first, steps)
        return Answers(self.output(self.dropout(torch.cat(results, 1))).unsqueeze(1), looks)
