"""compare: the CPU against the GPU, in seconds and in what they learnt; only the report depends on it.

Writes metrics/compare.json, metrics/plots/seconds.json (the seconds of a run by part and of all runs, as records to
plot) and metrics/curves/REPRESENTATION_DEVICE.csv, the learning curves.
"""

from stages.common.curves import curves_path, write_curves
from stages.common.files import COMPARED, CURVES, SECONDS, UserError, mixed, timing_path
from stages.common.fingerprints import read_description, read_histories
from stages.common.records import DEVICES, History, write_by_name
from stages.common.results import Comparison, Timing
from stages.common.running import run_stage
from stages.common.writing import replacing_folder, write_json


def main() -> None:
    """Write the comparison, the seconds by part and the learning curves."""
    histories = read_histories(read_description())
    timings = {device: Timing.read(timing_path(device)) for device in histories}
    names = histories["cpu"].representations
    for device, timing in timings.items():
        if timing.representations.keys() != names.keys():
            raise UserError(mixed(timing_path(device)))
    write_by_name(COMPARED, {name: compare(name, histories, timings) for name in names})
    write_json(SECONDS, seconds_by_part(histories, timings))
    with replacing_folder(CURVES) as folder:
        for device, history in histories.items():
            for name, learnt in history.representations.items():
                epochs = [(run, i, epoch) for run, own in enumerate(learnt.runs) for i, epoch in enumerate(own)]
                write_curves(curves_path(name, device, folder), epochs)


def compare(representation: str, histories: dict[str, History], timings: dict[str, Timing]) -> Comparison:
    """Return each device's seconds, how much faster the GPU is, and how far validation macro F1 drifted apart.

    `..._seconds` are those of the median run from its start to its end, `..._all_runs_seconds` the wall clock of all
    runs: the CPU trains a run a core, the GPU side by side what gains by it. The speed-up is that of all runs.
    """
    cpu, gpu = (timings[each].representations[representation] if each in timings else None for each in DEVICES)
    return Comparison(
        cpu_seconds=cpu.seconds["total"].median,
        gpu_seconds=gpu and gpu.seconds["total"].median,
        cpu_all_runs_seconds=cpu.all_runs_seconds,
        gpu_all_runs_seconds=gpu and gpu.all_runs_seconds,
        gpu_speedup=gpu and cpu.all_runs_seconds / gpu.all_runs_seconds,
        max_val_f1_difference=gpu and drift(representation, histories),
    )


def drift(representation: str, histories: dict[str, History]) -> float:
    """Return the largest difference of validation macro F1 between the devices, over runs and epochs."""
    runs = [histories[device].representations[representation].runs for device in DEVICES]
    return max(
        abs(cpu.val_f1_macro - gpu.val_f1_macro)
        for cpu_epochs, gpu_epochs in zip(*runs, strict=True)
        for cpu, gpu in zip(cpu_epochs, gpu_epochs, strict=False)  # one of them may have diverged
    )


def seconds_by_part(histories: dict[str, History], timings: dict[str, Timing]) -> list[dict[str, str | float]]:
    """Return, for each representation and device, the seconds of the median run by part, and those of all runs."""
    records = []
    for device, history in histories.items():
        for name, learnt in history.representations.items():
            timed = timings[device].representations[name]
            seconds = {part: spread.median for part, spread in timed.seconds.items()}
            seconds["other"] = max(0.0, seconds.pop("total") - sum(seconds.values()))
            one = f"{name}, {device}: one run"
            records += [{"what": one, "part": part, "seconds": n} for part, n in seconds.items()]
            runs = f"{name}, {device}: all {len(learnt.runs)} runs, {timed.runs_at_once} at a time"
            records.append({"what": runs, "part": "all runs", "seconds": timed.all_runs_seconds})
    return records


if __name__ == "__main__":
    run_stage(main)
