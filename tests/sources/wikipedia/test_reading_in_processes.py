"""One process, two, Ray: the same documents, byte for byte, however the dump is cut; and every way it can fail."""

import bz2
import gzip
import lzma
import pickle
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wikipedia_exports import export, page

from gptlab.pipeline.observe import Drops, watching
from gptlab.sources import SourceError, WikipediaDump
from gptlab.sources.wikipedia import dump as dump_module
from gptlab.sources.wikipedia import opening as opening_module
from gptlab.sources.wikipedia import parts as parts_module
from gptlab.sources.wikipedia.export import CUT
from gptlab.sources.wikipedia.parts import Part, read_parts
from gptlab.sources.wikipedia.siteinfo import SiteInfo
from gptlab.sources.wikipedia.whole import in_processes
from gptlab.sources.wikipedia.work import Batch, Task, do_part
from gptlab.types import Document

MANY = export(
    *(
        page(f"Leaf {number}", f"Leaf {number} of [[leaf {number - 1}]], né [[bud]]. " * (number % 17))
        for number in range(400)
    ),
    page("Bud", redirect="Leaf 7"),
    page("leaf 3", "again"),
    page("Talk:Leaf", ns=1),
)


class Said:
    """An observer that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.last: tuple[float, float | None] = (0, None)

    def say(self, message: str) -> None:
        self.said.append(message)

    def drop(self, reason: str, count: int, example: str) -> None:
        pass

    def progress(self, task: str, done: float, total: float | None, unit: str) -> None:
        self.last = done, total


def read(path: Path, **options: Any) -> tuple[list[Document], dict[str, int], dict[str, str], list[str]]:
    said = Said()
    cache = path.parent / f"cache-{options.get('processes')}-{options.get('ray')}"
    with watching(Drops(said)) as drops:
        documents = list(WikipediaDump(path=path, cache=cache, **options).get_data_generator())
    assert said.last[0] == said.last[1], "progress ends at the end of the file"
    return documents, dict(drops.counts), drops.examples, said.said


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "dump"
        path.write_bytes(content)
        return path

    return write


def streams(text: bytes, size: int) -> bytes:
    """bz2 streams of `size` bytes of XML each, wherever they cut a page."""
    return b"".join(bz2.compress(text[start : start + size]) for start in range(0, len(text), size))


class Here:
    """Workers that are no processes, but for the copy of the task that they are given."""

    def __init__(self, task: Task, number: int = 2) -> None:
        self.number = number
        self.task = pickle.loads(pickle.dumps(task))
        self.work = self.task.begin()

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, part: Part) -> Callable[[], bytes]:
        packed = do_part(self.task, self.work, part)
        return lambda: packed


def found_redirects(path: Path) -> tuple[list[int], list[tuple[str, str]], int]:
    def task(site: SiteInfo) -> Task:
        return Task(path="x", site=site, namespaces=frozenset({0}), templates={}, options={}, table=None)

    batches: list[Batch] = list(in_processes(path, task, Task.begin, Here, "read", quiet=False))
    titles = [title for batch in batches for title in batch.titles]
    return titles, [each for batch in batches for each in batch.redirects], sum(batch.pages for batch in batches)


SMALL = export(
    page("Tea", "é[[cha]]"), page("Cha", redirect="Tea"), page("日本", "x"), page("Talk:Tea", ns=1), page("Bud")
).encode()


@settings(max_examples=60)
@given(st.lists(st.integers(0, len(SMALL)), max_size=8))
def test_a_cut_may_fall_anywhere(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    """Streams that begin within a page, within a tag, within a letter of several bytes; empty ones."""
    bounds = [0, *sorted(cuts), len(SMALL)]
    folder = tmp_path_factory.mktemp("cut")
    (folder / "whole").write_bytes(bz2.compress(SMALL))
    pieces = [SMALL[start:end] for start, end in pairwise(bounds)]
    (folder / "cut").write_bytes(b"".join(map(bz2.compress, pieces)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts_module, "PACKED", 1)
        numbers = [len(list(read_parts(folder / name))) for name in ("whole", "cut")]
        assert numbers[0] == 1 and numbers[1] >= sum(map(bool, pieces)) - 1
        assert found_redirects(folder / "cut") == found_redirects(folder / "whole")
    assert found_redirects(folder / "whole")[2] == 5


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "multistream": lambda text: streams(text, 9_000),
    "one stream": bz2.compress,
    "plain": bytes,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "with mark": lambda text: b"\xef\xbb\xbf" + text,
    "utf-16": lambda text: ('<?xml version="1.0" encoding="UTF-16"?>' + text.decode()).encode("utf-16"),
    "with prefix": lambda text: (
        text.decode()
        .replace("</", "</w:")
        .replace("<", "<w:")
        .replace("<w:/w:", "</w:")
        .replace("xmlns=", "xmlns:w=")
    ).encode(),
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_two_processes_give_what_one_gives(
    packing: str, written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    if packing not in ("multistream", "plain"):
        monkeypatch.setattr(dump_module, "Processes", Here)
    monkeypatch.setattr(parts_module, "PACKED", 2_000)
    monkeypatch.setattr(parts_module, "PLAIN", 30_000)
    monkeypatch.setattr(parts_module, "LONGEST_STREAM", 4_000)
    monkeypatch.setattr(opening_module, "CHUNK", 10_000)
    path = written(PACKINGS[packing](MANY.encode()))
    if packing in ("multistream", "one stream", "plain", "gzip", "xz"):
        assert len(list(read_parts(path))) > 3
    one, two = read(path, processes=1), read(path, processes=2)
    assert two == one
    assert len(one[0]) == 400 and one[1]["second page of one title"] == 1
    assert any(link.target == "Leaf_7" for document in one[0] for link in document.links)


def test_a_long_stream_among_short_ones_is_read_in_pieces(
    written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the files that are put together of a header, one long body and a footer."""
    monkeypatch.setattr(dump_module, "Processes", Here)
    monkeypatch.setattr(parts_module, "PACKED", 100)
    monkeypatch.setattr(parts_module, "PLAIN", 30_000)
    monkeypatch.setattr(parts_module, "LONGEST_STREAM", 2_000)
    monkeypatch.setattr(opening_module, "CHUNK", 10_000)
    monkeypatch.setattr(parts_module, "BLOCK", 1_000)
    text = MANY.encode()
    path = written(bz2.compress(text[:1000]) + bz2.compress(text[1000:-20_000]) + streams(text[-20_000:], 5_000))
    kinds = [part.is_packed for part in read_parts(path)]
    assert kinds[0] and not all(kinds) and kinds[-1], "streams, pieces, streams again"
    assert read(path, processes=2) == read(path, processes=1)


def test_what_is_cut_off_gives_its_complete_pages_and_says_so(
    written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump_module, "Processes", Here)
    monkeypatch.setattr(parts_module, "PACKED", 2_000)
    for content in (
        streams(MANY.encode(), 9_000)[:-40],
        streams(MANY.encode()[:-3000], 9_000),
        MANY.encode()[:70_000],
    ):
        path = written(content)
        one, two = read(path, processes=1), read(path, processes=2)
        assert two == one
        assert one[1][CUT] == 1 and "is cut off after page" in one[3][0]


def test_bytes_that_are_no_text_are_counted_alike(
    written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump_module, "Processes", Here)
    monkeypatch.setattr(parts_module, "PACKED", 2_000)
    text = MANY.replace("Leaf 30 of", "Leaf @@ of", 3).replace("Leaf 99 of", "Leaf \ufffd of").encode()
    path = written(streams(text.replace(b"@@", b"\xff\xe9"), 9_000))
    one, two = read(path, processes=1), read(path, processes=2)
    assert two == one
    assert one[1]["bytes that are no text, replaced by U+FFFD (page kept)"] == 1, "an honest U+FFFD is no damage"


def test_damage_is_one_error_after_all_that_is_whole(
    written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump_module, "Processes", Here)
    monkeypatch.setattr(parts_module, "PACKED", 2_000)
    packed = streams(MANY.encode(), 9_000)
    middle = len(packed) // 2
    path = written(packed[:middle] + b"xxxx" + packed[middle + 4 :])
    with pytest.raises(SourceError, match=r"begins at byte .* of the file\n  got     damaged compression"):
        read(path, processes=2)
    wrong = MANY.replace("<title>Leaf 200", "<title>Leaf <200")
    path = written(streams(wrong.encode(), 9_000))
    dump = WikipediaDump(path=path, cache=path.parent, processes=2)
    with pytest.raises(SourceError, match=r"(?s)in the part that begins at byte .*damaged XML"):
        dump.pre_cache()
    assert not list(path.parent.glob("wikipedia-redirects*")), "no table is left of what could not be read"


def test_a_stream_without_its_end_before_another_is_damage(
    written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump_module, "Processes", Here)
    monkeypatch.setattr(parts_module, "PACKED", 2_000)
    text = MANY.encode()
    path = written(bz2.compress(text[:40_000])[:-30] + bz2.compress(text[40_000:]))
    for processes in (1, 2):
        with pytest.raises(SourceError, match="damaged compression"):
            read(path, processes=processes)


@pytest.mark.parametrize(
    ("script", "how"), [("kill -9 $$", "was killed by SIGKILL"), ("exit 3", "ended with status 3")]
)
def test_a_worker_that_dies_is_one_clear_error(
    script: str, how: str, written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(streams(MANY.encode(), 9_000))
    shell = path.parent / "python"
    shell.write_text(f"#!/bin/sh\n{script}\n")
    shell.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(shell))
    with pytest.raises(SourceError) as caught:
        read(path, processes=2)
    assert str(caught.value).splitlines()[:2] == [
        f"{path}: reading it in 2 processes",
        f"  got     a process that {how}",
    ]
    assert "fewer processes" in str(caught.value)


def test_workers_end_with_their_reader(written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "PACKED", 2_000)
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(*arguments: Any, **options: Any) -> Any:
        started.append(real(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    path = written(streams(MANY.encode(), 9_000))
    documents = WikipediaDump(path=path, cache=path.parent, processes=2).get_data_generator()
    assert next(documents).title == "Leaf 0"
    documents.close()  # type: ignore[attr-defined]
    assert len(started) == 4 and all(process.poll() is not None for process in started)


def test_how_it_is_read_does_not_change_what_it_is(written: Callable[[bytes], Path]) -> None:
    from gptlab.storage import fingerprint

    path = written(SMALL)
    one, many = WikipediaDump(path=path), WikipediaDump(path=path, processes=7, ray=True)
    assert one == many and fingerprint(one) == fingerprint(many)
    with pytest.raises(SourceError, match=r"WikipediaDump\.processes\n  got     -1"):
        WikipediaDump(path=path, processes=-1)


def test_without_ray_it_says_what_to_install(
    written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SourceError, match=r"pip install 'gptlab\[ray\]'"):
        read(written(SMALL), processes=2, ray=True)


@pytest.mark.slow
def test_real_samples_are_the_same_in_one_process_in_two_and_on_ray(
    enwiki_sample: Path, viwiki_sample: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import ray

    try:
        for sample in (enwiki_sample, viwiki_sample):
            path = tmp_path / sample.name
            path.symlink_to(sample)
            one, two, rays = (
                read(path, processes=number, ray=ray) for number, ray in ((1, False), (2, False), (2, True))
            )
            assert one == two == rays
            assert len(one[0]) > 100
    finally:
        ray.shutdown()
    out, err = capfd.readouterr()
    assert out == err == "", "Ray says nothing of itself"
