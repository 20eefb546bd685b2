"""demo: the corpus in small, and that its arrays are what its sound gives."""

import numpy as np
import soundfile
from conftest import write_params

from stages import demo, prepare
from stages.arrays.dataset import load_dataset
from stages.audio.decode import to_clips
from stages.audio.front_end import melgrams, mfccs
from stages.common.files import read_json
from stages.corpus.composer import compose
from stages.corpus.synth import render


def test_the_missions_counts_come_out_exactly():
    assert len(demo.GENRES) * demo.TRACKS * demo.SECONDS == 3200 + 800 + 1376


def test_the_corpus_is_the_one_of_seed_1():
    """Another seed would be another data set: every figure that the project quotes would be of something else."""
    np.testing.assert_array_equal(demo.sound("pop", 3), render(compose("pop", 3, seed=1, seconds=8), 8))


def test_a_small_corpus_is_a_data_set_and_can_be_listened_to(workplace, monkeypatch):
    monkeypatch.setattr(demo, "TRACKS", 4)
    write_params(dataset="data/demo")
    demo.main()
    assert list(load_dataset(demo.FOLDER).representations) == ["melgrams", "mfccs"]
    found = {path.stem: np.load(path) for path in (demo.FOLDER / "mfccs").iterdir()}
    spectrograms = np.load(demo.FOLDER / "melgrams" / "X.npy")
    assert (found["X"].shape, spectrograms.shape) == ((4 * 4 * 8, 26), (4 * 4 * 8, 21, 128))
    assert read_json(demo.FOLDER / "audio.json") == {"sample_rate": 8000}
    sounds = sorted((demo.FOLDER / "listen").glob("*.flac"))
    assert [path.stem for path in sounds] == [f"{genre}_{index:03}" for genre in demo.GENRES for index in (0, 1)]
    for path in sounds:
        sound, rate = soundfile.read(path)
        rows = found["groups"] == path.stem
        assert set(found["labels"][rows]) == {path.stem.split("_")[0]}
        clips = to_clips(sound, rate, 8000)
        np.testing.assert_allclose(mfccs(clips), found["X"][rows], atol=1e-9)
        np.testing.assert_allclose(melgrams(clips), spectrograms[rows], atol=1e-4)
    write_params(dataset="data/demo", split={"train": 64, "val": 32, "test": 32})
    prepare.main()
