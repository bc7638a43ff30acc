"""Traces: where a model looked, as data, independent of torch, papers and drawing.

A trace is one prediction: its input, its output, and named looks ("source", "hop 2", "glimpse"). A look is `Weights`
over the cells of a memory, or `Windows` in an image, and has a row for every step, or is left out. Everything else
(media, alternatives, the beam search, gold alignments, attributions) is optional.

`Trace.to_json` writes the form `attend.trace.v2`; `Trace.from_json` reads it, and `attend.trace.v1`. The published
schema, `trace.schema.json`, is made from these records:

    python -m attend.attention.trace > src/attend/attention/trace.schema.json
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import ConfigDict, Field, GetCoreSchemaHandler, PlainSerializer, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema, ErrorDetails, core_schema, to_json

SCHEMA = "attend.trace.v2"
FORMER = "attend.trace.v1"
# Rows come from float32 softmaxes and from files rounded to a few digits.
ROW_SUM_TOLERANCE = 1e-3
# Formats that every browser shows, and that can't hold a script.
PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}")
SOUND = re.compile(r"data:audio/(wav|mpeg|ogg|flac);base64,[A-Za-z0-9+/]+={0,2}")
RECORDS = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class _AsLists:
    """Marks an array that is nested lists in JSON: their type, and the numbers per row if fixed."""

    of: Any
    columns: int | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            self.array,
            handler.generate_schema(self.of),
            serialization=core_schema.plain_serializer_function_ser_schema(_lists),
        )

    def array(self, rows: list[Any]) -> np.ndarray:
        lengths = {len(row) for row in rows if isinstance(row, list)}
        if len(lengths) > 1:
            raise ValueError(f"the rows must be of one length, not of {min(lengths)} to {max(lengths)} numbers")
        values = np.array(rows, dtype=np.float64)
        return values if self.columns is None else values.reshape(-1, self.columns)


def _lists(array: np.ndarray) -> list[Any]:
    # Rounded through text, as `_rounded` does: arithmetic would leave 0.30000000000000004.
    return np.array([float(f"{value:.6g}") for value in array.ravel().tolist()]).reshape(array.shape).tolist()


def _rounded(value: float) -> float:
    """To six significant digits."""
    return float(f"{value:.6g}")


Number = Annotated[float, PlainSerializer(_rounded)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
PictureUri = Annotated[str, Field(pattern=f"^{PICTURE.pattern}$")]
SoundUri = Annotated[str, Field(pattern=f"^{SOUND.pattern}$")]


@dataclass(frozen=True)
class Token:
    """A piece of text. `start` and `end` are character offsets into the raw text; None for a special token.

    An `unknown` one is in no vocabulary: whatever it says, the model read or wrote the same token for it.
    """

    text: str
    start: Count | None = None
    end: Count | None = None
    unknown: bool = False


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
        """The tokens' texts; a space for a subword that is only the space prepended to a text, absent from the text."""
        return [token.text or " " for token in self.tokens]


@dataclass(frozen=True)
class Grid:
    """Cells that tile an image, row by row."""

    rows: Annotated[int, Field(ge=1)]
    columns: Annotated[int, Field(ge=1)]
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

    starts: tuple[Number, ...]
    seconds: Annotated[Number, Field(gt=0)]
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
    """Cells or steps with names: memory slots, hops, the summary of a whole input."""

    names: tuple[str, ...]
    kind: Literal["named"] = "named"

    def __len__(self) -> int:
        return len(self.names)

    def labels(self) -> list[str]:
        return list(self.names)


Axis = Annotated[Tokens | Grid | Frames | Named, Field(discriminator="kind")]


@dataclass(frozen=True)
class Weights:
    """Attention weights: rows are steps and sum to one (or to at most one with a sentinel), columns are cells.

    `hard`: each step chose one cell instead of mixing them. Raises `ValueError` for another shape than steps x cells,
    and for weights that are not finite, are below zero, or sum to more than one.
    """

    weights: Annotated[Float[np.ndarray, "step memory"], _AsLists(list[list[NotNegative]])]
    steps: Axis
    memory: Axis
    hard: bool = False
    kind: Literal["weights"] = "weights"

    def __post_init__(self) -> None:
        if not len(self.weights):  # an empty list does not give the rows' length
            object.__setattr__(self, "weights", np.zeros((0, len(self.memory))))
        if self.weights.shape != (len(self.steps), len(self.memory)):
            raise ValueError(
                f"weights are {self.weights.shape}, but there are {len(self.steps)} steps and {len(self.memory)} cells"
            )
        # Also catches NaN, which compares false with everything.
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
    """Where each step looked in an image, in image coordinates: x, y in [-1, 1], (-1, -1) the top left.

    `extent` is the width and height of the window in the same units; `scale` numbers the resolutions of a retina, or
    is a filter bank's variance.
    """

    centre: Annotated[Float[np.ndarray, "step 2"], _AsLists(list[tuple[float, float]], 2)]
    extent: Annotated[Float[np.ndarray, "step 2"], _AsLists(list[tuple[NotNegative, NotNegative]], 2)]
    scale: Annotated[Float[np.ndarray, "step"], _AsLists(list[float])]
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


Look = Annotated[Weights | Windows, Field(discriminator="kind")]
Link = tuple[Count, Count]


@dataclass(frozen=True)
class Gold:
    """Gold alignments of a look: (memory word, step word), both counted from 0 without special tokens, as in Pharaoh.

    `possible` includes the sure ones.
    """

    sure: tuple[Link, ...]
    possible: tuple[Link, ...]


@dataclass(frozen=True)
class Alternative:
    """A candidate token of a step: its id in the model's vocabulary, its text and its log-probability."""

    id: int
    text: str
    log_prob: Number


@dataclass(frozen=True)
class Node:
    """A token that beam search expanded, after the node numbered `parent` (None: at the beginning).

    `id` is the token's in the model's vocabulary, `score` the ranking score of its hypothesis up to here. "kept" stayed
    in the beam, "finished" ended its hypothesis, "pruned" ranked just below the beam.
    """

    parent: Count | None
    id: int
    text: str
    log_prob: Number
    score: Number
    fate: Literal["kept", "finished", "pruned"]


@dataclass(frozen=True)
class Intervention:
    """The model's output under other attention, and log p of the trace's output under it."""

    attention: str
    output: str
    log_prob: Number


@dataclass(frozen=True)
class Evidence:
    """What the output depends on, apart from where the model looked.

    `attributions` have a number for each step and cell of the look named `look`: how much of the step's log-probability
    each method attributes to the cell, in nats. `interventions` are the model's outputs under other attention.
    """

    look: str
    attributions: Mapping[str, Annotated[Float[np.ndarray, "step memory"], _AsLists(list[list[float]])]]
    interventions: tuple[Intervention, ...]


@dataclass(frozen=True)
class Picture:
    """One image: a PNG, JPEG, GIF or WebP file as a data URI."""

    uri: PictureUri
    kind: Literal["picture"] = "picture"

    def __post_init__(self) -> None:
        _check_uris(PICTURE, self.uri)


@dataclass(frozen=True)
class PictureEachStep:
    """An image for each step: the canvas after each step of a drawing, or the frame that each step attended to."""

    uris: Annotated[tuple[PictureUri, ...], Field(min_length=1)]
    kind: Literal["picture_each_step"] = "picture_each_step"

    def __post_init__(self) -> None:
        _check_uris(PICTURE, *self.uris)


@dataclass(frozen=True)
class PictureEachCell:
    """A thumbnail for each cell of the memory: the frames of a video, the pictures of a set."""

    uris: Annotated[tuple[PictureUri, ...], Field(min_length=1)]
    kind: Literal["picture_each_cell"] = "picture_each_cell"

    def __post_init__(self) -> None:
        _check_uris(PICTURE, *self.uris)


@dataclass(frozen=True)
class Sound:
    """A recording, `seconds` long: a WAV, MP3, Ogg or FLAC file as a data URI."""

    uri: SoundUri
    seconds: Annotated[Number, Field(gt=0)]
    kind: Literal["sound"] = "sound"

    def __post_init__(self) -> None:
        _check_uris(SOUND, self.uri)
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"seconds must be finite and above 0, not {self.seconds}")


Media = Annotated[Picture | PictureEachStep | PictureEachCell | Sound, Field(discriminator="kind")]


@dataclass(frozen=True)
class Trace:
    """One prediction and where the model looked while it made it.

    Raises `ValueError` for numbers that are not finite and for parts that don't fit one another.
    """

    __pydantic_config__ = RECORDS

    input: str
    """The input as text, or its name."""
    output: str
    """The output as text, or its name."""
    looks: Mapping[str, Look]
    """By name: "source", "hop 2", "glimpse"."""
    scores: tuple[Number, ...] | None = None
    """Log-probabilities of the output's steps, where the system has them."""
    about: Mapping[str, str] = field(default_factory=dict)
    """What made the trace (recipe, run, decoding), human-readable."""
    ids: tuple[int, ...] | None = None
    """The output's tokens in the model's vocabulary."""
    alternatives: tuple[tuple[Alternative, ...], ...] | None = None
    """The most probable tokens, or classes, of each step."""
    entropies: tuple[Number, ...] | None = None
    """The entropy of each step's prediction over the whole vocabulary, in nats."""
    search: tuple[Node, ...] | None = None
    """The beam search's tree, parents before children."""
    gold: Mapping[str, Gold] = field(default_factory=dict)
    """Gold alignments, by the name of a look."""
    evidence: Evidence | None = None
    """What the output depends on."""
    media: Mapping[str, Media] = field(default_factory=dict)
    """Media to show: of the whole input under "input", of the output under "output", and of a single look under its
    name. Looks without their own use the input's (`media_of`)."""
    finished: bool | None = None
    """False if the output was cut off at the maximum length; null where that is not known."""

    def __post_init__(self) -> None:
        for name, values in (("scores", self.scores), ("entropies", self.entropies)):
            if values is not None and not all(map(math.isfinite, values)):
                raise ValueError(f"{name} must be finite, not {values}")
        for number, node in enumerate(self.search or ()):
            if node.parent is not None and not 0 <= node.parent < number:
                raise ValueError(f"node {number} of search has parent {node.parent}: parents stand before children")
        for name in self.gold:
            if name not in self.looks:
                raise ValueError(f"gold is for the look {name!r}, but the looks are {', '.join(self.looks) or 'none'}")
        if self.evidence is not None:
            _check_evidence(self.evidence, self.looks)
        for name, media in self.media.items():
            _check_media(name, media, self.looks)

    def __repr__(self) -> str:
        return f"<trace of {self.input!r:.60}: {self.output!r:.60}, looks: {', '.join(self.looks) or 'none'}>"

    def media_of(self, look: str) -> Media | None:
        """The media to show a look with: its own, else the input's if they fit its cells.

        A picture fits a grid and windows, a sound fits frames, thumbnails fit as many frames or named cells.
        """
        if look in self.media:
            return self.media[look]
        memory = getattr(self.looks[look], "memory", None)
        match media := self.media.get("input"):
            case Picture():
                goes = memory is None or isinstance(memory, Grid)
            case Sound():
                goes = isinstance(memory, Frames)
            case PictureEachCell():
                goes = isinstance(memory, Frames | Named) and len(memory) == len(media.uris)
            case _:
                goes = False
        return media if goes else None

    def windows_each_step(self, look: str) -> int:
        """How many rows of a look through windows belong to one step: a retina has one for each scale."""
        rows, media = len(self.looks[look].steps), self.media.get(look)
        steps = len(media.uris) if isinstance(media, PictureEachStep) else len(self.alternatives or ()) or rows
        return max(1, rows // max(1, steps))

    def to_json(self) -> dict[str, Any]:
        """The form `attend.trace.v2`, of plain dicts, lists, strings and numbers (six significant digits).

        Optional parts that are empty are left out.
        """
        form = _adapter().dump_python(self, mode="json")
        for axis in (axis for look in form["looks"].values() for axis in (look["steps"], look.get("memory", {}))):
            for token in axis.get("tokens", ()):
                if not token["unknown"]:
                    del token["unknown"]
        always = ("input", "output", "looks", "scores", "about")
        kept = {key: value for key, value in form.items() if key in always or value not in (None, [], {})}
        return {"schema": SCHEMA, **kept}

    @classmethod
    def from_json(cls, form: object) -> "Trace":
        """Read the form `attend.trace.v2` or `attend.trace.v1`. Raises `ValueError` naming the key that is wrong."""
        form = _current(form)
        try:
            # As text: in JSON mode lists are accepted as tuples, but "1" is not accepted as a number.
            return _adapter().validate_json(to_json(form), strict=True)
        except ValidationError as error:
            raise ValueError(_message(error.errors(include_url=False)[0], form)) from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema of `attend.trace.v2`."""
    # Descriptions are read from this file, which takes a quarter of a second: readers and writers do without.
    Trace.__pydantic_config__ = RECORDS | {"use_attribute_docstrings": True}
    try:
        schema = TypeAdapter(Trace).json_schema(schema_generator=_Schema)
    finally:
        Trace.__pydantic_config__ = RECORDS
    properties = {"schema": {"const": SCHEMA}, **schema.pop("properties")}
    required = ["schema", *schema.pop("required")]
    return {
        "$schema": _Schema.schema_dialect,
        "$id": "urn:attend:trace:v2",
        **schema,
        "title": SCHEMA,
        "properties": properties,
        "required": required,
    }


class _Schema(GenerateJsonSchema):
    """Without a title for each field, and with `kind`, the discriminator, required."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:
        return field["schema"].get("schema", {}).get("type") == "literal" or super().field_is_required(field, total)


@cache
def _adapter() -> TypeAdapter:
    return TypeAdapter(Trace)


def _check_uris(form: re.Pattern[str], *uris: str) -> None:
    for number, uri in enumerate(uris):
        if not form.fullmatch(uri):
            kinds = "PNG, JPEG, GIF or WebP image" if form is PICTURE else "WAV, MP3, Ogg or FLAC file"
            raise ValueError(f"uri {number} must be a data URI of a {kinds} in base64, not {uri!r:.40}")


def _check_evidence(evidence: Evidence, looks: Mapping[str, Look]) -> None:
    look = looks.get(evidence.look)
    if not isinstance(look, Weights):
        raise ValueError(f"evidence is for the look {evidence.look!r}, and there are no weights of that name")
    for name, values in evidence.attributions.items():
        if values.shape != look.weights.shape:
            raise ValueError(f"evidence {name!r} is {values.shape}, but the look's weights are {look.weights.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"evidence {name!r} must be finite")


def _check_media(name: str, media: Media, looks: Mapping[str, Look]) -> None:
    look = looks.get(name)
    if look is None:
        if name not in ("input", "output"):
            known = ", ".join(("input", "output", *looks))
            raise ValueError(f"media is for {name!r}; it must be for one of {known}")
        if name == "input" and isinstance(media, PictureEachStep):
            raise ValueError("media of the input has no steps: give pictures of each step to a look, or to the output")
        if name == "output" and isinstance(media, PictureEachCell):
            raise ValueError("media of the output has no cells: give pictures of each cell to a look, or to the input")
    elif isinstance(media, PictureEachStep):
        steps, pictures = len(look.steps), len(media.uris)
        # Several windows may belong to a step.
        if steps != pictures and (isinstance(look, Weights) or not steps or steps % pictures):
            raise ValueError(f"media {name!r} has {pictures} pictures for the {steps} steps of its look")
    elif isinstance(media, PictureEachCell):
        cells = len(look.memory) if isinstance(look, Weights) else 0
        if cells != len(media.uris):
            raise ValueError(f"media {name!r} has {len(media.uris)} pictures for the {cells} cells of its look")


def _current(form: object) -> dict[str, Any]:
    """The form in this version, without the name of its schema."""
    if not isinstance(form, dict):
        raise ValueError(f"a trace must be an object, not {form!r:.80}")
    if "schema" not in form:
        raise ValueError("key 'schema' is missing")
    members = {key: value for key, value in form.items() if key != "schema"}
    if form["schema"] == FORMER:
        return _from_former(members)
    if form["schema"] != SCHEMA:
        raise ValueError(f"schema: must be {SCHEMA!r} or {FORMER!r}, not {form['schema']!r:.80}")
    return members


def _from_former(members: dict[str, Any]) -> dict[str, Any]:
    """From the first version: `picture` is the input's media, `canvas` that of the look that wrote it."""
    for key in ("media", "finished"):
        if key in members:
            raise ValueError(f"unknown key {key!r} in {FORMER!r}")
    media: dict[str, Any] = {}
    if "picture" in members:
        media["input"] = {"kind": "picture", "uri": members.pop("picture")}
    if "canvas" in members:
        canvas = members.pop("canvas")
        if not isinstance(canvas, dict) or set(canvas) != {"after", "look"}:
            raise ValueError("canvas: must be an object with the keys after and look")
        if not isinstance(canvas["look"], str | None):
            raise ValueError(f"canvas: look: must be a string or null, not {canvas['look']!r:.80}")
        media[canvas["look"] or "output"] = {"kind": "picture_each_step", "uris": canvas["after"]}
    return {**members, "media": media}


def _message(error: ErrorDetails, form: Any) -> str:
    """What is wrong, after the path of keys to it."""
    keys: list[str] = []
    tagged = False
    key: Any
    for key in error["loc"]:
        # For a discriminated record pydantic adds the kind to the path, which is not a key.
        if not tagged and isinstance(form, dict) and form.get("kind") == key:
            tagged = True
            continue
        keys.append(str(key))
        tagged = False
        try:
            form = form[key]
        except (KeyError, IndexError, TypeError):
            form = None  # what is missing
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            problem = f"key {keys.pop()!r} is missing"
        case "unexpected_keyword_argument":
            problem = f"unknown key {keys.pop()!r}"
        case "union_tag_not_found":
            problem = "key 'kind' is missing"
        case "union_tag_invalid":
            problem = f"kind: must be one of {context['expected_tags']}, not {context['tag']!r:.80}"
        case "value_error":
            problem = str(context["error"])
        case _:
            problem = error["msg"][:1].lower() + error["msg"][1:]
    return ": ".join([*keys, problem])


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
