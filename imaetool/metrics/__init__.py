"""Metrics: each takes codes and factors (never a model) and returns a `Result`.

Names are imported on first use (PEP 562), so that ``import imaetool.metrics`` costs nothing.
A name that is also a file stays the file: call ``imaetool.metrics.information.information``.
"""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "active_units": (),
    "beta_vae": ("beta_vae_score",),
    "clustering": ("accuracy", "accuracy_majority", "ari", "confusion", "nmi"),
    "dci": ("dci_from_importance", "dci_score", "importance_matrix"),
    "factor_vae": ("factor_vae_from_votes", "factor_vae_score"),
    "information": ("category_error", "category_information", "proposition_2_radius", "unit_information", "unit_information_exact"),
    "information_bound": ("fitted_information",),
    "likelihood": ("elbo", "importance_bound", "log_likelihood_from_weights"),
    "mig": ("factor_information", "mig_binned", "mig_chen", "mig_exact", "mig_from_information"),
    "modularity": ("explicitness_score", "modularity_from_information", "modularity_score"),
    "mutual_information": ("gaussian_information", "mixture_information", "variational_information"),
    "neural_information": ("donsker_varadhan", "f_dual", "neural_information_estimate"),
    "probes": ("linear_probe", "mlp_probe"),
    "result": ("Result",),
    "sap": ("sap_from_scores", "sap_score"),
    "total_correlation": ("gaussian_total_correlation", "mixture_total_correlation"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    if name in _HOMES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__) | set(_HOMES))
