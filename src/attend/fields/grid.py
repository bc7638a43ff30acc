"""Grids of features: what a large network, trained before, computed for each cell of an image."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from attend.atomic import write_atomically
from attend.attention.trace import Axis
from attend.data.examples import Column, Log
from attend.data.files import DataError
from attend.data.grids import as_grids, read_features
from attend.data.ragged import Stacked
from attend.fields.field import Fault, as_array, axis_of_image
from attend.stored import read_object

FILE_AND_NUMBER = re.compile(r"(.+):(\d+)")


@dataclass(frozen=True)
class Grid:
    """A grid of features, floats [row column size]; from .npz or .safetensors files with an array "features"."""

    kind = "grid"
    like = ""

    def column(self, name: str) -> Column:
        return Column(name, ("features",))

    def kept(self, name: str) -> tuple[str, ...]:
        return (f"{name}.json",)

    def learn(self, values: Iterable[Any], log: Log) -> "GridField":
        return GridField(tuple(next(iter(values)).shape))

    def open(self, folder: Path, name: str) -> "GridField":
        path = folder / f"{name}.json"
        try:
            content = read_object(path)
            return GridField((int(content["rows"]), int(content["columns"]), int(content["size"])))
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise DataError(str(path), f"does not say the grids' size ({error})", "train the run anew") from error

    def example(self, rng: np.random.Generator) -> Float[np.ndarray, "row column size"]:
        return rng.random((2, 2, 4), dtype=np.float32)


class GridField:
    """Grids of features; a batch has features before rows, as images have channels."""

    varies = False
    limit = None

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def read(self, given: str | bytes) -> Float[np.ndarray, "row column size"]:
        """A file's only grid, or file:3 for the third of a file's."""
        if isinstance(given, bytes):
            raise ValueError("this run takes grids of features, which can't be uploaded")
        path, number = given, None
        if not Path(path).exists() and (named := FILE_AND_NUMBER.fullmatch(path)):
            path, number = named[1], int(named[2])
        grids = as_grids(read_features(path))
        if number is None and len(grids) > 1:
            raise ValueError(f"{path} has {len(grids):,} grids: say which, such as {path}:1")
        number = 1 if number is None else number
        if not 1 <= number <= len(grids):
            raise ValueError(f"{given}: the file has grids 1 to {len(grids):,}")
        return grids[number - 1]

    def encode(self, values: Sequence[Any], training: bool = False) -> list[Any]:
        return [value if (fault := self.fault(value)) is None else fault for value in values]

    def fault(self, value: Any) -> Fault | None:
        if isinstance(value, np.ndarray) and value.shape == self.shape and value.dtype.kind == "f":
            return None
        found = f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
        return Fault.refuse(f"is of {found}, not of floats {list(self.shape)}, as the run learnt from")

    def prepare(self, raw: Any, name: str = "", encoded: Any = None) -> "GridValue":
        value = self.read(str(raw)) if isinstance(raw, str | Path) else raw
        if (fault := self.fault(value)) is not None:
            raise ValueError(f"{raw if isinstance(raw, str | Path) else 'the grid'} {fault}")
        return GridValue(value, str(raw) if isinstance(raw, str | Path) else name or "a grid")

    def column(self) -> Stacked:
        return Stacked()

    def length(self, encoded: Any) -> int:
        return 1

    def collate(self, encoded: Any) -> Float[Tensor, "batch size row column"]:
        grids = np.ascontiguousarray(np.moveaxis(as_array(encoded), 3, 1), dtype=np.float32)
        return torch.from_numpy(grids)

    def sizes(self) -> dict[str, int]:
        return {"rows": self.shape[0], "columns": self.shape[1], "features": self.shape[2]}

    def remarks(self) -> list[str]:
        return []

    def about(self) -> str:
        return f"grids of {' x '.join(map(str, self.shape))}"

    def save(self, folder: Path, name: str) -> None:
        content = dict(zip(("rows", "columns", "size"), self.shape, strict=True))
        text = json.dumps(content, indent=2) + "\n"
        write_atomically(folder / f"{name}.json", lambda partial: partial.write_text(text, encoding="utf-8"))


@dataclass(frozen=True, eq=False)
class GridValue:
    """See `attend.fields.field.Value`."""

    encoded: Float[np.ndarray, "row column size"]
    name: str

    @property
    def text(self) -> str:
        return Path(self.name).name or self.name

    def axis(self, cells: int, shape: tuple[int, ...]) -> Axis:
        return axis_of_image(cells, shape)

    def media(self) -> None:
        return None

    def unknown(self) -> int:
        return 0
