"""Recipes by their names: attend's own, announced ones, and those that a caller names."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from attend import catalogue
from attend.catalogue import GROUP, RECIPES, UNNAMED, announced, find, name_of

DATES = RECIPES["rnnsearch-modern-dates"]
SOURCE = """
from dataclasses import replace
from attend.catalogue import RECIPES
MINE = replace(RECIPES["rnnsearch-modern-dates"], about="mine")
OTHER = 3
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, from which modules of one's own are imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    (tmp_path / "catalogue_mine.py").write_text(SOURCE)
    (tmp_path / "catalogue_needy.py").write_text("import catalogue_nothing")
    (tmp_path / "catalogue_broken.py").write_text("1 / 0")
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("catalogue_"):
            del sys.modules[name]


def test_attend_s_own_are_found_by_name():
    assert find("rnnsearch-modern-dates") is DATES
    with pytest.raises(ValueError, match=r"'rnnsearch-moden-dates'.*'rnnsearch-modern-dates'"):
        find("rnnsearch-moden-dates")


def test_one_s_own_are_imported_from_where_one_is(modules: Path):
    found = find("catalogue_mine:MINE")
    assert found.about == "mine"
    assert find("catalogue_mine:MINE") is found


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("catalogue_none:MINE", "'catalogue_none'"),
        ("catalogue_needy:MINE", "'catalogue_needy'.*'catalogue_nothing'"),
        ("catalogue_broken:MINE", "'catalogue_broken'.*ZeroDivisionError"),
        ("catalogue_mine:MIEN", "'catalogue_mine'.*'MIEN'.*'MINE'"),
        ("catalogue_mine:OTHER", "catalogue_mine:OTHER.*int.*MINE"),
        ("catalogue_mine:", "catalogue_mine.*MINE"),
    ],
)
def test_what_can_not_be_imported_or_is_no_recipe_is_named(name: str, says: str, modules: Path):
    with pytest.raises(ValueError, match=says):
        find(name)


def announce(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    """As if installed packages had these entry points."""
    found = [EntryPoint(name, value, GROUP) for name, value in points]
    monkeypatch.setattr(catalogue, "entry_points", lambda group: found if group == GROUP else [])
    announced.cache_clear()


@pytest.fixture(autouse=True)
def _nothing_stays_announced() -> Iterator[None]:
    yield
    announced.cache_clear()


def test_packages_announce_recipes(modules: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(modules)
    announce(monkeypatch, ("theirs", "catalogue_mine:MINE"), ("rnnsearch-modern-dates", "catalogue_mine:MINE"))
    assert find("theirs").about == "mine"
    assert find("rnnsearch-modern-dates") is DATES, "attend's own go before"
    with pytest.raises(ValueError, match=r"'their'.*'theirs'"):
        find("their")


@pytest.mark.parametrize("value", ["catalogue_none:MINE", "catalogue_broken:MINE", "catalogue_mine:OTHER"])
def test_a_package_that_announces_no_recipe_is_named(value: str, modules: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(modules)
    announce(monkeypatch, ("theirs", value))
    with pytest.raises(ValueError, match=f"'theirs'.*{value}"):
        find("theirs")
    assert find("rnnsearch-modern-dates") is DATES, "nobody else is in its way"


def test_a_recipe_is_called_what_it_can_be_found_by(modules: Path):
    assert name_of(DATES) == "rnnsearch-modern-dates"
    mine = find("catalogue_mine:MINE")
    assert name_of(mine) == "catalogue_mine:MINE"
    assert name_of(replace(mine, about="another")) == UNNAMED
