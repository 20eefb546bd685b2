"""listening: a model is heard from anywhere, a file and an array alike."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT
from repository import copy_of_the_project
from small_models import make_model

from stages.common.files import MODEL, UserError, card_path, read_json
from stages.common.writing import write_json
from stages.listening.listener import Listener, choose_card

CARD = card_path("mfccs")


@pytest.fixture
def listener(workplace):
    """A listener to mfccs, from a model in data/model/."""
    make_model("mfccs")
    return Listener(CARD)


def noise(n, channels, dtype):
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (n, channels)) * np.linspace(0.1, 1, n)[:, None]
    return (sound * 32768).astype(np.int16) if dtype == "int16" else sound.astype(dtype)


@pytest.mark.parametrize(("dtype", "subtype"), [("int16", "PCM_16"), ("float32", "FLOAT"), ("float64", "DOUBLE")])
@pytest.mark.parametrize(("channels", "rate"), [(1, 8000), (2, 22050), (3, 44100)])
def test_an_array_gives_what_its_file_gives(listener, dtype, subtype, channels, rate):
    sound = noise(9 * rate + rate * 2 // 3, channels, dtype)
    soundfile.write("a.wav", sound, rate, subtype=subtype)
    of_file, of_array = listener("a.wav"), listener.hear(sound, rate)
    assert of_file.seconds.shape == (10, 3)
    assert (of_file.path, of_array.path) == (Path("a.wav"), None)
    assert of_file.genre == of_array.genre == max(of_file.probabilities, key=of_file.probabilities.get)
    assert of_file.probabilities == of_array.probabilities
    assert np.array_equal(of_file.seconds, of_array.seconds)
    assert np.array_equal(of_file.starts, np.arange(10))
    if channels == 1:
        assert np.array_equal(listener.hear(sound[:, 0], float(rate)).seconds, of_file.seconds)


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (np.zeros(9000, np.int32), 8000, "samples: found int32, expected floating point"),
        (np.array(["a"]), 8000, "samples: found <U1"),
        (np.zeros((2, 44100)), 44100, r"samples: found shape \(2, 44100\), expected \(n,\) or \(n, channels\)"),
        (np.zeros((9000, 0)), 8000, r"samples: found shape \(9000, 0\)"),
        (np.zeros((3, 3, 3)), 8000, r"samples: found shape \(3, 3, 3\)"),
        (np.float64(1), 8000, r"samples: found shape \(\)"),
        (np.ones(9000), 0, "sample_rate: found 0, expected a whole number of Hz from 1000 to 768000"),
        (np.ones(9000), 8000.5, "sample_rate: found 8000.5"),
        (np.ones(9000), np.nan, "sample_rate: found nan"),
        (np.zeros(9000), 8000, "samples: is silent throughout"),
        (np.full(9000, np.nan), 8000, "samples: holds NaN"),
        (np.full(9000, 1e300), 8000, "samples: holds NaN or infinity"),
        (np.ones(3999), 8000, "samples: is shorter than half a second"),
        (np.ones(0), 8000, "samples: is silent"),
    ],
)
def test_an_array_that_is_no_sound_is_named(listener, samples, rate, says):
    with pytest.raises(UserError, match=f"^{says}"):
        listener.hear(samples, rate)


def test_a_file_that_cannot_be_heard_is_named(listener):
    Path("a.wav").write_text("no sound")
    with pytest.raises(UserError, match=r"^a\.wav: is not audio"):
        listener("a.wav")
    with pytest.raises(UserError, match=r"^b\.wav: no such file"):
        listener("b.wav")


def test_a_file_that_breaks_off_is_heard_up_to_there(listener):
    sound = noise(24000, 1, "int16")
    soundfile.write("a.wav", sound, 8000)
    assert listener("a.wav").problem == listener.hear(sound, 8000).problem == ""
    os.truncate("a.wav", 44 + 2 * 16000)
    song = listener("a.wav")
    assert song.problem == "breaks off after 2.0 s of 3.0 s"
    assert np.array_equal(song.seconds, listener.hear(sound[:16000], 8000).seconds)


def test_what_breaks_off_at_once_is_not_said_to_be_short(listener):
    soundfile.write("a.wav", noise(24000, 1, "int16"), 8000)
    Path("a.wav").write_bytes(Path("a.wav").read_bytes()[:3244])
    with pytest.raises(UserError, match=r"^a\.wav: breaks off after 0\.2 s of 3\.0 s$"):
        listener("a.wav")


def test_silent_seconds_have_no_vote(listener):
    """In front, in the midst, behind, be they of zeros or of hiss; the others are heard as without them."""
    first, second = noise(16000, 1, "float64"), noise(24000, 1, "float64")[::-1]
    hiss = 1e-4 * second[:8000]  # below -80 dBFS
    without = listener.hear(np.concatenate([first, second]), 8000)
    song = listener.hear(np.concatenate([np.zeros((24000, 1)), first, hiss, second, hiss, hiss[:6000]]), 8000)
    assert song.silent.tolist() == [True] * 3 + [False] * 2 + [True] + [False] * 3 + [True] * 2
    assert np.isnan(song.seconds[song.silent]).all()
    np.testing.assert_allclose(song.seconds[~song.silent], without.seconds, rtol=1e-4)
    assert list(song.probabilities.values()) == pytest.approx(list(without.probabilities.values()), rel=1e-4)
    assert (song.genre, song.silent_seconds, without.silent_seconds) == (without.genre, 6, 0)
    assert not without.silent.any()


def test_seconds_whose_channels_cancel_are_silent(listener):
    left = noise(32000, 1, "float64")
    right = np.where(np.arange(32000) < 8000, -1, 1)[:, None] * left
    assert listener.hear(np.hstack([left, right]), 8000).silent.tolist() == [True] + [False] * 3


@pytest.mark.parametrize(
    ("hop", "silent", "seconds"),
    [
        (0.5, [True] * 5 + [False] * 6, 2.5),  # the window from 2.5 s holds half a second of sound
        (0.3, [True] * 7 + [False] * 11, 2.1),
        (2, [True, True, False], 4),  # what lies between the windows is not heard
    ],
)
def test_a_window_is_silent_wherever_it_starts(workplace, hop, silent, seconds):
    make_model("mfccs")
    song = Listener(CARD, hop=hop).hear(np.concatenate([np.zeros((24000, 1)), noise(24000, 1, "float64")]), 8000)
    assert song.silent.tolist() == silent
    assert song.silent_seconds == seconds


def test_the_zeros_that_fill_the_last_window_count_as_silence(listener):
    """Half a second at -68 dBFS is a second at -71; at -66 dBFS it is one at -69."""
    for level, silent in ((-68, True), (-66, False)):
        rest = 10 ** (level / 20) * (-1.0) ** np.arange(4000)[:, None]
        song = listener.hear(np.concatenate([noise(8000, 1, "float64"), rest]), 8000)
        assert song.silent.tolist() == [False, silent]


@pytest.mark.parametrize(("hop", "says"), [(1, "is silent throughout"), (2, "is silent in every window; choose a sm")])
def test_a_song_without_a_vote_is_refused(workplace, hop, says):
    """Of hiss, or, heard with gaps, of sound that no window meets."""
    make_model("mfccs")
    sound = 1e-4 * noise(24000, 1, "float64")
    sound[8000:16000] *= 1 if hop == 1 else 1e4
    with pytest.raises(UserError, match=f"^samples: {says}"):
        Listener(CARD, hop=hop).hear(sound, 8000)


def test_a_model_is_loaded_from_wherever_its_card_is(listener, tmp_path):
    sound = noise(16000, 1, "float32")
    expected = listener.hear(sound, 8000).seconds
    for name, folder in {"mfccs": tmp_path / "else where", "a.b": tmp_path}.items():
        folder.mkdir(exist_ok=True)
        for suffix in (".json", ".safetensors"):
            shutil.copy(CARD.with_suffix(suffix), folder / f"{name}{suffix}")
    shutil.rmtree(MODEL)
    assert np.array_equal(Listener(str(tmp_path / "else where" / "mfccs.json")).hear(sound, 8000).seconds, expected)
    assert np.array_equal(Listener("a.b.json").hear(sound, 8000).seconds, expected)


def test_what_is_amiss_is_named_where_it_is(listener, tmp_path):
    place = tmp_path / "there"
    shutil.copytree(MODEL, place)
    card, path = read_json(CARD), place / "mfccs.json"
    for changes, says in (
        ({"mean": [1]}, f"{path}: mean, std: expected numbers of shape"),
        ({"network": "cnn"}, f"{place}/mfccs.safetensors: the model's card says cnn, "),
        ({"weights": "x"}, f"{place}/mfccs.safetensors: was made from other data"),
        ({"front_end": None}, f"{path}: found mfccs of 26 numbers, which cannot be made from audio here; "),
        ({"front_end": card["front_end"] | {"hop_length": 7}}, f"{path}: was trained with another front end"),
    ):
        write_json(path, card | changes)
        with pytest.raises(UserError, match=f"^{says}"):
            Listener(path)
    write_json(path, card)
    path.with_suffix(".safetensors").unlink()
    with pytest.raises(UserError, match=r"^.*/there/mfccs\.safetensors: not found"):
        Listener(path)


def test_the_verdict_on_a_song_is_the_product_of_what_its_seconds_say(listener):
    """A second that is sure outweighs several that are not: the mean of the probabilities would be another."""
    song = listener.hear(noise(40000, 1, "float32"), 8000)
    product = np.prod(song.seconds, axis=0) ** (1 / 5)
    np.testing.assert_allclose(list(song.probabilities.values()), product / product.sum(), rtol=1e-9)
    assert np.abs(product / product.sum() - song.seconds.mean(axis=0)).max() > 1e-3


def test_of_the_models_that_hear_sound_the_best_on_the_validation_part_is_chosen(workplace):
    scores = {"mfccs": 0.6, "melgrams": 0.7, "other": 0.9}
    for name in ("mfccs", "melgrams"):
        make_model(name)
    for name, score in scores.items():
        card = read_json(CARD) if name == "other" else read_json(card_path(name))
        own = {"representation": name, "val_f1_macro": score}
        write_json(card_path(name), card | own | ({"front_end": None} if name == "other" else {}))
    assert choose_card(None) == card_path("melgrams")
    assert choose_card("mfccs") == CARD
    assert choose_card("other") == card_path("other")  # to be refused by its name
    for name in ("mfccs", "melgrams"):
        card_path(name).unlink()
    assert choose_card(None) == card_path("other")


def test_below_the_threshold_a_genre_is_unknown(listener):
    sound = noise(16000, 1, "float32")
    sure = listener.hear(sound, 8000)
    likeliest = max(sure.probabilities.values())
    below, exactly, above = (
        Listener(CARD, unknown=threshold) for threshold in (np.nextafter(likeliest, 0), likeliest, likeliest + 1e-9)
    )
    assert below.hear(sound, 8000).genre == exactly.hear(sound, 8000).genre == sure.genre != "unknown"
    assert above.hear(sound, 8000).genre == "unknown"
    assert above.hear(sound, 8000).probabilities == sure.probabilities
    assert (listener.genres, above.genres) == (listener.card.classes, [*listener.card.classes, "unknown"])


@pytest.mark.parametrize(("hop", "smooth", "reach"), [(1, 0, 0), (1, 1.9, 0), (1, 5, 2), (0.5, 5, 5), (2, 5, 1)])
def test_smoothing_reaches_half_as_far_on_either_side_and_leaves_the_verdict(listener, hop, smooth, reach):
    sound = noise(80000, 1, "float32")
    sound[16000:32000] = 0
    plain = Listener(CARD, hop=hop).hear(sound, 8000)
    smoother = Listener(CARD, hop=hop, smooth=smooth).hear(sound, 8000)
    assert smoother.probabilities == plain.probabilities
    assert np.array_equal(smoother.silent, plain.silent)
    assert plain.silent.any()
    for i in np.flatnonzero(~plain.silent):
        near = plain.seconds[max(0, i - reach) : i + reach + 1]
        expected = np.exp(np.nanmean(np.log(near), axis=0))
        np.testing.assert_allclose(smoother.seconds[i], expected / expected.sum(), rtol=1e-6)


@pytest.mark.parametrize("name", ["unknown", "Unknown"])
def test_a_class_called_unknown_is_not_taken_for_it(workplace, name):
    make_model("mfccs", classes=["blues", name])
    assert Listener(CARD).genres == ["blues", name]
    with pytest.raises(UserError, match=f"^unknown: {CARD}: a class has this name"):
        Listener(CARD, unknown=0.5)


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ({"hop": 0}, "hop: found 0, expected seconds from 0.001"),
        ({"hop": float("nan")}, "hop: found nan"),
        ({"unknown": 60}, "unknown: found 60, expected a probability, say 0.6"),
        ({"unknown": -0.1}, "unknown: found -0.1"),
        ({"unknown": float("nan")}, "unknown: found nan"),
        ({"smooth": -1}, "smooth: found -1, expected seconds up to 3600, say 5"),
        ({"smooth": float("nan")}, "smooth: found nan"),
    ],
)
def test_numbers_out_of_range_are_named(listener, numbers, says):
    with pytest.raises(UserError, match=f"^{says}"):
        Listener(CARD, **numbers)


@pytest.mark.parametrize("how", [[], ["--editable"]], ids=["copied", "editable"])
def test_the_lines_of_the_readme_run_in_any_folder_once_it_is_installed(workplace, tmp_path_factory, how):
    make_model("melgrams")
    soundfile.write("song.mp3", noise(30000, 2, "float64"), 8000)
    place = tmp_path_factory.mktemp("installed")
    copy_of_the_project(place / "checkout")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", place / "site", *how, place / "checkout"], check=True)
    lines = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    code = (
        f"import json, site\nsite.addsitedir({str(place / 'site')!r})\nsite.main()\n{lines}\nimport stages\n"
        "print(json.dumps([stages.__file__, song.genre, song.probabilities, song.seconds.tolist()]))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    where, genre, probabilities, seconds = json.loads(done.stdout)
    assert where == str(place / ("checkout" if how else "site") / "stages" / "__init__.py")
    expected = Listener(card_path("melgrams"))("song.mp3")
    assert genre == expected.genre
    assert probabilities == pytest.approx(expected.probabilities)
    np.testing.assert_allclose(seconds, expected.seconds, atol=1e-6)
    assert expected.seconds.shape == (4, 3)
