"""Models that read pictures, behind the server."""

from base64 import b64encode
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from attend.attention.trace import Weights
from attend.contract import Captioned
from attend.data.codec import Codec
from attend.data.image import Form
from attend.decoding import teacher_forced
from attend.recipes.captions import RECIPES
from attend.run import RunConfig
from attend.serve.image import PictureModel
from attend.serve.served import Ask
from attend.systems import captioner, ram
from attend.tasks.caption import CaptionData, CaptionModel, ImageToCaption
from attend.tasks.image import Answering, ImageData, ImageModel, ImageToClass


def never() -> None:
    pass


def uri(rows: int = 12, form: str = "png") -> str:
    file = BytesIO()
    pixels = np.random.default_rng(0).integers(256, size=(rows, 12), dtype=np.uint8)
    Image.fromarray(pixels).save(file, format=form)
    return f"data:image/{form};base64,{b64encode(file.getvalue()).decode()}"


@pytest.fixture
def served() -> PictureModel:
    torch.manual_seed(0)
    config = ram.Config(glimpses=3, size=4, hidden=16, sensed=8, glimpse=16)

    def build(channels: int, classes: int) -> ram.System:
        return ram.System(config, channels, classes)

    task = ImageToClass(build, ImageData(), 1, Form("grey", 12, 12), ("cat", "dog", "owl"))
    settings = SimpleNamespace(decoding=Answering(), data=ImageData())
    model = ImageModel(SimpleNamespace(recipe="ram", settings=settings), task, [task.build().eval()])
    return PictureModel("eyes", model, {"recipe": "ram"})


def test_a_picture_is_answered_with_its_likeliest_classes(served: PictureModel):
    (several,) = served.predict([uri()], None, 3, never)
    assert {output["text"] for output in several} == {"cat", "dog", "owl"}
    chances = [np.exp(output["log_prob"]) for output in several]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1, rel=1e-5)


def test_a_given_class_is_scored(served: PictureModel):
    (best,) = served.predict([uri()], None, 1, never)
    (scored,) = served.score([(uri(), best[0]["text"])], never)
    assert scored["log_prob"] == pytest.approx(best[0]["log_prob"])
    with pytest.raises(ValueError, match="it has cat, dog, owl"):
        served.score([(uri(), "fish")], never)


def test_where_it_looked_comes_as_a_trace_and_step_by_step(served: PictureModel):
    told: list[dict[str, object]] = []
    trace = served.stream(Ask(uri()), told.append)
    assert [step["text"] for step in told][-1] == trace.output
    assert len(told) == 3
    assert trace.picture is not None
    assert trace.looks.keys() == {"glimpse"}
    assert trace.about == {"model": "eyes", "recipe": "ram"}


def test_other_forms_and_sizes_are_made_to_fit(served: PictureModel):
    assert served.predict([uri(40, "jpeg")], None, 1, never)[0][0]["text"] in ("cat", "dog", "owl")


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        ("a dog runs", "data URI"),
        ("data:text/html;base64,AAAA", "data URI"),
        ("data:image/png;base64,AAAA", "can't be read"),
        ("data:image/png;base64,A", "can't be read"),
    ],
)
def test_what_is_no_picture_is_refused(served: PictureModel, picture: str, said: str):
    with pytest.raises(ValueError, match=said):
        served.predict([picture], None, 1, never)


def test_what_is_not_for_pictures_is_said(served: PictureModel):
    with pytest.raises(ValueError, match="set by hand"):
        served.trace(Ask(uri(), weights={0: [1.0]}), never)
    with pytest.raises(ValueError, match="no attention to hold against"):
        served.trace(Ask(uri(), evidence=True), never)


@pytest.fixture
def captions() -> PictureModel:
    """A captioner of a few words, which has learnt nothing."""
    torch.manual_seed(0)
    config = captioner.Config(
        encoder="convolutional",
        features=8,
        embedding=8,
        hidden=12,
        alignment=8,
        dropout=0.0,
        state_dropout=0.0,
        penalty=0.0,
    )
    codec = Codec.train(["red circle", "blue square"], "word", 20)
    task = ImageToCaption(
        lambda *sizes: captioner.System(config, *sizes), CaptionData(), 1, Form("grey", 16, 16), codec
    )
    model = CaptionModel(RunConfig("captioner", RECIPES["captioner"].settings, {}), task, [task.build().eval()])
    return PictureModel("words", model, {"recipe": "captioner"})


def test_a_captions_words_and_looks_can_be_set_by_hand(captions: PictureModel):
    assert captions.steerable
    plain = captions.trace(Ask(uri(16), beam=2, alternatives=3), never)
    assert plain.ids
    assert plain.search
    assert plain.alternatives
    assert len(plain.alternatives) == len(plain.ids) == len(plain.entropies or ())
    row = np.eye(4)[2]
    trace = captions.trace(Ask(uri(16), prefix=["blue", "circle"], weights={1: row.tolist()}, beam=1), never)
    assert trace.output.startswith("blue circle")
    look = trace.looks["image"]
    assert isinstance(look, Weights)
    np.testing.assert_array_equal(look.weights[1], row)
    assert trace.about["given"] == "2 tokens"
    assert trace.about["set by hand"] == "steps 2"
    # What is read changes what comes after it, and nothing before.
    free = captions.trace(Ask(uri(16), prefix=["blue", "circle"], beam=1), never)
    assert trace.scores is not None
    assert free.scores is not None
    assert trace.scores[0] == pytest.approx(free.scores[0])
    assert trace.scores[1] != pytest.approx(free.scores[1], abs=1e-6)
    for wrong in (Ask(uri(16), weights={0: [1.0]}), Ask(uri(16), prefix=["dog"]), Ask(uri(16), prefix=[99])):
        with pytest.raises(ValueError, match=r"must be 4 numbers|can't be written|ids are from"):
            captions.trace(wrong, never)
    told: list[dict[str, object]] = []
    assert captions.stream(Ask(uri(16), prefix=["blue"]), told.append).output.startswith("blue")
    assert told[0]["text"] == "blue"


def test_what_a_caption_depends_on_is_what_it_says(captions: PictureModel):
    trace = captions.trace(Ask(uri(16), beam=1, evidence=True), never)
    evidence = trace.evidence
    assert evidence is not None
    assert evidence.look == "image"
    assert trace.ids
    system: Any = captions.model.systems[0]
    pixels = torch.tensor(captions.pixels(uri(16)).astype(np.float32)).unsqueeze(0) / 255
    target = torch.tensor([trace.ids])

    @torch.no_grad()
    def log_probs(images: torch.Tensor) -> np.ndarray:
        batch = Captioned(images, target, torch.ones_like(target, dtype=torch.bool))
        steps = [step.logits[0, 0].log_softmax(-1) for step in teacher_forced(system, batch, target)]
        return np.array([float(step[token]) for step, token in zip(steps, trace.ids or (), strict=True)])

    # Cells are 2 x 2, of 8 x 8 pixels each: the third is down to the left.
    covered = pixels.clone()
    covered[:, :, 8:, :8] = pixels.mean()
    np.testing.assert_allclose(
        evidence.attributions["leave-one-out"][:, 2], log_probs(pixels) - log_probs(covered), atol=1e-5
    )
    # What is owed to all of a picture, to first order, is how log p grows as the picture does.
    system.double()
    little = 1e-4
    grown = log_probs(pixels.double() * (1 + little)) - log_probs(pixels.double() * (1 - little))
    system.float()
    np.testing.assert_allclose(evidence.attributions["gradient x input"].sum(1), grown / (2 * little), atol=1e-3)
    assert [changed.attention for changed in evidence.interventions] == ["uniform", "permuted"]
    with pytest.raises(ValueError, match="the model's own attention"):
        captions.trace(Ask(uri(16), weights={0: [0.25] * 4}, evidence=True), never)


def test_work_that_nobody_waits_for_ends(served: PictureModel):
    def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        served.predict([uri()], None, 1, stop)
