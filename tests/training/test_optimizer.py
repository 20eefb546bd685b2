"""The optimizer: one kernel where torch has one, unless the arguments speak against it; its objections are kept."""

import pytest
import torch

from stages.training.optimizer import OptimizerError, make_optimizer, take_step


def make(name, **arguments):
    return make_optimizer(name, arguments, 0.1, [torch.nn.Parameter(torch.ones(2))]).defaults


def test_one_kernel_where_there_is_one():
    for name in ("Adam", "AdamW", "SGD", "Adagrad"):
        assert make(name)["fused"] is True
        assert make(name, fused=False)["fused"] is False
        assert not make(name, foreach=True)["fused"]
    assert not make("SGD", differentiable=True)["fused"]
    assert "fused" not in make("RMSprop")


def test_arguments_and_learning_rate_arrive():
    found = make("SGD", momentum=0.9)
    assert (found["lr"], found["momentum"]) == (0.1, 0.9)


def test_what_it_objects_to_is_kept_but_for_memory():
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = make_optimizer("RMSprop", {"capturable": True}, 0.1, [parameter])
    parameter.square().sum().backward()
    with pytest.raises(OptimizerError, match=r"^If capturable=True"):
        take_step(optimizer, 0.1)

    def fail():
        raise torch.OutOfMemoryError("CUDA out of memory")

    optimizer.step = fail
    with pytest.raises(torch.OutOfMemoryError):
        take_step(optimizer, 0.1)
