"""What every test runs under, and where tests of real data find it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

# Examples come from the test's name, so that a failure comes back on every run; a busy machine may take its time.
settings.register_profile("attend", derandomize=True, deadline=None)
settings.load_profile("attend")

# Where a signature says float, an int will do, as for every static type checker (PEP 484).
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--check-shapes",
        action="store_true",
        help="check every call of the package against the types and shapes in its signature (jaxtyping and beartype)",
    )


def pytest_configure(config: pytest.Config) -> None:
    # The tests' sizes are small: more threads would only wait for one another.
    torch.set_num_threads(1)
    # Here, because the hook only sees modules that are imported after it, and collection imports the first.
    if config.getoption("--check-shapes"):
        install_import_hook("attend", CHECKER)


@pytest.fixture(autouse=True)
def _denormals_are_numbers() -> Iterator[None]:
    """Training flushes denormals to zero in the whole process, which other tests must not meet."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the real data sets, which ATTEND_DATA names; without it the test is skipped."""
    name = os.environ.get("ATTEND_DATA")
    if not name:
        pytest.skip("ATTEND_DATA is not set: it names the folder with the real data sets")
    folder = Path(name)
    if not folder.is_dir():
        pytest.skip(f"ATTEND_DATA names {folder}, which is not a folder")
    return folder


@pytest.fixture(scope="session")
def spelling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learnt to spell words backwards, in seconds; of a recipe that the catalogue doesn't know."""
    import attend
    from small_models import backwards

    folder = tmp_path_factory.mktemp("spelling")
    attend.train(backwards(folder), folder / "run", quiet=True)
    return folder / "run"
