"""The report of a run and the comparison of runs, as a real browser shows them on a phone and on a desk.

Skipped where there is no Chromium on the PATH. The pictures stay in pytest's folder, to be looked at.
"""

import json
import math
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from gptlab.benchmarks import LeaderboardRow, add_to_leaderboard
from gptlab.experiment import RunDirectory, plot_losses, plot_mask, running, write_report
from gptlab.experiment.report_comparison import write_comparison
from gptlab.experiment.report_page import POLICY
from gptlab.experiment.summary import summarize
from gptlab.pipeline.observe import Drops
from gptlab.types import Generation, Prompt, document_id

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs a Chromium on the PATH, to look at pages"),
]
PHONE, DESK, HEIGHT = 390, 1280, 6000
LONG = "a_name_without_any_place_to_break_it_" * 6
# Runs inside the page, in its frame, and tells the page around it what the browser made of it.
PROBE = """<script>addEventListener("load", () => parent.postMessage({
  width: innerWidth, scroll: document.documentElement.scrollWidth, body: document.body.scrollWidth,
  height: document.body.getBoundingClientRect().height,
  pictures: [...document.images].map(image => image.complete && image.naturalWidth > 0),
  loaded: performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.startsWith("data:")),
  hidden: [...document.querySelectorAll("td, th, p, h1, h2, h3, blockquote, figcaption")].filter(element =>
    element.getClientRects().length && !element.closest(".wide") && element.scrollWidth > element.clientWidth + 1
  ).map(element => element.textContent.slice(0, 60)),
}, "*"))</script></body>"""
AROUND = """<!doctype html><meta charset="utf-8"><title>[]</title><body style="margin:0;white-space:nowrap"><script>
const said = [];
addEventListener("message", event => { said.push(event.data); document.title = JSON.stringify(said); });
</script>"""


def made_run(folder: Path, number: int, width: int) -> RunDirectory:
    """A run that has all that a report can show, with long words and scripts that few fonts have."""
    recipe = folder / f"recipe{number}.py"
    recipe.write_text(f"WIDTH = {width}\n" + "# " + "a long line of a recipe, " * 12 + "\n")
    config = {"trainer": {"steps": 300, "learning_rate": 1e-3}, "width": width, "name": LONG}
    run = RunDirectory.create(folder / "runs", recipe, config)
    with run.metrics.open("w") as file:
        for step in range(1, 201):
            figures = {"step": step, "loss": 2 + 5 * math.exp(-step / (20 + width)), "seconds": step / 7}
            file.write(json.dumps(figures | ({"held_out_loss": 2.5} if step % 50 == 0 else {})) + "\n")
    plot_losses(run.metrics, run.plots / "loss.png")
    places = np.arange(60)
    mask = (places[:, None] // 12 == places // 12) & (places[:, None] >= places)
    mask[20:24, :12] = mask[50:60, 12:24] = True
    starts, edges = np.array([0, 12, 24, 36, 48], np.int32), np.array([(1, 0, 20), (4, 1, 50)], np.int32)
    titles = ("Alan Turing", "東京都", "مكة المكرمة", "Hà Nội", "\U0001f30a a wave, and a title that is far too long")
    plot_mask(mask, starts, titles, edges, run.plots / "mask.png")
    with running(run) as session:
        for line in range(30):
            session.logger.debug("line %d of the log, %s", line, "which is long " * (line % 9))
    drops = Drops()
    drops.drop("missing", 1234, LONG)
    text = f"flows to [Oss](Oss) and on, by 東京都 and {LONG}."
    prompt = Prompt(text="The river ", title="River <b>Velm</b> 川")
    sample = Generation(prompt=prompt, text=text, read=((19, document_id("Oss")),), missing=(document_id("Nowhere"),))
    compared = {"name_n": 300, "name_loss": 2.0, "name_loss_cut": 3.4, "name_gain": 1.4, "name_gain_stderr": 0.1}
    figures = {"held out": {"loss": 2.25, "loss_stderr": 0.01}, "restated facts": compared}
    run.finish(summarize(figures, drops, [sample]))
    row = LeaderboardRow(run=run.name, metric="loss", value=2.0 + number, stderr=0.01, note=LONG)
    add_to_leaderboard(folder / "boards" / "held_out.csv", row)
    return run


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of two runs: the report of the first, and their comparison."""
    folder = tmp_path_factory.mktemp("pages")
    found = [made_run(folder, number, width) for number, width in enumerate((64, 128))]
    boards = folder / "boards"
    return {
        "report": write_report(found[0], leaderboards=boards),
        "comparison": write_comparison(found, folder / "comparison.html", leaderboards=boards),
    }


def browse(folder: Path, *arguments: str) -> str:
    """What the browser writes to its standard output."""
    assert BROWSER is not None
    quiet = ("--disable-gpu", "--no-first-run", "--disable-background-networking", "--hide-scrollbars")
    command = [BROWSER, "--headless", "--no-sandbox", *quiet, f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def framed(folder: Path, page: Path, *, probe: bool) -> str:
    """The address of a page with two frames side by side: a headless window has a least width, a frame has none."""
    text = page.read_text(encoding="utf-8")
    assert POLICY in text
    if probe:
        text = text.replace(POLICY, f"{POLICY}; script-src 'unsafe-inline'").replace("</body>", PROBE)
    (folder / "shown.html").write_text(text, encoding="utf-8")
    frames = [
        f'<iframe src="shown.html?{width}" style="border:0" width="{width}" height="{HEIGHT}"></iframe>'
        for width in (PHONE, DESK)
    ]
    (folder / "around.html").write_text(AROUND + "".join(frames), encoding="utf-8")
    return (folder / "around.html").as_uri()


@pytest.mark.parametrize("name", ["report", "comparison"])
def test_a_page_fits_its_window_and_has_all_its_pictures(pages: dict[str, Path], name: str, tmp_path: Path) -> None:
    window = f"--window-size={PHONE + DESK},{HEIGHT}"
    address = framed(tmp_path, pages[name], probe=True)
    shown = browse(tmp_path, window, "--virtual-time-budget=4000", "--dump-dom", address)
    found: list[dict[str, Any]] = json.loads(re.search(r"<title>(.*)</title>", shown)[1])  # type: ignore[index]
    assert sorted(each["width"] for each in found) == [PHONE, DESK]
    for each in found:
        assert max(each["scroll"], each["body"]) <= each["width"], each  # nothing to scroll sideways
        assert len(each["pictures"]) == {"report": 2, "comparison": 3}[name] and all(each["pictures"])
        assert each["loaded"] == [] and each["hidden"] == []
        assert each["height"] < HEIGHT
    picture = tmp_path / f"{name}.png"
    browse(tmp_path, window, f"--screenshot={picture}", framed(tmp_path, pages[name], probe=False))
    pixels = imread(picture)[:, :, :3]
    for left, right in ((0, PHONE), (PHONE, PHONE + DESK)):
        part = pixels[:, left:right]
        assert part.std() > 0.05 and len(np.unique(part[:1000, :, 0])) > 20  # letters, tables and pictures
        assert (part[:, -4:] > 0.99).mean() > 0.99  # a margin at the right: nothing is cut off there


class Asked(BaseHTTPRequestHandler):
    """Notes who asks."""

    paths: list[str] = []  # noqa: RUF012 - of all handlers

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_response(404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


def test_the_browser_lets_a_page_ask_nobody(pages: dict[str, Path], tmp_path: Path) -> None:
    """A picture from elsewhere, put into the page by force, is not fetched; without the page's policy it would be."""
    with HTTPServer(("127.0.0.1", 0), Asked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        text = pages["report"].read_text(encoding="utf-8")
        for name, policy in (("held", POLICY), ("free", "img-src *")):
            picture = f'<img src="http://127.0.0.1:{server.server_port}/{name}.png" alt="">'
            page = tmp_path / f"{name}.html"
            page.write_text(text.replace(POLICY, policy).replace("</body>", f"{picture}</body>"), encoding="utf-8")
            browse(tmp_path, "--dump-dom", page.as_uri())
        server.shutdown()
    assert Asked.paths == ["/free.png"]
