import json
import time

import pytest
import torch

from attend.commands.doctor import products
from attend.precision import onednn_speed

from .conftest import Attend


def test_what_is_here_is_said(attend: Attend) -> None:
    found = json.loads(attend("doctor", "--json").out)
    assert found["works"]
    assert {"torch", "threads", "GPU", "ATTEND_DATA"} <= {finding["subject"] for finding in found["findings"]}


@pytest.mark.parametrize(
    ("by_onednn", "speed", "state"),
    [(True, 1.9, "ok"), (True, 0.8, "warning"), (False, 0.8, "ok"), (False, 1.9, "ok"), (False, None, "ok")],
)
def test_a_slower_library_of_products_is_said_with_what_was_measured(
    by_onednn: bool, speed: float | None, state: str
) -> None:
    found = products(by_onednn, speed)
    assert found.state == state
    assert speed is None or f"{speed:.2f} times" in found.found


def test_products_are_measured_within_a_second() -> None:
    started, threads = time.process_time(), torch.get_num_threads()
    speed = onednn_speed(tries=2)
    assert speed is None or 0.01 < speed < 100
    assert time.process_time() - started < 1
    assert torch.get_num_threads() == threads
