"""The Hub through its real client: files fetched, resumed, checked and refused, models published; no network."""

import hashlib
import json
import logging
import os
import random
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from hub_server import Hub, Repo, client
from imaetool.errors import UserError
from imaetool.zoo.card import check_card, collection_card, model_card, place
from imaetool.zoo.hub import _quiet, split_name
from imaetool.zoo.manifest import Figure, Model
from imaetool.zoo.publish import contents, publish

CONTENT = random.Random(0).randbytes(60_000)
SHA = hashlib.sha256(CONTENT).hexdigest()
FILE = "model.safetensors"
GET = f"answer = fetch('a/b', '{FILE}')"
READ = f"answer = fetch('a/b', '{FILE}').read_bytes().hex()[:20]"
START = CONTENT.hex()[:20]
PNG = b"\x89PNG\r\n\x1a\n and so on"


@pytest.fixture(scope="module")
def server():
    hub = Hub()
    yield hub
    hub.shutdown()
    hub.server_close()


@pytest.fixture
def hub(server):
    server.reset()
    server.repos["a/b"] = Repo()
    server.repos["a/b"].commit({FILE: CONTENT, "other.txt": b"x"})
    return server


def blobs(home):
    """What is whole in the cache; some versions of the client keep a part under another name and go on with it."""
    return [p for p in Path(home).rglob("*") if p.is_file() and p.parent.name == "blobs" and p.suffix != ".incomplete"]


@pytest.mark.parametrize("name, place", [
    ("a/b", ("a/b", FILE)), ("a/b:c.safetensors", ("a/b", "c.safetensors")), ("a/b:d/c.safetensors", ("a/b", "d/c.safetensors")),
    ("a/b@v1.2", ("a/b@v1.2", FILE)), ("a/b@refs/pr/1:c.safetensors", ("a/b@refs/pr/1", "c.safetensors")),
    ("a", None), ("imae-mnist", None), ("./a/b", None), ("../a", None), ("/a/b", None), ("a/b/c", None), ("runs/x/model.safetensors", None),
    ("runs/model.safetensors", None), ("C:/b", None), ("https://host/a", None), ("a b/c", None), ("", None),
])  # fmt: skip
def test_names(name, place):
    assert split_name(name) == place


@pytest.mark.parametrize("name", [
    "a/b:", "a/b:c.bin", "a/b:../c.safetensors", "a/b:/c.safetensors", "a/b:d//c.safetensors", "a/b:d/./c.safetensors", "a/b:.safetensors",
    "a/b:d\\c.safetensors", "a/b:c\n.safetensors", "a/b@../x:c.safetensors", "a/b@x/", "a/b:c.pkl.safetensors.pt",
])  # fmt: skip
def test_files_outside_or_of_another_kind_are_refused(name):
    with pytest.raises(UserError) as error:
        split_name(name)
    assert "\n" not in str(error.value)


def test_help_needs_no_client():
    code = "import sys, imaetool.zoo.hub, imaetool.zoo.card, imaetool.zoo.publish; assert not {'huggingface_hub', 'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_a_file_is_fetched_once_and_then_without_the_network(hub, tmp_path):
    repo = hub.repos["a/b"]
    first = repo.refs["main"]
    pinned = f"revision='{first}'"
    known = f"sha256='{SHA}', size={len(CONTENT)}"
    before, got, again = client(hub.url, tmp_path, f"answer = cached('a/b', '{FILE}')", READ, GET)
    assert before is None and got == START and Path(again).read_bytes() == CONTENT
    assert [method for method, *_ in hub.files_asked()] == ["HEAD", "GET", "HEAD"]  # a branch may have moved on
    hub.asked.clear()
    steps = (f"answer = fetch('a/b', '{FILE}', {pinned})", f"answer = fetch('a/b@{first}', '{FILE}')", f"answer = fetch('a/b', '{FILE}', {known})",
             f"answer = cached('a/b', '{FILE}')", f"answer = cached('a/b', 'none.safetensors')")  # fmt: skip
    assert client(hub.url, tmp_path, *steps) == [again] * 4 + [None] and not hub.files_asked()
    assert client("http://127.0.0.1:9", tmp_path, GET) == [again]  # nobody there
    assert client(hub.url, tmp_path, GET, HF_HUB_OFFLINE="1") == [again]
    assert client(hub.url, tmp_path, GET, IMAETOOL_OFFLINE="1") == [again] and not hub.files_asked()
    repo.commit({FILE: b"newer"})
    assert client(hub.url, tmp_path, "answer = fetch('a/b', 'model.safetensors').read_text()", steps[0]) == ["newer", again]


def test_a_cut_transfer_goes_on(hub, tmp_path):
    small = "import huggingface_hub.constants as c; c.DOWNLOAD_CHUNK_SIZE = 4096"
    hub.cuts = [20_000, 30_000]
    get = f"answer = fetch('a/b', '{FILE}', sha256='{SHA}').stat().st_size"
    assert client(hub.url, tmp_path, small, get, get, get)[-1] == len(CONTENT)  # at once, or at the next try: as the client is made
    ranges = [asked for method, _, asked in hub.files_asked() if method == "GET"]
    assert ranges[0] is None and len(ranges) == 3 and all(asked.startswith("bytes=") for asked in ranges[1:])


def test_a_transfer_that_is_always_cut_leaves_nothing(hub, tmp_path):
    hub.cuts = [0] * 10
    broken, again = client(hub.url, tmp_path, GET, "from imaetool.zoo.hub import cached; answer = cached('a/b', 'model.safetensors')")
    assert broken.startswith("UserError: the connection to ") and "broke" in broken and "run it again" in broken
    assert again is None and not blobs(tmp_path)
    hub.cuts = []
    assert client(hub.url, tmp_path, READ) == [START]


@pytest.mark.parametrize("links", ["", "1"])
def test_another_file_is_taken_out_of_use(hub, tmp_path, links):
    hub.changed[FILE] = bytes(len(CONTENT))
    steps = f"answer = fetch('a/b', '{FILE}', sha256='{SHA}')", f"answer = cached('a/b', '{FILE}')"
    env = {"HF_HUB_DISABLE_SYMLINKS": links} if links else {}
    wrong, left = client(hub.url, tmp_path, *steps, **env)
    assert wrong.startswith(f"UserError: what came from the Hub as {FILE} of a/b is not the file expected: its sha256 is ") and "removed" in wrong
    assert "\n" not in wrong and left is None and not blobs(tmp_path)
    hub.changed.clear()
    (good,) = client(hub.url, tmp_path, steps[0], **env)
    assert Path(good).read_bytes() == CONTENT
    Path(good).resolve().write_bytes(bytes(len(CONTENT)))  # it changes in the cache, and no network will help
    first = hub.repos["a/b"].refs["main"]
    pinned = f"answer = fetch('a/b', '{FILE}', revision='{first}', sha256='{SHA}')"
    wrong, absent = client(hub.url, tmp_path, pinned, pinned, HF_HUB_OFFLINE="1", **env)
    assert "removed from the cache" in wrong and "offline" in absent and not Path(good).exists()
    size = f"answer = fetch('a/b', '{FILE}', size=7)"
    good, short = client(hub.url, tmp_path, pinned, size, **env)
    assert "it has 60,000 bytes, not 7" in short


def test_every_refusal_is_a_line_of_its_own(hub, tmp_path):
    hub.repos |= {"a/gated": Repo("gated"), "a/private": Repo("private"), "a/down": Repo("500"), "a/no": Repo("403"), "a/busy": Repo("429"), "a/token": Repo("token")}
    asked = {
        "a/none": "no repository a/none at", "a/gated": "a/gated is gated: accept its terms at", "a/private": "wants a login for a/private",
        "a/down": "trouble of its own (status 500)", "a/no": "refuses model.safetensors of a/no", "a/busy": "too many requests",
        "a/token": "does not accept your token", "a/b@v9": "a/b has no revision 'v9'", "a--b..c/d": "is no name of a repository", "a/b": "a/b holds no x/y.safetensors",
    }  # fmt: skip
    steps = [f"answer = fetch({repo!r}, {'x/y.safetensors' if repo == 'a/b' else FILE!r})" for repo in asked]
    full = "import huggingface_hub.file_download as f\ndef http_get(*_, **__): raise OSError(28, 'No space left on device')\nf.http_get = http_get"
    answers = client(hub.url, tmp_path, *steps, full, GET)
    for answer, wanted in zip([*answers[:-2], answers[-1]], [*asked.values(), "the disk is full: no room in"], strict=True):
        assert answer.startswith("UserError: ") and wanted in answer and "\n" not in answer
    assert all("hf auth login" in answer for answer in answers[:3]) and "HF_HOME" in answers[-1] and not blobs(tmp_path)
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    (answer,) = client(hub.url, in_the_way, GET)
    assert answer.startswith("UserError: cannot write ") and "set HF_HOME to a folder" in answer


def test_offline_says_what_to_do(hub, tmp_path):
    for endpoint, env in ((hub.url, {"HF_HUB_OFFLINE": "1"}), (hub.url, {"IMAETOOL_OFFLINE": "1"}), ("http://127.0.0.1:9", {})):
        (answer,) = client(endpoint, tmp_path, GET, **env)
        assert answer.startswith("UserError: offline, " if env else f"UserError: no connection to {endpoint} ")
        assert "not in the Hub cache" in answer and "--model PATH" in answer and "\n" not in answer
    assert not hub.files_asked()


TRY = "import time; time.sleep = lambda seconds: None\nfrom imaetool.__main__ import main\nmain(['traverse', '--model', 'a/b'])"


def test_the_clients_tries_are_not_shown_unless_asked_for(tmp_path):
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(("HF_", "IMAETOOL_")) and not k.lower().endswith("_proxy")}
    kept |= {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])}
    for asked in ({}, {"HF_HUB_VERBOSITY": "warning"}):
        done = subprocess.run([sys.executable, "-c", TRY], env=kept | asked, capture_output=True, text=True, cwd=tmp_path)
        lines = done.stderr.splitlines()
        assert done.returncode == 1 and lines[-1].startswith("error: no connection to http://127.0.0.1:9 for model.safetensors of a/b")
        assert (len(lines) > 1) == bool(asked), done.stderr


def test_in_a_terminal_one_line_stands_while_the_client_tries_again(monkeypatch, capsys):
    from huggingface_hub.utils import logging as theirs

    log, said = theirs.get_logger("huggingface_hub.utils._http"), []
    (handler,) = logging.getLogger("huggingface_hub").handlers
    monkeypatch.setattr(handler, "emit", lambda record: said.append(record.getMessage()))
    monkeypatch.delenv("HF_HUB_VERBOSITY", raising=False)
    monkeypatch.delenv("HF_DEBUG", raising=False)
    for live in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda live=live: live)
        with pytest.raises(OSError), _quiet():
            log.warning("first try")
            log.warning("second try")
            log.error("an error")
            raise OSError
        assert capsys.readouterr().err == ("the Hub does not answer yet: trying again\r\033[K" if live else "")
        log.warning("afterwards")
    assert said == ["an error", "afterwards"] * 2


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
