"""Files of weights (safetensors). Each says what its weights were trained with, and has a checksum of them.

So a run knows when its weights are damaged, when its vocabularies are others than those of its training, and which of
its settings were changed since. Files of earlier versions say nothing, and are taken as they are.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from attend.atomic import write_atomically
from attend.data.checksum import of_file
from attend.settings import MAY_CHANGE
from attend.stored import check, check_keys, shown

Origin = Mapping[str, Any]
"""What weights were trained with: a run's `settings` as plain values, and the checksums of the files it `kept` of its
fields, by name. Empty where that is not known."""

UNKNOWN_ORIGIN: Origin = {}
# In the header of a file.
KEY = "attend"
# Sections of settings that predictions don't depend on.
OF_TRAINING = ("data", "training", "decoding")


def origin_of(settings: Any, folder: Path, kept: Iterable[str]) -> Origin:
    """That of weights that are trained in this run folder now. Raises `ValueError` for a file that can't be read."""
    try:
        return {"settings": plain(settings), "kept": {name: of_file(folder / name) for name in kept}}
    except OSError as error:
        raise ValueError(f"{error.filename} can't be read ({error.strerror}): put it back") from error


def plain(settings: Any) -> dict[str, Any]:
    """Settings as a file of JSON has them."""
    return json.loads(json.dumps(asdict(settings)))


def save_weights(path: Path, tensors: Mapping[str, Tensor], origin: Origin) -> None:
    """Raises `ValueError` if the file can't be written."""
    clean = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
    header = {KEY: json.dumps({**origin, "checksum": checksum(clean)})}

    def write(partial: Path) -> None:
        try:
            save_file(clean, partial, header)
        except SafetensorError as error:
            raise OSError(str(error)) from error

    write_atomically(path, write)


def read_weights(path: Path) -> tuple[dict[str, Tensor], Origin]:
    """A file's weights, and what they were trained with. Raises `ValueError` if it is damaged, or can't be read."""
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        if KEY not in header:
            return tensors, UNKNOWN_ORIGIN
        said = check(json.loads(header[KEY]), dict, "its header")
        if said.pop("checksum", None) != checksum(tensors):
            raise ValueError("its weights are not those that were saved")
        if said:
            check_keys(said, {"settings": dict, "kept": dict[str, int]}, Path("its header"))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged, and can't be used ({error})") from error
    return tensors, said


def checksum(tensors: Mapping[str, Tensor]) -> int:
    """The CRC-32 of all values, by name."""
    value = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        value = crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), value)
        value = crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, value)
    return value


def check_kept(trained: Origin, now: Origin, path: Path) -> None:
    """Raises `ValueError` for a file of a field that is not the one that the weights of `path` were trained with."""
    if not trained:
        return
    for name, value in now["kept"].items():
        if trained["kept"].get(name) != value:
            raise ValueError(
                f"{path.with_name(name)} is not the file that {path} was trained with: put that back, or train anew"
            )


def changes(trained: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each of these settings, as plain values, that is not what it was: its name, and that in words."""
    before, after = dict(leaves(trained)), dict(leaves(now))
    return [
        (name, f"{name} was {shown(before[name])}, and is {shown(value)} now")
        for name, value in after.items()
        if name in before and before[name] != value
    ]


def leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def check_resumed(trained: Origin, now: Origin, path: Path) -> list[str]:
    """What has changed, in words, since `path` was written, and may.

    Raises `ValueError` for a setting that must not change while a run is trained, and for another file of a field.
    """
    if not trained:
        return []
    check_kept(trained, now, path)
    allowed = []
    for name, words in changes(trained["settings"], now["settings"]):
        if name not in MAY_CHANGE:
            raise ValueError(
                f"{path.with_name('config.json')}: {words}, but {path} was trained with that: put it back, or train a"
                " new run"
            )
        allowed.append(words)
    return allowed
