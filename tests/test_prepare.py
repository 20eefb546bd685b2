"""prepare: tensors as the design says, in little memory, and nothing lost when the data set is bad."""

import json
import os
import resource
import subprocess
import sys
from collections import Counter
from unittest.mock import patch

import numpy as np
import pytest
from conftest import ROOT, make_arrays, save_arrays, save_dataset, write_params
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import runs_within
from safetensors.numpy import load_file, save

from stages import prepare
from stages.arrays import columns, dataset, npy
from stages.arrays.npy import ArrayFile
from stages.arrays.songs import Songs, Units
from stages.arrays.split import count_parts
from stages.common import units as units_of_samples
from stages.common.files import PREPARED, SONGS, UserError, read_csv, read_json
from stages.common.records import PARTS, SONG


def test_tensors_are_split_and_standardized(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    about = read_json(PREPARED / "dataset.json")
    assert about["classes"] == ["blues", "pop", "rock"]
    assert about["representations"] == {"melgrams": {"shape": [16, 16]}, "mfccs": {"shape": [6]}}
    assert about["counts"] == {
        part: dict.fromkeys(about["classes"], n) for part, n in zip(PARTS, (24, 8, 8), strict=True)
    }
    assert about["source"]["groups"] == {
        part: dict.fromkeys(about["classes"], n) for part, n in zip(PARTS, (6, 2, 2), strict=True)
    }
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


def test_the_split_is_the_same_whichever_representations_are_asked_for_in_whatever_order(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    expected = {name: load_file(PREPARED / f"{name}.safetensors") for name in ("mfccs", "melgrams")}
    for names in (["mfccs", "melgrams"], ["melgrams", "mfccs"], ["mfccs"]):
        write_params(representations=names)
        prepare.main()
        for name in names:
            for key, found in load_file(PREPARED / f"{name}.safetensors").items():
                np.testing.assert_array_equal(found, expected[name][key], err_msg=f"{names}: {name} {key}")


def test_it_says_what_became_of_the_proportion(workplace, capsys):
    save_dataset(workplace / "data" / "mine")
    write_params(split={"train": 3200, "val": 800, "test": 1376})
    prepare.main()
    assert capsys.readouterr().out.splitlines()[-1] == (
        "prepare: melgrams, mfccs: 72 train / 12 val / 36 test samples, 18 / 3 / 9 groups; 3 classes: blues, pop, rock"
    )
    X, labels, _ = make_arrays()
    save_arrays(workplace / "data" / "plain", X, labels)
    write_params(dataset="data/plain", split={"train": 3200, "val": 800, "test": 1376})
    prepare.main()
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == "prepare: plain: 71 train / 18 val / 31 test samples; 3 classes: blues, pop, rock"


def test_of_many_classes_the_first_are_named(workplace, capsys):
    names = [f"c{i:03}" for i in range(500)]
    X, labels, groups = make_arrays(n=6000, classes=names)
    save_arrays(workplace / "data" / "mine", X, labels, groups)
    prepare.main()
    warning, last = capsys.readouterr().out.splitlines()
    part = " has " + ", ".join(f"1 of {name}" for name in names[:10]) + ", and 490 more"
    assert warning.startswith(f"warning: fewer than 5 songs of a class: train{part}; val{part}; test{part}; scores")
    assert last.endswith(f" groups; 500 classes: {', '.join(names[:10])}, and 490 more")


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
        X, labels, _ = make_arrays(n, classes=(3, 1, 2), seed=n)
        save_arrays(workplace / "data" / "mine" / part / "mfccs", X, labels)
    prepare.main()
    about = read_json(PREPARED / "dataset.json")
    assert about["classes"] == ["1", "2", "3"]
    assert about["source"]["split"] == "given"
    tensors = load_file(PREPARED / "mfccs.safetensors")
    np.testing.assert_array_equal(tensors["test_y"], (np.arange(36) // 4 % 3 + 2) % 3)


def test_groups_are_counted_by_part_and_class(workplace):
    """Samples in no order; a group of several classes counts for each."""
    rng, expected = np.random.default_rng(0), {}
    for part in PARTS:
        labels = rng.permutation(np.repeat(np.array(["a", "b", "c"]), (9, 20, 11)))
        groups = rng.integers(0, 9, 40) + 100 * PARTS.index(part)
        save_arrays(workplace / "data" / "mine" / part / "mfccs", rng.standard_normal((40, 3)), labels, groups)
        expected[part] = {label: len(set(groups[labels == label])) for label in "abc"}
    prepare.main()
    assert read_json(PREPARED / "dataset.json")["source"]["groups"] == expected


def test_the_rate_that_audio_json_tells_is_kept(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    assert read_json(PREPARED / "dataset.json")["source"]["sample_rate"] is None
    path = workplace / "data" / "mine" / "audio.json"
    path.write_text('{"sample_rate": 16000}')
    prepare.main()
    assert read_json(PREPARED / "dataset.json")["source"]["sample_rate"] == 16000
    for bad, says in {
        '{"sample_rate": "16 kHz"}': "sample_rate: Input should be a valid integer",
        '{"sample_rate": 16000.5}': "sample_rate: Input should be a valid integer",
        '{"sample_rate": 999}': "sample_rate: Input should be greater than or equal to 1000",
        '{"rate": 16000}': "sample_rate: Field required",
        '{"sample_rate": 16000, "unti": "group"}': "unti: Extra inputs are not permitted",
        "[]": "the file: Input should be a valid dictionary",
        "{": "not JSON",
    }.items():
        path.write_text(bad)
        with pytest.raises(UserError, match=rf"^data/mine/audio.json: {says}.*; remove it and run `dvc repro`$"):
            prepare.main()


def test_groups_of_several_tracks_are_told_from_tracks(workplace):
    save_dataset(workplace / "data" / "mine")
    path, made = workplace / "data" / "mine" / "audio.json", []
    for content, unit in ((None, "track"), ({}, "track"), ({"unit": "track"}, "track"), ({"unit": "group"}, "group")):
        if content is not None:
            path.write_text(json.dumps({"sample_rate": 8000} | content))
        prepare.main()
        about = read_json(PREPARED / "dataset.json")
        assert about["source"]["unit"] == unit
        made.append(about["fingerprint"])
    assert made[1] == made[2] != made[3]
    path.write_text('{"sample_rate": 8000, "unit": "artist"}')
    with pytest.raises(UserError, match=r"^data/mine/audio.json: unit: Input should be 'track' or 'group'; remove it"):
        prepare.main()


@pytest.mark.parametrize("rate", [4000, 16000])
def test_features_of_another_rate_than_the_parameters_are_refused(workplace, rate):
    save_dataset(workplace / "data" / "features")
    write_params(dataset="data/features")
    (workplace / "data" / "features" / "audio.json").write_text(f'{{"sample_rate": {rate}}}')
    with pytest.raises(
        UserError, match=rf"audio.json: was made with audio.sample_rate: {rate}, params.yaml has 8000; run"
    ):
        prepare.main()


@pytest.mark.parametrize("names", [np.arange(12), np.array([f"song {i:02}" for i in range(12)])])
def test_a_track_of_two_classes_is_named(workplace, names):
    X, _, _ = make_arrays(n=120)
    labels = np.repeat(["blues", "pop"], 60).astype("U9")
    labels[10:60:2] = "blues "
    save_arrays(workplace / "data" / "mine", X, labels, np.repeat(names, 10))
    with pytest.raises(UserError) as refusal:
        prepare.main()
    assert str(refusal.value) == (
        f"data/mine: track {names[1]} holds the classes 'blues' and 'blues ' and counts for the former, so that the "
        "latter has 0 tracks, expected 3 or more, one for each part; correct labels.npy, add some or drop the class"
    )


@pytest.mark.parametrize(
    ("unit", "artists", "has"), [("group", 2, "2 groups"), ("track", 1, "1 track"), (None, None, "2 samples")]
)
def test_a_class_of_too_few_is_counted_in_what_is_dealt_out(workplace, unit, artists, has):
    """Eight songs of two artists are two groups."""
    X, labels, groups = make_arrays(n=128, classes=("blues", "pop"))
    labels[np.flatnonzero(labels == "pop")[2 if artists is None else 0 :]] = "blues"
    if artists:
        labels[-32:], groups[-32:] = "metal", 99 + np.arange(32) // 4 % artists
    save_arrays(workplace / "data" / "mine", X, labels, groups if artists else None)
    (workplace / "data" / "mine" / "audio.json").write_text(json.dumps({"sample_rate": 8000, "unit": unit or "track"}))
    with pytest.raises(UserError) as refusal:
        prepare.main()
    assert str(refusal.value) == (
        f"data/mine: labels.npy: class '{'metal' if artists else 'pop'}' has {has}, expected 3 or more, one for each "
        "part; add some or drop the class"
    )


def test_no_groups_is_worth_a_warning(workplace, capsys):
    X, labels, groups = make_arrays()
    save_arrays(workplace / "data" / "mine", X, labels)
    prepare.main()
    assert "warning: data/mine has no groups.npy" in capsys.readouterr().out
    save_arrays(workplace / "data" / "mine", X, labels, groups)
    prepare.main()
    assert "no groups.npy" not in capsys.readouterr().out


def test_few_tracks_of_a_class_are_worth_a_warning(workplace, capsys):
    """25 tracks of 4 samples each of two classes are dealt out as 15, 5 and 5; 20 of the third as 12, 4 and 4."""
    X, labels, groups = make_arrays(300)
    most = (labels != "rock") | (groups < 60)
    for rows, says in (
        (slice(None), ""),
        (most, "warning: fewer than 5 songs of a class: val has 4 of rock; test has 4 of rock; scores "),
    ):
        save_arrays(workplace / "data" / "mine", X[rows], labels[rows], groups[rows])
        prepare.main()
        *warnings, last = capsys.readouterr().out.splitlines()
        assert last.startswith("prepare: mine: ")
        assert len(warnings) == bool(says)
        assert "".join(warnings).startswith(says)


def test_a_bad_data_set_leaves_the_prepared_one(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    before = {path.name: path.read_bytes() for path in PREPARED.iterdir()}
    for changes in ({"split": {"train": 60, "val": 0, "test": 20}}, {"representations": ["wav"]}):
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


@settings(max_examples=100)
@given(
    n=st.integers(6, 200),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    kind=st.sampled_from(["<f4", ">f8", "<f2", "i1", ">i4", "<u8"]),
    order=st.sampled_from("CF"),
    block=st.integers(1, 4000),
    tile=st.integers(1, 2000),
    files=st.integers(1, 3),
    songs=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_same_bytes_whatever_the_blocks(tmp_path_factory, n, shape, kind, order, block, tile, files, songs, seed):
    """Given mean and deviation: the very bytes that the library writes of what NumPy gives all at once."""
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("bytes")
    X = np.asarray(rng.standard_normal((n, *shape)) * 9 + 40, kind, order=order)
    of_row = rng.permutation(np.concatenate([[0, 1, 2], rng.integers(0, 3, n - 3)]))
    parts = {part: np.flatnonzero(of_row == i) for i, part in enumerate(PARTS)}
    labels, units, tracks = rng.integers(0, 5, n), rng.integers(0, 99, n), rng.integers(0, 99, n)
    mean, std = rng.standard_normal(shape), rng.uniform(1, 9, shape)
    opened = []
    with (
        patch.object(npy, "BLOCK", block),
        patch.object(columns, "TILE", tile),
        patch.object(units_of_samples, "AT_ONCE", block),
    ):
        for i, piece in enumerate(np.array_split(X, files)):
            np.save(folder / f"{i}.npy", piece)
            opened.append(ArrayFile(folder / f"{i}.npy"))
        known = Units("group", units, Songs(range(99), tracks) if songs else None)
        samples = prepare.Samples(list("abcde"), labels, of_row, known, count_parts(of_row, labels, 5))
        prepare.write_prepared(folder / "x.safetensors", "made from", opened, (mean, std), samples)
    expected = {"mean": mean.astype(np.float32), "std": std.astype(np.float32)}
    for part, rows in parts.items():
        expected |= {f"{part}_x": ((X[rows] - mean) / std).astype(np.float32)}
        expected |= {f"{part}_y": labels[rows], f"{part}_unit": units[rows]}
        expected |= {f"{part}_track": tracks[rows]} if songs else {}
    assert (folder / "x.safetensors").read_bytes() == save(expected, {"fingerprint": "made from"})


@pytest.mark.parametrize("changes", [{}, {"standardize": False}])
def test_little_blocks_change_a_last_bit_at_most(workplace, changes):
    save_dataset(workplace / "data" / "mine")
    write_params(**changes)
    found = {}
    for block in (npy.BLOCK, 64 * 7):
        with patch.object(npy, "BLOCK", block):
            prepare.main()
        found[block] = {path.stem: load_file(path) for path in PREPARED.glob("*.safetensors")}
    whole, little = found.values()
    for name, tensors in whole.items():
        for key, tensor in tensors.items():
            if key in ("mean", "std"):
                np.testing.assert_array_max_ulp(little[name][key], tensor, 1)
            else:  # a sample near the mean is a small difference of larger numbers
                np.testing.assert_allclose(little[name][key], tensor, rtol=1e-6, atol=1e-12)
        if changes:
            assert all((tensors[key] == little[name][key]).all() for key in tensors)


def test_every_sample_is_read_twice(workplace, monkeypatch):
    """Once to check it and for mean and deviation, once to be written; groups are numbered in two passes."""
    save_dataset(workplace / "data" / "mine")
    read, rows_read = ArrayFile._read, Counter()

    def counting(self, file, first, rows):
        rows_read[f"{self.path.parent.name}/{self.path.stem}"] += rows
        return read(self, file, first, rows)

    monkeypatch.setattr(ArrayFile, "_read", counting)
    monkeypatch.setattr(npy, "BLOCK", 64 * 7)
    prepare.main()
    compared = {f"{name}/{file}": 120 for name in ("mfccs", "melgrams") for file in ("labels", "groups")}
    numbered = {"melgrams/labels": 240, "melgrams/groups": 360}  # the first representation's, once and twice more
    assert rows_read == compared | numbered | {"mfccs/X": 240, "melgrams/X": 240}


def zeros(path, shape, kind="<f4"):
    """Write an array of zeros that takes no room on the disk, where the file system can do that."""
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + int(np.prod(shape)) * np.dtype(kind).itemsize)


def test_samples_that_do_not_fit_into_memory(workplace):
    """192 MiB of them; two blocks are in memory at once."""
    n = 192 * 2**20 // (21 * 128 * 4)
    zeros(workplace / "data/mine/melgrams/X.npy", (n, 21, 128))
    np.save("data/mine/melgrams/labels.npy", np.arange(n) // 30 % 4)
    np.save("data/mine/melgrams/groups.npy", np.arange(n) // 30)
    runs_within(170, "from stages import prepare", "prepare.main()", workplace)
    assert sum(map(sum, (each.values() for each in read_json(PREPARED / "dataset.json")["counts"].values()))) == n


@pytest.mark.parametrize("grouped", [(), ("groups",), ("groups", "tracks")])
def test_a_sample_takes_a_few_bytes_of_memory(workplace, grouped):
    """Six million of them."""
    n = 6_000_000
    track = np.arange(n, dtype=np.int32) // 30
    zeros(workplace / "data/mine/numbers/X.npy", (n, 1), "i1")
    np.save("data/mine/numbers/labels.npy", (track % 4).astype(np.int8))
    for name in grouped:
        np.save(f"data/mine/numbers/{name}.npy", track // 40 * 4 + track % 4 if name != grouped[-1] else track)
    runs_within(280, "from stages import prepare", "prepare.main()", workplace)


def test_names_that_do_not_fit_into_memory(workplace):
    """153 MiB of names."""
    n = 400_000
    track = np.arange(n) // 30
    zeros(workplace / "data/mine/numbers/X.npy", (n, 1), "i1")
    np.save("data/mine/numbers/labels.npy", np.array(["blues", "pop"])[track % 2])
    np.save("data/mine/numbers/groups.npy", track.astype("U100"))
    runs_within(170, "from stages import prepare", "prepare.main()", workplace)
    counted = read_json(PREPARED / "dataset.json")["source"]["groups"]
    assert sum(sum(each.values()) for each in counted.values()) == track[-1] + 1


def test_groups_that_change_between_two_passes_are_told(workplace, monkeypatch):
    save_dataset(workplace / "data" / "mine")
    real, path = dataset.heads_of, "data/mine/melgrams/groups.npy"
    groups = np.load(path)

    def heads_of(*columns):
        np.save(path, groups // 2)
        return real(*columns)

    monkeypatch.setattr(dataset, "heads_of", heads_of)
    with pytest.raises(UserError, match=r"melgrams/groups.npy: was changed while it was read; run this again"):
        prepare.main()


def test_a_file_that_changes_meanwhile_leaves_the_prepared_one(workplace, monkeypatch):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    before = {path.name: path.read_bytes() for path in PREPARED.iterdir()}
    described = prepare.describe

    def describe(*arguments):
        groups = np.load("data/mine/melgrams/groups.npy")
        np.save("data/mine/melgrams/groups.npy", groups[::-1])
        return described(*arguments)

    monkeypatch.setattr(prepare, "describe", describe)
    with pytest.raises(UserError, match=r"melgrams/groups.npy: was changed while it was read; run this again"):
        prepare.main()
    assert {path.name: path.read_bytes() for path in PREPARED.iterdir()} == before


@pytest.mark.parametrize(("scale", "last"), [(1e-46, 0), (1e-300, 0), (1e-30, 1e20)])
@pytest.mark.parametrize("block", [64, npy.BLOCK])
def test_columns_that_float32_cannot_hold_are_told(workplace, monkeypatch, scale, last, block):
    """Too small, too small for the squares of deviations, and a last sample that is too far from the others."""
    monkeypatch.setattr(npy, "BLOCK", block)
    for number, part in enumerate(PARTS):
        X, labels, _ = make_arrays(36, seed=number)
        X *= scale
        X[-1] = last if part == "test" else X[-1]
        save_arrays(workplace / "data" / "mine" / part / "mfccs", X, labels)
    with pytest.raises(UserError, match=r"^mfccs/X.npy: found columns whose numbers float32 cannot hold once they are"):
        prepare.main()
    assert not PREPARED.exists()


@pytest.mark.parametrize("tracks", [False, True])
def test_a_group_in_two_given_parts_is_refused(workplace, tracks):
    for number, part in enumerate(PARTS):
        X, labels, groups = make_arrays(seed=number)
        apart = groups + 100 * number
        apart[:8] = groups[:8] + 7 * (part == "val")  # a group of four samples, 0, in training and test set
        place = workplace / "data" / "mine" / part / "mfccs"
        save_arrays(place, X, labels, apart)
        if tracks:
            np.save(place / "tracks.npy", np.arange(120) + 1000 * number)
    with pytest.raises(UserError) as refusal:
        prepare.main()
    what = "group" if tracks else "song"
    assert str(refusal.value) == (
        f"data/mine: {what} 0 is in train and in test, which inflates every score, expected it in one part; move its "
        f"samples or, if each part numbers its {what}s on its own, give them other numbers in test"
    )
    for number, part in enumerate(PARTS):
        np.save(workplace / "data" / "mine" / part / "mfccs" / "groups.npy", groups + 100 * number)
    prepare.main()


def save_artists(folder, tracks):
    """Write a small data set of songs of four samples each, three to an artist; return both by number."""
    X, labels, numbers = make_arrays(n=360)
    groups = numbers % 3 + 3 * (numbers // 9)  # songs of three classes take turns
    save_arrays(folder / "mfccs", X, labels, groups)
    np.save(folder / "mfccs" / "tracks.npy", np.array(tracks)[numbers])
    return numbers, groups


def test_songs_of_artists_are_known_apart(workplace):
    """By number, by name, and by the number of a line in a table of files."""
    by_number = np.arange(90) * 2 + 5
    by_name = np.array([f"song {number:02}" for number in range(90)])
    for tracks, names in ((by_number, by_number), (by_name, by_name), (by_number, [f"{n}.mp3" for n in by_number])):
        numbers, groups = save_artists(workplace / "data" / "mine", tracks)
        if names is not tracks:
            rows = "".join(f"{line}.mp3,x\n" for line in range(200))
            (workplace / "data" / "mine" / "tracks.csv").write_text(f"file,class\n{rows}")
        prepare.main()
        tensors, about = load_file(PREPARED / "mfccs.safetensors"), read_json(PREPARED / "dataset.json")
        assert about["source"]["unit"] == "group"
        found = list(read_csv(SONGS, SONG))
        assert [row[0] for row in found] == [str(name) for name in names]
        assert [row[3] for row in found] == [4] * 90
        for part in PARTS:
            both = (tensors[f"{part}_unit"].tolist(), tensors[f"{part}_track"].tolist())
            own = set(zip(*both, strict=True))
            assert {song for _, song in own} == {line for line, row in enumerate(found) if row[2] == part}
            assert own <= set(zip(groups.tolist(), numbers.tolist(), strict=True))
            assert tensors[f"{part}_track"].dtype == np.int64
            of_class = Counter(row[1] for row in found if row[2] == part)
            assert about["source"]["songs"][part] == of_class
            assert about["source"]["groups"][part] == {name: n / 3 for name, n in of_class.items()}


@pytest.mark.parametrize("groups", ["none", "the same", "renamed"])
def test_where_each_group_is_a_song_a_unit_is_one(workplace, groups):
    numbers, _ = save_artists(workplace / "data" / "mine", np.arange(90))
    path = workplace / "data" / "mine" / "mfccs" / "groups.npy"
    np.save(path, numbers[::-1].copy() if groups == "renamed" else numbers)
    if groups == "none":
        path.unlink()
    (workplace / "data" / "mine" / "audio.json").write_text('{"sample_rate": 8000, "unit": "group"}')
    prepare.main()
    about, tensors = read_json(PREPARED / "dataset.json"), load_file(PREPARED / "mfccs.safetensors")
    assert about["source"]["unit"] == "track"
    assert "songs" not in about["source"]
    assert not [key for key in tensors if key.endswith("_track")]
    found = list(read_csv(SONGS, SONG))
    for part in PARTS:
        assert set(tensors[f"{part}_unit"].tolist()) == {line for line, row in enumerate(found) if row[2] == part}


def test_groups_alone_are_songs_unless_somebody_says_otherwise(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    found = list(read_csv(SONGS, SONG))
    assert [row[0] for row in found] == [str(number) for number in range(30)]
    assert Counter((label, part) for _, label, part, _ in found) == {
        (label, part): n for label in ("blues", "pop", "rock") for part, n in zip(PARTS, (6, 2, 2), strict=True)
    }
    (workplace / "data" / "mine" / "audio.json").write_text('{"sample_rate": 8000, "unit": "group"}')
    prepare.main()
    assert list(read_csv(SONGS, SONG)) == []


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("labels", "song 7 is in the classes 'blues' and 'pop', expected one; correct tracks.npy or labels.npy"),
        ("groups", "song 7 is in the groups '1' and '2', expected one; correct tracks.npy or groups.npy"),
    ],
)
@pytest.mark.parametrize("at_once", [3, 2**20])
def test_a_song_in_two_classes_or_groups_is_named(workplace, monkeypatch, at_once, column, says):
    monkeypatch.setattr(units_of_samples, "AT_ONCE", at_once)
    save_artists(workplace / "data" / "mine", np.arange(90) + 6)  # 7 is the second
    path = workplace / "data" / "mine" / "mfccs" / f"{column}.npy"
    array = np.load(path)
    array[6] = array[0] if column == "labels" else 2
    np.save(path, array)
    with pytest.raises(UserError) as refusal:
        prepare.main()
    assert str(refusal.value) == f"tracks.npy: {says}"
    assert not PREPARED.exists()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("file,class\na.mp3,x\n", "found no line 1, expected one for each song; correct or remove it"),
        ("name\na.mp3\nb.mp3\n", "not a table with the column file ('file'); correct or remove it"),
    ],
)
def test_a_table_that_does_not_name_the_songs_is_refused(workplace, table, says):
    save_artists(workplace / "data" / "mine", np.arange(90))
    (workplace / "data" / "mine" / "tracks.csv").write_text(table)
    with pytest.raises(UserError) as refusal:
        prepare.main()
    assert str(refusal.value) == f"data/mine/tracks.csv: {says}"
    assert not PREPARED.exists()


def test_samples_in_two_given_parts_are_refused(workplace):
    for number, part in enumerate(PARTS):
        X, labels, _ = make_arrays(seed=number)
        X[5:10] = 0.5 * np.arange(30).reshape(5, 6) if part != "val" else X[5:10]
        save_arrays(workplace / "data" / "mine" / part / "mfccs", X, labels)
    with pytest.raises(UserError, match=r"^data/mine: found 5 of 120 different samples of train in test too, "):
        prepare.main()
    assert not PREPARED.exists()
