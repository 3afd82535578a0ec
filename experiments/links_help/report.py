"""The report of one size, as Markdown and as one HTML page, with its pictures: the same content, rendered twice."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np

from experiments.links_help.analysis import DISTANCES, Cell, Interval, difference, harm, specificity
from experiments.links_help.arm import Arm
from experiments.links_help.cells import read_losses
from gptlab.benchmarks.link_specificity import CONTEXTS
from gptlab.pictures import INK, PALETTE, new_figure, plain_axes, save
from gptlab.storage import write_atomically

NAMES: Mapping[str, str] = {
    "A1": "A1 random, document",
    "A2": "A2 random, causal",
    "A4": "A4 links, causal",
    "A5": "A5 links, link mask",
    "A6": "A6 false links, link mask",
    "A7": "A7 similar, causal",
    "A8": "A8 links depth first, link mask",
    "A8w": "A8 links at random, link mask",
    "A9": "A9 links, ancestors",
}
Cells = Mapping[tuple[Arm, int], Cell]


@attrs.frozen(kw_only=True)
class Table:
    """A table of words, the first row being the head."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@attrs.frozen(kw_only=True)
class Picture:
    """A PNG with what it shows."""

    title: str
    path: Path


def write_report(folder: Path, size: str, cells: Cells) -> list[Path]:
    """Write `report_<size>.md` and `.html`.

    Args:
        folder: of the experiment; pictures go to its `plots`.
        size: of the runs.
        cells: arms by seeds, a whole grid.

    Returns:
        The files.
    """
    by_arm = {arm: [cell for (name, _), cell in cells.items() if name == arm] for arm, _ in cells}
    seeds = sorted({seed for _, seed in cells})
    parts: list[str | Table | Picture] = [
        f"Size {size}, seeds {', '.join(map(str, seeds))}. "
        "Intervals are 95 %, by a bootstrap over targets and seeds; all differences are paired by edge and seed. "
        "The design, and what was said beforehand, are in README.md.",
        calls(by_arm),
        arms_table(by_arm),
        Picture(title="Specificity by arm, and by seed (dots)", path=_plot_specificity(folder, size, by_arm)),
        recall_table(by_arm),
        Picture(
            title="Nats saved by the linked document, against a random one, by distance from the link",
            path=_plot_curve(folder, size, by_arm),
        ),
        Picture(title="Training loss on the root, smoothed", path=_plot_losses(folder, size, cells)),
        seeds_table(cells),
    ]
    title = f"Does reading the links help? Results, {size}"
    markdown, page = folder / f"report_{size}.md", folder / f"report_{size}.html"
    write_atomically(markdown, _markdown(title, parts, folder))
    write_atomically(page, _html(title, parts))
    return [markdown, page]


def calls(by_arm: Mapping[Arm, Sequence[Cell]]) -> Table:
    """What was said beforehand, and how it came out; calls on arms that were not run are left out."""
    rows: list[tuple[str, str, bool]] = []
    five = by_arm.get("A5", [])
    for other, wanted, margin in (("A2", "S(A5) > S(A2)", 0.0), ("A6", "S(A5) > S(A6)", 0.0)):
        if five and other in by_arm:
            found = difference(five, by_arm[other])
            rows.append((wanted, f"difference {found}", found.low > margin))
    if "A6" in by_arm:
        null = specificity(by_arm["A6"])
        rows.append(("S(A6) is 0: the planted null", f"S {null}", null.low <= 0 <= null.high))
    if five and "false_specificity" in five[0].figures:
        rows.append(("S(A5) on false links is 0 (added after the results)", *_on_false_links(five)))
    if five and "A4" in by_arm:
        found = difference(five, by_arm["A4"])
        cost = [np.mean([cell.figures["attended"] for cell in by_arm[arm]]) for arm in ("A5", "A4")]
        told = f"difference {found}; {cost[0]:.0f} keys attended against {cost[1]:.0f}"
        rows.append(
            ("S(A5) >= S(A4) - 0.005, with fewer attended pairs", told, found.low >= -0.005 and cost[0] < cost[1])
        )
    if five and "A1" in by_arm:
        found = harm(five, by_arm["A1"])
        rows.append(("Loss without context: A5 <= A1 + 0.01", f"difference {found}", found.high <= 0.01))
    if five and "one_key_accuracy" in five[0].figures:
        own = [cell.figures["one_key_accuracy"] for cell in five]
        rows.append(("One-key recall of A5 >= 90 %", _percents(own), float(np.mean(own)) >= 0.9))
        if "A1" in by_arm:
            blind = [cell.figures["one_key_accuracy"] for cell in by_arm["A1"]]
            chance = by_arm["A1"][0].figures["one_key_chance"]
            told = f"{_percents(blind)}; chance {100 * chance:.1f} %"
            rows.append(
                ("One-key recall of A1 within 5 points of chance", told, abs(float(np.mean(blind)) - chance) <= 0.05)
            )
    return Table(
        title="Said beforehand, and how it came out",
        head=("call", "found", "holds"),
        rows=[(call, found, "yes" if holds else "**no**") for call, found, holds in rows],
    )


def _on_false_links(cells: Sequence[Cell]) -> tuple[str, bool]:
    """Specificity of links that lead anywhere, and whether it is none: at each seed within two standard errors."""
    found = [(cell.figures["false_specificity"], cell.figures["false_specificity_stderr"]) for cell in cells]
    told = ", ".join(f"{mean:+.4f} ± {stderr:.4f}" for mean, stderr in found)
    return f"S by seed {told}", all(abs(mean) <= 2 * stderr for mean, stderr in found)


def arms_table(by_arm: Mapping[Arm, Sequence[Cell]]) -> Table:
    """The main figures by arm, means over seeds."""
    rows = []
    for arm, cells in by_arm.items():
        mean = {name: float(np.mean([cell.figures[name] for cell in cells])) for name in cells[0].figures}
        alone = np.mean([cell.alone.sum() / cell.alone_tokens.sum() for cell in cells])
        rows.append(
            (
                NAMES[arm],
                str(specificity(cells)),
                f"{mean['near_specificity']:+.4f}",
                f"{mean['copyable_specificity']:+.3f}",
                f"{100 * mean['copyable_accuracy_linked']:.1f} % / {100 * mean['copyable_accuracy_random']:.1f} %",
                f"{alone:.4f}",
                f"{mean['attended']:.0f}",
            )
        )
    edges, targets, tokens = (next(iter(by_arm.values()))[0].figures[name] for name in ("edges", "targets", "tokens"))
    return Table(
        title=f"Arms: {edges:,.0f} edges to {targets:,.0f} targets, {tokens:,.0f} tokens after a link",
        head=(
            "arm",
            "S, nats per token",
            "S, first 32 tokens",
            "S, copyable tokens",
            "copyable right: linked / random",
            "loss alone",
            "keys attended",
        ),
        rows=rows,
    )


def recall_table(by_arm: Mapping[Arm, Sequence[Cell]]) -> Table:
    """Recall of restated facts by kind, for each seed."""
    rows = []
    for arm, cells in by_arm.items():
        for kind, told in (("one_key", "one key"), ("two_key", "two keys"), ("two_hop", "two links away")):
            if f"{kind}_n" not in cells[0].figures:
                continue
            rows.append(
                (
                    NAMES[arm],
                    told,
                    f"{cells[0].figures[f'{kind}_n']:.0f}",
                    _percents([cell.figures[f"{kind}_accuracy"] for cell in cells]),
                    f"{100 * cells[0].figures[f'{kind}_chance']:.1f} %",
                    f"{np.mean([cell.figures[f'{kind}_loss'] for cell in cells]):.3f}",
                    f"{cells[0].figures[f'{kind}_chance_loss']:.3f}",
                )
            )
    return Table(
        title="Recall of facts that only the linked document states",
        head=("arm", "found by", "answers", "right, by seed", "chance", "loss, nats", "of a guess"),
        rows=rows,
    )


def seeds_table(cells: Cells) -> Table:
    """Every run."""
    return Table(
        title="Every run",
        head=("arm", "seed", "steps", "seconds", "S", "loss linked", "loss random", "loss alone"),
        rows=[
            (
                arm,
                str(seed),
                f"{cell.figures['run_steps']:.0f}",
                f"{cell.figures['run_seconds']:.0f}",
                f"{cell.figures['specificity']:+.4f}",
                *(f"{cell.figures[f'loss_{name}']:.4f}" for name in CONTEXTS),
            )
            for (arm, seed), cell in cells.items()
        ],
    )


def _percents(shares: Sequence[float]) -> str:
    return ", ".join(f"{100 * share:.1f} %" for share in shares)


def _plot_specificity(folder: Path, size: str, by_arm: Mapping[Arm, Sequence[Cell]]) -> Path:
    figure = new_figure(7.0, 0.6 + 0.45 * len(by_arm), layout="constrained")
    axes = figure.add_subplot()
    for place, cells in enumerate(by_arm.values()):
        found: Interval = specificity(cells)
        axes.barh(place, found.mean, color=PALETTE[place % len(PALETTE)], height=0.6)
        axes.plot([found.low, found.high], [place, place], color=INK, linewidth=1.5)
        axes.plot([cell.figures["specificity"] for cell in cells], [place] * len(cells), "o", color=INK, markersize=3)
    axes.set_yticks(range(len(by_arm)), [NAMES[arm] for arm in by_arm])
    axes.invert_yaxis()
    plain_axes(axes, "specificity, nats per token after the link", "")
    return save(figure, folder / "plots" / f"specificity_{size}.png")


def _plot_curve(folder: Path, size: str, by_arm: Mapping[Arm, Sequence[Cell]]) -> Path:
    figure = new_figure(7.0, 3.6, layout="constrained")
    axes = figure.add_subplot()
    linked, other = CONTEXTS.index("linked"), CONTEXTS.index("random")
    for place, (arm, cells) in enumerate(by_arm.items()):
        mean = np.mean([cell.curve[other] - cell.curve[linked] for cell in cells], axis=0)
        axes.plot(range(1, DISTANCES + 1), mean, color=PALETTE[place % len(PALETTE)], label=NAMES[arm])
    axes.axhline(0, color=INK, linewidth=0.8)
    plain_axes(axes, "tokens after the link", "nats saved")
    axes.legend(frameon=False, fontsize=8)
    return save(figure, folder / "plots" / f"distance_{size}.png")


def _plot_losses(folder: Path, size: str, cells: Cells) -> Path:
    figure = new_figure(7.0, 3.6, layout="constrained")
    axes = figure.add_subplot()
    colours = {arm: PALETTE[place % len(PALETTE)] for place, arm in enumerate(dict.fromkeys(arm for arm, _ in cells))}
    named = set()
    for arm, seed in cells:
        steps, losses = zip(*read_losses(folder / "scores" / size / f"{arm}-{seed}.json"), strict=True)
        width = max(1, len(losses) // 50)
        smooth = np.convolve(losses, np.full(width, 1 / width), mode="valid")
        label = None if arm in named else NAMES[arm]
        axes.plot(steps[width - 1 :], smooth, color=colours[arm], linewidth=1, label=label)
        named.add(arm)
    axes.set_ylim(0.7, 3)
    plain_axes(axes, "steps", "nats per token")
    axes.legend(frameon=False, fontsize=8)
    return save(figure, folder / "plots" / f"training_{size}.png")


def _markdown(title: str, parts: Sequence[str | Table | Picture], folder: Path) -> str:
    lines = [f"# {title}", ""]
    for part in parts:
        if isinstance(part, str):
            lines += [part, ""]
        elif isinstance(part, Table):
            lines += [f"## {part.title}", "", _row(part.head), _row(["---"] * len(part.head))]
            lines += [*(_row(row) for row in part.rows), ""]
        else:
            lines += [f"![{part.title}]({part.path.relative_to(folder).as_posix()})", "", f"*{part.title}*", ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_STYLE = """body{margin:0 auto;max-width:60rem;padding:1rem;font:1rem/1.5 system-ui,"DejaVu Sans",sans-serif;
color:#1d1d1f}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}.wide{overflow-x:auto}table{border-collapse:collapse;
font-size:.88rem}th,td{padding:.3rem .8rem .3rem 0;text-align:left;border-bottom:1px solid #dadce0;vertical-align:top}
th{color:#5f6368}figure{margin:1.5rem 0}img{max-width:100%;height:auto}figcaption{color:#5f6368;font-size:.9rem}"""


def _html(title: str, parts: Sequence[str | Table | Picture]) -> str:
    body = [f"<h1>{html.escape(title)}</h1>"]
    for part in parts:
        if isinstance(part, str):
            body.append(f"<p>{html.escape(part)}</p>")
        elif isinstance(part, Table):
            head = "".join(f"<th>{html.escape(cell)}</th>" for cell in part.head)
            rows = "".join(
                "<tr>" + "".join(f"<td>{html.escape(cell.strip('*'))}</td>" for cell in row) + "</tr>"
                for row in part.rows
            )
            table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
            body.append(f'<h2>{html.escape(part.title)}</h2><div class="wide">{table}</div>')
        else:
            data = base64.b64encode(part.path.read_bytes()).decode("ascii")
            told = html.escape(part.title)
            picture = f'<img alt="{told}" src="data:image/png;base64,{data}">'
            body.append(f"<figure>{picture}<figcaption>{told}</figcaption></figure>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
