"""Grids of features: their form, how a person names one, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from attend.attention.trace import Grid as GridAxis
from attend.attention.trace import Named
from attend.data.files import DataError
from attend.fields.field import Fault, Field, FieldSettings, Value
from attend.fields.grid import Grid, GridField

FIELD = GridField((2, 3, 4))


def grids(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 2, 3, 4), dtype=np.float32)


def test_both_faces_are_what_a_field_is():
    assert isinstance(Grid(), FieldSettings)
    assert isinstance(FIELD, Field)
    assert isinstance(FIELD.prepare(grids(1)[0]), Value)
    assert Grid().kept("image") == ("image.json",)


def test_the_form_is_learnt_and_kept(tmp_path: Path):
    field = Grid().learn(iter(grids(2)), print)
    assert field.sizes() == {"rows": 2, "columns": 3, "features": 4}
    field.save(tmp_path, "image")
    assert Grid().open(tmp_path, "image").shape == (2, 3, 4)
    for damaged in ("[]", '{"rows": 2}', '{"rows": 2, "columns": 3, "size": null}'):
        (tmp_path / "image.json").write_text(damaged)
        with pytest.raises(DataError, match=r"image\.json"):
            Grid().open(tmp_path, "image")


def test_a_batch_has_features_before_rows():
    found = grids(2)
    batch = FIELD.collate(list(found))
    assert batch.shape == (2, 4, 2, 3)
    np.testing.assert_array_equal(batch[1, 3].numpy(), found[1, :, :, 3])


def test_a_grid_of_a_file_is_named_by_its_number(tmp_path: Path):
    found = grids(3)
    path, single = str(tmp_path / "grids.npz"), str(tmp_path / "single.npz")
    np.savez(path, features=found)
    np.savez(single, features=found[:1])
    np.testing.assert_array_equal(FIELD.read(f"{path}:2"), found[1])
    np.testing.assert_array_equal(FIELD.read(single), found[0])
    value = FIELD.prepare(f"{path}:2")
    assert value.text == "grids.npz:2"
    np.testing.assert_array_equal(value.encoded, found[1])
    for wrong, named in ((path, r"grids\.npz:1"), (f"{path}:0", "1 to 3"), (f"{path}:4", "1 to 3")):
        with pytest.raises(ValueError, match=named):
            FIELD.read(wrong)
    with pytest.raises(ValueError, match="upload"):
        FIELD.read(b"bytes")


@pytest.mark.parametrize("wrong", [np.zeros((2, 3, 5), np.float32), np.zeros((2, 3, 4), np.uint8), "text"])
def test_other_forms_make_the_data_wrong_as_a_whole(wrong):
    (fault,) = FIELD.encode([wrong])
    assert isinstance(fault, Fault)
    assert fault.refused
    if not isinstance(wrong, str):
        with pytest.raises(ValueError, match=r"\[2, 3, 4\]"):
            FIELD.prepare(wrong)


def test_cells_tile_the_image_or_are_its_mean():
    value = FIELD.prepare(grids(1)[0], "the first")
    assert (value.text, value.media(), value.unknown()) == ("the first", None, 0)
    assert value.axis(6, (2, 3)) == GridAxis(2, 3)
    assert value.axis(1, ()) == Named(("mean",))
    assert len(value.axis(6, ())) == 6
