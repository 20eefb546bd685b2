"""check: validate every parameter before anything else runs.

Every other stage depends on its output, directly or through another's, and it never changes: a bad value stops the
chain before DVC deletes anything, a good one reruns no more than it must.
"""

import inspect
from pathlib import Path

import yaml

from stages.files import UserError
from stages.params import Params, load_params
from stages.running import run_stage
from stages.writing import write_json

CHECKED = Path("data/checked.json")

# Known to be first-order optimizers of torch.optim: to name one without arguments needs no look at torch, which takes a
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
    params = load_params()
    check_optimizer(params)
    check_dataset(params)
    write_json(CHECKED, {"checked": True})


def check_optimizer(params: Params) -> None:
    """Hold `optimizer` and `optimizer_args` against torch.optim.

    Raises:
        UserError: naming the optimizer or the argument, and what there is.
    """
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
        raise UserError(f"params.yaml: optimizer: found {params.optimizer}, expected one of {', '.join(known)}")
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

    from stages.learning.optimizer import make_optimizer, take_step

    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = make_optimizer(params.optimizer, params.optimizer_args, params.lr, [weight])
    for _ in range(2):
        optimizer.zero_grad()
        weight.square().sum().backward()
        take_step(optimizer, params.lr)


def check_dataset(params: Params) -> None:
    """Hold that the data set's folder is there, or that a stage of data/dvc.yaml can make it.

    Raises:
        UserError: if neither.
    """
    stages = yaml.safe_load(Path("data/dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    made_from = {out: [Path(dep) for dep in stage["deps"]] for stage in stages for out in stage["outs"]}
    dataset = params.dataset.rstrip("/")
    if dataset not in made_from and not Path(dataset).is_dir():
        raise UserError(
            f"params.yaml: dataset: found {dataset}, where there is no folder; expected a folder of arrays, "
            f"or one that a stage makes ({', '.join(made_from)})"
        )
    for source in made_from.get(dataset, []):
        if source.parts[0] == "data" and source != CHECKED and not source.exists():
            raise UserError(
                f"params.yaml: dataset: found {dataset}, which is made from {source}, which is not there; "
                "see 'your own music' in the README"
            )


if __name__ == "__main__":
    run_stage(main)
