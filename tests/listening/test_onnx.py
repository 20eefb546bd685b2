"""export: what the ONNX file says of itself; tests/page/test_agreement.py holds what it hears."""

import json
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
from conftest import ROOT
from small_models import make_model

from stages.common.files import MODEL, UserError, card_path
from stages.common.records import Card
from stages.listening import onnx as export


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
