"""End-to-end memory networks: a question looks several times at a memory of sentences.

Sukhbaatar, Szlam, Weston & Fergus, 2015 (arXiv 1503.08895). Each sentence i of a story is a memory cell with a key m_i
and a value c_i, the question is the first query u. A hop (a look) weighs all cells by p = softmax(u^T m_i), reads
o = sum_i p_i c_i, and asks on with u + o; after the last hop the answer is softmax(W u). The weights are soft, and
learnt by back-propagation from answers alone.

It differs from its nearest relative, `rnnsearch` (Bahdanau et al. 2014), in that the memory is words' embeddings summed
by position, with no recurrence, and that several looks are taken, the same memory having other keys for each.

A sentence is sum_j l_j * A x_ij + T_A(i): its words, weighted by their position (`positions`), and what time it is,
counted back from the newest sentence, which is a word of its own, without a position. In training empty memories are
scattered among the sentences (`noise`): they move the time, and nothing else. For the first share of training
(`linear`) p is u^T m_i itself (linear start). Padding, words' and sentences', has no part in any of this.

`tying` selects: "adjacent" (the values of a hop are the keys of the next, the question is embedded as the first keys,
and W is the last values' words, with further rows for answers that are no single word) or "layer-wise" (the same keys
and values in all hops, u^{k+1} = H u^k + o^k, and a W of its own). The control `uniform` weighs
all sentences alike; the control `Recurrent` is the paper's LSTM, which reads the story and then the question: all that
it knows when the question ends is in its state.

Deviations from the paper:

- An empty memory follows each sentence with probability `noise`; the paper's are a random number, up to that share.
- The linear start ends after a share of training, not when the validation loss stops falling.
- The rate falls by a cosine to zero, where the paper halves it at regular intervals.
- The weights kept are those of the best validation accuracy, where the paper's are the last.
- The limit on the norm of the gradient is one on all of it, where the authors' code limits each matrix's.
- Answers after each hop are given too, for viewers: only the last is learnt.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from attend.attention.normalise import softmax
from attend.contract import END, PAD, Answers, Batch, Cells, Look, Loss
from attend.fast import Linear, linear
from attend.layers import Sentences, ages
from attend.precision import full, recur
from attend.settings import check_config, check_range

WORDS = END + 1
"""The first entry of a vocabulary that is a word."""


@dataclass(frozen=True)
class Config:
    """Hops, sizes, and the paper's variants."""

    hops: int = 3
    """Looks at the memory (K)."""
    size: int = 50
    """Size of embeddings (d)."""
    memories: int = 100
    """Sentences, empty ones included, that a time can be told of; what is older is as old as the oldest."""
    tying: Literal["adjacent", "layer-wise"] = "adjacent"
    """Which embeddings hops share."""
    positions: bool = True
    """Weigh words by their position in the sentence (PE); else all alike (a bag of words)."""
    noise: float = 0.1
    """Empty memories in training, as a share of sentences (RN)."""
    linear: float = 0.0
    """Share of training before the softmax is put in (LS)."""
    uniform: bool = False
    """Weigh all sentences alike: the control."""

    def __post_init__(self) -> None:
        check_range(self, "hops size memories", 1)
        check_range(self, "noise linear", 0, 1)


@dataclass(frozen=True)
class RecurrentConfig:
    """The control: an LSTM without a memory."""

    embedding: int = 50
    """Size of the word embeddings."""
    hidden: int = 100
    """Size of the LSTM's state."""
    dropout: float = 0.1
    """On the words, and on the last output."""

    def __post_init__(self) -> None:
        check_config(self)


class System(nn.Module):
    """See the module."""

    def __init__(self, config: Config, story_vocabulary: int, target_classes: int) -> None:
        super().__init__()
        self.config = config
        layers = config.hops + 1 if config.tying == "adjacent" else 2
        self.sentences = Sentences(story_vocabulary, config.size, layers, config.memories, config.positions)
        self.question: Sentences | None = None
        if config.tying == "layer-wise":
            self.question = Sentences(story_vocabulary, config.size, positions=config.positions)
        self.onward = Linear(config.size, config.size, bias=False) if config.tying == "layer-wise" else None
        # The rows of W that are not the story's words: with adjacent tying, the first answers are those.
        words = story_vocabulary - WORDS if config.tying == "adjacent" else 0
        if target_classes < words:
            raise ValueError(
                f"there are {target_classes:,} answers, but the story's {words:,} words are answers too where tying is"
                " adjacent: set output.like to the story's field"
            )
        others = target_classes - words
        self.output = Linear(config.size, others, bias=False) if others else None
        self.linear: Tensor
        self.register_buffer("linear", torch.tensor(config.linear > 0))
        for layer in (self.output, self.onward):
            if layer is not None:
                nn.init.normal_(layer.weight, std=0.1)

    def embedded(self, story: Cells) -> tuple[Float[Tensor, "batch sentence size"], ...]:
        """The story in each of the embeddings: keys and values of all hops."""
        age = ages(story.mask, self.config.noise if self.training else 0.0, self.config.memories)
        return self.sentences(story.values, age).unbind(2)

    def asked(self, query: Cells) -> Float[Tensor, "batch size"]:
        words = torch.where(query.mask & (query.values != END), query.values, PAD).unsqueeze(1)
        embed: Sentences = self.question or self.sentences
        return embed(words)[:, 0, 0]

    def follow_training(self, share: float) -> None:
        """End the linear start after its share of training."""
        self.linear.fill_(share < self.config.linear)

    def answers(self, states: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch answer"]:
        """W u."""
        rows = [] if self.output is None else [self.output.weight]
        if self.config.tying == "adjacent":
            rows.insert(0, self.sentences.words.weight[WORDS:, -self.config.size :])
        return linear(states, torch.cat(rows))

    def weights(
        self,
        query: Float[Tensor, "batch size"],
        keys: Float[Tensor, "batch sentence size"],
        mask: Bool[Tensor, "batch sentence"],
    ) -> Float[Tensor, "batch 1 sentence"]:
        scores = query.unsqueeze(1) @ keys.mT
        if self.config.uniform:
            return softmax(0 * scores, mask).weights
        if bool(self.linear):
            return scores * mask.unsqueeze(1)
        return softmax(scores, mask).weights

    def hops(
        self, story: Cells, query: Cells
    ) -> tuple[Float[Tensor, "batch hop size"], Float[Tensor, "batch hop sentence"]]:
        """u after each hop, and its weights."""
        embedded, state = self.embedded(story), self.asked(query)
        states, looks = [], []
        for hop in range(self.config.hops):
            keys, values = embedded[hop : hop + 2] if self.onward is None else embedded
            weights = self.weights(state, keys, story.mask)
            read = (weights @ values).squeeze(1)
            state = (state if self.onward is None else self.onward(state)) + read
            states.append(state)
            looks.append(weights)
        return torch.stack(states, 1), torch.cat(looks, 1)

    def forward(self, batch: Batch) -> Loss:
        """The loss is summed over questions, not a mean: rates and limits of the gradient are for that."""
        states, _ = self.hops(batch.inputs["story"], batch.inputs["query"])
        logits = self.answers(states[:, -1])
        nll = F.cross_entropy(logits, batch.target, reduction="sum")
        error = (logits.argmax(-1) != batch.target).to(torch.float32).sum()
        return Loss(nll, len(batch.target), {"nll": nll.detach(), "error": error})

    def answer(self, batch: Batch) -> Answers:
        """The answer after each hop, and the hop's weights over the sentences."""
        story = batch.inputs["story"]
        states, weights = self.hops(story, batch.inputs["query"])
        if bool(self.linear):  # no weights yet, but scores of either sign
            weights = softmax(weights, story.mask).weights
        return Answers(self.answers(states), {"story": Look(weights, "story")})


def words_of(story: Cells, query: Cells) -> tuple[Int[Tensor, "batch word"], Bool[Tensor, "batch word"]]:
    """The words of the story and then of the question, without the padding between them; and which are real.

    >>> story = Cells(torch.tensor([[[5, 0], [6, 7]]]), torch.tensor([[True, True]]))
    >>> words_of(story, Cells(torch.tensor([[8]]), torch.tensor([[True]])))[0]
    tensor([[5, 6, 7, 8, 0]])
    """
    words = torch.where(story.mask.unsqueeze(2), story.values, PAD).flatten(1)
    words = torch.cat([words, torch.where(query.mask, query.values, PAD)], 1)
    real, order = (words != PAD).sort(dim=1, descending=True, stable=True)
    return words.gather(1, order), real


class Recurrent(nn.Module):
    """The control: an LSTM reads the story and then the question, word by word, and its last output is classified."""

    def __init__(self, config: RecurrentConfig, story_vocabulary: int, target_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(story_vocabulary, config.embedding, padding_idx=PAD)
        self.lstm = nn.LSTM(config.embedding, config.hidden, batch_first=True)
        self.output = Linear(config.hidden, target_classes)
        self.dropout = nn.Dropout(config.dropout)
        for block in self.lstm.get_parameter("weight_hh_l0").data.split(config.hidden):
            nn.init.orthogonal_(block)

    def logits(self, batch: Batch) -> Float[Tensor, "batch answer"]:
        words, real = words_of(batch.inputs["story"], batch.inputs["query"])
        embedded = self.dropout(full(self.embedding(words)))
        packed = pack_padded_sequence(embedded, real.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        _, (last, _) = recur(self.lstm, packed)
        return self.output(self.dropout(last[0]))

    def forward(self, batch: Batch) -> Loss:
        logits = self.logits(batch)
        nll = F.cross_entropy(logits, batch.target, reduction="sum")
        error = (logits.argmax(-1) != batch.target).to(torch.float32).sum()
        return Loss(nll, len(batch.target), {"nll": nll.detach(), "error": error})

    def answer(self, batch: Batch) -> Answers:
        """The answer; there is nothing to see of a look."""
        return Answers(self.logits(batch).unsqueeze(1))
