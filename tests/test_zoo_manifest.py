"""The zoo's manifest: what it may hold, how a model is packaged into it, and how it is listed."""

import json
import re
from dataclasses import replace

import pytest

import imaetool
from imaetool.errors import UserError
from imaetool.training.checkpoint import read_header
from imaetool.zoo import find
from imaetool.zoo.manifest import Figure, Model, read_manifest, write_manifest
from tiny_zoo import METRICS, run


def test_the_manifest_that_is_shipped_is_sound():
    rows = read_manifest()
    assert rows and "imae-digits" in rows
    for name, row in rows.items():
        if row.status != "ready":
            continue
        path = find.packaged_file(name)
        assert path is not None and path.stat().st_size == row.size, name
        assert row.figures and all(f.tolerance > 0 and f.n > 0 for f in row.figures), name
        assert row.data["checksum"] and row.data["licence"] and row.training["command"], name
        assert imaetool.load(path).config.data.root == "", name
        header = json.dumps(read_header(path))
        assert not re.search(r'"(/|[A-Z]:)', header), f"{name} holds a path of the machine it was made on"


def test_a_manifest_comes_back_as_it_was_written(tmp_path):
    figure = Figure("mig", "chen", 0.5, "fraction", 10, "test", 0.01, {"exclude": ["shape"]})
    row = Model("a", "ready", "imae-mnist", "An a.", "a.safetensors", 3, "0" * 64, "float16", figures=(figure,))
    rows = {"a": row, "b": Model("b", "recipe only", "jointvae-chairs", "A b.")}
    write_manifest(rows, tmp_path / "m.json")
    assert read_manifest(tmp_path / "m.json") == rows
    assert list(read_manifest(tmp_path / "m.json")) == ["a", "b"]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.update(schema=2), "schema 2"),
        (lambda c: c["models"]["a"].update(file="../a.safetensors"), "bare name"),
        (lambda c: c["models"]["a"].update(file="a.pt"), "bare name"),
        (lambda c: c["models"]["a"].update(sha256="1"), "sha256"),
        (lambda c: c["models"]["a"].update(status="maybe"), "status 'maybe'"),
        (lambda c: c["models"]["a"].update(weights=1), "unknown key 'weights'"),
        (lambda c: c["models"]["a"].update(figures=[{"metric": "mig"}]), "model 'a'"),
        (lambda c: c.update(models=[]), "not a weights manifest"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(tmp_path, change, message):
    path = tmp_path / "m.json"
    write_manifest({"a": Model("a", "ready", "r", "s", "a.safetensors", 3, "0" * 64)}, path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        read_manifest(path)


def test_weights_stay_in_full_precision_where_half_would_change_a_figure(run_folder, packaged, tmp_path, monkeypatch):
    from imaetool.zoo import package as module

    monkeypatch.setattr(module, "tolerance", lambda *_: 0.0)
    row = module.package(run_folder, Model("tiny", "recipe only", "imae-digits", "A tiny one."), folder=tmp_path, metrics=METRICS)
    assert (packaged[1].dtype, row.dtype) == ("float16", "float32")
    assert row.size == (tmp_path / row.file).stat().st_size > 1.5 * packaged[1].size


def test_packaging_keeps_half_the_bytes_and_every_figure(packaged, run_folder):
    folder, row = packaged
    path = folder / "tiny.safetensors"
    assert imaetool.load(path).record["dataset"]["source"] == row.data["source"] != ""
    assert row.status == "ready" and row.size == path.stat().st_size < 0.6 * (run_folder / "model.safetensors").stat().st_size
    assert {f.metric for f in row.figures} == set(METRICS) and row.data["name"] == "digits"
    own = imaetool.load(run_folder / "model.safetensors").record["figures"]
    kept = {(f.metric, f.variant): f for f in row.figures}
    one_to_one = next(f for (metric, variant), f in kept.items() if metric == "accuracy" and "one-to-one" in variant)
    assert one_to_one.value == pytest.approx(own["accuracy"], abs=one_to_one.tolerance)


def test_the_list_shows_data_units_and_n(zoo):
    row = read_manifest()["tiny"]
    write_manifest({"tiny": row, "later": Model("later", "recipe only", "jointvae-chairs", "Later."), "odd": Model("odd", "recipe only", "none", "Odd.")})
    tiny, later, odd = run("zoo", "list").stdout.splitlines()
    assert re.match(r"tiny +digits +[\d.]+ MB, packaged: accuracy 0\.\d+ fraction, reconstruction [\d.]+ nats, N = 188$", tiny)
    assert later.split() == ["later", "chairs", "recipe", "only"] and odd.split() == ["odd", "recipe", "only"]
    assert tiny.index("digits") == later.index("chairs")
    write_manifest({"tiny": replace(row, figures=(row.figures[0], replace(row.figures[-1], n=7)))})
    assert re.search(r"fraction \(N = 188\), reconstruction [\d.]+ nats \(N = 7\)$", run("zoo", "list").stdout.rstrip())


def test_zoo_info_says_what_the_manifest_says(zoo):
    row = read_manifest()["tiny"]
    said = run("zoo", "info", "tiny").stdout
    assert row.sha256 in said and row.training["command"] in said and row.data["licence"] in said
    assert json.loads(run("zoo", "info", "tiny", "--json").stdout)["sha256"] == row.sha256
