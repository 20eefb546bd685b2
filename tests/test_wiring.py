"""The wiring: a small pipeline is run, and every figure it writes is derived again from the arrays on disk.

The derivation is plain NumPy, scikit-learn and a ten-line PyTorch loop. It shares no code with the project and follows
its README: whatever a stage does with another's output, with a parameter or with a column, is held here by its result.
Two recipes: one with every parameter away from its default, one by the closed form on a data set that came split.
"""

import contextlib
import csv
import json
from collections import Counter
from operator import itemgetter
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np
import pytest
import torch
import yaml
from chain import run_chain
from conftest import ROOT, save_arrays
from safetensors.numpy import load_file
from scipy.optimize import minimize_scalar
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits
from torch.nn import BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, Unflatten
from torch.nn.functional import cross_entropy, softmax

pytestmark = pytest.mark.slow

PARTS = ("train", "val", "test")
UNLIKE_THE_DEFAULTS = {
    "dataset": "data/mine",
    "representations": ["melgrams", "mfccs"],
    "split": {"train": 0.5, "val": 0.25, "test": 0.25},
    "split_seed": 3,
    "standardize": False,
    "network": {"mfccs": "mlp", "melgrams": "cnn"},
    "hidden": [12, 7],
    "dropout": 0.1,
    "label_smoothing": 0.2,
    "input_noise": 0.3,
    "mixup": 0.5,
    "spec_augment": {"bands": 5, "frames": 3},
    "optimizer": "RMSprop",
    "optimizer_args": {"momentum": 0.5, "eps": 0.01},  # eps: or its first steps go by the sign of what rounding leaves
    "lr": 0.0008,
    "schedule": "cosine",
    "class_weights": "balanced",
    "epochs": 4,
    "batch_size": 7,
    "runs": 3,
    "seed": 11,
    "snapshots": "every",
    "model": "all",
    "audio": {"sample_rate": 16000, "on_error": "skip"},
}
CLOSED_FORM = {
    "dataset": "data/given",
    "hidden": [9],
    "lr": 0.05,
    "schedule": "cosine",
    "class_weights": "balanced",
    "epochs": 6,
    "runs": 2,
    "seed": 4,
}


class Run(NamedTuple):
    """A finished pipeline: where it is and what it was asked for."""

    folder: Path
    params: dict

    def json(self, path):
        return json.loads((self.folder / path).read_text())

    def table(self, path):
        with (self.folder / path).open(newline="") as file:
            return list(csv.DictReader(file))


class Expected(NamedTuple):
    """What was derived for one representation."""

    arrays: dict  # train_x, train_y, train_unit, train_track if songs are known, ..., mean, std
    runs: list  # of epochs of {"train_loss", "val_loss", "val_accuracy", "val_f1_macro"}
    weights: list  # of epochs of weights by name
    chosen: tuple  # run and epoch
    classes: list

    def tensors(self, part: str) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(self.arrays[f"{part}_x"]), torch.tensor(self.arrays[f"{part}_y"])


def write_data(folder: Path) -> None:
    """Write both data sets: hard enough that runs, epochs and classes differ in every score."""
    rng = np.random.default_rng(7)
    numbers = np.arange(240) // 4 % 3
    groups = np.array([f"artist {i // 4 * 7 % 60:02}" for i in range(240)])
    tracks = np.array([f"song {i // 2 * 7 % 120:03}" for i in range(240)])  # two of two seconds each to an artist
    for name, shape in {"mfccs": (6,), "melgrams": (16, 16), "unasked": (3,)}.items():
        X = rng.standard_normal((240, *shape)) * 3 + 2 + numbers.reshape(-1, *[1] * len(shape)) * 1.2
        save_arrays(folder / "data/mine" / name, X, np.array(["rock", "blues", "no-wave, new"])[numbers], groups)
        np.save(folder / "data/mine" / name / "tracks.npy", tracks)
    for part, n in {"train": 150, "val": 75, "test": 90}.items():
        labels = rng.permutation(np.arange(n) % 5 % 3)
        X = rng.standard_normal((n, 4)) * [1, 5, 0, 2] + labels[:, None] * [0.6, 2, 0, 0] + 9
        save_arrays(folder / "data/given" / part / "numbers", X, np.array([40, 7, 100])[labels])


@pytest.fixture(scope="module", params=[UNLIKE_THE_DEFAULTS, CLOSED_FORM], ids=["unlike the defaults", "closed form"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wiring")
    write_data(folder)
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | request.param
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        run_chain(folder)
    return Run(folder, params)


@pytest.fixture(scope="module")
def expected(run) -> dict[str, Expected]:
    names = ["melgrams", "mfccs"] if run.params["dataset"] == "data/mine" else ["numbers"]
    timing, derived = run.json("metrics/train_cpu.json")["representations"], {}
    with contextlib.chdir(run.folder):
        for name in names:
            torch.set_num_threads(timing[name]["threads"])  # another number rounds differently
            derived[name] = derive(name, run.params)
    return derived


# --- the derivation -------------------------------------------------------------------------------------------------


def derive(name: str, params: dict) -> Expected:
    arrays, classes = split(name, params)
    if params["standardize"]:
        mean, std = arrays["train_x"].mean(axis=0), arrays["train_x"].std(axis=0)
        std[std == 0] = 1
    else:
        mean, std = np.zeros(arrays["train_x"].shape[1:]), np.ones(arrays["train_x"].shape[1:])
    for part in PARTS:
        arrays[f"{part}_x"] = ((arrays[f"{part}_x"] - mean) / std).astype(np.float32)
    arrays |= {"mean": mean.astype(np.float32), "std": std.astype(np.float32)}
    runs, weights = [], []
    for number in range(params["runs"]):
        epochs = list(train(arrays, params, name, len(classes), params["seed"] + number))
        runs.append([record for record, _ in epochs])
        weights.append([state for _, state in epochs])
    scored = [(run, epoch) for run in range(len(runs)) for epoch in range(params["epochs"])]
    chosen = max(scored, key=lambda place: runs[place[0]][place[1]]["val_f1_macro"])
    return Expected(arrays, runs, weights, chosen, classes)


def split(name: str, params: dict) -> tuple[dict, list[str]]:
    """Return the raw samples of each part, their class numbers, units and songs, and the names of the classes."""
    if params["dataset"] == "data/given":
        X, labels = (
            {part: np.load(f"data/given/{part}/{name}/{file}.npy") for part in PARTS} for file in ["X", "labels"]
        )
        classes = sorted(set(labels["train"].tolist()))
        arrays, blocks = {}, 0
        for part in PARTS:
            y = np.array([classes.index(label) for label in labels[part]])
            unit = np.zeros(len(y), int)
            for number in range(len(classes)):  # 30 neighbours of a class
                members = np.flatnonzero(y == number)
                unit[members] = [blocks + i // 30 for i in range(len(members))]
                blocks = unit[members].max() + 1
            arrays |= {f"{part}_x": X[part], f"{part}_y": y, f"{part}_unit": unit}
        return arrays, [str(label) for label in classes]
    files = ("X", "labels", "groups", "tracks")
    X, labels, groups, songs = (np.load(f"data/mine/{name}/{file}.npy") for file in files)
    rng, rows = np.random.default_rng(params["split_seed"]), {part: [] for part in PARTS}
    tracks = sorted(set(groups))
    for label in sorted(set(labels)):
        own = [i for i, track in enumerate(tracks) if labels[groups == track][0] == label]
        drawn = rng.permutation(own)  # 20 tracks of 4 seconds each: shares of a half and two quarters come out whole
        for part, members in zip(PARTS, (drawn[:10], drawn[10:15], drawn[15:]), strict=True):
            rows[part] += [i for i in range(len(X)) if tracks.index(groups[i]) in members]
    classes = sorted(set(labels))
    arrays = {}
    for part in PARTS:
        at = sorted(rows[part])
        arrays[f"{part}_x"] = X[at]
        arrays[f"{part}_y"] = np.array([classes.index(label) for label in labels[at]])
        arrays[f"{part}_unit"] = np.array([tracks.index(track) for track in groups[at]])
        arrays[f"{part}_track"] = np.array([sorted(set(songs)).index(song) for song in songs[at]])
    return arrays, classes


class OverTime(Module):
    """The mean over time, and behind it the maximum."""

    def forward(self, x):
        return torch.cat([x.mean(dim=-2), x.max(dim=-2).values], dim=1)


def new_network(name: str, params: dict, shape: tuple, n_classes: int, seed: int) -> Sequential:
    torch.manual_seed(seed)
    if name == "melgrams":
        maps = []
        for a, b, pool in ((1, 8, (1, 2)), (8, 16, 2), (16, 32, 2), (32, 64, 2)):
            maps += [Conv2d(a, b, 3, padding=1, bias=False), BatchNorm2d(b), MaxPool2d(pool), ReLU()]
        network = Sequential(Unflatten(1, (1, shape[0])), *maps, OverTime(), Flatten(), Linear(128, n_classes))
        return network.to(memory_format=torch.channels_last)  # another order in memory rounds differently
    layers, inputs = [Flatten()], int(np.prod(shape))
    for units in params["hidden"]:
        layers += [Linear(inputs, units), ReLU()]
        inputs = units
    return Sequential(*layers, Linear(inputs, n_classes))


def train(arrays: dict, params: dict, name: str, n_classes: int, seed: int):
    x, y, val_x, val_y = (torch.tensor(arrays[key]) for key in ("train_x", "train_y", "val_x", "val_y"))
    model = new_network(name, params, tuple(x.shape[1:]), n_classes, seed)
    make = getattr(torch.optim, params["optimizer"])
    optimizer = make(model.parameters(), lr=params["lr"], **params["optimizer_args"])
    shuffle, masks = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(-1 - seed)
    rng = np.random.default_rng(seed)
    weight = torch.tensor([len(y) / (n_classes * (arrays["train_y"] == number).sum()) for number in range(n_classes)])
    steps, step = params["epochs"] * -(-len(x) // params["batch_size"]), 0
    for _ in range(params["epochs"]):
        total = 0.0
        model.train()
        for rows in torch.randperm(len(x), generator=shuffle).split(params["batch_size"]):
            for group in optimizer.param_groups:  # down to zero
                group["lr"] = params["lr"] * (1 + np.cos(np.pi * step / steps)) / 2
            optimizer.zero_grad()
            batch, shares = augmented(x[rows], torch.eye(n_classes)[y[rows]], params, rng)
            told, smoothing = dropped_out(model, batch, params["dropout"], masks), params["label_smoothing"]
            loss = cross_entropy(told, shares, weight, reduction="sum", label_smoothing=smoothing)
            (loss / len(rows)).backward()
            optimizer.step()
            total += cross_entropy(told, shares, reduction="sum").item()
            step += 1
        model.eval()
        with torch.no_grad():
            logits = model(val_x)
        yield (
            {
                "train_loss": total / len(x),
                "val_loss": cross_entropy(logits, val_y).item(),
                "val_accuracy": accuracy_score(val_y, logits.argmax(1)),
                "val_f1_macro": f1_score(val_y, logits.argmax(1), average="macro"),
            },
            {key: value.clone() for key, value in model.state_dict().items()},
        )


def augmented(x: torch.Tensor, shares: torch.Tensor, params: dict, rng: np.random.Generator) -> tuple:
    """Return a batch's samples and each class's share in them: mixed, disturbed, masked.

    In operations that round as the project's: batch norm, ReLU and pooling make much of a last digit.
    """
    n = len(x)
    if params["mixup"]:
        own, others = torch.tensor(rng.beta(params["mixup"], params["mixup"], n)).float(), rng.permutation(n)
        x, shares = (
            torch.stack([torch.lerp(each[others[i]], each[i], own[i]) for i in range(n)]) for each in (x, shares)
        )
    if params["input_noise"]:
        x = torch.add(x, torch.tensor(rng.standard_normal(x.shape, dtype=np.float32)), alpha=params["input_noise"])
    for axis, most in enumerate([params["spec_augment"][name] for name in ("frames", "bands")] if x.ndim == 3 else []):
        if most:
            widths = rng.integers(0, most + 1, n)
            starts = rng.integers(0, x.shape[axis + 1] - widths + 1)
            for picture, start, width in zip(x, starts, widths, strict=True):
                picture.narrow(axis, start, width).zero_()
    return x, shares


def dropped_out(model: Sequential, x: torch.Tensor, p: float, generator: torch.Generator) -> torch.Tensor:
    """Return logits; of what goes from one layer into a fully connected one a share of p is 0, the others larger."""
    fed = [layer for layer in model if isinstance(layer, Linear) and layer is not model[1]]
    kept = torch.empty(len(x), sum(layer.in_features for layer in fed)).bernoulli_(1 - p, generator=generator)
    for layer in model:
        if layer in fed:
            own, kept = kept[:, : layer.in_features], kept[:, layer.in_features :]
            x = x * (own / (1 - p))
        x = layer(x)
    return x


def best_epochs(derived: Expected) -> list[int]:
    return [max(range(len(epochs)), key=lambda e: (epochs[e]["val_f1_macro"], -e)) for epochs in derived.runs]


def mean_of_runs(name: str, params: dict, derived: Expected, part: str = "test") -> torch.Tensor:
    """Return the logarithm of the mean of the probabilities of every run's best snapshot."""
    best = best_epochs(derived)
    own = [predict(name, params, derived, (run, epoch), part).double() for run, epoch in enumerate(best)]
    return sum(softmax(each, dim=1) for each in own).div(len(own)).log()


def answer(name: str, params: dict, derived: Expected, part: str = "test") -> torch.Tensor:
    """Return the chosen model's logits, not calibrated."""
    if params["model"] == "best":
        return predict(name, params, derived, derived.chosen, part)
    networks, machine = mean_of_runs(name, params, derived, part), machine_of(params, derived)[0]
    both = [networks, machine(derived.tensors(part)[0])]
    return sum(softmax(each, dim=1) for each in both).div(2).log()


class Model(NamedTuple):
    """What a model of data/model answers."""

    derived: Expected  # of a joint model: what it has in common with each representation's
    val: torch.Tensor  # logits on the validation set, not calibrated
    raw: torch.Tensor  # on the test set
    temperature: float

    @property
    def logits(self) -> torch.Tensor:
        return self.raw / self.temperature


def model_of(derived: Expected, answers: dict[str, torch.Tensor]) -> Model:
    return Model(derived, *answers.values(), temperature(answers["val"], derived))


@pytest.fixture(scope="module")
def models(run, expected) -> dict[str, Model]:
    found = {
        name: model_of(derived, {part: answer(name, run.params, derived, part) for part in ("val", "test")})
        for name, derived in expected.items()
    }
    if run.params["model"] == "all":
        every, both = list(found.values()), {}
        for part, logits in {"val": [each.val for each in every], "test": [each.raw for each in every]}.items():
            both[part] = sum(softmax(each, dim=1) for each in logits).div(len(logits)).log()
        found["melgrams + mfccs"] = model_of(every[0].derived, both)
    return found


def temperature(logits: torch.Tensor, derived: Expected) -> float:
    """Return what to divide logits by on the validation set, weighed by class as in training; none is quite certain."""
    (n, n_classes), y, trained = logits.shape, derived.tensors("val")[1], derived.tensors("train")[1]
    weights = torch.tensor([(trained == each).double().mean() / (y == each).double().mean() for each in y])
    likely = torch.full((n, n_classes), 1 / (n + n_classes), dtype=torch.double)
    likely[torch.arange(n), y] = (n + 1) / (n + n_classes)

    def loss(log_temperature):
        losses = cross_entropy(logits.double() / np.exp(log_temperature), likely, reduction="none")
        return (weights * losses).mean().item()

    return np.exp(minimize_scalar(loss, bounds=(-4, 4), options={"xatol": 1e-9}).x)


def machine_of(params: dict, derived: Expected):
    """Return a function of samples that gives a support vector machine's logits, and its support vectors."""

    def columns(x):
        x = torch.cat([x.mean(dim=1), x.std(dim=1, correction=0)], dim=1) if x.ndim > 2 else x
        return x.flatten(1).numpy()

    train_x, train_y = derived.tensors("train")
    scaler = StandardScaler().fit(columns(train_x))
    learnt = SVC(class_weight="balanced", decision_function_shape="ovo")
    learnt.fit(scaler.transform(columns(train_x)), train_y.numpy())

    def scores(x):
        pairs, n_classes = learnt.decision_function(scaler.transform(columns(x))), len(derived.classes)
        total, at = np.zeros((len(x), n_classes)), 0
        for one in range(n_classes):
            for other in range(one + 1, n_classes):
                total[:, one] += pairs[:, at] / (n_classes - 1)
                total[:, other] -= pairs[:, at] / (n_classes - 1)
                at += 1
        return torch.from_numpy(total)

    val_x = derived.tensors("val")[0]
    own = temperature(scores(val_x), derived)
    return lambda x: scores(x) / own, learnt.support_vectors_


def predict(name: str, params: dict, derived: Expected, place: tuple[int, int], part: str = "test") -> torch.Tensor:
    """Return the logits of a snapshot, given run and epoch."""
    x, (run, epoch) = derived.tensors(part)[0], place
    model = new_network(name, params, tuple(x.shape[1:]), len(derived.classes), 0)
    model.load_state_dict(derived.weights[run][epoch])
    model.eval()
    with torch.no_grad():
        return model(x)


def bootstrap(actual: np.ndarray, predicted: np.ndarray, units: np.ndarray, n_classes: int) -> dict:
    """Return 95 % intervals: units are drawn class by class, and samples weigh as often as their unit was drawn."""
    rng = np.random.default_rng(0)
    names = np.unique(units)
    class_of = np.array([Counter(actual[units == unit].tolist()).most_common(1)[0][0] for unit in names])
    times = np.zeros((2000, len(names)))
    for number in np.unique(class_of):
        own = np.flatnonzero(class_of == number)
        times[:, own] = rng.multinomial(len(own), [1 / len(own)] * len(own), 2000)
    weight = times[:, np.searchsorted(names, units)]
    f1 = np.zeros((2000, n_classes))
    for number in range(n_classes):
        hits = weight @ ((actual == number) & (predicted == number))
        either = weight @ (actual == number) + weight @ (predicted == number)
        f1[:, number] = np.divide(2 * hits, either, out=np.zeros(2000), where=either > 0)
    accuracy = weight @ (actual == predicted) / weight.sum(axis=1)
    drawn = {"accuracy": accuracy, "f1_macro": f1.mean(axis=1), "f1": f1}
    ends = (("low", 0.025), ("high", 0.975))
    return {f"{key}_{end}": np.quantile(value, q, axis=0).tolist() for key, value in drawn.items() for end, q in ends}


def only(content: dict, *starts: str) -> dict:
    return {key: value for key, value in content.items() if key.startswith(starts)}


def expected_baselines(name: str, derived: Expected, tracks_known: bool) -> dict:
    arrays, n_classes = derived.arrays, len(derived.classes)
    results = {}
    for baseline, model in {
        "majority_class": DummyClassifier(strategy="most_frequent"),
        "logistic_regression": make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced")
        ),
        "k_nearest_neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(5)),
        "svm_rbf": make_pipeline(StandardScaler(), SVC(class_weight="balanced")),
    }.items():

        def columns(x, baseline=baseline):
            if baseline in ("k_nearest_neighbours", "svm_rbf") and x.ndim > 2:
                x = np.concatenate([x.mean(axis=1), x.std(axis=1)], axis=1)
            return x.reshape(len(x), -1)

        def judge(train_x, train_y, test_x, test_y, units, model=model, columns=columns):
            predicted = model.fit(columns(train_x), train_y).predict(columns(test_x))
            scored = {
                "accuracy": accuracy_score(test_y, predicted),
                "f1_macro": f1_score(test_y, predicted, average="macro"),
            }
            return scored | only(bootstrap(test_y, predicted, units, n_classes), "accuracy", "f1_macro")

        results[baseline] = judge(*(arrays[key] for key in ("train_x", "train_y", "test_x", "test_y", "test_unit")))
        if tracks_known:
            votes = np.eye(n_classes)[model.predict(columns(arrays["test_x"]))]
            results[baseline]["track"] = by_song(derived, votes)
            # the same on a split at random of the same samples, half and two quarters of each class
            x, y, unit = (np.concatenate([arrays[f"{part}_{axis}"] for part in PARTS]) for axis in ("x", "y", "unit"))
            rng, train_rows, test_rows = np.random.default_rng(0), [], []
            for number in range(n_classes):
                drawn = rng.permutation(np.flatnonzero(y == number))
                train_rows += drawn[:40].tolist()
                test_rows += drawn[60:].tolist()
            train_rows, test_rows = sorted(train_rows), sorted(test_rows)
            flattered = judge(x[train_rows], y[train_rows], x[test_rows], y[test_rows], unit[test_rows])
            results[baseline]["f1_macro_split_at_random"] = flattered["f1_macro"]
    return results


def expected_judgement(model: Model, tracks_known: bool) -> dict:
    derived, logits = model.derived, model.logits
    actual = derived.arrays["test_y"]
    probabilities, predicted = softmax(logits.double(), dim=1).numpy(), logits.argmax(1).numpy()
    precision, recall, f1, _ = precision_recall_fscore_support(actual, predicted, zero_division=0)
    return overall(logits, derived, tracks_known) | {
        "groups" if tracks_known else "blocks": units_of(derived, "test"),
        **({"songs": songs_of(derived, "test")} if tracks_known else {}),
        "f1": dict(zip(derived.classes, f1, strict=True)),
        "precision": dict(zip(derived.classes, precision, strict=True)),
        "recall": dict(zip(derived.classes, recall, strict=True)),
        "true_class_probability": mean(row[number] for row, number in zip(probabilities, actual, strict=True)),
        "temperature": model.temperature,
        "uncalibrated": only(overall(model.raw, derived, tracks_known), "loss", "expected_calibration_error"),
    }


def expected_others(name: str, params: dict, derived: Expected, tracks_known: bool) -> dict:
    """Return what stands beside the chosen model of a representation."""
    best = best_epochs(derived)
    own = [predict(name, params, derived, place).argmax(1) for place in enumerate(best)]
    over_runs = [f1_score(derived.arrays["test_y"], each, average="macro") for each in own]
    return {
        "runs": {
            "f1_macro_mean": mean(over_runs),
            "f1_macro_std": stdev(over_runs),
            "best_epoch_mean": mean(best),
            "best_epoch_std": stdev(best),
        },
        "ensemble": overall(mean_of_runs(name, params, derived), derived, tracks_known) | {"members": len(own)},
        "baselines": expected_baselines(name, derived, tracks_known),
    }


def overall(logits: torch.Tensor, derived: Expected, tracks_known: bool) -> dict:
    """Return what is reported of the chosen model and of the ensemble alike."""
    actual, units = derived.arrays["test_y"], derived.arrays["test_unit"]
    probabilities, predicted = softmax(logits.double(), dim=1).numpy(), logits.argmax(1).numpy()
    rows = reliability(probabilities, actual)
    result = {
        "loss": cross_entropy(logits, torch.tensor(actual)).item(),
        "accuracy": accuracy_score(actual, predicted),
        "f1_macro": f1_score(actual, predicted, average="macro"),
        **only(bootstrap(actual, predicted, units, len(derived.classes)), "accuracy", "f1_macro"),
        "expected_calibration_error": sum(n * abs(c - a) for n, c, a in rows) / len(actual),
    }
    if tracks_known:
        result["track"] = by_song(derived, np.log(probabilities))
    return result


def by_song(derived: Expected, says: np.ndarray) -> dict:
    """Return the scores of the test set's songs, given what each second says for each class: the sums decide."""
    actual, songs = derived.arrays["test_y"], derived.arrays["test_track"]
    verdicts = [says[songs == song].sum(axis=0).argmax() for song in np.unique(songs)]
    truth = [actual[songs == song][0] for song in np.unique(songs)]
    scored = {"accuracy": accuracy_score(truth, verdicts), "f1_macro": f1_score(truth, verdicts, average="macro")}
    return scored | {"tracks": len(truth)}


def units_of(derived: Expected, part: str) -> dict:
    """Return how many tracks, or blocks, each class has in a part; each is of one class here."""
    units, y = derived.arrays[f"{part}_unit"], derived.arrays[f"{part}_y"]
    return {label: len(np.unique(units[y == number])) for number, label in enumerate(derived.classes)}


def songs_of(derived: Expected, part: str) -> dict:
    """Return how many songs each class has in a part, if they are known."""
    songs, y = derived.arrays[f"{part}_track"], derived.arrays[f"{part}_y"]
    return {label: len(np.unique(songs[y == number])) for number, label in enumerate(derived.classes)}


def reliability(probabilities: np.ndarray, actual: np.ndarray) -> list[tuple[int, float, float]]:
    """Return samples, mean confidence and accuracy of every tenth of confidence that has samples."""
    confidence, rows = probabilities.max(axis=1), []
    for tenth in range(10):
        inside = (confidence >= tenth / 10) & (confidence < (tenth + 1) / 10)
        if inside.any():
            right = probabilities[inside].argmax(axis=1) == actual[inside]
            rows.append((int(inside.sum()), confidence[inside].mean(), right.mean()))
    return rows


@pytest.fixture(scope="module")
def judgement(run, expected, models) -> dict[str, dict]:
    tracks_known = run.params["dataset"] == "data/mine"
    found = {name: expected_judgement(model, tracks_known) for name, model in models.items()}
    with threadpool_limits(1):
        for name, derived in expected.items():
            found[name] |= expected_others(name, run.params, derived, tracks_known)
    return found


def agree(found, derived, tolerance=1e-5):
    """Compare two nested structures: the same keys and texts, the same numbers within rounding."""
    if isinstance(derived, dict):
        assert found.keys() == derived.keys()
        for key in derived:
            agree(found[key], derived[key], tolerance)
    elif isinstance(derived, list | tuple):
        assert len(found) == len(derived)
        for mine, other in zip(found, derived, strict=True):
            agree(mine, other, tolerance)
    elif isinstance(derived, str) or derived is None:
        assert found == derived
    else:
        assert found == pytest.approx(derived, abs=tolerance)


# --- what the pipeline wrote ----------------------------------------------------------------------------------------


def test_tensors(run, expected):
    about = run.json("data/prepared/dataset.json")
    assert list(about["representations"]) == list(expected)
    by_track = run.params["dataset"] == "data/mine"
    assert about["source"] == {
        "dataset": run.params["dataset"],
        "sample_rate": None,
        "groups": {part: units_of(next(iter(expected.values())), part) for part in PARTS} if by_track else None,
        **({"songs": {part: songs_of(next(iter(expected.values())), part) for part in PARTS}} if by_track else {}),
        "unit": "group" if by_track else "block",
        "split": {"seed": run.params["split_seed"], **run.params["split"]} if by_track else "given",
        "standardize": run.params["standardize"],
    }
    for name, derived in expected.items():
        tensors = load_file(run.folder / f"data/prepared/{name}.safetensors")
        assert about["classes"] == derived.classes
        assert about["representations"][name] == {"shape": list(derived.arrays["train_x"].shape[1:])}
        for part in PARTS:
            counted = Counter(derived.arrays[f"{part}_y"].tolist())
            assert about["counts"][part] == {label: counted[i] for i, label in enumerate(derived.classes)}
        assert tensors.keys() == derived.arrays.keys()
        for key, array in derived.arrays.items():
            assert tensors[key].dtype == (np.int64 if key.endswith(("_y", "_unit", "_track")) else np.float32), key
            np.testing.assert_allclose(tensors[key], array, rtol=0, atol=1e-6, err_msg=key)


def test_every_epoch_of_every_run(run, expected):
    history = run.json("data/snapshots/cpu/history.json")
    for name, derived in expected.items():
        network = run.params["network"]
        assert history["representations"][name]["network"] == (network if isinstance(network, str) else network[name])
        agree(history["representations"][name]["runs"], derived.runs)
        rows = run.table(f"metrics/curves/{name}_cpu.csv")
        flat = [(r, e, record) for r, epochs in enumerate(derived.runs) for e, record in enumerate(epochs)]
        assert len(rows) == len(flat)
        for row, (number, epoch, record) in zip(rows, flat, strict=True):
            assert (int(row.pop("run")), int(row.pop("epoch"))) == (number, epoch)
            agree({key: float(value) for key, value in row.items()}, record)


def test_snapshots(run, expected):
    for name, derived in expected.items():
        folder = run.folder / "data/snapshots/cpu" / name
        kept = {}
        for number, epochs in enumerate(derived.runs):
            best = -1.0
            for epoch, record in enumerate(epochs):
                if run.params["snapshots"] == "every" or record["val_f1_macro"] > best:
                    kept[f"run_{number:02}/epoch_{epoch:02}.safetensors"] = derived.weights[number][epoch]
                best = max(best, record["val_f1_macro"])
        assert {str(path.relative_to(folder)) for path in folder.rglob("*.safetensors")} == kept.keys()
        for path, weights in kept.items():
            found = load_file(folder / path)
            assert found.keys() == weights.keys()
            for key, value in weights.items():
                np.testing.assert_allclose(found[key], value.numpy(), rtol=0, atol=1e-5, err_msg=f"{path} {key}")


def test_the_choice(run, expected, models):
    selection = run.json("metrics/select.json")
    selected, best = selection["representations"], {}
    assert selection["model"] == run.params["model"]
    for name, derived in expected.items():
        number, epoch = derived.chosen
        score = derived.runs[number][epoch]["val_f1_macro"]
        agree(selected[name], {"device": "cpu", "run": number, "epoch": epoch, "val_f1_macro": score})
        weights = load_file(run.folder / f"data/model/{name}.safetensors")
        every = run.params["model"] == "all"
        members = dict(enumerate(best_epochs(derived))) if every else {number: epoch}
        for member, own_epoch in members.items():
            before = f"0.{member}." if every else ""
            for key, value in derived.weights[member][own_epoch].items():
                np.testing.assert_allclose(weights.pop(before + key), value.numpy(), rtol=0, atol=1e-5, err_msg=key)
        card = run.json(f"data/model/{name}.json")
        if every:
            vectors = machine_of(run.params, derived)[1]
            np.testing.assert_allclose(weights["1.1.vectors"], vectors, rtol=0, atol=1e-4)
            assert card["vectors"] == len(vectors)
            weights = {key: value for key, value in weights.items() if not key.startswith("1.")}
        assert weights == {}
        on_validation_set(card, models[name])
        best[name] = card["val_f1_macro"]
        agree([card["mean"], card["std"]], [derived.arrays["mean"].tolist(), derived.arrays["std"].tolist()])
        assert (card["classes"], card["hidden"]) == (derived.classes, run.params["hidden"])
        assert card["chosen"] == selected[name]
        assert {member["run"]: member["epoch"] for member in card["members"]} == members
        assert {key: run.params[key] for key in card["params"]} == card["params"]
    assert selection["best"] == max(best, key=best.get)


def on_validation_set(card: dict, model: Model) -> None:
    """Compare what a card says of it."""
    f1 = f1_score(model.derived.arrays["val_y"], model.val.argmax(1), average="macro")
    agree([card["val_f1_macro"], card["temperature"]], [f1, model.temperature])


def test_the_joint_model(run, models):
    path = run.folder / "data/model/all/card.json"
    assert path.exists() == (run.params["model"] == "all")
    for name in models.keys() - {"melgrams", "mfccs", "numbers"}:
        card = run.json(path)
        assert (card["representation"], card["representations"]) == (name, ["melgrams", "mfccs"])
        on_validation_set(card, models[name])


def test_the_judgement(run, judgement):
    agree(run.json("metrics/evaluate.json"), judgement)


def test_the_scores(run, judgement):
    for name, judged in judgement.items():
        over_runs = {f"runs_{key[9:]}": value for key, value in only(judged.get("runs", {}), "f1_macro").items()}
        chosen = {key: judged[key] for key in ("accuracy", "f1_macro")}
        agree(run.json(f"metrics/scores/{name}.json"), chosen | over_runs)


def test_the_confusion(run, models):
    for name, model in models.items():
        derived, predicted = model.derived, model.raw.argmax(1).tolist()
        pairs = Counter(zip(derived.arrays["test_y"].tolist(), predicted, strict=True))
        pairs.update({(number, number): 0 for number in range(len(derived.classes))})  # on the diagonal even if never
        assert any(pairs[a, p] != pairs[p, a] for a, p in pairs), "else the columns could be swapped"
        assert run.table(f"metrics/confusion/{name}.csv") == [
            {"actual": derived.classes[a], "predicted": derived.classes[p], "count": str(pairs[a, p])}
            for a, p in sorted(pairs)
        ]


def test_the_songs(run, models):
    """Every song's part, and the test set's songs with their verdicts: mistakes first, the surest in front."""
    table, kinds = run.table("data/songs.csv"), set()
    for name, model in models.items():
        derived = model.derived
        found = run.table(f"data/verdicts/{name}.csv")
        if run.params["dataset"] == "data/given":
            assert table == found == []
            continue
        names, told = [f"song {number:03}" for number in range(120)], {}
        for part in PARTS:
            songs, y = derived.arrays[f"{part}_track"], derived.arrays[f"{part}_y"]
            told |= {song: (derived.classes[y[songs == song][0]], part, "2") for song in set(songs.tolist())}
        assert [(row["class"], row["part"], row["samples"]) for row in table] == [told[n] for n in range(120)]
        assert [row["song"] for row in table] == names
        probabilities = softmax(model.logits.double(), dim=1).numpy()
        songs, verdicts = derived.arrays["test_track"], {}
        for song in set(songs.tolist()):
            product = np.prod(np.sqrt(probabilities[songs == song]), axis=0)
            seconds = Counter(probabilities[songs == song].argmax(axis=1).tolist())
            verdicts[names[song]] = (told[song][0], product / product.sum(), seconds)
        assert sorted(row["song"] for row in found) == sorted(verdicts)
        for row in found:
            actual, sure, seconds = verdicts[row["song"]]
            assert (row["class"], row["verdict"]) == (actual, derived.classes[sure.argmax()])
            assert float(row["probability"]) == pytest.approx(sure.max(), abs=1e-4)
            assert [int(row[f"seconds: {label}"]) for label in derived.classes] == [seconds[i] for i in range(3)]
        order = [(row["class"] == row["verdict"], -float(row["probability"])) for row in found]
        assert order == sorted(order)
        kinds |= {right for right, _ in order}
    assert kinds == (set() if run.params["dataset"] == "data/given" else {False, True}), "else no order is seen"


def test_what_feeds_the_plots(run, models, judgement):
    f1, scored_models, calibration = [], [], []
    for name, model in models.items():
        derived, logits = model.derived, model.logits
        told = min(units_of(derived, "test").values()) >= 5
        assert told == (run.params["dataset"] == "data/mine"), "one data set with intervals, one without"
        actual, units = derived.arrays["test_y"], derived.arrays["test_unit"]
        ranges = bootstrap(actual, logits.argmax(1).numpy(), units, len(derived.classes))
        for i, label in enumerate(derived.classes):
            ends = {"low": ranges["f1_low"][i], "high": ranges["f1_high"][i]} if told else {"low": None, "high": None}
            f1.append({"representation": name, "class": label, "f1": judgement[name]["f1"][label], **ends})
        own = {"chosen model": judgement[name]}
        own |= {"ensemble": judgement[name]["ensemble"]} if "ensemble" in judgement[name] else {}
        for kind, scored in {**own, **dict(sorted(judgement[name].get("baselines", {}).items()))}.items():
            scored_models.append(
                {
                    "representation": name,
                    "model": kind.replace("_", " "),
                    "f1_macro": scored["f1_macro"],
                    "low": scored["f1_macro_low"] if told else None,
                    "high": scored["f1_macro_high"] if told else None,
                    "split_at_random": scored.get("f1_macro_split_at_random"),
                }
            )
        for samples, confidence, accuracy in reliability(softmax(logits.double(), dim=1).numpy(), actual):
            row = {"samples": samples, "confidence": confidence, "accuracy": accuracy}
            calibration.append({"representation": name, **row})
    agree(run.json("metrics/plots/f1.json"), f1)
    agree(run.json("metrics/plots/models.json"), scored_models)
    agree(run.json("metrics/plots/reliability.json"), calibration)


def test_the_times(run, expected):
    timing, history = run.json("metrics/train_cpu.json"), run.json("data/snapshots/cpu/history.json")
    assert list(timing["representations"]) == list(history["representations"]) == list(expected)
    assert set(run.json("metrics/train_gpu.json")) == {"skipped"}
    compared, shown = run.json("metrics/compare.json"), []
    for name, timed in timing["representations"].items():
        total = timed["seconds"].pop("total")
        assert compared[name] == {
            "cpu_seconds": total["median"],
            "cpu_all_runs_seconds": timed["all_runs_seconds"],
            **dict.fromkeys(("gpu_seconds", "gpu_all_runs_seconds", "gpu_speedup", "max_val_f1_difference")),
        }
        # So many runs at a time: all last at least as long as the longest, and as their sum over those at a time.
        at_once, middle = timed["runs_at_once"], [total["median"]] * (run.params["runs"] - 2)
        assert 1 <= at_once <= run.params["runs"]
        assert total["max"] <= timed["all_runs_seconds"]
        assert (total["min"] + sum(middle) + total["max"]) / at_once <= timed["all_runs_seconds"]
        assert sum(part["min"] for part in timed["seconds"].values()) <= total["min"]
        for part, spread in timed["seconds"].items():
            shown.append({"what": f"{name}, cpu: one run", "part": part, "seconds": spread["median"]})
        other = max(0, total["median"] - sum(part["median"] for part in timed["seconds"].values()))
        shown.append({"what": f"{name}, cpu: one run", "part": "other", "seconds": other})
        every = f"{name}, cpu: all {run.params['runs']} runs, {at_once} at a time"
        shown.append({"what": every, "part": "all runs", "seconds": timed["all_runs_seconds"]})
    found = run.json("metrics/plots/seconds.json")
    assert sorted(found, key=itemgetter("what", "part")) == sorted(shown, key=itemgetter("what", "part"))
