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
TRAINING = Training(epochs=6, batch=32, learning_rate=2e-3, schedule="cosine", watch="accuracy", clip=5.0)
QUESTIONS = Document(sentence=60)
SMALL = selfattentive.Config(embedding=100, hidden=64, attention=64, rows=4, classifier=64, penalty=0.3)
KEY = selfattentive.Config(
    embedding=32, initial=1.0, hidden=32, attention=32, rows=1, penalty=0.1, classifier=100, dropout=0.0
)
# What a key is, is learnt all of a sudden.
SUDDEN = replace(TRAINING, epochs=5, learning_rate=1e-3, schedule="constant")
REVIEWS = Document(vocabulary=30_000)
BIGRAMS = hierarchical.Config(embedding=100, dropout=0.5, ngrams=2, ngram_embedding=8)
NGRAMS = replace(BIGRAMS, hidden=0)
LINEAR = selfattentive.Config(
    embedding=8, hidden=0, attention=32, rows=1, penalty=0.0, classifier=0, dropout=0.5, ngrams=2
)
LONG = replace(TRAINING, epochs=2, batch=64)
QUICK = replace(TRAINING, epochs=3, batch=64, learning_rate=5e-3)


def recipe(
    about: str, config: Any, data: Any, training: Training = TRAINING, field: Document = QUESTIONS, **more: Any
) -> Recipe:
    settings: Any = SupervisedSettings(config, inputs(text=field), Classes(), data, training, Decoding())
    if isinstance(config, hierarchical.Config):
        return Recipe(about, settings, hierarchical.System, Supervised, YANG, **more)
    return Recipe(about, settings, selfattentive.System, Supervised, LIN, **more)


FILMS = Imdb(), QUICK, REVIEWS
RECIPES = {
    "hierarchical": recipe(
        "attention to words, then to sentences, for your own texts and classes", BIGRAMS, Files(), field=REVIEWS
    ),
    "hierarchical-paper": recipe(
        "the paper's sizes, for your own texts and classes: for a GPU, or hours on a CPU",
        hierarchical.Config(),
        Files(),
        replace(TRAINING, batch=64, epochs=10),
        Document(vocabulary=50_000),
        variant=True,
    ),
    "hierarchical-imdb": recipe("reviews of films", BIGRAMS, Imdb(), LONG, REVIEWS, variant=True),
    "hierarchical-imdb-ngrams": recipe(
        "reviews of films: no recurrence, but words and bigrams alone", NGRAMS, *FILMS, variant=True
    ),
    "hierarchical-imdb-ngrams-mean": recipe(
        "reviews of films: the mean of words and bigrams", replace(NGRAMS, pooling="mean"), *FILMS, control=True
    ),
    "selfattentive": recipe("several looks at a text, for your own texts and classes", SMALL, Files()),
    "selfattentive-imdb-ngrams": recipe(
        "reviews of films: one look at words and bigrams", LINEAR, *FILMS, variant=True
    ),
    "selfattentive-imdb-ngrams-mean": recipe(
        "reviews of films: the mean of words and bigrams", replace(LINEAR, pooling="mean"), *FILMS, control=True
    ),
    "selfattentive-paper": recipe(
        "the paper's sizes, for your own texts and classes: for a GPU, or hours on a CPU",
        selfattentive.Config(),
        Files(),
        replace(TRAINING, optimiser="sgd", learning_rate=0.06, batch=16, clip=0.5),
        Document(vocabulary=50_000),
        variant=True,
    ),
    "selfattentive-key": recipe("one word among 200 decides", KEY, PlantedKey(), SUDDEN, variant=True),
    "selfattentive-key-mean": recipe(
        "one word among 200 decides: the mean of the states",
        replace(KEY, pooling="mean"),
        PlantedKey(),
        SUDDEN,
        control=True,
    ),
    "selfattentive-trec": recipe("the kind of answer that a question asks for", SMALL, Labelled(), variant=True),
    "selfattentive-trec-without-penalty": recipe(
        "the same, with rows that may overlap", replace(SMALL, penalty=0.0), Labelled(), control=True
    ),
    "selfattentive-trec-mean": recipe(
        "the mean of the states of a question (or, with --system.pooling, their maximum, or the last)",
        replace(SMALL, pooling="mean"),
        Labelled(),
        control=True,
    ),
}
