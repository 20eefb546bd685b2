"""`dvc`, `dask` and `python` that start at once: each is forked from a process that has imported what does not change.

To import takes dvc 0.3 s, dask 0.9 s, and a stage that needs torch or scikit-learn more than 1 s; tests start each many
times. Here one process does it when it is first wanted, and forks another for whoever calls: that one goes on as
called, with the caller's folder, variables and streams, imports the stages from there, and is killed if its caller is.
What is about other signals or the start itself takes the real programs.
"""

import json
import os
import socket
import sys

if __name__ == "__main__" and sys.argv[2:]:  # who calls needs nothing of what follows
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(sys.argv[1])
        socket.send_fds(server, [b"!"], [0, 1, 2])
        called = [sys.argv[2:], os.getcwd(), dict(os.environ)]  # noqa: PTH109  to import pathlib takes longer than this
        server.sendall(json.dumps(called).encode() + b"\n")
        os._exit(int(server.recv(9)) % 256)

import atexit
import contextlib
import gc
import importlib
import runpy
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

IMPORTS = {
    "dask": ["dask.cli", "distributed.cli.dask_scheduler", "distributed.cli.dask_worker", "scipy.fft", "soxr", "torch"],
    "dvc": [
        *("dvc.cli.parser", "dvc.cachemgr", "dvc.data_cloud", "dvc.dvcfile", "dvc.parsing", "dvc.repo.artifacts"),
        *("dvc.repo.brancher", "dvc.repo.datasets", "dvc.repo.experiments.queue.celery", "dvc.repo.experiments.show"),
        *("dvc.repo.graph", "dvc.repo.index", "dvc.repo.open_repo", "dvc.repo.plots", "dvc.repo.reproduce"),
        *("dvc.repo.stage", "dvc.schema", "dvc.utils.strictyaml", "dulwich.porcelain", "networkx.algorithms"),
        *("hydra", "pygit2.repository", "pyparsing", "ruamel.yaml", "scmrepo.git.lfs"),
    ],
    "python": [
        *("av", "numpy", "pydantic.type_adapter", "pydantic.types", "safetensors.numpy", "scipy.stats", "soxr"),
        *("statistics", "torch", "yaml"),
        *("sklearn.discriminant_analysis", "sklearn.dummy", "sklearn.neighbors", "sklearn.pipeline", "sklearn.svm"),
        *("matplotlib.figure", "matplotlib.backends.backend_agg", "PIL.PngImagePlugin"),
    ],
}
PROGRAM = """#!/bin/sh
case {name}:$1 in
  dask:* | dvc:* | python:-m) exec '{python}' -IS '{file}' '{address}' {name} "$@" ;;
  *) exec '{python}' "$@" ;;
esac
"""


@contextlib.contextmanager
def programs() -> Iterator[Path]:
    """Make these in a folder; they work as long as this lasts."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # anywhere else, the socket's path may be too long
        address = f"{folder}/socket"
        for name in IMPORTS:
            program = Path(folder, name)
            program.write_text(PROGRAM.format(name=name, python=sys.executable, file=__file__, address=address))
            program.chmod(0o755)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, __file__, address], **pipes) as server:
            assert server.stdout.read(1), "it listens"
            yield Path(folder)


def serve(address: str) -> list[str]:
    """Answer calls until whoever started this ends; return what was called, each time in a process of its own."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        os.write(1, b"!")
        signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler the next line would not hear of it
        ended, ends = os.pipe()
        os.set_blocking(ends, False)
        signal.set_wakeup_fd(ends)
        callers = {}  # by their processes
        while 0 not in (ready := select.select([listener, 0, ended, *callers.values()], [], [])[0]):
            for process, caller in callers.items():
                if caller in ready and not caller.recv(1):  # it is gone
                    os.kill(process, signal.SIGKILL)
            if ended in ready:
                os.read(ended, 4096)
                for process in list(callers):
                    found, status = os.waitpid(process, os.WNOHANG)
                    if found:
                        with callers.pop(process) as caller, contextlib.suppress(BrokenPipeError):  # who was killed
                            caller.sendall(b"%d" % os.waitstatus_to_exitcode(status))
            if listener in ready:
                caller, _ = listener.accept()
                _, streams, *_ = socket.recv_fds(caller, 1, 3)
                called, folder, variables = json.loads(caller.makefile().readline())
                for module in IMPORTS[called[0]]:
                    importlib.import_module(module)
                gc.freeze()  # else each process would copy all objects as it looks for garbage
                process = os.fork()
                for number, stream in enumerate(streams):
                    if not process:
                        os.dup2(stream, number)
                    os.close(stream)
                if not process:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.chdir(folder)
                    os.environ.clear()
                    os.environ.update(variables)
                    return called
                callers[process] = caller
    for process in callers:
        os.kill(process, signal.SIGKILL)
    os._exit(0)


def parse_locks_in_c() -> None:
    """Let DVC read lock files, which hold no comments, by the parser that keeps none; it takes a tenth of the time."""
    from dvc.utils.serialize import _yaml

    keeping_comments = _yaml.parse_yaml_for_update

    def parse(text, path):
        return (_yaml.parse_yaml if str(path).endswith(".lock") else keeping_comments)(text, path)

    _yaml.parse_yaml_for_update = parse


def run(name: str, *arguments: str) -> None:
    """Run `dvc`, `dask` or `python -m`, as their own programs do."""
    if "dask" in sys.modules:  # which reads the variables as it is imported
        importlib.import_module("dask.config").refresh()
    asked = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [*([str(Path.cwd())] if name == "python" else []), *asked]
    if name == "dvc":
        from dvc.cli import main

        parse_locks_in_c()
        sys.argv = [name, *arguments]
        sys.exit(main())
    module, *words = arguments[1:] if name == "python" else (name, *arguments)
    sys.argv = [module, *words]
    if module.startswith("stages."):
        from stages.common import tasks

        tasks.cores = lambda: 1  # workers would import again what has been imported here
    runpy.run_module(module, run_name="__main__", alter_sys=True)


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Let this process end as soon as what it called has, and not go through all that was imported, nor copy it."""
    status = 1

    def end() -> None:
        sys.stdout.flush()
        os._exit(status)

    atexit.register(end)  # called before all that was registered earlier, among it torch's, which take 0.2 s
    try:
        yield
        status = 0
    except SystemExit as asked:
        status = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
        raise


if __name__ == "__main__":
    called = serve(sys.argv[1])
    with ending_at_once():
        run(*called)
