"""The flagship recipe on real Wikipedia dumps, kept beside the checkout: its files read like articles."""

import json
import re
from pathlib import Path

import pytest
from programs import MODEL, Ended, Nursery, rubbish_of, runs_of, words

pytestmark = pytest.mark.slow
SETTINGS = [*MODEL, *words("--trainer.steps 3 --model.max_seq_len 256")]
MARKUP = re.compile(
    r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}|'''|</?(?:ref|nowiki|br|div|span|table|small|sup|sub)\b|&(?:nbsp|lt|amp);"
)
TEMPLATE_ARGUMENT = re.compile(r"^\s*\|\s*\w+\s*=", re.MULTILINE)


def read(warm: Nursery, place: Path, dump: Path) -> tuple[Ended, Path, list[str]]:
    """Run the recipe; what it said, the folder of the articles, and their texts."""
    done = warm.ended(place, "dagseq_wiki", "--dump", dump, *SETTINGS)
    assert (done.code, done.err) == (0, ""), done.all
    assert not rubbish_of(place)
    (run,) = runs_of(place)
    assert (run / "report.html").exists() and (run / "model").is_dir()
    (articles,) = (place / "cache").glob("articles-*")
    return done, articles, [path.read_text(encoding="utf-8") for path in sorted(articles.rglob("*.md"))]


def like_articles(articles: Path, texts: list[str]) -> None:
    """Properties of prose, and of links that are where the index says."""
    assert all(re.match(r"# \S.*\n\n", text) for text in texts)
    bare = [text for text in texts if len(text.split()) < 20]
    assert len(bare) < 0.05 * len(texts), [text[:60] for text in bare]
    left = {found for text in texts for found in MARKUP.findall(without_code(text))}
    pages = [text.split("\n")[0] for text in texts if MARKUP.search(without_code(text))]
    assert len(pages) <= 0.05 * len(texts), (left, pages)
    assert sum(len(TEMPLATE_ARGUMENT.findall(text)) for text in texts) <= 2
    sentences = sum(len(re.findall(r"[a-zà-ỹ)\]][.?!](?:\s|$)", text)) for text in texts)
    words = sum(len(text.split()) for text in texts)
    assert 8 < words / sentences < 60
    links = 0
    for line in (articles / "index.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        text = (articles / entry["file"]).read_text(encoding="utf-8").partition("\n\n")[2]
        for start, end, _ in entry["links"]:
            assert text[start] == "[" and text[end - 1] == ")", (entry["title"], text[start:end])
        links += len(entry["links"])
    assert links > 20 * len(texts)


def without_code(text: str) -> str:
    """Articles about markup show it in code, where it is meant."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def test_english(tmp_path: Path, enwiki_sample: Path, warm: Nursery) -> None:
    done, articles, texts = read(warm, tmp_path / "en", enwiki_sample)
    assert len(texts) > 90 and "cut off after" not in done.out
    assert "redirect" in done.out
    like_articles(articles, texts)


def test_vietnamese_is_cut_and_says_so(tmp_path: Path, viwiki_sample: Path, warm: Nursery) -> None:
    done, articles, texts = read(warm, tmp_path / "vi", viwiki_sample)
    assert len(texts) > 250
    assert re.search(r"viwiki-100k\.xml\.xz is cut off after page [\d,]+ \".+\", [\d,]+ bytes into the XML", done.out)
    assert "page cut off with the dump" in done.out
    like_articles(articles, texts)
