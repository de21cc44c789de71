"""Names to code: one line per objective, network, dataset and metric.

The right-hand side is "module:attribute" and is imported on first use. Standard library only.
"""

from importlib import import_module
from typing import Any

from imaetool.errors import unknown_name

__all__ = ["OBJECTIVES", "NETWORKS", "DATASETS", "METRICS", "resolve"]

OBJECTIVES = {
    "imae": "imaetool.objectives.imae:loss",
}

NETWORKS = {
    "mlp-imae": "imaetool.networks.mlp:mlp_imae",
    "mlp-imae-64": "imaetool.networks.mlp:mlp_imae_64",
    "conv-joint": "imaetool.networks.conv:conv_joint",
}

DATASETS = {
    "digits": "imaetool.data.digits:load",
    "mnist": "imaetool.data.mnist:load_mnist",
    "fashion-mnist": "imaetool.data.mnist:load_fashion_mnist",
    "folder": "imaetool.data.own_images:load",
}

METRICS = {
    "accuracy": "imaetool.evaluation.measures:accuracy",
    "information": "imaetool.evaluation.measures:information",
    "reconstruction": "imaetool.evaluation.measures:reconstruction",
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
