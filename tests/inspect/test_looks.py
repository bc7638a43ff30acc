"""Figures of looks over many examples, on maps and windows made by hand."""

import numpy as np
import pytest

from attend.attention.trace import Grid, Named, Token, Tokens, Weights, Windows
from attend.inspect.looks import audit_grids, audit_rows, audit_tokens, audit_windows, fixations, over_time

SOURCE = Tokens("a b", (Token("a", 0, 1), Token("b", 2, 3), Token("</s>")))


def steps(count: int) -> Named:
    return Named(tuple(map(str, range(count))))


def over_grid(weights: list[list[float]], ends: bool = False) -> Weights:
    named = steps(len(weights))
    if ends:
        words = [Token("w", 0, 1)] * (len(weights) - 1)
        named = Tokens("w", (*words, Token("</s>")))
    return Weights(np.array(weights), named, Grid(2, 2))


def scanning(*centres: tuple[float, float], scales: int = 1) -> Windows:
    places = np.repeat(np.array(centres), scales, axis=0)
    names = [
        f"{step + 1}" if scales == 1 else f"{step + 1} x{2**scale}"
        for step in range(len(centres))
        for scale in range(scales)
    ]
    return Windows(places, np.ones_like(places), np.ones(len(places)), Named(tuple(names)))


def test_a_path_that_ignores_the_image_has_no_deviation():
    fixed = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    figures = over_time([fixed, fixed], 2, 2)
    assert figures["fixation_deviation"] == 0
    assert figures["attention_entropy_step_1"] == pytest.approx(np.log(2))
    assert figures["attention_entropy_step_2"] == 0
    # The second step's places are 1 apart across: half of that as deviation.
    other = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    figures = over_time([fixed, other], 2, 2)
    assert figures["fixation_deviation_step_1"] == 0
    assert figures["fixation_deviation_step_2"] == pytest.approx(0.5)
    # A third step is only one image's.
    assert "fixation_deviation_step_3" not in over_time([fixed, other, np.tile(fixed, (2, 1))], 2, 2)


def test_the_end_of_a_sequence_is_no_step_of_its_maps():
    still, moving = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]
    for look, variation in (
        (over_grid([still, still, moving], ends=True), 0.0),
        (over_grid([still, still, moving]), 2 / 3),
    ):
        assert audit_grids([{"image": look}])["attention_variation"] == pytest.approx(variation)


def test_grids_are_audited_where_every_example_has_one():
    look = over_grid([[1.0, 0.0, 0.0, 0.0]])
    assert "attention_entropy" in audit_grids([{"image": look}, {"image": look}])
    for examples in ([], [{}], [{"image": look}, {}], [{"source": Weights(np.eye(3), steps(3), SOURCE)}]):
        assert audit_grids(examples) == {}


def test_weights_over_tokens_are_audited_by_name():
    look = Weights(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), steps(2), SOURCE)
    figures = audit_tokens([{"source": look, "other": over_grid([[0.25] * 4])}, {}])
    assert figures["attention_entropy"] == 0
    assert figures["attention_mass_on_special_tokens"] == 0.5
    assert figures["attention_cells_never_attended"] == 0.5
    assert all(name == name.lower() and " " not in name and "-" not in name for name in figures)
    assert audit_tokens([{}, {"image": over_grid([[0.25] * 4])}]) == {}
    assert audit_tokens([{"source": Weights(np.zeros((0, 3)), steps(0), SOURCE)}]) == {}


@pytest.mark.parametrize("scales", [1, 2])
def test_the_windows_of_a_step_are_one_fixation(scales: int):
    look = scanning((0.0, 0.0), (0.5, -0.5), scales=scales)
    np.testing.assert_array_equal(fixations(look), [[0, 0], [0.5, -0.5]])
    other = scanning((0.0, 0.0), (-0.5, -0.5), scales=scales)
    figures = audit_windows([{"glimpse": look}, {"glimpse": other}])
    assert figures == {
        "fixation_deviation": 0.25,
        "fixation_deviation_step_1": 0.0,
        "fixation_deviation_step_2": 0.5,
    }
    for examples in ([], [{"glimpse": look}, {}], [{"image": over_grid([[0.25] * 4])}]):
        assert audit_windows(examples) == {}


def test_rows_overlap_by_the_weight_that_they_share():
    same, apart = np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    assert audit_rows([same])["row_overlap"] == 1
    assert audit_rows([apart])["row_overlap"] == 0
    assert audit_rows([same, apart])["row_overlap"] == 0.5
    assert audit_rows([np.array([[0.75, 0.25], [0.25, 0.75]])])["row_overlap"] == 0.5
    assert audit_rows([]) == {}
