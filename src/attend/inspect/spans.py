"""Does a step attend to the source of its output? For outputs whose source spans are known, such as dates.

A span is (start, end), characters of a text.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from attend.attention.trace import Token, Tokens, Weights

Span = tuple[int, int]

# The spans of an ISO 8601 date's parts.
ISO_DATE: Mapping[str, Span] = {"year": (0, 4), "month": (5, 7), "day": (8, 10)}


@dataclass(frozen=True)
class SpanRead:
    """How one step read its source span.

    `distance` is in characters from the span to the cell of the strongest weight: 0 if they overlap, 1 if the cell
    begins where the span ends, -1 if it ends where the span begins; None if the cell is a special token. `mass` is the
    weight of all cells that overlap the span.
    """

    step: int
    distance: int | None
    mass: float


def step_spans(steps: Tokens, target: Mapping[str, Span], source: Mapping[str, Span]) -> list[Span | None]:
    """The source span of each step: that of the part it writes, None if it writes no part or pieces of several.

    `target` has the parts' spans in the output (`ISO_DATE`), `source` those in the input. Raises `ValueError` if a part
    has no source span.
    """
    if missing := target.keys() - source.keys():
        raise ValueError(f"no source span for {', '.join(sorted(missing))}; give one for each of {', '.join(target)}")
    spans = []
    for token in steps.tokens:
        parts = [part for part, span in target.items() if _distance(token, span) == 0]
        spans.append(source[parts[0]] if len(parts) == 1 else None)
    return spans


def span_reads(look: Weights, spans: Sequence[Span | None]) -> list[SpanRead]:
    """How each step that has a source span read it.

    `spans` has an entry a step. Raises `ValueError` if it has another length, if a span is empty, or if the look is not
    at a text.
    """
    if not isinstance(look.memory, Tokens):
        raise ValueError(f"spans need a look at tokens, not at {look.memory.kind}")
    if len(spans) != len(look.steps):
        raise ValueError(f"{len(spans)} spans for {len(look.steps)} steps; give one for each, None where there is none")
    reads = []
    for step, (span, weights) in enumerate(zip(spans, look.weights, strict=True)):
        if span is None:
            continue
        if span[0] >= span[1]:
            raise ValueError(f"the span of step {step} is {span}; its end must come after its start")
        distances = [_distance(token, span) for token in look.memory.tokens]
        inside = [cell for cell, distance in enumerate(distances) if distance == 0]
        reads.append(SpanRead(step, distances[weights.argmax()], float(weights[inside].sum())))
    return reads


def span_accuracy(reads: Collection[SpanRead]) -> float:
    """The share of steps whose strongest weight lies inside their span. Raises `ValueError` without steps."""
    return _mean([float(read.distance == 0) for read in reads])


def span_mass(reads: Collection[SpanRead]) -> float:
    """The mean weight inside the span. Raises `ValueError` without steps."""
    return _mean([read.mass for read in reads])


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise ValueError("no step has a source span, so there is nothing to measure; give looks with known spans")
    return sum(values) / len(values)


def _distance(token: Token, span: Span) -> int | None:
    """Characters from the span to the token, negative before it; None for a special token."""
    if token.start is None or token.end is None:
        return None
    if token.start >= span[1]:
        return token.start - span[1] + 1
    if token.end <= span[0]:
        return token.end - span[0] - 1
    return 0
