"""End-to-end memory networks: a question looks several times at a memory of sentences.

Sukhbaatar, Szlam, Weston & Fergus, 2015 (arXiv 1503.08895). Each sentence i of a story is a memory cell with a key m_i
and a value c_i, the question is the first query u. A hop (a look) weighs all cells by p = softmax(u^T m_i), reads
o = sum_i p_i c_i, and asks on with u + o; after the last hop the answer is softmax(W u). The weights are soft, and
learnt by back-propagation from answers alone.

It differs from its nearest relative, `rnnsearch` (Bahdanau et al. 2014), in that the memory is words' embeddings summed
by position, with no recurrence, and that several looks are taken, the same memory having other keys for each.

A sentence is sum_j l_j * A x_ij + T_A(i): its words, weighted by their position (`positions`), and what time it is,
counted back from the newest sentence, which is a word of its own, without a position. In training empty memories are
scattered among the sentences (`noise`): they move the time, and nothing else. For the first `linear` updates p is
u^T m_i itself (linear start). Padding, words' and sentences', has no part in any of this.

`tying` selects: "adjacent" (the values of a hop are the keys of the next, and the question is embedded as the first
keys) or "layer-wise" (the same keys and values in all hops, and u^{k+1} = H u^k + o^k). The control `uniform` weighs
all sentences alike.

Deviations from the paper:

- W is a matrix of its own, of answers, which may be lists; with adjacent tying the paper's is the last values' words.
- An empty memory follows each sentence with probability `noise`; the paper's are a random number, up to that share.
- The linear start ends after a number of updates, not when the validation loss stops falling.
- Answers after each hop are given too, for viewers: only the last is learnt.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from attend.attention.normalise import softmax
from attend.contract import END, PAD, Answers, Batch, Cells, Look, Loss
from attend.fast import Linear
from attend.layers import Sentences
from attend.settings import check_range


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
    linear: int = 0
    """Updates before the softmax is put in (LS)."""
    uniform: bool = False
    """Weigh all sentences alike: the control."""

    def __post_init__(self) -> None:
        check_range(self, "hops size memories", 1)
        check_range(self, "linear", 0)
        check_range(self, "noise", 0, 1)


def times(mask: Bool[Tensor, "batch sentence"], noise: float, most: int) -> Int[Tensor, "batch sentence"]:
    """How old each sentence is: 1 for the newest, and one more for each sentence, or empty memory, after it.

    >>> times(torch.tensor([[True, True, True], [True, False, False]]), 0.0, 9)
    tensor([[3, 2, 1],
            [1, 0, 0]])
    """
    steps = mask.to(torch.int64)
    if noise:
        steps = steps + (mask & (torch.rand(mask.shape, device=mask.device) < noise))
    return steps.flip(1).cumsum(1).flip(1).clamp(max=most) * mask


class System(nn.Module):
    """See the module."""

    def __init__(self, config: Config, story_vocabulary: int, target_classes: int) -> None:
        super().__init__()
        self.config = config
        layers = config.hops + 1 if config.tying == "adjacent" else 2
        self.sentences = Sentences(story_vocabulary, config.size, layers, config.memories, config.positions)
        self.question = None
        if config.tying == "layer-wise":
            self.question = Sentences(story_vocabulary, config.size, positions=config.positions)
        self.onward = Linear(config.size, config.size, bias=False) if config.tying == "layer-wise" else None
        self.output = Linear(config.size, target_classes, bias=False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        for layer in (self.output, self.onward):
            if layer is not None:
                nn.init.normal_(layer.weight, std=0.1)

    def embedded(self, story: Cells) -> tuple[Float[Tensor, "batch sentence size"], ...]:
        """The story in each of the embeddings: keys and values of all hops."""
        time = times(story.mask, self.config.noise if self.training else 0.0, self.config.memories)
        return self.sentences(story.values, time).unbind(2)

    def asked(self, query: Cells) -> Float[Tensor, "batch size"]:
        words = torch.where(query.mask & (query.values != END), query.values, PAD).unsqueeze(1)
        embed = self.sentences if self.question is None else self.question
        return embed(words)[:, 0, 0]

    def weights(
        self,
        query: Float[Tensor, "batch size"],
        keys: Float[Tensor, "batch sentence size"],
        mask: Bool[Tensor, "batch sentence"],
    ) -> Float[Tensor, "batch 1 sentence"]:
        scores = query.unsqueeze(1) @ keys.mT
        if self.config.uniform:
            return softmax(0 * scores, mask).weights
        if int(self.updates) < self.config.linear:
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
        if self.training:
            self.updates += 1
        states, _ = self.hops(batch.inputs["story"], batch.inputs["query"])
        logits = self.output(states[:, -1])
        nll = F.cross_entropy(logits, batch.target, reduction="sum")
        error = (logits.argmax(-1) != batch.target).to(torch.float32).sum()
        return Loss(nll, len(batch.target), {"nll": nll.detach(), "error": error})

    def answer(self, batch: Batch) -> Answers:
        """The answer after each hop, and the hop's weights over the sentences."""
        story = batch.inputs["story"]
        states, weights = self.hops(story, batch.inputs["query"])
        if int(self.updates) < self.config.linear:  # no weights yet, but scores of either sign
            weights = softmax(weights, story.mask).weights
        return Answers(self.output(states), {"story": Look(weights, "story")})
