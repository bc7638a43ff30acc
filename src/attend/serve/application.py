"""The interface and the page, as one application."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from html import escape
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException as StarletteException

import attend
from attend.serve.batching import AbandonedError, FullError, Job, Work, Worker
from attend.serve.documentation import documentation
from attend.serve.guard import LOOPBACK, Guard
from attend.serve.limits import Limits
from attend.serve.messages import (
    ModelsResponse,
    PredictRequest,
    PredictResponse,
    Problem,
    ScoreRequest,
    ScoreResponse,
    StreamRequest,
    TraceRequest,
    TraceResponse,
)
from attend.serve.metrics import Metrics
from attend.serve.served import Ask, Served
from attend.show.page import page

DRAIN_SECONDS = 30.0
SCORE = ("score",)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": why}
    for status, why in {
        404: "There is no such model.",
        413: "A text, or all of the request, is too long.",
        422: "The request is not as described, or can't be answered.",
        503: "Too many requests wait: come back after so many seconds (Retry-After).",
        504: "It took too long.",
    }.items()
}


def application(
    models: Sequence[Served],
    limits: Limits | None = None,
    hosts: Collection[str] = LOOPBACK,
    token: str | None = None,
    title: str = "Where a model looked",
) -> Guard:
    """The application over these models, behind its guard. The first one answers where none is named.

    Raises `ValueError` if there are no models, or two have the same name.
    """
    names = [model.name for model in models]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"a server needs models of different names, not {names}")
    limits = limits or Limits()
    metrics = Metrics()
    house = House(models, limits, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        house.open()
        yield
        await asyncio.to_thread(house.close)

    app = FastAPI(
        title="attend",
        version=attend.__version__,
        description="Predictions of attention-based models, and where they looked.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    add_page(app, title)
    add_models(app, house)
    add_state(app, house, metrics)
    app.add_exception_handler(RequestValidationError, unfit)
    app.add_exception_handler(StarletteException, refused)
    known = {route.path for route in app.routes if hasattr(route, "path")}  # type: ignore[attr-defined]
    return Guard(app, limits, metrics, known, hosts, token)


class House:
    """The models and their workers."""

    def __init__(self, models: Sequence[Served], limits: Limits, metrics: Metrics) -> None:
        self.models = {model.name: model for model in models}
        self.limits, self.metrics = limits, metrics
        self.workers: dict[str, Worker] = {}

    def open(self) -> None:
        for name, model in self.models.items():
            self.workers[name] = Worker(name, work_of(model), self.limits, partial(self.metrics.worked, name))

    def close(self) -> None:
        """Finish what is there, and take nothing more."""
        workers, self.workers = self.workers, {}
        for worker in workers.values():
            worker.close(DRAIN_SECONDS)

    def find(self, name: str | None) -> Served:
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise HTTPException(404, f"there is no model {name[:80]!r}; the models are {', '.join(self.models)}")
        return self.models[name]

    def check(self, model: Served, texts: Sequence[str]) -> None:
        """Raise for more, or for longer ones, than are taken at once."""
        if len(texts) > self.limits.inputs:
            raise HTTPException(413, f"{len(texts)} inputs: send at most {self.limits.inputs} at once")
        most = self.limits.text_characters if model.reads == "text" else self.limits.body_bytes
        for number, text in enumerate(texts, start=1):
            if len(text) > most:
                which = f"text {number}" if len(texts) > 1 else "the text"
                raise HTTPException(413, f"{which} has {len(text):,} characters: at most {most:,} are read")

    def submit(self, model: Served, job: Job) -> Job:
        worker = self.workers.get(model.name)
        try:
            if worker is None:
                raise FullError
            return worker.submit(job)
        except FullError:
            raise HTTPException(503, "too many requests wait: come back in a moment", {"Retry-After": "1"}) from None

    async def answer(self, request: Request, model: Served, job: Job) -> Any:
        """What comes of a job, unless the client goes away or it takes too long: then it is ended."""
        waiting = asyncio.wrap_future(self.submit(model, job).future)
        # What comes of it after nobody waits any more is nobody's error.
        waiting.add_done_callback(lambda late: late.cancelled() or late.exception())
        gone = asyncio.ensure_future(disconnected(request))
        try:
            done, _ = await asyncio.wait(
                {waiting, gone}, timeout=self.limits.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if waiting in done:
                return waiting.result()
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        except AbandonedError:
            raise HTTPException(504, "nobody waited for this any more") from None
        except asyncio.CancelledError:
            raise HTTPException(503, "the server is going down", {"Retry-After": "1"}) from None
        finally:
            job.abandon()
            gone.cancel()
        raise HTTPException(504, f"it took more than {self.limits.seconds:g} seconds")


def work_of(model: Served) -> Work:
    """What a worker does: inputs of one kind of prediction together, everything else by itself."""

    def work(kind: Any, payloads: Sequence[Any], stop: Callable[[], None]) -> Sequence[Any]:
        if kind is None:
            return [payload(stop) for payload in payloads]
        together = [part for payload in payloads for part in payload]
        if kind == SCORE:
            found = iter(model.score(together, stop))
        else:
            _, beam, best = kind
            found = iter(model.predict(together, beam, best, stop))
        return [[next(found) for _ in payload] for payload in payloads]

    return work


async def disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def add_models(app: FastAPI, house: House) -> None:
    @app.get("/v1/models", summary="The models that can be asked", tags=["models"])
    async def models() -> ModelsResponse:
        found = [
            {
                "name": model.name,
                "reads": model.reads,
                "steerable": model.steerable,
                "beam": model.beam,
                "about": dict(model.about),
                "examples": list(model.examples),
            }
            for model in house.models.values()
        ]
        return ModelsResponse.model_validate({"models": found})

    @app.post("/v1/predict", summary="An output for each input", tags=["models"], responses=PROBLEMS)
    async def predict(request: Request, asked: PredictRequest) -> PredictResponse:
        """Requests that come at about the same time are predicted together."""
        model = house.find(asked.model)
        house.check(model, asked.inputs)
        job = Job(asked.inputs, ("predict", asked.beam, asked.best), len(asked.inputs))
        found = await house.answer(request, model, job)
        return PredictResponse.model_validate({"model": model.name, "outputs": found})

    @app.post("/v1/score", summary="Log-probabilities of given outputs", tags=["models"], responses=PROBLEMS)
    async def score(request: Request, asked: ScoreRequest) -> ScoreResponse:
        model = house.find(asked.model)
        pairs = [(pair.input, pair.output) for pair in asked.pairs]
        house.check(model, [source for source, _ in pairs])
        house.check(model, [target for _, target in pairs])
        found = await house.answer(request, model, Job(pairs, SCORE, len(pairs)))
        return ScoreResponse.model_validate({"model": model.name, "scores": found})

    @app.post("/v1/trace", summary="An output, and where the model looked", tags=["models"], responses=PROBLEMS)
    async def trace(request: Request, asked: TraceRequest) -> TraceResponse:
        """With a beam of two or more the search is in the trace. `prefix` begins the output; `weights` sets rows of
        attention by hand, and the model writes on from there."""
        model, ask = question(house, asked, asked.evidence)
        found = await house.answer(request, model, Job(partial(model.trace, ask)))
        return TraceResponse(model=model.name, trace=found.to_json())

    @app.post(
        "/v1/stream",
        summary="An output token by token, each with its row of attention",
        tags=["models"],
        responses=PROBLEMS,
        response_class=StreamingResponse,
    )
    async def stream(asked: StreamRequest) -> StreamingResponse:
        """Server-sent events: "token" (id, text, log_prob, weights) for each, then "done" with the trace, or
        "error"."""
        model, ask = question(house, asked, False)
        return StreamingResponse(events(house, model, ask), media_type="text/event-stream")


def question(house: House, asked: StreamRequest, evidence: bool) -> tuple[Served, Ask]:
    model = house.find(asked.model)
    house.check(model, [asked.input])
    return model, Ask(asked.input, asked.prefix, asked.weights, asked.beam, asked.alternatives, evidence)


def events(house: House, model: Served, ask: Ask) -> AsyncIterator[str]:
    """The events of a stream. A client that goes away ends the work."""
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def say(name: str, value: Any) -> None:
        loop.call_soon_threadsafe(told.put_nowait, (name, value))

    def work(stop: Callable[[], None]) -> None:
        def tell(token: dict[str, Any]) -> None:
            stop()
            say("token", token)

        try:
            say("done", {"model": model.name, "trace": model.stream(ask, tell).to_json()})
        except ValueError as error:
            say("error", {"status": 422, "detail": str(error)})

    job = house.submit(model, Job(work))

    async def written() -> AsyncIterator[str]:
        try:
            async with asyncio.timeout(house.limits.seconds):
                while True:
                    name, value = await told.get()
                    yield f"event: {name}\ndata: {json.dumps(value)}\n\n"
                    if name != "token":
                        return
        except TimeoutError:
            detail = f"it took more than {house.limits.seconds:g} seconds"
            yield f"event: error\ndata: {json.dumps({'status': 504, 'detail': detail})}\n\n"
        finally:
            job.abandon()

    return written()


def add_state(app: FastAPI, house: House, metrics: Metrics) -> None:
    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", summary="Whether the server is alive", tags=["state"], response_class=PlainTextResponse)
    async def healthz() -> str:
        return "ok\n"

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", summary="Whether it takes requests", tags=["state"], response_class=PlainTextResponse)
    async def readyz() -> Response:
        ready = bool(house.workers)
        return PlainTextResponse("ready\n" if ready else "going down\n", 200 if ready else 503)

    @app.get("/metrics", summary="What it did, for Prometheus", tags=["state"], response_class=PlainTextResponse)
    async def counted() -> Response:
        waiting = {name: len(worker) for name, worker in house.workers.items()}
        return PlainTextResponse(metrics.text(waiting), media_type="text/plain; version=0.0.4")


def add_page(app: FastAPI, title: str) -> None:
    def asset(name: str, kind: str) -> Response:
        return Response(files("attend.serve").joinpath("static", name).read_bytes(), media_type=kind)

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def index() -> Response:
        return HTMLResponse(index_page(title))

    @app.get("/explorer.js", include_in_schema=False)
    async def script() -> Response:
        return asset("explorer.js", "text/javascript; charset=utf-8")

    @app.get("/explorer.css", include_in_schema=False)
    async def style() -> Response:
        return asset("explorer.css", "text/css; charset=utf-8")

    @app.get("/page.html", include_in_schema=False)
    async def empty_page() -> Response:
        # As text: it is for the page to fill in, not to be looked at here.
        return PlainTextResponse(page([], ""))

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return Response(status_code=204)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(documentation(app.openapi()))


def index_page(title: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="attend-server" content="1">
<title>{escape(title)}</title>
<link rel="stylesheet" href="/explorer.css">
</head>
<body>
<div data-title>{escape(title)}</div>
<attend-explorer></attend-explorer>
<noscript>
<p>This page is drawn by its script, which is switched off here. Programs have <a href="/docs">the interface</a>.</p>
</noscript>
<script src="/explorer.js"></script>
</body>
</html>
"""


async def unfit(_: Request, error: Exception) -> Response:
    """What is wrong with a request, without giving back what it held."""
    assert isinstance(error, RequestValidationError)
    return problem_response(422, "; ".join(unfit_part(one) for one in error.errors()[:5]))


def unfit_part(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"the request is not JSON: {error['ctx']['error']} at character {error['loc'][-1]}"
    return f"{'.'.join(str(key)[:40] for key in error['loc'][1:]) or 'body'}: {error['msg']}"


async def refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteException)
    return problem_response(error.status_code, str(error.detail), dict(error.headers or {}))


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    content = json.dumps({"status": status, "detail": detail})
    return Response(content, status, headers, media_type="application/problem+json")
