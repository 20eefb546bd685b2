"""The optimizer that autograd's gradients go to: one of torch.optim, made in one place."""

from collections.abc import Iterable
from typing import Any

import torch

FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad)  # have it on the CPU too


def make_optimizer(
    name: str, arguments: dict[str, Any], lr: float, parameters: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Return an optimizer of torch.optim, as one kernel for all weights where torch has one.

    On a CPU a step of Adam then takes a third of the time. Its arguments `foreach`, `fused` and `differentiable` are
    respected.
    """
    make = getattr(torch.optim, name)
    fused = {"fused": True} if make in FUSED and not arguments.keys() & {"foreach", "differentiable"} else {}
    return make(parameters, lr=lr, **(fused | arguments))


class OptimizerError(ValueError):
    """What an optimizer objected to when it took a step."""


def take_step(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Take a step at a learning rate; OptimizerError if the optimizer refuses: some check their arguments only then."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    try:
        optimizer.step()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise OptimizerError(" ".join(str(error).split())) from error
