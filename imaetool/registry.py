"""Names to code: one line per objective, network, dataset and metric.

The right-hand side is "module:attribute" and is imported on first use. Standard library only.
"""

from importlib import import_module
from typing import Any

from imaetool.errors import unknown_name

__all__ = ["OBJECTIVES", "NETWORKS", "DATASETS", "METRICS", "resolve"]

OBJECTIVES = {
    "imae": "imaetool.objectives.imae:loss",
    "vae": "imaetool.objectives.vae:loss",
    "beta-vae": "imaetool.objectives.beta_vae:loss",
    "beta-tcvae": "imaetool.objectives.beta_tcvae:loss",
    "infovae": "imaetool.objectives.infovae:loss",
    "jointvae": "imaetool.objectives.jointvae:loss",
    "infomax-vae": "imaetool.objectives.infomax_vae:loss",
    "vmi-vae": "imaetool.objectives.vmi_vae:loss",
}

NETWORKS = {
    "mlp-imae": "imaetool.networks.mlp:mlp_imae",
    "mlp-imae-64": "imaetool.networks.mlp:mlp_imae_64",
    "mlp-narrow-64": "imaetool.networks.mlp:mlp_narrow_64",
    "conv-joint": "imaetool.networks.conv:conv_joint",
    "mlp-infomax": "imaetool.networks.mlp_infomax:mlp_infomax",
    "mlp-infomax-2": "imaetool.networks.mlp_infomax:mlp_infomax_2",
    "mlp-infomax-4": "imaetool.networks.mlp_infomax:mlp_infomax",
    "mlp-infomax-10": "imaetool.networks.mlp_infomax:mlp_infomax_10",
    "conv-infomax": "imaetool.networks.conv_infomax:conv_infomax",
    "conv-infomax-32": "imaetool.networks.conv_infomax:conv_infomax_32",
    "conv-infomax-64": "imaetool.networks.conv_infomax:conv_infomax_64",
    "pixelcnn": "imaetool.networks.pixelcnn:pixelcnn",
}

DATASETS = {
    "digits": "imaetool.data.digits:load",
    "mnist": "imaetool.data.mnist:load_mnist",
    "fashion-mnist": "imaetool.data.mnist:load_fashion_mnist",
    "cifar10": "imaetool.data.cifar:load_cifar10",
    "cifar100": "imaetool.data.cifar:load_cifar100",
    "dsprites": "imaetool.data.dsprites_dataset:load",
    "celeba": "imaetool.data.celeba:load",
    "chairs": "imaetool.data.chairs:load",
    "folder": "imaetool.data.own_images:load",
}

METRICS = {
    "accuracy": "imaetool.evaluation.clustering:accuracy",
    "nmi": "imaetool.evaluation.clustering:nmi",
    "ari": "imaetool.evaluation.clustering:ari",
    "information": "imaetool.evaluation.information:information",
    "active-units": "imaetool.evaluation.information:active_units",
    "reconstruction": "imaetool.evaluation.likelihood:reconstruction",
    "elbo": "imaetool.evaluation.likelihood:elbo",
    "log-likelihood": "imaetool.evaluation.likelihood:log_likelihood",
    "rate-distortion": "imaetool.evaluation.likelihood:rate_distortion",
    "mutual-information": "imaetool.evaluation.information:mutual_information",
    "total-correlation": "imaetool.evaluation.information:total_correlation",
    "mig": "imaetool.evaluation.disentanglement:mig",
    "mig-chen": "imaetool.evaluation.disentanglement:mig_chen",
    "mig-exact": "imaetool.evaluation.disentanglement:mig_exact",
    "mig-binned": "imaetool.evaluation.disentanglement:mig_binned",
    "sap": "imaetool.evaluation.disentanglement:sap",
    "dci": "imaetool.evaluation.disentanglement:dci",
    "factor-vae": "imaetool.evaluation.disentanglement:factor_vae_score",
    "beta-vae": "imaetool.evaluation.disentanglement:beta_vae_score",
    "modularity": "imaetool.evaluation.disentanglement:modularity",
    "explicitness": "imaetool.evaluation.disentanglement:explicitness",
    "linear-probe": "imaetool.evaluation.probes:linear_probe",
    "mlp-probe": "imaetool.evaluation.probes:mlp_probe",
}

_KINDS = {"objective": OBJECTIVES, "network": NETWORKS, "dataset": DATASETS, "metric": METRICS}


def resolve(kind: str, name: str) -> Any:
    """Import what ``name`` stands for; ``kind`` is objective, network, dataset or metric.

    Raises UserError naming the nearest right names if there is no such name.
    """
    table = _KINDS[kind]
    if name not in table:
        raise unknown_name(kind, name, table)
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
