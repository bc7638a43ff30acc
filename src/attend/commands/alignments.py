"""Which words go with which, written beside outputs (`attend predict`) or for given targets (`attend score`)."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attend.commands.runs import refused

if TYPE_CHECKING:
    from attend.attention.trace import Trace, Weights

AlignmentForm = Literal["pharaoh", "nematus", "npz"]


def token_look(model: Any, run: Path, prediction: Any, flag: str) -> "Weights":
    """The first look with weights of tokens over tokens.

    Raises `ValueError`, naming the flag, where there is none, and for a control whose weights are even whatever it
    reads: they are no alignment.
    """
    from attend.attention.trace import Tokens, Weights
    from attend.show.words import even

    for look in prediction.looks.values():
        if isinstance(look, Weights) and isinstance(look.memory, Tokens) and isinstance(look.steps, Tokens):
            if even(look):
                raise refused(model, run, flag, "has the same weight for every token: it has no attention")
            return look
    raise refused(model, run, flag, "has no weights of tokens over a text")


def aligned(model: Any, run: Path, output: Any, subwords: bool) -> "tuple[Trace, Weights]":
    """An output's trace, with the look to write; for None (an empty line) an empty one, so that lines stay in step."""
    import numpy as np

    from attend.attention.trace import Tokens, Trace, Weights
    from attend.show.words import merge

    if output is None:
        nowhere = Tokens("", ())
        look = Weights(np.zeros((0, 0)), nowhere, nowhere)
        return Trace("", "", {"source": look}, ()), look
    look = token_look(model, run, output, "alignments")
    look = look if subwords else merge(look)
    return replace(output.trace(), looks={"source": look}, media={}), look


def write_alignments(path: Path, form: AlignmentForm, found: "Iterable[tuple[Trace, Weights]]") -> None:
    from attend.show.formats import write_matrices, write_nematus, write_pharaoh

    if form == "nematus":
        write_nematus(path, (trace for trace, _ in found))
    else:
        write = write_pharaoh if form == "pharaoh" else write_matrices
        write(path, (look for _, look in found))
