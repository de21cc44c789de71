"""The zoo: the manifest, packaging, verifying, finding a model by name, and pictures that a model was not made for."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import imaetool
from imaetool.cli.app import app
from imaetool.errors import UserError
from imaetool.training.checkpoint import read_header
from imaetool.zoo import find, manifest
from imaetool.zoo.manifest import Figure, Model, read_manifest, write_manifest

METRICS = ["accuracy", "information", "reconstruction"]


@pytest.fixture(scope="module")
def packaged(run_folder, tmp_path_factory):
    """(folder, row) of the tiny run, packaged."""
    from imaetool.zoo.package import package

    folder = tmp_path_factory.mktemp("zoo")
    return folder, package(run_folder, Model("tiny", "recipe only", "imae-digits", "A tiny one."), folder=folder, metrics=METRICS)


def test_weights_stay_in_full_precision_where_half_would_change_a_figure(run_folder, packaged, tmp_path, monkeypatch):
    from imaetool.zoo import package as module

    monkeypatch.setattr(module, "tolerance", lambda *_: 0.0)
    row = module.package(run_folder, Model("tiny", "recipe only", "imae-digits", "A tiny one."), folder=tmp_path, metrics=METRICS)
    assert (packaged[1].dtype, row.dtype) == ("float16", "float32")
    assert row.size == (tmp_path / row.file).stat().st_size > 1.5 * packaged[1].size


@pytest.fixture
def zoo(packaged, monkeypatch, tmp_path):
    """A zoo of that one model: its manifest and its folder in place of the real ones."""
    folder, row = packaged
    path = tmp_path / "weights_manifest.json"
    write_manifest({"tiny": replace(row, bundled=True)}, path)
    monkeypatch.setattr(manifest, "PATH", path)
    for module in (find, manifest):
        monkeypatch.setattr(module, "BUNDLED", folder, raising=False)
        monkeypatch.setattr(module, "source_weights", lambda: None)
    monkeypatch.setattr(manifest.read_manifest, "__defaults__", (path,))
    monkeypatch.setattr(manifest.write_manifest, "__defaults__", (path,))
    monkeypatch.chdir(tmp_path)
    return path


def run(*arguments):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)


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


def test_verify_passes_what_is_right(zoo):
    result = run("zoo", "verify", "--json")
    checks = json.loads(result.stdout)["tiny"]
    assert result.exit_code == 0 and {c["result"] for c in checks} == {"ok"} and len(checks) == 2 + 5


def test_verify_finds_a_figure_that_is_wrong(zoo):
    row = read_manifest()["tiny"]
    first = replace(row.figures[0], value=row.figures[0].value + 2 * row.figures[0].tolerance)
    write_manifest({"tiny": replace(row, figures=(first, *row.figures[1:]))})
    result = run("zoo", "verify", "--json")
    assert isinstance(result.exception, UserError) and "tiny" in str(result.exception)
    differing = [c for c in json.loads(result.stdout)["tiny"] if c["result"] == "differs"]
    assert len(differing) == 1 and differing[0]["what"].startswith("accuracy")


def test_verify_finds_a_file_that_was_changed(zoo, packaged, tmp_path, monkeypatch):
    raw = bytearray((packaged[0] / "tiny.safetensors").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "tiny.safetensors").write_bytes(raw)
    monkeypatch.setattr(find, "BUNDLED", tmp_path)
    result = run("zoo", "verify")
    assert isinstance(result.exception, UserError) and "differs" in result.stdout


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """In an empty folder, and every attempt at a download fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IMAETOOL_OFFLINE", raising=False)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("a download was begun"))
    return tmp_path


@pytest.mark.parametrize("place", [(), ("--data-root", "nowhere")])
def test_verify_fetches_no_data_and_says_so_in_one_line_per_model(no_network, place):
    names = [name for name, row in read_manifest().items() if row.status == "ready" and row.data["name"] == "mnist"]
    result = run("zoo", "verify", *names, *place)
    assert result.exit_code == 0 and len(names) > 1
    lines = result.stdout.splitlines()
    assert len(lines) == 2 * len(names) and not any(no_network.iterdir())
    for name, line in zip(names, lines[1::2], strict=True):
        assert line == f"{name}  not checked  {len(read_manifest()[name].figures)} figures: mnist is not here (--data-root)"
    checks = json.loads(run("zoo", "verify", names[0], "--json").stdout)[names[0]]
    assert [c["result"] for c in checks] == ["ok"] + ["not checked"] * len(read_manifest()[names[0]].figures)


def test_a_dataset_that_is_drawn_is_drawn_to_verify(no_network, monkeypatch):
    from imaetool.config import Data
    from imaetool.zoo import verify

    done = []
    monkeypatch.setattr(verify.dsprites, "open_packed", lambda *_: done.append("drawn"))
    monkeypatch.setattr(verify, "open_data", lambda config: done.append(config.name))
    for name in ("dsprites", "digits"):
        verify._open_here(Data(name=name))
    assert done == ["drawn", "dsprites", "digits"]
    with pytest.raises(UserError, match="^celeba is not here"):
        verify._open_here(Data(name="celeba"))


def test_one_figure_is_not_figures():
    from imaetool.cli.zoo import _lines
    from imaetool.zoo.verify import Check

    checks = [Check("a", "1", "2", "differs"), Check("b", "1", "why", "not checked"), Check("c", "3", "3", "ok")]
    assert list(_lines("m", checks)) == ["m  differs      a: 2, the manifest says 1", "m  ok           c: 3", "m  not checked  1 figure: why"]


def test_the_list_shows_data_units_and_n(zoo):
    row = read_manifest()["tiny"]
    write_manifest({"tiny": row, "later": Model("later", "recipe only", "jointvae-chairs", "Later."), "odd": Model("odd", "recipe only", "none", "Odd.")})
    tiny, later, odd = run("zoo", "list").stdout.splitlines()
    assert re.match(r"tiny +digits +[\d.]+ MB, packaged: accuracy 0\.\d+ fraction, reconstruction [\d.]+ nats, N = 188$", tiny)
    assert later.split() == ["later", "chairs", "recipe", "only"] and odd.split() == ["odd", "recipe", "only"]
    assert tiny.index("digits") == later.index("chairs")
    write_manifest({"tiny": replace(row, figures=(row.figures[0], replace(row.figures[-1], n=7)))})
    assert re.search(r"fraction \(N = 188\), reconstruction [\d.]+ nats \(N = 7\)$", run("zoo", "list").stdout.rstrip())


def test_a_packaged_model_is_found_by_name_after_a_path_and_a_run(zoo, packaged, tmp_path):
    path, how = find.find_model("tiny")
    assert path == packaged[0] / "tiny.safetensors" and "packaged" in how
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "model.safetensors").write_bytes(path.read_bytes())
    assert find.find_model("tiny")[0].parts[-3:] == ("runs", "tiny", "model.safetensors")
    assert find.find_model(None) == (find.find_model("tiny")[0], "the newest finished run")


def test_with_no_run_the_packaged_default_is_taken_and_said(zoo):
    path, how = find.find_model(None, "tiny")
    assert path.name == "tiny.safetensors" and "packaged" in how and "no finished run" in how


def test_a_name_that_is_nothing_names_what_there_is(zoo):
    with pytest.raises(UserError, match="no model 'tine'.*tiny"):
        find.find_model("tine")


@pytest.fixture
def no_hub(monkeypatch):
    monkeypatch.setattr("imaetool.zoo.hub.fetch", lambda *_, **__: pytest.fail("the Hub was asked"))


def finished(folder, model):
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(model.read_bytes())


@pytest.mark.parametrize("name, says", [
    ("runs/tiny-9", "no such run 'runs/tiny-9': did you mean 'tiny-1'?"), ("./runs/tiny-9", "no such run './runs/tiny-9'"),
    ("runs/tiny-9/model.safetensors", "no such run"), ("runs/x:y.safetensors", "no such run"), ("tini", "no model 'tini': did you mean 'tiny'?"),
    ("tiny-", "did you mean 'tiny-1'?"), ("zzzz", "no model 'zzzz': give a .safetensors file"),
])  # fmt: skip
def test_a_mistyped_name_says_what_was_meant_and_the_hub_is_not_asked(zoo, packaged, tmp_path, no_hub, name, says):
    finished(tmp_path / "runs" / "tiny-1", packaged[0] / "tiny.safetensors")
    with pytest.raises(UserError) as error:
        find.find_model(name)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_the_zoos_names_are_suggested(tmp_path, monkeypatch, no_hub):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="did you mean 'imae-mnist'\\?"):
        find.find_model("imae-mnst")


def test_a_folder_that_is_no_runs_is_told_as_such(zoo, packaged, tmp_path, no_hub):
    (tmp_path / "photos").mkdir()
    (tmp_path / "some" / "photos").mkdir(parents=True)
    (tmp_path / "runs" / "empty").mkdir(parents=True)
    for name in ("photos", "some/photos"):
        with pytest.raises(UserError, match=f"^{name} is not a run's folder.* imaetool train --data {name}$") as error:
            find.find_model(name)
        assert "--resume" not in str(error.value)
    for name in ("empty", "runs/empty"):
        with pytest.raises(UserError, match="^runs/empty is not a run's folder") as error:
            find.find_model(name)
        assert "--data" not in str(error.value) and "--resume" not in str(error.value)
    (tmp_path / "runs" / "empty" / "checkpoint.safetensors").touch()
    with pytest.raises(UserError, match="imaetool train --resume runs/empty"):
        find.find_model("empty")
    finished(tmp_path / "runs" / "photos", packaged[0] / "tiny.safetensors")
    (tmp_path / "tiny").mkdir()  # such a folder hides neither a run nor a model of the zoo
    assert find.find_model("photos")[0].parts[-3:-1] == ("runs", "photos") and "packaged" in find.find_model("tiny")[1]


def test_a_model_with_a_recipe_alone_says_how_to_train_it(zoo):
    write_manifest(read_manifest() | {"later": Model("later", "recipe only", "jointvae-chairs", "Later.")})
    with pytest.raises(UserError, match="imaetool train --recipe jointvae-chairs"):
        find.find_model("later")
    listed = run("zoo", "list").stdout
    assert "later" in listed and "recipe only" in listed and "tiny" in listed


def test_zoo_info_says_what_the_manifest_says(zoo):
    row = read_manifest()["tiny"]
    said = run("zoo", "info", "tiny").stdout
    assert row.sha256 in said and row.training["command"] in said and row.data["licence"] in said
    assert json.loads(run("zoo", "info", "tiny", "--json").stdout)["sha256"] == row.sha256


def pictures_of(images, folder):
    folder.mkdir()
    paths = []
    for i, image in enumerate(images):
        paths.append(folder / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def digits():
    from imaetool.config import Data
    from imaetool.data import open_data

    return np.stack([open_data(Data(name="digits")).test.images[i, 0] for i in range(40)])


def test_no_warning_for_the_pictures_that_a_model_was_made_for(zoo, digits, tmp_path):
    from imaetool.zoo.unlike import unlike_warning

    assert unlike_warning(imaetool.load("tiny"), pictures_of(digits, tmp_path / "p")) is None


def test_negatives_are_told_as_such(zoo, digits, tmp_path):
    from imaetool.zoo.unlike import unlike_warning

    said = unlike_warning(imaetool.load("tiny"), pictures_of(255 - digits, tmp_path / "p"))
    assert "unlike the digits images" in said and "dark and light exchanged" in said


def test_pictures_of_another_kind_are_warned_of_once(zoo, tmp_path, capfd):
    noise = np.random.default_rng(0).integers(0, 256, (6, 32, 32), np.uint8)
    pictures_of(np.kron(noise[:, ::4, ::4], np.ones((1, 4, 4), np.uint8)), tmp_path / "p")
    result = run("encode", str(tmp_path / "p"), "-m", "tiny", "-o", str(tmp_path / "codes.jsonl"))
    said = capfd.readouterr().err + (result.stderr if result.stderr_bytes else "")
    assert result.exit_code == 0 and said.count("unlike the digits images") == 1
    assert f"imaetool train {tmp_path / 'p'}" in said


def test_the_packaged_model_that_fits_better_is_named(zoo, packaged, digits, tmp_path):
    """Beside the model that fits, one whose limit nothing stays below."""
    from imaetool.training.checkpoint import load, save_model
    from imaetool.zoo.unlike import unlike_warning

    model = load(packaged[0] / "tiny.safetensors")
    save_model(tmp_path / "strict.safetensors", model, model.config, model.record | {"reconstruction_limit": 0.0})
    said = unlike_warning(load(tmp_path / "strict.safetensors"), pictures_of(digits, tmp_path / "p"))
    assert "--model tiny fits better" in said


def test_the_limit_is_what_999_of_1000_stay_below():
    from imaetool.evaluation.likeness import typical_limit

    values = torch.arange(1, 1002, dtype=torch.float64)
    assert typical_limit(values) == pytest.approx(1000.0)
