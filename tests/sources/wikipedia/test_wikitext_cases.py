"""The golden cases: every rule and every known bug of a tool, one small text each."""

from pathlib import Path

import pytest

from gptlab.sources.wikipedia import Converter, Namespace, SiteInfo
from gptlab.types import scan_links

LOCAL_NAMES = {
    "vi": {6: "Tập tin", 14: "Thể loại", 2: "Thành viên"},
    "ru": {6: "Файл", 14: "Категория", 2: "Участник"},
    "ar": {6: "ملف", 14: "تصنيف", 2: "مستخدم"},
    "hi": {6: "चित्र", 14: "श्रेणी", 2: "सदस्य"},
    "zh": {6: "File", 14: "Category", 2: "User"},
}


def read_cases() -> list[tuple[str, str, str, str]]:
    """(language, name, wikitext, Markdown) of every case in the file."""
    language = name = wikitext = ""
    cases = []
    for line in Path(__file__).with_name("wikitext_cases.txt").read_text(encoding="utf-8").splitlines():
        mark, text = line[:1], line[2:].replace("⏎", "\n")
        if mark == "@":
            language = text.strip()
        elif mark == "=":
            name = text
        elif mark == ">":
            wikitext = text
        elif mark == "<":
            cases.append((language, name, wikitext, text))
    return cases


def site(language: str) -> SiteInfo:
    names = LOCAL_NAMES.get(language, {}) | ({14: "分类"} if language == "zh" else {})
    return SiteInfo(language=language, namespaces=tuple(Namespace(key=key, name=name) for key, name in names.items()))


CASES = read_cases()


@pytest.mark.parametrize(("language", "name", "wikitext", "markdown"), CASES, ids=[case[1] for case in CASES])
def test_golden(language: str, name: str, wikitext: str, markdown: str) -> None:
    language, _, option = language.partition(" ")
    is_kept = option == "kept"
    text, links = Converter(site(language), tables=is_kept, infoboxes=is_kept)(wikitext)
    assert text == markdown
    assert scan_links(text) == links


def test_there_are_enough_cases_in_enough_scripts() -> None:
    assert len(CASES) >= 150
    assert {"ar", "hi", "zh", "vi", "ru"} <= {case[0] for case in CASES}
    assert len({case[1] for case in CASES}) == len(CASES)
