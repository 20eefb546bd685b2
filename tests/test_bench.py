"""The measurements run: each of bench/ once, on very little, with stand-ins for peers that are not installed here."""

import contextlib
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from conftest import ROOT, save_dataset, write_params
from small_models import make_model

from bench import change, cnn, front_end, gpu, growth, recipes, songs, tables, training
from stages import check, demo, prepare
from stages.common.files import UserError, read_json
from stages.common.writing import write_csv, write_json
from stages.models.network import build_network
from stages.training.timing import hardware


def test_training(workplace, forked, monkeypatch):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "executable", str(forked / "python"))
    monkeypatch.setattr(training, "RECIPE", training.RECIPE._replace(epochs=2))
    monkeypatch.setattr(training, "GROWTH", (320,))
    monkeypatch.setattr(training, "CASES", [training.CASES[0], ("cnn", (16, 16), [])])
    # Lightning is not installed for the tests; its place is taken by a loop that has one.
    monkeypatch.setitem(training.PEERS, "PyTorch Lightning", training.plain_loop)
    monkeypatch.setattr(sys, "argv", ["bench", "--repeat", "1", "--output", "out.json"])
    training.main()
    measured = read_json(Path("out.json"))
    assert {name: about["samples"] for name, about in measured["peers"].items()} == {"mfccs": 72, "melgrams": 72}
    assert measured["peers"]["mfccs"]["plain PyTorch loop"]["ratio_to_plain"] == 1
    for about in measured["peers"].values():
        for peer in training.PEERS:
            assert about[peer]["microseconds_per_step"] == pytest.approx(about[peer]["seconds"] / 2 / 5 * 1e6)
    assert [(row["samples"], row["shape"]) for row in measured["growth"]] == [(320, [26]), (320, [21, 128])]
    assert [row["network"] for row in measured["threads"]] == ["mlp", "cnn"]
    assert measured["recipe"]["epochs"] == 2
    monkeypatch.setattr(tables, "read_json", lambda path: measured)
    assert "| 320 samples of 21 x 128 |" in tables.speed()


def test_a_step_of_the_cnn(workplace, monkeypatch):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    monkeypatch.setattr(cnn, "PRODUCT", 64)
    monkeypatch.setattr(sys, "argv", ["bench.cnn", "--repeat", "1"])
    cnn.main()
    (row,) = read_json(cnn.RESULTS)["representations"].values()
    assert row.keys() == {"SGD", "AdamW", "floor"}
    for optimizer in ("SGD", "AdamW"):
        assert row[optimizer]["ratio"] == pytest.approx(row[optimizer]["ours"] / row[optimizer]["plain PyTorch loop"])
    assert (
        f"| melgrams, SGD | {row['SGD']['plain PyTorch loop']:.1f} ms | {row['SGD']['ours']:.1f} ms |" in tables.cnn()
    )


def test_the_arithmetic_of_a_step_of_the_cnn(monkeypatch):
    """Each convolution three times a step, the first twice: its input needs no gradient."""
    monkeypatch.setattr(cnn, "multiply_adds_a_second", lambda: 1000.0)
    places = [16 * 16 * 8, 16 * 8 * 8 * 16, 8 * 4 * 16 * 32, 4 * 2 * 32 * 64]
    assert cnn.floor((16, 16), 3) == 16 * (3 * 9 * sum(places) - 9 * places[0] + 3 * 128 * 3)


def test_the_kernels_of_a_step_are_counted():
    """Three layers: 5 forward, 2 at the loss; back, each moves its weights, and all but the first make a delta in 3."""
    assert gpu.kernels_of_a_step(build_network("mlp", (26,), [128, 32], 4, 0), (26,)) == 5 + 2 + 3 + 2 * 3


def test_training_on_a_gpu(workplace, monkeypatch):
    """Where there is none, a CPU takes its place: on it, twice the CPU, all agree."""
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    for module in (gpu, training):
        monkeypatch.setattr(module, "RECIPE", training.RECIPE._replace(epochs=2))
    if not torch.cuda.is_available():
        monkeypatch.setattr(gpu, "GPU", torch.device("cpu"))
        monkeypatch.setattr(gpu, "why_missing", lambda device: None)
        about = {"gpu": "No GPU", "driver": "1.2", "cuda": "3.4"}
        monkeypatch.setattr(gpu, "hardware", lambda device: hardware(device) | about)
        monkeypatch.setattr(gpu, "AT_ONCE", (1, 2))
        monkeypatch.setattr(gpu, "PRODUCT", 64)
        monkeypatch.setattr(gpu, "cores", lambda: 1)
    monkeypatch.setattr(sys, "argv", ["bench.gpu", "--repeat", "1"])
    gpu.main()
    (path,) = gpu.RESULTS.glob("gpu-*.json")
    measured = read_json(path)
    assert measured["representations"].keys() == {"mfccs", "melgrams"}
    assert measured["cnn"].keys() == {"melgrams"}
    for about in measured["representations"].values():
        assert about["agreement"]["same_bytes_twice"]
        assert about["agreement"]["max_val_f1_difference"] < 0.1
        plain = {"plain PyTorch loop", "plain PyTorch loop, samples on the GPU"}
        assert about["train_seconds"].keys() == about["total_seconds"].keys() | plain
        assert all(about["total_seconds"][who] > about["train_seconds"][who] for who in about["total_seconds"])
    lines = tables.of_gpu(measured)
    seconds = measured["representations"]["mfccs"]["train_seconds"]["ours, CPU"]
    assert lines[0].startswith(f"| {measured['hardware']['gpu']}: 2 epochs, batches of 16 | melgrams | mfccs |")
    assert any(line.startswith("| ours, CPU |") and line.endswith(f"| {seconds:.3f} s |") for line in lines)


def stand_in(path):
    """Do what librosa and pyAudioAnalysis would do, at length."""
    return front_end.ours(path)


def test_front_end(workplace, monkeypatch):
    make_model("melgrams")
    monkeypatch.setattr(demo, "GENRES", demo.GENRES[:2])
    monkeypatch.setattr(front_end, "TRACKS", 1)
    monkeypatch.setattr(front_end, "ROUNDS", 1)
    monkeypatch.setattr(front_end, "TIMES", 1)
    monkeypatch.setattr(front_end, "peers", stand_in)
    monkeypatch.setattr(front_end, "ProcessPoolExecutor", lambda workers, context: ThreadPoolExecutor(workers))
    front_end.main()
    measured = read_json(front_end.RESULTS)
    assert measured.keys() == front_end.FORMATS.keys()
    assert [name for name, row in measured.items() if not row["ratio"]] == ["m4a, 44 kHz stereo"]
    for row in measured.values():
        if row["ratio"]:
            assert row["ratio"] == pytest.approx(row["ours"] / row["pyAudioAnalysis and librosa"])
        assert row["predict_to_ours"] == pytest.approx(row["predict"] / row["ours"])
        assert sum(row["shares"].values()) == pytest.approx(1)
    table = tables.front_end()
    assert table.count("| ratio |") == 1
    shares = [f"{row['predict_to_ours']:.0%}" for row in measured.values()]
    assert f"| `predict`, of ours | {' | '.join(shares)} |" in table


@pytest.mark.slow
def test_growth(workplace, monkeypatch):
    monkeypatch.setattr(growth, "TRACKS", (20, 200))
    monkeypatch.setattr(growth, "STAGES", ("prepare", "train gpu"))
    growth.main()
    measured = read_json(growth.RESULTS)
    assert [row["samples"] for row in measured["sizes"]] == [20 * 30, 200 * 30]
    prepare_grows = next(each for each in measured["exponents"] if each["stage"] == "prepare")
    for kind in ("user_seconds", "cpu_seconds"):
        less, more = (row["stages"]["prepare"][kind] for row in measured["sizes"])
        assert 10 ** prepare_grows[kind] == pytest.approx(more / less)
    lines = tables.growth().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:-1]] == [f"`{stage}`" for stage in growth.STAGES]
    assert f"{more:,.1f} s" in lines[2]
    assert lines[-1].startswith("| the system, writing | ")


def test_what_a_process_and_those_it_starts_cost(tmp_path, monkeypatch):
    """Both take 100 MiB and half a second of CPU; the second, a child, is counted with the first."""
    code = "import time\nheld = b'1' * 100 * 2**20\nwhile time.process_time() < 0.5: pass\n"
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "child.py").write_text(code + "time.sleep(0.3)\n")
    start = "import subprocess, sys\nchild = subprocess.Popen([sys.executable, 'stages/child.py'])\n"
    (tmp_path / "stages" / "parent.py").write_text(start + code + "child.wait()\n")
    monkeypatch.setattr(growth, "ROOT", tmp_path)
    cost = growth.cost_of("parent", tmp_path)
    assert 200 < cost["mib"] < 250
    assert 0.9 < cost["cpu_seconds"] < 1.3
    assert 0 < cost["user_seconds"] < cost["cpu_seconds"]
    (tmp_path / "stages" / "fails.py").write_text("import sys; sys.exit('error: no')")
    with pytest.raises(UserError, match="fails: error: no"):
        growth.cost_of("fails", tmp_path)


@pytest.mark.slow
def test_a_changed_parameter(miniature, forked, monkeypatch):
    """Training and the rest of `dvc repro` add up to it; both have run, with the lr of the round."""
    said, lr = [], []

    def run(folder, *command):
        said.append(command)
        told = recipes.run(folder, *command)
        if said[-1][-1] in ("repro", "cpu"):
            lr.append(read_json(folder / "metrics" / "evaluate.json")["mfccs"]["runs"]["f1_macro_mean"])
        return told

    monkeypatch.setattr(sys, "executable", str(forked / "python"))
    monkeypatch.setattr(change, "RATES", (0.5,))
    monkeypatch.setattr(change, "run", run)
    with contextlib.chdir(miniature.folder):
        change.main()
        measured = read_json(change.RESULTS)
        keys = ("dvc repro", "training", "the rest")
        assert tables.change().splitlines()[2] == f"| {' | '.join(f'{measured[key]:.1f} s' for key in keys)} |"
    assert [command[:4] for command in said[1:]] == [
        ("dvc", "repro"),
        ("sed", "-i", "s/^lr: .*/lr: 0.5/", "params.yaml"),
        ("dvc", "repro"),
        (sys.executable, "-m", "stages.train", "cpu"),
    ]
    assert lr == [0.002, 0.5, 0.5]
    assert measured["dvc repro"] == pytest.approx(measured["training"] + measured["the rest"])
    assert 0 < measured["training"] < measured["dvc repro"]


@pytest.mark.slow
def test_recipes(miniature, monkeypatch):
    against = recipes.RECIPES["against the SVM"]
    asked = {label: against[label] for label in ("lr 0.01", "AdamW, cosine, more dropout, wider")}
    monkeypatch.setattr(recipes, "RECIPES", {"against the SVM": asked})
    monkeypatch.setattr(recipes, "environment", lambda: miniature.environment)
    with contextlib.chdir(miniature.folder):
        recipes.main()
        table = tables.recipes().splitlines()
    found = miniature.json("bench/results/recipes.json")["against the SVM"]
    adamw = ["optimizer=AdamW", "lr=0.001", "schedule=cosine", "dropout=0.5", "hidden=[256,128]"]
    scores = {
        "lr 0.01": (["lr=0.01"], {"mean": 0.01, "std": 0, "ensemble": 128, "svm": 7}),
        "AdamW, cosine, more dropout, wider": (adamw, {"mean": 0.001, "std": 0.5, "ensemble": 256, "svm": 7}),
    }
    for label, (settings, f1) in scores.items():
        twice = {kind: 2 * value for kind, value in f1.items()}
        assert found[label] == {"settings": settings, "f1_macro": {"mfccs": f1, "melgrams": twice}}
    assert table[0] == (
        "| against the SVM | melgrams | melgrams: ensemble | melgrams: SVM | mfccs | mfccs: ensemble | mfccs: SVM "
        "| settings |"
    )
    assert table[2].startswith(
        "| AdamW, cosine, more dropout, wider | 0.002 ± 1.000 | 512.000 | 14.000 | 0.001 ± 0.500"
    )


@pytest.mark.parametrize("settings", [each for recipe in recipes.RECIPES.values() for each in recipe.values()], ids=str)
def test_every_recipe_asks_for_what_there_is(workplace, settings):
    save_dataset(workplace / "data" / "mine")
    write_params(**{key: yaml.safe_load(value) for key, value in (setting.split("=") for setting in settings)})
    check.main()


def test_songs_of_ones_own(workplace, monkeypatch):
    """A split's scores are its seed's; librosa's numbers stand beside the same labels and groups as ours."""
    data = Path("data/features")
    save_dataset(data)
    (data / "mfccs").rename(data / "timbre")
    labels = np.load(data / "timbre" / "labels.npy")
    row = dict.fromkeys(songs.COLUMNS, "")
    rows = [row | {"file": "a", "class": "x", "clips": len(labels)}, row | {"file": "b", "class": "y", "clips": 0}]
    write_csv(data / "tracks.csv", songs.COLUMNS, [list(each.values()) for each in rows])
    write_json(data / "audio.json", {"sample_rate": 22050})
    asked = []

    def evaluated(clone, settings):
        asked.append(settings)
        *recipe, (key, seed) = [each.split("=", 1) for each in settings]
        assert key == "split_seed"
        assert (np.load(clone / "data/songs/librosa/X.npy") == 7).all()
        assert np.array_equal(np.load(clone / "data/songs/librosa/labels.npy"), labels)
        scored = {"f1_macro": int(seed) / 10, "track": {"f1_macro": int(seed) / 5}}
        if ["model", "all"] in recipe:
            return {"melgrams + timbre": scored | {"expected_calibration_error": int(seed) / 4}}
        return {"librosa": {"baselines": {"svm_rbf": scored | {"f1_macro": 0.5}}}}

    monkeypatch.setattr(songs, "run", lambda *_: None)
    monkeypatch.setattr(songs, "evaluated", evaluated)
    monkeypatch.setattr(songs, "numbers_of", lambda some: np.full((some[0].clips, 86), 7))
    monkeypatch.setattr(songs, "SPLITS", 2)
    monkeypatch.setattr(songs, "RESULTS", Path("bench/results/songs.json"))
    songs.main()
    assert [settings[-1] for settings in asked] == [f"split_seed={seed}" for seed in (0, 0, 1, 1)]
    measured = read_json(songs.RESULTS)
    assert (measured["songs"], measured["classes"], measured["splits"]) == (1, 1, 2)
    assert tables.songs().splitlines()[2:5] == [
        "| the recipe | 0.050 ± 0.071 | 0.100 ± 0.141 | 0.125 ± 0.177 |",
        "| librosa and a support vector machine | 0.500 ± 0.000 | 0.100 ± 0.141 |  |",
        "| ahead, split by split | -0.450 ± 0.071 | 0.000 ± 0.000 |  |",
    ]
    write_json(data / "audio.json", {"sample_rate": 8000})
    with pytest.raises(UserError, match="data/features: expected songs at 22050 Hz; run the recipe"):
        songs.main()


def test_librosa_gets_the_seconds_of_a_data_set(workplace, monkeypatch):
    sound = np.sin(np.arange(int(3.7 * 22050))).astype(np.float32)
    sound[22050 : 2 * 22050] = 0
    songs.AUDIO.mkdir(parents=True)
    soundfile.write(songs.AUDIO / "a.wav", sound, 22050, subtype="FLOAT")
    monkeypatch.setattr(songs, "of_clip", lambda clip: clip[:2])
    np.testing.assert_allclose(songs.of_song("a.wav"), sound[[0, 1, 44100, 44101]].reshape(2, 2), atol=1e-6)


def test_the_readme_names_the_recipe_for_real_music():
    settings = " ".join(f"-S {shlex.quote(each)}" for each in songs.RECIPE)
    assert f"\ndvc exp run -S dataset=data/features {settings}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("settings", [songs.RECIPE, songs.PEER], ids=["recipe", "peer"])
def test_the_recipe_asks_for_what_there_is(workplace, settings):
    save_dataset(workplace / "data" / "mine")
    write_params(**{key: yaml.safe_load(value) for key, value in (each.split("=", 1) for each in settings[1:])})
    check.main()
