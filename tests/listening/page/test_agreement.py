"""The front end is written three times: NumPy's, ONNX's and JavaScript's hear the same in the same seconds."""

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
from listening.page.songs import probabilities
from small_models import cases, judge, make_joint, make_model

import stages.listening.page.build as page
from stages.audio.front_end import FRONT_ENDS
from stages.audio.silence import is_silent
from stages.listening import Listener
from stages.listening import onnx as export
from stages.listening.exports import PAGE, onnx_path
from stages.listening.listener import choose_card


@pytest.mark.parametrize(
    ("representation", "network", "rate", "made_of"),
    [
        ("mfccs", "mlp", 8000, {}),
        ("melgrams", "mlp", 8000, {}),
        ("melgrams", "cnn", 8000, {}),
        ("mfccs", "mlp", 8020, {}),  # frames of a prime number of samples
        ("melgrams", "mlp", 22050, {}),  # a second is not a whole number of frames
        ("timbre", "mlp", 22050, {}),
        ("mfccs", "mlp", 8000, {"members": 3}),
        ("melgrams", "cnn", 8000, {"members": 2, "vectors": 20}),
        ("mfccs", "mlp", 8000, {"members": 0, "vectors": 20}),
    ],
)
def test_the_three_agree(workplace, request, representation, network, rate, made_of):
    model, card = make_model(representation, network, rate, **made_of)
    judge(representation)
    sounds = cases(rate)
    clips = (np.stack(list(sounds.values())) / 32768).astype(np.float32)
    features = (FRONT_ENDS[representation](clips.astype(np.float64)) - card["mean"]) / card["std"]
    with torch.inference_mode():
        logits = model(torch.from_numpy(features.astype(np.float32))).double()
    agree(request, representation, sounds, torch.softmax(logits / card["temperature"], dim=1).numpy())


def test_the_three_agree_on_a_joint_model(workplace, request):
    sounds, probabilities = cases(8000), []
    clips = (np.stack(list(sounds.values())) / 32768).astype(np.float32)
    for representation, made_of in {"melgrams": {"vectors": 20}, "mfccs": {"members": 2}}.items():
        model, card = make_model(representation, **made_of)
        features = (FRONT_ENDS[representation](clips.astype(np.float64)) - card["mean"]) / card["std"]
        with torch.inference_mode():
            logits = model(torch.from_numpy(features.astype(np.float32))).double()
        probabilities.append(torch.softmax(logits, dim=1))
    joint = make_joint("melgrams", "mfccs")
    judge(joint.representation, "melgrams", "mfccs")
    listener = Listener(choose_card(None))
    assert listener.card == joint, "the best on the validation set"
    logits = torch.log(sum(probabilities) / 2) / joint.temperature
    expected = torch.softmax(logits, dim=1).numpy()
    heard = listener.hear(np.concatenate(list(sounds.values())), 8000)
    np.testing.assert_allclose(heard.seconds[~heard.silent], expected[~heard.silent], rtol=0, atol=1e-6)
    agree(request, joint.representation, sounds, expected)


def agree(request, name, sounds, expected):
    """Check that ONNX and the page, in two browsers, hear what is expected of sounds, with the model of a name."""
    clips = (np.stack(list(sounds.values())) / 32768).astype(np.float32)
    rate = clips.shape[1]
    assert expected.std(axis=0).min() > 0.1
    expected = dict(zip(sounds, expected.tolist(), strict=True))

    export.export()
    session = onnxruntime.InferenceSession(onnx_path(name))
    for n in (1, len(clips)):
        (answers,) = session.run(None, {"samples": clips[:n]})
        for sound, heard in zip(list(sounds)[:n], answers, strict=True):
            assert heard.tolist() == pytest.approx(expected[sound], abs=1e-4), f"ONNX, {sound}"

    hear = request.getfixturevalue("hear")  # here, so that ONNX is judged where there is no browser too
    page.write_page()
    soundfile.write("cases.wav", np.concatenate(list(sounds.values())), rate)
    (song,), (other,) = hear("cases.wav"), request.getfixturevalue("firefox").hear(PAGE, ["cases.wav"])
    wanted = np.where(is_silent(clips)[:, None], np.nan, list(expected.values()))
    assert np.isnan(wanted).any() and not np.isnan(wanted).all()
    for browser, heard in {"Chromium": song, "Firefox": other}.items():
        np.testing.assert_allclose(
            probabilities(heard), wanted, rtol=0, atol=1e-4, err_msg=f"{browser}: {list(sounds)}"
        )
