"""Figures of where a model looked over many examples, by the kind of its looks."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from attend.attention.trace import Grid, Look, Tokens, Weights, Windows
from attend.inspect.audit import audit
from attend.inspect.cells import centre_of, pairwise_variation
from attend.inspect.glimpses import deviation_over_images
from attend.show.reading import row_entropy

Looks = Mapping[str, Look]


def audit_tokens(examples: Sequence[Looks]) -> dict[str, float]:
    """Entropy, movement and coverage of attention over tokens (`attend.inspect.audit`)."""
    seen = [look for looks in examples for look in list(looks.values())[:1] if over_tokens(look)]
    if not seen:
        return {}
    found = audit(seen)  # type: ignore[arg-type]
    return {f"attention_{name.replace(' ', '_').replace('-', '_')}": value for name, value in found.items()}


def over_tokens(look: Look) -> bool:
    return isinstance(look, Weights) and isinstance(look.memory, Tokens) and look.weights.size > 0


def audit_rows(examples: Sequence[Float[np.ndarray, "_ _"]]) -> dict[str, float]:
    """How much several looks that are taken side by side overlap: the mean, over pairs of rows, of the weight that both
    have in the same places. It is 1 where all rows are the same, and 0 where no two have a cell in common."""
    if not examples:
        return {}
    return {"row_overlap": 1 - float(np.mean([pairwise_variation(rows) for rows in examples]))}


def audit_grids(examples: Sequence[Looks]) -> dict[str, float]:
    """How attention over the cells of images differs between steps, and between images.

    `attention_variation` is the mean total variation distance between an example's steps; entropies are in nats, at
    each step; the standard deviation of the centres across images, in half images, is 0 for a path that ignores the
    image. The end of a sequence is not counted as a step.
    """
    looks = [next(iter(looks.values()), None) for looks in examples]
    grids = [look for look in looks if isinstance(look, Weights) and isinstance(look.memory, Grid)]
    if len(grids) < len(examples) or not grids:
        return {}
    memory = grids[0].memory
    assert isinstance(memory, Grid)
    weights = [look.weights[:-1] if ends(look) else look.weights for look in grids]
    found = {"attention_variation": float(np.mean([pairwise_variation(each) for each in weights]))}
    return found | over_time(weights, memory.rows, memory.columns)


def ends(look: Weights) -> bool:
    """Whether its last step is the end of a sequence."""
    return isinstance(look.steps, Tokens) and bool(look.steps.tokens) and look.steps.tokens[-1].start is None


def over_time(weights: Sequence[Float[np.ndarray, "_ memory"]], rows: int, columns: int) -> dict[str, float]:
    """Entropies of attention, and standard deviations of its centres across images, at each step that at least half of
    the examples have."""
    centres, entropies = [centre_of(each, rows, columns) for each in weights], [row_entropy(each) for each in weights]
    figures = {"attention_entropy": float(np.mean([each.mean() for each in entropies]))}
    deviation = []
    for step in range(int(np.median([len(each) for each in weights]))):
        places = np.stack([each[step] for each in centres if len(each) > step])
        deviation.append(float(deviation_over_images(places[:, np.newaxis])[0]))
        entropy = np.mean([each[step] for each in entropies if len(each) > step])
        figures[f"attention_entropy_step_{step + 1}"] = float(entropy)
    figures |= {f"fixation_deviation_step_{number}": value for number, value in enumerate(deviation, start=1)}
    return figures | {"fixation_deviation": float(np.mean(deviation))}


def audit_windows(examples: Sequence[Looks]) -> dict[str, float]:
    """The standard deviation of fixations across images, in half images: 0 for a path that ignores the image.

    Fixations are the centres of each step's first window.
    """
    looks = [next(iter(looks.values()), None) for looks in examples]
    found = [look for look in looks if isinstance(look, Windows)]
    if len(found) < len(examples) or not found:
        return {}
    deviation = deviation_over_images(np.stack([fixations(look) for look in found]))
    figures = {"fixation_deviation": float(deviation.mean())}
    return figures | {f"fixation_deviation_step_{step}": float(value) for step, value in enumerate(deviation, start=1)}


def fixations(look: Windows) -> Float[np.ndarray, "step 2"]:
    """The centre of each step's first window; names of further scales end in "x2" and so on."""
    first = [place for place, name in enumerate(look.steps.labels()) if " x" not in name or name.endswith(" x1")]
    return look.centre[first]
