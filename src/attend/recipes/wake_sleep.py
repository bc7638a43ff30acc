"""Wake-sleep recurrent attention on scaled and translated digits, and the estimators that it is compared with.

The comparison is of training speed, not of final errors: the same model, sizes, optimiser and images with each
estimator; a record's curve shows how many updates it needs to reach an error of 10%. The first 50,000 MNIST training
images are for training, the last 10,000 for validation, so that errors are not on the paper's test set.
"""

from dataclasses import replace
from typing import Any

from attend.data.digits import SCALED, DigitCanvas, Digits
from attend.data.own import Files
from attend.fields.image import Image
from attend.outputs.classes import Classes, Decoding
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.systems import wsram
from attend.task import Supervised
from attend.training import Training

PAPER = "Ba et al. 2015"
TRAINING = Training(epochs=40, learning_rate=2e-3, schedule="cosine", watch="error", clip=0.0, validate_every=250)
MNIST = Digits("mnist scaled 60x60", "mnist", moved=True, canvas=SCALED)
# The image size and the ten million updates are from memory of the paper.
LARGE = DigitCanvas(100, 100, smallest=0.5, largest=1.5)


def recipe(about: str, config: wsram.Config, data: Any, training: Training = TRAINING, **more: Any) -> Recipe:
    settings: Any = SupervisedSettings(config, inputs(image=Image()), Classes(), data, training, Decoding())
    return Recipe(about, settings, wsram.System, Supervised, PAPER, **more)


PLAIN = wsram.Config()
VARIATIONAL = replace(PLAIN, rule="variational")

RECIPES = {
    "wsram": recipe(
        "glimpses trained by wake-sleep, for your own images and classes",
        PLAIN,
        Files(),
        replace(TRAINING, epochs=100, validate_every=0),
    ),
    "wsram-small": recipe(
        "scikit-learn's 8 x 8 digits, anywhere on 16 x 16 pixels: needs no data, takes a minute",
        wsram.Config(glimpses=3, grid=4, size=6, scales=1, preview=8, chance=0.2, hidden=64, glimpse=64),
        Digits("digits translated 16x16", "small", moved=True, canvas=DigitCanvas(16, 16)),
        replace(TRAINING, epochs=150, validate_every=0),
        variant=True,
        reaches={"error": 0.3},
    ),
    "wsram-scaled": recipe(
        "a digit of any size anywhere on 60 x 60 pixels, 3 glimpses, by wake-sleep with an inference network",
        PLAIN,
        MNIST,
        variant=True,
        reaches={"error": 0.1},
    ),
    "wsram-scaled-prior": recipe(
        "the same, without an inference network", replace(PLAIN, rule="wake-sleep-prior"), MNIST, control=True
    ),
    "wsram-scaled-chance": recipe(
        "the same as wsram-scaled, with a fifth of p(a | x) uniform",
        replace(PLAIN, chance=0.2),
        MNIST,
        variant=True,
    ),
    "wsram-scaled-prior-chance": recipe(
        "the same as that, without an inference network",
        replace(PLAIN, rule="wake-sleep-prior", chance=0.2),
        MNIST,
        control=True,
    ),
    "wsram-scaled-variational": recipe(
        "the same, by REINFORCE on the variational bound", VARIATIONAL, MNIST, control=True
    ),
    "wsram-scaled-variational-chance": recipe(
        "the same, by REINFORCE on the bound, with a fifth of p(a | x) uniform",
        replace(VARIATIONAL, chance=0.2),
        MNIST,
        control=True,
    ),
    "wsram-paper": recipe(
        "a digit of any size anywhere on 100 x 100 pixels, for ten million updates: for a GPU",
        replace(PLAIN, grid=10, hidden=256, glimpse=256),
        replace(MNIST, name="mnist scaled 100x100", canvas=LARGE),
        replace(TRAINING, epochs=12_800, learning_rate=1e-3, validate_every=0),
        variant=True,
    ),
}
