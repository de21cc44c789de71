"""One self-contained HTML page for one model or several: no network, no script, pictures as data URIs."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from PIL import Image

from imaetool.evaluation import pictures, svg
from imaetool.evaluation.compare import comparison
from imaetool.evaluation.information import information
from imaetool.evaluation.page_style import STYLE
from imaetool.evaluation.subject import Subject

__all__ = ["Entry", "draw", "page"]

_TILES = (  # (heading, metric, start of the variant): the figures a reader looks for first
    ("accuracy, one-to-one", "accuracy", "one-to-one"), ("I(x;y)", "information", "I(x;y)"), ("I(x;z)", "mutual-information", "mixture"),
    ("MIG (Chen)", "mig-chen", ""), ("DCI", "dci", ""), ("log-likelihood", "log-likelihood", ""), ("ELBO", "elbo", ""),
    ("active units", "active-units", ""), ("total correlation", "total-correlation", "mixture"),
)


@dataclass(frozen=True)
class Entry:
    """One model's part of the page: its report, and titled pictures."""

    name: str
    report: dict[str, Any]
    pictures: Sequence[tuple[str, Image.Image]] = field(default=())


def draw(subject: Subject) -> list[tuple[str, Image.Image]]:
    """The pictures of one model, titled."""
    model, drawn = subject.model, [("Images and what their codes decode to", pictures.draw_reconstructions(subject))]
    if model.latents.continuous:
        record = {"unit_information": information(subject)[0].details["information"], "exemplars": pictures.exemplars(model, subject.codes)}
        drawn.insert(0, ("What each unit does, the most informative first", pictures.draw_traversals(model, record, most=16)))
    if model.latents.categories:
        drawn.append(("The images surest of each category", pictures.draw_categories(subject)))
    return drawn


def page(entries: Sequence[Entry], title: str = "") -> str:
    """The whole HTML text. Raises nothing for a metric that is missing: its part is left out."""
    names = [entry.name for entry in entries]
    title = title or f"{' and '.join(names) if len(names) < 4 else f'{len(names)} models'} on {entries[0].report['data']}"
    body = [_head(entries, title)]
    if len(entries) > 1:
        body += [_section("Side by side", _side_by_side(entries)), _section("Information plane", _plane(entries))]
    for entry in entries:
        if len(entries) > 1:
            body.append(f'<h2 class="model">{escape(entry.name)}</h2>')
        body += _model(entry, alone=len(entries) == 1)
    data = json.dumps([entry.report for entry in entries], allow_nan=False).replace("<", "\\u003c")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>{''.join(body)}"
        f"<footer>Made by imaetool {escape(entries[0].report['imaetool'])}. The numbers of this page as JSON are within it "
        f'(element <code>results</code>); fields as in docs/eval-schema.md, schema {entries[0].report["schema"]}.</footer></main>'
        f'<script type="application/json" id="results">{data}</script></body></html>\n'
    )


def _model(entry: Entry, alone: bool) -> list[str]:
    report = entry.report
    parts = [
        ("Results", _results(report)),
        ("Units", _units(report)),
        *((title, f'<div class="scroll"><img alt="{escape(title)}" src="{_uri(image)}"></div>') for title, image in entry.pictures),
        ("Categories against labels", _confusion(report)),
        ("Units against factors", _factor_maps(report)),
        ("Information plane", _plane([entry]) if alone else ""),
        ("Not computed", _left_out(report)),
    ]
    return [_section(title, content) for title, content in parts if content]


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _head(entries: Sequence[Entry], title: str) -> str:
    report = entries[0].report
    facts = [
        ("dataset", f"{report['data']}, {report['split']} split, {report['n']:,} images"),
        ("dataset checksum", report["data_checksum"]),
        *((f"model {e.name}" if len(entries) > 1 else "model", _described(e.report)) for e in entries),
        *((f"sha256 of {e.name}" if len(entries) > 1 else "model sha256", e.report["model_checksum"]) for e in entries),
        ("seed", report["seed"]),
    ]
    rows = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in facts)
    tiles = "".join(_tiles(report)) if len(entries) == 1 else ""
    return f'<header><p class="mark">imaetool eval</p><h1>{escape(title)}</h1><dl>{rows}</dl></header><div class="tiles">{tiles}</div>'


def _described(report: dict) -> str:
    latents, objective = report["latents"], (report["objective"] or {}).get("name", "")
    code = f"{latents['continuous']} units" + "".join(f" + {size} categories" for size in latents["categories"])
    return ", ".join(part for part in (report["recipe"], objective and f"objective {objective}", report["network"], code) if part)


def _tiles(report: dict):
    for heading, metric, start in _TILES:
        r = _find(report, metric, start)
        if r and r["value"] is not None and not r["details"].get("overstated"):
            yield f'<div class="tile"><b>{_number(r["value"])}</b><span>{escape(heading)}</span><i>{_plus_minus(r)} {escape(r["unit"])}</i></div>'


def _th(heading: str, number: bool = False) -> str:
    return f'<th class="n">{heading}</th>' if number else f"<th>{heading}</th>"


def _find(report: dict, metric: str, start: str = "") -> dict | None:
    return next((r for r in report["results"] if r["metric"] == metric and r["variant"].startswith(start)), None)


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:,.2f}" if abs(value) >= 100 else f"{value:.3f}" if value % 1 else f"{value:.0f}"


def _plus_minus(r: dict) -> str:
    return "" if r["error"] is None else f"&plusmn;&thinsp;{r['error']:.2g}"


def _results(report: dict) -> str:
    notes: list[str] = []
    rows = []
    for r in report["results"]:
        marks = []
        for note in r["notes"]:
            if note not in notes:
                notes.append(note)
            marks.append(str(notes.index(note) + 1))
        extra = [f"{r['bins']} bins" if r["bins"] else "", ", ".join(r["factors"] or ())]
        how = f"{r['estimator']}; {r['codes']}" + "".join(f"; {e}" for e in extra if e)
        rows.append(
            f"<tr><th>{escape(r['metric'])}<sup>{','.join(marks)}</sup></th><td>{escape(r['variant'])}</td>"
            f'<td class="n"><b>{_number(r["value"])}</b></td><td class="n" title="{escape(r["error_kind"])}">{_plus_minus(r)}</td>'
            f'<td>{escape(r["unit"])}</td><td class="n">{r["n"]:,}</td><td class="how">{escape(how)}</td><td class="n">{r["seconds"]:.1f}</td></tr>'
        )
    numbers = ("value", "error", "N", "s")
    heads = "".join(_th(h, h in numbers) for h in ("metric", "variant", "value", "error", "unit", "N", "how", "s"))
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    kinds = sorted({f"{r['metric']}: {r['error_kind']}" for r in report["results"] if r["error_kind"]})
    errors = "".join(f"<li>{escape(kind)}</li>" for kind in kinds)
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        f"<details open><summary>Notes</summary><ol>{listed}</ol></details>"
        f"<details><summary>What each error is (one standard error)</summary><ul>{errors}</ul></details>"
    )


def _units(report: dict) -> str:
    found = _find(report, "information")
    if not found or not found["details"].get("ranking"):
        return ""
    details = found["details"]
    columns = {
        "exact": "information_exact", "bound, eq. 5": "lower_bound", "bound, eq. 4": "upper_bound",
        "E[&sigma;&sup2;]": "mean_variance", "Var[&mu;]": "variance_of_mean", "KL": "kl",
    }
    top = max([details["information"][k] for k in details["ranking"]] + [1e-9])
    rows = []
    for unit in details["ranking"]:
        share = max(details["information"][unit] / top, 0) * 100
        bar = f'<div class="bar"><span style="width:{share:.1f}%"></span></div>'
        cells = "".join(f'<td class="n">{details[key][unit]:.3f}</td>' for key in columns.values())
        rows.append(f'<tr><th>z<sub>{unit}</sub></th><td class="n"><b>{details["information"][unit]:.3f}</b></td><td>{bar}</td>{cells}</tr>')
    heads = _th("unit") + _th("I(x;z<sub>k</sub>)", True) + _th("") + "".join(_th(h, True) for h in columns)
    return f'<div class="scroll"><table class="units"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div><p>Nats; ranked by information.</p>'


def _confusion(report: dict) -> str:
    found = _find(report, "accuracy", "one-to-one")
    if not found:
        return ""
    details, names = found["details"], report["label_names"]
    mapping = {int(k): v for k, v in details["mapping"].items()}
    place = {label: i for i, label in enumerate(details["labels"])}
    order = sorted(range(len(details["categories"])), key=lambda r: place.get(mapping.get(details["categories"][r]), 1e9))
    labels = [names[v] if v < len(names) else str(v) for v in details["labels"]]
    counts = [details["confusion"][r] for r in order]
    marked = [(i, place[mapping[c]]) for i, r in enumerate(order) if (c := details["categories"][r]) in mapping]
    plot = svg.heat_map(
        counts, [str(details["categories"][r]) for r in order], labels, row_title="category", column_title="label", form="{:,}",
        marked=marked, peaks=[max(row) for row in counts],
    )
    return f'<div class="scroll">{plot}</div><p>Counts of images; framed, the one-to-one map behind the accuracy.</p>'


def _factor_maps(report: dict) -> str:
    source = _find(report, "mig-exact") or _find(report, "mig-chen") or _find(report, "mig-binned")
    if not source:
        return ""
    details, factors = source["details"], list(source["factors"])
    ranked = (_find(report, "information") or {"details": {}})["details"].get("ranking") or range(len(details["information"]))
    table = [details["information"][k] for k in ranked]
    heads = [f"{name} (H = {details['entropy'][name]:.2f})" for name in factors]
    best = [(list(ranked).index(details["best_unit"][name]), c) for c, name in enumerate(factors)]
    plots = [("I(z<sub>k</sub>; factor) in nats, " + escape(source["variant"]), svg.heat_map(table, [f"z{k}" for k in ranked], heads, marked=best))]
    dci = _find(report, "dci")
    if dci:
        importance = [dci["details"]["importance"][k] for k in ranked]
        plots.append(("Importance for each factor (DCI)", svg.heat_map(importance, [f"z{k}" for k in ranked], dci["factors"])))
    drawn = "".join(f'<figure class="scroll"><figcaption>{title}</figcaption>{plot}</figure>' for title, plot in plots)
    return f'<div class="pair">{drawn}</div><p>Framed, the unit that knows most of a factor. H is the factor&rsquo;s entropy.</p>'


def _plane(entries: Sequence[Entry]) -> str:
    tracks = []
    for entry in entries:
        rate, distortion = (_find(entry.report, "rate-distortion", start) for start in ("rate", "distortion"))
        if not rate or not distortion or rate["value"] is None or distortion["value"] is None:
            continue
        curve, mixture = rate["details"]["curve"], _find(entry.report, "mutual-information", "mixture")
        tracks.append(svg.Track(
            entry.name, (rate["value"], distortion["value"]), list(zip(curve["rate"], curve["distortion"])),
            mixture["value"] if mixture else None,
            [f"{kept} units sent: rate {r:.2f}, distortion {d:.2f}" for kept, r, d in zip(curve["units_sent"], curve["rate"], curve["distortion"])],
        ))
    if not tracks:
        return ""
    plot = svg.plane(tracks, x_title="information of the code in nats: rate (dot), I(x;z) (ring)", y_title="distortion in nats")
    said = "The dot is the model: rate KL(q(code|x) || prior) and distortion &minus;log q(x|code). The ring is I(x;z), which the rate bounds from above. The line sends only the units of largest KL, from none to all; the rest are read as 0."
    return f'<div class="scroll">{plot}</div><p>{said}</p>'


def _side_by_side(entries: Sequence[Entry]) -> str:
    rows = []
    for row in comparison([entry.report for entry in entries]):
        cells = []
        for number, value in enumerate(row["values"]):
            if value is None:
                cells.append('<td class="n quiet">&ndash;</td>')
                continue
            best = ' class="n best"' if number == row["best"] else ' class="n"'
            cells.append(f"<td{best}><b>{_number(value['value'])}</b> <small>{_plus_minus(value)}</small></td>")
        rows.append(f"<tr><th>{escape(row['metric'])}</th><td>{escape(row['variant'])}</td><td>{escape(row['unit'])}</td>{''.join(cells)}</tr>")
    heads = "".join(map(_th, ("metric", "variant", "unit"))) + "".join(_th(escape(e.name), True) for e in entries)
    said = "Shaded: ahead by more than two standard errors of the difference, where more or less is better."
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div><p>{said}</p>'


def _left_out(report: dict) -> str:
    reasons: dict[str, list[str]] = {}
    for name, reason in report["left_out"].items():
        reasons.setdefault(reason, []).append(name)
    return "".join(f"<p><b>{escape(', '.join(names))}</b>: {escape(reason)}</p>" for reason, names in reasons.items())


def _uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
