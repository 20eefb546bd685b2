"""The front end is written three times: NumPy's, ONNX's and JavaScript's hear the same in the same seconds."""

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
from listening.page.songs import probabilities
from small_models import TEMPERATURE, cases, judge, make_joint, make_model

import stages.listening.page.build as page
from stages.audio.front_end import FRONT_ENDS
from stages.audio.silence import is_silent
from stages.common.fingerprints import read_cards
from stages.common.joint import read_models
from stages.listening import Listener
from stages.listening import onnx as export
from stages.listening.exports import PAGE, onnx_path, outdated
from stages.listening.listener import choose_card

pytestmark = pytest.mark.usefixtures("exporter")

EACH_MODEL = """[...document.querySelectorAll("#switch input")].map((input) =>
  (input.click(), [input.parentNode.textContent.trim().split(" (")[0], window.songs[0]]))"""


@pytest.mark.parametrize(
    ("rate", "representations"),
    [
        pytest.param(8000, ["mfccs", "melgrams"], id="networks"),
        pytest.param(8020, ["mfccs"], id="frames of a prime number of samples"),
        pytest.param(22050, ["melgrams", "timbre"], id="a second is not a whole number of frames"),
    ],
)
def test_the_three_agree(workplace, request, rate, representations):
    """On one page all models of a rate are heard at once."""
    sounds, expected = cases(rate), {}
    for representation in representations:
        logits = answer(sounds, *make_model(representation, rate=rate))
        expected[representation] = torch.softmax(logits / TEMPERATURE, dim=1).numpy()
    judge(*representations)
    agree(request, sounds, expected)


def test_the_three_agree_on_a_joint_model(workplace, request):
    """And on its parts: two CNNs and a support vector machine, and a machine alone."""
    sounds = cases(8000)
    made_of = {"melgrams": {"network": "cnn", "members": 2, "vectors": 20}, "mfccs": {"members": 0, "vectors": 20}}
    logits = {name: answer(sounds, *make_model(name, **how)) for name, how in made_of.items()}
    joint = make_joint("melgrams", "mfccs")
    judge(joint.representation, "melgrams", "mfccs")
    listener = Listener(choose_card(None))
    assert listener.card == joint, "the best on the validation set"
    mean = sum(torch.softmax(each, dim=1) for each in logits.values()) / 2
    expected = {name: torch.softmax(each / TEMPERATURE, dim=1).numpy() for name, each in logits.items()}
    expected[joint.representation] = torch.softmax(torch.log(mean) / joint.temperature, dim=1).numpy()
    heard = listener.hear(np.concatenate(list(sounds.values())), 8000)
    np.testing.assert_allclose(
        heard.seconds[~heard.silent], expected[joint.representation][~heard.silent], rtol=0, atol=1e-5
    )
    agree(request, sounds, expected)
    assert outdated(read_models()) == [], "each file says what it was made of"
    assert outdated(read_cards()) == [onnx_path(joint.representation), PAGE]


def answer(sounds, model, card):
    """Return the logits that a model gives of what NumPy's front end hears in sounds, shape (sounds, classes)."""
    features = (FRONT_ENDS[card["representation"]](as_clips(sounds).astype(np.float64)) - card["mean"]) / card["std"]
    with torch.inference_mode():
        return model(torch.from_numpy(features.astype(np.float32))).double()


def as_clips(sounds):
    return (np.stack(list(sounds.values())) / 32768).astype(np.float32)


def agree(request, sounds, expected):
    """Check that ONNX and the page, in Chromium and in Firefox, hear what is expected of sounds by each model."""
    clips = as_clips(sounds)
    export.export()
    for name, wanted in expected.items():
        assert wanted.std(axis=0).min() > 0.1
        session = onnxruntime.InferenceSession(onnx_path(name))
        for n in (1, len(clips)):
            (answers,) = session.run(None, {"samples": clips[:n]})
            for sound, found, probability in zip(sounds, answers, wanted, strict=False):
                assert found.tolist() == pytest.approx(probability.tolist(), abs=1e-4), f"ONNX, {name}, {sound}"
            assert len(answers) == n

    hear = request.getfixturevalue("hear")  # here, so that ONNX is judged where there is no browser too
    firefox = request.getfixturevalue("firefox")
    page.write_page()
    soundfile.write("cases.wav", np.concatenate(list(sounds.values())), clips.shape[1])
    silent = is_silent(clips)
    assert silent.any() and not silent.all()
    hear("cases.wav")
    firefox.hear(PAGE, ["cases.wav"])
    evaluate = {"Chromium": request.getfixturevalue("tab").evaluate, "Firefox": firefox.evaluate}
    for browser in evaluate:
        heard = dict(evaluate[browser](EACH_MODEL))
        assert heard.keys() == expected.keys()
        for name, wanted in expected.items():
            where = f"{browser}, {name}: {list(sounds)}"
            wanted = np.where(silent[:, None], np.nan, wanted)
            np.testing.assert_allclose(probabilities(heard[name]), wanted, rtol=0, atol=1e-4, err_msg=where)
