"""The same bytes: what is claimed of data on any processor and of baselines on any number of threads.

NumPy and OpenBLAS choose their kernels by the processor; variables take the newer ones away from them.
"""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

OTHERS = {
    "without AVX-512": {"NPY_DISABLE_CPU_FEATURES": "AVX512_SPR AVX512_ICL X86_V4"},
    "with SSE alone": {"NPY_DISABLE_CPU_FEATURES": "AVX512_SPR AVX512_ICL X86_V4 X86_V3"},
    "an old one to the linear algebra": {"OPENBLAS_CORETYPE": "Nehalem"},
    "one thread": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    "three threads": {"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"},
}


def run(code, environment):
    """Run Python code in the current folder as a process of its own and return what it prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


DATA = """
import hashlib, json
import numpy
from stages import demo
from threadpoolctl import threadpool_info
features = numpy._core._multiarray_umath.__cpu_features__
kernels = sorted({each.get("architecture") for each in threadpool_info() if each["internal_api"] == "openblas"})
hashes = {"processor": [features.get("X86_V4"), features.get("X86_V3"), *kernels]}
for genre in demo.GENRES:
    for index in range(3):
        for name, array in demo.analyse((0, (genre, index)))[1].items():
            hashes[f"{genre} {index} {name} {array.dtype}"] = hashlib.sha256(array.tobytes()).hexdigest()
print(json.dumps(hashes))
"""

BASELINES = """
import hashlib, json
import numpy as np
from stages import baselines
rng = np.random.default_rng(0)
y = np.arange(1200) % 4
x = rng.standard_normal((1200, 300)) + y[:, None] * rng.standard_normal(300) * 0.1
build, models = baselines.build, {}
baselines.build = lambda name, *asked: models.setdefault(name, build(name, *asked))
for name in ("logistic_regression", "svm_rbf"):
    baselines.predict(name, x[:700], y[:700], x[700:], None)
learnt = {"logistic_regression": models["logistic_regression"][-1].coef_, "svm_rbf": models["svm_rbf"][-1].dual_coef_}
print(json.dumps({name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in learnt.items()}))
"""


@pytest.fixture(scope="module")
def here():
    return {code: run(code, {}) for code in (DATA, BASELINES)}


@pytest.mark.parametrize("other", OTHERS)
def test_the_demo_corpus(here, other):
    expected, found = dict(here[DATA]), run(DATA, OTHERS[other])
    processors = expected.pop("processor"), found.pop("processor")
    if "threads" not in other and "thread" not in other and processors[0] == processors[1]:
        pytest.skip(f"this processor has nothing to take away: {processors[0]}")
    assert len(expected) == 4 * 3 * 2
    assert all(key.endswith("float32") for key in expected)
    assert found == expected


@pytest.mark.parametrize("other", ["one thread", "three threads"])
def test_the_baselines_do_not_depend_on_threads(here, other):
    assert run(BASELINES, OTHERS[other]) == here[BASELINES]
