"""Every recipe as a user starts it: made without touching the disk, it ends well and leaves all that it should."""

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from programs import (
    CORES,
    ROOT,
    SMALL,
    Ended,
    ended,
    environment,
    rubbish_of,
    runs_of,
    times_of,
    together,
    weights_of,
)

from gptlab.experiment import ExperimentError, load_from_dir
from gptlab.experiment.cli import names_of
from gptlab.training.checkpoint import checkpoints

pytestmark = pytest.mark.slow
RECIPES = sorted(SMALL)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Ended]]:
    """Each recipe once, in a folder of its own."""
    place = tmp_path_factory.mktemp("recipes")
    return place, together(lambda name: ended(place / name, name, *SMALL[name]), RECIPES)


BUILD = """
import sys
from pathlib import Path
from importlib import import_module

recipes = [import_module(f"recipes.{name}") for name in %r]
seen = []


def watch(event, arguments):
    is_code = event == "open" and str(arguments[0]).endswith((".py", ".pyc"))
    if event.split(".")[0] in ("open", "os", "shutil", "socket", "tempfile", "subprocess") and not is_code:
        seen.append((event, arguments))


sys.addaudithook(watch)
for module in recipes:
    assert module.recipe(module.Settings()).model is not None
wiki = import_module("recipes.dagseq_wiki")
wiki.recipe(wiki.Settings(dump=Path("not-there.xml.bz2")))
wiki.recipe(wiki.Settings(markdown=Path("not-there")))
made, seen = seen, []
open("a", "w").close()  # the watch can see
assert len(seen) == 1, seen
print(made)
"""


def test_a_recipe_is_made_without_touching_the_disk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUILD % RECIPES], cwd=tmp_path, env=environment(), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "[]"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", RECIPES)
def test_it_ends_well_and_says_what_to_do_next(ran: tuple[Path, dict[str, Ended]], name: str) -> None:
    done = ran[1][name]
    assert (done.code, done.err) == (0, "")
    for part in ("Where things are", "What to do next", "train:", "held-out", " steps in "):
        assert part in done.out
    assert "nan" not in done.out.split("What was left out")[0]
    assert f"python -m recipes.{name}" in done.out


@pytest.mark.parametrize("name", RECIPES)
def test_it_leaves_what_a_run_leaves(ran: tuple[Path, dict[str, Ended]], name: str) -> None:
    place = ran[0] / name
    (run,) = runs_of(place)
    steps = SMALL[name][SMALL[name].index("--trainer.steps") + 1]
    assert (run / "recipe.txt").read_text() == (ROOT / "recipes" / f"{name}.py").read_text()
    assert json.loads((run / "config.json").read_text())["value"]["trainer"]["steps"] == int(steps)
    facts = json.loads((run / "environment.json").read_text())
    assert facts["packages"]["torch"] and facts["seeds"]["seed"] == 0 and facts["data"]["training batches"]
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in metrics] == list(range(1, int(steps) + 1))
    assert "held_out" in " ".join(metrics[-1])
    assert json.loads((run / "finished.json").read_text(), parse_constant=pytest.fail)["figures"]
    assert "step" in (run / "log.txt").read_text()
    page = (run / "report.html").read_text()
    assert "<html" in page and 'src="http' not in page and 'href="http' not in page
    assert (run / "tokenizer" / "manifest.json").is_file()
    assert not rubbish_of(place)
    pictures = {path.name for path in (run / "plots").iterdir()}
    assert pictures == ({"loss.png"} if name in ("plain_text", "link_prediction") else {"loss.png", "mask.png"})
    for picture in pictures:
        width, height = size_of_png((run / "plots" / picture).read_bytes())
        assert width > 300 and height > 200


def size_of_png(content: bytes) -> tuple[int, int]:
    """Width and height, having checked every chunk's sum and that the pixels unpack."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, list[tuple[bytes, bytes]]()
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", content[at + 8 + length : at + 12 + length])
        assert zlib.crc32(kind + data) == checksum
        chunks.append((kind, data))
        at += 12 + length
    assert chunks[-1][0] == b"IEND"
    width, height, depth, colour = struct.unpack(">IIBB", chunks[0][1][:10])
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    pixels = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    assert len(pixels) == height * (1 + (width * channels * depth + 7) // 8)
    return width, height


@pytest.mark.parametrize("name", RECIPES)
def test_the_model_of_a_run_is_the_last_checkpoints_bit_for_bit(
    ran: tuple[Path, dict[str, Ended]], name: str
) -> None:
    (run,) = runs_of(ran[0] / name)
    model = load_from_dir(run, recipe_file=ROOT / "recipes" / f"{name}.py")
    last = type(model).load_from_dir(checkpoints(run)[0] / "model")
    assert model.cfg == last.cfg
    weights, expected = model.network.state_dict(), last.network.state_dict()
    assert weights.keys() == expected.keys()
    assert all(weights[key].numpy().tobytes() == expected[key].numpy().tobytes() for key in expected)
    assert any(weights[key].any() for key in weights)


def test_a_run_of_another_recipe_is_refused(ran: tuple[Path, dict[str, Ended]]) -> None:
    (run,) = runs_of(ran[0] / "plain_text")
    with pytest.raises(ExperimentError, match=r"made by another version") as refused:
        load_from_dir(run, recipe_file=ROOT / "recipes" / "dagseq_wiki.py")
    assert "--- " in str(refused.value) and "+++ " in str(refused.value)


def test_the_second_run_reuses_all_that_was_prepared(ran: tuple[Path, dict[str, Ended]]) -> None:
    place, first = ran
    before = times_of(place / "dagseq_wiki" / "cache")
    again = ended(place / "dagseq_wiki", "dagseq_wiki", *SMALL["dagseq_wiki"])
    assert (again.code, again.err) == (0, "")
    assert times_of(place / "dagseq_wiki" / "cache") == before
    made = ("write wiki", "find redirects", "read dump", "write articles", "train tokenizer", "pack rows")
    assert [part for part in made if part in first["dagseq_wiki"].out] == list(made)
    assert [part for part in made if part in again.out] == []
    assert again.out.count("Found ") >= 2
    old, new = runs_of(place / "dagseq_wiki")
    assert weights_of(old) == weights_of(new)
    figures = [json.loads((run / "finished.json").read_text())["figures"] for run in (old, new)]
    assert figures[0] == figures[1]


def test_the_second_run_tells_the_same_drops(ran: tuple[Path, dict[str, Ended]]) -> None:
    place = ran[0] / "dagseq_wiki"
    if len(runs_of(place)) == 1:
        assert ended(place, "dagseq_wiki", *SMALL["dagseq_wiki"]).code == 0
    old, new = (json.loads((run / "finished.json").read_text())["drops"] for run in runs_of(place)[:2])
    assert {drop["reason"]: drop["count"] for drop in new} == {drop["reason"]: drop["count"] for drop in old}


def test_a_changed_recipe_is_refused_with_the_difference(tmp_path: Path) -> None:
    """A copy of a recipe is a program of its own, anywhere on the disk."""
    mine = tmp_path / "my_recipe.py"
    mine.write_text((ROOT / "recipes" / "dagseq_wiki.py").read_text())
    done = ended(tmp_path, mine, *SMALL["dagseq_wiki"])
    assert (done.code, done.err) == (0, "")
    (run,) = runs_of(tmp_path)
    assert load_from_dir(run, recipe_file=mine).cfg.width == 32
    (run / "finished.json").unlink()
    mine.write_text(mine.read_text().replace("seq_len // 2", "seq_len // 3"))
    refused = ended(tmp_path, mine, *SMALL["dagseq_wiki"], "--resume", run)
    assert refused.code == 2 and "Traceback" not in refused.all
    changed = [line.strip() for line in refused.err.splitlines() if line.strip()[:1] in ("+", "-")]
    assert f"--- {run.name}/recipe.txt" in refused.err
    assert "seq_len // 2" in changed[-2] and "seq_len // 3" in changed[-1]
    with pytest.raises(ExperimentError, match=r"another version of my_recipe[.]py"):
        load_from_dir(run, recipe_file=mine)
    taken = ended(tmp_path, mine, *SMALL["dagseq_wiki"], "--resume", run, "--allow_changed_recipe")
    assert (taken.code, taken.err) == (0, "")


def test_help_lists_every_setting_with_its_default(tmp_path: Path) -> None:
    helped = together(lambda name: ended(tmp_path, name, "--help"), RECIPES)
    assert len(helped) > CORES
    for name, done in helped.items():
        module = __import__(f"recipes.{name}", fromlist=["Settings"])
        assert (done.code, done.err) == (0, "")
        text = " ".join(done.out.replace("│", " ").split())
        for setting in names_of(module.Settings):
            _, found, tail = text.partition(f" --{setting}")
            assert found, setting
            assert "(default:" in tail.split(" --", 3)[0] + tail[:400], setting
        assert text.count("(default:") == len(names_of(module.Settings))
    assert list(tmp_path.iterdir()) == []
