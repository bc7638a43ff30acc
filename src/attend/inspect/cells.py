"""Figures of weights over the cells of an image.

A box is left, top, right, bottom in [-1, 1], from corner to corner of the image.
"""

import numpy as np
from jaxtyping import Bool, Float


def cells_in_box(box: Float[np.ndarray, "4"], rows: int, columns: int) -> Bool[np.ndarray, "memory"]:
    """The cells, row by row, whose centre lies in a box; if none does, the cell that contains the box's centre."""
    left, top, right, bottom = box
    y = (np.arange(rows) + 0.5) * 2 / rows - 1
    x = (np.arange(columns) + 0.5) * 2 / columns - 1
    inside = ((y >= top) & (y <= bottom))[:, np.newaxis] & ((x >= left) & (x <= right))
    if not inside.any():
        row = min(max(int(((top + bottom) / 2 + 1) / 2 * rows), 0), rows - 1)
        column = min(max(int(((left + right) / 2 + 1) / 2 * columns), 0), columns - 1)
        inside[row, column] = True
    return inside.ravel()


def centre_of(weights: Float[np.ndarray, "step memory"], rows: int, columns: int) -> Float[np.ndarray, "step 2"]:
    """The mean of the cells' centres (x, y), in [-1, 1], under each step's weights."""
    maps = weights.reshape(-1, rows, columns)
    x = maps.sum(axis=1) @ ((np.arange(columns) + 0.5) * 2 / columns - 1)
    y = maps.sum(axis=2) @ ((np.arange(rows) + 0.5) * 2 / rows - 1)
    return np.stack([x, y], axis=-1)


def pairwise_variation(weights: Float[np.ndarray, "step memory"]) -> float:
    """How different the steps' weights are: the mean total variation distance, 1/2 sum_i |a_i - b_i|, over pairs.

    From 0, where all steps are alike (or there are fewer than two), to 1, where no two share a cell.
    """
    steps = len(weights)
    if steps < 2:
        return 0.0
    distances = np.abs(weights[:, np.newaxis] - weights).sum(axis=-1) / 2
    return float(distances.sum() / (steps * (steps - 1)))
