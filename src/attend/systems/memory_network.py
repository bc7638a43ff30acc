"""Memory networks: a question finds its supporting sentences one after another, and is taught which.

Weston, Chopra & Bordes, 2014 (arXiv 1410.3916), in the form that answers with a single word. The sentences of a story
are written to memory as they are. The output module O looks for one supporting sentence after another, each given the
question and those found before: o_k = argmax_i s([x, m_o1, ..., m_o(k-1)], m_i). The response module R then scores the
answers, given the question and all that was found. Both scores are products of embeddings, s(x, y) = Phi(x)^T U^T U
Phi(y), where a word has an embedding of its own as one of the question, of a sentence found and of a candidate.

It differs from its nearest relative, `memn2n` (Sukhbaatar et al. 2015), in that its looks are hard, each at one
sentence, and can't be learnt from answers: it is told the supporting sentences of each question of training (strong
supervision), and its score is held at least a `margin` above those of all other sentences.

Deviations from the paper:

- A sentence's age is a word of its own, and another word says whether it is older or newer than the one found last,
  where the paper compares sentences in pairs, with features of which is the older.
- Words are weighted by their positions, as in `memn2n`: a bag of words can't tell what is north of what. As there,
  empty memories are scattered among the sentences in training, which moves ages.
- Every question takes `hops` looks. Those after its last supporting sentence are to stay at that one.
- R has a layer of rectified units, for a sum of embeddings can't tell whether question and sentence name the same
  place. It is trained by the likelihood of the answer, not by a margin, so that answers have probabilities.
- The answer after each hop is given too, for viewers: only the last is learnt.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from attend.contract import END, PAD, Answers, Batch, Cells, Look, Loss
from attend.fast import Linear
from attend.layers import Sentences, ages
from attend.settings import check_range


@dataclass(frozen=True)
class Config:
    """Hops, sizes, and the margin."""

    hops: int = 2
    """Looks for a supporting sentence."""
    size: int = 50
    """Size of embeddings."""
    memories: int = 100
    """Sentences that an age can be told of; what is older is as old as the oldest."""
    noise: float = 0.1
    """Empty memories in training, as a share of sentences, as in `memn2n`."""
    margin: float = 1.0
    """How far the score of the right sentence is to be above those of all others."""

    def __post_init__(self) -> None:
        check_range(self, "hops size memories", 1)
        check_range(self, "margin", 0)
        check_range(self, "noise", 0, 1)


def margin_loss(
    scores: Float[Tensor, "batch sentence"],
    right: Int[Tensor, "batch"],
    mask: Bool[Tensor, "batch sentence"],
    margin: float,
) -> Float[Tensor, "batch"]:
    """Sum over all other sentences of max(0, margin - score of the right one + score of the other).

    >>> margin_loss(torch.tensor([[1.0, 0.95, 0.2, 9.0]]), torch.tensor([0]), torch.tensor([[True] * 3 + [False]]), 0.1)
    tensor([0.0500])
    """
    right = right.unsqueeze(1)
    over = F.relu(margin - scores.gather(1, right) + scores)
    others = mask.scatter(1, right, False)
    return torch.where(others, over, 0.0).sum(1)


class System(nn.Module):
    """See the module. Of each embedding there are two, side by side: for O, and for R."""

    def __init__(self, config: Config, story_vocabulary: int, target_classes: int) -> None:
        super().__init__()
        self.config = config
        self.question = Sentences(story_vocabulary, config.size, 2)
        self.found = Sentences(story_vocabulary, config.size, 2, config.memories)
        self.candidates = Sentences(story_vocabulary, config.size, 1, config.memories)
        # Newer than the sentence found last, that sentence, or older.
        self.order = nn.Embedding(3, config.size)
        nn.init.normal_(self.order.weight, std=0.1)
        self.hidden = Linear(config.size, config.size)
        self.output = Linear(config.size, target_classes, bias=False)
        nn.init.normal_(self.output.weight, std=0.1)

    def look(
        self, story: Cells, query: Cells, places: Int[Tensor, "batch hop"] | None = None
    ) -> tuple[Float[Tensor, "batch hop sentence"], Float[Tensor, "batch hop size"]]:
        """The scores of all sentences at each hop, and what R knows after it.

        What a hop finds is what has the highest score, or if `places` are given those.
        """
        mask = story.mask
        age = ages(mask, self.config.noise if self.training else 0.0, self.config.memories)
        words = torch.where(query.mask & (query.values != END), query.values, PAD).unsqueeze(1)
        query_o, query_r = self.question(words)[:, 0].unbind(1)
        found_o, found_r = self.found(story.values, age).unbind(2)
        candidates = self.candidates(story.values, age).squeeze(2)
        row, cell = torch.arange(len(mask), device=mask.device), torch.arange(mask.shape[1], device=mask.device)
        all_scores, answers, last = [], [], None
        for hop in range(self.config.hops):
            scores = (candidates @ query_o.unsqueeze(2)).squeeze(2)
            if last is not None:
                order = 1 + torch.sign(last.unsqueeze(1) - cell)  # 0 for those after the last, 2 for those before
                scores = scores + (query_o @ self.order.weight.T).gather(1, order)
            scores = scores.masked_fill(~mask, -torch.inf)
            last = scores.argmax(1) if places is None else places[:, hop]
            query_o, query_r = query_o + found_o[row, last], query_r + found_r[row, last]
            all_scores.append(scores)
            answers.append(query_r)
        return torch.stack(all_scores, 1), torch.stack(answers, 1)

    def taught(self, batch: Batch) -> tuple[Int[Tensor, "batch hop"], Bool[Tensor, "batch"]]:
        """The sentence that each hop is to find, and which questions have any: the last stands for what is missing."""
        hops, places = self.config.hops, batch.places
        if places is None:
            places = torch.full((len(batch), 1), -1, device=batch.device)
        places = F.pad(places, (0, hops), value=-1)[:, :hops]
        last = (places >= 0).sum(1, keepdim=True).clamp(min=1) - 1
        places = torch.where(places < 0, places.gather(1, last), places)
        return places.clamp(min=0), places[:, 0] >= 0

    def answers(self, states: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch answer"]:
        """R's scores of all answers."""
        return self.output(F.relu(self.hidden(states)))

    def forward(self, batch: Batch) -> Loss:
        """In training R is given the supporting sentences; else those that O finds. The loss is summed over questions.

        A question whose supporting sentences are not known teaches R alone, by what O finds.
        """
        story, query = batch.inputs["story"], batch.inputs["query"]
        right, known = self.taught(batch)
        scores, states = self.look(story, query, right)
        hops = zip(scores.unbind(1), right.unbind(1), strict=True)
        margins = [margin_loss(*hop, story.mask, self.config.margin) for hop in hops]
        margin = torch.where(known, torch.stack(margins).sum(0), 0.0).sum()
        if not self.training or not bool(known.all()):
            own = self.look(story, query)[1]
            states = torch.where(known[:, None, None] & self.training, states, own)
        logits = self.answers(states[:, -1])
        nll = F.cross_entropy(logits, batch.target, reduction="sum")
        error = (logits.argmax(-1) != batch.target).to(torch.float32).sum()
        return Loss(nll + margin, len(batch.target), {"nll": nll.detach(), "margin": margin.detach(), "error": error})

    def answer(self, batch: Batch) -> Answers:
        """The answer after each hop, and the sentence that the hop found, which has all the weight."""
        scores, states = self.look(batch.inputs["story"], batch.inputs["query"])
        weights = F.one_hot(scores.argmax(-1), scores.shape[-1]).to(states.dtype)
        return Answers(self.answers(states), {"story": Look(weights, "story")})
