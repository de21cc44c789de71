"""Evaluation on a model whose codes are known: every metric's known answer, every result's record."""

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import nn

from imaetool.data import ImageData, Split
from imaetool.evaluation.disentanglement import FACTOR_METRICS
from imaetool.evaluation.evaluate import Settings, Subject, evaluate, measure, report
from imaetool.evaluation.subject import Measurement
from imaetool.registry import METRICS
from known import LOG_VAR, NAMES, Known, grid_data, value


@pytest.fixture(scope="module")
def subject():
    return Subject(Known(), grid_data(), settings=Settings(draws=2_000, samples=4))


@pytest.fixture(scope="module")
def everything(subject):
    return measure(subject, ["all", "mig-chen", "mig-exact"])


def test_all_runs_every_metric_where_model_and_data_have_all(everything):
    assert everything.left_out == {}
    assert {r.metric for r in everything.results} == set(METRICS) - {"mig"}


def test_known_answers_of_a_perfect_code(everything):
    for metric in ("accuracy", "nmi", "ari", "factor-vae", "beta-vae"):
        assert value(everything, metric) == pytest.approx(1, abs=1e-9), metric
    assert value(everything, "mig-chen") == pytest.approx(1, abs=0.02)
    assert value(everything, "mig-exact") == pytest.approx(1, abs=1e-3)
    assert value(everything, "mig-binned") == pytest.approx(1, abs=1e-9)
    assert value(everything, "modularity") == pytest.approx(3 / 4)  # three units of four follow one factor, one is dead
    assert value(everything, "dci") > 0.99 and value(everything, "explicitness") > 0.9 and value(everything, "sap") > 0.3
    assert value(everything, "information") == pytest.approx(math.log(3), abs=1e-3)
    assert value(everything, "active-units") == 3
    assert value(everything, "mlp-probe", "MLP probe, 1000-500-100, of labels") == 1
    assert value(everything, "total-correlation", "Gaussian") == pytest.approx(0, abs=1e-9)
    assert value(everything, "total-correlation", "mixture") == pytest.approx(0, abs=0.02)
    assert value(everything, "mutual-information", "mixture") == pytest.approx(math.log(60), abs=0.02)
    for variant in ("variational lower bound of I(y", "variational lower bound of I(z", "neural"):
        assert value(everything, "mutual-information", variant) < math.log(60) + 0.3
    assert value(everything, "mutual-information", "variational lower bound of I(y") == pytest.approx(math.log(3), abs=0.05)


def test_rate_and_distortion_add_up_to_the_elbo(everything):
    rate, distortion = (value(everything, "rate-distortion", start) for start in ("rate", "distortion"))
    assert -rate - distortion == pytest.approx(value(everything, "elbo"), rel=1e-6)
    assert distortion == pytest.approx(value(everything, "reconstruction", "sampled"), rel=1e-6)
    per_unit = [0.5 * (m + math.exp(LOG_VAR) - 1 - LOG_VAR) for m in (1, 1, 1, 0)]  # mean of mu squared is 1, or 0 if dead
    logits = torch.tensor([20.0, 0.0, 0.0]).log_softmax(0)
    assert rate == pytest.approx(sum(per_unit) + math.log(3) + float((logits.exp() * logits).sum()), rel=1e-5)
    curve = next(r for r in everything.results if r.variant.startswith("rate")).details["curve"]
    assert curve["units_sent"] == [0, 1, 2, 3, 4] and curve["rate"] == sorted(curve["rate"])
    assert curve["rate"][-1] == pytest.approx(rate, rel=1e-3)


def test_every_result_carries_what_a_reader_needs(everything, subject):
    found = json.loads(json.dumps(report(everything, subject, "known"), allow_nan=False))
    assert found["schema"] == 1 and found["n"] == 360 and found["left_out"] == {} and found["factor_names"] == list(NAMES)
    for r in found["results"]:
        said = r["metric"] + " " + r["variant"]
        assert r["metric"] in METRICS and r["variant"] and r["estimator"] and r["n"] > 0, said
        assert r["codes"] in ("means", "samples", "categories", "probabilities"), said
        assert r["error"] is not None and r["error"] >= 0 and r["error_kind"], said
        assert r["seed"] == 0 and r["split"] == "test" and r["data"] == "c" * 64 and len(r["model"]) == 64, said
        assert r["seconds"] >= 0 and isinstance(r["settings"], dict) and isinstance(r["notes"], list), said
        assert (r["bins"] == 20) == (r["metric"] in ("mig-binned", "modularity")), said
        if r["metric"] in FACTOR_METRICS or r["variant"].endswith("over factors"):
            assert r["factors"] == list(NAMES), said


def test_the_schema_document_names_every_field(everything, subject):
    from pathlib import Path

    text = (Path(__file__).parents[1] / "docs" / "eval-schema.md").read_text()
    keys = {f.name for f in fields(Measurement)} | report(everything, subject, "known").keys()
    assert not [key for key in keys if f"`{key}`" not in text]


def test_every_metric_is_documented():
    from pathlib import Path

    text = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()
    assert not [name for name in METRICS if f"`{name}`" not in text]


def test_numbers_that_are_not_finite_are_null_with_a_note():
    odd = Measurement("sap", "v", math.inf, 3, details={"a": [1.0, math.nan], 2: (0.5,)})
    assert odd.as_dict()["value"] is None and "inf" in odd.as_dict()["notes"][-1]
    part = replace(odd, value=1.0).as_dict()
    assert part["details"] == {"a": [1.0, None], "2": [0.5]} and "null" in part["notes"][-1]
    json.dumps([odd.as_dict(), part], allow_nan=False)


# Likelihood


class Loose(nn.Module):
    """A posterior that is only roughly right: N(m - 0.5, 1.2^2) with m the mean pixel, and tilted categories."""

    def forward(self, x):
        m = x.flatten(1).mean(1, keepdim=True)
        logits = torch.cat([m, -m], 1)
        return m - 0.5, torch.full_like(m, 2 * math.log(1.2)), logits


def test_likelihood_against_quadrature():
    """One unit and one category of two values: log p(x) is a one-dimensional integral."""
    model = Known(1, (2,), Loose(), (1, 2, 3))
    model.decoder[0].weight.data.normal_(generator=torch.Generator().manual_seed(1))
    images = np.random.default_rng(0).integers(0, 2, (40, 1, 2, 3), dtype=np.uint8) * 255
    data = ImageData("bits", Split(images[:0]), Split(images))
    data = replace(data, train=data.test)
    found = {r.metric: r for r in evaluate(model, data, ["elbo", "log-likelihood"], samples=2_000)}
    z = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    x = torch.from_numpy(images / 255).float()
    codes = model.encode(x)
    log_p = torch.empty(2, len(x), len(z))  # log p(x|z, y)
    for y in range(2):
        logits = model.decode_logits(z[:, None].float(), model.one_hot(torch.full((len(z),), y))).flatten(1)
        log_p[y] = x.flatten(1) @ logits.T - nn.functional.softplus(logits).sum(1)
    prior = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi) / 2
    truth = (log_p.double().exp() * prior).sum(0).sum(1).mul(z[1] - z[0]).log().mean()
    assert found["log-likelihood"].value == pytest.approx(float(truth), abs=0.01)
    assert "K = 2000, N = 40" in found["log-likelihood"].variant
    q = torch.exp(-0.5 * ((z - codes.mu) / 1.2) ** 2) / (1.2 * math.sqrt(2 * math.pi)) * (z[1] - z[0])
    expected = (codes.probabilities[0].T[:, :, None] * log_p * q).sum((0, 2))
    kl = 0.5 * (codes.mu[:, 0] ** 2 + 1.44 - 1 - math.log(1.44)) + (codes.probabilities[0] * (codes.probabilities[0] * 2).log()).sum(1)
    assert found["elbo"].value == pytest.approx(float((expected - kl).mean()), abs=4 * found["elbo"].error)
    assert found["elbo"].value < found["log-likelihood"].value


def test_likelihood_is_measured_on_a_stated_subset():
    settings = {"images": 100, "samples": 2}
    model, data = Known(), grid_data()
    first, again = (evaluate(model, data, ["log-likelihood", "elbo"], **settings) for _ in range(2))
    assert [r.value for r in first] == [r.value for r in again]
    assert all(r.n == 100 and any("100 of 360 images" in note for note in r.notes) for r in first)
    assert first[0].value != evaluate(model, data, ["log-likelihood"], seed=1, **settings)[0].value
