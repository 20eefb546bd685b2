"""export: onnxruntime hears in the ONNX file what the project hears, also in silence."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import ROOT
from models import CLASSES, make_model

from stages import export
from stages.audio.front_end import FRONT_ENDS
from stages.files import MODEL, UserError


@pytest.mark.parametrize(
    ("representation", "network", "rate"),
    [
        ("mfccs", "mlp", 8000),
        ("melgrams", "mlp", 8000),
        ("melgrams", "cnn", 8000),
        ("mfccs", "mlp", 24000),
        ("melgrams", "mlp", 24000),
    ],
)
def test_onnxruntime_agrees_on_sound_and_silence(workplace, representation, network, rate):
    model, card = make_model(representation, network, rate)
    export.main()
    with np.load(ROOT / "tests" / "golden" / f"features_{rate}.npz", allow_pickle=False) as golden:
        clips = np.concatenate([golden["clips"] / 32768, np.zeros((1, rate))]).astype(np.float32)
    session = onnxruntime.InferenceSession(MODEL / f"{representation}.onnx")
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == CLASSES
    features = (FRONT_ENDS[representation](clips.astype(np.float64)) - card["mean"]) / card["std"]
    with torch.inference_mode():
        expected = torch.softmax(model(torch.from_numpy(features.astype(np.float32))), dim=1).numpy()
    for n in (1, len(clips)):
        (probabilities,) = session.run(None, {"samples": clips[:n]})
        np.testing.assert_allclose(probabilities, expected[:n], atol=1e-4)
    assert expected.std(axis=0).max() > 0.01


def test_no_model_says_what_to_do(workplace):
    with pytest.raises(UserError, match="found no model that hears sound; run `make repro` first"):
        export.main()


def test_a_missing_exporter_says_what_to_install(workplace):
    code = (
        "import sys; sys.modules['onnx'] = None; from stages import export, running; running.run_command(export.main)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("error: export needs the package onnx: pip install onnx onnxscript\n")
    assert not list(Path().rglob("*.onnx"))
