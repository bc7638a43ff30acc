"""Where data are, from whichever folder one looks."""

from pathlib import Path

import pytest

from attend.data.own import Files
from attend.data.places import located, place_of, places_of


def test_what_is_relative_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTEND_DATA", raising=False)
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    (here / "train.tsv").touch()
    monkeypatch.chdir(here)
    data = Files("train.tsv ", ("train.tsv",), (str(here / "train.tsv"),), ("later.tsv",))
    places = places_of(data)
    assert places == {"train.tsv": str(here / "train.tsv")}
    assert located(data, places) == data
    monkeypatch.chdir(there)
    found = located(data, places)
    assert found == Files(data.name, (str(here / "train.tsv"),), data.valid, data.test)
    # What is here is meant, if it is here.
    (there / "train.tsv").touch()
    assert located(data, places) == data
    (there / "train.tsv").unlink()
    (here / "train.tsv").unlink()
    assert place_of("train.tsv", places) == "train.tsv"
