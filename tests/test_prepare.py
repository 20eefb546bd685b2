"""prepare: tensors as the design says, and nothing lost when the data set is bad."""

import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, make_arrays, save_arrays, save_dataset, write_params
from safetensors.numpy import load_file

from stages import prepare
from stages.files import PREPARED, UserError, read_json
from stages.learning.dataset import PARTS


def test_tensors_are_split_and_standardized(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    about = read_json(PREPARED / "dataset.json")
    assert about["classes"] == ["blues", "pop", "rock"]
    assert about["representations"] == {"melgrams": {"shape": [16, 16]}, "mfccs": {"shape": [6]}}
    assert about["counts"] == {
        part: dict.fromkeys(about["classes"], n) for part, n in zip(PARTS, (24, 8, 8), strict=True)
    }
    assert about["source"]["groups"] == 30
    rows = {}
    for name, shape in (("mfccs", (6,)), ("melgrams", (16, 16))):
        tensors = load_file(PREPARED / f"{name}.safetensors")
        assert set(tensors) == {f"{part}_{axis}" for part in PARTS for axis in ("x", "y", "unit")} | {"mean", "std"}
        assert all(tensors[f"{part}_x"].dtype == np.float32 for part in PARTS)
        assert all(tensors[f"{part}_{axis}"].dtype == np.int64 for part in PARTS for axis in ("y", "unit"))
        assert [len(set(tensors[f"{part}_unit"].tolist())) for part in PARTS] == [18, 6, 6]  # whole tracks of 4 samples
        assert tensors["train_x"].shape == (72, *shape)
        np.testing.assert_allclose(tensors["train_x"].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(tensors["train_x"].std(axis=0), 1, atol=1e-5)
        rows[name] = [tensors[f"{part}_y"].tolist() for part in PARTS]
        X = np.load(f"data/mine/{name}/X.npy")
        restored = np.concatenate([tensors[f"{part}_x"] for part in PARTS]) * tensors["std"] + tensors["mean"]
        np.testing.assert_allclose(np.sort(restored, axis=None), np.sort(X, axis=None), atol=1e-4)
    assert rows["mfccs"] == rows["melgrams"]


def test_raw_columns_stay_raw(workplace):
    save_dataset(workplace / "data" / "mine")
    write_params(standardize=False, representations=["mfccs"])
    prepare.main()
    tensors = load_file(PREPARED / "mfccs.safetensors")
    X = np.load("data/mine/mfccs/X.npy").astype(np.float32)
    assert {row.tobytes() for part in PARTS for row in tensors[f"{part}_x"]} == {row.tobytes() for row in X}
    assert not (PREPARED / "melgrams.safetensors").exists()


def test_a_split_that_is_given_is_kept(workplace):
    for part, n in (("train", 60), ("val", 24), ("test", 36)):
        X, labels, _ = make_arrays(n, classes=(3, 1, 2))
        save_arrays(workplace / "data" / "mine" / part / "mfccs", X, labels)
    prepare.main()
    about = read_json(PREPARED / "dataset.json")
    assert about["classes"] == ["1", "2", "3"]
    assert about["source"]["split"] == "given"
    tensors = load_file(PREPARED / "mfccs.safetensors")
    np.testing.assert_array_equal(tensors["test_y"], (np.arange(36) // 4 % 3 + 2) % 3)


def test_the_rate_that_audio_json_tells_is_kept(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    assert read_json(PREPARED / "dataset.json")["source"]["sample_rate"] is None
    path = workplace / "data" / "mine" / "audio.json"
    path.write_text('{"sample_rate": 16000}')
    prepare.main()
    assert read_json(PREPARED / "dataset.json")["source"]["sample_rate"] == 16000
    for bad in ('{"sample_rate": "16 kHz"}', "[]", '{"rate": 16000}'):
        path.write_text(bad)
        with pytest.raises(UserError, match=r"^data/mine/audio.json: found sample_rate .*, expected a number of Hz"):
            prepare.main()


def test_no_groups_is_worth_a_warning(workplace, capsys):
    X, labels, groups = make_arrays()
    save_arrays(workplace / "data" / "mine", X, labels)
    prepare.main()
    assert "warning: data/mine has no groups.npy" in capsys.readouterr().out
    save_arrays(workplace / "data" / "mine", X, labels, groups)
    prepare.main()
    assert "warning" not in capsys.readouterr().out


def test_a_bad_data_set_leaves_the_prepared_one(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    before = {path.name: path.read_bytes() for path in PREPARED.iterdir()}
    for changes in ({"split": {"train": 60, "val": 20, "test": 20}}, {"representations": ["wav"]}):
        write_params(**changes)
        with pytest.raises(UserError):
            prepare.main()
    write_params()
    X = np.load("data/mine/mfccs/X.npy")
    X[0, 0] = np.nan
    np.save("data/mine/mfccs/X.npy", X)
    with pytest.raises(UserError, match="NaN"):
        prepare.main()
    assert {path.name: path.read_bytes() for path in PREPARED.iterdir()} == before


def test_a_full_disk_leaves_the_prepared_one(workplace):
    """A limit on the size of files makes the same call fail that a full disk does."""
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    before = {path.name: path.read_bytes() for path in PREPARED.iterdir()}
    done = subprocess.run(
        [sys.executable, "-m", "stages.prepare"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "error: data/prepared: File too large; free some space and run this again\n"
    assert {path.name: path.read_bytes() for path in PREPARED.iterdir()} == before
    assert not [path for path in (workplace / "data").iterdir() if path.name.startswith(".")]
