"""Captions: show, attend and tell on generated scenes, on NLVR's sentences and on your own images, and its controls.

Scenes are new ones in every epoch; those that are measured on are frozen. NLVR's development set is divided by what was
shown together: no picture of a presentation that is learnt is measured on, though some sentences occur in both.
"""

from dataclasses import replace
from typing import Any, Literal

from attend.recipes.recipe import Recipe, Settings
from attend.systems import captioner
from attend.tasks.caption import CaptionData, Describing, ImageToCaption
from attend.training import Training

# With little dropout of the state all of an object in a scene is read at its colour, and its shape remembered: at the
# noun the model looks anywhere.
SMALL = captioner.Config(
    encoder="convolutional", features=64, embedding=96, hidden=256, alignment=64, dropout=0.2, penalty=0.0
)
TRAINING = Training(epochs=12, learning_rate=1.5e-3, schedule="cosine", warmup=100, watch="exact_match")
SCENES = CaptionData(name="scenes", generated="scenes", vocabulary=100, longest=20, batch=32)
NLVR = CaptionData(name="nlvr", generated="nlvr", measured=300, batch=32)


def recipe(about: str, settings: Settings[Any, Any, Any], **reaches: float) -> Recipe:
    return Recipe(about, settings, captioner.System, reaches, ImageToCaption)


def on_scenes(attention: Literal["soft", "hard", "mean"]) -> Settings[Any, Any, Any]:
    # Where half of the minibatches sample, as in the paper, what was read at the colour is relied on, and at the noun
    # the model looks elsewhere more often.
    config = replace(SMALL, attention=attention, sampled=0.2)
    return Settings(config, SCENES, TRAINING, Describing(longest=20))


def on_nlvr(attention: Literal["soft", "mean"]) -> Settings[Any, Any, Any]:
    config = replace(SMALL, attention=attention, dropout=0.5)
    # Of weights chosen by CIDEr, on few pictures with sentences that differ, those that say what is said most win.
    return Settings(config, NLVR, replace(TRAINING, epochs=100, watch="loss"), Describing())


RECIPES = {
    "captioner": recipe(
        "Xu et al. 2015: captions with a look at the image for each word, for your own images and captions",
        Settings(SMALL, CaptionData(batch=32), replace(TRAINING, epochs=50, watch="loss"), Describing()),
    ),
    "captioner-paper": recipe(
        "Xu et al. 2015: the authors' sizes for COCO, on grids of features from a file; for a GPU",
        Settings(
            captioner.Config(),
            CaptionData(),
            Training(
                epochs=20,
                learning_rate=2e-4,
                schedule="constant",
                mean_over="examples",
                clip=0.0,
                patience=10,
                watch="loss",
            ),
            Describing(beam=5),
        ),
    ),
    "captioner-small": recipe(
        "generated scenes, a few seconds of learning: their words, and the order of these",
        Settings(
            replace(SMALL, features=16, embedding=32, hidden=64, alignment=16, dropout=0.0, state_dropout=0.0),
            replace(SCENES, scenes=2560, measured=100),
            replace(TRAINING, epochs=3, learning_rate=4e-3, warmup=20, watch="loss"),
            Describing(longest=20),
        ),
        perplexity=4.0,
    ),
    "captioner-scenes-soft": recipe(
        "generated scenes, soft attention", on_scenes("soft"), exact_match=0.95, pointing_accuracy=0.80
    ),
    "captioner-scenes-hard": recipe(
        "generated scenes, hard attention", on_scenes("hard"), exact_match=0.97, pointing_accuracy=0.80
    ),
    "captioner-scenes-mean": recipe("control: generated scenes, from the mean of all cells", on_scenes("mean")),
    "captioner-nlvr": recipe("people's sentences that are true of NLVR's pictures", on_nlvr("soft")),
    "captioner-nlvr-mean": recipe(
        "control: people's sentences about NLVR's pictures, from the mean of all cells", on_nlvr("mean")
    ),
}
