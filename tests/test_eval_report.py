"""The report page, its plots, and the eval command's own flags."""

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from commands import one_line, run
from imaetool.config import Config, Data, Latents
from imaetool.evaluation import svg
from imaetool.evaluation.evaluate import Settings, Subject, measure, report
from imaetool.evaluation.page import Entry, draw, page
from imaetool.training.checkpoint import Model, save_model
from known import Known, grid_data

CHEAP = ["accuracy", "information", "rate-distortion", "mig", "elbo", "active-units"]


class Checked(HTMLParser):
    """Every element is closed where it should be; collects what the page would load and its ids."""

    VOID = {"meta", "img", "br", "link", "input"}

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.seen, self.json = [], [], [], None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.loads += [v for k, v in attributes if k in ("src", "href", "xlink:href", "action", "data", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.json = json.loads(data)


def entry(name, model, data=None, metrics=CHEAP):
    subject = Subject(model, data or grid_data(2), settings=Settings(draws=100, samples=2))
    return Entry(name, report(measure(subject, metrics), subject, name), draw(subject))


@pytest.fixture(scope="module")
def text():
    return page([entry("<b>one</b> & only", Known())])


def test_the_page_is_whole_and_loads_nothing(text):
    found = Checked(text)
    assert found.loads and all(v.startswith("data:image/png;base64,") for v in found.loads)
    assert "http" not in text and "url(" not in text and "@import" not in text and "<link" not in text
    for source in found.loads:
        Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).verify()
    assert found.json[0]["model"] == "<b>one</b> & only" and "<b>one" not in text.replace("\\u003cb>one", "")
    assert len(found.json[0]["results"]) == 9


def test_the_page_has_every_part(text):
    for heading in ("Results", "Units", "What each unit does", "Categories against labels", "Units against factors", "Information plane",
                    "The images surest of each category", "Images and what their codes decode to"):
        assert f"<h2>{heading}" in text, heading
    for word in ("one-to-one (Hungarian)", "I(z<sub>k</sub>; factor)", "place (H = 1.61)", "binomial over images", "c" * 64):
        assert word in text, word


def test_plots_are_well_formed_and_hold_their_numbers(text):
    plots = re.findall(r"<svg.*?</svg>", text)
    assert len(plots) == 3  # confusion, factors, plane
    for plot in plots:
        ElementTree.fromstring(plot)
    assert ">1.61<" in plots[1] and plots[0].count(">40<") == 3


def test_a_page_without_labels_factors_or_units_still_stands():
    for model in (Known(0, (3,)), Known(3, ())):
        data = grid_data(2, labels=False, factors=False)
        Checked(page([entry("plain", model, data, ["information", "elbo"])]))


def test_two_models_on_one_page():
    text = page([entry("first", Known()), entry("second", Known(3))])
    found = Checked(text)
    assert "Side by side" in text and len(found.json) == 2 and text.count('<h2 class="model">') == 2
    assert text.count("Information plane") == 1


@pytest.mark.parametrize("low, high", [(0.3, 9.1), (-104.2, -98.3), (5, 5), (0, 1e-4), (0, 0), (-3, 12345)])
def test_ticks_are_round_and_enclose(low, high):
    marks = svg.ticks(low, high)
    assert marks[0] <= low and marks[-1] >= high and 2 <= len(marks) <= 9
    assert np.allclose(np.diff(marks), marks[1] - marks[0])


def test_heat_map_of_one_cell_zeros_and_gaps():
    for values in ([[0.0]], [[None, 1.0]], [[0.0, 0.0], [0.0, 0.0]]):
        names = [str(i) for i in range(max(len(values), len(values[0])))]
        ElementTree.fromstring(svg.heat_map(values, names[: len(values)], names[: len(values[0])], row_title="<r>", column_title="c"))


# The command


@pytest.fixture
def runs(run_folder, tmp_path):
    """runs/a and runs/b, copies of the trained digits model."""
    for name in "ab":
        (tmp_path / "runs" / name).mkdir(parents=True)
        shutil.copy(run_folder / "model.safetensors", tmp_path / "runs" / name)
    return tmp_path


def test_compare_side_by_side(runs):
    arguments = ["eval", "--compare", "a", "b", "--metric", "accuracy", "--metric", "elbo"]
    table = run(*arguments, cwd=runs).stdout
    assert "2 models on digits, test split" in table and table.count("accuracy") == 2
    found = json.loads(run(*arguments, "--json", cwd=runs).stdout)
    assert found["schema"] == 1 and len(found["models"]) == 2 and [r["metric"] for r in found["comparison"]] == ["accuracy", "accuracy", "elbo"]
    first, second = found["comparison"][0]["values"]
    assert first == second and found["comparison"][0]["best"] is None
    assert "--compare needs two" in run("eval", "--compare", "a", cwd=runs, code=2).stderr
    assert "add --compare" in run("eval", "a", "b", cwd=runs, code=2).stderr


def test_report_is_written_whole(runs):
    done = run("eval", "a", "--metric", "accuracy", "--metric", "information", "--report", "report.html", cwd=runs)
    assert "report: report.html" in done.stderr
    found = Checked((runs / "report.html").read_text())
    assert found.json[0]["data"] == "digits" and not list(runs.glob(".*.part"))
    assert "no folder" in one_line(run("eval", "a", "--report", "no/such/r.html", cwd=runs, code=1))


def test_a_factor_metric_without_factors_is_one_line(runs, monkeypatch):
    from imaetool.zoo import find

    said = one_line(run("eval", "--model", "a", "--metric", "mig", cwd=runs, code=1))
    assert said == "error: metric mig needs ground-truth factors, and digits has none"
    monkeypatch.setattr(find, "packaged_file", lambda name: None)
    said = one_line(run("eval", "--metric", "mig", cwd=runs, code=1))
    assert "no finished run under runs/ on a dataset with ground-truth factors" in said and "imaetool train --recipe" in said


def test_mig_alone_takes_the_newest_run_with_factors(runs, monkeypatch):
    """Though newer runs without factors are there; the dataset is stood in for by a small one of that name."""
    config = Config(network="mlp-imae", data=Data(name="dsprites"), latents=Latents(3, ()))
    folder = runs / "runs" / "sprites"
    folder.mkdir()
    save_model(folder / "model.safetensors", Model(config.network, (1, 4, 4), config.latents), config, {})
    for name in "ab":
        (runs / "runs" / name / "model.safetensors").touch()
    monkeypatch.setattr("imaetool.data.open_data", lambda config: grid_data(2))
    done = run("eval", "--metric", "mig", "--exclude", "shape", "--draws", 200, "--json", cwd=runs)
    found = json.loads(done.stdout)
    assert found["model"] == "runs/sprites/model.safetensors" and "newest finished run on a dataset with factors" in done.stderr
    assert [(r["metric"], r["variant"], r["factors"]) for r in found["results"]] == [
        ("mig-chen", "chen", ["scale", "place"]), ("mig-exact", "chen, integrated", ["scale", "place"]),
    ]
