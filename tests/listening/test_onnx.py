"""export: what the ONNX file says of itself; tests/page/test_agreement.py checks all of them together."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import ROOT
from small_models import cases, make_model

from stages.audio.front_end import FRONT_ENDS
from stages.common.files import MODEL, UserError, card_path
from stages.common.records import Card
from stages.listening import onnx as export
from stages.listening.exports import onnx_path
from stages.models.snapshots import load_chosen


@pytest.mark.parametrize(
    ("representation", "rate"),
    [("timbre", 8000), ("timbre", 22050), ("mfccs", 22050), ("melgrams", 22050), ("melgrams", 11025)],
)
def test_it_hears_what_numpy_hears_at_any_rate(workplace, representation, rate):
    make_model(representation, rate=rate)
    sounds = np.stack(list(cases(rate).values())) / 32768
    module = export.MODULES[representation](rate)
    expected = FRONT_ENDS[representation](sounds)
    np.testing.assert_allclose(module(torch.from_numpy(sounds)).numpy(), expected, rtol=1e-6, atol=1e-4)
    export.export()
    card = Card.read(card_path(representation))
    model = load_chosen(card, card_path(representation))
    x = torch.from_numpy(((expected - card.mean) / card.std).astype(np.float32))
    wanted = torch.softmax(model(x), dim=1).detach().numpy()
    session = onnxruntime.InferenceSession(onnx_path(representation))
    (heard,) = session.run(None, {"samples": sounds.astype(np.float32)})
    np.testing.assert_allclose(heard, wanted, atol=1e-4)


def test_the_file_says_what_it_holds(workplace):
    make_model("mfccs", rate=8020, classes=["rock", "blues"])
    export.export()
    said = onnxruntime.InferenceSession(MODEL / "mfccs.onnx").get_modelmeta().custom_metadata_map
    card = Card.read(card_path("mfccs"))
    assert json.loads(said["classes"]) == card.classes == ["rock", "blues"]
    assert json.loads(said["front_end"]) == card.front_end.model_dump()
    assert (said["sample_rate"], said["weights"]) == ("8020", card.weights)


def test_no_model_says_what_to_do(workplace):
    with pytest.raises(UserError, match="found no model that hears sound; run `make repro` first"):
        export.export()


def test_a_missing_exporter_says_what_to_install(workplace):
    code = "import sys; sys.modules['onnx'] = None; from stages import cli; sys.argv[1:] = ['export']; cli.main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("error: export needs the package onnx: pip install onnx onnxscript\n")
    assert not list(Path().rglob("*.onnx"))
