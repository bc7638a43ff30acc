"""Dates in many languages to ISO 8601: a small real task with known gold alignments, and its controls."""

from dataclasses import replace
from typing import Any

from attend.data.dates import Dates
from attend.fields.text import Text
from attend.outputs.sequence import Decoding, Sequence
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import rnnsearch_modern
from attend.task import Supervised
from attend.training import Training

PAPER = "Sennrich et al. 2017"

DATES: SupervisedSettings[Any, Any, Any, Any, Any] = SupervisedSettings(
    rnnsearch_modern.Config(
        embedding=64,
        hidden=64,
        alignment=64,
        embedding_dropout=0.0,
        annotation_dropout=0.0,
        readout_dropout=0.0,
        label_smoothing=0.0,
    ),
    inputs(source=Text("character", 2000)),
    Sequence("character", 2000, tokenize="char"),
    Dates(),
    Training(epochs=6, learning_rate=4e-3, schedule="cosine", warmup=100, watch="exact_match"),
    Decoding(beam=1, length_penalty=0.0),
)

# Other scores than the additive one.
SCORES = {
    "general": "a bilinear score",
    "dot": "the dot product as the score",
    "cosine": "the cosine as the score",
}


def attending(attention: Any) -> SupervisedSettings[Any, Any, Any, Any, Any]:
    """The same with another score, or without attention."""
    return replace(DATES, system=replace(DATES.system, attention=attention))


RECIPES = {
    "rnnsearch-modern-dates": Recipe(
        'dates in many languages to ISO 8601: what "attend demo" trains',
        DATES,
        rnnsearch_modern.System,
        Supervised,
        PAPER,
        variant=True,
        reaches={"exact_match": 0.98, "pointing_accuracy": 0.90},
    ),
    "rnnsearch-modern-dates-last": Recipe(
        "dates from the encoder's last states alone",
        attending("last"),
        rnnsearch_modern.System,
        Supervised,
        PAPER,
        control=True,
    ),
    "rnnsearch-modern-dates-uniform": Recipe(
        "dates from the mean annotation alone",
        attending("uniform"),
        rnnsearch_modern.System,
        Supervised,
        PAPER,
        control=True,
    ),
    **{
        f"rnnsearch-modern-dates-{score}": Recipe(
            f"dates with {about}", attending(score), rnnsearch_modern.System, Supervised, PAPER, variant=True
        )
        for score, about in SCORES.items()
    },
}
