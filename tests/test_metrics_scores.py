"""SAP, DCI, modularity, explicitness, FactorVAE and beta-VAE scores: hand-worked matrices and literal recipes."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.svm import LinearSVC

from imaetool.metrics._inputs import split_rows
from imaetool.metrics.beta_vae import beta_vae_score
from imaetool.metrics.dci import dci_from_importance, dci_score
from imaetool.metrics.factor_vae import factor_vae_from_votes, factor_vae_score
from imaetool.metrics.modularity import explicitness_score, modularity_from_information, modularity_score
from imaetool.metrics.sap import sap_from_scores, sap_score


def grid(*sizes):
    return torch.cartesian_prod(*(torch.arange(size) for size in sizes))


def coded(seed=0, noise=0.4, sizes=(3, 4, 5), repeat=12):
    """Codes of the complete grid: each of the first units follows a factor, the last mixes two."""
    g = torch.Generator().manual_seed(seed)
    factors = grid(*sizes).repeat(repeat, 1)
    mu = torch.cat([factors.double(), (factors[:, :1] + factors[:, 1:2]).double()], 1)
    return mu + noise * torch.randn(mu.shape, generator=g, dtype=torch.float64), factors


def noise(n=1200, units=4, sizes=(3, 4)):
    g = torch.Generator().manual_seed(9)
    return torch.randn(n, units, generator=g), torch.stack([torch.randint(0, s, (n,), generator=g) for s in sizes], 1)


# --- DCI ---

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


# --- modularity and explicitness ---

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


# --- SAP ---

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


# --- FactorVAE ---

def literal_votes(mu, factors, points, batch, rng):
    """The published loop over the complete grid, one vote at a time."""
    mu, factors = mu.numpy(), factors.numpy()
    overall = mu.var(0, ddof=1)
    votes = np.zeros((factors.shape[1], mu.shape[1]), dtype=int)
    for _ in range(points):
        f = rng.integers(factors.shape[1])
        value = factors[rng.integers(len(factors)), f]
        rows = rng.choice(np.flatnonzero(factors[:, f] == value), batch)
        votes[f, (mu[rows].var(0, ddof=1) / overall).argmin()] += 1
    return votes


def test_factor_vae_equals_the_published_loop():
    mu, factors = coded(noise=1.5)
    rng = np.random.default_rng(0)
    train, test = (torch.from_numpy(literal_votes(mu, factors, points, 8, rng)) for points in (1500, 1500))
    expected = factor_vae_from_votes(train, test)
    found = factor_vae_score(mu, factors, train=6000, test=6000, batch=8)
    assert abs(found.value - expected) < 4 * math.sqrt(expected * (1 - expected) / 1500)
    assert 0.4 < expected < 0.95
    shares = torch.tensor(found.details["votes_train"]) / 6000
    assert (shares - train / 1500).abs().max() < 0.05


def test_factor_vae_majority_rule_by_hand():
    train = torch.tensor([[9, 1, 0], [2, 5, 0], [0, 4, 0]])  # unit 0 -> factor 0, unit 1 -> factor 1, unit 2 -> factor 0
    test = torch.tensor([[8, 2, 1], [1, 6, 3], [0, 4, 0]])
    assert factor_vae_from_votes(train, test) == pytest.approx((8 + 6 + 1) / 25)


def test_factor_vae_of_perfect_rotated_dead_and_random_codes():
    factors = grid(5, 5).repeat(4, 1)
    run = lambda mu: factor_vae_score(mu, factors, train=600, test=600, batch=16)  # noqa: E731
    assert run(factors.double()).value == 1
    assert run(factors.double() * torch.tensor([-3.0, 0.5]) + 4).value == 1
    centred = factors.double() - 2
    assert run(torch.stack([centred[:, 0] + centred[:, 1], centred[:, 0] - centred[:, 1]], 1)).value < 0.75
    collapsed = run(1e-3 * factors.double())
    assert collapsed.value == 0 and any("no unit moves enough" in note for note in collapsed.notes)
    assert factor_vae_score(*noise(sizes=(3, 3, 3)), train=2000, test=2000).value < 0.45  # chance 1/3


def test_factor_vae_ignores_dead_units_and_says_when_values_are_scarce():
    factors = grid(5, 5)
    mu = torch.cat([factors.double(), torch.full((25, 1), 3.0).double()], 1)
    result = factor_vae_score(mu, factors, train=300, test=300, batch=16)
    assert result.value == 1 and result.details["active"] == [0, 1]
    assert any("drawn repeatedly" in note for note in result.notes)


# --- beta-VAE ---

def test_beta_vae_of_perfect_codes_and_noise():
    factors = grid(4, 5, 3).repeat(4, 1)
    perfect = beta_vae_score(factors.double(), factors, train=600, test=300, batch=16)
    assert perfect.value > 0.99
    rotated = factors.double() @ torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double())[0]
    assert beta_vae_score(rotated, factors, train=600, test=300, batch=16).value < perfect.value
    chance = beta_vae_score(*noise(sizes=(3, 3, 3)), train=1500, test=1500)
    assert chance.value == pytest.approx(1 / 3, abs=0.06)


def test_beta_vae_equals_the_published_loop():
    mu, factors = coded(noise=4.0)
    rng = np.random.default_rng(0)

    def points(count):
        x, y = np.zeros((count, 4)), np.zeros(count, dtype=int)
        for i in range(count):
            y[i] = rng.integers(3)
            one = rng.integers(len(mu), size=8)
            two = [rng.choice(np.flatnonzero(factors[:, y[i]].numpy() == factors[j, y[i]].item())) for j in one]
            x[i] = np.abs(mu[one].numpy() - mu[two].numpy()).mean(0)
        return x, y

    model = LogisticRegression().fit(*points(1000))
    expected = model.score(*points(1500))
    found = beta_vae_score(mu, factors, train=4000, test=4000, batch=8)
    assert abs(found.value - expected) < 0.06 and 0.36 < expected < 0.9


def test_beta_vae_needs_two_factors():
    with pytest.raises(ValueError, match="at least two"):
        beta_vae_score(torch.randn(30, 2), torch.arange(30) % 3)


# --- what all share ---

def test_every_score_names_a_factor_with_one_value():
    mu, factors = coded(repeat=4)
    factors = torch.cat([factors, torch.zeros(len(mu), 1).long()], 1)
    small = dict(factor_names=["a", "b", "c", "d"])
    split = dict(train=120, test=80)
    results = [
        sap_score(mu, factors, estimator="correlation", **small),
        dci_score(mu, factors, trees="random-forest", **small, **split),
        modularity_score(mu, factors, **small),
        explicitness_score(mu, factors, **small),
        factor_vae_score(mu, factors, **small, **split),
        beta_vae_score(mu, factors, **small, **split),
    ]
    for result in results:
        assert "factor `d` has one value: left out" in result.notes
        assert "d" not in result.settings["factors"]
        assert 0 <= result.value <= 1


def test_splits_are_disjoint_and_say_when_they_shrink():
    train, test, notes = split_rows(100, 60, 30, 0)
    assert len(train) == 60 and len(test) == 30 and not notes
    assert not set(train.tolist()) & set(test.tolist())
    train, test, notes = split_rows(90, 10_000, 5_000, 0)
    assert (len(train), len(test)) == (60, 30) and "only 90 codes" in notes[0]
