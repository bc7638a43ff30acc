"""Which models are served; how the server is started and ended is in tests/serve/test_command.py."""

from collections.abc import Callable
from pathlib import Path

import pytest

from attend.commands.serve import Options, models


def test_runs_that_can_not_be_served_are_said_and_the_others_are_served(
    run: Path, entailment: Path, drawer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = ("premise=a dog runs", "hypothesis=the dog sits")
    found = models(Options((run, drawer, entailment), text=("a dog",), inputs=inputs))
    assert [one.name for one in found] == [run.name, entailment.name]
    assert [list(one.examples) for one in found] == [
        ["a dog"],
        [{"premise": "a dog runs", "hypothesis": "the dog sits"}],
    ]
    (said,) = capsys.readouterr().err.splitlines()
    assert drawer.name in said


def test_a_run_that_can_not_be_served_is_refused(drawer: Path, fails: Callable[..., str]) -> None:
    assert drawer.name in fails("serve", drawer, "--port", "0")
