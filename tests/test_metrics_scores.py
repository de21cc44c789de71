"""What the scores against factors share: a factor with one value is left out and named, splits are disjoint."""

import torch

from codes import coded
from imaetool.metrics._inputs import split_rows
from imaetool.metrics.beta_vae import beta_vae_score
from imaetool.metrics.dci import dci_score
from imaetool.metrics.factor_vae import factor_vae_score
from imaetool.metrics.modularity import explicitness_score, modularity_score
from imaetool.metrics.sap import sap_score


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
