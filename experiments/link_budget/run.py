"""What share of the links of its documents does a row keep, on real articles, by how documents are found and cut?

    python experiments/link_budget/run.py ENWIKI.xml.bz2 VIWIKI.xml.xz     # samples of dumps; three minutes

Articles are read, tokenized by a byte-level BPE of 8,192 entries learned from them, and packed by `PackedWalks` to
rows of 2,048 and 8,192 tokens, one per document. Of the links between documents (the first of each pair; to articles
outside the sample are no edges) of all documents in a row, counted once per row that holds their document: those that
are edges of the row are kept, and the others are lost to the budget (the target is not in the row), to a cycle, or to
the row's end. Every traversal with what `Pack` does by default, and then breadth first with every policy of `Pack`.
Where the policy can choose among documents the walks have four times as many tokens as a row, and sixteen times where
each document gives only a part of its own.

Writes `result.json` beside this file. `python -m gptlab.graph.report STORE` shows the first of the two for a store.
"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from gptlab.graph import BreadthFirst, DocumentTable, TraverseLinks, graph_statistics
from gptlab.graph.report_figures import POLICIES
from gptlab.packing import FitRest, Pack, PackedWalks, PadRest
from gptlab.pipeline import Drops, pipeline, watching
from gptlab.sources import ArticleFolder, WikipediaDump
from gptlab.tokenizers import LearnedBPE, Tokenize

SEQ_LENS = (2048, 8192)


def packs(seq_len: int) -> dict[str, tuple[Pack, int]]:
    """Ways of packing, each with the tokens that a walk collects."""
    cap = seq_len // 4
    return {
        "CutLast": (Pack(seq_len), seq_len),
        "PadRest": (Pack(seq_len, excess=PadRest()), seq_len),
        "FitRest": (Pack(seq_len, excess=FitRest()), 4 * seq_len),
        f"CutLast, at most {cap:,} of each": (Pack(seq_len, max_document=cap), 16 * seq_len),
        f"FitRest, at most {cap:,} of each": (Pack(seq_len, excess=FitRest(), max_document=cap), 16 * seq_len),
    }


def kept_links(table: DocumentTable, walks: PackedWalks) -> dict[str, float]:
    """Of all rows: shares of the links between documents, and how full and how varied the rows are."""
    degrees = np.diff(table.graph.out_offsets)
    counts: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    kept = tokens = cut = rows = 0
    for row in walks.get_data_generator():
        rows += 1
        kept += len(row.edges)
        lost.update(row.dropped)
        tokens += row.length
        cut += row.cut
        counts.update(row.ids)
    # Links of documents that the walk holds and the row does not are no links of the row.
    total = sum(int(degrees[table.numbers[id]]) * count for id, count in counts.items())
    return {
        "rows": rows,
        "kept": round(kept / total, 4),
        "cycle": round(lost["cycle"] / total, 4),
        "edges_per_row": round(kept / rows, 2),
        "documents_per_row": round(counts.total() / rows, 2),
        "padding": round(1 - tokens / (rows * walks.pack.seq_len), 4),
        "tokens_cut_per_row": round(cut / rows, 1),
        "documents_seen": round(len(counts) / len(table), 4),
        "most_repeats": max(counts.values()),
    }


def measured(dump: Path, cache: Path) -> dict[str, Any]:
    """All figures of one sample."""
    articles = ArticleFolder(WikipediaDump(path=dump, cache=cache), cache=cache)
    tokenizer = LearnedBPE(corpus=articles, vocab_size=8192, cache=cache)
    table = DocumentTable.from_documents(pipeline(articles, Tokenize(tokenizer)).get_data_generator())
    counts = graph_statistics(table)
    result: dict[str, Any] = {
        "documents": counts.documents,
        "tokens": counts.tokens,
        "links": counts.links,
        "links_between_documents": counts.kept,
        "median_tokens": float(np.median(np.diff(table.token_offsets))),
    }
    for regime in ("with_replacement", "cover_once"):
        for seq_len in SEQ_LENS:
            found = result[f"traversals, {regime}, {seq_len}"] = {}
            for name, policy in POLICIES.items():
                traverse = TraverseLinks(policy, budget=seq_len, regime=regime, cache=cache)
                found[name] = kept_links(table, PackedWalks(table, traverse, Pack(seq_len)))
    for seq_len in SEQ_LENS:
        found = result[f"packing, {seq_len}"] = {}
        for name, (pack, budget) in packs(seq_len).items():
            walks = PackedWalks(table, TraverseLinks(BreadthFirst(), budget=budget), pack)
            found[name] = kept_links(table, walks)
    return result


def main() -> None:
    """Measure and write down."""
    result: dict[str, Any] = {"date": "2026-11-24"}
    with tempfile.TemporaryDirectory() as folder, watching(Drops()):
        for dump in map(Path, sys.argv[1:]):
            result[dump.name.split("-")[0]] = measured(dump, Path(folder))
    Path(__file__).with_name("result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
