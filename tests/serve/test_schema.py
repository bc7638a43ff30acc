"""The OpenAPI document and the server agree: requests made from the document, or to break it, find no difference."""

from typing import Any

import models
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from attend.serve.adapter import served
from attend.serve.application import application

# Schemathesis itself draws from `random` now and then.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies")
POSTS = [f"/v1/{verb}" for verb in ("predict", "score", "trace", "stream")]
GETS = ["/v1/models", "/healthz", "/readyz", "/metrics"]
QUICK = settings(
    max_examples=15, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def interface() -> Any:
    several = [served("translation", models.translation()), served("pairs", models.sentence_pairs())]
    return schemathesis.openapi.from_asgi("/openapi.json", application(several, hosts=["testserver", "localhost"]))


@pytest.mark.parametrize("path", [*POSTS, *GETS])
def test_what_the_document_allows_is_answered_as_it_says(interface: Any, path: str) -> None:
    @QUICK
    @given(case=interface[path]["POST" if path in POSTS else "GET"].as_strategy())
    def agree(case: Any) -> None:
        answer = case.call()
        case.validate_response(answer, excluded_checks=[positive_data_acceptance])
        if answer.status_code == 422:  # it may ask for what there isn't, such as an id that no vocabulary has
            assert "should" not in answer.json()["detail"]

    agree()


@pytest.mark.parametrize("path", POSTS)
def test_what_the_document_forbids_is_refused_as_it_says(interface: Any, path: str) -> None:
    @QUICK
    @given(case=interface[path]["POST"].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def agree(case: Any) -> None:
        case.call_and_validate()

    agree()
