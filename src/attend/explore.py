"""All that a person may ask about one prediction.

What search passed over, the likeliest tokens of each step, what the output depends on; and the same with a beginning of
the output given, or rows of attention set by hand. A case is encoded once, and goes through here downwards only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from attend import decoding, evidence
from attend.attention.trace import Alternative, Evidence, Intervention, Node, PictureEachStep, Trace
from attend.contract import BEGIN, END, PAD, UNKNOWN, Batch, Remembers
from attend.data.image import as_data_uri
from attend.decoding import Hypothesis, Looks, Taken
from attend.fields.text import TextField
from attend.model import TINY, Model, Prediction
from attend.outputs.bits import BitsOutput
from attend.outputs.output import Seen, Wanted
from attend.outputs.sequence import SequenceOutput
from attend.task import Case, device_of

ALTERNATIVES = 8


@dataclass(frozen=True)
class Query:
    """What is asked about one input.

    `prefix` begins the output: ids of the target vocabulary, or text, in any order; with END at its end it is all of
    the output. `weights` sets rows of attention by hand: step -> a number for each cell. `alternatives` is how many of
    the likeliest tokens are wanted at each step. `beam` is None for the run's own.
    """

    prefix: Sequence[int | str] = ()
    weights: Mapping[int, Sequence[float]] = field(default_factory=dict)
    alternatives: int = 0
    evidence: bool = False
    beam: int | None = None


@dataclass(frozen=True)
class Prepared:
    """One case with its batch, and the query in the decoder's terms."""

    model: Model
    case: Case
    batch: Batch
    how: Any
    prefix: list[int]
    looks: Looks | None
    longest: int

    @property
    def output(self) -> SequenceOutput:
        output = self.model.task.output
        assert isinstance(output, SequenceOutput)
        return output

    @property
    def rules(self) -> dict[str, Any]:
        return self.output.rules(self.how)

    def prediction(self, best: Hypothesis, text: str | None = None) -> Prediction:
        return Prediction(self.case, self.output.result(best, text))


def explore(model: Model, case: Case, query: Query, stop: Callable[[], None] = lambda: None) -> Trace:
    """The best output as a trace, with what was asked for.

    `stop` is called at each step, and ends the work by raising. Raises `ValueError` for a prefix or weights that don't
    fit, or of an output that is not written step by step; and for evidence with weights set by hand: it is about the
    model's own attention.
    """
    if query.evidence and query.weights:
        raise ValueError("evidence is about the model's own attention: ask for it without weights set by hand")
    if not isinstance(model.task.output, SequenceOutput):
        return explore_answer(model, case, query, stop)
    prepared = prepare(model, case, query)
    best, details = searched(prepared, query.alternatives, stop)
    prediction = prepared.prediction(best)
    trace = replace(prediction.trace(), ids=tuple(best.tokens), **details)
    if query.evidence and (seen := attributable(prediction)):
        trace = replace(trace, evidence=gathered(prepared, best, seen, stop))
    return trace


def explore_answer(model: Model, case: Case, query: Query, stop: Callable[[], None]) -> Trace:
    """The same for an output that is no sequence of tokens."""
    kind = model.config.settings.output.kind
    if query.prefix or query.weights:
        raise ValueError(f"the output {kind!r} is no sequence of tokens: it has no prefix, nor weights to set by hand")
    how = model.how(beam=query.beam)
    stop()
    prediction = model.predict_cases([case], how)[0][0]
    if not query.evidence:
        return worked(model, prediction)
    if attributable(prediction) is None:
        raise ValueError("evidence needs attention weights over an input, a row for each step of the output")
    return replace(worked(model, prediction), evidence=evidence_of_answer(model, prediction, stop))


def worked(model: Model, prediction: Prediction) -> Trace:
    """A prediction's trace; of a system with a memory of its own with the stages of its looks, as looks named
    "write: content", and the memory after each step, as pictures of the look that writes it."""
    output = model.task.output
    if not (isinstance(model.system, Remembers) and isinstance(output, BitsOutput)):
        return prediction.trace()
    batch = model.task.inputs([prediction.case], device_of(model.system))
    stages, memory = output.workings(model.system, batch, len(prediction.result.steps))
    result = replace(prediction.result, looks={**prediction.result.looks, **stages})
    trace = replace(prediction, result=result).trace()
    return replace(trace, media={**trace.media, **{name: memory_pictures(one) for name, one in memory.items()}})


def memory_pictures(memory: Float[np.ndarray, "step slot size"]) -> PictureEachStep:
    """A row of pixels for each slot: 0 is grey, the largest absolute value of all steps white, or black if negative."""
    shades = memory / max(float(np.abs(memory).max()), TINY)
    pixels = np.rint(127.5 + 127.5 * shades).astype(np.uint8)
    return PictureEachStep(tuple(as_data_uri(step[None]) for step in pixels))


def evidence_of_answer(
    model: Model, prediction: Prediction, stop: Callable[[], None] = lambda: None
) -> Evidence | None:
    """What an output that is given in one go depends on; None without a look that this could be held beside."""
    seen = attributable(prediction)
    if seen is None:
        return None
    batch = model.task.inputs([prediction.case], device_of(model.system))
    found = attributed(model, batch, prediction.ids, seen, stop)
    return Evidence(name_of(prediction, seen), found, ())


def explain(model: Model, prediction: Prediction, target: Any = None) -> Trace:
    """A prediction's trace with what a page can show beside it: alternatives, what its search tried, and evidence.

    `target` is the output where that was given, and not searched for.
    """
    trace = worked(model, prediction)
    if not isinstance(model.task.output, SequenceOutput):
        return replace(trace, evidence=evidence_of_answer(model, prediction))
    prefix = () if target is None else (*model.task.output.field.prepare(target).spelt.ids, END)
    found = explore(model, prediction.case, Query(prefix, alternatives=ALTERNATIVES, evidence=True))
    search = None if target is not None else found.search
    likely = {"alternatives": found.alternatives, "entropies": found.entropies}
    return replace(trace, ids=found.ids, search=search, evidence=found.evidence, **likely)


def stream(model: Model, case: Case, query: Query, tell: Callable[[dict[str, Any]], None]) -> Trace:
    """The greedy output, token by token as it is written: id, text, log_prob, and weights (None: no attention).

    Of an output that is given in one go, the likeliest answer after each step. Returns its trace. What `tell` raises
    ends the work. Errors are as in `explore`.
    """
    if not isinstance(model.task.output, SequenceOutput):
        trace = explore_answer(model, case, replace(query, beam=None), lambda: None)
        for step in trace.alternatives or ():
            best = max(step, key=lambda one: one.log_prob)
            tell({"id": best.id, "text": best.text, "log_prob": best.log_prob, "weights": []})
        return trace
    prepared = prepare(model, case, replace(query, beam=1))

    def watch(taken: Taken, _: Taken | None) -> None:
        token = int(taken.token[0, 0])
        weights = None if taken.weights is None else [round(weight, 6) for weight in taken.weights[0, 0].tolist()]
        text, log_prob = prepared.output.field.piece(token), float(taken.log_prob[0, 0])
        tell({"id": token, "text": text, "log_prob": log_prob, "weights": weights})

    options = {"looks": prepared.looks, "watch": watch, **prepared.rules}
    best = decoding.greedy(model.system, prepared.batch, prepared.longest, [prepared.prefix], **options)[0][0]
    trace = replace(prepared.prediction(best).trace(), ids=tuple(best.tokens))
    if query.alternatives:
        likely, entropies = alternatives(prepared, best, query.alternatives)
        trace = replace(trace, alternatives=likely, entropies=entropies)
    return trace


def prepare(model: Model, case: Case, query: Query) -> Prepared:
    output = model.task.output
    assert isinstance(output, SequenceOutput)
    how = model.how(beam=query.beam)
    prefix, looks = by_hand(output.field, query)
    model.task.within_memory(model.system, [case], how, Wanted())
    batch = model.task.inputs([case], device_of(model.system))
    # A prefix that is as long already is all of the output.
    longest = max(int(output.longest(batch, how)), len(prefix))
    return Prepared(model, case, batch, how, prefix, looks, longest)


def by_hand(target: TextField, query: Query) -> tuple[list[int], Looks | None]:
    """The prefix's ids, and the rows of attention that were set."""
    prefix: list[int] = []
    for part in query.prefix:
        tokens = [part] if isinstance(part, int) else target.codec.encode(part).ids
        if isinstance(part, str) and UNKNOWN in tokens:
            raise ValueError(f"{part!r} can't be written: this model's vocabulary does not have all of it")
        prefix += tokens
    wrong = [token for token in prefix if not 0 <= token < len(target.codec)]
    if wrong:
        raise ValueError(f"prefix has token {wrong[0]}: ids are from 0 to {len(target.codec) - 1}")
    if unwritten := [token for token in prefix if token in (PAD, BEGIN)]:
        raise ValueError(f"prefix has token {unwritten[0]}, which is for padding or the beginning alone")
    looks = {step: np.asarray(weights, dtype=np.float32) for step, weights in query.weights.items()}
    return prefix, [looks] if looks else None


def searched(prepared: Prepared, count: int, stop: Callable[[], None]) -> tuple[Hypothesis, dict[str, Any]]:
    """The best output; and for its trace what the search tried, and `count` alternatives a step."""
    tried: list[tuple[Taken, Taken | None]] = []

    def watch(taken: Taken, passed: Taken | None) -> None:
        stop()
        tried.append((taken, passed))

    details: dict[str, Any] = {}
    system, batch, how, looks = prepared.model.system, prepared.batch, prepared.how, prepared.looks
    options = {"prefix": [prepared.prefix], "looks": looks, "watch": watch, **prepared.rules}
    if how.beam == 1:
        best = decoding.greedy(system, batch, prepared.longest, **options)[0][0]
    else:
        best = decoding.beam_search(system, batch, prepared.longest, how.beam, **options)[0][0]
        details["search"] = search_nodes(prepared.output.field, tried, how.length_penalty)
    if count:
        details["alternatives"], details["entropies"] = alternatives(prepared, best, count, stop)
    return best, details


def search_nodes(
    target: TextField, tried: Sequence[tuple[Taken, Taken | None]], length_penalty: float
) -> tuple[Node, ...]:
    """What beam search tried for its one example, step by step."""
    nodes: list[Node] = []
    before: dict[int, int] = {}  # slot of the step before -> its node
    for length, (taken, passed) in enumerate(tried, start=1):
        here: dict[int, int] = {}
        for step in (taken, passed):
            if step is None:
                continue
            columns = (step.parent[0], step.token[0], step.log_prob[0], step.total[0])
            for slot, (parent, token, log_prob, total) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
                if total == -np.inf:
                    continue
                fate = "pruned" if step is passed else "finished" if token == END else "kept"
                score = total / length**length_penalty
                nodes.append(Node(before.get(parent), token, target.piece(token), log_prob, score, fate))
                if step is taken:
                    here[slot] = len(nodes) - 1
        before = here
    return tuple(nodes)


@torch.inference_mode()
def alternatives(
    prepared: Prepared, best: Hypothesis, count: int, stop: Callable[[], None] = lambda: None
) -> tuple[tuple[tuple[Alternative, ...], ...], tuple[float, ...]]:
    """The `count` likeliest tokens of each step, with the one that was written if it is not among them; and entropies.

    A step's entropy, in nats, is of all tokens.
    """
    target = torch.tensor([best.tokens], device=prepared.batch.device)
    piece = prepared.output.field.piece
    found, entropies = [], []
    steps = decoding.teacher_forced(prepared.model.system, prepared.batch, target, prepared.looks)
    for written, step in zip(best.tokens, steps, strict=True):
        stop()
        log_probs = step.logits[0, 0].float().log_softmax(dim=-1)
        entropies.append(float(-(log_probs.exp() * log_probs).sum()))
        possible = log_probs.index_fill(0, log_probs.new_tensor([PAD, BEGIN], dtype=torch.long), -torch.inf)
        likeliest = possible.topk(min(count, len(log_probs) - 2)).indices.tolist()
        tokens = likeliest if written in likeliest else [*likeliest, written]
        found.append(tuple(Alternative(token, piece(token), float(log_probs[token])) for token in tokens))
    return tuple(found), tuple(entropies)


def attributable(prediction: Prediction) -> Seen | None:
    """The look that evidence can be held beside: weights, a row a step of the output, over all cells of an input."""
    for name, seen in prediction.result.looks.items():
        cells = prediction.looks[name]
        if (
            isinstance(seen.values, np.ndarray)
            and seen.steps == "output"
            and getattr(cells, "memory", None) is not None
        ):
            kind = cells.memory.kind  # pyright: ignore[reportAttributeAccessIssue]
            if kind in ("tokens", "grid") and len(seen.values) == len(prediction.ids):
                return seen
    return None


def name_of(prediction: Prediction, seen: Seen) -> str:
    return next(name for name, one in prediction.result.looks.items() if one is seen)


def attributed(
    model: Model, batch: Batch, ids: Sequence[int], seen: Seen, stop: Callable[[], None]
) -> dict[str, np.ndarray]:
    """What each step's log-probability is attributed to, by each method that the system allows."""

    def log_probs(changed: Batch) -> Any:
        return model.task.output.log_probs(model.system, changed, ids, stop)

    found = {"leave-one-out": evidence.leave_one_out(log_probs, batch, seen.over, seen.shape, stop)}
    # An ensemble is no module, and has no gradient of its own.
    if isinstance(model.system, nn.Module):
        by_gradient = evidence.gradient_times_input(model.system, log_probs, batch, seen.over, seen.shape, stop)
        if by_gradient is not None:
            found["gradient x input"] = by_gradient
    return found


def gathered(prepared: Prepared, best: Hypothesis, seen: Seen, stop: Callable[[], None]) -> Evidence:
    """What the output depends on."""
    found = attributed(prepared.model, prepared.batch, best.tokens, seen, stop)
    assert isinstance(seen.values, np.ndarray)
    system, watch = prepared.model.system, lambda *_: stop()
    longest = int(prepared.output.longest(prepared.batch, prepared.how))
    uniform = np.full((longest, seen.values.shape[1]), 1 / seen.values.shape[1], dtype=np.float32)
    changed = []
    for name, rows in {"uniform": uniform, "permuted": evidence.permuted(seen.values)}.items():
        stop()
        looks = evidence.rows_as_looks(rows)
        given = decoding.forced(system, prepared.batch, [best.tokens], looks, watch=watch)[0]
        written = decoding.greedy(system, prepared.batch, longest, looks=looks, watch=watch, **prepared.rules)[0][0]
        changed.append(Intervention(name, prepared.output.result(written).text, given.log_prob))
    return Evidence(seen.over, found, tuple(changed))
