"""The networks: shapes, parameters, the same start for the same seed."""

import pytest
import torch

from stages.models import network
from stages.models.network import AT_ONCE, build_network, check_network, multiply_adds, samples_at_once


def test_the_missions_network_has_7716_weights():
    model = build_network("mlp", (26,), [128, 32], 4, seed=0)
    assert sum(p.numel() for p in model.parameters()) == 26 * 128 + 128 + 128 * 32 + 32 + 32 * 4 + 4
    assert model(torch.zeros(5, 26)).shape == (5, 4)


def test_the_cnn_meets_1024_features_behind_its_convolutions():
    model = build_network("cnn", (21, 128), [1], 4, seed=0)
    linears = [(m.in_features, m.out_features) for m in model if isinstance(m, torch.nn.Linear)]
    convolutions = [(m.out_channels, m.kernel_size, m.padding) for m in model if isinstance(m, torch.nn.Conv2d)]
    assert linears == [(1024, 256), (256, 32), (32, 4)]
    assert convolutions == [(channels, (5, 5), (2, 2)) for channels in (16, 32, 64, 128)]
    assert model(torch.zeros(3, 21, 128)).shape == (3, 4)


@pytest.mark.parametrize("shape", [(26,), (15, 128), (3, 21, 128)])
def test_the_cnn_refuses_what_is_no_picture(shape):
    with pytest.raises(ValueError, match=r"whose samples have the shape .*, expected \(time, bands\)"):
        check_network("cnn", shape)
    check_network("mlp", shape)
    check_network("cnn", (16, 16))


def test_a_network_that_is_not_known_is_taken_for_no_other():
    for use in (
        lambda: check_network("rnn", (21, 128)),
        lambda: multiply_adds("rnn", (21, 128), [8], 4),
        lambda: build_network("rnn", (21, 128), [8], 4, seed=0),
    ):
        with pytest.raises(KeyError, match="rnn"):
            use()


def test_multiply_adds_are_those_of_the_formulas():
    assert multiply_adds("mlp", (2, 13), [128, 32], 4) == 26 * 128 + 128 * 32 + 32 * 4
    convolutions = 25 * (21 * 128 * 16 + 10 * 64 * 16 * 32 + 5 * 32 * 32 * 64 + 2 * 16 * 64 * 128)
    dense = 1024 * 256 + 256 * 32 + 32 * 4
    assert multiply_adds("cnn", (21, 128), [1], 4) == convolutions + dense


def test_as_many_samples_go_at_once_as_the_widest_layer_allows(monkeypatch):
    mlp, cnn = (build_network(name, (21, 128), [5000, 7], 4, 0) for name in ("mlp", "cnn"))
    x = torch.zeros(3, 21, 128)
    assert samples_at_once(mlp, x) == AT_ONCE // 5000
    assert samples_at_once(cnn, x) == AT_ONCE // (16 * 21 * 128)
    assert samples_at_once(cnn, x) > 1376, "the course's largest judged part goes in one piece"
    monkeypatch.setattr(network, "AT_ONCE", 4999)
    assert samples_at_once(mlp, x) == 1, "or none would ever be judged"


def test_the_seed_alone_draws_the_initial_weights():
    torch.manual_seed(1)
    first = build_network("mlp", (6,), [8], 3, seed=5).state_dict()
    torch.manual_seed(2)
    same, other = (build_network("mlp", (6,), [8], 3, seed=seed).state_dict() for seed in (5, 6))
    assert all(torch.equal(value, same[name]) for name, value in first.items())
    assert not all(torch.equal(value, other[name]) for name, value in first.items())
