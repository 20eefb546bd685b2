"""How hard is the demo corpus, and how fast is the front end? Prints two tables and writes bench/results/demo.json.

Difficulty: macro F1 on the test part of peers from scikit-learn, split by track as the pipeline does, and split at
random, which flatters: seconds of one track are alike. Mean and standard deviation over 5 splits.
Speed: clips a second of one core, median of 7 repetitions.

    python -m bench.demo        (after `dvc repro`, which makes data/demo; about 3 minutes)
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # one core: before numpy starts its threads

import statistics
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from stages.audio.features import FRONT_ENDS
from stages.core.dataset import encode, load_dataset, split_rows
from stages.files import run_stage, write_json

RESULTS = Path("bench/results/demo.json")
SPLIT = {"train": 3200, "val": 800, "test": 1376}
SPLITS = 5


def peers(name: str) -> dict:
    """Return the models that a representation is judged with; an SVM on 2688 columns would take minutes a split."""
    models = {
        "logistic regression": lambda: LogisticRegression(max_iter=300),
        "MLP 128-32, Adam, early stopping": lambda: MLPClassifier((128, 32), early_stopping=True, random_state=0),
    }
    return models | ({"SVM, RBF kernel": lambda: SVC(C=3)} if name == "mfccs" else {})


def difficulty() -> list[dict]:
    """Return macro F1 of every peer by representation and way of splitting."""
    rows = []
    for name, arrays in load_dataset(Path("data/demo")).representations.items():
        classes, labels = encode(arrays.labels)
        X = arrays.X.reshape(len(labels), -1)
        for peer, model in peers(name).items():
            row = {"representation": name, "peer": peer}
            for way, groups in (("by track", arrays.groups), ("at random", None)):
                f1 = []
                for seed in range(SPLITS):
                    rows_of = split_rows(classes, labels, groups, SPLIT, seed)
                    pipeline = make_pipeline(StandardScaler(), model()).fit(
                        X[rows_of["train"]], labels[rows_of["train"]]
                    )
                    test = rows_of["test"]
                    f1.append(f1_score(labels[test], pipeline.predict(X[test]), average="macro"))
                row[way] = {"mean": statistics.mean(f1), "std": statistics.stdev(f1)}
            rows.append(row)
            print(
                f"{name:9} {peer:34} by track {row['by track']['mean']:.3f} +/- {row['by track']['std']:.3f}"
                f"   at random {row['at random']['mean']:.3f} +/- {row['at random']['std']:.3f}"
            )
    return rows


def speed() -> dict[str, dict[str, float]]:
    """Return clips a second of both front ends in both precisions."""
    clips = np.random.default_rng(0).uniform(-1, 1, (2048, 8000))
    result = {}
    for name, front_end in FRONT_ENDS.items():
        result[name] = {}
        for dtype in ("float32", "float64"):
            sound, seconds = clips.astype(dtype), []
            for _ in range(7):
                start = perf_counter()
                front_end(sound)
                seconds.append(perf_counter() - start)
            result[name][dtype] = len(sound) / statistics.median(seconds)
            print(f"{name:9} {dtype}: {result[name][dtype]:8,.0f} clips a second")
    return result


def main() -> None:
    """Measure and write."""
    write_json(RESULTS, {"difficulty": difficulty(), "clips_per_second": speed()})


if __name__ == "__main__":
    run_stage(main)
