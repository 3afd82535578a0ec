"""What share of the links of its documents does a row keep, under each policy, on real articles?

    python experiments/link_budget/run.py DUMP      # DUMP: a sample of English Wikipedia, .xml.bz2; two minutes

Articles are read, tokenized by a byte-level BPE of 8,192 entries learned from them, and packed by `PackedWalks` to
rows of 2,048 and 8,192 tokens, one per document. Of the links between documents (the first of each pair; to articles
outside the sample are no edges) of all documents in a row, counted once per row that holds their document: those that
are edges of the row are kept, and the others are lost to the budget (the target is not in the row), to a cycle, or to
the row's end.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from gptlab.graph import DocumentTable, TraverseLinks, graph_statistics
from gptlab.graph.report_figures import POLICIES
from gptlab.packing import Pack, PackedWalks
from gptlab.pipeline import Drops, pipeline, watching
from gptlab.sources import ArticleFolder, WikipediaDump
from gptlab.tokenizers import LearnedBPE, Tokenize


def kept_links(table: DocumentTable, walks: PackedWalks) -> dict[str, float]:
    """Of all rows: shares of the links between documents, and how full and how varied the rows are."""
    kept = documents = tokens = cycle = budget = cut = rows = 0
    counts: dict[str, int] = {}
    for row in walks.get_data_generator():
        rows += 1
        kept += len(row.edges)
        cycle += row.dropped.get("cycle", 0)
        budget += row.dropped.get("budget", 0)
        cut += row.dropped.get("cut", 0) + row.dropped.get("no room", 0)
        tokens += row.length
        documents += len(row.ids)
        for id in row.ids:
            counts[id] = counts.get(id, 0) + 1
    total = kept + cycle + budget + cut
    return {
        "rows": rows,
        "kept": round(kept / total, 4),
        "cycle": round(cycle / total, 4),
        "cut_off": round(cut / total, 4),
        "target_not_in_row": round(budget / total, 4),
        "edges_per_row": round(kept / rows, 2),
        "documents_per_row": round(documents / rows, 2),
        "filled": round(tokens / (rows * walks.pack.seq_len), 4),
        "documents_seen": round(len(counts) / len(table), 4),
        "most_repeats": max(counts.values()),
    }


def main() -> None:
    """Measure and write down."""
    with tempfile.TemporaryDirectory() as folder, watching(Drops()):
        cache = Path(folder)
        articles = ArticleFolder(WikipediaDump(path=Path(sys.argv[1]), cache=cache), cache=cache)
        tokenizer = LearnedBPE(corpus=articles, vocab_size=8192, cache=cache)
        table = DocumentTable.from_documents(pipeline(articles, Tokenize(tokenizer)).get_data_generator())
        counts = graph_statistics(table)
        result: dict[str, Any] = {
            "date": "2026-11-24",
            "documents": counts.documents,
            "tokens": counts.tokens,
            "links": counts.links,
            "links_between_documents": counts.kept,
            "median_tokens": float(np.median(np.diff(table.token_offsets))),
        }
        for regime in ("with_replacement", "cover_once"):
            for seq_len in (2048, 8192):
                result[f"{regime}, {seq_len}"] = found = {}
                for name, policy in POLICIES.items():
                    traverse = TraverseLinks(policy, budget=seq_len, regime=regime, cache=cache)
                    found[name] = kept_links(table, PackedWalks(table, traverse, Pack(seq_len)))
    Path(__file__).with_name("result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
