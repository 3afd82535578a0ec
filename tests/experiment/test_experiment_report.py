"""The report: one file, nothing from elsewhere. `test_reports_in_a_browser` looks at it as a picture."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imsave

from gptlab.experiment import RunDirectory, running
from gptlab.experiment.report import LOG_LINES, write_report
from gptlab.experiment.summary import flat, summarize
from gptlab.pipeline.observe import Drops
from gptlab.types import Generation, Prompt, document_id

VOID = {"meta", "link", "img", "br"}
EVIL = '<script>alert(1)</script> & "quotes" \x1b[2J'


class Page(HTMLParser):
    """Checks that elements nest, and gathers text and what is loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    recipe = tmp_path / "my_recipe.py"
    recipe.write_text("if 1 < 2:\n    pass\n")
    run = RunDirectory.create(tmp_path / "runs", recipe, {"trainer": {"steps": 300}, "name": EVIL})
    imsave(run.plots / "mask.png", np.random.default_rng(0).random((40, 60, 3)))
    with running(run) as session:
        for number in range(LOG_LINES + 5):
            session.logger.debug("line %d", number)
    return run


def finish(run: RunDirectory) -> None:
    drops = Drops()
    drops.drop("missing", 1234, EVIL)
    text = "flows to [Oss](Oss) and on."
    prompt = Prompt(text="The river ", title="River <b>Velm</b>")
    sample = Generation(prompt=prompt, text=text, read=((19, document_id("Oss")),), missing=(document_id("Nowhere"),))
    figures = {"name_n": 300, "name_loss": 2.0, "name_loss_cut": 3.4, "name_gain": 1.4, "name_gain_stderr": 0.1}
    held_out = {"loss": 2.25, "loss_stderr": 0.01, "bits": float("nan")}
    run.finish(summarize({"held out": held_out, "restated facts": figures}, drops, [sample]))


def test_a_report_is_one_wellformed_file_that_loads_nothing(run: RunDirectory) -> None:
    finish(run)
    path = write_report(run)
    assert path == run.path / "report.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert [source[:22] for source in page.loaded] == ["data:,", "data:image/png;base64,"]
    assert not re.search(r"https?://|<script|\x1b", path.read_text(encoding="utf-8"))


def test_a_report_tells_what_the_run_did(run: RunDirectory) -> None:
    finish(run)
    words = Page(write_report(run).read_text(encoding="utf-8")).words
    for expected in (
        f"Run {run.name}",
        "my_recipe.py, finished, gptlab 0.1.0",
        "held out loss 2.25 ± 0.01 bits",
        "figure with links links cut gain ± s.e. chance name loss 2.000 3.400 1.400 0.100",
        "name n 300",
        "River <b>Velm</b> The river flows to [Oss](Oss) [read: Oss] and on.",
        "Not in the store: Nowhere",
        'missing 1,234 <script>alert(1)</script> & "quotes" \\x1b[2J',
        "trainer.steps 300",
        "if 1 < 2: pass",
        f"the last {LOG_LINES} of {LOG_LINES + 5} lines",
        f"line {LOG_LINES + 4}",
    ):
        assert expected in words, expected
    assert "line 3 " not in words and "loss stderr" not in words


def test_an_unfinished_run_has_a_report_too(run: RunDirectory) -> None:
    words = Page(write_report(run).read_text(encoding="utf-8")).words
    assert "not finished" in words and "trainer.steps 300" in words and "Samples" not in words
    shutil.rmtree(run.path / "plots")
    run.log.unlink()
    words = Page(write_report(run).read_text(encoding="utf-8")).words
    assert "Pictures" not in words and "Log" not in words


def test_a_clear_gain_is_bold(run: RunDirectory) -> None:
    finish(run)
    assert "<tr class=clear><td>name loss</td>" in write_report(run).read_text(encoding="utf-8")


def test_settings_are_flat() -> None:
    assert flat({"a": {"b": {"c": 1}, "d": {}}, "e": [1]}) == {"a.b.c": 1, "a.d": {}, "e": [1]}
    assert flat(5) == {"value": 5}
