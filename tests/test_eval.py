"""Evaluation on a model whose codes are known: every metric's known answer, every result's record, what is left out."""

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import nn

from imaetool.config import Latents
from imaetool.data import ImageData, Split
from imaetool.errors import UserError
from imaetool.evaluation.compare import comparison
from imaetool.evaluation.disentanglement import FACTOR_METRICS
from imaetool.evaluation.errorbars import bootstrap
from imaetool.evaluation.evaluate import Settings, Subject, evaluate, measure, report
from imaetool.evaluation.subject import Measurement
from imaetool.metrics.result import Result
from imaetool.model import Autoencoder
from imaetool.registry import METRICS

SIZES, NAMES = (3, 4, 5), ("shape", "scale", "place")
LOG_VAR = -7.0


class Reader(nn.Module):
    """Pixels 0, 1, 2 are the factors: unit k is factor k, standardised; the category is factor 0."""

    def __init__(self, units, categories):
        super().__init__()
        self.units, self.categories = units, categories

    def forward(self, x):
        level = (x.flatten(1) * 255).round()
        spread = torch.tensor([(size**2 - 1) / 12 for size in SIZES]).sqrt()
        mu = (level[:, :3] - (torch.tensor(SIZES) - 1) / 2) / spread
        mu = torch.cat([mu, torch.zeros(len(x), 1)], 1)[:, : self.units]  # a fourth unit is dead
        return mu, torch.full_like(mu, LOG_VAR), 20 * nn.functional.one_hot(level[:, 0].long(), 3).float()[:, : self.categories]


class Known(Autoencoder):
    """An auto-encoder with a given encoder; the decoder is linear, so that every part of the code shows."""

    def __init__(self, units=4, categories=(3,), encoder=None, shape=(1, 4, 4)):
        nn.Module.__init__(self)
        self.network, self.shape, self.latents, self.autocast = "known", shape, Latents(units, categories), False
        self.encoder = encoder or Reader(units, sum(categories))
        torch.manual_seed(0)
        width = units + sum(categories)
        self.decoder = nn.Sequential(nn.Linear(width, math.prod(shape)), nn.Unflatten(1, shape))
        self.decoder[0].weight.data[:width] = 4 * torch.eye(width)[: math.prod(shape)]
        self.eval().requires_grad_(False)


def grid_data(repeats=6, labels=True, factors=True):
    table = np.stack(np.meshgrid(*(np.arange(s) for s in SIZES), indexing="ij"), -1).reshape(-1, 3).repeat(repeats, 0)
    images = np.zeros((len(table), 1, 4, 4), np.uint8)
    images.reshape(len(table), -1)[:, :3] = table
    split = Split(images, table[:, 0].copy() if labels else None, table if factors else None)
    values = tuple(np.arange(s) for s in SIZES)
    return ImageData("grid", split, split, tuple("abc"), NAMES if factors else (), values if factors else (), checksum="c" * 64)


@pytest.fixture(scope="module")
def subject():
    return Subject(Known(), grid_data(), settings=Settings(draws=2_000, samples=4))


@pytest.fixture(scope="module")
def everything(subject):
    return measure(subject, ["all", "mig-chen", "mig-exact"])


def test_all_runs_every_metric_where_model_and_data_have_all(everything):
    assert everything.left_out == {}
    assert {r.metric for r in everything.results} == set(METRICS) - {"mig"}


def value(evaluation, metric, variant=""):
    return next(r.value for r in evaluation.results if r.metric == metric and r.variant.startswith(variant))


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


# What is left out, and what is refused


def test_what_does_not_apply_is_left_out_with_its_reason():
    subject = Subject(Known(3, ()), grid_data(2, labels=False, factors=False), settings=Settings(draws=100, samples=2))
    found = measure(subject, ["all"])
    for name in set(FACTOR_METRICS) - {"mig-chen", "mig-exact"}:
        assert found.left_out[name] == "needs ground-truth factors, and grid has none"
    assert found.left_out["accuracy"] == "needs a categorical variable, and this model has none"
    assert found.left_out["linear-probe"] == "needs labels or factors, and grid has none"
    assert {r.metric for r in found.results}.isdisjoint(found.left_out)
    with pytest.raises(UserError, match="^metric mig needs ground-truth factors, and grid has none$"):
        evaluate(subject.model, subject.data, ["mig"])


def test_a_model_without_units_and_one_with_two_variables():
    data = grid_data(2)
    found = measure(Subject(Known(0, (3,)), data, settings=Settings(samples=2)), ["all"])
    assert found.left_out["mig"] == "needs continuous units, and this model has none"
    assert value(found, "accuracy") == 1 and value(found, "information") == pytest.approx(math.log(3), abs=1e-3)
    codes = [r.variant for r in found.results if r.metric == "mutual-information"]
    assert len(codes) == 1 and "I(y;" in codes[0]


def test_a_split_of_two_images_gives_what_it_can():
    data = grid_data(1)
    two = Split(data.train.images[[0, -1]], data.train.labels[[0, -1]], data.train.factors[[0, -1]])
    found = measure(Subject(Known(), replace(data, train=two, test=two), settings=Settings(draws=50, samples=2)), ["all"])
    assert value(found, "accuracy") == 1 and found.left_out["linear-probe"]
    assert [r.variant for r in found.results if r.metric == "mutual-information"] == ["mixture, capped by log N", "Gaussian upper bound, no cap"]
    json.dumps([r.as_dict() for r in found.results], allow_nan=False)


@pytest.mark.parametrize(
    "metrics, settings, said",
    [
        (["sap"], {"factors": ("scal",)}, "unknown factor 'scal': did you mean 'scale'"),
        (["sap"], {"exclude": NAMES}, "no factor is left"),
        (["modularity"], {"factors": ("scale",)}, "metric modularity compares factors, and one is left"),
        (["modulrity"], {}, "did you mean 'modularity'"),
        (["dci"], {"trees": "oak"}, "unknown trees 'oak'"),
        (["mig"], {"draws": 0}, "draws = 0"),
        (["elbo"], {"images": -1}, "images = -1"),
    ],
)
def test_refusals_are_one_line(metrics, settings, said):
    with pytest.raises(UserError, match=said) as caught:
        evaluate(Known(), grid_data(1), metrics, **settings)
    assert "\n" not in str(caught.value)


def test_factors_are_chosen_by_name():
    found = evaluate(Known(), grid_data(2), ["mig-binned"], exclude=("shape",))[0]
    assert found.factors == ("scale", "place") and "factor `shape` was excluded" in found.notes
    assert evaluate(Known(), grid_data(2), ["mig-binned"], factors=("place", "scale"))[0].factors == ("scale", "place")


def test_probes_fit_on_the_training_split_where_there_is_one():
    data = grid_data(4)
    half = np.arange(len(data.train)) % 2 == 0
    data = replace(data, train=data.train.select(half), test=data.test.select(~half))
    found = evaluate(Known(), data, ["linear-probe"])
    assert found[0].n == 120 and "fitted on 120 codes, measured on 120" in found[0].estimator
    assert {r.variant.rpartition(", ")[2] for r in found} == {"of labels", "mean over factors"}
    assert set(found[1].details["per_factor"]) == set(NAMES) and found[1].details["chance"]["place"] == pytest.approx(0.2)
    assert "disjoint images of the train split" in evaluate(Known(), data, ["linear-probe"], split="train")[0].notes[-1]


def test_the_checksum_is_of_the_file_or_of_the_weights(tmp_path):
    model, other = Known(), Known()
    checksum = Subject(model, grid_data(1)).checksum
    assert checksum == Subject(other, grid_data(1)).checksum
    other.decoder[0].bias.data += 1
    assert checksum != Subject(other, grid_data(1)).checksum
    model.path = tmp_path / "m"
    model.path.write_bytes(b"abc")
    assert Subject(model, grid_data(1)).checksum.startswith("ba7816bf")


# Error bars and comparison


def test_bootstrap_of_a_mean_has_the_error_of_the_mean():
    values = torch.randn(4_000, generator=torch.Generator().manual_seed(0))
    truth = float(values.std()) / math.sqrt(len(values))
    for most in (20_000, 500):  # whole resamples, and small ones scaled up
        error, kind = bootstrap(lambda rows: float(values[rows].mean()), len(values), resamples=400, most=most)
        assert error == pytest.approx(truth, rel=0.12) and "400 resamples" in kind
    assert bootstrap(lambda rows: math.nan, 10) == (None, "")


def test_category_error_is_that_of_repeated_samples():
    from imaetool.metrics.information import category_error, category_information

    random = np.random.default_rng(0)

    def sample():
        return torch.from_numpy(random.dirichlet([0.3, 0.6, 0.9], 500))

    spread = np.std([category_information(sample())["information"] for _ in range(200)])
    assert category_error([sample()]) == pytest.approx(spread, rel=0.2)


def fake_report(**values):
    results = [Result(m, "v", v, 10, error=e) for m, (v, e) in values.items()]
    return {"results": [Measurement(**vars(r)).as_dict() for r in results]}


def test_comparison_names_a_leader_only_beyond_two_errors():
    rows = comparison([
        fake_report(sap=(0.5, 0.01), reconstruction=(90.0, 1.0), information=(2.0, 0.1)),
        fake_report(sap=(0.51, 0.01), reconstruction=(80.0, 1.0), information=(1.0, 0.1), nmi=(0.4, None)),
    ])
    assert [(r["metric"], r["best"]) for r in rows] == [("sap", None), ("reconstruction", 1), ("information", None), ("nmi", None)]
    assert rows[3]["values"][0] is None and rows[0]["values"][1] == {"value": 0.51, "error": 0.01, "n": 10}
