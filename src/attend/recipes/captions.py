"""Captions: show, attend and tell on generated scenes, on NLVR's sentences and on your own images, and its controls.

Scenes are new ones in every epoch; those that are measured on are frozen. NLVR's development set is divided by what was
shown together: no picture of a sentence that is learnt is measured on.
"""

from dataclasses import replace
from typing import Any

from attend.recipes.recipe import Recipe, Settings
from attend.systems import captioner
from attend.tasks.caption import CaptionData, Describing, ImageToCaption
from attend.training import Training

SMALL = captioner.Config(
    encoder="convolutional", features=64, embedding=96, hidden=256, alignment=64, dropout=0.0, penalty=0.0
)
TRAINING = Training(epochs=20, learning_rate=2e-3, schedule="cosine", warmup=100, watch="exact_match")
SCENES = CaptionData(name="scenes", generated="scenes")
NLVR = CaptionData(name="nlvr", generated="nlvr", measured=500)


def recipe(about: str, settings: Settings[Any, Any, Any], **reaches: float) -> Recipe:
    return Recipe(about, settings, captioner.System, reaches, ImageToCaption)


def on_scenes(config: captioner.Config) -> Settings[Any, Any, Any]:
    return Settings(config, SCENES, TRAINING, Describing(longest=20))


RECIPES = {
    "captioner": recipe(
        "Xu et al. 2015: captions with a look at the image for each word, for your own images and captions",
        Settings(replace(SMALL, dropout=0.3), CaptionData(), replace(TRAINING, epochs=50, watch="loss"), Describing()),
    ),
    "captioner-small": recipe(
        "captions of a few generated scenes, in seconds: to try it",
        Settings(
            replace(SMALL, features=16, embedding=24, hidden=32, alignment=16),
            replace(SCENES, scenes=640, measured=50),
            replace(TRAINING, epochs=3, warmup=10),
            Describing(longest=20),
        ),
    ),
    "captioner-scenes-soft": recipe(
        "generated scenes, soft attention, in 20 minutes", on_scenes(SMALL), exact_match=0.95, pointing_accuracy=0.80
    ),
    "captioner-scenes-hard": recipe(
        "generated scenes, hard attention, in 20 minutes", on_scenes(replace(SMALL, attention="hard")), exact_match=0.92
    ),
    "captioner-scenes-mean": recipe(
        "control: generated scenes from the mean of all cells", on_scenes(replace(SMALL, attention="mean"))
    ),
}
