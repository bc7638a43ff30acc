"""An adapter from any trained model to the server's interface."""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attend.attention.trace import Trace
from attend.explore import Query, explore, stream
from attend.model import Model, Prediction
from attend.outputs.output import Wanted
from attend.serve.messages import Input, Predicted, Scored, StreamRequest, TraceRequest
from attend.serve.served import TEXTS, Served
from attend.task import Case

DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,")


def served(name: str, model: Any, examples: Sequence[Input] = ()) -> Served:
    """A model from `attend.load`, as the server needs it.

    `examples` are inputs to start with; those that this model can't read are left out. Raises `ValueError` for a model
    that predicts nothing from an input, and for an input that can't be uploaded.
    """
    if not hasattr(model, "predict_cases"):
        raise ValueError(f"{name} has no predictions to serve")
    kinds = {}
    for field, settings in model.config.settings.fields().items():
        if settings.kind not in TEXTS and not settings.column(field).files:
            raise ValueError(
                f"{name} can't be served: its input {field!r} is a {settings.kind}, which can't be uploaded"
            )
        kinds[field] = settings.kind
    return ServedModel(name, model, kinds, tuple(one for one in examples if reads(kinds, one)))


def reads(kinds: Mapping[str, str], given: Input) -> bool:
    """Whether a model with these inputs can read this one: a text, or texts by name."""
    named = dict.fromkeys(kinds, given) if isinstance(given, str) and len(kinds) == 1 else given
    return not isinstance(named, str) and named.keys() == kinds.keys() and set(kinds.values()) <= set(TEXTS)


@dataclass(frozen=True)
class ServedModel:
    """See `Served`."""

    name: str
    model: Model
    inputs: Mapping[str, str]
    examples: Sequence[Input] = ()

    @property
    def longest(self) -> Mapping[str, int]:
        return self.model.longest_input

    @property
    def output(self) -> str:
        return self.model.config.settings.output.kind

    @property
    def steerable(self) -> bool:
        return self.output == "sequence"

    @property
    def beam(self) -> int:
        return getattr(self.model.how(), "beam", 1)

    @property
    def about(self) -> Mapping[str, str]:
        return {"recipe": self.model.config.recipe}

    def predict(
        self, inputs: Sequence[Input], beam: int | None, best: int, stop: Callable[[], None]
    ) -> list[list[Predicted]]:
        read = [None if self.blank(given) else (self.case(given), self.model.remarks()) for given in inputs]
        how, wanted = self.model.how(beam=beam), Wanted(best, stop=stop)
        found = iter(self.model.predict_cases([one[0] for one in read if one is not None], how, wanted))
        return [[] if one is None else [predicted(each, one[1]) for each in next(found)] for one in read]

    def score(self, pairs: Sequence[tuple[Input, str]], stop: Callable[[], None]) -> list[Scored | None]:
        stop()
        good = [bool(target.strip()) and not self.blank(given) for given, target in pairs]
        full = [pair for pair, is_good in zip(pairs, good, strict=True) if is_good]
        cases, targets = [self.case(given) for given, _ in full], [target for _, target in full]
        found = iter(self.model.force_cases(cases, targets, lambda *_: stop()))
        return [scored(next(found)) if is_good else None for is_good in good]

    def blank(self, given: Input) -> bool:
        """Whether the input is empty, as a line of a file may be."""
        return not any(map(str.strip, [given] if isinstance(given, str) else given.values()))

    def trace(self, request: TraceRequest, stop: Callable[[], None]) -> Trace:
        query = replace(query_of(request), evidence=request.evidence)
        trace = explore(self.model, self.case(request.input), query, stop)
        return replace(trace, about=self.about_trace(query, trace))

    def stream(self, request: StreamRequest, tell: Callable[[dict[str, Any]], None]) -> Trace:
        query = replace(query_of(request), beam=1)
        trace = stream(self.model, self.case(request.input), query, tell)
        return replace(trace, about=self.about_trace(query, trace))

    def case(self, given: Input) -> Case:
        """An input of a request, prepared. Raises `ValueError` for one that this model can't read."""
        if isinstance(given, str):
            if len(self.inputs) > 1:
                raise ValueError(f"this model reads {' and '.join(self.inputs)}: give an object with a text for each")
            given = {next(iter(self.inputs)): given}
        return self.model.case({name: self.raw(name, text) for name, text in given.items()})

    def raw(self, name: str, text: str) -> Any:
        """A field's raw value: a text as it is, a file's content from its data URI; never a file on this machine."""
        kind = self.inputs.get(name)
        if kind is None or kind in TEXTS:  # `Model.case` raises for an unknown name
            return text
        uri = DATA_URI.match(text)
        if uri is None:
            raise ValueError(f"{name}: give the {kind} as a data URI, such as data:image/png;base64,...")
        try:
            content = b64decode(text[uri.end() :], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"{name}: the data URI is not base64 ({error})") from error
        return self.model.task.fields[name].read(content)

    def about_trace(self, query: Query, trace: Trace) -> dict[str, str]:
        """What made a trace, human-readable."""
        found = {"model": self.name, **self.about}
        if query.prefix:
            found["given"] = f"{len(query.prefix)} tokens"
        # An output may end before a step whose weights were set.
        if steps := [str(step + 1) for step in sorted(query.weights) if step < len(trace.ids or ())]:
            found["set by hand"] = "steps " + ", ".join(steps)
        if self.steerable:
            found["beam"] = str(self.beam if query.beam is None else query.beam)
        if remarks := self.model.remarks():
            found["input"] = "; ".join(remarks)
        return found


def query_of(request: StreamRequest) -> Query:
    weights = {int(step): row for step, row in request.weights.items()}
    return Query(request.prefix, weights, request.alternatives, beam=request.beam)


def predicted(prediction: Prediction, remarks: list[str]) -> Predicted:
    return Predicted(
        text=prediction.text,
        remarks=remarks,
        score=prediction.score,
        finished=prediction.finished,
        **scored(prediction).model_dump(),
    )


def scored(prediction: Prediction) -> Scored:
    return Scored(
        log_prob=prediction.log_prob,
        tokens=[token.text for token in prediction.tokens],
        token_log_probs=list(prediction.token_log_probs),
        unknown=prediction.unknown(),
    )
