"""The API's requests and responses, as in its OpenAPI document."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from attend.serve.limits import Limits

MOST_INPUTS, MOST_CHARACTERS = Limits.inputs, Limits.text_characters
Name = Annotated[str | None, Field(description="A name from /v1/models; the first model by default.")]
# Empty ones are allowed, as empty lines of a file are; the constraint refuses lone surrogates.
Text = Annotated[str, Field(min_length=0)]
FieldName = Annotated[str, Field(min_length=1, max_length=80)]


def only_steps(schema: dict[str, Any]) -> None:
    """Without this a JSON schema allows other keys beside those of the pattern."""
    schema["additionalProperties"] = False


def whole(given: Any) -> Any:
    """JSON knows one kind of number: 5.0 is a whole one."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


def form_of(given: Any) -> str:
    return "fields" if isinstance(given, dict) else "text"


# Discriminated by form, so that one problem is reported and not one for each form.
Input = Annotated[
    Annotated[Text, Tag("text")] | Annotated[dict[FieldName, Text], Field(min_length=1, max_length=32), Tag("fields")],
    Discriminator(form_of),
    Field(
        description=f"A text of up to {MOST_CHARACTERS:,} characters, and of no more tokens than the model's `longest` "
        'says; or an image as a data URI ("data:image/png;base64,..."). For a model with several inputs an object with '
        "one for each name in the model's `inputs`."
    ),
]
Width = Annotated[int, Field(ge=1, le=32), BeforeValidator(whole)]
Beam = Annotated[Width | None, Field(description="The beam's width; the model's own by default.")]
Id = Annotated[int, Field(ge=0, le=2**31 - 1), BeforeValidator(whole)]
Piece = Annotated[str, Field(min_length=1, max_length=200)]
Step = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,3})$")]
Weight = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Strict(BaseModel):
    # Strict: true is no number, and "1" neither.
    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class PredictRequest(Strict):
    """Inputs to predict from."""

    model: Name = None
    inputs: Annotated[list[Input], Field(min_length=1, max_length=MOST_INPUTS)]
    beam: Beam = None
    best: Annotated[
        Width,
        Field(description="Outputs per input: the best of the beam, or the most probable classes."),
    ] = 1


class Pair(Strict):
    input: Input
    output: Annotated[
        Text,
        Field(max_length=MOST_CHARACTERS, description="A text, or the name of a class."),
    ]


class ScoreRequest(Strict):
    """Outputs to score."""

    model: Name = None
    pairs: Annotated[list[Pair], Field(min_length=1, max_length=MOST_INPUTS)]


class StreamRequest(Strict):
    """One input to predict from, token by token."""

    model: Name = None
    input: Input
    prefix: Annotated[
        list[Id | Piece],
        Field(max_length=2048, description="The beginning of the output: ids of the model's vocabulary, or text."),
    ] = []
    weights: Annotated[
        dict[Step, Annotated[list[Weight], Field(max_length=4096)]],
        Field(
            max_length=512,
            description='Forced rows of attention: step -> a number for each cell. Steps are "0", "1" and so on.',
            json_schema_extra=only_steps,
        ),
    ] = {}
    beam: Beam = None
    alternatives: Annotated[
        int,
        Field(ge=0, le=50, description="Number of most probable tokens at each step."),
        BeforeValidator(whole),
    ] = 0


class TraceRequest(StreamRequest):
    """One input to predict from, with its attention and, optionally, evidence."""

    evidence: Annotated[
        bool, Field(description="Leave-one-out, gradient x input, and the output under other attention.")
    ] = False


class ModelInfo(BaseModel):
    name: str
    reads: Annotated[str, Field(description='The kind of its input: "text", "image"; "fields" for several.')]
    inputs: Annotated[dict[str, str], Field(description="The names of its inputs, and the kind of each.")]
    longest: Annotated[
        dict[str, int],
        Field(description="Of each input that varies in length: the most tokens that are read. Longer ones get a 422."),
    ]
    output: Annotated[str, Field(description='The kind of its output: "sequence", "classes".')]
    steerable: Annotated[bool, Field(description="Whether it accepts `prefix` and `weights`.")]
    beam: Annotated[int, Field(description="The default width of the beam.")]
    about: dict[str, str]
    examples: Annotated[list[Input], Field(description="Example inputs.")]


class ModelsResponse(BaseModel):
    models: list[ModelInfo]


class Scored(BaseModel):
    log_prob: Annotated[
        float,
        Field(description="In nats; of a sequence with its end, cut or not: predicted and given texts have the same."),
    ]
    tokens: list[str]
    token_log_probs: list[float]
    unknown: Annotated[int, Field(description="How many tokens of input and output are in no vocabulary.")] = 0


class Predicted(Scored):
    text: str
    score: Annotated[
        float,
        Field(
            description="What outputs are ranked by: of a sequence log_prob / length^length_penalty, the end counted, "
            "with the run's length_penalty; of a class log_prob."
        ),
    ]
    finished: Annotated[bool, Field(description="False if the output was cut at its greatest length.")]
    remarks: Annotated[
        list[str], Field(description="What was done to the input to read it: resized, turned, its first frame taken.")
    ] = []


class PredictResponse(BaseModel):
    model: str
    outputs: Annotated[
        list[list[Predicted]], Field(description="The outputs of each input, best first; none for an empty text.")
    ]


class ScoreResponse(BaseModel):
    model: str
    scores: Annotated[list[Scored | None], Field(description="Of each pair; null where a text of it is empty.")]


class TraceResponse(BaseModel):
    model: str
    trace: Annotated[dict[str, Any], Field(description="The form attend.trace.v2.")]


class Problem(BaseModel):
    """Why a request was not answered."""

    status: int
    detail: str
