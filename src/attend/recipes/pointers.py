"""Pointer networks: sorting and convex hulls, with a control that can't point, and for your own sets."""

from dataclasses import replace
from typing import Any

from attend.data.own import Files
from attend.data.points import Hull, Sort
from attend.fields.vectors import Vectors
from attend.outputs.candidate import Candidate, Decoding
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import pointer
from attend.task import Supervised
from attend.training import Training

PAPER = "Vinyals et al. 2015"
TRAINING = Training(epochs=50, batch=128, learning_rate=3e-3, schedule="cosine", watch="exact_match", clip=2.0)
# The paper's rate and limit of the gradient.
SLOW = replace(TRAINING, optimiser="sgd", learning_rate=1.0, epochs=100, mean_over="examples")
SMALL = pointer.Config(hidden=128)
POLYGON = Candidate(metrics="polygon")


def recipe(
    about: str,
    data: Any,
    config: pointer.Config = SMALL,
    training: Training = TRAINING,
    output: Candidate = POLYGON,
    **more: Any,
) -> Recipe:
    read_as = inputs(points=Vectors(standardise=True))
    settings: Any = SupervisedSettings(config, read_as, output, data, training, Decoding())
    return Recipe(about, settings, pointer.System, Supervised, PAPER, **more)


RECIPES = {
    "pointer": recipe(
        "points at its input, place by place, for your own vectors",
        Files(),
        training=replace(TRAINING, batch=32, learning_rate=1e-3),
        output=Candidate(),
    ),
    "pointer-sort": recipe(
        "sorting numbers",
        Sort(),
        training=replace(TRAINING, epochs=10),
        output=Candidate(),
        variant=True,
        reaches={"exact_match": 0.95},
    ),
    "pointer-hull": recipe("convex hulls", Hull(), variant=True, reaches={"area": 0.99}),
    "pointer-hull-paper": recipe(
        "convex hulls of up to 50 points, with the paper's size and rate: for a GPU",
        Hull(shortest=5, longest=50, examples=100_000, groups=(10, 50, 100)),
        pointer.Config(),
        SLOW,
        variant=True,
    ),
    "pointer-hull-places": recipe(
        "convex hulls, chosen among a fixed number of places without attention",
        Hull(),
        replace(SMALL, choice="places"),
        control=True,
    ),
}
