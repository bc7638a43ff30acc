"""A structured self-attentive sentence embedding.

Lin, Feng, dos Santos, Yu, Xiang, Zhou & Bengio, 2017 (arXiv 1703.03130). What class is a text of? No second sentence
asks for anything: the queries are parameters. A bidirectional LSTM reads the text, and the memory H is its states, one
for each word. Each of r learnt queries has weights of its own over the words, all together

    A = softmax(W_s2 tanh(W_s1 H^T)),  M = A H,

and M, all rows side by side, is what is classified. Rows would be much alike: the penalty ||A A^T - I||_F^2 asks of
them to look at different words, and of each to look at few.

It differs from its nearest relative, `hierarchical` (Yang et al. 2016), in that it takes several looks at once, at all
words of the text, whatever sentence they are in. `pooling` selects the controls: the mean of the states, their maximum
in each dimension, or the last ones of both directions, in place of M.

With `ngrams` above 1 the paper's model is extended: a word's vector is the sum of its own embedding and of those of the
n-grams that end with it, hashed into a table. With `hidden` 0 there is no recurrence: the memory is these vectors, and
the last of them is the last word's. That takes a fraction of the time.

Deviations from the paper:

- Word embeddings are learnt; the paper's start from word2vec's or GloVe's.
- The classifier has one hidden layer of ReLUs for every data set; it has no pruned connections.
- LSTMs have torch's two bias vectors a gate.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attend.attention.normalise import check_mask
from attend.contract import Answers, Batch, Cells, Look, Loss
from attend.fast import Linear
from attend.layers import NGrams, Pool, Pooling
from attend.precision import full, recur
from attend.settings import check_range


@dataclass(frozen=True)
class Config:
    """Sizes, regularisation, and the kind of pooling."""

    embedding: int = 100
    """Size of the word embeddings."""
    initial: float = 0.1
    """Standard deviation of the first word embeddings, whose mean is 0."""
    hidden: int = 300
    """Size of the LSTM's states in each direction (u); 0 for none, but n-grams alone."""
    attention: int = 350
    """Size of the hidden layer that scores words (d_a)."""
    rows: int = 30
    """Looks at the text (r)."""
    penalty: float = 1.0
    """Weight of the penalty on rows that overlap, of each text."""
    classifier: int = 3000
    """Size of the classifier's hidden layer; 0 for a linear classifier."""
    dropout: float = 0.5
    """On the embeddings, and before and after the classifier's hidden layer."""
    pooling: Pool = "attention"
    """What is classified: what attention reads, or, as controls, the mean, the maximum in each dimension, or the last
    of the states."""
    ngrams: int = 1
    """Words of the longest n-grams that have embeddings of their own; 1 for none, as in the paper."""
    buckets: int = 250_000
    """Rows of their table."""

    def __post_init__(self) -> None:
        check_range(self, "embedding attention rows ngrams buckets", 1)
        check_range(self, "initial hidden classifier penalty", 0)
        check_range(self, "dropout", 0, 1)


def penalty(weights: Float[Tensor, "batch row memory"]) -> Float[Tensor, "batch"]:
    """||A A^T - I||_F^2, the squares' sum (eq. 8).

    >>> penalty(torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]], [[0.5, 0.5], [0.5, 0.5]]]))
    tensor([0., 2., 1.])
    """
    products = weights @ weights.mT
    return (products - torch.eye(weights.shape[1], device=weights.device)).square().sum((1, 2))


class System(nn.Module):
    """See the module."""

    def __init__(self, config: Config, text_vocabulary: int, target_classes: int) -> None:
        super().__init__()
        self.config = config
        size = 2 * config.hidden or config.embedding
        self.embedding: nn.Module
        if config.ngrams > 1:
            self.embedding = NGrams(config.ngrams, config.buckets, config.embedding)
        else:
            self.embedding = nn.Embedding(text_vocabulary, config.embedding)
            nn.init.normal_(self.embedding.weight, std=config.initial)
        self.encoder = None
        self.pool = Pooling(config.pooling, size, config.attention, config.rows, bias=False)
        read = size * (config.rows if config.pooling == "attention" else 1)
        self.hidden = Linear(read, config.classifier) if config.classifier else None
        self.output = Linear(config.classifier or read, target_classes)
        self.dropout = nn.Dropout(config.dropout)
        if config.hidden:
            self.encoder = nn.LSTM(config.embedding, config.hidden, batch_first=True, bidirectional=True)
            for name, weight in self.encoder.named_parameters():
                for block in weight.data.split(config.hidden) if "weight_hh" in name else ():
                    nn.init.orthogonal_(block)

    def encode(self, text: Cells) -> tuple[Float[Tensor, "batch word size"], Float[Tensor, "batch size"]]:
        """The states H, and the last ones of both directions; without recurrence the words' vectors.

        Raises `ValueError` for a text without a word.
        """
        check_mask(text.mask)
        words = self.dropout(full(self.embedding(text.values[..., 0])))
        lengths = text.mask.sum(1).cpu()
        if self.encoder is None:
            return words, words[torch.arange(len(words)), lengths - 1]
        packed = pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
        states, (last, _) = recur(self.encoder, packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=text.mask.shape[1])
        return states, last.transpose(0, 1).flatten(1)

    def classify(self, text: Cells) -> tuple[Float[Tensor, "batch class"], Float[Tensor, "batch row word"] | None]:
        """The scores of the classes, and A."""
        read, weights = self.pool(*self.encode(text), text.mask)
        found = read.flatten(1)
        if self.hidden is not None:
            found = self.dropout(F.relu(self.hidden(self.dropout(found))))
        return full(self.output(found)), weights

    def forward(self, batch: Batch) -> Loss:
        logits, weights = self.classify(batch.inputs["text"])
        nll = F.cross_entropy(logits, batch.target, reduction="sum")
        error = (logits.argmax(-1) != batch.target).to(torch.float32).sum()
        terms = {"nll": nll.detach(), "error": error}
        if self.config.pooling != "attention" or weights is None:
            return Loss(nll, len(logits), terms)
        overlap = penalty(full(weights)).sum()
        return Loss(nll + self.config.penalty * overlap, len(logits), terms | {"penalty": overlap.detach()})

    def answer(self, batch: Batch) -> Answers:
        """The class; the mean of all rows' weights over the words, and the rows themselves where there are several."""
        logits, weights = self.classify(batch.inputs["text"])
        looks = {}
        if weights is not None:
            looks["text"] = Look(weights.mean(1, keepdim=True), "text")
            if weights.shape[1] > 1:
                looks["rows"] = Look(weights, "text", steps="")
        return Answers(logits.unsqueeze(1), looks)
