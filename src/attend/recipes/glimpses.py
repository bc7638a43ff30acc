"""Glimpses: recurrent models of visual attention on digits, at small budgets and the paper's, and their controls.

The first 50,000 MNIST training images are for training, the last 10,000 for validation, so that errors here are not
comparable with the paper's, on the test set. Digits are translated anew in every epoch; the validation set is frozen.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from attend.data.digits import CLUTTERED, CLUTTERED_LARGE, TRANSLATED, DigitCanvas, Digits
from attend.data.own import Files
from attend.fields.image import Image
from attend.outputs.classes import Classes, Decoding
from attend.recipe import Recipe, Settings, SupervisedSettings, inputs
from attend.systems import feedforward, ram
from attend.task import Supervised
from attend.tasks import game
from attend.training import Training

PAPER = "Mnih et al. 2014"
TRAINING = Training(epochs=60, learning_rate=1e-3, schedule="cosine", watch="error", clip=0.0)
MNIST = Digits("mnist 28x28", "mnist")


def classifying(config: Any, epochs: int, data: Any = MNIST) -> SupervisedSettings[Any, Any, Any, Any, Any]:
    training = replace(TRAINING, epochs=epochs)
    return SupervisedSettings(config, inputs(image=Image()), Classes(), data, training, Decoding())


def moved(name: str, canvas: DigitCanvas) -> Digits:
    return Digits(f"mnist {name} {canvas.rows}x{canvas.columns}", "mnist", moved=True, canvas=canvas)


def recipe(about: str, settings: SupervisedSettings[Any, Any, Any, Any, Any], **more: Any) -> Recipe:
    return Recipe(about, settings, ram.System, Supervised, PAPER, **more)


def at_once(
    kind: str, config: Any, system: Callable[..., nn.Module], epochs: int, data: Any = MNIST, whose: str = ""
) -> Recipe:
    """A control that sees the whole image, trained for about as many epochs as RAM on the same images."""
    about = f"a {kind} network that sees the whole image at once{whose}"
    return Recipe(about, classifying(config, epochs, data), system, Supervised, PAPER, control=True)


PLAIN = ram.Config()
# A 0/1 reward for a single sample is so noisy that locations hardly follow a digit among clutter.
SMALL = replace(PLAIN, reward="log-probability", copies=4)
# Neighbouring patches are adjacent.
PATH = replace(SMALL, path=8 / 14)
WIDE = ram.Config(size=12, scales=3, deviation=0.15)
AMONG = replace(WIDE, reward="probability", copies=4)
CONNECTED = feedforward.Config(rows=60)
CONVOLUTIONAL = feedforward.ConvolutionalConfig(rows=60, filters=8, size=10, stride=5)
MOVED = {
    "translated": moved("translated", TRANSLATED),
    "cluttered": moved("cluttered", CLUTTERED),
    "large": moved("cluttered", CLUTTERED_LARGE),
}
LONG = 1000
"""Epochs, as in public re-implementations: for a GPU, or days on a CPU."""

RECIPES = {
    "ram": recipe(
        "glimpses chosen by REINFORCE, for your own images and classes",
        classifying(AMONG, 100, Files()),
    ),
    "ram-small": recipe(
        "glimpses at scikit-learn's 8 x 8 digits: needs no data",
        replace(
            classifying(ram.Config(glimpses=4, size=3), 150, Digits("digits 8x8", "small")),
            training=replace(TRAINING, epochs=150, learning_rate=2e-3),
        ),
        variant=True,
        reaches={"error": 0.08},
    ),
    "ram-mnist": recipe(
        "6 glimpses of 8 x 8 pixels, in 10 minutes", classifying(SMALL, 40), variant=True, reaches={"error": 0.03}
    ),
    "ram-mnist-path": recipe(
        "6 glimpses of 8 x 8 pixels, with a learnt location bias for each step",
        classifying(PATH, 40),
        variant=True,
    ),
    "ram-mnist-random": recipe(
        "6 glimpses at random places", classifying(replace(SMALL, places="random"), 40), control=True
    ),
    "ram-mnist-centre": recipe(
        "6 glimpses at the centre of the image", classifying(replace(PLAIN, places="centre"), 50), control=True
    ),
    "ram-mnist-paper": recipe(
        "6 glimpses of 8 x 8 pixels, for as long as the public re-implementations",
        classifying(PLAIN, LONG),
        variant=True,
        reaches={"error": 0.0112},
    ),
    "ram-translated-paper": recipe(
        "a digit anywhere on 60 x 60 pixels, 8 glimpses at 3 scales, for as long",
        classifying(replace(WIDE, glimpses=8), LONG, MOVED["translated"]),
        variant=True,
        reaches={"error": 0.012},
    ),
    "ram-cluttered-paper": recipe(
        "a digit among pieces of others on 60 x 60 pixels, 8 glimpses at 3 scales, for as long",
        classifying(replace(WIDE, glimpses=8), LONG, MOVED["cluttered"]),
        variant=True,
        reaches={"error": 0.0404},
    ),
    "ram-cluttered-large-paper": recipe(
        "a digit among 8 pieces of others on 100 x 100 pixels, 8 glimpses at 4 scales, for as long",
        classifying(replace(WIDE, glimpses=8, scales=4), LONG, MOVED["large"]),
        variant=True,
        reaches={"error": 0.0811},
    ),
    "ram-translated": recipe(
        "a digit anywhere on 60 x 60 pixels, 6 glimpses at 3 scales",
        classifying(WIDE, 120, MOVED["translated"]),
        variant=True,
        reaches={"error": 0.04},
    ),
    "ram-cluttered": recipe(
        "a digit among pieces of others on 60 x 60 pixels, 6 glimpses at 3 scales",
        classifying(AMONG, 180, MOVED["cluttered"]),
        variant=True,
        reaches={"error": 0.08},
    ),
    "ram-cluttered-random": recipe(
        "the same at random places", classifying(replace(AMONG, places="random"), 180, MOVED["cluttered"]), control=True
    ),
    "feedforward": at_once(
        "fully connected", CONNECTED, feedforward.System, 100, Files(), ", for your own images and classes"
    ),
    "feedforward-convolutional": at_once(
        "convolutional", CONVOLUTIONAL, feedforward.Convolutional, 100, Files(), ", for your own images and classes"
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
            game.CatchGames(),
            replace(TRAINING, epochs=100, batch=128, learning_rate=3e-4, watch="caught", clip=1.0),
            game.Decoding(),
        ),
        ram.Player,
        game.Game,
        PAPER,
        variant=True,
        reaches={"caught": 0.8},
    ),
}
