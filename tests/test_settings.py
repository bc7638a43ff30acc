import math
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from attend.recipe import inputs
from attend.settings import check_range, merge, nearest, same_leaf


@dataclass(frozen=True)
class Inner:
    size: int = 1
    rate: float = 0.5
    kind: Literal["soft", "hard"] = "soft"
    files: tuple[str, ...] = ()
    on: bool = False

    def __post_init__(self) -> None:
        check_range(self, "size", 1)
        check_range(self, "rate", 0)


@dataclass(frozen=True)
class Text:
    deeper: int = 1


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    name: str | None = None
    inputs: Any = field(default_factory=lambda: inputs(text=Text()))


def test_fields_are_replaced_at_any_depth_and_the_rest_stays():
    changed = merge(Outer(), {"inner": {"size": 3, "rate": 1, "kind": "hard", "files": ["a", "b"]}, "name": "x"}, "f")
    assert changed == Outer(Inner(3, 1.0, "hard", ("a", "b")), "x")
    assert isinstance(changed.inner.rate, float)
    assert merge(changed, {"name": None}, "f").name is None
    assert merge(Outer(), {}, "f") == Outer()
    assert merge(Outer(), {"inputs": {"text": {"deeper": 2}}}, "f").inputs.text.deeper == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inner": {"sise": 3}}, r"run\.toml: there is no field 'inner\.sise'; did you mean 'size'\?"),
        ({"iner": {}}, "did you mean 'inner'"),
        ({"other": {"size": 3}}, r"'other'"),
        ({"inner": {"deeper": 3}}, r"'inner\.deeper'; did you mean 'inputs\.text\.deeper'\?"),
        ({"inputs": {"txt": {}}}, r"'inputs\.txt'; did you mean 'text'\?"),
        ({"inputs": {"text": {"deeper": "x"}}}, r"'inputs\.text\.deeper' must be of type int"),
        ({"inner": 3}, "'inner' is a table of fields, not 3"),
        ({"inner": {"size": "big"}}, "'inner.size' must be of type int, not 'big'"),
        ({"inner": {"size": True}}, "must be of type int"),
        ({"inner": {"size": 1.5}}, "must be of type int"),
        ({"inner": {"size": 0}}, "^run.toml: inner.size must be at least 1, not 0$"),
        ({"inner": {"rate": math.inf}}, "^run.toml: inner.rate must be at least 0 and below inf, not inf$"),
        ({"inner": {"rate": math.nan}}, "not nan$"),
        ({"inner": {"on": 1}}, "must be of type bool"),
        ({"inner": {"kind": "firm"}}, "must be one of 'soft', 'hard', not 'firm'"),
        ({"inner": {"files": "a"}}, "'inner.files' must be"),
        ({"inner": {"files": [1]}}, "must be of type str, not 1"),
        ({"name": 4}, "must be of type str"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        merge(Outer(), changes, "run.toml")


def test_a_name_far_from_all_gets_the_whole_list():
    assert nearest("qqqq", ["size", "rate"]) == "known are: size, rate"


def test_a_flag_that_has_moved_is_hinted_at_by_its_last_name():
    known = ["--inputs.source.unit", "--output.unit", "--data.train", "--out"]
    assert same_leaf("--data.unit", known) == "did you mean '--inputs.source.unit' or '--output.unit'?"
    assert same_leaf("--data.trian", known) == same_leaf("--out", known) == ""
