"""A Hub on 127.0.0.1 that the real huggingface_hub client talks to, and a process that runs that client."""

import base64
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

CONTENT = random.Random(0).randbytes(60_000)
SHA = hashlib.sha256(CONTENT).hexdigest()
FILE = "model.safetensors"


class Repo:
    """Commits (hash -> path -> bytes) and branches."""

    def __init__(self, state=""):
        self.state, self.commits, self.refs = state, {}, {}  # state: "", "gated", "private", or a status to answer

    def commit(self, files, branch="main"):
        content = {**self.commits.get(self.refs.get(branch), {}), **files}
        name = hashlib.sha1(repr((sorted(content.items()), len(self.commits))).encode()).hexdigest()
        self.commits[name], self.refs[branch] = content, name
        return name


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, content=b"", code="", message="", **headers):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"X-Error-Code": code, "X-Error-Message": message, **headers}.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handle_one(self):
        hub, path = self.server, unquote(urlsplit(self.path).path)
        hub.asked.append((self.command, path, self.headers.get("Range")))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+|refs/.+?)/(.+)", path):
            return self.resolve(*match.groups())
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+?)(?:/revision/(.+))?", path):
            repo = hub.repos.get(match[1])
            return self.answer(200, {"id": match[1], "sha": repo.refs.get("main"), "siblings": []}) if repo else self.none()
        if self.command in ("POST", "PUT"):
            return self.write(path, body)
        return self.answer(404)

    do_HEAD = do_GET = do_POST = do_PUT = handle_one

    def none(self):
        return self.answer(404, {"error": "Repository not found"}, "RepoNotFound", "Repository not found")

    def resolve(self, name, revision, path):
        repo = self.server.repos.get(name)
        if repo is None:
            return self.none()
        if repo.state == "gated":
            return self.answer(403, b"", "GatedRepo", f"Access to model {name} is restricted")
        if repo.state == "private":
            return self.answer(401, b"", "", "Invalid username or password.")
        if repo.state == "token":
            return self.answer(401, b"", "", "Invalid credentials in Authorization header")
        if repo.state:
            return self.answer(int(repo.state))
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            return self.answer(404, b"", "RevisionNotFound", f"Invalid rev id: {revision}")
        if path not in repo.commits[commit]:
            return self.answer(404, b"", "EntryNotFound", "Entry not found", X_Repo_Commit=commit)
        content = self.server.changed.get(path, repo.commits[commit][path])
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{hashlib.sha256(repo.commits[commit][path]).hexdigest()}"')
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "GET":
            end = start + self.server.cuts.pop(0) if self.server.cuts else len(content)
            self.wfile.write(content[start:end])  # less than was promised, where it is cut

    def write(self, path, body):
        hub = self.server
        if path == "/api/validate-yaml":  # open to everyone
            hub.cards.append(json.loads(body)["content"])
            return self.answer(200, {})
        if match := re.fullmatch(r"/lfs/([0-9a-f]{64})", path):  # a signed address
            hub.objects[match[1]] = body
            return self.answer(200)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token != "writer":
            return self.answer(403 if token else 401, {"error": "no"}, message="You don't have the rights")
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}"
            status = 409 if name in hub.repos else 200
            hub.repos.setdefault(name, Repo())
            return self.answer(status, {"url": f"{hub.url}/{name}"})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/main", path):
            return self.answer(200, {"files": [
                {"path": f["path"], "uploadMode": "lfs" if hub.lfs and f["path"].endswith(".safetensors") else "regular", "shouldIgnore": False}
                for f in json.loads(body)["files"]
            ]})
        if path.endswith(".git/info/lfs/objects/batch"):
            return self.answer(200, {"transfer": "basic", "objects": [
                {**o, "actions": {"upload": {"href": f"{hub.url}/lfs/{o['oid']}"}}} for o in json.loads(body)["objects"]
            ]})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
            files = {}
            for line in body.splitlines():
                item = json.loads(line)
                if item["key"] == "file":
                    files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
                elif item["key"] == "lfsFile":
                    files[item["value"]["path"]] = hub.objects[item["value"]["oid"]]
            name = hub.repos[match[1]].commit(files)
            return self.answer(200, {"success": True, "commitOid": name, "commitUrl": f"{hub.url}/{match[1]}/commit/{name}"})
        return self.answer(404)

    def log_message(self, *_):
        pass


class Hub(ThreadingHTTPServer):
    """``repos``; ``asked``: (method, path, Range) of every request; ``cuts``: after how many bytes the next GETs are cut;
    ``changed``: path -> other bytes of the same length; ``lfs``: whether weights go the way of large files."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.reset()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def reset(self):
        self.repos, self.asked, self.cuts, self.changed, self.objects, self.cards, self.lfs = {}, [], [], {}, {}, [], False

    def files_asked(self):
        """The requests for files, without those that the client makes for itself."""
        return [request for request in self.asked if "/resolve/" in request[1]]


CLIENT = """
import json, sys, time
from pathlib import Path
time.sleep = lambda seconds: None  # the client waits long between its tries
answers = []
for code in json.load(sys.stdin):
    try:
        namespace = {"Path": Path}
        exec("from imaetool.zoo.hub import *\\n" + code, namespace)
        answers.append(json.loads(json.dumps(namespace.get("answer"), default=str)))
    except Exception as error:
        answers.append(f"{type(error).__name__}: {error}")
assert "torch" not in sys.modules
print(json.dumps(answers))
"""


def client(endpoint, home, *steps, **env):
    """Run ``steps``, pieces of Python, in a new process whose Hub is ``endpoint``; the ``answer`` of each, or its error."""
    kept = {k: v for k, v in os.environ.items() if not re.match(r"(HF_|HUGGING|.*_proxy$|IMAETOOL_OFFLINE|TRANSFORMERS_)", k, re.IGNORECASE)}
    kept |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(Path(__file__).parents[1]), **env}
    done = subprocess.run([sys.executable, "-c", CLIENT], input=json.dumps(steps), env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
