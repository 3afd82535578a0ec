"""Whatever the input: never an error, always linear, and the links carried are the links that a scan finds."""

import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gptlab.pipeline.observe import Drops, watching
from gptlab.sources.wikipedia import Converter, SiteInfo, WikipediaDump, wikitext_to_markdown
from gptlab.sources.wikipedia.wikitext.emphasis import emphasis
from gptlab.sources.wikipedia.wikitext.lines import _clean, clean_holes
from gptlab.types import DocumentId, document_id, scan_links

PIECES = [
    "[[", "]]", "|", "{{", "}}", "{{{", "}}}", "{|", "|}", "\n", " ", "''", "'''", "'''''", "'", "==",
    "= a =", "*", "#", ":", ";", "<ref>", "</ref>", "<ref name=a />", "<!--", "-->", "<nowiki>", "</nowiki>",
    "<nowiki/>", "<math>", "</math>", "<pre>", "</pre>", "<code>", "</code>", "<br>", "<sub>", "</sub>",
    "<blockquote>", "</blockquote>", "<table>", "</table>", "<i>", "</b>", "File:", "Category:", "fr:", "a",
    "b c", "é", "(", ")", "[", "]", "](", "\\", "\\[", "&#91;", "&amp;", "&nbsp;", "&#2;", "lang|fr|",
    "convert|1|km", "quote|", "ubl|", "http://x", "[http://x ", "__TOC__", "-{", "}-", "%5B", "%", "_", "\t",
    "\x02", "\x03", "\x05", "\ud800", "\u200e", "----", "{{a}}", "[[a]]", "[[a|b]]", "$", "`", "!", "!!", "=",
]  # fmt: skip
SOUP = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
SITES = st.sampled_from(
    [SiteInfo(), SiteInfo(language="zh"), SiteInfo(language="ar"), SiteInfo(case_rule="case-sensitive")]
)


@settings(max_examples=400)
@given(SOUP | st.text(max_size=200), SITES)
def test_never_raises_and_carries_what_a_scan_finds(wikitext: str, site: SiteInfo) -> None:
    text, links = wikitext_to_markdown(wikitext, site)
    assert scan_links(text, site.case_rule) == links
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", text), "no mark of ours is left"


@settings(max_examples=200)
@given(SOUP)
def test_targets_are_identities_and_spans_are_links(wikitext: str) -> None:
    text, links = wikitext_to_markdown(wikitext, SiteInfo())
    for link in links:
        assert document_id(link.target) == link.target != ""
        assert text[link.start] == "[" and text[link.end - 1] == ")"
    assert all(one.end <= two.start for one, two in pairwise(links))


@settings(max_examples=200)
@given(SOUP)
def test_structure_never_survives(wikitext: str) -> None:
    wikitext = re.sub(r"<(?:nowiki|math|pre|code)|&|`", "", wikitext)
    text, _ = wikitext_to_markdown(wikitext, SiteInfo())
    assert "{{" not in text and "}}" not in text
    assert "<ref" not in text and "</ref>" not in text and "<br>" not in text


@given(st.text(alphabet="ab' ", max_size=60))
def test_emphasis_loses_nothing_but_marks(line: str) -> None:
    def words(text: str) -> str:
        return re.sub(r"[^ab]", "", text)

    marked = emphasis(line)
    assert words(marked) == words(line)
    assert "''" not in marked.replace("'''", "'") or "''''" in line or line.count("''") > 0
    assert marked.count("*") % 2 == 0, "every mark that opens is closed"


@given(st.lists(st.sampled_from(["cat", "Dog", "élan", "Mercury (planet)", "100%", "C++"]), max_size=8))
def test_links_of_plain_pages_all_arrive(titles: list[str]) -> None:
    wikitext = " and ".join(f"[[{title}]]" for title in titles)
    _, links = wikitext_to_markdown(wikitext, SiteInfo())
    assert [link.target for link in links] == [document_id(title) for title in titles]


@pytest.mark.parametrize(
    "unit",
    [
        "[[", "{{", "{{{", "[[a|", "{{a|", "{{lang|a|", "[[File:a|", "<ref>", "<ref ", "<!--", "<nowiki>",
        "{|\n", "<table>", "''", "''a'''b", "'", "* a\n", "= a =\n", "(", "( ", "{{a}}, ", "\"{{a}}",
        "({{a}} ", "[http://a ", "](", "\\", "&", "__A", "-{", "[[a|[b]]", "{{{a|", " a\n", "<sup>1",
        ";a : b\n", "[[ [b] ", "{{quote|", "\n", " ", "|\n", "*\n", "==\n", "<math>", "<ref/>", "</ref>", "'<b>",
        "{{a}}", " {{a}} b", "\n: {|", " \n|}", "<table\n", "[[a]]", "&amp;", "é\xa0", "\ud800",
    ],
)  # fmt: skip
def test_time_is_linear(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        best = 9.0
        for _ in range(2):
            start = time.process_time()
            wikitext_to_markdown(text, SiteInfo(language="zh"))
            best = min(best, time.process_time() - start)
        return best

    assert seconds(32_000) < 12 * max(seconds(8_000), 0.005), "four times the text, about four times the time"


@pytest.mark.parametrize("unit", ["[[", "{{"])
def test_ten_megabytes_of_openings_take_under_a_second_or_so(unit: str) -> None:
    start = time.process_time()
    wikitext_to_markdown(unit * 5_000_000, SiteInfo())
    assert time.process_time() - start < 3


def test_deep_nesting_of_prose_templates_stays_small() -> None:
    for depth in (30, 60, 3000):
        text, _ = wikitext_to_markdown("{{lang|a|" * depth + "tea" + "}}" * depth, SiteInfo())
        assert text == ("tea" if depth < 40 else "")


def test_a_users_template_comes_first_and_can_drop() -> None:
    convert = Converter(SiteInfo(), templates={"Brew": "brewed {time|1} minutes", "abbr": ""})
    assert convert("It is {{brew|5}} {{abbr|RPM}}.")[0] == "It is brewed 5 minutes."
    assert convert("It is {{Brew|time=3}}.")[0] == "It is brewed 3 minutes."


def test_a_users_template_cannot_blow_a_page_up() -> None:
    convert = Converter(SiteInfo(), templates={"twice": "{1}{1}{1}{1}{1}{1}{1}{1}{1}{1}"})
    text, _ = convert("{{twice|" * 30 + "tea" + "}}" * 30)
    assert len(text) < 10_000


def test_links_to_the_page_itself_are_text() -> None:
    convert = Converter(SiteInfo())
    assert convert("[[tea]] and [[Tea|this]] and [[milk]]", "Tea")[0] == "tea and this and [milk](Milk)"


def test_redirects_are_followed_before_links_are_written() -> None:
    convert = Converter(SiteInfo(), resolve=lambda title: DocumentId({"Cha": "Tea"}.get(title, title)))
    assert convert("[[cha]] [[milk]]")[0] == "[cha](Tea) [milk](Milk)"
    assert convert("[[cha]]", "Tea")[0] == "cha"


def test_other_namespaces_link_when_they_are_wanted() -> None:
    from gptlab.sources.wikipedia import Namespace

    site = SiteInfo(namespaces=(Namespace(key=100, name="Portal", case_rule="case-sensitive"),))
    assert wikitext_to_markdown("[[Portal:tea|x]]", site)[0] == "x"
    assert Converter(site, namespaces=frozenset({0, 100}))("[[portal:tea|x]]")[0] == "[x](Portal:tea)"


MARKS = ["\x05", "\x05", "\x05", *"'\"([（)]）,;:/.–—-!?\x04\t\xa0\u2003  ", "''", "'''", "a", "tea b"]


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(MARKS), max_size=16).map("".join))
def test_runs_of_punctuation_are_cleaned_as_whole_lines_are(line: str) -> None:
    """Every rule applied to all of the line is the definition."""
    whole = _clean(line, is_first=True, is_last=True) if "\x05" in line else line
    assert clean_holes(line) == re.sub(r"[ \t]{2,}", " ", whole)


LEFT_OVERS = re.compile(
    r"\{\{|\}\}|\{\||\|\}|</?(?:ref|br|sup|sub|div|span|small|gallery|math)\b|<!--|'{2,}|\|thumb|&nbsp;"
)


@pytest.mark.parametrize(
    ("fixture", "documents", "links"), [("enwiki_sample", 106, 22_500), ("viwiki_sample", 274, 60_500)]
)
def test_real_samples(
    fixture: str, documents: int, links: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with watching(Drops()):
        read = list(WikipediaDump(path=request.getfixturevalue(fixture), cache=tmp_path).get_data_generator())
    assert len(read) == documents
    assert sum(len(document.links) for document in read) >= links, "99.5 % of what the independent count finds"
    plain = [re.sub(r"(?s)```.*?```|`[^`\n]*`|\$[^$\n]+\$", "", document.text) for document in read]
    assert sum(len(LEFT_OVERS.findall(text)) for text in plain) < 50
    sample = read[:: max(1, len(read) // 40)]
    assert all(scan_links(document.text) == document.links for document in sample)


KEEPING = Converter(SiteInfo(), infoboxes=True, tables=True)


def test_fields_and_tables_stay_where_they_are_asked_for() -> None:
    box = "{{Infobox river\n| name = Ob\n| length_km = {{convert|12|km}}\n| image = Ob.jpg\n| mouth = [[Sea]]\n}}\n"
    table = (
        '{| class="wikitable"\n|+ Rivers\n! River !! Long\n|-\n| style="x" | [[Ob]] || 12 {{x}}\n|-\n| a\nb\n'
        "| c | d\n|}\n"
    )
    assert KEEPING(f"{box}The '''Ob'''.\n\n{table}After.\n<table><tr><th>x<td>y</table>")[0] == (
        "- name: Ob\n- length km: 12 kilometres (7.5 mi)\n- mouth: [Sea](Sea)\n\nThe **Ob**.\n\n"
        "| River | Long |\n| --- | --- |\n| [Ob](Ob) | 12 |\n| a b | d |\n\nAfter.\n\n| x | y |\n| --- | --- |"
    )
    assert wikitext_to_markdown(f"{box}The '''Ob'''.\n\n{table}After.", SiteInfo())[0] == "The **Ob**.\n\nAfter."


TABLE_PIECES = [
    *PIECES,
    "\n|-\n",
    "\n| ",
    "\n! ",
    "||",
    "\n{|",
    "\n|}",
    "\n|+",
    "<td>",
    "<tr>",
    "{{Infobox x|a=",
    "|b=",
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(TABLE_PIECES), max_size=40).map("".join))
def test_what_is_kept_carries_what_a_scan_finds(wikitext: str) -> None:
    text, links = KEEPING(wikitext)
    assert scan_links(text) == links
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", text), "no mark of ours is left"
    widths = {
        line.count("|") - line.count("\\|")
        for line in text.split("\n")
        if line.startswith("| --- ") and "`" not in line
    }
    assert 0 not in widths


ATOMS = ["<", "<ref>", "<ref ", "'", "''", "{|\n", "|\n", "&", "|", "[", "*\n", "\n", "<math>", "<table>", "[[a]]"]


@settings(max_examples=12)
@given(st.lists(st.sampled_from([*ATOMS, "[[", "{{", "}}", "]]", "<!--", " ", "a", "=="]), min_size=1, max_size=4))
def test_twice_the_atoms_take_about_twice_the_time(atoms: list[str]) -> None:
    def seconds(size: int) -> float:
        unit = "".join(atoms)
        text = unit * (size // len(unit))
        best = 9.0
        for _ in range(3):
            start = time.process_time()
            KEEPING(text)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(60_000) < 4 * max(seconds(30_000), 0.003), "a square would take four times as long"
