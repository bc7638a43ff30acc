"""Grids of features: what is read, and what is refused and why."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from attend.data.files import DataError
from attend.data.grids import read_grids

FEATURES = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype(np.float32)


def saved(folder: Path, features: np.ndarray, name: str = "grids.npz") -> str:
    path = folder / name
    if path.suffix == ".npz":
        np.savez(path, features=features)
    else:
        save_file({"features": features}, path)
    return str(path)


@pytest.mark.parametrize("name", ["grids.npz", "grids.safetensors"])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_grids_are_read_from_either_form(tmp_path: Path, name: str, kind: type) -> None:
    grids = read_grids(saved(tmp_path, FEATURES.astype(kind), name))
    assert grids.features.dtype == kind
    found = grids.floats(np.array([2, 0]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0, :, 1, 3], FEATURES[2, 1, 3], rtol=1e-3)
    assert grids.names[1] == f"{tmp_path / name}:2"
    assert grids.select(np.array([1])).names == (grids.names[1],)


@pytest.mark.parametrize(("cells", "shape"), [(196, (14, 14)), (36, (6, 6)), (10, (1, 10))])
def test_cells_without_rows_are_a_square_or_one_row(tmp_path: Path, cells: int, shape: tuple[int, int]) -> None:
    features = np.arange(2 * cells * 3, dtype=np.float32).reshape(2, cells, 3)
    grids = read_grids(saved(tmp_path, features))
    assert grids.features.shape == (2, *shape, 3)
    np.testing.assert_array_equal(grids.features[1].reshape(cells, 3), features[1])


def test_captions_are_read_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("a\tb\nc\nd\te\tf\n")
    grids = read_grids(saved(tmp_path, FEATURES), str(tmp_path / "captions.txt"))
    assert grids.captions == (("a", "b"), ("c",), ("d", "e", "f"))
    (tmp_path / "captions.txt").write_text("a\n")
    with pytest.raises(DataError, match=r"captions\.txt: has 1 line, but .*grids\.npz has 3 grids"):
        read_grids(saved(tmp_path, FEATURES), str(tmp_path / "captions.txt"))


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        (np.zeros((3, 2), np.float32), r"shape \(3, 2\)"),
        (np.zeros((3, 2, 2, 2), np.int64), "type int64"),
        (np.zeros((0, 2, 2, 2), np.float32), "there are none"),
        (np.where(np.arange(24).reshape(3, 2, 2, 2) == 17, np.nan, 1.0), "not finite, first in grid 3"),
        (np.where(np.arange(24).reshape(3, 2, 2, 2) == 9, 1e300, 1.0), "not finite, first in grid 2"),
    ],
)
@pytest.mark.parametrize("name", ["grids.npz", "grids.safetensors"])
def test_what_is_no_grid_is_refused(tmp_path: Path, features: np.ndarray, problem: str, name: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_grids(saved(tmp_path, features, name))


def test_files_that_are_not_what_they_say_are_refused(tmp_path: Path) -> None:
    for name in ("grids.npz", "grids.safetensors"):
        (tmp_path / name).write_bytes(b"not what it says")
        with pytest.raises(DataError, match="cannot be read"):
            read_grids(str(tmp_path / name))
    np.savez(tmp_path / "other.npz", images=FEATURES)
    with pytest.raises(DataError, match=r"other\.npz: cannot be read"):
        read_grids(str(tmp_path / "other.npz"))
    np.savez(tmp_path / "objects.npz", features=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="Python objects"):
        read_grids(str(tmp_path / "objects.npz"))
    (tmp_path / "grids.pt").write_bytes(b"")
    with pytest.raises(DataError, match=r"neither \.npz nor \.safetensors"):
        read_grids(str(tmp_path / "grids.pt"))
    save_torch({"features": torch.zeros(1, 2, 2, 3, dtype=torch.bfloat16)}, tmp_path / "half.safetensors")
    with pytest.raises(DataError, match="bfloat16"):
        read_grids(str(tmp_path / "half.safetensors"))
    save_torch({"other": torch.zeros(1)}, tmp_path / "unnamed.safetensors")
    with pytest.raises(DataError, match=r"unnamed\.safetensors: cannot be read"):
        read_grids(str(tmp_path / "unnamed.safetensors"))
