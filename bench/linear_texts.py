"""The baseline for classes of texts: TF-IDF of words and of word pairs, and logistic regression (scikit-learn).

It learns from the texts that the recipes learn from, and is measured on those that they hold out. The regularisation is
chosen on these too, as the recipes' best weights are.
"""

import argparse
import json
import resource
import shlex
import sys
import time
from pathlib import Path

import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from attend.data.examples import TARGET, Column, Fixed, Split
from attend.data.labelled import Imdb, Labelled
from attend.data.planted import PlantedKey
from run import commit, cpu_seconds, machine

COLUMNS = [Column("text"), Column(TARGET)]
SETS = {"trec": Labelled(), "imdb": Imdb(), "planted-key": PlantedKey()}
STRENGTHS = (1, 10, 30, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", help=f"of {', '.join(SETS)}; without any, all")
    place = Path("results/bench-linear-texts.json")
    parser.add_argument("--out", type=Path, default=place, help="where the record goes")
    arguments = parser.parse_args()
    started, metrics = time.perf_counter(), {}
    for name in arguments.sets or SETS:
        source = SETS[name].open(COLUMNS, 1, print)
        train, valid = columns(source, "train"), columns(source, "valid")
        for longest, what in ((1, "words"), (2, "bigrams")):
            metrics[f"accuracy_{name}_{what}"] = max(accuracy(train, valid, longest, one) for one in STRENGTHS)
            print(name, what, f"{metrics[f'accuracy_{name}_{what}']:.4f}")
    record = {
        "recipe": "linear texts bench",
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "commit": commit(),
        "seed": 1,
        "machine": f"{machine(threads=1)}, scikit-learn {sklearn.__version__}",
        "data": ", ".join(arguments.sets or SETS),
        "split": "none",
        "metrics": {name: float(f"{value:.5g}") for name, value in metrics.items()},
        "train_seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": cpu_seconds(),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=2) + "\n")


def columns(source: Fixed, split: Split) -> tuple[list[str], list[str]]:
    rows = list(source.rows(split))
    return [row.values["text"] for row in rows], [row.values[TARGET] for row in rows]


def accuracy(
    train: tuple[list[str], list[str]], valid: tuple[list[str], list[str]], longest: int, strength: float
) -> float:
    """With n-grams up to so long, and this inverse strength of the L2 penalty."""
    vectors = TfidfVectorizer(ngram_range=(1, longest), token_pattern=r"\w+")
    model = LogisticRegression(C=strength, max_iter=500).fit(vectors.fit_transform(train[0]), train[1])
    return float(model.score(vectors.transform(valid[0]), valid[1]))


if __name__ == "__main__":
    main()
