"""How fast training could be if it were nothing but matrix products at the machine's full rate."""

from corpus import Lengths


def training_flops(lengths: Lengths, target_vocabulary: int, size: int) -> float:
    """Floating-point operations in the matrix products of one update, on real tokens only.

    A product of m x k by k x n is 2 m k n. The model is `attend.systems.rnnsearch_modern` with every size `size`, whose
    annotations are twice that; backward takes two products for each of forward.
    """
    sources, targets = int(lengths.source.sum()), int(lengths.target.sum())
    looks = int((lengths.source * lengths.target).sum())
    square = 2 * size * size
    encoder = 2 * 3 * 2 * square  # directions, gates, input and state
    keys = 2 * square
    first = 2 * square * len(lengths.source)
    units = 3 * (1 + 1) * square + 3 * (2 + 1) * square  # word and state; context and state
    query = square
    readout = (1 + 1 + 2) * square
    output = 2 * size * target_vocabulary
    look = 2 * size + 2 * 2 * size  # the score's energy; the weighted sum of annotations
    forward = sources * (encoder + keys) + first + targets * (units + query + readout + output) + looks * look
    return 3.0 * forward
