import numpy as np
import pytest

from attend.attention.trace import Token, Tokens, Weights


@pytest.fixture
def subwords() -> Weights:
    """Target "Haus an" in pieces Ha|us|an|end, source "a house" in pieces a|hou|se|end."""
    source = Tokens("a house", (Token("a", 0, 1), Token("hou", 2, 5), Token("se", 5, 7), Token("</s>")))
    target = Tokens("Haus an", (Token("Ha", 0, 2), Token("us", 2, 4), Token("an", 5, 7), Token("</s>")))
    weights = np.array(
        [[0.125, 0.5, 0.25, 0.125], [0.375, 0.25, 0.25, 0.125], [0.75, 0.125, 0.0625, 0.0625], [0, 0, 0.125, 0.875]]
    )
    return Weights(weights, target, source)
