"""DRAW: image generation at small budgets and the paper's, its control without attention, and its classifier.

The first 50,000 MNIST training images are for training, the last 10,000 for validation, with a fixed binarisation. So
nats here are neither on the paper's test set nor on its binarisation.
"""

from dataclasses import replace
from typing import Any

from attend.data.digits import CLUTTERED, CLUTTERED_LARGE, DigitCanvas, Digits
from attend.data.own import Files
from attend.fields.image import Image
from attend.outputs import classes
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import draw
from attend.task import Supervised
from attend.tasks import drawing as task
from attend.training import Training

PAPER = "Gregor et al. 2015"
TRAINING = Training(epochs=38, batch=64, learning_rate=2e-3, schedule="cosine", watch="nats", clip=5.0)
# Validation costs a tenth of an epoch of 782 updates: every second epoch is enough.
SELDOM = replace(TRAINING, validate_every=2 * 782)
MNIST = Digits("mnist 28x28 binarised", "mnist")
SHORT = draw.Config(steps=10, read=5)


def drawing(
    about: str,
    config: draw.Config,
    training: Training = SELDOM,
    data: Any = MNIST,
    pixels: task.Pixels | None = None,
    **more: Any,
) -> Recipe:
    settings: Any = SupervisedSettings(
        config, inputs(image=Image()), pixels or task.Pixels(), data, training, task.Decoding()
    )
    return Recipe(about, settings, draw.System, task.Drawing, PAPER, **more)


def reading(
    about: str, config: draw.ClassifierConfig, canvas: DigitCanvas = CLUTTERED, epochs: int = 90, **more: Any
) -> Recipe:
    data = Digits(f"mnist cluttered {canvas.rows}x{canvas.columns}", "mnist", moved=True, canvas=canvas)
    training = Training(epochs=epochs, learning_rate=1e-3, schedule="cosine", watch="error", clip=5.0)
    settings: Any = SupervisedSettings(
        config, inputs(image=Image()), classes.Classes(), data, training, classes.Decoding()
    )
    return Recipe(about, settings, draw.Classifier, Supervised, PAPER, **more)


RECIPES = {
    "draw": drawing(
        "image generation step by step, for your own images",
        SHORT,
        replace(TRAINING, epochs=100, learning_rate=1e-3),
        Files(),
        task.Pixels("grey"),
    ),
    "draw-small": drawing(
        "scikit-learn's 8 x 8 digits, generated in 4 steps: needs no data",
        draw.Config(steps=4, hidden=64, latent=10, read=3, write=3),
        replace(TRAINING, epochs=20, batch=32, learning_rate=4e-3),
        Digits("digits 8x8 binarised", "small"),
        variant=True,
        reaches={"nats": 26.0},
    ),
    "draw-mnist": drawing("10 steps, in an hour", SHORT, variant=True, reaches={"nats": 108.0}),
    "draw-mnist-1": drawing("one step, which is a variational autoencoder", replace(SHORT, steps=1), control=True),
    "draw-mnist-without-attention": drawing(
        "10 steps that read and write the whole image, for as many epochs",
        replace(SHORT, attention="none"),
        control=True,
    ),
    "draw-mnist-paper": drawing(
        "the paper's 64 steps, for as long as the public re-implementations: for a GPU",
        draw.Config(),
        replace(TRAINING, epochs=300, batch=128, learning_rate=1e-3),
        variant=True,
        reaches={"nats": 82.0},
    ),
    "draw-classifier-cluttered": reading(
        "8 differentiable reads of 12 x 12, of a digit among pieces of others on 60 x 60 pixels",
        draw.ClassifierConfig(),
        variant=True,
        reaches={"error": 0.05},
    ),
    "draw-classifier-paper": reading(
        "8 differentiable reads of 12 x 12, of a digit among 8 pieces of others on 100 x 100 pixels: for a GPU",
        draw.ClassifierConfig(),
        CLUTTERED_LARGE,
        epochs=300,
        variant=True,
    ),
    "draw-classifier-cluttered-whole": reading(
        "the same LSTM on the whole image, average-pooled to 12 x 12",
        draw.ClassifierConfig(attention="none"),
        control=True,
    ),
}
