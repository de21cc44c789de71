"""SAP: a hand-worked matrix, numpy's correlations and the published recipe."""

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from codes import coded, grid, noise
from imaetool.metrics._inputs import split_rows
from imaetool.metrics.sap import sap_from_scores, sap_score


def test_sap_of_a_hand_worked_matrix():
    assert sap_from_scores(torch.tensor([[0.9, 0.2], [0.5, 0.2], [0.1, 0.8]])).tolist() == pytest.approx([0.4, 0.6])
    assert sap_from_scores(torch.tensor([[0.9, 0.2]])).tolist() == pytest.approx([0.9, 0.2])


def test_sap_by_correlation_equals_numpy():
    mu, factors = coded()
    fitted, _, _ = split_rows(len(mu), 480, 240, 0)
    square = np.corrcoef(mu[fitted].T.numpy(), factors[fitted].T.numpy())[:4, 4:] ** 2
    top = np.sort(square, 0)
    found = sap_score(mu, factors, estimator="correlation", train=480, test=240)
    assert found.value == pytest.approx((top[-1] - top[-2]).mean(), abs=1e-9)
    moved = mu * torch.tensor([-2.0, 1.0, 5.0, -1.0]) + 7
    assert sap_score(moved, factors, estimator="correlation", train=480, test=240).value == pytest.approx(found.value)


def test_sap_by_svc_equals_the_published_recipe():
    mu, factors = coded(sizes=(2, 3), repeat=40)
    fitted, held, _ = split_rows(len(mu), 160, 80, 0)
    scores = np.zeros((3, 2))
    for k in range(3):
        for f in range(2):
            model = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
            model.fit(mu[fitted, k : k + 1].numpy(), factors[fitted, f].numpy())
            scores[k, f] = (model.predict(mu[held, k : k + 1].numpy()) == factors[held, f].numpy()).mean()
    top = np.sort(scores, 0)
    assert sap_score(mu, factors, train=160, test=80).value == pytest.approx((top[-1] - top[-2]).mean(), abs=1e-6)


def test_sap_of_a_perfect_code_a_duplicate_and_noise():
    factors = grid(4, 5)[:, :].repeat(20, 1)
    perfect = factors.double()
    assert sap_score(perfect, factors, estimator="correlation").value > 0.95
    twice = sap_score(torch.cat([perfect, perfect], 1), factors, estimator="correlation")
    assert twice.value == pytest.approx(0, abs=1e-9)
    assert sap_score(*noise(), estimator="correlation").value < 0.01
    dead = sap_score(torch.cat([perfect, torch.zeros(400, 1)], 1), factors, estimator="correlation")
    assert dead.details["scores"][2] == [0, 0] and "dead units (mu is constant): 2" in dead.notes
    with pytest.raises(ValueError, match="svc, correlation"):
        sap_score(perfect, factors, estimator="lasso")
