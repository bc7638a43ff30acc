"""Grids of features: what is read, and what is refused and why."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from attend.data.files import DataError
from attend.data.grids import as_grids, read_features

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
def test_features_are_read_from_either_form(tmp_path: Path, name: str, kind: type) -> None:
    features = read_features(saved(tmp_path, FEATURES.astype(kind), name))
    assert features.dtype == kind
    np.testing.assert_array_equal(features, FEATURES.astype(kind))
    assert as_grids(features) is features


@pytest.mark.parametrize(("cells", "shape"), [(196, (14, 14)), (36, (6, 6)), (10, (1, 10))])
def test_cells_without_rows_are_a_square_or_one_row(cells: int, shape: tuple[int, int]) -> None:
    features = np.arange(2 * cells * 3, dtype=np.float32).reshape(2, cells, 3)
    grids = as_grids(features)
    assert grids.shape == (2, *shape, 3)
    assert np.shares_memory(grids, features)
    np.testing.assert_array_equal(grids[1].reshape(cells, 3), features[1])


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        (np.zeros((3, 2), np.float32), r"shape \(3, 2\)"),
        (np.zeros((3, 2, 2, 2), np.int64), "type int64"),
        (np.zeros((0, 2, 2, 2), np.float32), "there are none"),
        (np.where(np.arange(24).reshape(3, 2, 2, 2) == 17, np.nan, 1.0), "not finite, first in row 3"),
        (np.where(np.arange(24).reshape(3, 2, 2, 2) == 9, 1e300, 1.0), "not finite, first in row 2"),
    ],
)
@pytest.mark.parametrize("name", ["grids.npz", "grids.safetensors"])
def test_what_is_no_grid_is_refused(tmp_path: Path, features: np.ndarray, problem: str, name: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_features(saved(tmp_path, features, name))


def test_files_without_features_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", images=FEATURES)
    (tmp_path / "grids.pt").write_bytes(b"")
    (tmp_path / "broken.npz").write_bytes(b"not what it says")
    for name in ("other.npz", "grids.pt", "broken.npz"):
        with pytest.raises(DataError) as caught:
            read_features(str(tmp_path / name))
        assert caught.value.file == str(tmp_path / name)
