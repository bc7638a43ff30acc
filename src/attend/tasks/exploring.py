"""One prediction of text, from text or from a picture, with all that a person may ask about it.

What search passed over, the likeliest tokens of each step, what the output depends on; and the same with a beginning of
the output given, or rows of attention set by hand.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from attend import decoding, evidence
from attend.attention.trace import Alternative, Evidence, Intervention, Node, Trace
from attend.contract import BEGIN, END, PAD, UNKNOWN
from attend.data.codec import Codec, Encoded
from attend.decoding import Hypothesis, Looks, Taken
from attend.tasks.caption import CaptionModel, Describing
from attend.tasks.text import END_SHOWN, SPARE, Decoding, TextToText, device_of, sources_only

ALTERNATIVES = 8


@dataclass(frozen=True)
class Question:
    """What is asked about one input.

    `prefix` begins the output: ids of the target vocabulary, or text, in any order; with END at its end it is all of
    the output. `weights` sets rows of attention by hand: step -> a number for each token of the source, its end
    included, or for each cell of a picture. `alternatives` is how many of the likeliest tokens are wanted at each step.
    """

    text: str
    prefix: Sequence[int | str] = ()
    weights: Mapping[int, Sequence[float]] = field(default_factory=dict)
    alternatives: int = 0
    evidence: bool = False


def explore(
    task: TextToText, decoder: Any, question: Question, how: Decoding, stop: Callable[[], None] = lambda: None
) -> Trace:
    """The best output as a trace, with what was asked for.

    `stop` is called at each step, and ends the work by raising. Raises `ValueError` for an empty text, for a prefix or
    weights that don't fit, and for evidence with weights set by hand: it is about the model's own attention.
    """
    check_evidence(question)
    source, prefix, looks = prepared(task, question)
    batch = sources_only([source.ids], device_of(decoder))
    longest = greatest_length(source, prefix, how)
    best, details = searched(
        task.target_codec, decoder, batch, longest, how, prefix, looks, question.alternatives, stop
    )
    trace = replace(task.prediction(source, best).trace(), ids=tuple(best.tokens), **details)
    if question.evidence:
        trace = replace(trace, evidence=gathered(task, decoder, source, best, how, stop))
    return trace


def check_evidence(question: Question) -> None:
    if question.evidence and question.weights:
        raise ValueError("evidence is about the model's own attention: ask for it without weights set by hand")


def explore_picture(
    model: CaptionModel,
    pixels: Any,
    question: Question,
    beam: int | None = None,
    stop: Callable[[], None] = lambda: None,
) -> Trace:
    """The same for the caption of a picture, in place of which the question's text is not read.

    Raises `ValueError` as `explore` does, and as `CaptionModel.predict` does.
    """
    check_evidence(question)
    task, how, images = model.task, model.how(beam), model.taken(pixels)
    system: Any = model.systems[0]
    ((_, batch),) = task.batches(system, images)
    prefix, looks = by_hand(task.codec, question)
    longest = max(how.longest + 1, len(prefix))
    best, details = searched(task.codec, system, batch, longest, how, prefix, looks, question.alternatives, stop)
    grid = task.grid(system)
    trace = replace(task.caption(system, images, 0, best, grid).trace(), ids=tuple(best.tokens), **details)
    if question.evidence and best.weights is not None and best.weights.shape[1] == grid[0] * grid[1]:
        attributions = {
            "leave-one-out": evidence.cover_one(system, batch, grid, best.tokens, stop),
            "gradient x input": evidence.gradient_times_picture(system, batch, grid, best.tokens, stop),
        }

        def write(hypothesis: Hypothesis) -> str:
            return task.caption(system, images, 0, hypothesis, grid).text

        changed = interventions(system, batch, how.longest + 1, best, write, stop)
        trace = replace(trace, evidence=Evidence("image", attributions, changed))
    return trace


def searched(
    codec: Codec,
    decoder: Any,
    batch: Any,
    longest: int,
    how: Decoding | Describing,
    prefix: Sequence[int],
    looks: Looks | None,
    count: int,
    stop: Callable[[], None],
) -> tuple[Hypothesis, dict[str, Any]]:
    """The best output of a batch of one; and for its trace what the search tried, and `count` alternatives a step."""
    tried: list[tuple[Taken, Taken | None]] = []

    def watch(taken: Taken, passed: Taken | None) -> None:
        stop()
        tried.append((taken, passed))

    details: dict[str, Any] = {}
    if how.beam == 1:
        best = decoding.greedy(decoder, batch, longest, [prefix], looks=looks, watch=watch)[0][0]
    else:
        best = decoding.beam_search(
            decoder, batch, longest, how.beam, how.length_penalty, prefix=[prefix], looks=looks, watch=watch
        )[0][0]
        details["search"] = search_nodes(codec, tried, how.length_penalty)
    if count:
        details["alternatives"], details["entropies"] = alternatives(codec, decoder, batch, best, looks, count)
    return best, details


def detailed(task: TextToText, decoder: Any, trace: Trace, how: Decoding, target: str | None = None) -> Trace:
    """A prediction's trace with what a page can show beside it: alternatives, what its search tried, and evidence.

    `target` is the output where that was given, and not searched for.
    """
    prefix = () if target is None else (*task.target_codec.encode(target).ids, END)
    question = Question(trace.input, prefix, alternatives=ALTERNATIVES, evidence=True)
    found = explore(task, decoder, question, how)
    search = None if target is not None else found.search
    likely = {"alternatives": found.alternatives, "entropies": found.entropies}
    return replace(trace, ids=found.ids, search=search, evidence=found.evidence, **likely)


def stream(
    task: TextToText, decoder: Any, question: Question, how: Decoding, tell: Callable[[dict[str, Any]], None]
) -> Trace:
    """The greedy output, told token by token as it is written: id, text, log_prob, and weights (None: no attention).

    Returns its trace. What `tell` raises ends the work. Errors are as in `explore`.
    """
    source, prefix, looks = prepared(task, question)
    batch = sources_only([source.ids], device_of(decoder))

    def watch(taken: Taken, _: Taken | None) -> None:
        token = int(taken.token[0, 0])
        weights = None if taken.weights is None else [round(weight, 6) for weight in taken.weights[0, 0].tolist()]
        tell(
            {
                "id": token,
                "text": shown(task.target_codec, token),
                "log_prob": float(taken.log_prob[0, 0]),
                "weights": weights,
            }
        )

    longest = greatest_length(source, prefix, how)
    best = decoding.greedy(decoder, batch, longest, [prefix], looks=looks, watch=watch)[0][0]
    return replace(task.prediction(source, best).trace(), ids=tuple(best.tokens))


def prepared(task: TextToText, question: Question) -> tuple[Encoded, list[int], Looks | None]:
    """The source's tokens, the prefix's ids, and the rows of attention set by hand."""
    if not question.text.strip():
        raise ValueError("the text is empty: there is nothing to predict from")
    return task.source_codec.encode(question.text), *by_hand(task.target_codec, question)


def by_hand(codec: Codec, question: Question) -> tuple[list[int], Looks | None]:
    """The prefix's ids, and the rows of attention that were set."""
    prefix: list[int] = []
    for part in question.prefix:
        tokens = [part] if isinstance(part, int) else codec.encode(part).ids
        if isinstance(part, str) and UNKNOWN in tokens:
            raise ValueError(f"{part!r} can't be written: this model's vocabulary does not have all of it")
        prefix += tokens
    wrong = [token for token in prefix if not 0 <= token < len(codec)]
    if wrong:
        raise ValueError(f"prefix has token {wrong[0]}: ids are from 0 to {len(codec) - 1}")
    if unwritten := [token for token in prefix if token in (PAD, BEGIN)]:
        raise ValueError(f"prefix has token {unwritten[0]}, which is for padding or the beginning alone")
    looks = {step: np.asarray(weights, dtype=np.float32) for step, weights in question.weights.items()}
    return prefix, [looks] if looks else None


def greatest_length(source: Encoded, prefix: Sequence[int], how: Decoding) -> int:
    """As for any prediction; a prefix that is as long already is all of the output."""
    return max(int((len(source.ids) + 1) * how.longest + SPARE), len(prefix))


def search_nodes(codec: Codec, tried: Sequence[tuple[Taken, Taken | None]], length_penalty: float) -> tuple[Node, ...]:
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
                nodes.append(Node(before.get(parent), token, shown(codec, token), log_prob, score, fate))
                if step is taken:
                    here[slot] = len(nodes) - 1
        before = here
    return tuple(nodes)


@torch.inference_mode()
def alternatives(
    codec: Codec, decoder: Any, batch: Any, best: Hypothesis, looks: Looks | None, count: int
) -> tuple[tuple[tuple[Alternative, ...], ...], tuple[float, ...]]:
    """The `count` likeliest tokens of each step, with the one that was written if it is not among them; and entropies.

    A step's entropy, in nats, is of all tokens.
    """
    target = torch.tensor([best.tokens], device=device_of(decoder))
    found, entropies = [], []
    for written, step in zip(best.tokens, decoding.teacher_forced(decoder, batch, target, looks), strict=True):
        log_probs = step.logits[0, 0].float().log_softmax(dim=-1)
        entropies.append(float(-(log_probs.exp() * log_probs).sum()))
        possible = log_probs.index_fill(0, log_probs.new_tensor([PAD, BEGIN], dtype=torch.long), -torch.inf)
        likeliest = possible.topk(min(count, len(log_probs) - 2)).indices.tolist()
        tokens = likeliest if written in likeliest else [*likeliest, written]
        found.append(tuple(Alternative(token, shown(codec, token), float(log_probs[token])) for token in tokens))
    return tuple(found), tuple(entropies)


def gathered(
    task: TextToText, decoder: Any, source: Encoded, best: Hypothesis, how: Decoding, stop: Callable[[], None]
) -> Evidence | None:
    """What the output depends on; None for a system without attention over the source's tokens."""
    cells = [*source.ids, END]
    network: object = decoder
    if best.weights is None or best.weights.shape[1] != len(cells):
        return None
    attributions = {"leave-one-out": evidence.leave_one_out(decoder, cells, best.tokens, stop)}
    # An ensemble is no module, and has no gradient of its own.
    if isinstance(network, nn.Module):
        attributions["gradient x input"] = evidence.gradient_times_input(network, cells, best.tokens, stop)
    batch = sources_only([source.ids], device_of(decoder))

    def write(hypothesis: Hypothesis) -> str:
        return task.prediction(source, hypothesis).text

    changed = interventions(decoder, batch, greatest_length(source, (), how), best, write, stop)
    return Evidence("source", attributions, changed)


def interventions(
    decoder: Any,
    batch: Any,
    longest: int,
    best: Hypothesis,
    write: Callable[[Hypothesis], str],
    stop: Callable[[], None],
) -> tuple[Intervention, ...]:
    """What is written, and how likely the output is, when attention is made uniform, or is put on other cells."""
    assert best.weights is not None
    cells = best.weights.shape[1]
    uniform = np.full((longest, cells), 1 / cells, dtype=np.float32)
    found = []
    for name, rows in {"uniform": uniform, "permuted": evidence.permuted(best.weights)}.items():
        stop()
        looks = evidence.rows_as_looks(rows)
        given = decoding.forced(decoder, batch, [best.tokens], looks)[0]
        written = decoding.greedy(decoder, batch, longest, looks=looks)[0][0]
        found.append(Intervention(name, write(written), given.log_prob))
    return tuple(found)


def shown(codec: Codec, token: int) -> str:
    return END_SHOWN if token == END else codec.piece(token)
