"""A model that needs no training, and servers over it: in this process, and behind a real socket."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvicorn

from attend.attention.trace import Alternative, Named, Token, Tokens, Trace, Weights
from attend.commands.serve import listening
from attend.serve.connections import bounded
from attend.serve.guard import Guard
from attend.serve.limits import Limits
from attend.serve.messages import Input, Predicted, Scored, StreamRequest, TraceRequest

LIMITS = Limits(
    body_bytes=20_000, text_characters=200, inputs=8, seconds=5.0, head_seconds=0.6, connections=64, queue=8, batch=4
)


@dataclass
class Echo:
    """Writes every word of its first input in capitals, looking at it. "wrong" can't be read, and "slow" takes time."""

    name: str = "echo"
    reads: str = "text"
    names: Sequence[str] = ("source",)
    beam: int = 1
    longest: Mapping[str, int] = field(default_factory=lambda: {"source": 100})
    steerable: bool = True
    about: Mapping[str, str] = field(default_factory=lambda: {"recipe": "none"})
    examples: Sequence[str] = ()
    batches: list[int] = field(default_factory=list)
    stopped: int = 0
    gate: threading.Event | None = None
    output: str = "sequence"

    @property
    def inputs(self) -> Mapping[str, str]:
        return dict.fromkeys(self.names, self.reads)

    def text(self, given: Input) -> str:
        if isinstance(given, str):
            return given
        if missing := [name for name in self.names if name not in given]:
            raise ValueError(f"{missing[0]} is missing")
        return given[self.names[0]]

    def spend(self, text: str, stop: Callable[[], None]) -> None:
        if "wrong" in text:
            raise ValueError("this text is wrong: write another")
        try:
            for _ in range(400 if "slow" in text else 1):
                stop()
                if "slow" in text:
                    time.sleep(0.01)
        except Exception:
            self.stopped += 1
            raise
        if self.gate and "gate" in text:
            self.gate.wait(10)

    def predict(
        self, inputs: Sequence[Input], beam: int | None, best: int, stop: Callable[[], None]
    ) -> list[list[Predicted]]:
        self.batches.append(len(inputs))
        texts = [self.text(given) for given in inputs]
        for text in texts:
            self.spend(text, stop)
        return [
            [
                Predicted(text=text.upper(), score=-1.0, finished=True, unknown=0, **self.figures(text.upper()))
                for _ in range(best)
            ]
            for text in texts
        ]

    def figures(self, text: str) -> dict[str, Any]:
        words = text.split()
        return {"log_prob": -float(len(words)), "tokens": words, "token_log_probs": [-1.0] * len(words)}

    def score(self, pairs: Sequence[tuple[Input, str]], stop: Callable[[], None]) -> list[Scored]:
        self.batches.append(len(pairs))
        for given, _ in pairs:
            self.spend(self.text(given), stop)
        return [Scored(**self.figures(target)) for _, target in pairs]

    def trace(self, request: TraceRequest, stop: Callable[[], None]) -> Trace:
        self.spend(self.text(request.input), stop)
        return self.traced(request)

    def traced(self, request: StreamRequest) -> Trace:
        words = self.text(request.input).split()
        if any(int(step) >= len(words) or len(row) != len(words) for step, row in request.weights.items()):
            raise ValueError("weights do not fit")
        weights = np.eye(len(words))
        for step, row in request.weights.items():
            weights[int(step)] = row
        starts = np.cumsum([0] + [len(word) + 1 for word in words])[:-1].tolist()
        places = [(start, start + len(word)) for start, word in zip(starts, words, strict=True)]
        text = " ".join(words)
        sides = (
            [
                Tokens(side, tuple(Token(side[start:end], start, end) for start, end in places))
                for side in (text.upper(), text)
            ]
            if text.upper().lower() == text.lower() and len(text.upper()) == len(text)
            else [Named(tuple(words))] * 2
        )
        others = tuple(tuple(Alternative(n, word, -1.0) for n, word in enumerate(words)) for _ in words)
        return Trace(
            text,
            text.upper(),
            {"source": Weights(weights, *sides)},
            tuple(-0.1 for _ in words),
            {"model": self.name},
            ids=tuple(range(len(words))),
            alternatives=others if request.alternatives else None,
        )

    def stream(self, request: StreamRequest, tell: Callable[[dict[str, Any]], None]) -> Trace:
        text = self.text(request.input)
        if "wrong" in text:
            raise ValueError("this text is wrong: write another")
        trace = self.traced(request)
        look = trace.looks["source"]
        assert isinstance(look, Weights)
        for number, word in enumerate(trace.output.split()):
            if "slow" in text:
                time.sleep(0.05)
            tell({"id": number, "text": word, "log_prob": -0.1, "weights": look.weights[number].tolist()})
        return trace


@contextmanager
def serving(app: Guard, limits: Limits = LIMITS) -> Iterator[int]:
    """The application behind a real socket on the loopback; gives its port."""
    listener = listening("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(app, http=bounded(limits), ws="none", log_level="critical", timeout_graceful_shutdown=5)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    assert server.started
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
        assert not thread.is_alive()
