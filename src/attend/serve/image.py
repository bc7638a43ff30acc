"""A model that reads pictures (classes, or captions), as the server needs it."""

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from attend.attention.trace import PICTURE, Trace, Weights
from attend.serve.served import Ask, set_by_hand
from attend.tasks.caption import Caption, CaptionModel, GridForm
from attend.tasks.exploring import Question, explore_picture
from attend.tasks.image import Answer, ImageModel, decode_bytes


@dataclass(frozen=True)
class PictureModel:
    """See `Served`. Raises `ValueError` for a model that takes grids of features: those are no pictures."""

    name: str
    model: ImageModel | CaptionModel
    about: Mapping[str, str]
    examples: Sequence[str] = ()
    reads: Literal["image"] = "image"

    def __post_init__(self) -> None:
        if isinstance(self.model.task.form, GridForm):
            raise ValueError(f"{self.name} takes grids of features, which can't be sent to a server: leave it out")

    @property
    def steerable(self) -> bool:
        return isinstance(self.model, CaptionModel)

    @property
    def beam(self) -> int:
        return self.model.how().beam if isinstance(self.model, CaptionModel) else 1

    def predict(
        self, inputs: Sequence[str], beam: int | None, best: int, stop: Callable[[], None]
    ) -> list[list[dict[str, Any]]]:
        """The likeliest classes of each picture; or its caption, of which there is one."""
        if beam is not None and isinstance(self.model, ImageModel):
            raise ValueError(f"beam is {beam}, but a picture's class is not searched for: leave it out")
        found = []
        for picture in inputs:
            stop()
            output = self.read(picture, beam)
            if isinstance(output, Answer):
                order = (-output.probabilities[-1]).argsort(kind="stable")[:best]
                found.append([said(output.classes[number], [log_of(output, int(number))]) for number in order])
            elif best > 1:
                raise ValueError(f"best is {best}, but a picture gets one caption: leave it out")
            else:
                words = [token.text for token in output.tokens]
                found.append([said(output.text, output.token_log_probs, words) | {"score": output.score}])
        return found

    def score(self, pairs: Sequence[tuple[str, str]], stop: Callable[[], None]) -> list[dict[str, Any]]:
        """log p of the given class, or caption, of each picture."""
        found = []
        for picture, output in pairs:
            stop()
            if isinstance(self.model, CaptionModel):
                given = self.model.attention(self.pixels(picture), output)
                words = [token.text for token in given.tokens]
                found.append(said(given.text, given.token_log_probs, words))
                continue
            answer = self.model.predict(self.pixels(picture))
            if output not in answer.classes:
                raise ValueError(f"{output!r} is no class of this model: it has {', '.join(answer.classes)}")
            found.append(said(output, [log_of(answer, answer.classes.index(output))]))
        return found

    def trace(self, ask: Ask, stop: Callable[[], None]) -> Trace:
        stop()
        about = {"model": self.name, **self.about}
        if isinstance(self.model, CaptionModel):
            question = Question("", ask.prefix, ask.weights, ask.alternatives, ask.evidence)
            trace = explore_picture(self.model, self.pixels(ask.input), question, ask.beam, stop)
            return replace(trace, input="picture", about=about | set_by_hand(ask, trace))
        if ask.evidence:
            raise ValueError("a classifier of pictures chooses where it looks: there is no attention to hold against")
        if ask.prefix or ask.weights:
            raise ValueError("what a classifier of pictures says or looks at can't be set by hand")
        return replace(self.model.predict(self.pixels(ask.input)).trace(**about), input="picture")

    def stream(self, ask: Ask, tell: Callable[[dict[str, Any]], None]) -> Trace:
        """A caption's words, with their looks; or what a classifier thought after each step."""
        trace = self.trace(replace(ask, beam=1), lambda: None)
        if isinstance(self.model, ImageModel):
            output = self.model.predict(self.pixels(ask.input))
            for row in output.probabilities:
                best = int(row.argmax())
                log_prob = float(np.log(max(row[best], np.finfo(np.float32).tiny)))
                tell({"id": best, "text": output.classes[best], "log_prob": log_prob, "weights": []})
        else:
            look = trace.looks["image"]
            assert isinstance(look, Weights)
            steps = zip(trace.ids or (), look.steps.labels(), trace.scores or (), look.weights, strict=True)
            for number, word, log_prob, weights in steps:
                tell({"id": number, "text": word, "log_prob": log_prob, "weights": weights.tolist()})
        return trace

    def read(self, picture: str, beam: int | None) -> Answer | Caption:
        pixels = self.pixels(picture)
        return self.model.predict(pixels, beam) if isinstance(self.model, CaptionModel) else self.model.predict(pixels)

    def pixels(self, picture: str) -> UInt8[np.ndarray, "channel rows columns"]:
        """A data URI's picture, made into what the model takes. Raises `ValueError` for what is none."""
        form = self.model.task.form
        assert not isinstance(form, GridForm)
        if not PICTURE.fullmatch(picture):
            raise ValueError("the input must be a picture as a data URI: data:image/png;base64,... (or jpeg)")
        try:
            content = b64decode(picture.split(",", 1)[1], validate=True)
        except binascii.Error as error:
            raise ValueError(f"the picture can't be read: it is not base64 ({error})") from error
        return decode_bytes(content, form)


def log_of(answer: Answer, number: int) -> float:
    """The log-probability of a class."""
    return float(np.log(max(answer.probabilities[-1, number], np.finfo(np.float32).tiny)))


def said(text: str, token_log_probs: Sequence[float], tokens: Sequence[str] | None = None) -> dict[str, Any]:
    log_prob = float(sum(token_log_probs))
    found = {"text": text, "score": log_prob, "log_prob": log_prob, "tokens": list(tokens or [text])}
    return found | {"token_log_probs": [float(value) for value in token_log_probs]}
