"""The networks: shapes, parameters, the same start for the same seed."""

import pytest
import torch
from torch.nn.functional import conv2d, max_pool2d

from stages.models import network
from stages.models.network import AT_ONCE, build_network, check_network, multiply_adds, samples_at_once


def test_the_missions_network_has_7716_weights():
    model = build_network("mlp", (26,), [128, 32], 4, seed=0)
    assert sum(p.numel() for p in model.parameters()) == 26 * 128 + 128 + 128 * 32 + 32 + 32 * 4 + 4
    assert model(torch.zeros(5, 26)).shape == (5, 4)


def test_the_cnn_is_the_one_that_its_description_asks_for():
    """Four 3 x 3 convolutions with batch norm, ReLU and pooling (ReLU first), mean and maximum over time, linear."""
    model, draw = build_network("cnn", (21, 128), [1], 4, seed=0).eval(), torch.Generator().manual_seed(0)
    weights = [value for value in model.state_dict().values() if value.dim()]
    assert len(weights) == 4 * 5 + 2
    for norm in (weights[5 * i + 1 : 5 * i + 5] for i in range(4)):  # scale, shift, running mean and variance
        for numbers, least in zip(norm, (-1, -1, -1, 0.5), strict=True):
            numbers.uniform_(least, 1, generator=draw)
    x = torch.randn(5, 21, 128, generator=draw)
    expected = x[:, None]
    for i, (channels, pool) in enumerate(zip((8, 16, 32, 64), ((1, 2), 2, 2, 2), strict=True)):
        kernel, scale, shift, mean, variance = weights[5 * i : 5 * i + 5]
        assert kernel.shape == (channels, expected.shape[1], 3, 3)
        expected = conv2d(expected, kernel, padding=1)
        expected = (expected - mean[:, None, None]) / (variance + 1e-5).sqrt()[:, None, None]
        expected = max_pool2d((expected * scale[:, None, None] + shift[:, None, None]).clamp(min=0), pool)
    assert expected.shape == (5, 64, 2, 8)
    kept = torch.cat([expected.mean(dim=2), expected.max(dim=2).values], dim=1).flatten(1)
    torch.testing.assert_close(model(x), kept @ weights[-2].T + weights[-1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(26,), (7, 128), (21, 15), (3, 21, 128)])
def test_the_cnn_refuses_what_is_no_picture(shape):
    with pytest.raises(ValueError, match=r"whose samples have the shape .*, expected \(time, bands\)"):
        check_network("cnn", shape)
    check_network("mlp", shape)
    check_network("cnn", (8, 16))
    assert build_network("cnn", (8, 16), [1], 4, seed=0)(torch.zeros(1, 8, 16)).shape == (1, 4), "even in training"


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
    convolutions = 9 * (21 * 128 * 8 + 21 * 64 * 8 * 16 + 10 * 32 * 16 * 32 + 5 * 16 * 32 * 64)
    assert multiply_adds("cnn", (21, 128), [1], 4) == convolutions + 2 * 64 * 8 * 4


def test_as_many_samples_go_at_once_as_the_widest_layer_allows(monkeypatch):
    mlp, cnn = (build_network(name, (21, 128), [5000, 7], 4, 0) for name in ("mlp", "cnn"))
    x = torch.zeros(3, 21, 128)
    assert samples_at_once(mlp, x) == AT_ONCE // 5000
    assert samples_at_once(cnn, x) == AT_ONCE // (8 * 21 * 128)
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
