"""Glimpses: recurrent models of visual attention on digits, small budgets and the paper's own, and their controls.

Digits are MNIST's first 50,000 training images to learn and its last 10,000 to validate, so that errors here are not
the paper's, which are on the test set. Moved digits are at other places in every epoch; the validation set is frozen.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from attend.data.digits import CLUTTERED, CLUTTERED_LARGE, TRANSLATED, Canvas
from attend.recipes.recipe import Recipe, Settings
from attend.systems import feedforward, ram
from attend.tasks.game import CatchGames, CatchTask, Playing
from attend.tasks.image import Answering, ImageData, ImageToClass
from attend.training import Training

TRAINING = Training(epochs=60, learning_rate=1e-3, schedule="cosine", watch="error", clip=0.0)
MNIST = ImageData(name="mnist 28x28", digits="mnist")


def digits(config: Any, epochs: int, data: ImageData = MNIST) -> Settings[Any, Any, Any]:
    return Settings(config, data, replace(TRAINING, epochs=epochs), Answering())


def moved(name: str, canvas: Canvas) -> ImageData:
    return ImageData(name=f"mnist {name} {canvas.rows}x{canvas.columns}", digits="mnist", moved=True, canvas=canvas)


def recipe(about: str, settings: Settings[Any, Any, Any], **reaches: float) -> Recipe:
    return Recipe(about, settings, ram.System, reaches, ImageToClass)


def at_once(
    kind: str, config: Any, build: Callable[..., nn.Module], epochs: int, data: ImageData = MNIST, whose: str = ""
) -> Recipe:
    """A control that sees the whole image, for about as many epochs as RAM has on the same images."""
    about = f"control: a {kind} network that sees the whole image at once{whose}"
    return Recipe(about, digits(config, epochs, data), build, task=ImageToClass)


PLAIN = ram.Config()
# A 0 or 1 for the answer to one copy tells so little of a place that places hardly follow a digit among clutter.
TOLD = {"reward": "probability", "copies": 4}
SMALL = replace(PLAIN, **TOLD)
# Neighbours' patches lie beside one another.
PATH = replace(SMALL, reward="log-probability", path=8 / 14)
WIDE = ram.Config(size=12, scales=3, deviation=0.15)
AMONG = replace(WIDE, **TOLD)
CONNECTED = feedforward.Config(rows=60)
CONVOLUTIONAL = feedforward.ConvolutionalConfig(rows=60, filters=8, size=10, stride=5)
MOVED = {
    "translated": moved("translated", TRANSLATED),
    "cluttered": moved("cluttered", CLUTTERED),
    "large": moved("cluttered", CLUTTERED_LARGE),
}
LONG = 1000
"""Epochs, as of the public re-implementations: for a GPU, or for days."""

RECIPES = {
    "ram": recipe(
        "Mnih et al. 2014: glimpses chosen by REINFORCE, for your own images and classes",
        Settings(AMONG, ImageData(), replace(TRAINING, epochs=100), Answering()),
    ),
    "ram-small": recipe(
        "glimpses at the 8 x 8 digits that scikit-learn carries: needs no data",
        Settings(
            ram.Config(glimpses=4, size=3),
            ImageData(name="digits 8x8", digits="small"),
            replace(TRAINING, epochs=150, learning_rate=2e-3),
            Answering(),
        ),
        error=0.08,
    ),
    "ram-mnist": recipe("6 glimpses of 8 x 8 pixels, in 10 minutes", digits(SMALL, 40), error=0.03),
    "ram-mnist-long": recipe("6 glimpses of 8 x 8 pixels, in an hour", digits(SMALL, 200), error=0.015),
    "ram-mnist-2": recipe("2 glimpses of 8 x 8 pixels", digits(replace(SMALL, glimpses=2), 40)),
    "ram-mnist-4": recipe("4 glimpses of 8 x 8 pixels", digits(replace(SMALL, glimpses=4), 40)),
    "ram-mnist-path": recipe(
        "6 glimpses of 8 x 8 pixels, each step with a place of its own to start from",
        digits(PATH, 40),
    ),
    "ram-mnist-grid": recipe(
        "control: 6 glimpses at places that stay where that path starts", digits(replace(PATH, places="grid"), 40)
    ),
    "ram-mnist-random": recipe("control: 6 glimpses at random places", digits(replace(SMALL, places="random"), 40)),
    "ram-mnist-centre": recipe(
        "control: 6 glimpses at the centre of the image", digits(replace(PLAIN, places="centre"), 50)
    ),
    "ram-mnist-paper": recipe(
        "6 glimpses of 8 x 8 pixels, for as long as the public re-implementations", digits(PLAIN, LONG), error=0.0112
    ),
    "ram-translated-paper": recipe(
        "a digit anywhere on 60 x 60 pixels, 8 glimpses at 3 scales, for as long",
        digits(replace(WIDE, glimpses=8), LONG, MOVED["translated"]),
        error=0.012,
    ),
    "ram-cluttered-paper": recipe(
        "a digit among pieces of others on 60 x 60 pixels, 8 glimpses at 3 scales, for as long",
        digits(replace(WIDE, glimpses=8), LONG, MOVED["cluttered"]),
        error=0.0404,
    ),
    "ram-cluttered-large-paper": recipe(
        "a digit among 8 pieces of others on 100 x 100 pixels, 8 glimpses at 4 scales, for as long",
        digits(replace(WIDE, glimpses=8, scales=4), LONG, MOVED["large"]),
        error=0.0811,
    ),
    "ram-translated": recipe(
        "a digit anywhere on 60 x 60 pixels, 6 glimpses at 3 scales", digits(WIDE, 120, MOVED["translated"]), error=0.04
    ),
    "ram-cluttered": recipe(
        "a digit among pieces of others on 60 x 60 pixels, 6 glimpses at 3 scales",
        digits(AMONG, 180, MOVED["cluttered"]),
        error=0.08,
    ),
    "ram-cluttered-random": recipe(
        "control: the same at random places", digits(replace(AMONG, places="random"), 180, MOVED["cluttered"])
    ),
    "feedforward": at_once(
        "fully connected", CONNECTED, feedforward.System, 100, ImageData(), ", for your own images and classes"
    ),
    "feedforward-convolutional": at_once(
        "convolutional", CONVOLUTIONAL, feedforward.Convolutional, 100, ImageData(), ", for your own images and classes"
    ),
    "feedforward-mnist": at_once("fully connected", feedforward.Config(), feedforward.System, 50),
    "feedforward-mnist-convolutional": at_once(
        "convolutional", feedforward.ConvolutionalConfig(), feedforward.Convolutional, 50
    ),
    "feedforward-translated": at_once("fully connected", CONNECTED, feedforward.System, 120, MOVED["translated"]),
    "feedforward-translated-convolutional": at_once(
        "convolutional", CONVOLUTIONAL, feedforward.Convolutional, 120, MOVED["translated"]
    ),
    "feedforward-cluttered": at_once("fully connected", CONNECTED, feedforward.System, 180, MOVED["cluttered"]),
    "feedforward-cluttered-convolutional": at_once(
        "convolutional", CONVOLUTIONAL, feedforward.Convolutional, 180, MOVED["cluttered"]
    ),
    "ram-catch": Recipe(
        "the game of Catch on a grid of 12 x 12: where to look and how to move, by REINFORCE alone",
        Settings(
            ram.Config(size=6, scales=2, hidden=128, deviation=0.1),
            CatchGames(),
            replace(TRAINING, epochs=100, learning_rate=3e-4, watch="caught", clip=1.0),
            Playing(),
        ),
        ram.Player,
        {"caught": 0.8},
        CatchTask,
    ),
}
