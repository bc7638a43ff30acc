"""The learning curve, whatever a kill or a disk did to it."""

import json
from pathlib import Path

import pytest

from attend.log import Log, read_log
from attend.progress import Progress

DAMAGED = [
    b"",
    b"null",
    b"[]",
    b"3",
    b"{",
    b"{}",
    b'{"update": null}',
    b'{"update": 2.5}',
    b'{"update": 1' + b"0" * 400 + b"}",
    b'{"update": 3, "loss": 1' + b"0" * 400 + b"}",
    b'{"update": 3, "loss": "x"}',
    b'{"update": 3, "loss": [1]}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"update":' * 100_000,
]


def line(update: int) -> bytes:
    return json.dumps({"update": update, "loss": 1.5}).encode()


def test_damaged_lines_are_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n".join([line(1), *DAMAGED, line(2), line(3), b""]))
    entries, damaged = read_log(path)
    assert [entry["update"] for entry in entries] == [1, 2, 3]
    assert damaged == len(DAMAGED)
    Log(tmp_path, 2, False).write(Progress(update=10), {"loss": 1.0})
    assert f"{path}: {len(DAMAGED)} lines" in capsys.readouterr().err
    entries, damaged = read_log(path)
    assert [entry["update"] for entry in entries] == [1, 2, 10]
    assert damaged == 0


def test_a_line_that_a_kill_cut_short_is_no_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "log.jsonl").write_bytes(line(1) + b'\n{"update": 2, "lo')
    Log(tmp_path, 1, False)
    assert read_log(tmp_path / "log.jsonl") == ([{"update": 1, "loss": 1.5}], 0)
    assert capsys.readouterr().err == ""


def test_a_curve_that_is_lost_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Log(tmp_path, 0, False)
    assert capsys.readouterr().err == ""
    Log(tmp_path, 30, False)
    assert "up to update 30" in capsys.readouterr().err


def test_a_log_that_can_not_be_written_is_named(tmp_path: Path):
    log = Log(tmp_path, 0, False)
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(ValueError, match=r"log\.jsonl: can't be written"):
        log.write(Progress(update=10), {"loss": 1.0})


def test_events_that_can_not_be_written_name_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Full:
        log_dir = str(tmp_path / "tensorboard")

        def __init__(self, folder: str, purge_step: int) -> None:
            pass

        def add_scalar(self, name: str, value: float, update: int) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("attend.log.summary_writer", lambda: Full)
    with pytest.raises(ValueError, match=r"tensorboard: can't be written: No space left"):
        Log(tmp_path, 0, True).write(Progress(update=10), {"loss": 1.0})
