"""The trace form: what it refuses, that it comes back as it went, and that the published schema says the same."""

import copy
import dataclasses
import json
from importlib.resources import files
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attend.attention.trace import (
    Alternative,
    Canvas,
    Evidence,
    Frames,
    Gold,
    Grid,
    Intervention,
    Named,
    Node,
    Token,
    Tokens,
    Trace,
    Weights,
    Windows,
)

SCHEMA = json.loads(files("attend.attention").joinpath("trace.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

PICTURE = "data:image/png;base64,iVBORw0KGgo="
STEPS = Tokens("das haus", (Token("das", 0, 3), Token("haus", 4, 8), Token("</s>")))


def uniform(memory: Tokens | Grid | Frames | Named) -> Weights:
    return Weights(np.full((len(STEPS), len(memory)), 1 / len(memory)), STEPS, memory)


def every_kind() -> Trace:
    tokens = Tokens("the house", (Token("the", 0, 3), Token("house", 4, 9)))
    windows = Windows(np.array([[0.5, -0.25]]), np.array([[0.25, 0.5]]), np.array([2.0]), Named(("glimpse 1",)))
    looks = {
        "source": Weights(np.array([[0.75, 0.25], [0.0, 1.0], [0.0, 0.0]]), STEPS, tokens, hard=True),
        "image": uniform(Grid(2, 3)),
        "sound": uniform(Frames((0.0, 0.01, 0.02), 0.025)),
        "slots": uniform(Named(("name", "price"))),
        "glimpse": windows,
    }
    return Trace(
        "the house",
        "das haus",
        looks,
        scores=(-0.1, -0.2, -0.3),
        about={"recipe": "tiny"},
        picture=PICTURE,
        ids=(7, 8, 3),
        alternatives=((Alternative(7, "das", -0.1), Alternative(9, "der", -2.5)),),
        entropies=(0.25, 0.5, 0.0),
        search=(Node(None, 7, "das", -0.1, -0.1, "kept"), Node(0, 8, "haus", -0.2, -0.3, "pruned")),
        gold={"source": Gold(sure=((0, 0),), possible=((0, 0), (1, 1)))},
        evidence=Evidence(
            "source", {"leave-one-out": np.array([[0.5, -0.5]] * 3)}, (Intervention("uniform", "haus", -4.0),)
        ),
        canvas=Canvas((PICTURE,), "glimpse"),
    )


def test_schema_is_a_schema_and_accepts_every_kind() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(every_kind().to_json())


def test_json_is_exact() -> None:
    look = Weights(np.array([[1 / 3, 2 / 3]], dtype=np.float32), Named(("step",)), Grid(1, 2))
    assert Trace("in", "out", {"source": look}, scores=(-1.23456789,)).to_json() == {
        "schema": "attend.trace.v1",
        "input": "in",
        "output": "out",
        "looks": {
            "source": {
                "weights": [[0.333333, 0.666667]],
                "steps": {"names": ["step"], "kind": "named"},
                "memory": {"rows": 1, "columns": 2, "kind": "grid"},
                "hard": False,
                "kind": "weights",
            }
        },
        "scores": [-1.23457],
        "about": {},
    }


def paths(form: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where every value of a JSON form is."""
    members = form.items() if isinstance(form, dict) else enumerate(form) if isinstance(form, list) else ()
    return [path, *(deeper for key, member in members for deeper in paths(member, (*path, key)))]


def replaced(form: Any, path: tuple[str | int, ...], value: object) -> Any:
    if not path:
        return value
    form = copy.copy(form)
    form[path[0]] = replaced(form[path[0]], path[1:], value)
    return form


FORM = every_kind().to_json()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(paths(FORM)), json_values)
def test_hostile_json_is_a_trace_or_a_value_error(path: tuple[str | int, ...], value: object) -> None:
    form = replaced(FORM, path, value)
    try:
        trace = Trace.from_json(form)
    except ValueError:
        return
    assert VALIDATOR.is_valid(form)
    VALIDATOR.validate(trace.to_json())


@pytest.mark.parametrize("path", [path for path in paths(FORM) if path and isinstance(path[-1], str)], ids=str)
def test_missing_key_is_named(path: tuple[str | int, ...]) -> None:
    if path[-2:-1] in {("looks",), ("about",), ("gold",), ("attributions",)}:
        return  # the keys of these are the user's
    if (
        path[0] in {"picture", "ids", "alternatives", "entropies", "search", "gold", "evidence", "canvas"}
        and len(path) == 1
    ):
        return  # a trace may lack these
    form = copy.deepcopy(FORM)
    parent: Any = form
    for key in path[:-1]:
        parent = parent[key]
    del parent[path[-1]]
    with pytest.raises(ValueError, match=str(path[-1])):
        Trace.from_json(form)
    assert not VALIDATOR.is_valid(form)


def test_unknown_key_and_place_are_named() -> None:
    form = copy.deepcopy(FORM)
    form["looks"]["source"]["memory"]["tokens"][1]["colour"] = "red"
    with pytest.raises(ValueError, match="looks: source: memory: tokens: 1: unknown key 'colour'"):
        Trace.from_json(form)
    assert not VALIDATOR.is_valid(form)


def test_other_version_is_refused() -> None:
    with pytest.raises(ValueError, match=r"schema: must be 'attend\.trace\.v1', not 'attend\.trace\.v2'"):
        Trace.from_json(FORM | {"schema": "attend.trace.v2"})


def test_number_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(ValueError, match="scores: 0: must be a number that fits"):
        Trace.from_json(FORM | {"scores": [10**400]})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[0.5, np.nan]], "weight at 0, 1 is nan"),
        ([[0.5, np.inf]], "weight at 0, 1 is inf"),
        ([[0.5, -0.1]], r"weight at 0, 1 is -0\.1"),
        ([[0.6, 0.5]], r"weights of step 0 sum to 1\.1"),
        ([[0.5, 0.3, 0.2]], "1 steps and 2 cells"),
    ],
)
def test_weights_are_checked(weights: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Weights(np.array(weights), Named(("step",)), Grid(1, 2))


def test_rows_may_sum_to_less_than_one() -> None:
    assert Weights(np.array([[0.25, 0.25]]), Named(("step",)), Grid(1, 2)).weights.sum() == 0.5


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 1), (0, 4), (None, 2), (0, None)])
def test_offsets_outside_the_text_are_refused(start: int | None, end: int | None) -> None:
    with pytest.raises(ValueError, match="token 0 'abc'"):
        Tokens("abc", (Token("abc", start, end),))


def test_records_refuse_what_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        Grid(0, 3)
    with pytest.raises(ValueError, match="finite starts"):
        Frames((0.0, float("nan")), 0.1)
    with pytest.raises(ValueError, match="above 0 seconds"):
        Frames((0.0,), 0.0)
    with pytest.raises(ValueError, match="scores must be finite"):
        Trace("", "", {}, scores=(float("-inf"),))
    one = Named(("step",))
    with pytest.raises(ValueError, match="centre must be finite"):
        Windows(np.array([[np.nan, 0]]), np.ones((1, 2)), np.ones(1), one)
    with pytest.raises(ValueError, match="extent must be >= 0"):
        Windows(np.zeros((1, 2)), -np.ones((1, 2)), np.ones(1), one)
    with pytest.raises(ValueError, match="for 1 steps they must be"):
        Windows(np.zeros((2, 2)), np.ones((2, 2)), np.ones(2), one)


# At most six digits, which the form keeps. The strategies make forms, not records: where records are type-checked, the
# checker draws random numbers, which strategies may not.
numbers = st.integers(-999999, 999999).map(lambda number: number / 1000)
places = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted)
spans = st.just((None, None)) | places
axes = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("tokens"),
            "text": st.text(min_size=8),
            "tokens": st.lists(
                st.builds(lambda text, span: {"text": text, "start": span[0], "end": span[1]}, st.text(), spans),
                max_size=4,
            ),
        }
    ),
    st.fixed_dictionaries({"kind": st.just("grid"), "rows": st.integers(1, 3), "columns": st.integers(1, 3)}),
    st.fixed_dictionaries(
        {"kind": st.just("frames"), "starts": st.lists(numbers, max_size=4), "seconds": st.just(0.025)}
    ),
    st.fixed_dictionaries({"kind": st.just("named"), "names": st.lists(st.text(), max_size=4)}),
)


def length(axis: dict[str, Any]) -> int:
    members = {"tokens": "tokens", "frames": "starts", "named": "names"}
    return axis["rows"] * axis["columns"] if axis["kind"] == "grid" else len(axis[members[axis["kind"]]])


@st.composite
def looks(draw: st.DrawFn) -> dict[str, Any]:
    steps, memory = draw(axes), draw(axes)

    def rows(columns: int, number: st.SearchStrategy[float]) -> list[list[float]]:
        return [[draw(number) for _ in range(columns)] for _ in range(length(steps))]

    if draw(st.booleans()):
        tenths = st.integers(0, 100).map(lambda number: number / 1000)  # of at most nine cells
        return {
            "kind": "weights",
            "weights": rows(length(memory), tenths),
            "steps": steps,
            "memory": memory,
            "hard": False,
        }
    centre, extent = rows(2, numbers), rows(2, numbers.map(abs))
    return {"kind": "windows", "centre": centre, "extent": extent, "scale": [1.5] * length(steps), "steps": steps}


@given(
    st.fixed_dictionaries(
        {
            "schema": st.just("attend.trace.v1"),
            "input": st.text(),
            "output": st.text(),
            "looks": st.dictionaries(st.text(), looks(), max_size=3),
            "scores": st.none() | st.lists(numbers),
            "about": st.dictionaries(st.text(), st.text(), max_size=2),
        }
    )
)
def test_round_trip(form: dict[str, Any]) -> None:
    VALIDATOR.validate(form)
    trace = Trace.from_json(form)
    assert trace.to_json() == form
    # And through a file's text.
    assert Trace.from_json(json.loads(json.dumps(trace.to_json(), allow_nan=False))).to_json() == form


@pytest.mark.parametrize(
    ("details", "complaint"),
    [
        ({"picture": "https://somewhere/x.png"}, "picture must be a data URI"),
        ({"picture": "data:image/svg+xml;base64,AAAA"}, "picture must be a data URI"),
        ({"search": (Node(0, 7, "das", -0.1, -0.1, "kept"),)}, "node 0 of search has parent 0"),
        ({"gold": {"elsewhere": Gold((), ())}}, "gold is for the look 'elsewhere'"),
        ({"evidence": Evidence("glimpse", {}, ())}, "evidence is for the look 'glimpse'"),
        ({"evidence": Evidence("source", {"gradient": np.zeros((1, 1))}, ())}, r"evidence 'gradient' is \(1, 1\)"),
        ({"evidence": Evidence("source", {"gradient": np.full((3, 2), np.nan)}, ())}, "must be finite"),
        ({"canvas": Canvas((PICTURE,), "source")}, "canvas is written through the look 'source'"),
        ({"canvas": Canvas((PICTURE,) * 2, "glimpse")}, "canvas has 2 steps, but its look 'glimpse' has 1"),
    ],
)
def test_details_that_do_not_fit_are_refused(details: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(every_kind(), **details)


@pytest.mark.parametrize(
    ("after", "complaint"),
    [
        ([], "canvas: a canvas needs a picture"),
        ([PICTURE, "x.png"], "canvas: the picture after step 2 must be a data URI"),
    ],
)
def test_a_canvas_is_pictures(after: list[str], complaint: str) -> None:
    form = every_kind().to_json() | {"canvas": {"after": after, "look": None}}
    assert not VALIDATOR.is_valid(form)
    with pytest.raises(ValueError, match=complaint):
        Trace.from_json(form)


def test_every_kind_comes_back_as_it_went() -> None:
    for trace in (every_kind(), dataclasses.replace(every_kind(), canvas=Canvas((PICTURE,) * 3, None))):
        form = json.loads(json.dumps(trace.to_json()))
        VALIDATOR.validate(form)
        again = Trace.from_json(form)
        assert again.canvas == trace.canvas
        assert again.to_json() == form


def test_a_trace_without_details_has_no_keys_for_them() -> None:
    form = every_kind().to_json()
    plain = {key: form[key] for key in ("schema", "input", "output", "looks", "scores", "about")}
    assert Trace.from_json(plain).to_json() == plain


def test_a_subword_without_a_place_has_a_label() -> None:
    assert Tokens("q", (Token("", 0, 0), Token("q", 0, 1))).labels() == [" ", "q"]
