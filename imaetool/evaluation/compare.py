"""Models side by side: the same measurement of each in one row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

__all__ = ["HIGHER", "LOWER", "comparison"]

HIGHER = {  # metrics of which more is better; of the rest either less, or neither
    "accuracy", "nmi", "ari", "elbo", "log-likelihood", "mig-chen", "mig-exact", "mig-binned", "sap", "dci", "factor-vae",
    "beta-vae", "modularity", "explicitness", "linear-probe", "mlp-probe",
}
LOWER = {"reconstruction", "total-correlation"}


def comparison(reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each (metric, variant, unit) that any report has, in the order of the first that has it.

    ``values`` holds for each report {"value", "error", "n"}, or None where it has no such measurement.
    ``best`` is the number of the report that leads by more than two standard errors of the
    difference, or None: where none does, where an error is missing, where the metric has no better, or
    where any of the values is overstated.
    """
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for number, report in enumerate(reports):
        for r in report["results"]:
            key = (r["metric"], r["variant"], r["unit"])
            row = rows.setdefault(key, dict(zip(("metric", "variant", "unit"), key), values=[None] * len(reports)))
            row["values"][number] = {name: r[name] for name in ("value", "error", "n")}
            row["capped"] = row.get("capped", False) or bool(r["details"].get("overstated"))
    order = {name: i for i, name in enumerate(dict.fromkeys(key[0] for key in rows))}
    ordered = [rows[key] for key in sorted(rows, key=lambda key: order[key[0]])]
    return [{**row, "best": None if row.pop("capped") else _best(row)} for row in ordered]


def _best(row: dict[str, Any]) -> int | None:
    sign = 1 if row["metric"] in HIGHER else -1 if row["metric"] in LOWER else 0
    found = [(sign * v["value"], v["error"], i) for i, v in enumerate(row["values"]) if v and v["value"] is not None]
    if not sign or len(found) < 2 or any(error is None for _, error, _ in found):
        return None
    found.sort(reverse=True)
    (first, its, number), (second, other, _) = found[:2]
    return number if first - second > 2 * math.hypot(its, other) else None
