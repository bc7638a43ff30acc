"""Which run is better, by how much, and where: bootstrap tests, length curves, and one table over runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from attend.metrics import CorpusMetric, bootstrap, sentence_statistics

Figure = float | int | str | None


@dataclass(frozen=True)
class Comparison:
    """`difference` is the first run's score minus the second's, with its 95% interval, `lower` to `upper`.

    `p` is one-sided: the estimated probability that the better run is not better on a resampled test set.
    """

    difference: float
    p: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Bucket:
    """The `count` sentences whose source is `low` to `high` tokens long, both included.

    `value` is the corpus score of those sentences alone, `lower` to `upper` its 95% interval.
    """

    low: int
    high: int
    count: int
    value: float
    lower: float
    upper: float


def paired_bootstrap(
    hypotheses_a: Sequence[str],
    hypotheses_b: Sequence[str],
    references: Sequence[str],
    metric: CorpusMetric,
    samples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Paired bootstrap resampling (Koehn 2004): both runs are scored on the same sentences, drawn with replacement.

    `p` is the share of samples in which the run that is better overall is not better; without a difference it is 1.
    Raises `ValueError` if the three are empty or not equally long, or `samples` is below 1.
    """
    runs = [sentence_statistics(metric, hypotheses, references) for hypotheses in (hypotheses_a, hypotheses_b)]
    difference = metric.score(runs[0].sum(axis=0)) - metric.score(runs[1].sum(axis=0))
    scores = bootstrap(metric, runs, samples, seed)
    differences = scores[:, 0] - scores[:, 1]
    # Add-one smoothing: no finite number of samples gives p = 0.
    p = (np.sum(differences * np.sign(difference) <= 0) + 1) / (samples + 1)
    lower, upper = np.quantile(differences, (0.025, 0.975))
    return Comparison(float(difference), float(p), float(lower), float(upper))


def by_length(
    source_lengths: Sequence[int],
    hypotheses: Sequence[str],
    references: Sequence[str],
    edges: Sequence[int],
    metric: CorpusMetric,
    samples: int = 1000,
    seed: int = 0,
) -> list[Bucket]:
    """The corpus score by source length, with 95% bootstrap intervals.

    `edges` are the buckets' maximum lengths, rising: (10, 20) makes 1-10, 11-20 and 21 to the longest source.
    Buckets without sentences are left out. Raises `ValueError` if lengths, hypotheses and references are not equally
    many, if a length is below 1, if the edges don't rise from 1 or more, or if `samples` is below 1.
    """
    if len(source_lengths) != len(references):
        raise ValueError(f"{len(source_lengths)} source lengths for {len(references)} references; give one for each")
    if any(low >= high for low, high in pairwise((0, *edges))):
        raise ValueError(f"edges are {list(edges)}; give rising lengths, the first at least 1")
    statistics = sentence_statistics(metric, hypotheses, references)
    lengths = np.asarray(source_lengths)
    if lengths.min() < 1:
        raise ValueError(f"sentence {int(lengths.argmin()) + 1} has a source of length {lengths.min()}; leave it out")
    longest = max(int(lengths.max()), *edges, 0)
    buckets = []
    for low, high in pairwise(sorted({0, *edges, longest})):
        inside = statistics[(lengths > low) & (lengths <= high)]
        if len(inside):
            lower, upper = np.quantile(bootstrap(metric, [inside], samples, seed), (0.025, 0.975))
            value = metric.score(inside.sum(axis=0))
            buckets.append(Bucket(low + 1, high, len(inside), value, float(lower), float(upper)))
    return buckets


def table(runs: Mapping[str, Mapping[str, Figure]]) -> list[dict[str, Figure]]:
    """A row a run, with its name under "run" and a column for every figure that any run has, None where it has none."""
    columns = dict.fromkeys(name for figures in runs.values() for name in figures)
    return [{"run": run, **{name: figures.get(name) for name in columns}} for run, figures in runs.items()]


def markdown(rows: Sequence[Mapping[str, Figure]]) -> str:
    """The rows of `table` as a Markdown table; figures to two decimals (three digits below 1), "–" where there is none.

    Raises `ValueError` without rows.
    """
    if not rows:
        raise ValueError("there are no rows to show; give at least one run")
    header = [_cell(name) for name in rows[0]]
    rule = [":--", *("--:" for _ in header[1:])]
    lines = [header, rule, *([_cell(figure) for figure in row.values()] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(figure: Figure) -> str:
    if figure is None:
        return "–"
    if isinstance(figure, float):
        return f"{figure:.2f}" if abs(figure) >= 1 else f"{figure:.3g}"
    return " ".join(str(figure).replace("|", "\\|").split())
