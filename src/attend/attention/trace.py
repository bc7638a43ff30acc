"""Where a model looked, in a form that every viewer can draw: no torch, no paper, no drawing.

A trace is one prediction: its input, its output, and named looks ("source", "hop 2", "glimpse"). A look is `Weights`
over the cells of a memory, or `Windows` in an image. A look is complete or absent: every step has its row. What else is
known of the prediction (the picture it is about, the one that it draws, other tokens it might have written, what its
search passed over, a person's links, what changes its output) goes along where there is any.
`Trace.to_json` and `Trace.from_json` give and take the form `attend.trace.v1` (schema in `trace.schema.json`).
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

SCHEMA = "attend.trace.v1"
# Rows come from float32 softmaxes and from files rounded to a few digits.
ROW_SUM_TOLERANCE = 1e-3
# Pictures that every browser draws, and that can't hold a script.
PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True)
class Token:
    """A piece of text. `start` and `end` are character offsets into the raw text; None for a special token."""

    text: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Tokens:
    """Cells or steps that are the tokens of a text."""

    text: str
    tokens: tuple[Token, ...]
    kind: Literal["tokens"] = "tokens"

    def __post_init__(self) -> None:
        for index, token in enumerate(self.tokens):
            if token.start is None and token.end is None:
                continue
            if token.start is None or token.end is None or not 0 <= token.start <= token.end <= len(self.text):
                raise ValueError(
                    f"token {index} {token.text!r} is at {token.start}..{token.end}; give offsets inside the text's "
                    f"{len(self.text)} characters, or None twice for a special token"
                )

    def __len__(self) -> int:
        return len(self.tokens)

    def labels(self) -> list[str]:
        """The tokens' texts; a space for a subword that is only the one put before a text, which has no place in it."""
        return [token.text or " " for token in self.tokens]


@dataclass(frozen=True)
class Grid:
    """Cells that tile an image, row by row."""

    rows: int
    columns: int
    kind: Literal["grid"] = "grid"

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise ValueError(f"a grid needs at least one row and one column, not {self.rows} x {self.columns}")

    def __len__(self) -> int:
        return self.rows * self.columns

    def labels(self) -> list[str]:
        return [f"{row},{column}" for row in range(self.rows) for column in range(self.columns)]


@dataclass(frozen=True)
class Frames:
    """Cells or steps in time: where each begins, and how long each lasts, in seconds."""

    starts: tuple[float, ...]
    seconds: float
    kind: Literal["frames"] = "frames"

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, self.starts)) or not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError("frames need finite starts and a finite length above 0 seconds")

    def __len__(self) -> int:
        return len(self.starts)

    def labels(self) -> list[str]:
        return [f"{start:.2f}s" for start in self.starts]


@dataclass(frozen=True)
class Named:
    """Cells or steps with names: memory slots, fields of an ad, hops, the summary of a whole input."""

    names: tuple[str, ...]
    kind: Literal["named"] = "named"

    def __len__(self) -> int:
        return len(self.names)

    def labels(self) -> list[str]:
        return list(self.names)


Axis = Tokens | Grid | Frames | Named


@dataclass(frozen=True)
class Weights:
    """How much each step looked at each cell: rows are steps and sum to one (or to at most one under a sentinel).

    `hard`: each step chose one cell instead of mixing them. Raises `ValueError` for another shape than steps x cells,
    and for weights that are not finite, are below zero, or sum to more than one.
    """

    weights: Float[np.ndarray, "step memory"]
    steps: Axis
    memory: Axis
    hard: bool = False
    kind: Literal["weights"] = "weights"

    def __post_init__(self) -> None:
        if self.weights.shape != (len(self.steps), len(self.memory)):
            raise ValueError(
                f"weights are {self.weights.shape}, but there are {len(self.steps)} steps and {len(self.memory)} cells"
            )
        # Written so that NaN, which compares false with everything, is caught.
        wrong = np.argwhere(~((self.weights >= 0) & np.isfinite(self.weights)))
        if len(wrong):
            step, cell = wrong[0]
            raise ValueError(f"the weight at {step}, {cell} is {self.weights[step, cell]}; it must be finite and >= 0")
        sums = self.weights.sum(axis=1, dtype=np.float64)
        if (sums > 1 + ROW_SUM_TOLERANCE).any():
            step = int(sums.argmax())
            raise ValueError(f"the weights of step {step} sum to {sums[step]:.6g}; they must sum to at most one")


@dataclass(frozen=True)
class Windows:
    """Where each step looked in an image, in its coordinates: x, y in [-1, 1], (-1, -1) the top left.

    `extent` is the width and height of the window in the same units; `scale` numbers the resolutions of a retina, or
    is a filter bank's variance.
    """

    centre: Float[np.ndarray, "step 2"]
    extent: Float[np.ndarray, "step 2"]
    scale: Float[np.ndarray, "step"]
    steps: Axis
    kind: Literal["windows"] = "windows"

    def __post_init__(self) -> None:
        shapes = (self.centre.shape, self.extent.shape, self.scale.shape)
        expected = ((len(self.steps), 2), (len(self.steps), 2), (len(self.steps),))
        if shapes != expected:
            raise ValueError(
                f"centre, extent and scale are {shapes}, for {len(self.steps)} steps they must be {expected}"
            )
        for name, values in (("centre", self.centre), ("extent", self.extent), ("scale", self.scale)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite")
        if (self.extent < 0).any():
            raise ValueError("extent must be >= 0: it is a width and a height")


Look = Weights | Windows
Link = tuple[int, int]


@dataclass(frozen=True)
class Gold:
    """A person's links of a look: (memory word, step word), both counted from 0 without special tokens, as in Pharaoh.

    `possible` holds the sure ones too.
    """

    sure: tuple[Link, ...]
    possible: tuple[Link, ...]


@dataclass(frozen=True)
class Alternative:
    """A token that could stand at a step: its id in the model's vocabulary, its text and its log-probability there."""

    id: int
    text: str
    log_prob: float


@dataclass(frozen=True)
class Node:
    """A token that beam search tried, which goes on from the node numbered `parent` (None: from the beginning).

    `id` is its number in the model's vocabulary, `score` what hypotheses are ranked by, of the one up to here. "kept"
    went on to the next step, "finished" ended its hypothesis, "pruned" was among the best that there was no room for.
    """

    parent: int | None
    id: int
    text: str
    log_prob: float
    score: float
    fate: Literal["kept", "finished", "pruned"]


@dataclass(frozen=True)
class Intervention:
    """What the model does when its attention is changed: what it writes then, and log p of the trace's output then."""

    attention: str
    output: str
    log_prob: float


@dataclass(frozen=True)
class Evidence:
    """What the output depends on, beside where the model looked.

    `attributions` have a number for each step and cell of the look named `look`: how much the step's log-probability
    owes to the cell, in nats, by each method. `interventions` say what another attention would have done.
    """

    look: str
    attributions: Mapping[str, Float[np.ndarray, "step memory"]]
    interventions: tuple[Intervention, ...]


@dataclass(frozen=True)
class Canvas:
    """A picture that was made step by step: what there was of it after each step, in the form of `Trace.picture`.

    `look` names the windows that the steps wrote through, one a step; None if they wrote all of it each time. Windows
    of another name read, and lie in the picture that was looked at.
    """

    after: tuple[str, ...]
    look: str | None

    def __post_init__(self) -> None:
        if not self.after:
            raise ValueError("a canvas needs a picture after each step, and has none")
        for step, picture in enumerate(self.after):
            _check_picture(f"the picture after step {step + 1}", picture)


@dataclass(frozen=True)
class Trace:
    """One prediction and where the model looked while it made it.

    `scores` are log-probabilities of the output's steps, where the system has them. `about` says what made the trace
    (recipe, run, decoding), for people. `picture` is the image that was looked at, as a data URI (PNG, JPEG, GIF or
    WebP, base64), and `canvas` the one that was drawn. `ids` are the output's tokens in the model's vocabulary, and
    `alternatives` the likeliest tokens of each step; `entropies` say how unsure it was of these, in nats, over all of
    its vocabulary. `search` is what beam search tried, parents before children. `gold` is by the name of a look.
    """

    input: str
    output: str
    looks: Mapping[str, Look]
    scores: tuple[float, ...] | None = None
    about: Mapping[str, str] = field(default_factory=dict)
    picture: str | None = None
    ids: tuple[int, ...] | None = None
    alternatives: tuple[tuple[Alternative, ...], ...] | None = None
    entropies: tuple[float, ...] | None = None
    search: tuple[Node, ...] | None = None
    gold: Mapping[str, Gold] = field(default_factory=dict)
    evidence: Evidence | None = None
    canvas: Canvas | None = None

    def __post_init__(self) -> None:
        if self.scores is not None and not all(map(math.isfinite, self.scores)):
            raise ValueError(f"scores must be finite log-probabilities, not {self.scores}")
        if self.picture is not None:
            _check_picture("picture", self.picture)
        for number, node in enumerate(self.search or ()):
            if node.parent is not None and not 0 <= node.parent < number:
                raise ValueError(f"node {number} of search has parent {node.parent}: parents stand before children")
        for name in self.gold:
            if name not in self.looks:
                raise ValueError(f"gold is for the look {name!r}, but the looks are {', '.join(self.looks) or 'none'}")
        if self.evidence is not None:
            _check_evidence(self.evidence, self.looks)
        if self.canvas is not None and self.canvas.look is not None:
            _check_written(self.canvas, self.looks.get(self.canvas.look))

    def to_json(self) -> dict[str, Any]:
        """The form `attend.trace.v1`, of plain dicts, lists, strings and numbers (six significant digits).

        What else is known of the prediction is left out where there is none of it.
        """
        form = _to_json(self)
        return {"schema": SCHEMA, **{key: value for key, value in form.items() if value or key not in _details}}

    @classmethod
    def from_json(cls, form: object) -> "Trace":
        """Read the form `attend.trace.v1`. Raises `ValueError` naming the key for whatever is not in that form."""
        members = _record(
            form,
            schema=_schema,
            input=_string,
            output=_string,
            looks=_mapping(_look),
            scores=lambda scores: None if scores is None else _tuple(_number)(scores),
            about=_mapping(_string),
            optional=_details,
        )
        del members["schema"]
        return cls(**members)


def _check_picture(name: str, picture: str) -> None:
    if not PICTURE.fullmatch(picture):
        raise ValueError(f"{name} must be a data URI of a PNG, JPEG, GIF or WebP image in base64")


def _check_written(canvas: Canvas, look: Look | None) -> None:
    if not isinstance(look, Windows):
        raise ValueError(f"canvas is written through the look {canvas.look!r}, and there are no windows of that name")
    if len(look.steps) != len(canvas.after):
        raise ValueError(f"canvas has {len(canvas.after)} steps, but its look {canvas.look!r} has {len(look.steps)}")


def _check_evidence(evidence: Evidence, looks: Mapping[str, Look]) -> None:
    look = looks.get(evidence.look)
    if not isinstance(look, Weights):
        raise ValueError(f"evidence is for the look {evidence.look!r}, and there are no weights of that name")
    for name, values in evidence.attributions.items():
        if values.shape != look.weights.shape:
            raise ValueError(f"evidence {name!r} is {values.shape}, but the look's weights are {look.weights.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"evidence {name!r} must be finite")


def _to_json(value: Any) -> Any:
    if is_dataclass(value):
        return {member.name: _to_json(getattr(value, member.name)) for member in fields(value)}
    if isinstance(value, Mapping):
        return {name: _to_json(member) for name, member in value.items()}
    if isinstance(value, np.ndarray | Sequence) and not isinstance(value, str):
        return [_to_json(member) for member in value]
    if isinstance(value, np.generic):
        value = value.item()
    return float(f"{value:.6g}") if isinstance(value, float) else value


# Reading: each reader takes a parsed JSON value and returns what it stands for, or raises a ValueError. The keys that
# lead to the value are put in front of the message on its way up.

Reader = Callable[[object], Any]


@contextmanager
def _at(key: str | int) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _record(form: object, optional: Mapping[str, Reader] | None = None, **required: Reader) -> dict[str, Any]:
    form = _object(form)
    for key in required:
        if key not in form:
            raise ValueError(f"key {key!r} is missing")
    readers = {**required, **(optional or {})}
    for key in form:
        if key not in readers:
            raise ValueError(f"unknown key {key!r}; the keys are {', '.join(readers)}")
    members = {}
    for key, read in readers.items():
        if key in form:
            with _at(key):
                members[key] = read(form[key])
    return members


def _mapping(read: Reader) -> Reader:
    def mapping(form: object) -> dict[str, Any]:
        members = {}
        for key, member in _object(form).items():
            with _at(key):
                members[key] = read(member)
        return members

    return mapping


def _tuple(read: Reader) -> Reader:
    def members(form: object) -> tuple[Any, ...]:
        if not isinstance(form, list):
            raise ValueError(f"must be a list, not {form!r:.80}")
        values = []
        for index, value in enumerate(form):
            with _at(index):
                values.append(read(value))
        return tuple(values)

    return members


def _kind(readers: Mapping[str, Reader]) -> Reader:
    def kind(form: object) -> Any:
        name = _object(form).get("kind")
        if not isinstance(name, str) or name not in readers:
            raise ValueError(f"kind: must be one of {', '.join(readers)}, not {name!r:.80}")
        return readers[name](form)

    return kind


def _object(form: object) -> dict[str, Any]:
    if not isinstance(form, dict):
        raise ValueError(f"must be an object, not {form!r:.80}")
    return form


def _string(form: object) -> str:
    if not isinstance(form, str):
        raise ValueError(f"must be a string, not {form!r:.80}")
    return form


def _schema(form: object) -> str:
    if form != SCHEMA:
        raise ValueError(f"must be {SCHEMA!r}, not {form!r:.80}")
    return SCHEMA


def _boolean(form: object) -> bool:
    if not isinstance(form, bool):
        raise ValueError(f"must be true or false, not {form!r:.80}")
    return form


def _integer(form: object) -> int:
    if not isinstance(form, int) or isinstance(form, bool):
        raise ValueError(f"must be a whole number, not {form!r:.80}")
    return form


def _integer_or_none(form: object) -> int | None:
    return None if form is None else _integer(form)


def _number(form: object) -> float:
    if not isinstance(form, int | float) or isinstance(form, bool):
        raise ValueError(f"must be a number, not {form!r:.80}")
    try:
        return float(form)
    except OverflowError:
        raise ValueError("must be a number that fits a 64-bit float") from None


def _matrix(form: object) -> Float[np.ndarray, "row column"]:
    rows = _tuple(_tuple(_number))(form)
    for index, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"row {index} has {len(row)} numbers, row 0 has {len(rows[0])}; rows must be of one length"
            )
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else 0)


def _pairs(form: object) -> Float[np.ndarray, "row 2"]:
    matrix = _matrix(form)
    if len(matrix) and matrix.shape[1] != 2:
        raise ValueError(f"rows must be of 2 numbers, not {matrix.shape[1]}")
    return matrix.reshape(len(matrix), 2)


def _vector(form: object) -> Float[np.ndarray, "step"]:
    return np.array(_tuple(_number)(form), dtype=np.float64)


def _token(form: object) -> Token:
    return Token(**_record(form, text=_string, start=_integer_or_none, end=_integer_or_none))


_axis = _kind(
    {
        "tokens": lambda form: Tokens(**_record(form, kind=_string, text=_string, tokens=_tuple(_token))),
        "grid": lambda form: Grid(**_record(form, kind=_string, rows=_integer, columns=_integer)),
        "frames": lambda form: Frames(**_record(form, kind=_string, starts=_tuple(_number), seconds=_number)),
        "named": lambda form: Named(**_record(form, kind=_string, names=_tuple(_string))),
    }
)


def _weights(form: object) -> Weights:
    members = _record(form, kind=_string, weights=_matrix, steps=_axis, memory=_axis, hard=_boolean)
    if not len(members["weights"]):  # a list of no rows doesn't say how long they would be
        members["weights"] = np.zeros((0, len(members["memory"])))
    return Weights(**members)


def _windows(form: object) -> Windows:
    members = _record(form, kind=_string, centre=_pairs, extent=_pairs, scale=_vector, steps=_axis)
    for key in ("centre", "extent", "scale"):
        if len(members[key]) != len(members["steps"]):
            raise ValueError(f"{key}: is for {len(members[key])} steps, but there are {len(members['steps'])}")
    return Windows(**members)


_look = _kind({"weights": _weights, "windows": _windows})


def _link(form: object) -> Link:
    pair = _tuple(_integer)(form)
    if len(pair) != 2 or min(pair) < 0:
        raise ValueError(f"must be two whole numbers from 0 up, not {form!r:.80}")
    return pair


def _fate(form: object) -> str:
    if form not in ("kept", "finished", "pruned"):
        raise ValueError(f"must be kept, finished or pruned, not {form!r:.80}")
    return str(form)


def _gold(form: object) -> Gold:
    return Gold(**_record(form, sure=_tuple(_link), possible=_tuple(_link)))


def _alternative(form: object) -> Alternative:
    return Alternative(**_record(form, id=_integer, text=_string, log_prob=_number))


def _node(form: object) -> Node:
    return Node(
        **_record(
            form,
            parent=_integer_or_none,
            id=_integer,
            text=_string,
            log_prob=_number,
            score=_number,
            fate=_fate,
        )
    )


def _intervention(form: object) -> Intervention:
    return Intervention(**_record(form, attention=_string, output=_string, log_prob=_number))


def _evidence(form: object) -> Evidence:
    attributions, interventions = _mapping(_matrix), _tuple(_intervention)
    return Evidence(**_record(form, look=_string, attributions=attributions, interventions=interventions))


def _canvas(form: object) -> Canvas:
    return Canvas(**_record(form, after=_tuple(_string), look=lambda look: None if look is None else _string(look)))


# Keys that a trace may lack.
_details: dict[str, Reader] = {
    "picture": _string,
    "ids": _tuple(_integer),
    "alternatives": _tuple(_tuple(_alternative)),
    "entropies": _tuple(_number),
    "search": _tuple(_node),
    "gold": _mapping(_gold),
    "evidence": _evidence,
    "canvas": _canvas,
}
