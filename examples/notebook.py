"""From a table to a picture in a few lines, as one would in a notebook: train, predict, see where it looked, compare.

python notebook.py pairs.tsv
"""

import sys
from pathlib import Path

import attend
from attend.data.own import Files


def main(table: str, out: str = "runs/notebook", epochs: int = 20) -> float:
    """Train on a table of sources and targets; a tenth of it is held out. Returns the share that is exactly right."""
    model = attend.train(
        "rnnsearch-modern",
        out=out,
        data=Files(train=(table,)),
        system={"embedding": 32, "hidden": 32, "alignment": 32},
        inputs={"source": {"unit": "character", "vocabulary": 200}},
        output={"unit": "character", "vocabulary": 200},
        training={"epochs": epochs, "learning_rate": 5e-3, "watch": "exact_match", "warmup": 0, "patience": 0},
    )
    source = next(iter(Path(table).read_text(encoding="utf-8").splitlines())).split("\t")[0]
    prediction = model.predict(source)
    print(prediction.text, round(prediction.log_prob, 3))
    print(prediction)  # in a notebook, the prediction alone draws itself
    print(prediction.weights.shape, "steps x cells")
    return model.evaluate("valid").figures["exact_match"]


if __name__ == "__main__":
    print("exactly right:", main(*sys.argv[1:2]))
