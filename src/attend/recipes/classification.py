"""Texts and their classes, where nothing but the text itself can say what to look at; and controls without attention.

Figures are on texts of the training files that are held out: the official test files were not used.
"""

from dataclasses import replace
from typing import Any

from attend.data.labelled import Imdb, Labelled
from attend.data.own import Files
from attend.data.planted import PlantedKey
from attend.fields.document import Document
from attend.outputs.classes import Classes, Decoding
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import hierarchical, selfattentive
from attend.task import Supervised
from attend.training import Training

YANG = "Yang et al. 2016"
LIN = "Lin et al. 2017"
TRAINING = Training(epochs=10, batch=32, learning_rate=1e-3, schedule="cosine", watch="accuracy", clip=5.0)
SENTENCES = Document(sentence=60)
SMALL = selfattentive.Config(embedding=100, hidden=100, attention=100, rows=4, classifier=100, penalty=0.1)
FEW = replace(TRAINING, epochs=5)
KEY = replace(SMALL, embedding=32, hidden=32, attention=32, rows=1, dropout=0.0)
# Words of up to 600 words a text.
REVIEWS = Document(vocabulary=30_000, sentence=40)
WORDS = hierarchical.Config(embedding=100, dropout=0.5)
BIGRAMS = replace(WORDS, ngrams=2, ngram_embedding=16)
NGRAMS = replace(BIGRAMS, hidden=0)
QUICK = replace(TRAINING, epochs=3, batch=64, learning_rate=5e-3)
LONG = replace(TRAINING, epochs=2, batch=64, learning_rate=2e-3)


def recipe(
    about: str, config: Any, data: Any, training: Training = TRAINING, field: Document = SENTENCES, **more: Any
) -> Recipe:
    settings: Any = SupervisedSettings(config, inputs(text=field), Classes(), data, training, Decoding())
    if isinstance(config, hierarchical.Config):
        return Recipe(about, settings, hierarchical.System, Supervised, YANG, **more)
    return Recipe(about, settings, selfattentive.System, Supervised, LIN, **more)


RECIPES = {
    "hierarchical": recipe(
        "attention to words, then to sentences, for your own texts and classes", BIGRAMS, Files(), field=REVIEWS
    ),
    "hierarchical-imdb": recipe("reviews of films", BIGRAMS, Imdb(), LONG, REVIEWS, variant=True),
    "hierarchical-imdb-ngrams": recipe(
        "reviews of films: no recurrence, but bigrams alone", NGRAMS, Imdb(), QUICK, REVIEWS, variant=True
    ),
    "hierarchical-imdb-ngrams-mean": recipe(
        "reviews of films: the mean of the bigrams",
        replace(NGRAMS, pooling="mean"),
        Imdb(),
        QUICK,
        REVIEWS,
        control=True,
    ),
    "selfattentive": recipe("several looks at a text, for your own texts and classes", SMALL, Files()),
    "selfattentive-key": recipe("one word among 200 decides", KEY, PlantedKey(), FEW, variant=True),
    "selfattentive-key-mean": recipe(
        "one word among 200 decides: the mean of the states",
        replace(KEY, pooling="mean"),
        PlantedKey(),
        FEW,
        control=True,
    ),
    "selfattentive-trec": recipe("the kind of answer that a question asks for", SMALL, Labelled(), variant=True),
}
