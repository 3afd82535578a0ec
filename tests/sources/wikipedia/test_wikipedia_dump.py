"""The dump as documents: every form it comes in, every way it can be bad, redirects, identities, what is left out."""

import bz2
import gzip
import lzma
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wikipedia_exports import export, page

from gptlab.pipeline.observe import Drops, watching
from gptlab.sources import SourceError, WikipediaDump
from gptlab.sources.wikipedia.export import CUT, read_export
from gptlab.sources.wikipedia.redirects import CYCLE, TOO_LONG
from gptlab.storage import fingerprint, from_config, to_config
from gptlab.types import Document, scan_links

Write = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes bytes or text as a dump and gives its path."""

    def write(content: bytes | str, name: str = "dump.xml") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


class Heard:
    """An observer that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.tasks: dict[str, list[float]] = {}

    def say(self, message: str) -> None:
        self.said.append(message)

    def drop(self, reason: str, count: int, example: str) -> None:
        pass

    def progress(self, task: str, done: float, total: float | None, unit: str) -> None:
        self.tasks.setdefault(task, []).append(done / (total or 1))


def read(path: Path, **options: object) -> tuple[list[Document], Drops, Heard]:
    heard = Heard()
    with watching(Drops(heard)) as drops:
        dump = WikipediaDump(path=path, cache=path.parent / "cache", **options)  # type: ignore[arg-type]
        documents = list(dump.get_data_generator())
    return documents, drops, heard


TWO = export(page("Tea", "A [[drink]]."), page("Drink", "Not [[tea]]?"))


@pytest.mark.parametrize(
    "pack",
    [
        str.encode,
        lambda text: bz2.compress(text.encode()),
        lambda text: bz2.compress(text[:700].encode()) + bz2.compress(text[700:].encode()),
        lambda text: gzip.compress(text.encode()),
        lambda text: lzma.compress(text.encode()),
        lambda text: ('<?xml version="1.0" encoding="UTF-16"?>' + text).encode("utf-16"),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: ('<?xml version="1.0" encoding="ISO-8859-1"?>' + text).encode("latin-1"),
    ],
    ids=["plain", "bz2", "multistream", "gzip", "xz", "utf-16", "utf-8 with mark", "latin-1"],
)
def test_every_form_gives_the_same_documents(pack: Callable[[str], bytes], written: Write) -> None:
    path = written(pack(TWO.replace("Not", "Né")), "a name that says nothing")
    documents, drops, heard = read(path)
    assert [(each.id, each.text) for each in documents] == [("Tea", "A [drink](Drink)."), ("Drink", "Né [tea](Tea)?")]
    assert not drops.counts and not heard.said
    assert heard.tasks["read dump"][-1] == 1.0, "progress ends at the end of the file on disk"


@pytest.mark.parametrize("schema", ["0.6", "0.10", "0.11", "0.12"])
def test_any_schema_and_prefix(schema: str, written: Write) -> None:
    text = TWO.replace("export-0.11", f"export-{schema}")
    assert len(read(written(text))[0]) == 2
    prefixed = text.replace("</", "</w:").replace("<", "<w:").replace("<w:/w:", "</w:").replace("xmlns=", "xmlns:w=")
    assert len(read(written(prefixed, "prefixed.xml"))[0]) == 2


def test_site_information_is_read(written: Write) -> None:
    site, _ = next(read_export(written(TWO)))
    assert (site.name, site.database, site.language) == ("Teapedia", "teawiki", "en")
    assert site.namespace_of("sort") == 14 and site.case_of(100) == "case-sensitive"


BAD = [
    (b"", "an empty file"),
    (b"just words", "text that is no XML"),
    (b"<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
    (b"<html><body>404</body></html>", "an HTML page"),
    (b"<feed><page/></feed>", "XML whose root is <feed>"),
    (
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><mediawiki>&b;</mediawiki>',
        "a document type declaration",
    ),
    (TWO.encode()[:300], "cut off before its first complete page"),
    (bz2.compress(TWO.encode())[:100], "cut off within its first block"),
    (gzip.compress(TWO.encode())[:20], "cut off within its first block"),
    (bz2.compress(TWO.encode())[:60] + b"xxxxxxxxxx" + bz2.compress(TWO.encode())[70:], "damaged compression"),
    (TWO.replace("</title>", "</titel>", 1).encode(), "damaged XML"),
    (b'<?xml version="1.0" encoding="klingon"?>' + TWO.encode(), "the encoding 'klingon'"),
]


@pytest.mark.parametrize(("content", "got"), BAD, ids=[got for _, got in BAD])
def test_bad_input_is_one_error_in_four_parts(content: bytes, got: str, written: Write) -> None:
    path = written(content)
    with pytest.raises(SourceError) as caught:
        read(path)
    message = str(caught.value)
    assert str(path) in message.splitlines()[0]
    assert got in message
    assert [line[:10] for line in message.splitlines()[1:3]] == ["  got     ", "  wanted  "]
    assert len(message.splitlines()) == 4, "where, got, wanted, what to do"
    assert caught.value.__cause__ is None


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no such file\n  wanted  .*\n  Check the path"):
        read(tmp_path / "nothing.xml")
    with pytest.raises(SourceError, match="a folder"):
        read(tmp_path)


def test_damage_in_the_middle_names_the_page_before(written: Write) -> None:
    text = TWO.replace("<title>Drink", "<title>Dr<ink")
    with pytest.raises(SourceError, match=r'line \d+, column \d+, after page "Tea"'):
        read(written(text))


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress, lzma.compress])
def test_a_dump_that_is_cut_gives_its_complete_pages_and_says_so(
    pack: Callable[[bytes], bytes], written: Write
) -> None:
    whole = export(*(page(f"Tea {number}", f"Leaf {number} of [[Tea 1]]. " * 50) for number in range(300))).encode()
    content = (
        whole[:100_000] if pack is bytes else pack(whole)[:-3] if pack is lzma.compress else pack(whole[:100_000])
    )
    path = written(content)
    documents, drops, heard = read(path)
    assert documents and [each.title for each in documents] == [f"Tea {number}" for number in range(len(documents))]
    if pack is not lzma.compress:
        assert drops.counts[CUT] == 1
        assert len(heard.said) == 1
        last = documents[-1].title
        assert f'is cut off after page {len(documents)} "{last}"' in heard.said[0]
        assert "bytes into the XML" in heard.said[0]


def test_a_compressed_file_cut_between_blocks(written: Write) -> None:
    streams = [bz2.compress(text.encode()) for text in (TWO[:900], TWO[900:])]
    path = written(streams[0] + streams[1][:-20])
    documents, drops, _ = read(path)
    assert [each.title for each in documents] == ["Tea"] and drops.counts[CUT] == 1


def test_bytes_that_are_no_text_cost_a_character_not_the_page(written: Write) -> None:
    documents, drops, _ = read(written(TWO.encode().replace(b"A [[", b"\xff\xfeA [[")))
    assert documents[0].text == "��A [drink](Drink)." and documents[0].links
    assert drops.counts == {"bytes that are no text, replaced by U+FFFD (page kept)": 1}


def test_a_replacement_character_in_a_good_dump_is_no_damage(written: Write) -> None:
    _, drops, _ = read(written(export(page("A", "the sign \ufffd"))))
    assert not drops.counts


def test_redirects_lead_to_the_last_target(written: Write) -> None:
    text = export(
        page("Start", "[[a]] [[B]] [[Tea]] [[a|x]] [[Nowhere]] [[S]]"),
        page("Tea"),
        page("A", "#REDIRECT [[b]]", redirect="B"),
        page("B", "#REDIRECT [[Tea]]", redirect="Tea"),
        page("S", "#REDIRECT [[Tea#Green]]", redirect="Tea#Green"),
    )
    documents, drops, _ = read(written(text))
    assert [link.target for link in documents[0].links] == ["Tea", "Tea", "Tea", "Tea", "Nowhere", "Tea"]
    assert drops.counts == {"redirect (links to it lead to its target)": 3}


def test_a_redirect_that_only_its_text_tells(written: Write) -> None:
    documents, _, _ = read(written(export(page("Start", "[[cha]]"), page("Cha", "#redirect [[tea|x]]"), page("Tea"))))
    assert [each.title for each in documents] == ["Start", "Tea"]
    assert documents[0].links[0].target == "Tea"


def test_circles_and_long_chains_are_counted_and_left(written: Write) -> None:
    chain = [page(f"C{number}", redirect=f"C{number + 1}") for number in range(8)]
    circle = [page("X", redirect="Y"), page("Y", redirect="X"), page("Z", redirect="Z")]
    documents, drops, _ = read(
        written(export(page("Start", "[[X]] [[C0]] [[C4]] [[Z]]"), *chain, *circle, page("C8")))
    )
    assert [link.target for link in documents[0].links] == ["X", "C0", "C8", "Z"]
    assert drops.counts[CYCLE] == 3
    assert drops.counts[TOO_LONG] == 3, "C0, C1 and C2 are more than five from C8"


def test_a_page_beats_a_redirect_of_its_name(written: Write) -> None:
    documents, _, _ = read(
        written(export(page("Start", "[[cha]]"), page("Cha", redirect="Tea"), page("Cha"), page("Tea")))
    )
    assert documents[0].links[0].target == "Cha"


def test_the_second_page_of_one_identity_is_dropped_and_counted(written: Write) -> None:
    documents, drops, _ = read(written(export(page("Tea", "first"), page("tea", "second"), page("TEA", "third"))))
    assert [(each.id, each.text) for each in documents] == [("Tea", "first"), ("TEA", "third")]
    assert drops.counts == {"second page of one title": 1}
    assert drops.examples == {"second page of one title": "tea"}


def test_hostile_titles_are_documents(written: Write) -> None:
    titles = ["../../etc/passwd", "a" * 300, "WHO", "Who", "con", "x\u202ey", "C:\\x", "."]
    documents, drops, _ = read(written(export(*map(page, titles))))
    assert [each.title for each in documents] == titles and not drops.counts


def test_what_is_no_document_is_counted(written: Write) -> None:
    text = export(
        page("Tea"), page("Talk:Tea", ns=1), page("Module:Tea", ns=0, model="Scribunto"), page("Old", ns=None),
        page("Sort:Old", ns=None), page("Gone").replace('<text bytes="1"', '<text deleted="deleted" bytes="1"'),
    )  # fmt: skip
    documents, drops, _ = read(written(text))
    assert [each.title for each in documents] == ["Tea", "Old"]
    assert drops.counts == {
        "page of another namespace": 2, "page that is no wikitext": 1, "page whose text the dump lacks": 1,
    }  # fmt: skip


def test_other_namespaces_on_request(written: Write) -> None:
    text = export(
        page("Start", "[[portal:tea]] [[sort:tea|x]]"), page("Portal:tea", ns=100), page("Portal:Tea", ns=100)
    )
    documents, _, _ = read(written(text), namespaces={0, 100})
    assert [each.id for each in documents] == ["Start", "Portal:tea", "Portal:Tea"]
    assert [link.target for link in documents[0].links] == ["Portal:tea"]


def test_namespaces_are_checked_on_construction() -> None:
    with pytest.raises(SourceError, match=r"WikipediaDump\.namespaces"):
        WikipediaDump(path=Path("x"), namespaces="articles")  # type: ignore[arg-type]


def test_case_rule_of_the_wiki(written: Write) -> None:
    text = (
        export(page("Start", "[[tea]]"), page("tea"), page("Tea"))
        .replace("<case>first-letter", "<case>case-sensitive")
        .replace('key="0" case="first-letter"', 'key="0" case="case-sensitive"')
    )
    documents, drops, _ = read(written(text))
    assert [each.id for each in documents] == ["Start", "tea", "Tea"] and not drops.counts
    assert documents[0].links[0].target == "tea"
    assert scan_links(documents[0].text, "case-sensitive") == documents[0].links


def test_flags(written: Write) -> None:
    text = export(page("Tea (disambiguation)"), page("Cha", "x {{Disambig}}"), page("List of teas"), page("Tea"))
    documents, _, _ = read(written(text))
    assert [set(each.flags) for each in documents] == [{"disambiguation"}, {"disambiguation"}, {"list"}, set()]


def test_the_newest_revision_counts(written: Write) -> None:
    old = page("Tea", "old").replace("</page>", "<revision><id>9</id><text>new</text></revision></page>")
    assert read(written(export(old)))[0][0].text == "new"


def test_a_page_of_ten_megabytes(written: Write) -> None:
    body = ("A [[leaf]] of tea. " + "Leaves. " * 22) * 53_000
    documents, _, _ = read(written(export(page("Big", body), page("Small"))))
    assert len(body) > 10_000_000 and len(documents[0].links) == 53_000 and documents[1].title == "Small"


def test_memory_is_flat_over_a_long_dump(written: Write) -> None:
    def peak(pages: int) -> int:
        path = written(export(*(page(f"T{number}", "tea " * 5000) for number in range(pages))), f"{pages}.xml")
        tracemalloc.start()
        for _ in read_export(path):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(600) < 1.5 * peak(100)


def test_reading_is_lazy(written: Write) -> None:
    path = written(export(*(page(f"T{number}", "x" * 10_000) for number in range(500))))
    heard = Heard()
    with watching(heard):
        documents = WikipediaDump(path=path, cache=path.parent / "cache").get_data_generator()
        next(documents)
        assert (
            heard.tasks["read dump"] == [] if "read dump" not in heard.tasks else heard.tasks["read dump"][-1] < 0.2
        )
        documents.close()  # type: ignore[attr-defined]


def test_the_table_of_redirects_is_made_once(written: Write) -> None:
    path = written(TWO)
    first, _, heard = read(path)
    again, _, heard_again = read(path)
    assert first == again
    assert "find redirects" in heard.tasks and "find redirects" not in heard_again.tasks
    path.write_bytes(export(page("Milk")).encode())
    other, _, heard_other = read(path)
    assert [each.title for each in other] == ["Milk"] and "find redirects" in heard_other.tasks


def test_fingerprint_follows_content_not_place(written: Write, tmp_path: Path) -> None:
    dump = WikipediaDump(path=written(TWO))
    before = fingerprint(dump)
    moved = tmp_path / "moved.xml"
    dump.path.rename(moved)
    assert fingerprint(WikipediaDump(path=moved, cache=tmp_path / "elsewhere")) == before
    assert fingerprint(WikipediaDump(path=moved, templates={"a": "{1}"})) != before
    moved.write_bytes(TWO.replace("Not", "Now").encode())
    assert fingerprint(WikipediaDump(path=moved)) != before


def test_it_can_be_written_down() -> None:
    dump = WikipediaDump(path=Path("a.xml"), namespaces={0, 14}, templates={"a": "{1}"})
    assert from_config(to_config(dump)) == dump


def test_every_link_is_a_document_or_known_to_be_missing(enwiki_sample: Path, tmp_path: Path) -> None:
    with watching(Drops()) as drops:
        documents = list(WikipediaDump(path=enwiki_sample, cache=tmp_path).get_data_generator())
    known = {document.id for document in documents}
    inside = sum(link.target in known for document in documents for link in document.links)
    assert inside > 80 and len(known) == 106
    assert not any(link.target == document.id for document in documents for link in document.links)
    assert drops.counts == {"redirect (links to it lead to its target)": 99, "page of another namespace": 1}


def test_the_real_cut_dump_says_where(viwiki_sample: Path, tmp_path: Path) -> None:
    heard = Heard()
    with watching(Drops(heard)) as drops:
        pages: Iterator[object] = read_export(viwiki_sample)
        count = sum(1 for _ in pages)
    assert count == 970 and drops.counts[CUT] == 1
    assert "is cut off after page 970" in heard.said[0]
