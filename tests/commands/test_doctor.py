import json

from .conftest import Attend


def test_what_is_here_is_said(attend: Attend) -> None:
    found = json.loads(attend("doctor", "--json").out)
    assert found["works"]
    assert {"torch", "threads", "GPU", "ATTEND_DATA"} <= {finding["subject"] for finding in found["findings"]}
