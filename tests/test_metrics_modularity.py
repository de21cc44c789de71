"""Modularity and explicitness: hand-worked matrices and the published recipes."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score

from codes import coded, grid, noise
from imaetool.metrics._inputs import split_rows
from imaetool.metrics.modularity import explicitness_score, modularity_from_information, modularity_score


def test_modularity_of_hand_worked_matrices():
    # Unit 0: 1 - (1/4) / 1. Unit 1: 1 - 0. Unit 2: follows nothing, 0.
    found = modularity_from_information(torch.tensor([[1.0, 0.5], [0.0, 2.0], [0.0, 0.0]]))
    assert found.tolist() == pytest.approx([0.75, 1, 0])
    three = modularity_from_information(torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0], [0.0, 0.0, 5.0]]))
    assert three.tolist() == pytest.approx([1 - 5 / 18, 0, 1])
    with pytest.raises(ValueError, match="at least two"):
        modularity_from_information(torch.ones(3, 1))


def test_modularity_score_equals_the_published_recipe():
    mu, factors = coded()
    information = np.zeros((4, 3))
    for k in range(4):
        binned = np.digitize(mu[:, k].numpy(), np.histogram(mu[:, k].numpy(), 20)[1][:-1])
        for f in range(3):
            information[k, f] = mutual_info_score(factors[:, f].numpy(), binned)
    square = information**2
    expected = np.mean(1 - (square.sum(1) - square.max(1)) / (square.max(1) * 2))
    assert modularity_score(mu, factors).value == pytest.approx(expected, abs=1e-6)


def test_modularity_of_perfect_dead_and_mixed_units():
    factors = grid(4, 5)
    assert modularity_score(factors.double(), factors).value == pytest.approx(1)
    dead = torch.cat([factors.double(), torch.zeros(20, 2).double()], 1)
    result = modularity_score(dead, factors)
    assert result.value == pytest.approx(0.5)
    assert "units that follow no factor count as 0: 2, 3" in result.notes
    square = grid(5, 5)
    assert modularity_score((square[:, :1] + square[:, 1:]).double(), square).value == pytest.approx(0, abs=1e-12)


def test_explicitness_equals_the_published_recipe():
    mu, factors = coded(noise=2.0, sizes=(3, 4), repeat=60)
    found = explicitness_score(mu, factors, train=480, test=240, seed=1)
    fitted, held, _ = split_rows(len(mu), 480, 240, 1)
    mean, sd = mu[fitted].mean(0), mu[fitted].std(0, unbiased=False)
    x = ((mu - mean) / sd).numpy()
    areas = []
    for f, size in enumerate((3, 4)):
        model = LogisticRegression().fit(x[fitted], factors[fitted, f].numpy())
        truth = np.eye(size)[factors[held, f].numpy()]
        areas.append(roc_auc_score(truth, model.predict_proba(x[held])))
    assert found.value == pytest.approx(np.mean(areas), abs=1e-6) and 0.6 < found.value < 0.95


def test_explicitness_of_perfect_codes_and_noise():
    factors = grid(3, 4).repeat(30, 1)
    onehot = torch.cat([torch.nn.functional.one_hot(factors[:, f]) for f in range(2)], 1).double()
    assert explicitness_score(onehot, factors).value == pytest.approx(1)
    assert explicitness_score(*noise()).value == pytest.approx(0.5, abs=0.05)
