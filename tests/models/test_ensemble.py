"""The ensemble: its probabilities are the mean of its members', also where those are as sure as can be."""

import numpy as np
import torch
from conftest import samples
from scipy.special import softmax

from stages.models.ensemble import Ensemble, log_mean_probability
from stages.models.network import build_network


def test_its_probabilities_are_the_mean_of_its_members():
    members = [build_network("mlp", (26,), [9], 4, seed).double() for seed in range(3)]
    x = samples(50, dtype=torch.float64)[0]
    with torch.inference_mode():
        found = torch.softmax(Ensemble(members)(x), dim=1).numpy()
        expected = np.mean([softmax(member(x).numpy(), axis=1) for member in members], axis=0)
        assert np.abs(found - softmax(members[0](x).numpy(), axis=1)).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_members_that_are_sure_of_different_classes():
    logits = [torch.tensor([[1e4, 0.0, 0.0]]), torch.tensor([[0.0, 1e4, 0.0]])]
    assert torch.exp(log_mean_probability(logits)).tolist() == [[0.5, 0.5, 0.0]]


def test_its_weights_are_called_by_the_number_of_their_member():
    members = [build_network("mlp", (5,), [4], 3, seed) for seed in range(2)]
    state = Ensemble(members).state_dict()
    assert list(state) == [f"{i}.{key}" for i in range(2) for key in ("1.weight", "1.bias", "3.weight", "3.bias")]
    assert torch.equal(state["1.3.bias"], members[1][3].bias)
