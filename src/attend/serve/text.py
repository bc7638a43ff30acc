"""A model of text from text, as the server needs it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from attend.attention.trace import Trace
from attend.decoding import Taken
from attend.serve.served import Ask, set_by_hand
from attend.tasks.exploring import Question, explore, stream
from attend.tasks.text import Decoding, Prediction, TextToText

BATCH_SENTENCES = 64


@dataclass(frozen=True)
class TextModel:
    """See `Served`."""

    name: str
    task: TextToText
    decoder: Any
    decoding: Decoding
    about: Mapping[str, str]
    examples: Sequence[str] = ()
    reads: Literal["text"] = "text"
    steerable: Literal[True] = True

    @property
    def beam(self) -> int:
        return self.decoding.beam

    def predict(
        self, inputs: Sequence[str], beam: int | None, best: int, stop: Callable[[], None]
    ) -> list[list[dict[str, Any]]]:
        how = self.how(beam)
        if best > how.beam:
            raise ValueError(f"best is {best}: it must be from 1 to the beam, which is {how.beam}")

        def watch(_: Taken, __: Taken | None) -> None:
            stop()

        found = self.task.predict(self.decoder, inputs, how, best, BATCH_SENTENCES, watch=watch)
        return [[output(prediction) for prediction in several] for several in found]

    def score(self, pairs: Sequence[tuple[str, str]], stop: Callable[[], None]) -> list[dict[str, Any]]:
        stop()
        return [figures(prediction) for prediction in self.task.force(self.decoder, pairs)]

    def trace(self, ask: Ask, stop: Callable[[], None]) -> Trace:
        how = self.how(ask.beam)
        trace = explore(self.task, self.decoder, question(ask), how, stop)
        return replace(trace, about=self.said(ask, trace, how.beam))

    def stream(self, ask: Ask, tell: Callable[[dict[str, Any]], None]) -> Trace:
        trace = stream(self.task, self.decoder, question(ask), self.how(1), tell)
        return replace(trace, about=self.said(ask, trace, 1))

    def how(self, beam: int | None) -> Decoding:
        return self.decoding if beam is None else replace(self.decoding, beam=beam)

    def said(self, ask: Ask, trace: Trace, beam: int) -> dict[str, str]:
        """What made a trace, for people."""
        return {"model": self.name, **self.about, **set_by_hand(ask, trace), "beam": str(beam)}


def question(ask: Ask) -> Question:
    return Question(ask.input, ask.prefix, ask.weights, ask.alternatives, ask.evidence)


def output(prediction: Prediction) -> dict[str, Any]:
    return {"text": prediction.text, "score": prediction.score, **figures(prediction)}


def figures(prediction: Prediction) -> dict[str, Any]:
    return {
        "log_prob": prediction.log_prob,
        "tokens": [token.text for token in prediction.tokens],
        "token_log_probs": list(prediction.token_log_probs),
    }
