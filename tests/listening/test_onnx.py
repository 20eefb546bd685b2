"""export: what the ONNX file says of itself; tests/page/test_agreement.py checks all of them together."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from small_models import cases, make_model

from stages import cli, listening
from stages.audio.front_end import FRONT_ENDS
from stages.common.files import MODEL, UserError, card_path
from stages.common.records import Card
from stages.listening import onnx as export
from stages.listening.exports import fingerprints


@pytest.mark.parametrize(
    ("representation", "rate"),
    [("timbre", 8000), ("timbre", 22050), ("mfccs", 22050), ("melgrams", 22050), ("melgrams", 11025)],
)
def test_its_operations_are_numpys_at_any_rate(representation, rate):
    """Tests of the page's agreement compare the files themselves."""
    sounds = np.stack(list(cases(rate).values())) / 32768
    found = export.MODULES[representation](rate)(torch.from_numpy(sounds)).numpy()
    np.testing.assert_allclose(found, FRONT_ENDS[representation](sounds), rtol=1e-6, atol=1e-4)


def test_the_file_says_what_it_holds(workplace):
    make_model("mfccs", rate=8020, classes=["rock", "blues"])
    export.export()
    path = MODEL / "mfccs.onnx"
    said = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    card = Card.read(card_path("mfccs"))
    assert json.loads(said["classes"]) == card.classes == ["rock", "blues"]
    assert json.loads(said["front_end"]) == card.front_end.model_dump()
    assert (said["sample_rate"], said["fingerprint"]) == ("8020", fingerprints({"mfccs": card})[path])


def test_no_model_says_what_to_do(workplace):
    with pytest.raises(UserError, match="found no model that accepts audio; run `make repro` first"):
        export.export()


def test_a_missing_exporter_says_what_to_install(workplace, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr(listening, "onnx", export)  # which the next line's import replaces
    monkeypatch.delitem(sys.modules, export.__name__)
    with pytest.raises(UserError, match=r"^export needs the package onnx: pip install onnx onnxscript$"):
        cli.run(["export"])
    assert sys.modules[export.__name__] is not export, "it was imported without the exporter"
    assert not list(Path().rglob("*.onnx"))
