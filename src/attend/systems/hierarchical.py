"""Hierarchical attention networks: the words of a sentence, then the sentences of a text.

Yang, Yang, Dyer, He, Smola & Hovy, 2016 (NAACL, "Hierarchical Attention Networks for Document Classification"). What
class is a text of? Nothing asks but a learnt vector at each level. A bidirectional GRU reads the words of a sentence,
and its states h_it are a memory that is looked at once:

    u_it = tanh(W_w h_it + b_w),  alpha_it = softmax(u_it^T u_w),  s_i = sum_t alpha_it h_it

(eqs. 5 to 7). The vectors s_i of the sentences are read and looked at in the same way (eqs. 8 to 10), and what is read
is classified. Padding, of words and of sentences, has no part in any of this: sentences are taken out of their texts,
and read together, those of like length at a time.

It differs from its nearest relative, `selfattentive` (Lin et al. 2017), in that it looks once at each level, at
sentences as well as at words. `pooling` selects the controls, of both levels: the mean, the maximum in each dimension,
or the last states in place of a look.

With `ngrams` above 1 the paper's model is extended: beside the states, which are all that the recurrence lets through,
memories have an embedding of the n-grams that end with the word, up to so many words long, hashed into a table. What is
read of these is read again at the level of sentences, and classified beside the rest. With `hidden` 0 there is nothing
else: no recurrence, but looks at n-grams, and at what is read of them. That takes a fraction of the time.

Deviations from the paper:

- Word embeddings are learnt; the paper's start from word2vec's, learnt from the training and validation texts.
- A sentence that is longer than the field reads at once goes on as another.
- There is dropout, which the paper does not mention.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from attend.attention.normalise import check_mask
from attend.contract import Answers, Batch, Cells, Look, Loss
from attend.fast import Linear
from attend.layers import BidirectionalGRU, NGrams, Pool, Pooling
from attend.precision import full
from attend.settings import check_config

# Sentences are read in so many groups of like length, since of one half would be padding; fewer where they would be
# of less than so many sentences, since a step of few takes as long as one of many.
GROUPS, LEAST = 4, 64
DEVIATION = 0.1
"""Of the first embeddings, which have mean 0."""


@dataclass(frozen=True)
class Config:
    """Sizes, regularisation, and the kind of pooling."""

    embedding: int = 200
    """Size of the word embeddings."""
    hidden: int = 50
    """Size of the GRUs' states in each direction; 0 for none, but n-grams alone."""
    attention: int = 100
    """Size of the hidden layers that score words and sentences, and of the queries."""
    dropout: float = 0.0
    """On the embeddings."""
    pooling: Pool = "attention"
    """How a sentence, and a text, become a vector: by attention, or, as controls, as the mean, the maximum in each
    dimension, or the last of the states."""
    ngrams: int = 1
    """Words of the longest n-grams that have embeddings of their own; 1 for none, as in the paper."""
    ngram_embedding: int = 16
    """Size of these embeddings."""
    buckets: int = 250_000
    """Rows of their table."""

    def __post_init__(self) -> None:
        check_config(replace(self, hidden=1) if self.hidden == 0 else self)
        if self.hidden == 0 and self.ngrams == 1:
            raise ValueError("hidden 0 leaves nothing to look at but n-grams: set ngrams above 1")


class Sentences(NamedTuple):
    """The sentences of a batch of texts: which of all words each has (0 where it has no more), which text each is in
    and where, and `order`, by length. A word is in `sentence` at `position`."""

    words: Int[Tensor, "sentence word"]
    mask: Bool[Tensor, "sentence word"]
    text: Int[Tensor, "sentence"]
    place: Int[Tensor, "sentence"]
    order: Int[Tensor, "sentence"]
    sentence: Int[Tensor, "token"]
    position: Int[Tensor, "token"]


def sentences_of(text: Cells) -> Sentences:
    """Raises `ValueError` for a text without a word."""
    check_mask(text.mask)
    row, number = text.mask.nonzero()[:, 0], text.values[..., 1][text.mask]
    _, sentence, counts = torch.unique_consecutive(
        torch.stack([row, number]), return_inverse=True, return_counts=True, dim=1
    )
    first = counts.cumsum(0) - counts
    every = torch.arange(len(row), device=row.device)
    step = torch.arange(int(counts.max()), device=row.device)
    mask = step < counts.unsqueeze(1)
    words = (first.unsqueeze(1) + step) * mask
    order = counts.argsort(stable=True)
    return Sentences(words, mask, row[first], number[first], order, sentence, every - first[sentence])


class Level(nn.Module):
    """Reads sequences in both directions, and looks at each once."""

    def __init__(self, config: Config, input_size: int, beside: int) -> None:
        super().__init__()
        self.encoder = BidirectionalGRU(input_size, config.hidden) if config.hidden else None
        self.pool = Pooling(config.pooling, 2 * config.hidden + beside, config.attention)

    def forward(
        self,
        inputs: Float[Tensor, "batch step input"],
        beside: Float[Tensor, "batch step beside"],
        mask: Bool[Tensor, "batch step"],
    ) -> tuple[Float[Tensor, "batch value"], Float[Tensor, "batch step"] | None]:
        """What is read of the states, and of what is `beside` them; and the weights."""
        states, final = inputs[:, :, :0], inputs[:, 0, :0]
        if self.encoder is not None:
            states, final = self.encoder(inputs, mask)
        last = beside[torch.arange(len(mask), device=mask.device), mask.sum(1) - 1]
        read, weights = self.pool(torch.cat([states, beside], 2), torch.cat([final, last], 1), mask)
        return read.squeeze(1), None if weights is None else weights.squeeze(1)


class System(nn.Module):
    """See the module."""

    def __init__(self, config: Config, text_vocabulary: int, target_classes: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(text_vocabulary, config.embedding) if config.hidden else None
        self.ngrams, beside = None, 0
        if config.ngrams > 1:
            beside = config.ngram_embedding
            self.ngrams = NGrams(config.ngrams, config.buckets, beside)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=DEVIATION)
        self.words = Level(config, config.embedding, beside)
        self.sentences = Level(config, 2 * config.hidden + beside, beside)
        self.output = Linear(2 * config.hidden + beside, target_classes)
        self.dropout = nn.Dropout(config.dropout)

    def read_sentences(
        self, text: Cells, of: Sentences
    ) -> tuple[Float[Tensor, "sentence value"], Float[Tensor, "sentence word"] | None]:
        """The vectors of sentences, and their weights over words."""
        ids = text.values[..., 0]
        embedded = None if self.embedding is None else self.dropout(full(self.embedding(ids))[text.mask])
        ids = ids[text.mask]
        vectors, looks = [], []
        for rows in of.order.split(max(LEAST, -(-len(of.order) // GROUPS))):
            mask = of.mask[rows, : int(of.mask[rows[-1]].sum())]
            words = of.words[rows, : mask.shape[1]]
            inputs = beside = self.output.weight.new_zeros(*words.shape, 0)
            if embedded is not None:
                inputs = embedded[words]
            if self.ngrams is not None:
                beside = self.dropout(full(self.ngrams(ids[words])))
            vector, weights = self.words(inputs, beside, mask)
            vectors.append(vector)
            looks.append(weights if weights is None else F.pad(weights, (0, of.mask.shape[1] - mask.shape[1])))
        back = of.order.argsort()
        weights = [look for look in looks if look is not None]
        return torch.cat(vectors)[back], torch.cat(weights)[back] if weights else None

    def read(self, text: Cells) -> tuple[Float[Tensor, "batch class"], dict[str, Look]]:
        """The scores of the classes, and the looks."""
        of = sentences_of(text)
        vectors, of_words = self.read_sentences(text, of)
        mask = torch.zeros(len(text.mask), int(of.place.max()) + 1, dtype=torch.bool, device=of.place.device)
        mask[of.text, of.place] = True
        texts = vectors.new_zeros(*mask.shape, vectors.shape[1])
        texts = texts.index_put((of.text, of.place), vectors)
        beside = texts[:, :, 2 * self.config.hidden :]
        vector, of_sentences = self.sentences(texts, beside, mask)
        logits = full(self.output(vector))
        if of_words is None or of_sentences is None:
            return logits, {}
        # Of a word, in the text: its weight in its sentence times the sentence's.
        both = of_words * of_sentences[of.text, of.place].unsqueeze(1)
        words = both.new_zeros(text.mask.shape).masked_scatter(text.mask, both[of.sentence, of.position])
        looks = {
            "text": Look(words.unsqueeze(1), "text"),
            "sentences": Look(of_sentences.unsqueeze(1), "text", cells=mask),
        }
        return logits, looks

    def forward(self, batch: Batch) -> Loss:
        logits, _ = self.read(batch.inputs["text"])
        nll = F.cross_entropy(logits, batch.target, reduction="sum")
        error = (logits.argmax(-1) != batch.target).to(torch.float32).sum()
        return Loss(nll, len(logits), {"nll": nll.detach(), "error": error})

    def answer(self, batch: Batch) -> Answers:
        """The class, the weights of all words of the text, and those of its sentences."""
        logits, looks = self.read(batch.inputs["text"])
        return Answers(logits.unsqueeze(1), looks)
