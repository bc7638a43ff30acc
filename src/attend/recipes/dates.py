"""Dates as people write them, to ISO 8601: a small real job whose right alignment is known, and its control."""

from dataclasses import replace

from attend.recipes.recipe import Recipe, Settings
from attend.systems import rnnsearch_modern
from attend.tasks.text import Decoding, TextData
from attend.training import Training

DATES = Settings(
    rnnsearch_modern.Config(
        embedding=64,
        hidden=64,
        alignment=64,
        embedding_dropout=0.0,
        annotation_dropout=0.0,
        readout_dropout=0.0,
        label_smoothing=0.0,
    ),
    TextData(name="dates", unit="character", vocabulary=2000, joint=False, batch_sentences=64, tokenize="char"),
    Training(epochs=6, learning_rate=4e-3, schedule="cosine", warmup=100, watch="exact_match"),
    Decoding(beam=1, length_penalty=0.0),
)


def control(attention: str) -> Settings:
    """The same without attention."""
    return replace(DATES, system=replace(DATES.system, attention=attention))


RECIPES = {
    "rnnsearch-modern-dates": Recipe(
        'dates in many languages to ISO 8601: what "attend demo" trains',
        DATES,
        rnnsearch_modern.System,
        {"exact_match": 0.98, "alignment_accuracy": 0.90},
    ),
    "rnnsearch-modern-dates-last": Recipe(
        "control: dates from the encoder's last states alone", control("last"), rnnsearch_modern.System
    ),
    "rnnsearch-modern-dates-uniform": Recipe(
        "control: dates from the mean annotation alone", control("uniform"), rnnsearch_modern.System
    ),
}
