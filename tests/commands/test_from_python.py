"""What the command line makes of runs, from Python."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import attend as package


def test_pictures(bars: Path, pictures: Path) -> None:
    model = package.load(bars)
    answer = model.predict(pictures / "0.png")
    assert answer.text == "left"
    assert "left" in str(answer)
    assert "<iframe" in answer._repr_html_()
    pixels = np.zeros((1, 16, 16), dtype=np.uint8)
    assert model.predict(pixels).text in ("left", "right")
    with Image.open(pictures / "0.png") as image:
        assert model.predict(image).text == "left"
    for wrong in (pixels[:, :4], pixels + np.float32(2)):
        with pytest.raises(ValueError, match="16, 16"):
            model.predict(wrong)


def test_two_texts(entailment: Path) -> None:
    model = package.load(entailment)
    given = {"premise": "a dog runs", "hypothesis": "the dog sits"}
    answer = model.predict(given)
    assert answer.text == model.predict(**given).text
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
    (score,) = model.score([(given, answer.text)])
    assert score == pytest.approx(answer.log_prob)
