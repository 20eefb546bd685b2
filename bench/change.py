"""What a changed parameter costs: `dvc repro` after `lr` changed, beside the training that it cannot do without.

In a clone of HEAD that has been through `dvc repro` once: the seconds of the whole command, of the stage `train_cpu` as
it runs by itself, and of the rest, which is to be 6 at most. Medians of the rounds. Writes bench/results/change.json.

    python -m bench.change        (about 2 minutes)
"""

import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from tqdm import tqdm

from bench.recipes import run
from stages.common.running import run_script
from stages.common.writing import write_json

RESULTS = Path("bench/results/change.json")
RATES = (0.003, 0.004, 0.005)


def main() -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as place:
        clone = Path(place) / "clone"
        run(Path.cwd(), "git", "clone", "--quiet", ".", str(clone))
        run(clone, "dvc", "repro")
        rounds = [measure(clone, lr) for lr in tqdm(RATES, "change", disable=None)]
    result = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
    print("; ".join(f"{key} {seconds:.1f} s" for key, seconds in result.items()))
    write_json(RESULTS, result)


def measure(clone: Path, lr: float) -> dict[str, float]:
    """Return the seconds of `dvc repro` with another lr, of training alone (run once more), and of the rest."""
    run(clone, "sed", "-i", f"s/^lr: .*/lr: {lr}/", "params.yaml")
    whole, training = seconds(clone, "dvc", "repro"), seconds(clone, sys.executable, "-m", "stages.train", "cpu")
    return {"dvc repro": whole, "training": training, "the rest": whole - training}


def seconds(clone: Path, *command: str) -> float:
    """Return how long a command takes."""
    start = perf_counter()
    run(clone, *command)
    return perf_counter() - start


if __name__ == "__main__":
    run_script(main)
