"""check: validate every parameter before anything else runs.

Every other stage depends on its output, directly or through another's, and it never changes: a bad value stops the
chain before DVC deletes anything, a good one reruns no more than it must.
"""

import inspect
import os
from contextlib import suppress
from pathlib import Path

from stages.common.files import UserError
from stages.common.params import PARAMS, Params, did_you_mean, load_params
from stages.common.running import run_stage
from stages.common.writing import write_json

CHECKED = Path("data/checked.json")
STAYS = "; the value stays in params.yaml: correct it there, or take it back with git checkout params.yaml"

# First-order optimizers of torch.optim: one of these without arguments needs no check against torch, which takes a
# second to import.
COMMON_OPTIMIZERS = [
    "ASGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
]
NOT_FIRST_ORDER_ON_ANY_NETWORK = {"LBFGS", "Muon", "SparseAdam"}


def main() -> None:
    """Check params.yaml, the optimizer's arguments and that the data set is there."""
    try:
        params = load_params()
        check_optimizer(params)
        check_dataset(params)
    except UserError as error:
        show_to_git(PARAMS)
        raise UserError(f"{error}{STAYS if of_an_experiment_here() else ''}") from None
    write_json(CHECKED, {"checked": True})


def show_to_git(path: Path) -> None:
    """Make a file a second newer than anything git knows of it.

    If it has the size and the second of the one that it replaced, as `-S` may leave it, git takes it for unchanged, and
    `git checkout` would not restore it.
    """
    with suppress(OSError):  # not there, or somebody else's
        about = path.stat()
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns + 10**9))


def of_an_experiment_here() -> bool:
    """Return whether `dvc exp run` runs this, and not in a copy of the repository, as those of its queue."""
    return "DVC_EXP_NAME" in os.environ and Path(os.environ.get("DVC_ROOT", "")).resolve() == Path.cwd().resolve()


def check_optimizer(params: Params) -> None:
    """Check `optimizer` and `optimizer_args` against torch.optim."""
    if params.optimizer in COMMON_OPTIMIZERS and not params.optimizer_args:
        return
    import torch

    known = sorted(
        name
        for name, value in vars(torch.optim).items()
        if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
        if name not in NOT_FIRST_ORDER_ON_ANY_NETWORK
    )
    if params.optimizer not in known:
        raise UserError(
            f"params.yaml: optimizer: found {params.optimizer}, expected one of {', '.join(known)}"
            f"{did_you_mean(params.optimizer, known)}"
        )
    optimizer = getattr(torch.optim, params.optimizer)
    accepted = [name for name in inspect.signature(optimizer).parameters if name not in ("params", "lr")]
    for argument in params.optimizer_args:
        if argument not in accepted:
            raise UserError(
                f"params.yaml: optimizer_args: found {argument}, expected arguments of {params.optimizer}: "
                f"{', '.join(accepted)}"
            )
    try:
        take_steps(params)
    except Exception as error:  # whatever the optimizer objects to, and however it does
        raise UserError(
            f"params.yaml: optimizer_args: found {params.optimizer_args}, which {params.optimizer} refuses: "
            f"{' '.join(str(error).split())}"
        ) from None


def take_steps(params: Params) -> None:
    """Take two steps as training takes them: some arguments are only refused then."""
    import torch

    from stages.training.optimizer import make_optimizer, take_step

    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = make_optimizer(params.optimizer, params.optimizer_args, params.lr, [weight])
    for _ in range(2):
        optimizer.zero_grad()
        weight.square().sum().backward()
        take_step(optimizer, params.lr)


def check_dataset(params: Params) -> None:
    """Check that the data set's folder is there, or that a stage can make it.

    DVC is asked what its stages make only if the folder is missing: to import and ask it takes 0.4 s.
    """
    if Path(params.dataset).is_dir():
        return
    wanted = Path(os.path.normpath(Path.cwd() / params.dataset))
    if not any(out.is_relative_to(wanted) or wanted.is_relative_to(out) for out in made_by_dvc()):
        raise UserError(
            f"params.yaml: dataset: found {params.dataset}, where there is no folder; expected a folder of arrays, "
            "or one that a stage makes, say data/demo"
        )


def made_by_dvc() -> list[Path]:
    """Return the absolute path of every output that DVC's files name."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        return [Path(out.fs_path) for out in Repo().index.outs]
    except DvcException as error:
        raise UserError(f"dvc: {' '.join(str(error).split())}") from None


if __name__ == "__main__":
    run_stage(main)
