"""Candidates: what a target is, what is measured, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attend.catalogue import RECIPES
from attend.contract import END
from attend.data.files import DataError
from attend.fields.field import Fault
from attend.outputs.candidate import Candidate, CandidateOutput, Pointers, places_of, same_polygon
from attend.task import Supervised

SQUARE = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [1, 0.5]], dtype=np.float32)
ORDER, POLYGON = (CandidateOutput(Candidate(metrics=metrics)) for metrics in ("order", "polygon"))


def test_a_target_is_a_text_or_an_array():
    assert places_of("3 1 2").tolist() == places_of("3,1, 2").tolist() == [3, 1, 2]
    assert places_of(np.array([3, 1, 2], dtype=np.uint8)).tolist() == [3, 1, 2]
    (ids,) = ORDER.encode(["3 1 2"])
    assert ids.tolist() == [END + 3, END + 1, END + 2, END]


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("1 2 6", "place 6"),
        ("1 3 1", "place 1 twice"),
        ("0 1 2", "place 0"),
        (np.array([1, 0, 2]), "place 0"),
        ("1 -2", "'-2'"),
        ("1 2.5", "'2.5'"),
        (np.array([0.5]), "float64"),
    ],
)
def test_a_place_that_can_not_be_makes_the_data_wrong(target, what):
    (found,) = ORDER.encode(ORDER.joined([target], [SQUARE]))
    assert isinstance(found, Fault)
    assert found.refused
    assert what in found


def test_a_polygon_needs_points_of_a_plane():
    (found,) = POLYGON.encode(POLYGON.joined(["1 2 3"], [np.zeros((3, 1), dtype=np.float32)]))
    assert isinstance(found, Fault)
    assert "vectors of 1" in found


def test_an_empty_target_is_left_out():
    (found,) = ORDER.encode([""])
    assert isinstance(found, Fault)
    assert not found.refused


@pytest.mark.parametrize("wrong", ["1 2 4", "1 2 1", "1 0 2", "1 two"])
@pytest.mark.parametrize("suffix", ["tsv", "csv"])
def test_what_is_wrong_is_named_with_file_and_line(tmp_path: Path, wrong, suffix):
    assert refused(tmp_path / f"table.{suffix}", "0.3 0.1 0.2", wrong).line == 3


def test_numbers_that_are_not_finite_are_named_with_file_and_line(tmp_path: Path):
    error = refused(tmp_path / "table.tsv", "0.3 nan 0.2", "1 2 3")
    assert error.line == 3
    assert "points" in error.problem


def refused(path: Path, points: str, target: str) -> DataError:
    """The error of training on a table whose third line is this."""
    rows = [("points", "target"), ("0.4 0.1 0.9", "2 1 3"), (points, target), ("0.5 0.2", "2 1")]
    path.write_text("".join(("\t" if path.suffix == ".tsv" else ",").join(row) + "\n" for row in rows))
    recipe = RECIPES["pointer"]
    settings = replace(recipe.settings, data=replace(recipe.settings.data, train=(str(path),), valid=(str(path),)))
    with pytest.raises(DataError) as caught:
        Supervised.prepare(recipe, settings, path.parent, lambda line: None)
    assert caught.value.file == str(path)
    return caught.value


def test_what_is_measured_of_an_order():
    assert ORDER.watched(["3 1 2", "1 2", ""], ["3 1 2", "1 3 2", "1"]) == {
        "exact_match": pytest.approx(1 / 3),
        "places_right": pytest.approx((1 + 1 / 3) / 3),
    }


@pytest.mark.parametrize(
    ("text", "exact", "share"),
    [
        ("1 2 3 4", 1, 1),
        ("3 4 1 2", 1, 1),
        ("2 1 4 3", 1, 1),  # the other way round
        ("1 2 3", 0, 0.5),
        ("1 5 2 3 4", 0, 0.875),
        ("1 3 2 4", 0, 0),  # its edges cross
        ("1 2", 0, 0),
        ("", 0, 0),
    ],
)
def test_what_is_measured_of_a_polygon(text, exact, share):
    found = POLYGON.watched([text], [Pointers("1 2 3 4", SQUARE)])
    assert found["exact_match"] == exact
    assert found["area"] == pytest.approx(share)


def test_polygons_are_the_same_from_any_corner_and_either_way():
    def same(one: str, other: str) -> bool:
        return same_polygon(places_of(one), places_of(other))

    assert same("4 7 9", "9 4 7")
    assert same("4 7 9", "9 7 4")
    assert not same("4 7 9 2", "4 9 7 2")
    assert not same("4 7 9", "4 7")
    assert not same("", "")
