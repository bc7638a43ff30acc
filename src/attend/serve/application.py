"""The API and the page, as one application."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from html import escape
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException as StarletteException

import attend
from attend.serve.batching import AbandonedError, FullError, Job, Work, Worker
from attend.serve.documentation import documentation
from attend.serve.guard import LOOPBACK, Guard
from attend.serve.limits import Limits
from attend.serve.messages import (
    Input,
    ModelInfo,
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
from attend.serve.served import TEXTS, Served
from attend.show.page import page

# When the server ends, seconds in which what is running may finish, and in which it must then have stopped.
DRAIN_SECONDS, STOP_SECONDS = 0.8, 0.4
SHUTTING_DOWN = "the server is shutting down"
SCORE = ("score",)
Responses = dict[int | str, dict[str, Any]]


def problems(known: Mapping[int, str]) -> Responses:
    """How refusals are described, by status."""
    form = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {status: {"description": why, "content": form} for status, why in known.items()}


REFUSALS = {
    401: "The server needs its token.",
    403: "The request comes from another page.",
    405: "The path has other methods.",
    421: "The server does not have that host name.",
}
PROBLEMS = problems(
    REFUSALS
    | {
        400: "The body is no text, or the client disconnected before it was complete.",
        404: "There is no such model.",
        408: "The body did not arrive in time.",
        413: "A text, or the whole request, is too long, or has too many inputs.",
        422: "The request is malformed, or can't be answered, as with an input that is too long for the model.",
        503: "Too many requests are waiting, or the server is shutting down: try again after Retry-After seconds.",
        504: "The request took too long.",
    }
)
READING = problems(REFUSALS)
SHUT: Responses = {503: {"description": "The server is shutting down.", "content": {"text/plain": {}}}}


def application(
    models: Sequence[Served],
    limits: Limits | None = None,
    hosts: Collection[str] = LOOPBACK,
    token: str | None = None,
    title: str = "Where a model looked",
) -> Guard:
    """The application over these models, behind its guard. The first model is the default.

    Raises `ValueError` if there are no models, or two have the same name.
    """
    names = [model.name for model in models]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"a server needs models of different names, not {names}")
    limits = limits or Limits()
    metrics = Metrics()
    pool = ModelPool(models, limits, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pool.open()
        yield
        await asyncio.to_thread(pool.close)

    app = FastAPI(
        title="attend",
        version=attend.__version__,
        description="Predictions of attention-based models, and where they looked.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    add_page(app, title)
    add_models(app, pool)
    add_state(app, pool, metrics)
    app.add_exception_handler(RequestValidationError, unfit)
    app.add_exception_handler(StarletteException, refused)
    known = {route.path for route in app.routes if hasattr(route, "path")}  # type: ignore[attr-defined]
    return Guard(app, limits, metrics, known, hosts, token, pool.leave)


class ModelPool:
    """The models and their workers."""

    def __init__(self, models: Sequence[Served], limits: Limits, metrics: Metrics) -> None:
        self.models = {model.name: model for model in models}
        self.limits, self.metrics = limits, metrics
        self.workers: dict[str, Worker] = {}
        self.leaving: list[Worker] = []
        # Set when what is still running is told that it will not be finished.
        self.ending = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        self.loop, self.ending = asyncio.get_running_loop(), asyncio.Event()
        for name, model in self.models.items():
            worker = Worker(name, work_of(model), self.limits, partial(self.metrics.worked, name))
            self.metrics.watch_queue(name, worker.__len__)
            self.workers[name] = worker

    def leave(self) -> None:
        """Accept no more requests, and answer those that are running within `DRAIN_SECONDS`; from any thread."""
        workers, self.workers = self.workers, {}
        for worker in workers.values():
            worker.refuse()
        self.leaving += workers.values()
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.call_later, DRAIN_SECONDS, self.ending.set)

    def close(self) -> None:
        """End the workers: what they do not finish in a moment is abandoned."""
        self.leave()
        until = time.monotonic() + STOP_SECONDS
        for worker in self.leaving:
            worker.close(max(0.0, until - time.monotonic()))

    def find(self, name: str | None) -> Served:
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise HTTPException(404, f"there is no model {name[:80]!r}; the models are {', '.join(self.models)}")
        return self.models[name]

    def check(self, model: Served, inputs: Sequence[Input]) -> None:
        """Raise for too many inputs, or too long texts."""
        if len(inputs) > self.limits.inputs:
            raise HTTPException(413, f"{len(inputs)} inputs: send at most {self.limits.inputs} at once")
        for number, given in enumerate(inputs, start=1):
            which = f"input {number}" if len(inputs) > 1 else "the input"
            named = {next(iter(model.inputs)): given} if isinstance(given, str) else given
            for name, text in named.items():
                if model.inputs.get(name) in TEXTS:
                    self.check_length(which if len(model.inputs) == 1 else f"{which}'s {name}", text)

    def check_length(self, which: str, text: str) -> None:
        most = self.limits.text_characters
        if len(text) > most:
            raise HTTPException(413, f"{which} has {len(text):,} characters: at most {most:,} are read")

    def submit(self, model: Served, job: Job) -> Job:
        worker = self.workers.get(model.name)
        try:
            if worker is None:
                raise HTTPException(503, SHUTTING_DOWN, {"Retry-After": "1"})
            return worker.submit(job)
        except FullError:
            raise HTTPException(503, "too many requests are waiting: try again", {"Retry-After": "1"}) from None

    async def answer(self, request: Request, model: Served, job: Job) -> Any:
        """A job's result. It is abandoned if the client goes away, or if it takes too long."""
        waiting = asyncio.wrap_future(self.submit(model, job).future)
        # After the job was abandoned its exception is not retrieved: silence the warning.
        waiting.add_done_callback(lambda late: late.cancelled() or late.exception())
        gone, ending = asyncio.ensure_future(disconnected(request)), asyncio.ensure_future(self.ending.wait())
        try:
            done, _ = await asyncio.wait(
                {waiting, gone, ending}, timeout=self.limits.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if waiting in done:
                return waiting.result()
            if ending in done:
                raise HTTPException(503, SHUTTING_DOWN, {"Retry-After": "1"})
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        except AbandonedError:
            raise HTTPException(504, "the request was abandoned") from None
        except asyncio.CancelledError:
            raise HTTPException(503, SHUTTING_DOWN, {"Retry-After": "1"}) from None
        finally:
            job.abandon()
            gone.cancel()
            ending.cancel()
        raise HTTPException(504, f"it took more than {self.limits.seconds:g} seconds")


def work_of(model: Served) -> Work:
    """A worker's function: predictions with the same options are batched, other jobs run alone."""

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


def add_models(app: FastAPI, pool: ModelPool) -> None:
    @app.get("/v1/models", summary="The available models", tags=["models"], responses=READING)
    async def models() -> ModelsResponse:
        return ModelsResponse(models=[info(model) for model in pool.models.values()])

    @app.post("/v1/predict", summary="An output for each input", tags=["models"], responses=PROBLEMS)
    async def predict(request: Request, body: PredictRequest) -> PredictResponse:
        """Concurrent requests are predicted as one batch."""
        model = pool.find(body.model)
        pool.check(model, body.inputs)
        job = Job(body.inputs, ("predict", body.beam, body.best), len(body.inputs))
        found = await pool.answer(request, model, job)
        return PredictResponse(model=model.name, outputs=found)

    @app.post("/v1/score", summary="Log-probabilities of given outputs", tags=["models"], responses=PROBLEMS)
    async def score(request: Request, body: ScoreRequest) -> ScoreResponse:
        model = pool.find(body.model)
        pairs = [(pair.input, pair.output) for pair in body.pairs]
        pool.check(model, [given for given, _ in pairs])
        for number, (_, output) in enumerate(pairs, start=1):
            pool.check_length(f"output {number}", output)
        found = await pool.answer(request, model, Job(pairs, SCORE, len(pairs)))
        return ScoreResponse(model=model.name, scores=found)

    @app.post("/v1/trace", summary="An output, and where the model looked", tags=["models"], responses=PROBLEMS)
    async def trace(request: Request, body: TraceRequest) -> TraceResponse:
        """With a beam of two or more the trace includes the search. The output starts with `prefix`; `weights` forces
        rows of attention, and the model continues from there."""
        model = pool.find(body.model)
        pool.check(model, [body.input])
        found = await pool.answer(request, model, Job(partial(model.trace, body)))
        return TraceResponse(model=model.name, trace=found.to_json())

    @app.post(
        "/v1/stream",
        summary="An output token by token, each with its row of attention",
        tags=["models"],
        responses={**PROBLEMS, 200: {"description": "Events.", "content": {"text/event-stream": {}}}},
        response_class=StreamingResponse,
    )
    async def stream(body: StreamRequest) -> StreamingResponse:
        """Server-sent events: "token" (id, text, log_prob, weights) for each, then "done" with the trace, or
        "error"."""
        model = pool.find(body.model)
        pool.check(model, [body.input])
        return StreamingResponse(events(pool, model, body), media_type="text/event-stream")


def info(model: Served) -> ModelInfo:
    kinds = list(model.inputs.values())
    return ModelInfo(
        name=model.name,
        reads=kinds[0] if len(kinds) == 1 else "fields",
        inputs=dict(model.inputs),
        longest=dict(model.longest),
        output=model.output,
        steerable=model.steerable,
        beam=model.beam,
        about=dict(model.about),
        examples=list(model.examples),
    )


def events(pool: ModelPool, model: Served, body: StreamRequest) -> AsyncIterator[str]:
    """The events of a stream. The work stops when the client disconnects."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def put(name: str, value: Any) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, (name, value))

    def work(stop: Callable[[], None]) -> None:
        def tell(token: dict[str, Any]) -> None:
            stop()
            put("token", token)

        try:
            put("done", {"model": model.name, "trace": model.stream(body, tell).to_json()})
        except ValueError as error:
            put("error", {"status": 422, "detail": str(error)})

    async def tell_of_end() -> None:
        await pool.ending.wait()
        put("error", {"status": 503, "detail": SHUTTING_DOWN})

    job = pool.submit(model, Job(work))

    async def written() -> AsyncIterator[str]:
        ending = asyncio.ensure_future(tell_of_end())
        try:
            async with asyncio.timeout(pool.limits.seconds):
                while True:
                    name, value = await queue.get()
                    yield f"event: {name}\ndata: {json.dumps(value)}\n\n"
                    if name != "token":
                        return
        except TimeoutError:
            detail = f"it took more than {pool.limits.seconds:g} seconds"
            yield f"event: error\ndata: {json.dumps({'status': 504, 'detail': detail})}\n\n"
        finally:
            job.abandon()
            ending.cancel()

    return written()


def add_state(app: FastAPI, pool: ModelPool, metrics: Metrics) -> None:
    text: Any = {"tags": ["state"], "response_class": PlainTextResponse}

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", summary="Whether the server is alive", responses=READING, **text)
    async def healthz() -> str:
        return "ok\n"

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", summary="Whether it accepts requests", responses={**READING, **SHUT}, **text)
    async def readyz() -> Response:
        ready = bool(pool.workers)
        return PlainTextResponse("ready\n" if ready else "shutting down\n", 200 if ready else 503)

    @app.get("/metrics", summary="Metrics for Prometheus", responses=READING, **text)
    async def measured() -> Response:
        return PlainTextResponse(metrics.text(), media_type=CONTENT_TYPE_LATEST)


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
        # As plain text: the page fills in this template and saves it; browsers should not render it.
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
<p>This page needs JavaScript. There is also an <a href="/docs">API</a>.</p>
</noscript>
<script src="/explorer.js"></script>
</body>
</html>
"""


async def unfit(_: Request, error: Exception) -> Response:
    """What is wrong with a request, without echoing its content."""
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
