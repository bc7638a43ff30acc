from collections.abc import Iterator

import pytest
from echo import LIMITS, Echo, serving

from attend.serve.application import application


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def port(echo: Echo) -> Iterator[int]:
    with serving(application([echo], LIMITS)) as port:
        yield port
