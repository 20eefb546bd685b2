"""What several tests share: a folder to work in, and small data sets."""

import contextlib
import functools
import gc
import multiprocessing
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from filelock import FileLock
from forked import programs
from hypothesis import settings

from stages.common import drawing, tasks

ROOT = Path(__file__).parents[1]

# Before torch is imported. Threads that spin while they wait make the tests ten times slower on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("tests", deadline=None)  # on a busy machine an example may take any time
settings.load_profile("tests")


# A file's tests run in one process, so the longest go first: else one core would end with the last of them alone. The
# first one makes `base`; the second does not wait for it.
LONGEST = (
    *("test_pipeline", "test_agreement", "test_bench", "test_kills", "test_features", "test_bad_input", "test_orphans"),
    *("test_elsewhere", "test_fix", "test_same_bytes", "test_worker", "test_splits", "test_graphs"),
)
TOGETHER = ("tests/listening/page/", "tests/listening/test_onnx.py")
WORKERS_IMPORT = ("av", "scipy.fft", "scipy.signal", "soxr", "torch", "safetensors.torch")


def pytest_configure(config):
    """Let all processes of a test run share what the fixture `forked` gives: each would import the same anew."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        stack = contextlib.ExitStack()
        os.environ["FORKED_PROGRAMS"] = str(stack.enter_context(programs()))
        config.add_cleanup(stack.close)


def pytest_collection_modifyitems(items):
    """Put the files that take longest in front."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give a process whole files, and one of them all that need browsers or an exporter, which start once then."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return TOGETHER[0] if file.startswith(TOGETHER) else file

    return Scheduling(config, log)


def pytest_collection():
    """Look for no garbage while tests are imported: none of torch's million objects is."""
    gc.disable()


def pytest_collection_finish():
    """Look for garbage again, but only among what the tests make, and seldom: most of it is not in cycles."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder that looks like the repository to a stage: params.yaml with small numbers, no data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    write_params()
    return tmp_path


@pytest.fixture
def mount():
    """What to put before a command that is to find a folder as a mount of its own, "rw" or "ro", on the same disk."""
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*namespace, "true"], capture_output=True).returncode:
        pytest.skip("this user may not mount anything")

    def before(folder, how):
        mounted = f'mount --bind {folder} {folder} && mount -o remount,{how},bind {folder} && cd "$PWD" && exec "$@"'
        return [*namespace, "sh", "-c", mounted, "sh"]

    return before


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    """Let stages that a test calls as functions work in its own process, where it can watch them."""
    monkeypatch.setattr(tasks, "cores", lambda: 1)


@pytest.fixture(autouse=True, scope="session")
def one_forkserver():
    """Import once what the workers of any test need: only the first preload of a process has an effect."""
    context = multiprocessing.get_context("forkserver")
    preload = context.set_forkserver_preload
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "set_forkserver_preload", lambda names: preload([*names, *WORKERS_IMPORT]))
        yield


def write_params(**changes):
    """Write params.yaml in the current folder: the project's own, smaller, with changes."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params |= {"dataset": "data/mine", "split": {"train": 0.6, "val": 0.2, "test": 0.2}}
    params |= {"hidden": [8], "epochs": 2, "runs": 2, "lr": 0.05}
    Path("params.yaml").write_text(yaml.safe_dump(params | changes, sort_keys=False))


def make_arrays(n=120, shape=(6,), classes=("blues", "pop", "rock"), seed=0):
    """Return X (n, *shape) that a small network can learn, labels (n,) in turn, groups (n,) of 4 samples each."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(n) // 4 % len(classes)
    X = rng.standard_normal((n, *shape)) + numbers.reshape(-1, *[1] * len(shape)) * 0.8
    return X, np.array(classes)[numbers], np.arange(n) // 4


def save_arrays(folder, X, labels, groups=None):
    """Write one representation."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "X.npy", X)
    np.save(folder / "labels.npy", labels)
    if groups is not None:
        np.save(folder / "groups.npy", groups)


def save_dataset(folder, seed=0):
    """Write a small data set with two representations of the same samples and their groups; another seed, no others."""
    for name, shape in {"mfccs": (6,), "melgrams": (16, 16)}.items():
        X, labels, groups = make_arrays(shape=shape, seed=seed)
        save_arrays(folder / name, X, labels, groups + 1000 * seed)


def samples(n, shape=(26,), n_classes=4, dtype=None, seed=0):
    """Return x (n, *shape) that a network can learn, as tensors, and class numbers y (n,)."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, n_classes, (n,), generator=generator)
    x = torch.randn(n, *shape, generator=generator, dtype=dtype) + 0.5 * y.reshape(-1, *[1] * len(shape))
    return x, y


@pytest.fixture
def exact():
    """Let a test set a GPU up as training does; what it asked torch for is taken back afterwards."""
    import torch

    flags = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    deterministic, workspace = torch.are_deterministic_algorithms_enabled(), os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = flags
    torch.use_deterministic_algorithms(deterministic)
    if workspace is None:
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


@pytest.fixture(scope="session")
def exporter():
    """Let PyTorch make its tables of operations, its own and ONNX's, once; each export would make them anew."""
    from torch._export import utils
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "_materialize_cpp_cia_ops", functools.cache(utils._materialize_cpp_cia_ops))
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(functools.cache(ONNXRegistry.from_torchlib)))
        yield


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory):
    """A folder where a small data set has been prepared and trained on, for 12 epochs: to look at, not to change."""
    from chain import run_chain

    folder = tmp_path_factory.mktemp("trained")
    save_dataset(folder / "data" / "mine")
    with contextlib.chdir(folder):
        write_params(epochs=12)
    run_chain(folder, "prepare", "train_cpu", "train_gpu")
    return folder


@pytest.fixture
def trained(trained_once, workplace):
    """A copy of it, the current folder."""
    shutil.copytree(trained_once, workplace, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def forked():
    """A folder of programs: `dvc`, `dask` and `python` that start at once."""
    return Path(os.environ["FORKED_PROGRAMS"])


@pytest.fixture(scope="session")
def base(forked, tmp_path_factory):
    """The small project, reproduced once for all workers of a test run, and committed: to look at, not to change.

    What the real programs make of it, test_kills.py compares.
    """
    from chain import COMMANDS
    from repository import Repository, small_project, stages_run

    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    with FileLock(shared / "base.lock"):
        if not (shared / "base").exists():
            repository = small_project(tmp_path_factory.mktemp("unfinished") / "clone", forked)
            assert stages_run(repository.dvc("repro")) == list(COMMANDS)
            repository.commit()
            repository.run("git", "gc", "--quiet")  # each copy would copy some 400 small files of git's
            repository.folder.parent.rename(shared / "base")
    return Repository(shared / "base" / "clone", forked)


@pytest.fixture
def repository(base, forked, tmp_path):
    """A copy of it to change, whose programs start at once."""
    shutil.copytree(base.folder, tmp_path / "clone", symlinks=True)
    return type(base)(tmp_path / "clone", forked)


@pytest.fixture(scope="module")
def miniature(forked, tmp_path_factory):
    """A repository in the project's place, where DVC is what is in question: its one stage takes no time."""
    from repository import miniature_of

    return miniature_of(tmp_path_factory.mktemp("miniature") / "clone", forked)


@pytest.fixture
def panels(monkeypatch):
    """A function that returns the axes of the last picture, as they were drawn."""
    drawn, save = [], drawing.save
    monkeypatch.setattr(drawing, "save", lambda figure, path: drawn.append(figure) or save(figure, path))
    return lambda: drawn[-1].axes
