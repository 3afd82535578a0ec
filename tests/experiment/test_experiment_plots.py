"""Pictures: what they show is looked at as pixels, and no title makes them warn."""

import itertools
import json
import math
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread

from gptlab.experiment import ExperimentError, plot_losses, plot_mask, read_metrics
from gptlab.experiment.plot_losses import column, smoothed
from gptlab.experiment.plot_mask import spread
from gptlab.pictures import BLUE, ORANGE, PALETTE, VERMILION, drawable

TITLES = ("東京都", "$x^2$ _a_ {b} \\frac", "مكة المكرمة", "A" * 300, "tab\tnew\nline \x00")


def colours(path: Path) -> set[str]:
    """Every colour that the picture has, as #RRGGBB."""
    pixels = (imread(path)[..., :3] * 255).round().astype(int).reshape(-1, 3)
    return {f"#{r:02X}{g:02X}{b:02X}" for r, g, b in np.unique(pixels, axis=0)}


def row(seq: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Five documents; the second links to the first from token 20 on, the last to the second from token 50 on."""
    starts, edges = np.array([0, 12, 24, 36, 48], np.int32), np.array([(1, 0, 20), (4, 1, 50)], np.int32)
    document, query = np.arange(seq) // 12, np.arange(seq)
    mask = (document[:, None] == document) & (query[:, None] >= query)
    mask[20:24, 0:12] = mask[50:60, 12:24] = True
    return mask, starts, edges


def write_metrics(path: Path, steps: int = 200, scale: float = 5.0, evaluate: int = 50) -> Path:
    with path.open("w") as file:
        for step in range(1, steps + 1):
            figures = {"step": step, "loss": 2 + scale * math.exp(-step / 40)}
            if evaluate and step % evaluate == 0:
                figures |= {"held_out_loss": figures["loss"] + 0.2, "held_out_loss_stderr": 0.05}
            file.write(json.dumps(figures) + "\n")
    return path


def test_a_loss_curve_has_training_and_held_out_colours(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    out = plot_losses(write_metrics(tmp_path / "m.jsonl"), tmp_path / "new" / "losses.png")
    assert out == tmp_path / "new" / "losses.png"
    assert {BLUE, ORANGE} <= colours(out)
    assert imread(out).shape[:2] == (840, 1440)
    assert [path.name for path in out.parent.iterdir()] == ["losses.png"]
    assert dict(matplotlib.rcParams) == before


def test_several_runs_have_a_colour_each_and_any_name(tmp_path: Path) -> None:
    runs = {name: write_metrics(tmp_path / f"{i}.jsonl", 40 + i, 3.0 + i) for i, name in enumerate(TITLES[:3])}
    assert set(PALETTE[:3]) <= colours(plot_losses(runs, tmp_path / "x.png"))


def test_the_same_metrics_give_the_same_bytes(tmp_path: Path) -> None:
    metrics = write_metrics(tmp_path / "m.jsonl", 5, evaluate=0)
    assert (
        plot_losses(metrics, tmp_path / "a.png").read_bytes() == plot_losses(metrics, tmp_path / "b.png").read_bytes()
    )


def test_one_step_and_a_constant_loss_are_drawn(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"step": 1, "loss": 2.5}\n')
    assert BLUE in colours(plot_losses(tmp_path / "m.jsonl", tmp_path / "a.png"))
    (tmp_path / "m.jsonl").write_text('{"step": 1, "loss": 2}\n{"step": 2, "loss": 2}\n')
    assert BLUE in colours(plot_losses(tmp_path / "m.jsonl", tmp_path / "b.png"))


def test_nothing_to_draw_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"step": 1, "loss": NaN}\n{"step": 2}\n')
    with pytest.raises(ExperimentError) as caught:
        plot_losses(tmp_path / "m.jsonl", tmp_path / "a.png")
    assert str(caught.value) == (
        f"{tmp_path}/m.jsonl\n  got     no step with a finite loss\n  wanted  metrics of a run that trained\n"
        "  Look into log.txt beside it for why it did not."
    )


def test_half_a_last_line_is_left_out_and_a_broken_one_inside_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read_metrics(path) == [{"step": 1, "loss": 2.0}]
    path.write_text('{"step": 1}\n[1]\n{"step": 2}\n')
    with pytest.raises(ExperimentError) as caught:
        read_metrics(path)
    assert str(caught.value) == (
        f"{path}, line 2\n  got     '[1]'\n  wanted  a JSON object of figures\n"
        "  Remove the line; the others are good."
    )
    with pytest.raises(ExperimentError, match=r"got     No such file or directory\n  wanted  the metrics of a run\n"):
        read_metrics(tmp_path / "none")


def test_a_column_has_the_finite_figures_only() -> None:
    rows = [
        {"step": 1, "a": 1.0},
        {"step": 2, "a": math.inf},
        {"a": 3.0},
        {"step": 4, "a": 4},
        {"step": 5, "a": None},
    ]
    assert column(rows, "a") == ([1, 4], [1.0, 4])


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50), st.integers(1, 20))
def test_smoothing_is_the_mean_around(values: list[float], window: int) -> None:
    wanted = []
    for i in range(len(values)):
        around = values[max(0, i - window // 2) : i + (window - 1) // 2 + 1]
        wanted.append(sum(around) / len(around))
    assert smoothed(values, window) == pytest.approx(wanted, abs=1e-6)


def test_smoothing_over_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"smoothed\(window\)\n  got     0\n  wanted  at least 1 step"):
        smoothed([1.0], 0)


def test_the_mask_is_where_it_belongs_in_the_picture(tmp_path: Path) -> None:
    mask, starts, edges = row()
    path = plot_mask(mask, starts, TITLES, edges, tmp_path / "mask.png")
    picture = (imread(path)[..., :3] * 255).round().astype(int)
    side, left, top = 5.1 * 200, 0.75 * 200, 0.35 * 200
    for query, key in ((3, 1), (1, 3), (22, 6), (18, 6), (55, 15), (45, 15), (55, 30), (59, 49)):
        y, x = round(top + side * (query + 0.5) / 60), round(left + side * (key + 0.5) / 60)
        wanted = "#FFFFFF" if not mask[query, key] else BLUE if query // 12 == key // 12 else VERMILION
        r, g, b = picture[y, x]
        assert f"#{r:02X}{g:02X}{b:02X}" == wanted, (query, key)


def test_arcs_begin_where_the_mask_lets_in_and_end_in_the_middle_of_the_target(tmp_path: Path) -> None:
    mask, starts, edges = row()
    with_edges = imread(plot_mask(mask, starts, TITLES, edges, tmp_path / "a.png"))
    without = imread(plot_mask(mask, starts, TITLES, edges[:0], tmp_path / "b.png"))
    rows, columns = np.nonzero((with_edges != without).any(axis=-1))
    assert columns.min() > 200 * (0.75 + 5.1)  # right of the mask, which is the same
    token = (rows - 0.35 * 200) / (5.1 * 200) * 60
    assert token.min() == pytest.approx(6, abs=1) and token.max() == pytest.approx(50, abs=1)


def test_padding_is_grey_and_padded_edges_are_nothing(tmp_path: Path) -> None:
    mask, starts, edges = row()
    mask[54:], mask[:, 54:] = False, False
    padded = np.vstack([edges, np.full((3, 3), -1, np.int32)])
    path = plot_mask(mask, starts, TITLES, padded, tmp_path / "a.png", length=54)
    assert "#EFEFEF" in colours(path)
    assert path.read_bytes() == plot_mask(mask, starts, TITLES, edges, tmp_path / "b.png", length=54).read_bytes()


def test_one_document_and_a_hundred_are_drawn(tmp_path: Path) -> None:
    one = np.tril(np.ones((8, 8), dtype=bool))
    none = np.zeros((0, 3), np.int32)
    assert VERMILION not in colours(plot_mask(one, np.array([0], np.int32), ["x"], none, tmp_path / "a.png"))
    starts = np.arange(0, 200, 2, dtype=np.int32)
    many = np.tril(np.ones((200, 200), dtype=bool))
    assert plot_mask(many, starts, ["x"] * 100, none, tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"titles": TITLES[:4]}, "4 titles for 5 documents"),
        (
            {"starts": np.array([0, 12, 12, 36, 48], np.int32)},
            "documents starting at [0, 12, 12, 36, 48] in 60 of 60 tokens",
        ),
        ({"edges": np.array([(1, 0, 20), (5, 0, 50)], np.int32)}, "an edge [5, 0, 50] among 5 documents"),
        ({"length": 61}, "documents starting at [0, 12, 24, 36, 48] in 61 of 60 tokens"),
    ],
)
def test_parts_of_different_rows_are_refused(tmp_path: Path, change: dict[str, object], got: str) -> None:
    mask, starts, edges = row()
    parts = {"mask": mask, "starts": starts, "titles": TITLES, "edges": edges, "out": tmp_path / "x.png"} | change
    with pytest.raises(ExperimentError) as caught:
        plot_mask(**parts)
    assert str(caught.value) == (
        f"plot_mask\n  got     {got}\n  wanted  mask, starts, titles and edges of one row\n"
        "  Take all four from the same PackedSequence."
    )


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30).map(sorted), st.floats(0.1, 3.0))
def test_labels_are_spread_without_overlap_and_within_the_picture(places: list[float], least: float) -> None:
    found = spread(places, least, 0.0, 100.0)
    assert len(found) == len(places)
    assert all(after - before >= least - 1e-6 for before, after in itertools.pairwise(found))
    assert found[0] >= least / 2 - 1e-6 and found[-1] <= 100 - least / 2 + 1e-6
    apart = [(a, b) for a, b in itertools.pairwise(places) if b - a < least]
    if not apart and places[0] >= least / 2 and places[-1] <= 100 - least / 2:
        assert found == pytest.approx(places)


@settings(max_examples=25)
@given(st.text())
def test_what_is_drawable_is_drawn_without_a_warning(text: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = drawable(text)
    assert "\n" not in shown and len(shown) <= 10 * len(text)
    figure = Figure(figsize=(1, 1), dpi=20)
    figure.text(0, 0, shown, parse_math=False)
    FigureCanvasAgg(figure).draw()  # warnings are errors here
