"""Files of weights: what is damaged, exchanged or changed since is found, and named."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from attend.weights import Origin, changes, check_kept, check_resumed, read_weights, save_weights

ORIGIN: Origin = {
    "settings": {"system": {"hidden": 3}, "training": {"epochs": 2, "seed": 1}, "data": {"train": ["a"]}},
    "kept": {"source.tokenizer.json": 5},
}
TENSORS = {
    "matrix": torch.arange(6.0).reshape(2, 3),
    "number": torch.tensor(3),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "none": torch.zeros(0, 4),
}


def changed(**sections: object) -> Origin:
    return {**ORIGIN, "settings": {**ORIGIN["settings"], **sections}}


def test_weights_come_back_with_their_origin(tmp_path: Path):
    save_weights(tmp_path / "m", {**TENSORS, "turned": TENSORS["matrix"].T}, ORIGIN)
    found, origin = read_weights(tmp_path / "m")
    assert all(torch.equal(found[name], value) for name, value in TENSORS.items())
    assert torch.equal(found["turned"], TENSORS["matrix"].T)
    assert origin == ORIGIN
    check_kept(origin, ORIGIN, tmp_path / "m")
    assert check_resumed(origin, ORIGIN, tmp_path / "m") == []


def test_those_of_earlier_versions_are_taken_as_they_are(tmp_path: Path):
    save_file(TENSORS, tmp_path / "m")
    found, origin = read_weights(tmp_path / "m")
    assert torch.equal(found["matrix"], TENSORS["matrix"])
    check_kept(origin, ORIGIN, tmp_path / "m")
    assert check_resumed(origin, ORIGIN, tmp_path / "m") == []


def test_every_flipped_byte_of_the_weights_is_found(tmp_path: Path):
    path = tmp_path / "m"
    save_weights(path, TENSORS, ORIGIN)
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    for place in range(start, len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ValueError, match=f"{path} is damaged"):
            read_weights(path)


@pytest.mark.parametrize("said", ["null", "[]", "{", '{"checksum": "x"}', '{"settings": 3}', "[" * 100_000, '{"a": 1}'])
def test_a_damaged_header_is_named(said: str, tmp_path: Path):
    save_file(TENSORS, tmp_path / "m", {"attend": said})
    with pytest.raises(ValueError, match=f"{tmp_path / 'm'} is damaged"):
        read_weights(tmp_path / "m")


def test_another_file_of_a_field_is_named(tmp_path: Path):
    now = {**ORIGIN, "kept": {"source.tokenizer.json": 6}}
    for check in (check_kept, check_resumed):
        with pytest.raises(ValueError, match=f"{tmp_path / 'source.tokenizer.json'} is not the file"):
            check(ORIGIN, now, tmp_path / "m")


def test_changed_settings_are_named_and_those_of_what_is_learnt_refused(tmp_path: Path):
    longer = changed(training={"epochs": 4, "seed": 1}, data={"train": ["b"]})
    assert [name for name, _ in changes(ORIGIN["settings"], longer["settings"])] == ["training.epochs", "data.train"]
    said = check_resumed(ORIGIN, longer, tmp_path / "m")
    assert "2" in said[0]
    assert "4" in said[0]
    for other, named in (
        (changed(system={"hidden": 4}), r"system\.hidden was 3, and is 4"),
        (changed(training={"epochs": 2, "seed": 7}), r"training\.seed was 1, and is 7"),
    ):
        with pytest.raises(ValueError, match=r"config\.json: " + named):
            check_resumed(ORIGIN, other, tmp_path / "m")
    # A setting that a later version adds was not chosen by anyone.
    newer = changed(system={"hidden": 3, "new": 1})
    assert changes(ORIGIN["settings"], newer["settings"]) == []
