"""The trace records: what they refuse, that JSON round-trips, and that the published schema is made from them."""

import copy
import dataclasses
import json
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attend.attention.trace import (
    Alternative,
    Evidence,
    Frames,
    Gold,
    Grid,
    Intervention,
    Media,
    Named,
    Node,
    Picture,
    PictureEachCell,
    PictureEachStep,
    Sound,
    Token,
    Tokens,
    Trace,
    Weights,
    Windows,
    json_schema,
)

SCHEMA = json.loads(files("attend.attention").joinpath("trace.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

PICTURE = "data:image/png;base64,iVBORw0KGgo="
SOUND = "data:audio/wav;base64,UklGRg=="
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
        ids=(7, 8, 3),
        alternatives=((Alternative(7, "das", -0.1), Alternative(9, "der", -2.5)),),
        entropies=(0.25, 0.5, 0.0),
        search=(Node(None, 7, "das", -0.1, -0.1, "kept"), Node(0, 8, "haus", -0.2, -0.3, "pruned")),
        gold={"source": Gold(sure=((0, 0),), possible=((0, 0), (1, 1)))},
        evidence=Evidence(
            "source", {"leave-one-out": np.array([[0.5, -0.5]] * 3)}, (Intervention("uniform", "haus", -4.0),)
        ),
        media={
            "input": Picture(PICTURE),
            "sound": Sound(SOUND, 0.045),
            "slots": PictureEachCell((PICTURE,) * 2),
            "glimpse": PictureEachStep((PICTURE,)),
            "output": PictureEachStep((PICTURE,) * 4),
        },
        finished=False,
    )


def test_schema_is_a_schema_and_accepts_every_kind() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(every_kind().to_json())


def test_schema_is_made_from_the_records() -> None:
    assert json_schema() == SCHEMA, "write it again: python -m attend.attention.trace > (the schema's file)"


def test_json_is_exact() -> None:
    look = Weights(np.array([[1 / 3, 2 / 3]], dtype=np.float32), Named(("step",)), Grid(1, 2))
    assert Trace("in", "out", {"source": look}, scores=(-1.23456789,)).to_json() == {
        "schema": "attend.trace.v2",
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


# What may be left out of a trace, a token and a look.
OPTIONAL = {
    "scores",
    "about",
    "ids",
    "alternatives",
    "entropies",
    "search",
    "gold",
    "evidence",
    "media",
    "finished",
} | {
    "start",
    "end",
    "hard",
}


@pytest.mark.parametrize("path", [path for path in paths(FORM) if path and isinstance(path[-1], str)], ids=str)
def test_missing_key_is_named(path: tuple[str | int, ...]) -> None:
    if path[-2:-1] in {("looks",), ("about",), ("gold",), ("attributions",), ("media",)}:
        return  # the keys of these are the user's
    form = copy.deepcopy(FORM)
    parent: Any = form
    for key in path[:-1]:
        parent = parent[key]
    del parent[path[-1]]
    if path[-1] in OPTIONAL and path[-2:] != ("evidence", "look"):
        assert VALIDATOR.is_valid(form)
        return
    with pytest.raises(ValueError, match=": ".join([*map(str, path[:-1]), f"key '{path[-1]}'"])):
        Trace.from_json(form)
    assert not VALIDATOR.is_valid(form)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("looks", "source", "memory", "tokens", 1, "colour"), "red", "tokens: 1: unknown key 'colour'"),
        (("looks", "source", "weights", 1, 0), "0.5", "looks: source: weights: 1: 0: "),
        (("looks", "source", "weights", 1, 0), True, "looks: source: weights: 1: 0: "),
        (("looks", "source", "weights", 1, 0), float("nan"), "looks: source: weights: 1: 0: "),
        (("looks", "source", "weights", 1, 0), -0.5, "looks: source: weights: 1: 0: "),
        (("looks", "source", "weights", 1), [0.5], "looks: source: weights: "),
        (("looks", "source", "steps", "tokens", 0, "start"), 0.0, "looks: source: steps: tokens: 0: start: "),
        (("looks", "source", "kind"), "matrix", "looks: source: kind: .*'weights', 'windows'"),
        (("looks", "image", "memory", "rows"), 0, "looks: image: memory: rows: "),
        (("looks", "glimpse", "centre", 0), [0.5], "looks: glimpse: centre: 0: "),
        (("looks", "glimpse", "scale"), [1.0, 2.0], "looks: glimpse: .*scale"),
        (("scores", 0), 10**400, "scores: 0: "),
        (("search", 0, "fate"), "lost", "search: 0: fate: "),
        (("media", "slots", "uris", 1), "x.png", "media: slots: uris: 1: "),
        (("media", "sound", "seconds"), 0, "media: sound: seconds: "),
        (("media", "output", "uris"), [], "media: output: uris: "),
        (("finished",), "no", "finished: "),
        (("schema",), "attend.trace.v3", "schema: .*'attend.trace.v2'.*not 'attend.trace.v3'"),
        (("picture",), PICTURE, "unknown key 'picture'"),
    ],
)
def test_what_is_wrong_is_named_by_its_keys(path: tuple[str | int, ...], value: object, named: str) -> None:
    form = copy.deepcopy(FORM)
    parent: Any = form
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    with pytest.raises(ValueError, match=named):
        Trace.from_json(form)


def test_a_large_look_is_quick() -> None:
    names = Named(tuple(map(str, range(200))))
    trace = Trace("", "", {"source": Weights(np.full((200, 200), 1 / 200), names, names)})
    Trace.from_json(trace.to_json())
    before = time.process_time()
    Trace.from_json(trace.to_json())
    assert time.process_time() - before < 0.5


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
            "schema": st.just("attend.trace.v2"),
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
        ({"search": (Node(0, 7, "das", -0.1, -0.1, "kept"),)}, "node 0 of search has parent 0"),
        ({"gold": {"elsewhere": Gold((), ())}}, "gold is for the look 'elsewhere'"),
        ({"evidence": Evidence("glimpse", {}, ())}, "evidence is for the look 'glimpse'"),
        ({"evidence": Evidence("source", {"gradient": np.zeros((1, 1))}, ())}, r"evidence 'gradient' is \(1, 1\)"),
        ({"evidence": Evidence("source", {"gradient": np.full((3, 2), np.nan)}, ())}, "must be finite"),
        ({"media": {"elsewhere": Picture(PICTURE)}}, "media is for 'elsewhere'"),
        ({"media": {"input": PictureEachStep((PICTURE,))}}, "media of the input"),
        ({"media": {"output": PictureEachCell((PICTURE,))}}, "media of the output"),
        ({"media": {"image": PictureEachStep((PICTURE,) * 2)}}, "media 'image' has 2 pictures for the 3 steps"),
        ({"media": {"glimpse": PictureEachStep((PICTURE,) * 2)}}, "media 'glimpse' has 2 pictures for the 1 steps"),
        ({"media": {"slots": PictureEachCell((PICTURE,) * 3)}}, "media 'slots' has 3 pictures for the 2 cells"),
        ({"media": {"glimpse": PictureEachCell((PICTURE,))}}, "media 'glimpse' has 1 pictures for the 0 cells"),
    ],
)
def test_details_that_do_not_fit_are_refused(details: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(every_kind(), **details)


@pytest.mark.parametrize(
    ("media", "uris"),
    [
        (Picture, "https://somewhere/x.png"),
        (Picture, "data:image/svg+xml;base64,AAAA"),
        (Picture, PICTURE + "\n"),
        (PictureEachStep, (PICTURE, SOUND)),
        (PictureEachCell, (PICTURE, "")),
        (lambda uri: Sound(uri, 1.0), PICTURE),
        (lambda uri: Sound(uri, 1.0), "data:audio/midi;base64,AAAA"),
    ],
)
def test_media_are_data_uris_of_known_formats(media: Callable[[Any], Media], uris: Any) -> None:
    with pytest.raises(ValueError, match="must be a data URI"):
        media(uris)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_sound_lasts(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Sound(SOUND, seconds)


def test_looks_use_the_inputs_media_where_they_go_with_its_cells() -> None:
    def shown(shared: Media, **own: Media) -> set[str]:
        trace = dataclasses.replace(every_kind(), media={"input": shared, **own})
        return {name for name in trace.looks if trace.media_of(name) == shared}

    assert shown(Picture(PICTURE)) == {"image", "glimpse"}
    assert shown(Picture(PICTURE), glimpse=PictureEachStep((PICTURE,))) == {"image"}
    assert shown(Sound(SOUND, 1.0)) == {"sound"}
    assert shown(PictureEachCell((PICTURE,) * 2)) == {"slots"}
    assert shown(PictureEachCell((PICTURE,) * 3)) == {"sound"}
    assert every_kind().media_of("source") is None


def test_windows_each_step() -> None:
    windows = Windows(np.zeros((6, 2)), np.ones((6, 2)), np.ones(6), Named(tuple("abcdef")))
    trace = Trace("", "", {"glimpse": windows})
    assert trace.windows_each_step("glimpse") == 1
    answers = ((Alternative(0, "a", -0.5),),) * 3
    assert dataclasses.replace(trace, alternatives=answers).windows_each_step("glimpse") == 2
    frames = {"glimpse": PictureEachStep((PICTURE,) * 2)}
    assert dataclasses.replace(trace, media=frames).windows_each_step("glimpse") == 3


def former(**details: object) -> dict[str, Any]:
    """A trace as the first version has it."""
    form = {key: value for key, value in every_kind().to_json().items() if key not in ("media", "finished")}
    return {**form, "schema": "attend.trace.v1", **details}


@pytest.mark.parametrize(("look", "key"), [("glimpse", "glimpse"), (None, "output")])
def test_the_first_version_is_read(look: str | None, key: str) -> None:
    trace = Trace.from_json(former(picture=PICTURE, canvas={"after": [PICTURE], "look": look}))
    assert trace.media == {"input": Picture(PICTURE), key: PictureEachStep((PICTURE,))}
    assert trace.finished is None
    assert trace.to_json() == {
        **former(),
        "schema": "attend.trace.v2",
        "media": {
            "input": {"uri": PICTURE, "kind": "picture"},
            key: {"uris": [PICTURE], "kind": "picture_each_step"},
        },
    }
    assert Trace.from_json(former()).media == {}


@pytest.mark.parametrize(
    ("details", "named"),
    [
        ({"picture": 3}, "uri"),
        ({"canvas": {"after": [PICTURE, "x.png"], "look": None}}, "uris: 1"),
        ({"canvas": {"after": [PICTURE]}}, "canvas"),
        ({"canvas": {"after": [PICTURE], "look": 3}}, "canvas: look"),
        ({"canvas": {"after": [PICTURE] * 2, "look": "glimpse"}}, "glimpse"),
        ({"canvas": []}, "canvas"),
        ({"media": {}}, "media"),
    ],
)
def test_the_first_version_is_checked(details: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Trace.from_json(former(**details))


def test_every_kind_comes_back_as_it_went() -> None:
    for trace in (every_kind(), dataclasses.replace(every_kind(), finished=None, media={})):
        form = json.loads(json.dumps(trace.to_json()))
        VALIDATOR.validate(form)
        again = Trace.from_json(form)
        assert again.media == trace.media
        assert again.finished is trace.finished
        assert again.to_json() == form


def test_a_trace_without_details_has_no_keys_for_them() -> None:
    form = every_kind().to_json()
    plain = {key: form[key] for key in ("schema", "input", "output", "looks", "scores", "about")}
    assert Trace.from_json({key: form[key] for key in ("schema", "input", "output", "looks")}).about == {}
    assert Trace.from_json(plain).to_json() == plain


def test_a_subword_without_a_place_has_a_label() -> None:
    assert Tokens("q", (Token("", 0, 0), Token("q", 0, 1))).labels() == [" ", "q"]
