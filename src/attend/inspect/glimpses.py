"""Does it look where it should, and because of what it sees? Figures of scan paths over many images.

Places are (x, y) in [-1, 1], a box is left, top, right, bottom in the same units.
"""

import numpy as np
from jaxtyping import Float


def spread_over_images(places: Float[np.ndarray, "image step 2"]) -> Float[np.ndarray, "step"]:
    """How far a step's places lie apart in different images: their standard deviation, both directions together.

    A policy that ignores the image has 0 at every step; so has any at the first, unless it sees something before.
    """
    return np.sqrt(places.var(axis=0).sum(axis=-1))


def share_on_object(
    places: Float[np.ndarray, "image step 2"], boxes: Float[np.ndarray, "image 4"]
) -> Float[np.ndarray, "step"]:
    """The share of images whose place lies in the object's box, at each step."""
    low, high = boxes[:, np.newaxis, :2], boxes[:, np.newaxis, 2:]
    return ((places >= low) & (places <= high)).all(axis=-1).mean(axis=0)


def class_entropy(probabilities: Float[np.ndarray, "image step class"]) -> Float[np.ndarray, "step"]:
    """How undecided it is after each step: the mean entropy of its answer, in nats."""
    logs = np.log(np.maximum(probabilities, np.finfo(probabilities.dtype).tiny))
    return -(probabilities * logs).sum(axis=-1).mean(axis=0)
