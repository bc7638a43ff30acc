"""Figures of scan paths over many images. Fixations are (x, y) in [-1, 1]."""

import numpy as np
from jaxtyping import Float


def deviation_over_images(fixations: Float[np.ndarray, "image step 2"]) -> Float[np.ndarray, "step"]:
    """The standard deviation of a step's fixation across images, both directions together.

    A policy that ignores the image has 0 at every step; so has any at the first, unless it sees something before.
    """
    return np.sqrt(fixations.var(axis=0).sum(axis=-1))
