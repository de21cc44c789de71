"""The package as a whole: lazy names, JSON-ready results, numpy and half-precision inputs, no hidden state."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import imaetool.metrics as metrics
from imaetool.metrics import active_units, information


def example():
    g = torch.Generator().manual_seed(0)
    factors = torch.cartesian_prod(torch.arange(3), torch.arange(4)).repeat(10, 1)
    mu = torch.cat([factors.float(), torch.randn(120, 1, generator=g)], 1) + 0.2 * torch.randn(120, 3, generator=g)
    return mu, torch.full((120, 3), -3.0), factors


def every_result(mu, log_var, factors):
    small = {"train": 60, "test": 40}
    y, probabilities = factors[:, 0], torch.nn.functional.one_hot(factors[:, 0]).float() * 0.7 + 0.1
    return [
        metrics.accuracy(y, factors[:, 1]),
        metrics.accuracy_majority(y, factors[:, 1]),
        metrics.nmi(y, factors[:, 1]),
        metrics.ari(y, factors[:, 1]),
        active_units.active_units(mu),
        information.information(mu, log_var, [probabilities], draws=120),
        metrics.mig_chen(mu, log_var, factors, draws=120),
        metrics.mig_exact(mu, log_var, factors),
        metrics.mig_binned(mu, factors),
        metrics.sap_score(mu, factors, **small),
        metrics.sap_score(mu, factors, estimator="correlation", **small),
        metrics.dci_score(mu, factors, trees="random-forest", **small),
        metrics.modularity_score(mu, factors),
        metrics.explicitness_score(mu, factors, **small),
        metrics.factor_vae_score(mu, factors, **small),
        metrics.beta_vae_score(mu, factors, **small),
        metrics.gaussian_total_correlation(mu),
        metrics.mixture_total_correlation(mu, log_var, draws=120),
        metrics.mixture_information(mu, log_var, draws=120),
        metrics.fitted_information(mu, log_var, draws=2),
        metrics.variational_information(-mu[:, 0].abs(), 1.5),
        metrics.neural_information_estimate(mu, mu, steps=5),
        metrics.log_likelihood_from_weights(mu.T),
        metrics.elbo(-mu[:, 0].abs(), mu[:, 0].abs()),
        metrics.linear_probe(mu, y, mu, y),
        metrics.mlp_probe(mu, y, mu, y, hidden=(8,), epochs=1),
    ]


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, imaetool.metrics; print([m for m in ('torch', 'numpy', 'scipy', 'sklearn') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_every_public_name_resolves_and_unknown_ones_do_not():
    assert all(callable(getattr(metrics, name)) for name in metrics.__all__)
    assert set(metrics.__all__) <= set(dir(metrics))
    with pytest.raises(AttributeError, match="mig_wrong"):
        metrics.mig_wrong


def test_every_public_name_is_in_the_documentation():
    text = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()
    assert not [name for name in metrics.__all__ if f"`{name}" not in text]


def test_results_are_json_ready_and_say_what_was_computed():
    for result in every_result(*example()):
        record = json.loads(json.dumps(result.as_dict(), allow_nan=False))
        assert record["metric"] and record["variant"] and record["estimator"] and record["n"] > 0
        assert all(isinstance(note, str) for note in result.notes)
        assert record["value"] == pytest.approx(result.value)


def test_numpy_arrays_and_repeated_calls_give_the_same_values():
    mu, log_var, factors = example()
    before = torch.get_rng_state()
    tensors = [r.value for r in every_result(mu, log_var, factors)]
    assert torch.equal(before, torch.get_rng_state())  # no metric touches the global generator
    mu_, log_var_, factors_ = mu.numpy(), log_var.numpy(), factors.numpy()
    again = [
        metrics.mig_chen(mu_, log_var_, factors_, draws=120).value,
        metrics.sap_score(mu_, factors_, train=60, test=40).value,
        metrics.accuracy(factors_[:, 0], factors_[:, 1]).value,
        metrics.modularity_score(mu_, factors_).value,
    ]
    assert again == [tensors[6], tensors[9], tensors[0], tensors[12]]
    assert [r.value for r in every_result(mu, log_var, factors)] == tensors


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type_is_read(dtype):
    mu, log_var, factors = example()
    rounded = metrics.mig_exact(mu.to(dtype), log_var.to(dtype), factors).value
    assert rounded == pytest.approx(metrics.mig_exact(mu, log_var, factors).value, abs=0.01)


def test_codes_that_need_gradients_are_read():
    mu, log_var, factors = example()
    assert metrics.mig_binned(mu.requires_grad_(), factors).value > 0
