"""DCI: hand-worked matrices, the published formula and recipe."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.ensemble import GradientBoostingClassifier

from codes import coded, grid, noise
from imaetool.metrics._inputs import split_rows
from imaetool.metrics.dci import dci_from_importance, dci_score


def test_dci_says_where_a_score_is_one_by_definition():
    mu = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    factors = torch.arange(200)[:, None] % torch.tensor([2, 3])
    assert not dci_score(mu, factors, trees="random-forest").notes[1:]
    assert any("disentanglement is 1 by definition" in n for n in dci_score(mu, factors[:, :1], trees="random-forest").notes)
    assert any("completeness is 1 by definition" in n for n in dci_score(mu[:, :1], factors, trees="random-forest").notes)


def test_dci_of_hand_worked_matrices():
    even, sure = dci_from_importance(torch.ones(2, 2)), dci_from_importance(torch.eye(3))
    assert (even["disentanglement"], even["completeness"]) == pytest.approx((0, 0))
    assert (sure["disentanglement"], sure["completeness"]) == pytest.approx((1, 1))
    # Rows (3, 1) and (0, 4): weights 1/2 each; the first row has entropy h(1/4).
    h = lambda p: -(p * math.log(p) + (1 - p) * math.log(1 - p)) / math.log(2)  # noqa: E731
    found = dci_from_importance([[3.0, 1.0], [0.0, 4.0]])
    assert found["disentanglement"] == pytest.approx(0.5 * (1 - h(1 / 4)) + 0.5)
    assert found["completeness"] == pytest.approx(3 / 8 + 5 / 8 * (1 - h(1 / 5)))
    # 3 units, 2 factors: two units share factor 0, so it is disentangled but not complete.
    found = dci_from_importance([[2.0, 0.0], [2.0, 0.0], [0.0, 4.0]])
    assert found["disentanglement"] == pytest.approx(1)
    assert found["completeness"] == pytest.approx(0.5 * (1 - math.log(2) / math.log(3)) + 0.5)


def test_dci_of_random_matrices_is_the_published_formula():
    for seed in range(5):
        r = np.random.default_rng(seed).random((5, 3)) ** 4
        r[seed] = 0  # a dead unit
        row, column = 1 - entropy(r.T + 1e-11, base=3), 1 - entropy(r + 1e-11, base=5)
        found = dci_from_importance(r)
        assert found["disentanglement"] == pytest.approx((row * r.sum(1)).sum() / r.sum(), abs=1e-6)
        assert found["completeness"] == pytest.approx((column * r.sum(0)).sum() / r.sum(), abs=1e-6)


def test_dci_of_nothing_is_zero_and_negative_importance_is_refused():
    assert dci_from_importance(torch.zeros(3, 2))["disentanglement"] == pytest.approx(0)
    with pytest.raises(ValueError, match="negative"):
        dci_from_importance([[1.0, -1.0]])


def test_dci_score_equals_the_published_recipe():
    mu, factors = coded(sizes=(2, 3), repeat=40)
    found = dci_score(mu, factors, train=160, test=80, seed=3)
    fitted, held, _ = split_rows(len(mu), 160, 80, 3)
    columns, accuracy = [], []
    for f in range(2):
        model = GradientBoostingClassifier(random_state=3).fit(mu[fitted].numpy(), factors[fitted, f].numpy())
        columns.append(model.feature_importances_)
        accuracy.append((model.predict(mu[held].numpy()) == factors[held, f].numpy()).mean())
    r = np.stack(columns, 1)
    expected = ((1 - entropy(r.T + 1e-11, base=2)) * r.sum(1)).sum() / r.sum()
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.details["informativeness"] == pytest.approx(np.mean(accuracy))
    assert 0.2 < found.value < 0.99


def test_dci_tells_a_perfect_code_from_noise_and_names_its_trees():
    factors = grid(3, 4).repeat(20, 1)
    best = dci_score(factors.double(), factors, train=160, test=80, trees="random-forest")
    assert best.value > 0.98 and best.details["completeness"] > 0.98 and best.details["informativeness"] == 1
    assert "random-forest" in best.variant
    worst = dci_score(*noise(), train=800, test=400, trees="random-forest")
    assert worst.value < 0.05 and worst.details["informativeness"] < 0.45
    with pytest.raises(ValueError, match="random-forest"):
        dci_score(factors, factors, trees="lasso")
