"""A document store in numbers and pictures: `python -m gptlab.graph.report STORE`.

It writes `report.json`, `report.md` and the pictures into a folder beside the store: degrees, tokens per document,
components, what rows of each length keep of the links under each policy and what the rest is lost to, and one row
with its mask.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import tyro

from gptlab.graph.documents import Documents
from gptlab.graph.policies import BreadthFirst
from gptlab.graph.report_figures import POLICIES, RowLinks, component_sizes, quantiles, row_links
from gptlab.graph.statistics import graph_statistics
from gptlab.graph.store import DocumentStore
from gptlab.graph.traverse import TraverseLinks
from gptlab.pipeline.observe import track
from gptlab.storage import write_atomically
from gptlab.storage.jsonfiles import pretty_json
from gptlab.types.errors import refusal

Found = dict[int, dict[str, RowLinks]]


def write_report(
    documents: Documents, out: Path, *, seq_lens: Sequence[int] = (2048, 8192), rows: int = 2000
) -> dict[str, Any]:
    """Write all files of the report.

    Args:
        documents: a store or a table.
        out: the folder; made where it is missing.
        seq_lens: lengths of rows.
        rows: how many rows are looked at for each policy and length.

    Returns:
        What `report.json` holds.

    Raises:
        ValueError: there are no documents.
    """
    if len(documents) == 0:
        raise refusal(
            "report", got="no documents", wanted="at least one", do="Look at what was dropped when building."
        )
    graph = documents.graph
    out.mkdir(parents=True, exist_ok=True)
    into, out_of = np.diff(graph.in_offsets), np.diff(graph.out_offsets)
    lengths = np.diff(graph.token_offsets)
    weak, strong = (component_sizes(graph, is_strong=is_strong) for is_strong in (False, True))
    cases = [(seq_len, name) for seq_len in seq_lens for name in POLICIES]
    found: Found = {seq_len: {} for seq_len in seq_lens}
    for seq_len, name in track(cases, "follow links by each policy", total=len(cases), unit="policies"):
        found[seq_len][name] = row_links(documents, POLICIES[name], seq_len, rows)
    from gptlab.graph import report_pictures as pictures  # noqa: PLC0415 - matplotlib, which others need not load

    pictures.draw_degrees(into, out_of, out / "degrees.png")
    pictures.draw_lengths(lengths, out / "lengths.png")
    pictures.draw_components(weak, strong, out / "components.png")
    pictures.draw_policies(found, out / "policies.png")
    budget = seq_lens[0]
    pictures.draw_pack(TraverseLinks(BreadthFirst(), budget=budget).walk(documents, 0), budget, out / "pack.png")
    figures = {
        "documents": _counts(documents),
        "links to a document": quantiles(into),
        "links from a document": quantiles(out_of),
        "tokens per document": quantiles(lengths),
        "components": {"number": len(weak), "largest": int(weak[0]), "alone": int((weak == 1).sum())},
        "strong components": {"number": len(strong), "largest": int(strong[0]), "alone": int((strong == 1).sum())},
        "links in rows": {
            str(seq_len): {name: attrs.asdict(each) | {"share": each.share} for name, each in by_policy.items()}
            for seq_len, by_policy in found.items()
        },
    }
    write_atomically(out / "report.json", pretty_json(figures))
    write_atomically(out / "report.md", _page(figures, found))
    return figures


def _counts(documents: Documents) -> dict[str, Any]:
    counts = graph_statistics(documents)
    return {field.name: getattr(counts, field.name) for field in attrs.fields(type(counts))}


def _page(figures: dict[str, Any], found: Found) -> str:
    """The report for people, as Markdown."""
    lines = ["# The link graph", ""]
    for name, values in figures.items():
        if name != "links in rows":
            shown = ", ".join(f"{key} {_shown(value)}" for key, value in values.items())
            lines += [f"**{name}**: {shown}", ""]
    lines += ["![degrees](degrees.png) ![lengths](lengths.png) ![components](components.png)", ""]
    for seq_len, by_policy in found.items():
        lines += [
            f"## Rows of {seq_len:,} tokens",
            "",
            "Of the links between documents, of all documents in a row:",
            "",
        ]
        told = ("policy", "kept", "would close a cycle", "cut off", "target not in the row")
        lines += [f"| {' | '.join(told)} | documents per row | tokens cut off per row | padding |"]
        lines += ["|---|---|---|---|---|---|---|---|"]
        for name, each in by_policy.items():
            shares = [f"{part / max(1, each.edges):.1%}" for part in (each.kept, each.cycle, each.cut, each.outside)]
            per_row = f"{each.documents / each.rows:.1f} | {each.tokens_cut / each.rows:,.0f}"
            lines += [f"| {name} | {' | '.join(shares)} | {per_row} | {each.padding / each.rows / seq_len:.1%} |"]
        lines += [""]
    return "\n".join([*lines, "![policies](policies.png)", "", "![one row](pack.png)", ""])


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def main() -> None:
    """The command."""
    tyro.cli(report)


def report(
    store: Path, /, *, out: Path | None = None, rows: int = 2000, seq_lens: tuple[int, ...] = (2048, 8192)
) -> None:
    """Describe a document store in numbers and pictures.

    Args:
        store: the directory of the store.
        out: where to write; a folder beside the store when None.
        rows: how many rows to look at for each policy and length.
        seq_lens: lengths of rows, in tokens.
    """
    write_report(
        DocumentStore.open(store), out or store.with_name(f"{store.name}-report"), seq_lens=seq_lens, rows=rows
    )


if __name__ == "__main__":
    main()
