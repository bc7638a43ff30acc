"""DRAW: images drawn step by step, small budgets and the paper's own, its control without attention, and its reader.

Digits are MNIST's first 50,000 training images to learn and its last 10,000 to validate, made black and white once and
for all. So nats here are neither of the test set nor of the binarisation that the paper's are of.
"""

from dataclasses import replace

from attend.data.digits import CLUTTERED, CLUTTERED_LARGE, Canvas
from attend.recipes.recipe import Recipe, Settings
from attend.systems import draw
from attend.tasks.generation import Generation, Measuring, PictureData
from attend.tasks.image import Answering, ImageData, ImageToClass
from attend.training import Training

TRAINING = Training(epochs=38, learning_rate=2e-3, schedule="cosine", watch="nats", clip=5.0)
# Validating costs a tenth of an epoch: every second one, of 782 updates, will do.
SELDOM = replace(TRAINING, validate_every=2 * 782)
MNIST = PictureData(name="mnist 28x28 binarised", digits="mnist", batch=64)
SHORT = draw.Config(steps=10, read=5)


def drawing(
    about: str, config: draw.Config, training: Training = SELDOM, data: PictureData = MNIST, **reaches: float
) -> Recipe:
    return Recipe(about, Settings(config, data, training, Measuring()), draw.System, reaches, Generation)


def reading(
    about: str, config: draw.ClassifierConfig, canvas: Canvas = CLUTTERED, epochs: int = 90, **reaches: float
) -> Recipe:
    name = f"mnist cluttered {canvas.rows}x{canvas.columns}"
    data = ImageData(name=name, digits="mnist", moved=True, canvas=canvas, batch=64)
    training = Training(epochs=epochs, learning_rate=1e-3, schedule="cosine", watch="error", clip=5.0)
    return Recipe(about, Settings(config, data, training, Answering()), draw.Classifier, reaches, ImageToClass)


RECIPES = {
    "draw": drawing(
        "Gregor et al. 2015: images drawn step by step, for your own images",
        SHORT,
        replace(TRAINING, epochs=100, learning_rate=1e-3),
        PictureData(pixels="grey", batch=64),
    ),
    "draw-small": drawing(
        "the 8 x 8 digits that scikit-learn carries, drawn in 4 steps: needs no data",
        draw.Config(steps=4, hidden=64, latent=10, read=3, write=3),
        replace(TRAINING, epochs=20, learning_rate=4e-3),
        PictureData(name="digits 8x8 binarised", digits="small", batch=32),
        nats=26.0,
    ),
    "draw-mnist": drawing("10 steps, in an hour", SHORT, nats=108.0),
    "draw-mnist-1": drawing("control: one step, which is a variational autoencoder", replace(SHORT, steps=1)),
    "draw-mnist-without-attention": drawing(
        "control: 10 steps that read and write the whole image, for as many epochs", replace(SHORT, attention="none")
    ),
    "draw-mnist-paper": drawing(
        "the paper's 64 steps, for as long as the public re-implementations: for a GPU",
        draw.Config(),
        replace(TRAINING, epochs=300, learning_rate=1e-3),
        replace(MNIST, batch=128),
        nats=82.0,
    ),
    "draw-classifier-cluttered": reading(
        "8 reads of 12 x 12 from a digit among pieces of others on 60 x 60 pixels, where to being learnt by gradient",
        draw.ClassifierConfig(),
        error=0.05,
    ),
    "draw-classifier-paper": reading(
        "8 reads of 12 x 12 from a digit among 8 pieces of others on 100 x 100 pixels: for a GPU",
        draw.ClassifierConfig(),
        CLUTTERED_LARGE,
        epochs=300,
    ),
    "draw-classifier-cluttered-whole": reading(
        "control: the same LSTM, which sees the whole image's 12 x 12 means", draw.ClassifierConfig(attention="none")
    ),
}
