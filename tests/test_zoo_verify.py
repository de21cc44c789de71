"""imaetool zoo verify: what is right passes, what is wrong is found, and no data is fetched."""

import json
from dataclasses import replace

import pytest

from imaetool.errors import UserError
from imaetool.zoo import find
from imaetool.zoo.manifest import read_manifest, write_manifest
from tiny_zoo import run


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
