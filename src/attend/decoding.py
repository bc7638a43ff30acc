"""Greedy, sampled and beam search over `start` and `step`, with the attention of every hypothesis kept.

Every search works on a batch at once, steps all hypotheses of an example along the query axis, and drops an example
from the batch as soon as it is done, so that the rest costs less. Each step is put down as it was taken (`Taken`): the
token of each slot and the slot it came from. Hypotheses and their rows of attention are read off backwards at the end.

Who wants to see a search as it goes gives it a `watch`: what that raises ends the search. `looks` sets rows of
attention by hand: example -> step -> weights over the memory's cells (one number a real cell).

Log-probabilities are the decoder's own: a forbidden token is passed over, and its probability is not shared out among
the others. Of hypotheses that score the same, the one that ended first stands first; of tokens, the one of lowest id.

A hypothesis that has not ended by its greatest length is cut there: END is put behind it. So a log-probability is
always that of a whole output, and `forced` gives the same for the same tokens.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attend.attention.memory import Memory, Read
from attend.contract import BEGIN, END, PAD, Decoder, State, Step

# Scores whose highest is found in one fast pass; finding where it is takes torch several.
BLOCK = 96
# Each example has as many cells as it has.
Looks = Sequence[Mapping[int, Float[np.ndarray, "_"]]]


@dataclass(frozen=True)
class Hypothesis:
    """One output.

    `tokens` has no BEGIN and ends with END, which the hypothesis has written itself if it is `finished`, and which was
    put there if it was cut at its greatest length (that of `forced` ends as its target does). `log_prob` is the sum of
    `token_log_probs`; `score`, log_prob / length^length_penalty with END counted, is what hypotheses are ranked by.
    `weights` has a row a token (END too) and a column for each real cell of the example's memory; it is None if the
    decoder gives no read. `over`, `shape` and `sampled` are the memory's (`attend.attention.memory.Memory`).
    """

    tokens: list[int]
    log_prob: float
    score: float
    token_log_probs: list[float]
    weights: Float[np.ndarray, "step memory"] | None
    finished: bool
    over: str = ""
    shape: tuple[int, ...] = ()
    sampled: bool = False


@torch.inference_mode()
def greedy(
    decoder: Decoder,
    batch: Any,
    longest: int | Int[Tensor, "batch"],
    prefix: Sequence[Sequence[int]] | None = None,
    forbid: Sequence[int] = (PAD, BEGIN),
    looks: Looks | None = None,
    watch: "Watch | None" = None,
    length_penalty: float = 0.0,
    no_repeat_ngram: int = 0,
) -> list[list[Hypothesis]]:
    """The likeliest token at each step: one hypothesis an example.

    `longest` is the greatest number of tokens, END included, of all examples or of each: what has not ended by then is
    cut behind so many tokens. `prefix` holds the first tokens of each example's output; `forbid` the ids never produced
    (a prefix may have them). With `no_repeat_ngram` no n-gram of that many tokens is written twice. `looks` and `watch`
    are as the module says, `length_penalty` as in `Hypothesis`.

    Raises `ValueError` if `longest`, `prefix`, `forbid` or `looks` don't fit the batch or the vocabulary, if the
    decoder is in training mode or ignores forced weights, or if its scores are not finite.
    """
    rules = Rules(forbid, no_repeat_ngram)
    return follow(decoder, batch, longest, 1, likeliest, prefix, rules, looks, watch, length_penalty)


@torch.inference_mode()
def sample(
    decoder: Decoder,
    batch: Any,
    longest: int | Int[Tensor, "batch"],
    count: int = 1,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    forbid: Sequence[int] = (PAD, BEGIN),
    watch: "Watch | None" = None,
    length_penalty: float = 0.0,
    no_repeat_ngram: int = 0,
) -> list[list[Hypothesis]]:
    """`count` independent samples an example, with each token drawn from softmax(log_probs / temperature).

    Log-probabilities and scores are those at temperature 1. The other arguments and errors are as in `greedy`; besides,
    raises `ValueError` if `count` is below 1 or `temperature` is not above 0.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}: for the likeliest tokens use greedy")

    def draw(log_probs: Float[Tensor, "batch query vocabulary"]) -> Int[Tensor, "batch query"]:
        chances = (log_probs / temperature).softmax(dim=-1).flatten(0, 1)
        # Where no token is possible any is drawn, and refused for its log-probability.
        chances = chances.where(chances.isfinite().all(dim=-1, keepdim=True), 1.0)
        return torch.multinomial(chances, 1, generator=generator).reshape(log_probs.shape[:2])

    rules = Rules(forbid, no_repeat_ngram)
    return follow(decoder, batch, longest, count, draw, None, rules, None, watch, length_penalty)


@torch.inference_mode()
def forced(
    decoder: Decoder,
    batch: Any,
    targets: Sequence[Sequence[int]],
    looks: Looks | None = None,
    length_penalty: float = 0.0,
    watch: "Watch | None" = None,
) -> list[Hypothesis]:
    """Score the given targets (token ids without BEGIN, one sequence an example), step by step, with their attention.

    A target that doesn't end with END is scored as the beginning of an output. Raises `ValueError` if a target is empty
    or has END before its last token, and for the decoder's errors as `greedy` does.
    """
    for number, target in enumerate(targets):
        if not target:
            raise ValueError(f"the target of example {number} is empty: it needs at least END")
    lengths = torch.tensor([len(target) for target in targets])
    rules = Rules((), cuts=False)
    found = follow(decoder, batch, lengths, 1, likeliest, targets, rules, looks, watch, length_penalty)
    return [several[0] for several in found]


def teacher_forced(
    decoder: Decoder, batch: Any, target: Int[Tensor, "batch step"], looks: Looks | None = None
) -> Iterator[Step]:
    """Each step of the decoder as it is given the target, whatever it would write itself: for who needs its logits.

    Unlike the searches it leaves gradients to the caller. Errors of `looks` are as in `greedy`.
    """
    state = begin(decoder, batch)
    token = torch.full_like(target[:, :1], BEGIN)
    rows = torch.arange(len(target), device=target.device)
    for number in range(target.shape[1]):
        step = take_step(decoder, token, state, looks, rows, number)
        yield step
        token, state = target[:, number : number + 1], step.state


@torch.inference_mode()
def beam_search(
    decoder: Decoder,
    batch: Any,
    longest: int | Int[Tensor, "batch"],
    width: int,
    length_penalty: float = 0.0,
    best: int = 1,
    prefix: Sequence[Sequence[int]] | None = None,
    forbid: Sequence[int] = (PAD, BEGIN),
    looks: Looks | None = None,
    watch: "Watch | None" = None,
    no_repeat_ngram: int = 0,
) -> list[list[Hypothesis]]:
    """Up to `best` hypotheses an example, best first, found with `width` slots.

    A hypothesis that ends keeps its slot, so a beam is `width` finished and live hypotheses together (Graves 2012;
    Sutskever et al. 2014, section 3.2) and a bad early end doesn't stop the search. The score is
    log_prob / length^length_penalty, END counted: 0 ranks by log-probability, 1 by its mean. Hypotheses cut at
    `longest` stand behind all finished ones.

    An example is done when all its slots have ended, or no live hypothesis can come among the `best` finished ones any
    more. The bound: log-probabilities only fall and lengths only grow, so from log_prob no score above
    log_prob / longest^length_penalty can be reached.

    The other arguments and errors are as in `greedy`; besides, raises `ValueError` unless 1 <= best <= width and
    length_penalty >= 0.
    """
    if not 1 <= best <= width:
        raise ValueError(f"best must be from 1 to the beam's width, {width}, not {best}")
    if not length_penalty >= 0:
        raise ValueError(f"length_penalty must be at least 0, not {length_penalty}")
    state = begin(decoder, batch)
    memory = state.memory
    rows, limits, given = plan(state, longest, prefix)
    rules = Rules(forbid, no_repeat_ngram)
    token = torch.full_like(rows, BEGIN).unsqueeze(1)
    written = token.unsqueeze(-1)[..., :0]  # by each live hypothesis, if that is needed
    totals = torch.zeros(token.shape, device=rows.device)  # log-probability of each live hypothesis
    slots = torch.full_like(rows, width)  # those left to live hypotheses
    kept = totals.new_full((len(rows), best), -torch.inf)  # scores of the best finished hypotheses
    ends: list[list[End]] = [[] for _ in rows]
    taken: list[Taken] = []
    while len(rows):
        step = take_step(decoder, token, state, looks, rows, len(taken))
        log_probs = allowed_log_probs(step, rules, given, written, rows, limits, len(taken))
        # Only the best tokens of a hypothesis can be among the best of its beam.
        log_probs, words = highest(log_probs, int(slots.max()))  # batch query choice
        check_going(log_probs[..., 0], rows, len(taken))
        candidates = (totals.unsqueeze(-1) + log_probs).flatten(1)
        totals, place = highest(candidates, int(slots.max()))
        rank = torch.arange(totals.shape[1], device=rows.device)
        totals = totals.masked_fill(rank >= slots.unsqueeze(1), -torch.inf)
        real = totals > -torch.inf
        # Live hypotheses go to the first slots, so that the next step can do without the others.
        live = real & (words.flatten(1).gather(1, place) != END)
        order = live.sort(dim=1, descending=True, stable=True).indices
        totals, place, real, live = (value.gather(1, order) for value in (totals, place, real, live))
        parent = place // words.shape[-1]
        token, log_prob = words.flatten(1).gather(1, place), log_probs.flatten(1).gather(1, place)
        taken.append(Taken(rows, parent, token, log_prob, totals, step.read and step.read.weights))
        if watch:
            watch(taken[-1], passed_over(candidates, words, log_probs, slots, taken[-1]))

        length = len(taken)
        ended = real & ~live
        last = limits < length
        note_ends(ends, ended, rows, length, totals, last)
        slots = slots - ended.sum(dim=1)
        scores = (totals / length**length_penalty).masked_fill(~ended, -torch.inf)
        kept = torch.cat([kept, scores], dim=1).topk(best).values
        totals = totals.masked_fill(~live, -torch.inf)
        # With no live hypothesis left the bound is minus infinity, which nothing kept is below.
        done = last | (totals.amax(dim=1) / limits**length_penalty <= kept[:, -1])

        state = step.state
        if no_repeat_ngram:
            written = longer(written, parent, token)
        if done.any():
            going = (~done).nonzero().flatten()
            state = state.select(going)
            rows, limits, slots, kept = (value[going] for value in (rows, limits, slots, kept))
            totals, parent, token, live, written = (value[going] for value in (totals, parent, token, live, written))
        if len(rows):
            query = int(live.sum(dim=1).max())
            totals, token, written = totals[:, :query], token[:, :query], written[:, :query]
            state = state.gather(parent[:, :query])
    return hypotheses(ends, taken, memory, length_penalty, best)


@dataclass(frozen=True)
class States:
    """The states of an ensemble's members. Search can carry it along like a `State`."""

    members: tuple[State, ...]

    @property
    def memory(self) -> Memory | None:
        """The first member's memory if all look at the same cells, else None."""
        first = self.members[0].memory
        for member in self.members[1:]:
            if first is None or member.memory is None or not torch.equal(first.mask, member.memory.mask):
                return None
        return first

    @property
    def hidden(self) -> dict[str, Float[Tensor, "batch query *size"]]:
        named = enumerate(self.members)
        return {f"{number}.{name}": value for number, state in named for name, value in state.hidden.items()}

    def select(self, rows: Tensor) -> "States":
        return States(tuple(state.select(rows) for state in self.members))

    def gather(self, parents: Int[Tensor, "batch query"]) -> "States":
        return States(tuple(state.gather(parents) for state in self.members))


class Ensemble:
    """A decoder that averages the probabilities of decoders of one target vocabulary.

    Its read has the mean of the members' weights, and their contexts side by side, where all of them look at the same
    cells; else it has none. Raises `ValueError` if there are no members, or their vocabularies are of different sizes.
    """

    def __init__(self, members: Sequence[Decoder]) -> None:
        if not members:
            raise ValueError("an ensemble needs at least one member")
        self.members = tuple(members)

    def start(self, batch: Any) -> States:
        return States(tuple(begin(member, batch) for member in self.members))

    def step(self, token: Int[Tensor, "batch query"], state: States) -> Step:
        steps = [member.step(token, part) for member, part in zip(self.members, state.members, strict=True)]
        sizes = [step.logits.shape[-1] for step in steps]
        if len(set(sizes)) > 1:
            raise ValueError(f"the members of an ensemble must share one vocabulary; theirs have {sizes} tokens")
        log_probs = torch.stack([step.logits.float().log_softmax(dim=-1) for step in steps])
        reads = [step.read for step in steps if step.read is not None]
        read = None
        if len(reads) == len(steps) and state.memory is not None:
            weights = torch.stack([read.weights for read in reads]).mean(dim=0)
            read = Read(torch.cat([read.context for read in reads], dim=-1), weights)
        after = States(tuple(step.state for step in steps))
        return Step(log_probs.logsumexp(dim=0) - log(len(steps)), after, read)


class Shuffled:
    """A decoder whose weights are put on other cells, by a permutation of each example's own: an ablation.

    It scores the cells as it always does, and then reads the values of others, which comes to the same. Where an output
    depends on what is read, it must suffer.
    """

    def __init__(self, decoder: Decoder, generator: torch.Generator) -> None:
        self.decoder, self.generator = decoder, generator

    def start(self, batch: Any) -> Any:
        state = begin(self.decoder, batch)
        mask = state.memory.mask
        # Real cells change places among themselves; padding stays at the right.
        order = torch.rand(mask.shape, generator=self.generator).to(mask.device)
        return with_values_in(state, order.masked_fill(~mask, torch.inf).argsort(1))

    def step(self, token: Int[Tensor, "batch query"], state: Any) -> Step:
        return self.decoder.step(token, state)


def with_values_in(state: Any, order: Int[Tensor, "batch memory"]) -> Any:
    """The state, with the values of its memory in another order; of an ensemble, those of every member."""
    if isinstance(state, States):
        return States(tuple(with_values_in(member, order) for member in state.members))
    values = state.memory.values
    values = values.gather(1, order.unsqueeze(-1).expand_as(values))
    return replace(state, memory=replace(state.memory, values=values))


@dataclass(frozen=True)
class Taken:
    """A step as search took it, for the examples (`rows` of the batch, ascending) that were still in it.

    Each slot holds a `token` that goes on from slot `parent` of the step before; `weights` are the parents'. `total` is
    the hypothesis's log-probability up to here: minus infinity in a slot that holds nothing.
    """

    rows: Int[Tensor, "batch"]
    parent: Int[Tensor, "batch query"]
    token: Int[Tensor, "batch query"]
    log_prob: Float[Tensor, "batch query"]
    total: Float[Tensor, "batch query"]
    weights: Float[Tensor, "batch parents memory"] | None


# Is told of each step as it was taken and, by beam search, of the best tokens that there was no slot for.
Watch = Callable[[Taken, Taken | None], None]


@dataclass(frozen=True)
class End:
    """Where a hypothesis ends: in this slot of its `length`-th step."""

    slot: int
    length: int
    log_prob: float
    finished: bool


def passed_over(
    candidates: Float[Tensor, "batch choices"],
    words: Int[Tensor, "batch query choice"],
    log_probs: Float[Tensor, "batch query choice"],
    slots: Int[Tensor, "batch"],
    taken: Taken,
) -> Taken:
    """The tokens that came right behind those taken: as many again."""
    totals, place = highest(candidates, 2 * int(slots.max()))
    rank = torch.arange(totals.shape[1], device=totals.device)
    totals = totals.masked_fill(rank < slots.unsqueeze(1), -torch.inf)
    token, log_prob = words.flatten(1).gather(1, place), log_probs.flatten(1).gather(1, place)
    return Taken(taken.rows, place // words.shape[-1], token, log_prob, totals, taken.weights)


def take_step(
    decoder: Decoder,
    token: Int[Tensor, "batch query"],
    state: Any,
    looks: Looks | None,
    rows: Int[Tensor, "batch"],
    number: int,
) -> Step:
    """The decoder's step, with the attention that was set by hand, if any was.

    Raises `ValueError` if a row does not fit the memory, or the decoder used other weights all the same.
    """
    forced = None if looks is None else forced_weights(state, looks, rows, number)
    if forced is None:
        return decoder.step(token, state)
    step = decoder.step(token, with_forced(state, forced))
    here = ~forced.isnan().any(dim=-1, keepdim=True)
    if step.read is None or not torch.allclose(step.read.weights.where(here, 0.0), forced.where(here, 0.0)):
        raise ValueError(f"{type(decoder).__name__} ignores forced weights: its attention can't be set by hand")
    return replace(step, state=with_forced(step.state, None))


def forced_weights(
    state: Any, looks: Looks, rows: Int[Tensor, "batch"], number: int
) -> Float[Tensor, "batch 1 memory"] | None:
    """The weights set for this step, NaN in examples without any; None if there are none at all."""
    set_here = [(place, looks[row][number]) for place, row in enumerate(rows.tolist()) if number in looks[row]]
    if not set_here:
        return None
    if state.memory is None:
        raise ValueError("this system has no attention that could be set by hand")
    mask = state.memory.mask
    forced = state.memory.values.new_full((len(mask), 1, mask.shape[1]), torch.nan)
    for place, weights in set_here:
        cells = int(mask[place].sum())
        if weights.shape != (cells,) or not bool((weights >= 0).all()) or abs(float(weights.sum()) - 1) > 1e-3:
            raise ValueError(
                f"the weights set for step {number} must be {cells} numbers from 0 up that sum to 1, a number a cell"
            )
        forced[place, 0] = 0.0
        forced[place, 0, mask[place]] = torch.as_tensor(weights, dtype=forced.dtype, device=forced.device)
    return forced


def with_forced(state: Any, forced: Float[Tensor, "batch 1 memory"] | None) -> Any:
    """The state, with its next look set by hand (None: the model's own)."""
    if isinstance(state, States):
        return States(tuple(with_forced(member, forced) for member in state.members))
    return replace(state, memory=replace(state.memory, forced=forced))


def begin(decoder: Decoder, batch: Any) -> Any:
    """The decoder's first state."""
    if isinstance(decoder, nn.Module) and decoder.training:
        raise ValueError(f"{type(decoder).__name__} is in training mode, with dropout: call its eval() before decoding")
    return decoder.start(batch)


def plan(
    state: State | States, longest: int | Int[Tensor, "batch"], prefix: Sequence[Sequence[int]] | None
) -> tuple[Int[Tensor, "batch"], Int[Tensor, "batch"], Int[Tensor, "batch step"]]:
    """The numbers of the examples, the greatest length of each, and their prefixes (-1 behind their ends)."""
    of_batch = next(iter(state.hidden.values()), real_cells(state))
    if of_batch is None:
        raise ValueError(
            "the decoder's first state has neither a memory nor anything hidden: it must tell the batch's size"
        )
    rows = torch.arange(len(of_batch), device=of_batch.device)
    limits = torch.as_tensor(longest, device=rows.device)
    if limits.ndim and limits.shape != rows.shape:
        raise ValueError(
            f"longest has shape {list(limits.shape)}: give one number, or one for each of {len(rows)} examples"
        )
    if bool((limits < 1).any()):
        raise ValueError(f"longest must be at least 1, not {int(limits.min())}")
    limits = limits.expand_as(rows)
    prefix = [[]] * len(rows) if prefix is None else prefix
    if len(prefix) != len(rows):
        raise ValueError(
            f"{len(prefix)} prefixes or targets for {len(rows)} examples: give each its own, if an empty one"
        )
    given = rows.new_full((len(rows), max(map(len, prefix), default=0)), -1)
    for number, (tokens, limit) in enumerate(zip(prefix, limits.tolist(), strict=True)):
        if len(tokens) > limit:
            raise ValueError(f"the prefix of example {number} has {len(tokens)} tokens, but longest is {limit}")
        if END in tokens[:-1]:
            raise ValueError(
                f"the prefix or target of example {number} has END ({END}) before its last token: cut it there"
            )
        if min(tokens, default=0) < 0:
            raise ValueError(f"the prefix or target of example {number} has token {min(tokens)}: ids start at 0")
        given[number, : len(tokens)] = rows.new_tensor(tokens)
    return rows, limits, given


def real_cells(state: State | States) -> Bool[Tensor, "batch memory"] | None:
    return None if state.memory is None else state.memory.mask


@dataclass(frozen=True)
class Rules:
    """What may be written: tokens never, n-grams of so many tokens not twice (0: as often as may be), and whether a
    hypothesis is cut, END put behind it, at its greatest length."""

    forbid: Sequence[int]
    no_repeat_ngram: int = 0
    cuts: bool = True


def allowed_log_probs(
    step: Step,
    rules: Rules,
    given: Int[Tensor, "examples step"],
    written: Int[Tensor, "batch _ before"],
    rows: Int[Tensor, "batch"],
    limits: Int[Tensor, "batch"],
    number: int,
) -> Float[Tensor, "batch query vocabulary"]:
    """Log-probabilities of the next token; minus infinity where it is forbidden, or another one is given, or END is."""
    logits = step.logits.float()
    # In the same place: nobody needs the logits any more, and another array of that size would take its time.
    log_probs = torch.log_softmax(logits, dim=-1, out=logits)
    vocabulary = log_probs.shape[-1]
    for token in [*rules.forbid, *given[rows, number : number + 1].flatten().clamp(min=0).tolist()]:
        if not 0 <= token < vocabulary:
            raise ValueError(
                f"forbid, a prefix or a target has token {token}: the decoder's vocabulary is 0 to {vocabulary - 1}"
            )
    cut = (limits <= number).nonzero().flatten() if rules.cuts else limits[:0]
    ends = log_probs[cut, :, END]
    forbidden = rows.new_tensor(list(rules.forbid))
    if number < given.shape[1]:
        token = given[rows, number].unsqueeze(1)
        every = torch.arange(vocabulary, device=rows.device)
        closed = torch.where(token >= 0, every != token, torch.isin(every, forbidden))
        log_probs = log_probs.masked_fill_(closed.unsqueeze(1), -torch.inf)
    else:
        log_probs = log_probs.index_fill_(-1, forbidden, -torch.inf)
        if rules.no_repeat_ngram:
            close_repeated(log_probs, written, rules.no_repeat_ngram)
    if len(cut):
        log_probs[cut] = -torch.inf
        log_probs[cut, :, END] = ends
    return log_probs


def longer(
    written: Int[Tensor, "batch query before"], parent: Int[Tensor, "batch new"], token: Int[Tensor, "batch new"]
) -> Int[Tensor, "batch new after"]:
    """What each new hypothesis has written: what its parent has, and its token."""
    before = written.gather(1, parent.unsqueeze(-1).expand(-1, -1, written.shape[-1]))
    return torch.cat([before, token.unsqueeze(-1)], dim=-1)


def close_repeated(
    log_probs: Float[Tensor, "batch query vocabulary"], written: Int[Tensor, "batch query before"], size: int
) -> None:
    """Close, in place, each token that would complete an n-gram of this size that its hypothesis has written before.

    END is always open.
    """
    if written.shape[-1] < size:
        return
    ngrams = written.unfold(-1, size, 1)  # batch query place token
    begins_so = (ngrams[..., :-1] == written[..., None, written.shape[-1] - size + 1 :]).all(-1)
    last = ngrams[..., -1]
    closed = log_probs.new_zeros(last.shape).masked_fill_(begins_so & (last != END), -torch.inf)
    log_probs.scatter_add_(-1, last, closed)


def check_going(best: Float[Tensor, "batch query"], rows: Int[Tensor, "batch"], number: int) -> None:
    """Raise `ValueError` if the best token of a hypothesis is impossible."""
    stuck = ~best.isfinite().all(dim=1)
    if stuck.any():
        raise ValueError(
            f"examples {rows[stuck].tolist()} of the batch have no token to go on with at step {number}: the decoder's "
            "logits are not finite (look at its checkpoint and input), or forbid or a prefix leaves no possible token"
        )


def likeliest(log_probs: Float[Tensor, "batch query vocabulary"], block: int = BLOCK) -> Int[Tensor, "batch query"]:
    """The token of the highest score, of equals the first."""
    vocabulary = log_probs.shape[-1]
    if vocabulary <= block:
        return log_probs.argmax(dim=-1)
    # The first block that holds the highest score, and its place there. The last block may overlap the one before,
    # which then comes first.
    whole = log_probs[..., : vocabulary // block * block].unflatten(-1, (-1, block)).amax(dim=-1)
    highest_of_each = torch.cat([whole, log_probs[..., -block:].amax(dim=-1, keepdim=True)], dim=-1)
    start = (highest_of_each.argmax(dim=-1, keepdim=True) * block).clamp(max=vocabulary - block)
    inside = log_probs.gather(-1, start + torch.arange(block, device=start.device)).argmax(dim=-1, keepdim=True)
    return (start + inside).squeeze(-1)


def highest(
    scores: Float[Tensor, "*rows choice"], count: int
) -> tuple[Float[Tensor, "*rows best"], Int[Tensor, "*rows best"]]:
    """Up to `count` highest scores of each row and their places: best first, and of equals the first ones."""
    values, places = topk_by_blocks(scores, min(count + 1, scores.shape[-1]))
    # topk takes equals in any order, and any of those at its edge: sort the rows, few, that have some.
    tied = ((values[..., 1:] == values[..., :-1]) & (values[..., 1:] > -torch.inf)).any(dim=-1)
    if tied.any():
        ordered = scores[tied].sort(dim=-1, descending=True, stable=True)
        width = values.shape[-1]
        values[tied], places[tied] = ordered.values[:, :width], ordered.indices[:, :width]
    return values[..., :count], places[..., :count]


def topk_by_blocks(
    scores: Float[Tensor, "*rows choice"], count: int, block: int = BLOCK
) -> tuple[Float[Tensor, "*rows best"], Int[Tensor, "*rows best"]]:
    """As `topk`, for few of many choices: only the `count` blocks with the highest scores can hold them.

    Finding the highest of each block takes one fast pass, where `topk` looks at every score several times.
    """
    blocks = scores.shape[-1] // block
    if blocks <= count:
        return scores.topk(count)
    whole, rest = scores[..., : blocks * block].unflatten(-1, (blocks, block)), scores[..., blocks * block :]
    chosen = whole.amax(dim=-1).topk(count).indices
    places = (chosen.unsqueeze(-1) * block + torch.arange(block, device=scores.device)).flatten(-2)
    values, best = torch.cat([scores.gather(-1, places), rest], dim=-1).topk(count)
    behind = torch.arange(blocks * block, scores.shape[-1], device=scores.device).expand_as(rest)
    return values, torch.cat([places, behind], dim=-1).gather(-1, best)


def follow(
    decoder: Decoder,
    batch: Any,
    longest: int | Int[Tensor, "batch"],
    count: int,
    choose: Callable[[Float[Tensor, "batch query vocabulary"]], Int[Tensor, "batch query"]],
    prefix: Sequence[Sequence[int]] | None,
    rules: Rules,
    looks: Looks | None = None,
    watch: Watch | None = None,
    length_penalty: float = 0.0,
) -> list[list[Hypothesis]]:
    """`count` outputs an example that know nothing of one another: each takes the tokens that `choose` picks for it."""
    state = begin(decoder, batch)
    memory = state.memory
    rows, limits, given = plan(state, longest, prefix)
    parent = torch.arange(count, device=rows.device).expand(len(rows), count)
    if count > 1:
        state = state.gather(torch.zeros_like(parent))
    token = torch.full_like(parent, BEGIN)
    written = token.unsqueeze(-1)[..., :0]  # by each, if that is needed
    totals = torch.zeros(token.shape, device=rows.device)
    live = torch.ones_like(token, dtype=torch.bool)
    ends: list[list[End]] = [[] for _ in rows]
    taken: list[Taken] = []
    while len(rows):
        step = take_step(decoder, token, state, looks, rows, len(taken))
        log_probs = allowed_log_probs(step, rules, given, written, rows, limits, len(taken))
        token = choose(log_probs)
        log_prob = log_probs.gather(-1, token.unsqueeze(-1)).squeeze(-1)
        check_going(log_prob, rows, len(taken))
        totals = totals + log_prob
        taken.append(Taken(rows, parent, token, log_prob, totals, step.read and step.read.weights))
        if watch:
            watch(taken[-1], None)

        last = limits < len(taken) if rules.cuts else limits <= len(taken)
        ended = live & ((token == END) | last.unsqueeze(1))
        live = live & ~ended
        note_ends(ends, ended, rows, len(taken), totals, last & (token != END).any(1) if not rules.cuts else last)
        done = last | ~live.any(dim=1)
        state = step.state
        if rules.no_repeat_ngram:
            written = torch.cat([written, token.unsqueeze(-1)], dim=-1)
        if done.any():
            going = (~done).nonzero().flatten()
            state = state.select(going)
            rows, limits, parent, token, totals, live, written = (
                value[going] for value in (rows, limits, parent, token, totals, live, written)
            )
    return hypotheses(ends, taken, memory, length_penalty, best=count)


def note_ends(
    ends: list[list[End]],
    where: Bool[Tensor, "batch query"],
    rows: Int[Tensor, "batch"],
    length: int,
    totals: Float[Tensor, "batch query"],
    cut: Bool[Tensor, "batch"],
) -> None:
    """Add the hypotheses that ended in these slots to those of their examples: finished, where they were not cut."""
    row, slot = where.nonzero(as_tuple=True)
    columns = (rows[row], slot, totals[row, slot], ~cut[row])
    for example, place, total, finished in zip(*(column.tolist() for column in columns), strict=True):
        ends[example].append(End(place, length, total, finished))


def hypotheses(
    ends: list[list[End]],
    taken: list[Taken],
    memory: Memory | None,
    length_penalty: float,
    best: int,
) -> list[list[Hypothesis]]:
    """The `best` hypotheses of each example, finished ones first, with their tokens and weights."""

    def score(end: End) -> float:
        return end.log_prob / end.length**length_penalty

    chosen = [sorted(found, key=lambda end: (not end.finished, -score(end)))[:best] for found in ends]
    found = [(example, end) for example, kept in enumerate(chosen) for end in kept]
    mask = None if memory is None else memory.mask
    over, shape, sampled = ("", (), False) if memory is None else (memory.over, memory.shape, memory.sampled)
    tokens, log_probs, weights = trace(found, taken, mask)
    real = None if mask is None else mask.cpu().numpy()
    outputs: list[list[Hypothesis]] = [[] for _ in chosen]
    for number, (example, end) in enumerate(found):
        path = tokens[number, : end.length].tolist()
        path_log_probs = log_probs[number, : end.length].tolist()
        looks = None if weights is None or real is None else weights[number, : end.length][:, real[example]]
        found_here = (path, end.log_prob, score(end), path_log_probs, looks, end.finished)
        outputs[example].append(Hypothesis(*found_here, over, shape, sampled))
    return outputs


def trace(
    found: list[tuple[int, End]], taken: list[Taken], mask: Bool[Tensor, "batch memory"] | None
) -> tuple[
    Int[np.ndarray, "hypothesis step"],
    Float[np.ndarray, "hypothesis step"],
    Float[np.ndarray, "hypothesis step memory"] | None,
]:
    """Tokens, log-probabilities and weights of these (example, end), from their ends back to the first step."""
    steps = max((end.length for _, end in found), default=0)
    device = taken[0].rows.device if taken else None
    example = torch.tensor([example for example, _ in found], dtype=torch.long, device=device)
    length = torch.tensor([end.length for _, end in found], dtype=torch.long, device=device)
    slot = torch.tensor([end.slot for _, end in found], dtype=torch.long, device=device)
    tokens = torch.zeros(len(found), steps, dtype=torch.long, device=device)
    log_probs = torch.zeros(len(found), steps, device=device)
    weights = None
    if mask is not None and all(step.weights is not None for step in taken):
        weights = torch.zeros(len(found), steps, mask.shape[1], device=device)
    for number in reversed(range(steps)):
        step = taken[number]
        here = (length > number).nonzero().flatten()
        row, place = torch.searchsorted(step.rows, example[here]), slot[here]
        tokens[here, number] = step.token[row, place]
        log_probs[here, number] = step.log_prob[row, place]
        slot[here] = step.parent[row, place]
        if weights is not None and step.weights is not None:
            weights[here, number] = step.weights[row, slot[here]].float()
    return tokens.cpu().numpy(), log_probs.cpu().numpy(), None if weights is None else weights.cpu().numpy()
