"""Names of classes: the target of a classifier."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from attend.atomic import write_atomically
from attend.data.examples import Log
from attend.data.files import DataError
from attend.data.normal import normalised
from attend.fields.field import Fault
from attend.stored import read_object


class LabelField:
    """Labels as numbers of their classes, which are in the order of their names, or of their values if all are such."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._number = {name: number for number, name in enumerate(self.classes)}

    @staticmethod
    def learn(values: Iterable[str], log: Log) -> "LabelField":
        """Raises `ValueError` for fewer than two classes."""
        classes = sorted({normalised(name) for name in set(values) if name.strip()})
        if all(name.isascii() and name.isdigit() and len(name) < 19 for name in classes):
            classes.sort(key=int)
        if len(classes) < 2:
            found = f"one class alone ({classes[0]})" if classes else "no class"
            raise ValueError(f"the training examples have {found}: give examples of at least two")
        return LabelField(classes)

    @staticmethod
    def open(folder: Path, name: str) -> "LabelField":
        """Raises `DataError` if the file is damaged."""
        path = folder / f"{name}.json"
        try:
            classes = read_object(path)["classes"]
            if not all(isinstance(one, str) for one in classes):
                raise ValueError("classes must be texts")
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise DataError(str(path), f"does not name the classes ({error})", "train the run anew") from error
        return LabelField(classes)

    def encode(self, values: Sequence[Any]) -> list[int | Fault]:
        return [self.number(value) for value in values]

    def number(self, label: Any) -> int | Fault:
        if not str(label).strip():
            return Fault("is empty")
        number = self._number.get(str(label))
        if number is None:  # classes of former runs may have stray spaces
            number = self._number.get(normalised(str(label)))
        if number is None:
            return Fault.refuse(f"is {str(label)!r}, a class that no training example has")
        return number

    def collate(self, encoded: Any) -> Int[Tensor, "batch"]:
        return torch.as_tensor(encoded, dtype=torch.int64)

    def save(self, folder: Path, name: str) -> None:
        text = json.dumps({"classes": self.classes}, indent=2, ensure_ascii=False) + "\n"
        write_atomically(folder / f"{name}.json", lambda partial: partial.write_text(text, encoding="utf-8"))
