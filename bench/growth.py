"""How the cost of each stage grows with the data: made-up MFCCs of 1,000 to 1,000,000 tracks of 30 seconds.

Every stage runs by itself, in a process of its own, as `dvc repro` would run it: all of its processes' seconds of CPU,
and the largest memory that they ask for together (without files that are mapped into memory, which the system drops
when it needs the room). Training is 2 runs of 1 epoch. At the end stand exponents b of seconds ~ samples^b over the
last tenfold, of all seconds of CPU and of those outside the system's kernel: 1 means ten times the data, ten times the
time. Below the stages, the system alone: writing as many bytes as `prepare` does. Prints a table and writes
bench/results/growth.json.

    python -m bench.growth        (5 to 10 minutes and 12 GB of disk)
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from tqdm import tqdm

from stages.arrays.npy import stream_array
from stages.common.files import UserError
from stages.common.params import load_params
from stages.common.running import run_script
from stages.common.writing import write_json

RESULTS = Path("bench/results/growth.json")
ROOT = Path(__file__).parents[1]
STAGES = ("prepare", "baselines", "train cpu", "train gpu", "select", "evaluate", "compare")
TRACKS = (1_000, 10_000, 100_000, 1_000_000)
SECONDS = 30  # of a track
CLASSES = ("blues", "classical", "pop", "rock")
CHANGES = {"dataset": "data/mine", "runs": 2, "epochs": 1, "split": {"train": 0.6, "val": 0.15, "test": 0.25}}
POLL_SECONDS = 0.05


def write_dataset(folder: Path, tracks: int) -> None:
    """Write MFCCs of so many tracks, of one class after the other: what a class has in common and noise."""
    rng, folder = np.random.default_rng(0), folder / "mfccs"
    folder.mkdir(parents=True)
    means, n = rng.standard_normal((len(CLASSES), 26)), tracks * SECONDS
    classes = np.arange(tracks) * len(CLASSES) // tracks
    pieces = (
        (means[number] + 3 * rng.standard_normal((SECONDS, 26), np.float32)).astype(np.float32).tobytes()
        for number in classes
    )
    stream_array(folder / "X.npy", np.float32, (n, 26), pieces)
    np.save(folder / "labels.npy", np.repeat(np.array(CLASSES)[classes], SECONDS))
    np.save(folder / "groups.npy", np.repeat(np.arange(tracks, dtype=np.int32), SECONDS))


def cost_of(stage: str, folder: Path) -> dict[str, float]:
    """Run a stage in a folder; return its seconds, its processes' seconds of CPU, and the MiB they ask for together.

    Raises:
        UserError: if it fails.
    """
    cpu: dict[int, tuple[float, float]] = {}  # user and system, by process, as far as it was last seen
    most, started = 0, time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *f"stages.{stage}".split()]
    with tempfile.TemporaryFile("w+") as said:
        stage_itself = psutil.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
        while stage_itself.poll() is None:
            mib = 0
            with suppress(psutil.Error):  # of a process that has just ended
                for process in (stage_itself, *stage_itself.children(recursive=True)):
                    cpu[process.pid] = process.cpu_times()[:2]
                    memory = process.memory_info()
                    mib += (memory.rss - memory.shared) / 2**20
            most = max(most, mib)
            time.sleep(POLL_SECONDS)
        if stage_itself.returncode:
            said.seek(0)
            raise UserError(f"{stage}: {said.read().strip()}")
    user, system = map(sum, zip(*cpu.values(), strict=True))
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": user + system,
        "user_seconds": user,
        "mib": most,
    }


def cost_of_writing(folder: Path) -> float:
    """Return the seconds of CPU that the system takes to write a file as large as the prepared ones, of zeros."""
    left, piece, before = sum(path.stat().st_size for path in folder.iterdir()), bytes(2**20), time.process_time()
    with tempfile.TemporaryFile(dir=folder) as file:
        while left > 0:
            left -= file.write(piece[:left])
    return time.process_time() - before


def measure(tracks: int) -> dict[str, Any]:
    """Return what each stage costs for so many tracks, and what writing as much as `prepare` costs the system."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        params = load_params(ROOT / "params.yaml").model_dump(mode="json") | CHANGES
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        write_dataset(folder / "data" / "mine", tracks)
        stages = {stage: cost_of(stage, folder) for stage in STAGES}
        return {"stages": stages, "writing_seconds": cost_of_writing(folder / "data" / "prepared")}


def main() -> None:
    """Measure and write."""
    rows = [
        {"tracks": tracks, "samples": tracks * SECONDS, **measure(tracks)}
        for tracks in tqdm(TRACKS, "growth", disable=None)
    ]
    exponents = [
        {"stage": stage, **{kind: exponent(rows[-2:], stage, kind) for kind in ("cpu_seconds", "user_seconds")}}
        for stage in STAGES
    ]
    for each in exponents:
        costs = [row["stages"][each["stage"]] for row in rows]
        said = "; ".join(f"{cost['cpu_seconds']:.1f} s, {cost['mib']:.0f} MiB" for cost in costs)
        print(f"{each['stage']:10}: {said}; exponent {each['cpu_seconds']:.2f}, user {each['user_seconds']:.2f}")
    print("writing   :", "; ".join(f"{row['writing_seconds']:.1f} s" for row in rows))
    write_json(RESULTS, {"sizes": rows, "exponents": exponents})


def exponent(rows: list[dict], stage: str, kind: str) -> float:
    """Return b of seconds of a kind ~ samples^b between two sizes."""
    less, more = (row["stages"][stage][kind] for row in rows)
    return math.log(more / less) / math.log(rows[1]["samples"] / rows[0]["samples"])


if __name__ == "__main__":
    run_script(main)
