import json
from types import SimpleNamespace

import pytest

from attend import catalogue
from attend.catalogue import RECIPES

from .conftest import Attend


def names(out: str) -> list[str]:
    return [line.split()[0] for line in out.splitlines() if line.startswith("  ")]


def test_recipes_stand_under_their_papers(attend: Attend) -> None:
    out = attend("list").out
    assert set(names(out)) == {name for name, one in RECIPES.items() if not (one.control or one.variant)}
    paper = out.index("Bahdanau, Cho & Bengio 2014\n")
    assert out.index("  rnnsearch ") > paper
    assert set(names(attend("list", "--all").out)) == set(RECIPES)


def test_the_list_for_programs_is_of_all(attend: Attend) -> None:
    found = json.loads(attend("list", "--json").out)
    assert found.keys() == RECIPES.keys()
    entailment = found["entailment"]
    assert (entailment["fields"], entailment["output"]) == ({"premise": "text", "hypothesis": "text"}, "classes")
    assert (entailment["needs_data"], found["ram-small"]["needs_data"]) == (True, False)
    assert (found["ram-small"]["variant"], found["ram-mnist-random"]["control"]) == (True, True)
    assert found["ram-small"]["reaches"] == dict(RECIPES["ram-small"].reaches)
    assert (found["draw"]["output"], found["ram-catch"]["output"]) == ("pixels", None)


def test_recipes_of_other_packages_are_listed(attend: Attend, monkeypatch: pytest.MonkeyPatch) -> None:
    point = SimpleNamespace(name="theirs", value="their.module:RECIPE", load=lambda: RECIPES["ram"])
    monkeypatch.setattr(catalogue, "entry_points", lambda group: [point])
    catalogue.announced.cache_clear()
    try:
        assert "theirs" in json.loads(attend("list", "--json").out)
    finally:
        catalogue.announced.cache_clear()
