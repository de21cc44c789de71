"""What an evaluation leaves out, refuses or is told to choose: metrics, factors, splits."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from imaetool.data import Split
from imaetool.errors import UserError
from imaetool.evaluation.disentanglement import FACTOR_METRICS
from imaetool.evaluation.evaluate import Settings, Subject, evaluate, measure
from known import NAMES, Known, grid_data, value


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
        (["dci"], {"factors": ("scale",)}, "metric dci compares factors, and one is left"),
        (["modulrity"], {}, "did you mean 'modularity'"),
        (["dci"], {"trees": "oak"}, "unknown trees 'oak'"),
        (["mig"], {"draws": 0}, "--draws 0"),
        (["elbo"], {"images": -1}, "--n -1"),
    ],
)
def test_refusals_are_one_line(metrics, settings, said):
    with pytest.raises(UserError, match=said) as caught:
        evaluate(Known(), grid_data(1), metrics, **settings)
    assert "\n" not in str(caught.value)


def test_codes_that_are_not_numbers_are_never_measured():
    class Broken(Known):
        def encode(self, x):
            codes = super().encode(x)
            codes.mu[0] = math.nan
            return codes

    with pytest.raises(UserError, match="codes of 1 of .* images are not finite"):
        evaluate(Broken(), grid_data(1), ["accuracy"])


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
