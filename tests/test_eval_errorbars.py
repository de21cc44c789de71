"""Error bars against repeated samples, and the comparison of models that they decide."""

import math

import numpy as np
import pytest
import torch

from imaetool.evaluation.compare import comparison
from imaetool.evaluation.errorbars import bootstrap
from imaetool.evaluation.subject import Measurement
from imaetool.metrics.result import Result


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
    reports = [fake_report(**{"total-correlation": (value, 0.01)}) for value in (0.7, 2.7)]
    assert comparison(reports)[0]["best"] == 0
    reports[1]["results"][0]["details"]["overstated"] = True
    assert comparison(reports)[0]["best"] is None, "the second may well be the lower"
    assert rows[3]["values"][0] is None and rows[0]["values"][1] == {"value": 0.51, "error": 0.01, "n": 10}
