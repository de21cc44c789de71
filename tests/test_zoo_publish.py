"""Model cards read back, and what is published through the real client is what is fetched; no network."""

import json
from dataclasses import asdict, replace

import pytest

from hub_server import CONTENT, FILE, SHA, client
from imaetool.errors import UserError
from imaetool.zoo.card import check_card, collection_card, model_card, place
from imaetool.zoo.manifest import Figure, Model
from imaetool.zoo.publish import contents, publish

PNG = b"\x89PNG\r\n\x1a\n and so on"


def a_row(name="imae-x", file="", **changes):
    row = Model(
        name=name, status="ready", recipe="imae-mnist", summary="An IMAE: of digits | with <b>colons</b>\nand: more.", file=file or f"{name}.safetensors",
        size=len(CONTENT), sha256=SHA, dtype="float16", data={"name": "mnist", "source": "/some/where/raw", "licence": "CC BY-SA 3.0", "checksum": "abc"},
        training={"command": "imaetool train --recipe imae-mnist --seed 0", "seed": 0, "machine": "cpu", "seconds": 300, "versions": {"torch": "2"}},
        figures=(Figure("accuracy", "one-to-one", 0.98461, "share", 10_000, "test", 0.002), Figure("information", "I(x;y): 'est'", 2.25, "nats", 10_000, "test", 0.01)),
        notes="---\nThe seed: best of 3 # by loss",
    )  # fmt: skip
    return replace(row, **changes)


CELEBA = {"name": "celeba", "source": "a folder: /some/where", "licence": "non-commercial research only"}


def test_a_card_is_read_back():
    row = a_row(repo="o/zoo")
    card = model_card(row)
    found = check_card(card)
    assert (found["license"], found["library_name"], found["pipeline_tag"]) == ("mit", "imaetool", "image-feature-extraction")
    (entry,) = found["model-index"]
    assert entry["name"] == "imae-x" and [m["value"] for m in entry["results"][0]["metrics"]] == [0.98461, 2.25]
    assert found["datasets"] == ["mnist"] and "imae-mnist" in found["tags"]
    assert "imaetool encode images/ --model o/zoo:imae-x.safetensors" in card and "| accuracy | one-to-one | 0.9846 | 10,000 | test |" in card
    assert "(traversals.png)" in card and "5 min" in card and "/some/where" not in card and "<b>" not in card and "CC BY-SA 3.0" in card
    assert "traversals.png" not in model_card(row, picture="")
    assert place(a_row(repo="o/zoo", file=FILE)) == "o/zoo" and place(a_row()) == "imae-x"


@pytest.mark.parametrize("evil", ["a: b", "# c", "- d", "'e\"", "%", "---", "x\n---\ny: z", "@f", "*g", "{h", "no", "1.0", "\x85\u2028\x7f", "é😀", "!!python/object:os.system"])
def test_no_text_breaks_a_card(evil):
    figure = Figure(evil, evil, 1.0, evil, 3, evil, 0.1, {evil: evil})
    row = a_row(summary=evil, recipe=evil, notes=evil, data={"name": evil, "licence": evil}, figures=(figure,))
    found = check_card(model_card(row))
    assert found["model-index"][0]["results"][0]["metrics"][0]["type"] == evil and found["datasets"] == [" ".join(evil.split())]
    assert check_card(collection_card([row, a_row("y")]))["license"] == "mit"


def test_data_for_research_only_makes_weights_for_research_only():
    found = check_card(model_card(a_row(data=CELEBA)))
    assert (found["license"], found["license_name"]) == ("other", "celeba-non-commercial-research") and found["license_link"].startswith("https://")
    both = collection_card([a_row(), a_row("faces", data=CELEBA)])
    assert check_card(both)["license_name"].startswith("mit-and-celeba") and "The weights of faces were trained" in both
    with pytest.raises(UserError, match="card"):
        check_card("# no YAML\n")


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(CONTENT)
    return path


def test_a_dry_run_sends_nothing_and_says_all(weights):
    said, rows = [], [a_row(), a_row("faces", data=CELEBA)]
    files, pictures = {"imae-x": weights, "faces": weights}, {"faces": PNG}
    assert publish(rows, "o/zoo", files=files, pictures=pictures, dry_run=True, say=said.append) == {row.name: row for row in rows}
    assert [line.split()[2] for line in said] == [
        "README.md", "faces.safetensors", "faces/README.md", "faces/traversals.png", "imae-x.safetensors", "imae-x/README.md"
    ]  # fmt: skip
    assert "60,000 bytes" in said[1]
    one = contents(rows[:1], "o/zoo", {"imae-x": weights}, {"imae-x": PNG})
    assert list(one) == ["README.md", "imae-x.safetensors", "traversals.png"] and b"(traversals.png)" in one["README.md"]


@pytest.mark.parametrize("rows, repo, files, pictures, says", [
    ([a_row(sha256="0" * 64)], "o/zoo", ["imae-x"], {}, "is not the file in the row of imae-x"), ([a_row(size=7)], "o/zoo", ["imae-x"], {}, "not 7 with"),
    ([a_row(), a_row("y", size=7)], "o/zoo", ["imae-x", "y"], {}, "row of y"), ([a_row()], "zoo", ["imae-x"], {}, "OWNER/NAME"),
    ([a_row()], "o/zoo", [], {}, "no weights to publish"), ([a_row(status="recipe only")], "o/zoo", ["imae-x"], {}, "no weights to publish"),
    ([], "o/zoo", [], {}, "nothing to publish"), ([a_row(), a_row()], "o/zoo", ["imae-x"], {}, "of its own"), ([a_row()], "o/zoo", ["imae-x"], {"imae-x": b"GIF"}, "not a PNG"),
    ([a_row()], "o/zoo", ["imae-x", "z"], {}, "'z', which is not among"), ([a_row(file="../x.safetensors")], "o/zoo", ["imae-x"], {}, "bare name"),
])  # fmt: skip
def test_what_is_wrong_is_not_published(hub, weights, monkeypatch, rows, repo, files, pictures, says):
    monkeypatch.setattr("imaetool.zoo.publish._commit", lambda *_: pytest.fail("sent"))
    with pytest.raises(UserError, match=says) as error:
        publish(rows, repo, files=dict.fromkeys(files, weights), pictures=pictures, dry_run=False, say=lambda _: None)
    assert "\n" not in str(error.value)


def publishing(rows, weights, pictures=()):
    """A step of the client that publishes ``rows`` to o/zoo."""
    return (
        "import json\nfrom dataclasses import asdict\nfrom imaetool.zoo.manifest import Figure, Model\nfrom imaetool.zoo.publish import publish\n"
        f"rows = [Model(**{{**row, 'figures': tuple(Figure(**f) for f in row['figures'])}}) for row in json.loads({json.dumps([asdict(r) for r in rows])!r})]\n"
        f"files = {{row.name: Path({str(weights)!r}) for row in rows}}\n"
        f"made = publish(rows, 'o/zoo', files=files, pictures={{name: {PNG!r} for name in {list(pictures)!r}}}, dry_run=False, say=lambda _: None)\n"
        "answer = {name: [row.repo, row.revision, row.file] for name, row in made.items()}"
    )


@pytest.mark.parametrize("lfs", [False, True])
def test_what_is_published_is_what_is_fetched(hub, tmp_path, weights, lfs):
    hub.lfs = lfs
    rows = [a_row(), a_row("faces", data=CELEBA)]
    step = publishing(rows, weights, ["faces"])
    first, wrong = client(hub.url, tmp_path / "home", step, publishing([a_row(sha256="0" * 64)], weights), HF_TOKEN="writer")
    assert "not the file in the row" in wrong and len(hub.repos["o/zoo"].commits) == 1
    repo, revision, file = first["imae-x"]
    files = hub.repos["o/zoo"].commits[revision]
    assert repo == "o/zoo" and first["faces"][1] == revision and len(files) == 6 and files["faces/traversals.png"] == PNG
    assert bool(hub.objects) == lfs and hub.cards == [files["README.md"].decode()]
    assert all(check_card(content.decode()) for path, content in files.items() if path.endswith("README.md"))
    again, got = client(  # once more, into a repository that is there
        hub.url, tmp_path / "home", step, f"answer = fetch('o/zoo', {file!r}, revision={revision!r}, sha256={SHA!r}).read_bytes().hex()", HF_TOKEN="writer"
    )
    assert bytes.fromhex(got) == CONTENT and len(again["faces"][1]) == 40


def test_who_may_not_write_is_told_to_log_in(hub, tmp_path, weights):
    step = publishing([a_row()], weights)
    for env, says in (({}, "status 401"), ({"HF_TOKEN": "reader"}, "status 403"), ({"IMAETOOL_OFFLINE": "1"}, "offline, so nothing was sent to o/zoo")):
        (answer,) = client(hub.url, tmp_path / "home", step, **env)
        assert answer.startswith("UserError: ") and says in answer and "o/zoo" in answer and "\n" not in answer
        assert "offline" in says or "hf auth login" in answer
    (answer,) = client("http://127.0.0.1:9", tmp_path / "home", step, HF_TOKEN="writer")
    assert answer.startswith("UserError: no connection to http://127.0.0.1:9 for o/zoo: ") and list(hub.repos) == ["a/b"]
