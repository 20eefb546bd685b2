"""check: what it stops, and that its output never changes."""

import pytest
from conftest import save_dataset, write_params

from stages import check
from stages.files import UserError


@pytest.fixture(autouse=True)
def data(workplace):
    save_dataset(workplace / "data" / "mine")


def test_good_parameters_give_the_same_output_whatever_they_are(workplace):
    outputs = set()
    for changes in (
        {},
        {"lr": 0.1},
        {"optimizer": "Adam", "optimizer_args": {"weight_decay": 0.1}},
        {"dataset": "data/demo"},
    ):
        write_params(**changes)
        check.main()
        outputs.add(check.CHECKED.read_bytes())
    assert outputs == {b'{\n  "checked": true\n}\n'}


@pytest.mark.parametrize("optimizer", check.COMMON_OPTIMIZERS)
def test_the_common_optimizers_are_torchs(optimizer):
    import torch

    assert issubclass(getattr(torch.optim, optimizer), torch.optim.Optimizer)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"optimizer": "Foo"}, "optimizer: found Foo, expected one of ASGD, .*SGD"),
        ({"optimizer": "LBFGS"}, "optimizer: found LBFGS"),
        (
            {"optimizer_args": {"momentumm": 0.9}},
            "optimizer_args: found momentumm, expected arguments of SGD: momentum",
        ),
        ({"optimizer_args": {"momentum": -1}}, "which SGD refuses: Invalid momentum"),
        (
            {"optimizer": "Adam", "optimizer_args": {"betas": 3}},
            "Adam refuses: 'int' object is not subscriptable",
        ),
        (  # refused by its first step only
            {"optimizer": "RMSprop", "optimizer_args": {"capturable": True}},
            "which RMSprop refuses: If capturable=True, params and state_steps must be on supported devices",
        ),
        ({"optimizer_args": {"differentiable": True}}, "which SGD refuses: a leaf Variable that requires grad"),
        ({"dataset": "data/nowhere"}, "dataset: found data/nowhere, where there is no folder"),
        (
            {"dataset": "data/features"},
            "dataset: found data/features, which is made from data/audio, which is not there",
        ),
    ],
)
def test_bad_parameters_are_named(workplace, changes, says):
    write_params(**changes)
    with pytest.raises(UserError, match=f"^params.yaml: .*{says}"):
        check.main()
    assert not check.CHECKED.exists()
