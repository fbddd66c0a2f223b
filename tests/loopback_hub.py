"""A hub on 127.0.0.1 that speaks what huggingface_hub 2.4 asks of the real one for a push.

Endpoints: whoami-v2, repos/create, validate-yaml, preupload, LFS batch with single and multipart
uploads and verify, the Xet write token (content then goes to hf_xet's own store in a folder),
commit, branch, commits, repo info, tree, and resolve for downloads. Git is a dict of commits.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

Answer = tuple[Any, dict[str, str]]  # data and headers

TOKEN = "hf_loopbackloopbackloopbackloop"
USER = "ada"
LFS_BYTES = 4096  # the real hub goes by suffix and by 10 MB
PART = 2**18


class Refused(Exception):
    """An answer other than 200: status, message, the hub's own error code."""

    def __init__(self, status: int, message: str, code: str = "", **more: str) -> None:
        self.status, self.message, self.code, self.more = status, message, code, more


@dataclass
class Commit:
    id: str
    title: str
    parent: str | None
    files: dict[str, tuple[str, int, bool]]  # path -> oid, size, whether LFS


@dataclass
class Repo:
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def find(self, revision: str) -> Commit:
        commit = self.commits.get(self.branches.get(revision, revision))
        if commit is None:
            raise Refused(404, "Invalid rev id", "RevisionNotFound")
        return commit

    def add(self, branch: str, title: str, files: dict[str, tuple[str, int, bool]]) -> Commit:
        parent = self.branches.get(branch)
        about = json.dumps([parent, title, sorted(files.items()), len(self.commits)])
        commit = Commit(hashlib.sha1(about.encode()).hexdigest(), title, parent, files)
        self.commits[commit.id] = commit
        self.branches[branch] = commit.id
        return commit

    def history(self, revision: str) -> list[Commit]:
        found = [self.find(revision)]
        while parent := found[-1].parent:
            found.append(self.commits[parent])
        return found


class Hub:
    """Start with `with Hub() as hub`; `hub.url` is its HF_ENDPOINT."""

    def __init__(self, xet: Path | None = None) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.parts: dict[tuple[str, int], bytes] = {}
        self.tokens = {TOKEN}
        self.requests: list[tuple[str, str]] = []
        self.refuse: list[tuple[str, int, int]] = []  # pattern of "METHOD path", status, times
        self.cut: str | None = None  # drop the connection of requests that match
        self.slow: float = 0.0  # seconds per uploaded part
        self.xet = xet
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Hub:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def repo(self, name: str, kind: str = "model") -> Repo:
        if (kind, name) not in self.repos:
            raise Refused(404, "Repository not found", "RepoNotFound")
        return self.repos[kind, name]

    def create(self, name: str, kind: str = "model", private: bool = True) -> Repo:
        repo = self.repos[kind, name] = Repo(private)
        repo.add("main", "initial commit", {".gitattributes": self.store(b"*.safetensors lfs\n")})
        return repo

    def store(self, content: bytes) -> tuple[str, int, bool]:
        head = f"blob {len(content)}\0".encode()
        oid = hashlib.sha1(head + content).hexdigest()
        self.blobs[oid] = content
        return oid, len(content), False

    def read(self, name: str, path: str, revision: str = "main", kind: str = "model") -> bytes:
        return self.blobs[self.repo(name, kind).find(revision).files[path][0]]

    def asked(self, pattern: str) -> list[tuple[str, str]]:
        return [r for r in self.requests if re.search(pattern, " ".join(r))]


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def answer(self, data: object, status: int = 200, **headers: str) -> None:
            body = data if isinstance(data, bytes) else json.dumps(data).encode()
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(key.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                size = int(self.headers.get("Content-Length") or 0)
                data = self.rfile.read(size)
                if len(data) < size:
                    raise ConnectionResetError("the client is gone in the midst of its body")
                return data
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def route(self) -> None:
            asked = urlsplit(self.path)
            path = unquote(asked.path) + "?recursive" * ("recursive=true" in asked.query.lower())
            line = f"{self.command} {path}"
            hub.requests.append((self.command, path))
            if hub.cut and re.search(hub.cut, line):
                self.rfile.read(min(1, int(self.headers.get("Content-Length") or 0)))
                self.close_connection = True
                self.connection.close()
                return
            try:
                body = self.body()
                self.admit(line, path)
                for method, pattern, handle in ROUTES:
                    match = re.fullmatch(pattern, path)
                    if match and self.command in method:
                        data, headers = handle(body, **match.groupdict(default=""))
                        self.answer(data, **headers)
                        return
                raise Refused(404, f"no such endpoint: {line}")
            except Refused as no:
                headers = {"X_Error_Message": no.message, "X_Error_Code": no.code}
                said = {"error": no.message, "errors": [{"message": no.message}], **no.more}
                self.answer(said, no.status, **headers)
            except ConnectionError:
                self.close_connection = True  # the client was killed

        def admit(self, line: str, path: str) -> None:
            for number, (pattern, status, times) in enumerate(hub.refuse):
                if times and re.search(pattern, line):
                    hub.refuse[number] = pattern, status, times - 1
                    raise Refused(status, "so it was told to answer")
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if not path.startswith("/lfs/") and token not in hub.tokens:
                raise Refused(401, "Invalid credentials in Authorization header")

        do_GET = do_POST = do_PUT = do_HEAD = route

    def whoami(body: bytes) -> Answer:
        return {"type": "user", "name": USER, "orgs": []}, {}

    def create(body: bytes) -> Answer:
        asked = json.loads(body)
        kind, owner = asked.get("type") or "model", asked.get("organization") or USER
        name = f"{owner}/{asked['name']}"
        url = f"{hub.url}/{'datasets/' * (kind == 'dataset')}{name}"
        if (kind, name) in hub.repos:
            raise Refused(409, "You already created this repo", url=url)
        if owner != USER:
            raise Refused(403, f"You don't have the rights to create under {owner}")
        hub.create(name, kind, asked.get("visibility") == "private")
        return {"url": url, "name": name}, {}

    def validate(body: bytes) -> Answer:
        try:
            about = yaml.safe_load(json.loads(body)["content"].split("---\n")[1])
            assert isinstance(about, dict)
        except Exception as error:
            raise Refused(400, str(error)) from error
        return {"errors": [], "warnings": []}, {}

    def preupload(body: bytes, kind: str, name: str, rev: str) -> Answer:
        there = hub.repo(name, kind).find(rev).files
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["size"] >= LFS_BYTES else "regular",
                "shouldIgnore": False,
                "oid": there.get(file["path"], (None,))[0],
            }
            for file in json.loads(body)["files"]
        ]
        return {"files": files}, {}

    def batch(body: bytes, name: str) -> Answer:
        objects = []
        for one in json.loads(body)["objects"]:
            oid, size = one["oid"], one["size"]
            answer = {"oid": oid, "size": size}
            if oid not in hub.blobs:
                upload: dict[str, object] = {"href": f"{hub.url}/lfs/{oid}"}
                if size > PART:
                    numbers = range(1, -(-size // PART) + 1)
                    urls = {str(n): f"{hub.url}/lfs/{oid}/{n}" for n in numbers}
                    upload["header"] = {"chunk_size": str(PART), **urls}
                verify = {"href": f"{hub.url}/verify/{oid}"}
                answer["actions"] = {"upload": upload, "verify": verify}
            objects.append(answer)
        return {"transfer": "multipart", "objects": objects}, {}

    def put(body: bytes, oid: str, part: str = "") -> Answer:
        time.sleep(hub.slow)
        if part:
            hub.parts[oid, int(part)] = body
        else:
            keep(oid, body)
        return {}, {"ETag": hashlib.md5(body).hexdigest()}

    def complete(body: bytes, oid: str) -> Answer:
        parts = json.loads(body)["parts"]
        keep(oid, b"".join(hub.parts[oid, part["partNumber"]] for part in parts))
        return {}, {}

    def keep(oid: str, content: bytes) -> None:
        assert hashlib.sha256(content).hexdigest() == oid
        hub.blobs[oid] = content

    def verify(body: bytes, oid: str) -> Answer:
        if oid not in hub.blobs:
            raise Refused(404, "no such object")
        return {}, {}

    def xet(body: bytes, kind: str, name: str, rev: str) -> Answer:
        later = int(time.time()) + 3600
        return {"accessToken": "xet", "exp": later, "casUrl": f"local://{hub.xet}"}, {}

    def commit(body: bytes, kind: str, name: str, rev: str) -> Answer:
        repo = hub.repo(name, kind)
        files, title = dict(repo.find(rev).files), ""
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                title = value["summary"]
            elif entry["key"] == "file":
                files[value["path"]] = hub.store(base64.b64decode(value["content"]))
            elif entry["key"] == "lfsFile":
                if value["oid"] not in hub.blobs and hub.xet is None:
                    raise Refused(400, f"LFS object {value['oid']} was not uploaded")
                files[value["path"]] = value["oid"], value["size"], True
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        done = repo.add(rev, title, files)
        url = f"{hub.url}/{name}/commit/{done.id}"
        return {"success": True, "commitOid": done.id, "commitUrl": url}, {}

    def branch(body: bytes, kind: str, name: str, rev: str) -> Answer:
        repo = hub.repo(name, kind)
        if rev in repo.branches:
            raise Refused(409, "Reference already exists")
        repo.branches[rev] = repo.find(json.loads(body).get("startingPoint", "main")).id
        return {}, {}

    def commits(body: bytes, kind: str, name: str, rev: str) -> Answer:
        about = {"authors": [{"user": USER}], "date": "2026-01-01T00:00:00.000Z", "message": ""}
        history = hub.repo(name, kind).history(rev)
        return [{"id": one.id, "title": one.title, **about} for one in history], {}

    def info(body: bytes, kind: str, name: str, rev: str = "main") -> Answer:
        repo = hub.repo(name, kind)
        at = repo.find(rev)
        files = [{"rfilename": path} for path in at.files]
        text = hub.read(name, "README.md", rev, kind) if "README.md" in at.files else b""
        tags = re.findall("^- (.+)$", text.decode().partition("\n---\n")[0], re.MULTILINE)
        told = {"sha": at.id, "private": repo.private, "siblings": files, "tags": tags}
        return {"id": name, **told}, {}

    def tree(body: bytes, kind: str, name: str, rev: str, path: str, deep: str) -> Answer:
        files, top = hub.repo(name, kind).find(rev).files, f"{path}/" if path else ""
        below = {p: f for p, f in files.items() if p.startswith(top)}
        if not below:
            raise Refused(404, "Entry not found", "EntryNotFound")
        inner = {p: p.removeprefix(top).partition("/") for p in below}
        folders = dict.fromkeys(top + first for first, slash, _ in inner.values() if slash)
        listed = [entry(p, *f) for p, f in below.items() if deep or not inner[p][1]]
        return [*listed, *({"type": "directory", "path": p, "oid": ""} for p in folders)], {}

    def paths_info(body: bytes, kind: str, name: str, rev: str) -> Answer:
        files = hub.repo(name, kind).find(rev).files
        asked = json.loads(body)["paths"]
        return [entry(p, *files[p]) for p in asked if p in files], {}

    def entry(path: str, oid: str, size: int, lfs: bool) -> dict[str, Any]:
        return {"type": "file", "path": path, "size": size, "oid": oid}

    def resolve(body: bytes, prefix: str, name: str, rev: str, path: str) -> Answer:
        at = hub.repo(name, "dataset" if prefix else "model").find(rev)
        if path not in at.files:
            raise Refused(404, "Entry not found", "EntryNotFound")
        oid = at.files[path][0]
        return hub.blobs[oid], {"ETag": f'"{oid}"', "X_Repo_Commit": at.id}

    repo = r"/api/(?P<kind>model|dataset)s/(?P<name>[^/]+/[^/]+)"
    name, rev = r"(?P<name>[^/]+/[^/]+)", r"(?P<rev>[^/?]+)"
    ROUTES = [
        ("GET", "/api/whoami-v2", whoami),
        ("POST", "/api/repos/create", create),
        ("POST", "/api/validate-yaml", validate),
        ("POST", f"{repo}/preupload/{rev}", preupload),
        ("POST", rf"/(?:datasets/)?{name}\.git/info/lfs/objects/batch", batch),
        ("PUT", r"/lfs/(?P<oid>\w+)", put),
        ("PUT", r"/lfs/(?P<oid>\w+)/(?P<part>\d+)", put),
        ("POST", r"/lfs/(?P<oid>\w+)", complete),
        ("POST", r"/verify/(?P<oid>\w+)", verify),
        ("GET", f"{repo}/xet-write-token/{rev}", xet),
        ("POST", f"{repo}/commit/{rev}", commit),
        ("POST", f"{repo}/branch/{rev}", branch),
        ("GET", f"{repo}/commits/{rev}", commits),
        ("GET", f"{repo}/revision/{rev}", info),
        ("GET", f"{repo}/tree/{rev}(?:/(?P<path>[^?]+))?(?P<deep>[?]recursive)?", tree),
        ("POST", f"{repo}/paths-info/{rev}", paths_info),
        ("GET", repo, info),
        ("GET HEAD", rf"/(?P<prefix>datasets/)?{name}/resolve/{rev}/(?P<path>.+)", resolve),
    ]
    return Handler
