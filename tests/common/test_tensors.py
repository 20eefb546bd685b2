"""Tensors on disk: what does not belong together is refused, and what is damaged named."""

from itertools import pairwise

import numpy as np
import pytest
from conftest import save_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save, save_file

from stages import prepare
from stages.common.files import DESCRIPTION, UserError, tensors_path
from stages.common.records import Description
from stages.common.tensors import TensorFile, read_prepared, read_rows, read_tensors


@settings(max_examples=60)
@given(
    shapes=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 4), max_size=3),
    backwards=st.booleans(),
    fingerprint=st.text('aü"\\\n', max_size=9),
)
def test_tensors_written_in_pieces_are_the_librarys_to_the_byte(tmp_path_factory, shapes, cuts, backwards, fingerprint):
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("tensors") / "a.safetensors"
    kinds = ("float32", "int64")
    tensors = {f"t{i}é": rng.integers(-9, 9, shape).astype(kinds[i % 2]) for i, shape in enumerate(shapes)}
    with path.open("wb") as opened:
        file = TensorFile(opened, fingerprint, {name: (each.dtype.name, each.shape) for name, each in tensors.items()})
        for name, tensor in tensors.items():
            edges = sorted({0, *(min(cut, len(tensor)) for cut in cuts), len(tensor)})
            pieces = list(pairwise(edges))
            for start, stop in reversed(pieces) if backwards else pieces:
                file.write(name, start, tensor[start:stop])
    assert path.read_bytes() == save(tensors, {"fingerprint": fingerprint})
    for framework in ("np", "pt"):
        found = read_tensors(path, framework, fingerprint)
        assert found.keys() == tensors.keys()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(np.asarray(found[name]), tensor)


def test_tensors_say_what_they_were_made_from(tmp_path):
    path, x = tmp_path / "a.safetensors", np.eye(3, dtype=np.float32)
    save_file({"x": x, "y": x}, path, {"fingerprint": "abc"})
    for framework in ("np", "pt"):
        tensors = read_tensors(path, framework, "abc")
        np.testing.assert_array_equal(tensors["x"], x)
        assert set(tensors) == {"x", "y"}
        assert set(read_tensors(path, framework, "abc", ["y"])) == {"y"}
        with pytest.raises(UserError, match=r"a.safetensors: was made from other data or parameters than the rest"):
            read_tensors(path, framework, "abd")
    path.write_bytes(save({"x": x}))
    with pytest.raises(UserError, match="was made from other"):
        read_tensors(path, "np", "abc")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content[:8] + b"[" * (len(content) - 8),
        lambda content: b"garbage" * 100,
    ],
)
def test_damaged_tensors_are_named(tmp_path, damage):
    path = tmp_path / "a.safetensors"
    path.write_bytes(damage(save({"x": np.eye(3)}, {"fingerprint": "abc"})))
    with pytest.raises(UserError, match=r"a.safetensors: not a safetensors file \(.*\); remove it and run `dvc repro`"):
        read_tensors(path, "np", "abc")
    with pytest.raises(UserError, match=r"b.safetensors: not found; `dvc repro` makes it"):
        read_tensors(tmp_path / "b.safetensors", "np", "abc")
    with pytest.raises(OSError, match="found a folder, expected a file"):
        read_tensors(tmp_path, "np", "abc")


def test_rows_are_read_from_all_parts(workplace):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    description, tensors = Description.read(DESCRIPTION), load_file(tensors_path("melgrams"))
    every = np.concatenate([tensors[f"{part}_x"] for part in ("train", "val", "test")])
    rng = np.random.default_rng(0)
    for n in (1, 2, 30, 119, 120):
        rows = np.sort(rng.choice(120, n, replace=False))
        np.testing.assert_array_equal(read_rows("melgrams", description, rows), every[rows])
    save_file(
        tensors | {"val_x": tensors["val_x"][:-1]}, tensors_path("melgrams"), {"fingerprint": description.fingerprint}
    )
    with pytest.raises(UserError, match=r"melgrams.safetensors: is not as dataset.json beside it says"):
        read_rows("melgrams", description, rows)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("val_y"),
        lambda tensors: tensors.update(extra=np.zeros(1)),
        lambda tensors: tensors.update(train_x=tensors["train_x"][:-1]),
        lambda tensors: tensors.update(train_x=tensors["train_x"].astype(np.float64)),
        lambda tensors: tensors.update(test_y=tensors["test_y"] + 1),
        lambda tensors: tensors.update(test_y=tensors["test_y"] - 1),
    ],
)
def test_prepared_tensors_are_as_the_description_says(workplace, change):
    save_dataset(workplace / "data" / "mine")
    prepare.main()
    description = Description.read(DESCRIPTION)
    tensors = load_file(tensors_path("mfccs"))
    for framework in ("np", "pt"):
        assert set(read_prepared("mfccs", description, framework)) == set(tensors)
        assert set(read_prepared("mfccs", description, framework, ["mean", "val_x"])) == {"mean", "val_x"}
    change(tensors)
    save_file(tensors, tensors_path("mfccs"), {"fingerprint": description.fingerprint})
    with pytest.raises(UserError, match=r"mfccs.safetensors: is not as dataset.json beside it says"):
        read_prepared("mfccs", description, "np")
