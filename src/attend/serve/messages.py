"""What the interface takes and gives, as its OpenAPI document describes it."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str | None, Field(description="A name from /v1/models; the first model if there is none.")]
Input = Annotated[str, Field(description="A text; for a model that reads pictures, one as a data URI.", min_length=1)]
Beam = Annotated[int | None, Field(ge=1, le=32, description="Hypotheses kept; as the model was set if there is none.")]
Id = Annotated[int, Field(ge=0, le=2**31 - 1)]
Piece = Annotated[str, Field(min_length=1, max_length=200)]
Step = Annotated[int, Field(ge=0, le=4096)]
Weight = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class PredictRequest(Strict):
    """Inputs to predict from."""

    model: Name = None
    inputs: Annotated[list[Input], Field(min_length=1, max_length=256)]
    beam: Beam = None
    best: Annotated[int, Field(ge=1, le=32, description="Outputs an input, at most the beam.")] = 1


class Pair(Strict):
    input: Input
    output: Annotated[str, Field(min_length=1)]


class ScoreRequest(Strict):
    """Outputs to be scored."""

    model: Name = None
    pairs: Annotated[list[Pair], Field(min_length=1, max_length=256)]


class StreamRequest(Strict):
    """One input to write an output for, token by token."""

    model: Name = None
    input: Input
    prefix: Annotated[
        list[Id | Piece],
        Field(max_length=2048, description="The beginning of the output: ids of the model's vocabulary, or text."),
    ] = []
    weights: Annotated[
        dict[Step, Annotated[list[Weight], Field(max_length=4096)]],
        Field(max_length=512, description="Rows of attention set by hand: step, and a number for each cell."),
    ] = {}
    beam: Beam = None
    alternatives: Annotated[int, Field(ge=0, le=50, description="How many of the likeliest tokens at each step.")] = 0


class TraceRequest(StreamRequest):
    """One input to predict from, with all that is asked about it."""

    evidence: Annotated[
        bool, Field(description="Leave-one-out, gradient x input, and the output under other attention.")
    ] = False


class ModelInfo(BaseModel):
    name: str
    reads: str
    steerable: bool
    beam: int
    about: dict[str, str]
    examples: list[str]


class ModelsResponse(BaseModel):
    models: list[ModelInfo]


class Scored(BaseModel):
    log_prob: Annotated[float, Field(description="In nats, the end of the output included.")]
    tokens: list[str]
    token_log_probs: list[float]


class Output(Scored):
    text: str
    score: Annotated[float, Field(description="What outputs are ranked by.")]


class PredictResponse(BaseModel):
    model: str
    outputs: Annotated[list[list[Output]], Field(description="For each input its outputs, best first.")]


class ScoreResponse(BaseModel):
    model: str
    scores: list[Scored]


class TraceResponse(BaseModel):
    model: str
    trace: Annotated[dict[str, Any], Field(description="The form attend.trace.v1.")]


class Problem(BaseModel):
    """Why a request was not answered."""

    status: int
    detail: str
