"""page: one small file that needs no other, of the models there are, with figures that belong to them."""

import json
import re
from base64 import b64encode
from hashlib import sha256

import pytest
from small_models import CHOSEN, judge, make_model

import stages.listening.page.build as page
from stages.common.files import MODEL, SELECTED, UserError, card_path
from stages.common.writing import write_json
from stages.listening.exports import PAGE


def block(tag, text):
    return re.search(rf"<{tag}>(.*?)</{tag.split()[0]}>", text, re.DOTALL)[1]


def data():
    return json.loads(block('script id="data" type="application/json"', PAGE.read_text()))


def test_the_file_of_usual_models_is_small_and_whole(workplace, capsys):
    for representation in ("mfccs", "melgrams"):
        make_model(representation, hidden=[128, 32])
    judge("melgrams", "mfccs")
    page.write_page()
    assert PAGE.stat().st_size < 3e6
    assert "melgrams and mfccs; open it in a browser" in capsys.readouterr().out
    text = PAGE.read_text()
    assert "{{" not in text
    assert [model["name"] for model in data()["models"]] == ["melgrams", "mfccs"]


def test_the_policy_lets_nothing_in_but_the_page_itself(workplace):
    make_model("mfccs")
    judge("mfccs")
    page.write_page()
    text = PAGE.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"https?:|unsafe|\*|connect-src", policy)
    for tag in ("script", "style"):
        own = b64encode(sha256(block(tag, text).encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{own}'" in policy


def test_the_best_model_on_the_validation_part_comes_first(workplace):
    make_model("melgrams")
    make_model("mfccs")
    judge("melgrams", "mfccs")
    write_json(card_path("mfccs"), json.loads(card_path("mfccs").read_text()) | {"val_f1_macro": 0.6})
    page.write_page()
    assert [model["name"] for model in data()["models"]] == ["mfccs", "melgrams"]


def test_a_name_that_looks_like_html_stays_a_name(workplace):
    name = "</script><script>alert(1)</script>"
    make_model("mfccs", classes=["blues", "pop", name])
    judge("mfccs")
    page.write_page()
    assert name not in PAGE.read_text()
    assert data()["models"][0]["classes"][2] == name


def test_no_model_says_what_to_do(workplace):
    with pytest.raises(UserError, match="found no model that accepts audio; run `make repro` first"):
        page.write_page()


def test_figures_of_another_model_are_refused(workplace):
    make_model("mfccs")
    judge("melgrams")
    with pytest.raises(UserError, match=r"metrics/select.json: was made from other data or parameters"):
        page.write_page()
    selection = {"best": "mfccs", "model": "best", "representations": {"mfccs": CHOSEN | {"epoch": 1}}}
    write_json(SELECTED, selection)
    with pytest.raises(UserError, match=r"metrics/select.json: was made from other data or parameters"):
        page.write_page()
    write_json(SELECTED, selection | {"representations": {"mfccs": CHOSEN}})
    with pytest.raises(UserError, match=r"metrics/evaluate.json: was made from other data or parameters"):
        page.write_page()
    assert not PAGE.exists()
    assert sorted(path.suffix for path in MODEL.iterdir()) == [".json", ".safetensors"]
