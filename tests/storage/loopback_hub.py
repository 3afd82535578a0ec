"""A hub on the loopback: the endpoints that `huggingface_hub` uses for models, and faults on request.

It speaks what the library's source says (create, model info, preupload, LFS batch with basic and multipart transfer,
verify, commit as NDJSON, validate-yaml, resolve with redirect to a signed address, ranges); and, where it is asked
for, the part of Xet that takes in files which do not compress.
"""

import base64
import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import attrs

TOKEN = "hf_" + "Sesame0pen" * 3
SIGNATURE = "c0ffee5ecret"
REVISION = r"(?P<revision>[^/]+|refs/pr/\d+)"


@attrs.define
class Fault:
    """What goes wrong, `times` times, for requests whose "METHOD /path" matches."""

    request: str
    status: int = 0  # 0: the connection is cut
    times: int = 1
    headers: dict[str, str] = attrs.field(factory=dict)
    body: str = '{"error": "not today"}'
    when: str = "before"  # or "after" the work was done, or "within" the answer


@attrs.define
class Repo:
    """A repository: its commits, oldest first, each a mapping from name to (content, is it a large file)."""

    private: bool
    commits: list[tuple[str, dict[str, tuple[bytes, bool]]]] = attrs.field(factory=list)

    @property
    def files(self) -> dict[str, tuple[bytes, bool]]:
        return self.commits[-1][1]

    def commit(self, files: dict[str, tuple[bytes, bool]]) -> str:
        sha = hashlib.sha1(f"{len(self.commits)} {sorted(files)}".encode()).hexdigest()
        self.commits.append((sha, files))
        return sha


class Hub:
    """The state of the server, and what it was asked."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[Fault] = []
        self.chunk: int | None = None
        self.gated: set[str] = set()
        self.url = ""

    def add(self, name: str, files: dict[str, bytes], private: bool = False) -> str:
        """A repository that is there already; .safetensors are large files."""
        repo = self.repos.setdefault(name, Repo(private))
        for content in files.values():
            self.objects[hashlib.sha256(content).hexdigest()] = content
        return repo.commit({name: (content, name.endswith(".safetensors")) for name, content in files.items()})

    def asked(self, pattern: str) -> int:
        """How many requests matched."""
        return sum(bool(re.search(pattern, request)) for request in self.requests)


class Answer(Exception):
    """An answer that ends a request."""

    def __init__(self, status: int, body: Any = b"", headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.headers = status, headers or {}
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers at `hub.url` until the block ends."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

    def log_message(self, *_: object) -> None:
        """Not on the console."""

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_PUT = do_HEAD = do_GET

    def _handle(self) -> None:
        body = self._body()
        request = f"{self.command} {unquote(urlsplit(self.path).path)}"
        self.hub.requests.append(request)
        self.hub.headers.append({name.lower(): value for name, value in self.headers.items()})
        fault = next((each for each in self.hub.faults if each.times and re.search(each.request, request)), None)
        if fault is not None:
            fault.times -= 1
            if fault.when == "before":
                return self._fail(fault)
        try:
            answer = self._answer(request, body)
        except Answer as made:
            answer = made
        if fault is not None and fault.when == "after":
            return self._fail(fault)
        return self._send(answer, cut=fault is not None)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _fail(self, fault: Fault) -> None:
        if fault.status:
            self._send(Answer(fault.status, fault.body.encode(), fault.headers))
        else:
            self.close_connection = True

    def _send(self, answer: Answer, cut: bool = False) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
        self.close_connection = self.close_connection or cut

    def _answer(self, request: str, body: bytes) -> Answer:
        routes = {
            r"POST /api/repos/create": self._create,
            r"POST /api/validate-yaml": lambda _: Answer(200, {"warnings": [], "errors": []}),
            r"GET /api/models/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>.+))?": self._info,
            r"GET /api/(?P<repo>datasets/[^/]+/[^/]+)(/revision/(?P<revision>.+))?": self._info,
            r"POST /api/models/(?P<repo>[^/]+/[^/]+)/preupload/(?P<revision>.+)": self._preupload,
            r"POST /(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch": self._batch,
            r"PUT /lfs/(?P<oid>[0-9a-f]{64})": self._put,
            r"PUT /parts/(?P<oid>[0-9a-f]{64})/(?P<part>\d+)": self._put_part,
            r"POST /complete/(?P<oid>[0-9a-f]{64})": self._complete,
            r"GET /api/models/(?P<repo>[^/]+/[^/]+)/xet-write-token/main": self._xet_token,
            r"POST /cas/v1/xorbs/default/[0-9a-f]{64}": self._xet_chunks,
            r"POST /cas/v2/shards": lambda _: Answer(200, {"type": "result", "result": 1}),
            r"POST /verify": lambda body: Answer(200 if json.loads(body)["oid"] in self.hub.objects else 404),
            r"POST /api/models/(?P<repo>[^/]+/[^/]+)/commit/(?P<revision>.+)": self._commit,
            rf"(GET|HEAD) /(?P<repo>(datasets/)?[^/]+/[^/]+)/resolve/{REVISION}/(?P<name>.+)": self._resolve,
            r"GET /cdn/(?P<oid>[0-9a-f]{64})": self._cdn,
        }
        for pattern, route in routes.items():
            if match := re.fullmatch(pattern, request):
                return route(body, **match.groupdict())
        raise Answer(404, {"error": f"no such endpoint: {request}"})

    def _user(self, *, must_be: str | None = None) -> str | None:
        """Whose token it is; an error of the kind that the hub gives where it may not do this."""
        sent = self.headers.get("Authorization")
        if sent is not None and sent != f"Bearer {TOKEN}":
            raise Answer(
                401,
                {"error": "Invalid credentials in Authorization header"},
                {"X-Error-Message": "Invalid credentials in Authorization header"},
            )
        user = "owner" if sent else None
        if must_be is not None and user != must_be:
            raise Answer(401 if user is None else 403, {"error": "You don't have the rights"})
        return user

    def _repo(self, name: str, *, writing: bool = False) -> Repo:
        user = self._user()
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and user is None):
            raise Answer(404 if user else 401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        if name in self.hub.gated:
            raise Answer(403, {"error": "Access is restricted"}, {"X-Error-Code": "GatedRepo"})
        if writing:
            self._user(must_be=name.partition("/")[0])
        return repo

    def _at(self, repo: Repo, revision: str | None) -> tuple[str, dict[str, tuple[bytes, bool]]]:
        if revision in (None, "main"):
            return repo.commits[-1]
        for commit in repo.commits:
            if commit[0] == revision:
                return commit
        raise Answer(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})

    def _create(self, body: bytes) -> Answer:
        wanted = json.loads(body)
        owner = wanted.get("organization") or "owner"
        self._user(must_be=owner)
        name = f"{owner}/{wanted['name']}"
        if name in self.hub.repos:
            return Answer(409, {"error": "You already created this model repo", "url": f"{self.hub.url}/{name}"})
        private = wanted.get("visibility") == "private" or wanted.get("private") is True
        self.hub.repos[name] = Repo(private)
        self.hub.repos[name].commit({".gitattributes": (b"*.safetensors filter=lfs\n", False)})
        return Answer(200, {"url": f"{self.hub.url}/{name}", "name": name, "id": "1"})

    def _info(self, _: bytes, repo: str, revision: str | None) -> Answer:
        found = self._repo(repo)
        sha, files = self._at(found, revision)
        siblings = [{"rfilename": name} for name in files]
        return Answer(200, {"id": repo, "sha": sha, "private": found.private, "siblings": siblings, "tags": []})

    def _preupload(self, body: bytes, repo: str, revision: str) -> Answer:
        there = self._repo(repo, writing=True).files
        files = []
        for file in json.loads(body)["files"]:
            is_large = file["path"].endswith(".safetensors")
            content = there.get(file["path"], (None, is_large))[0]
            digest = None if content is None else oid_of(content, is_large)
            mode = "lfs" if is_large else "regular"
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": digest})
        return Answer(200, {"files": files})

    def _batch(self, body: bytes, repo: str) -> Answer:
        self._repo(repo, writing=True)
        objects = []
        for wanted in json.loads(body)["objects"]:
            oid, size = wanted["oid"], wanted["size"]
            found: dict[str, Any] = {"oid": oid, "size": size}
            if oid not in self.hub.objects:
                verify = {"href": f"{self.hub.url}/verify"}
                if self.hub.chunk is None:
                    send: dict[str, Any] = {"href": f"{self.hub.url}/lfs/{oid}?X-Signature={SIGNATURE}"}
                else:
                    count = -(-size // self.hub.chunk)
                    urls = {
                        f"{n + 1:05}": f"{self.hub.url}/parts/{oid}/{n}?X-Signature={SIGNATURE}" for n in range(count)
                    }
                    header = {"chunk_size": str(self.hub.chunk), **urls}
                    send = {"href": f"{self.hub.url}/complete/{oid}", "header": header}
                found["actions"] = {"upload": send, "verify": verify}
            objects.append(found)
        return Answer(200, {"transfer": "basic" if self.hub.chunk is None else "multipart", "objects": objects})

    def _put(self, body: bytes, oid: str) -> Answer:
        if parse_qs(urlsplit(self.path).query) != {"X-Signature": [SIGNATURE]}:
            return Answer(403)
        if hashlib.sha256(body).hexdigest() != oid:
            return Answer(400)
        self.hub.objects[oid] = body
        return Answer(200)

    def _put_part(self, body: bytes, oid: str, part: str) -> Answer:
        self.hub.parts[f"{oid}/{part}"] = body
        return Answer(200, b"", {"ETag": f'"{part}"'})

    def _complete(self, body: bytes, oid: str) -> Answer:
        count = len(json.loads(body)["parts"])
        return self._put_whole(b"".join(self.hub.parts[f"{oid}/{n}"] for n in range(count)), oid)

    def _put_whole(self, content: bytes, oid: str) -> Answer:
        if hashlib.sha256(content).hexdigest() != oid:
            return Answer(400)
        self.hub.objects[oid] = content
        return Answer(200)

    def _xet_token(self, _: bytes, repo: str) -> Answer:
        self._repo(repo, writing=True)
        return Answer(200, {"accessToken": "xet", "exp": int(time.time()) + 3600, "casUrl": f"{self.hub.url}/cas"})

    def _xet_chunks(self, body: bytes) -> Answer:
        """A run of chunks, each with a head: version (1 byte), size (3), compression (1), size of the content (3)."""
        content = b""
        while body and body[0] == 0 and body[4] == 0:
            size = int.from_bytes(body[1:4], "little")
            content, body = content + body[8 : 8 + size], body[8 + size :]
        self.hub.objects[hashlib.sha256(content).hexdigest()] = content
        return Answer(200, {"was_inserted": True})

    def _commit(self, body: bytes, repo: str, revision: str) -> Answer:
        found = self._repo(repo, writing=True)
        lines = [json.loads(line) for line in body.splitlines()]
        files = dict(found.files)
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "header" if value.get("parentCommit") not in (None, found.commits[-1][0]):
                    return Answer(412, {"error": "A commit has happened since. Please refresh and try again."})
                case "file":
                    files[value["path"]] = (base64.b64decode(value["content"]), False)
                case "lfsFile":
                    if value["oid"] not in self.hub.objects:
                        return Answer(400, {"error": f"{value['path']} was not uploaded"})
                    files[value["path"]] = (self.hub.objects[value["oid"]], True)
                case "deletedFile":
                    del files[value["path"]]
        sha = found.commit(files)
        return Answer(200, {"success": True, "commitOid": sha, "commitUrl": f"{self.hub.url}/{repo}/commit/{sha}"})

    def _resolve(self, _: bytes, repo: str, revision: str, name: str) -> Answer:
        sha, files = self._at(self._repo(repo), revision)
        if name not in files:
            return Answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
        content, is_large = files[name]
        oid = oid_of(content, is_large)
        headers = {"X-Repo-Commit": sha, "ETag": f'"{oid}"', "Accept-Ranges": "bytes"}
        if not is_large:
            return Answer(200, content, headers)
        headers |= {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        # Another host by name, as on the real hub: the token must not go there.
        elsewhere = self.hub.url.replace("127.0.0.1", "localhost")
        headers["Location"] = f"{elsewhere}/cdn/{oid}?X-Signature={SIGNATURE}"
        return Answer(302, b"", headers)

    def _cdn(self, _: bytes, oid: str) -> Answer:
        content, wanted = self.hub.objects[oid], self.headers.get("Range")
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0  # type: ignore[index]
        headers = {"ETag": f'"{oid}"'}
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        # An answer that is cut must have announced its whole length.
        return Answer(
            206 if wanted else 200, content[start:], {**headers, "Content-Length": str(len(content) - start)}
        )


def oid_of(content: bytes, is_large: bool) -> str:
    """SHA-256 of a large file, Git's own hash of another."""
    if is_large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextlib.contextmanager
def client_of(
    hub: Hub, cache: Any, monkeypatch: Any, *, offline: bool = False, xet: bool = False, token: str | None = TOKEN
) -> Iterator[None]:
    """Point the library at the hub, with a cache of its own and without waiting."""
    import huggingface_hub
    from huggingface_hub.utils import _http as http

    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", not xet)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache) + "-token")
    monkeypatch.setenv("HF_XET_CACHE", str(cache) + "-xet")
    monkeypatch.setattr(http.time, "sleep", lambda _: None)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    yield
    http.close_session()
