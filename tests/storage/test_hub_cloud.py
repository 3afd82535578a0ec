"""Saved directories to a hub and back, through everything that a hub and a network do."""

import hashlib
import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from loopback_hub import SIGNATURE, TOKEN, Fault, Hub, client_of, serving

from gptlab.pipeline.observe import Drops, watching
from gptlab.storage import StorageError
from gptlab.storage.hub import Patience, download, load_from_cloud, plain_copy, save_to_cloud, upload
from gptlab.storage.hub.files import fetched_names, is_plain_name, sent_files
from gptlab.storage.hub.patience import patiently
from gptlab.types import Prompt

QUICK = Patience(attempts=3, first_wait=0.0)
WEIGHTS = np.arange(3000, dtype=np.float32).tobytes()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as found, client_of(found, tmp_path / "cache", monkeypatch):
        yield found


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A directory with a large file, a small one and one that stays at home."""
    directory = tmp_path / "saved"
    directory.mkdir()
    (directory / "config.json").write_text('{"a": 1}')
    (directory / "model.safetensors").write_bytes(WEIGHTS)
    (directory / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    (directory / ".notes").write_text("mine")
    return directory


def test_what_is_uploaded_is_downloaded_at_the_commit(hub: Hub, saved: Path) -> None:
    commit = upload(saved, "owner/name", patience=QUICK)
    assert hub.repos["owner/name"].private
    assert set(hub.repos["owner/name"].files) == {".gitattributes", "config.json", "model.safetensors", "README.md"}
    assert hub.asked("POST .*commit") == 1, "one commit, so that nobody sees half of it"

    (saved / "config.json").write_text('{"a": 2}')
    newer = upload(saved, "owner/name", patience=QUICK)
    assert newer != commit
    old = download("owner/name", commit, patience=QUICK)
    new = download("owner/name", patience=QUICK)
    assert (old.commit, new.commit) == (commit, newer)
    assert [(each.directory / "config.json").read_text() for each in (old, new)] == ['{"a": 1}', '{"a": 2}']
    assert (new.directory / "model.safetensors").read_bytes() == WEIGHTS
    assert new.files == ("README.md", "config.json", "model.safetensors")
    with plain_copy(new) as plain:
        assert (plain / "model.safetensors").read_bytes() == WEIGHTS
        assert not any(path.is_symlink() for path in plain.iterdir())


def test_a_value_comes_back_equal(hub: Hub) -> None:
    commit = save_to_cloud(Prompt(text="Once", seed=3), "owner/prompt", patience=QUICK)
    assert load_from_cloud("owner/prompt", commit, patience=QUICK) == Prompt(text="Once", seed=3)


def test_a_second_upload_sends_and_commits_nothing(hub: Hub, saved: Path) -> None:
    first = upload(saved, "owner/name", patience=QUICK)
    hub.requests.clear()
    assert upload(saved, "owner/name", patience=QUICK) == first
    assert hub.asked("PUT") == hub.asked("POST .*commit") == 0


@pytest.mark.parametrize("chunk", [None, 5000])
@pytest.mark.parametrize(
    "request_of",
    [
        "POST /api/repos/create",
        "GET /api/models",
        "POST .*preupload",
        "POST .*batch",
        "PUT",
        "POST /verify",
        "POST /api/validate-yaml",
        "POST .*commit",
    ],
)
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503, "body": "<html>busy</html>", "headers": {"Content-Type": "text/html"}},
        {"status": 429, "headers": {"Retry-After": "0"}},
        {"status": 0},
        {"status": 0, "when": "after"},
    ],
    ids=["503", "429", "cut", "answer lost"],
)
def test_an_upload_survives_one_fault_anywhere(
    hub: Hub, saved: Path, request_of: str, fault: dict[str, object], chunk: int | None
) -> None:
    hub.chunk = chunk
    hub.faults.append(Fault(request_of, **fault))  # type: ignore[arg-type]
    commit = upload(saved, "owner/name", patience=QUICK)
    assert hub.faults[0].times == 0, "the fault was met"
    repo = hub.repos["owner/name"]
    assert [content for content, _ in repo.files.values()][1:] == [
        (saved / name).read_bytes() for name in list(repo.files)[1:]
    ]
    assert len(repo.commits) == 2, "no commit was made twice"
    assert commit == repo.commits[-1][0]


def test_a_broken_upload_goes_on_where_it_stopped(hub: Hub, saved: Path) -> None:
    for shard in (1, 2):
        (saved / f"model-0000{shard}-of-00002.safetensors").write_bytes(bytes([shard]) * 1000)
    second = hashlib.sha256(bytes([2]) * 1000).hexdigest()
    hub.faults.append(Fault(f"PUT /lfs/{second}", times=1000))
    with pytest.raises(StorageError, match="start it again: what was sent or fetched is kept"):
        upload(saved, "owner/name", patience=QUICK)
    assert len(hub.repos["owner/name"].commits) == 1, "nothing of it is to be seen"
    hub.faults.clear()
    hub.requests.clear()
    upload(saved, "owner/name", patience=QUICK)
    # The files are sent in the order of their names: the first shard was there, the third file had not been tried.
    assert next(request for request in hub.requests if request.startswith("PUT")) == f"PUT /lfs/{second}"
    assert hub.asked("PUT") == 2


def test_the_hubs_own_transfer_of_large_files_is_used_where_it_is(
    hub: Hub, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Xet, which the real hub speaks: what it takes it takes once, and its errors are told like all others."""
    content = os.urandom(150_000)  # never sent before, and not to be compressed
    (saved / "model.safetensors").write_bytes(content)
    with client_of(hub, tmp_path / "cache", monkeypatch, xet=True):
        hub.faults.append(Fault("xet-write-token", status=401, times=1000))
        with pytest.raises(StorageError, match="wanted  a valid token") as raised:
            upload(saved, "owner/name", patience=QUICK)
        assert TOKEN not in str(raised.value)
        hub.faults.clear()
        upload(saved, "owner/name", patience=QUICK)
    assert hub.repos["owner/name"].files["model.safetensors"] == (content, True)
    assert hub.asked("POST /cas/v1/xorbs") == 1
    assert hub.asked("PUT") == 0


def test_shards_of_an_earlier_upload_are_removed_and_other_files_stay(hub: Hub, saved: Path) -> None:
    hub.add(
        "owner/name", {"model-00001-of-00009.safetensors": b"old", "LICENSE": b"mine", "a.safetensors": b"too"}, True
    )
    upload(saved, "owner/name", patience=QUICK)
    assert set(hub.repos["owner/name"].files) == {
        "LICENSE",
        "a.safetensors",
        "config.json",
        "model.safetensors",
        "README.md",
    }


def test_a_commit_that_came_between_is_built_upon(hub: Hub, saved: Path) -> None:
    hub.faults.append(Fault("POST .*commit", status=412))
    upload(saved, "owner/name", patience=QUICK)
    assert "config.json" in hub.repos["owner/name"].files


def test_a_public_repository_is_left_alone_unless_asked_for(hub: Hub, saved: Path) -> None:
    hub.add("owner/open", {"config.json": b"{}"})
    with pytest.raises(StorageError) as raised:
        upload(saved, "owner/open", patience=QUICK)
    assert str(raised.value) == (
        "hub: upload to owner/open\n"
        "  got     a repository that everybody can read\n"
        "  wanted  a private one\n"
        "  Say private=False (--public) if everybody may read it, or choose another name; nothing was sent."
    )
    assert hub.asked("PUT") == hub.asked("POST .*commit") == 0
    upload(saved, "owner/open", private=False, patience=QUICK)
    upload(saved, "owner/fresh", private=False, patience=QUICK)
    assert not hub.repos["owner/fresh"].private


UPLOAD_ENDS = {
    401: ("POST /api/repos/create", "wanted  a valid token", "log in with `hf auth login`, or set HF_TOKEN"),
    403: ("POST .*preupload", "wanted  a token that may do this", "Give the token write access"),
    404: ("POST .*preupload", "wanted  a repository that exists and that the token may see", "who is logged in"),
    409: ("POST .*commit", "wanted  no other upload at the same time", "Wait until the other one has ended"),
    429: ("POST .*batch", "wanted  fewer requests", "not sent or fetched twice"),
    500: ("PUT", "wanted  a hub that works", "Look at its status page"),
    504: ("POST .*commit", "wanted  a hub that works", "Look at its status page"),
    0: ("PUT", "wanted  a connection to the hub", "Look at the network, the proxy and HF_ENDPOINT"),
}


@pytest.mark.parametrize("status", UPLOAD_ENDS)
def test_an_upload_ends_in_one_error_that_says_what_to_do(
    hub: Hub, saved: Path, status: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    request, wanted, do = UPLOAD_ENDS[status]
    hub.faults.append(Fault(request, status=status, times=10_000, body=f'{{"error": "no for {TOKEN}"}}'))
    with caplog.at_level(logging.DEBUG), pytest.raises(StorageError) as raised:
        upload(saved, "owner/name", patience=QUICK)
    text = str(raised.value)
    assert text.startswith("hub: ") and "owner/name\n  got " in text
    assert wanted in text and do in text
    if status:
        assert f"the answer {status}" in text
    said = "".join(traceback.format_exception(raised.value)) + caplog.text + "".join(capfd.readouterr())
    assert TOKEN not in said, "the token is told to nobody, even where the server tells it"
    assert SIGNATURE not in text


def test_a_server_that_asks_for_long_patience_is_believed(hub: Hub, saved: Path) -> None:
    hub.faults.append(Fault("POST /api/repos/create", status=429, headers={"Retry-After": "3600"}, times=9))
    with pytest.raises(StorageError, match="Start it again in 3,600 seconds"):
        upload(saved, "owner/name", patience=QUICK)
    assert hub.asked("POST /api/repos/create") == 1


def test_the_pauses_grow_and_obey_the_server() -> None:
    slept: list[float] = []
    failures = iter([ConnectionResetError("once"), TimeoutError("twice"), BrokenPipeError("thrice")])

    def call() -> str:
        error = next(failures, None)
        if error is not None:
            raise error
        return "done"

    patience = Patience(attempts=4, first_wait=2.0, longest_wait=5.0)
    assert patiently(call, doing="try", token=None, patience=patience, sleep=slept.append) == "done"
    assert slept == [2.0, 4.0, 5.0]


def test_a_token_that_is_wrong_or_of_somebody_else(hub: Hub, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match="Give the token write access to this owner's repositories"):
        upload(saved, "stranger/name", patience=QUICK)
    monkeypatch.setenv("HF_TOKEN", "hf_" + "x" * 30)
    with pytest.raises(StorageError, match="Invalid credentials") as raised:
        upload(saved, "owner/name", patience=QUICK)
    assert "wanted  a valid token" in str(raised.value)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(StorageError, match="hf auth login"):
        upload(saved, "owner/name", patience=QUICK)


# What comes from a hub.


@pytest.mark.parametrize("request_of", ["GET /api/models", "HEAD", "GET .*resolve", "GET /cdn"])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 429, "headers": {"Retry-After": "0"}},
        {"status": 0},
        {"status": 0, "when": "within"},
    ],
    ids=["503", "429", "cut", "cut within"],
)
def test_a_download_survives_one_fault_anywhere(hub: Hub, request_of: str, fault: dict[str, object]) -> None:
    commit = hub.add("owner/name", {"config.json": b'{"a": 1}', "model.safetensors": WEIGHTS})
    hub.faults.append(Fault(request_of, **fault))  # type: ignore[arg-type]
    snapshot = download("owner/name", patience=QUICK)
    assert hub.faults[0].times == 0
    assert snapshot.commit == commit
    assert (snapshot.directory / "model.safetensors").read_bytes() == WEIGHTS
    assert (snapshot.directory / "config.json").read_bytes() == b'{"a": 1}'


def test_what_was_fetched_is_not_fetched_again_and_the_token_stays_on_the_hub(hub: Hub) -> None:
    hub.add("owner/name", {"config.json": b"{}", "model.safetensors": WEIGHTS})
    download("owner/name", patience=QUICK)
    told = dict(zip(hub.requests, hub.headers, strict=True))
    assert {"authorization" in headers for request, headers in told.items() if "/cdn/" in request} == {False}
    assert {"authorization" in headers for request, headers in told.items() if "/cdn/" not in request} == {True}
    hub.requests.clear()
    download("owner/name", patience=QUICK)
    assert hub.asked("cdn|resolve") == 0


DOWNLOAD_ENDS = [
    (Fault("GET /api/models", 401, 99), "wanted  a valid token"),
    (Fault("GET /api/models", 403, 99), "wanted  a token that may do this"),
    (Fault("GET /api/models", 502, 99), "wanted  a hub that works"),
    (Fault("GET /api/models", 0, 99), "wanted  a connection to the hub"),
    (Fault("GET /cdn", 0, 99), "fetch model.safetensors of owner/name"),
    (Fault("HEAD", 500, 99), "the answer 500"),
]


@pytest.mark.parametrize(("fault", "expected"), DOWNLOAD_ENDS)
def test_a_download_ends_in_one_error(hub: Hub, fault: Fault, expected: str) -> None:
    hub.add("owner/name", {"config.json": b"{}", "model.safetensors": WEIGHTS})
    hub.faults.append(Fault(fault.request, fault.status, 10_000))
    with pytest.raises(StorageError) as raised:
        download("owner/name", patience=QUICK)
    assert expected in str(raised.value)


def test_what_is_not_there_is_named(hub: Hub) -> None:
    hub.add("owner/name", {"config.json": b"{}"})
    with pytest.raises(StorageError, match="a repository that exists and that the token may see"):
        download("owner/nothing", patience=QUICK)
    with pytest.raises(StorageError, match="a branch, tag or commit of the repository"):
        download("owner/name", "v2", patience=QUICK)
    hub.gated.add("owner/name")
    with pytest.raises(StorageError, match="Ask for access on its page"):
        download("owner/name", patience=QUICK)


@pytest.mark.parametrize("repo", ["", "a/b/c", "../x", "a--b", "owner/na me", "/etc"])
def test_names_that_no_repository_has_are_refused_before_anything_is_asked(hub: Hub, repo: str, saved: Path) -> None:
    with pytest.raises(StorageError, match="wanted  owner/name"):
        download(repo, patience=QUICK)
    with pytest.raises(StorageError, match="wanted  owner/name"):
        upload(saved, repo, patience=QUICK)
    assert not hub.requests


def test_a_revision_that_is_a_path_is_refused(hub: Hub) -> None:
    with pytest.raises(StorageError, match="wanted  a branch, tag or commit"):
        download("owner/name", "../../main", patience=QUICK)
    assert not hub.requests


@pytest.mark.parametrize(
    "name", ["../evil.json", "/etc/evil.json", "a/../../b.json", "a\\..\\b.json", "c:evil.json", "a\n.json"]
)
def test_a_repository_with_a_name_that_leads_out_is_refused_whole(hub: Hub, name: str, tmp_path: Path) -> None:
    hub.add("owner/name", {"config.json": b"{}", name: b"{}"})
    with pytest.raises(StorageError, match="Do not trust this repository; nothing was fetched"):
        download("owner/name", patience=QUICK)
    assert hub.asked("resolve") == 0
    assert not is_plain_name(name)


def test_code_and_pickles_are_never_fetched(hub: Hub) -> None:
    files = {
        "config.json": b"{}",
        "model.safetensors": WEIGHTS,
        "modeling_x.py": b"evil",
        "pytorch_model.bin": b"\x80",
    }
    hub.add("owner/name", files)
    assert download("owner/name", patience=QUICK).files == ("config.json", "model.safetensors")
    assert hub.asked(r"\.py|\.bin") == 0


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_weights_only_as_pickles_are_refused(hub: Hub, name: str) -> None:
    hub.add("owner/name", {"config.json": b"{}", name: b"\x80\x04"})
    with pytest.raises(StorageError) as raised:
        download("owner/name", patience=QUICK)
    assert f"got     weights only as {name}" in str(raised.value)
    assert "safetensors: the other forms can run code" in str(raised.value)
    assert hub.asked("resolve") == 0


def test_a_configuration_from_a_hub_cannot_name_a_strangers_code(hub: Hub) -> None:
    config = {"format": 1, "gptlab": "0.1.0", "value": {"function": "os.system"}}
    hub.add("owner/evil", {"config.json": json.dumps(config).encode()})
    with pytest.raises(StorageError, match="a name that may not be called from a file"):
        load_from_cloud("owner/evil", patience=QUICK)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("weights/model.safetensors", (10 * 2**30).to_bytes(8, "little"), "a header of 10,737,418,240 bytes"),
        ("notes.txt", b"\x80\x04N.", "a pickle, which runs code when it is read"),
        ("more/deep.json", b"[" * 100 + b"]" * 100, "values nested deeper than 64"),
    ],
)
def test_a_repository_is_looked_at_whole_before_any_of_it_is_read(
    hub: Hub, name: str, content: bytes, expected: str
) -> None:
    """Of these files no value asks for; a later loader, or a person, would meet them."""
    save_to_cloud(Prompt(text="Once"), "owner/prompt", patience=QUICK)
    files = {each: data for each, (data, _) in hub.repos["owner/prompt"].files.items()}
    del files["manifest.json"]
    hub.add("owner/prompt", {**files, name: content})
    with pytest.raises(StorageError) as caught:
        load_from_cloud("owner/prompt", patience=QUICK)
    assert expected in str(caught.value) and Path(name).name in str(caught.value)


def test_content_that_is_not_what_the_hub_promised_is_fetched_once_more_then_refused(hub: Hub) -> None:
    hub.add("owner/name", {"model.safetensors": WEIGHTS})
    (oid,) = (oid for oid, content in hub.objects.items() if content == WEIGHTS)
    hub.objects[oid] = WEIGHTS[::-1]
    with pytest.raises(StorageError, match="that the hub gave for it"):
        download("owner/name", patience=QUICK)
    assert hub.asked("GET /cdn") == 2
    hub.objects[oid] = WEIGHTS
    assert (download("owner/name", patience=QUICK).directory / "model.safetensors").read_bytes() == WEIGHTS


# Without a network.


def test_offline_the_cache_is_used_or_one_error_says_so(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: Path
) -> None:
    commit = hub.add("owner/name", {"config.json": b"{}", "model.safetensors": WEIGHTS})
    online = download("owner/name", patience=QUICK)
    hub.requests.clear()
    with client_of(hub, tmp_path / "cache", monkeypatch, offline=True):
        assert download("owner/name", patience=QUICK) == online
        assert download("owner/name", commit, patience=QUICK).directory == online.directory
        for repo, revision in (("owner/other", "main"), ("owner/name", "v2")):
            with pytest.raises(StorageError) as raised:
                download(repo, revision, patience=QUICK)
            assert str(raised.value) == (
                f"hub: {repo} at {revision}\n"
                "  got     nothing of it in the cache, and offline mode (HF_HUB_OFFLINE)\n"
                "  wanted  files that were fetched before\n"
                "  Unset HF_HUB_OFFLINE, or fetch it once while you are online."
            )
        with pytest.raises(StorageError, match="Unset HF_HUB_OFFLINE; nothing was sent"):
            upload(saved, "owner/name", patience=QUICK)
    assert not hub.requests


def test_a_file_of_the_cache_that_was_changed_is_noticed_offline(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("owner/name", {"config.json": b"{}"})
    blob = (download("owner/name", patience=QUICK).directory / "config.json").resolve()
    blob.chmod(0o644)
    blob.write_bytes(b"[]")
    with client_of(hub, tmp_path / "cache", monkeypatch, offline=True), pytest.raises(StorageError, match="changed"):
        download("owner/name", patience=QUICK)


@pytest.mark.parametrize("offline", ["0", "1"])
def test_the_environment_variables_are_obeyed(hub: Hub, tmp_path: Path, offline: str) -> None:
    """HF_ENDPOINT and HF_HUB_OFFLINE in a process of their own, as a user sets them."""
    hub.add("owner/name", {"config.json": b"{}"})
    code = "from gptlab.storage.hub import download; print(download('owner/name').files)"
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": offline,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": TOKEN,
        "PATH": "",
        "HF_HUB_DISABLE_XET": "1",
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if offline == "1":
        assert "nothing of it in the cache, and offline mode" in done.stderr
        assert not hub.requests
    else:
        assert done.stdout == "('config.json',)\n", done.stderr


# What is sent.


def test_links_pickles_and_code_are_never_sent(saved: Path, hub: Hub) -> None:
    for name, make in {
        "secret.json": lambda path: path.symlink_to("/etc/hostname"),
        "model.pt": lambda path: path.write_bytes(b"\x80"),
        "run.py": lambda path: path.write_text("print()"),
    }.items():
        make(saved / name)
        with pytest.raises(StorageError, match="weights are sent as safetensors, never as pickles"):
            upload(saved, "owner/name", patience=QUICK)
        (saved / name).unlink()
    assert not hub.requests
    assert sorted(sent_files(saved)) == ["README.md", "config.json", "model.safetensors"]


def test_no_directory_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no directory"):
        sent_files(tmp_path / "absent")
    with pytest.raises(StorageError, match="no files"):
        sent_files(tmp_path)


def test_too_many_files_are_refused() -> None:
    with pytest.raises(StorageError, match="10,001 files"):
        fetched_names((f"{n}.json" for n in range(10_001)), ("*.json",), "hub: a/b")


def test_progress_and_the_commit_are_told_and_nothing_is_printed(
    hub: Hub, saved: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []

    class Listening:
        def say(self, message: str) -> None:
            told.append(message)

        def drop(self, reason: str, count: int, example: str) -> None:
            told.append(reason)

        def progress(self, task: str, done: int | float, total: int | float | None, unit: str) -> None:
            told.append(f"{task} {done} of {total} {unit}")

    with watching(Drops(Listening())):
        commit = upload(saved, "owner/name", patience=QUICK)
        download("owner/name", patience=QUICK)
    size = sum((saved / name).stat().st_size for name in ("config.json", "model.safetensors", "README.md"))
    assert f"upload 0 of {size} bytes" in told and f"upload {size} of {size} bytes" in told
    assert f"hub: owner/name is at commit {commit}" in told
    assert f"hub: owner/name at main is commit {commit}; give that as the revision to pin it" in told
    assert "fetch owner/name 3 of 3 files" in told
    assert capfd.readouterr() == ("", "")
