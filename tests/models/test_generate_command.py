"""`python -m gptlab.models.generate`: what a person sees, from a run on disk, in a pipe and at a terminal."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gptlab.graph import DocumentStore
from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.models.generate import main, told
from gptlab.models.generation.lookups import lookup_of
from gptlab.sources import MarkdownFolder
from gptlab.storage import envelope, pretty_json, save_to_dir, to_config
from gptlab.tokenizers import ByteTokenizer, Tokenize
from gptlab.types import DocumentId, Generation, Prompt
from recipes.dagseq_wiki import Settings, recipe

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with a small model of random weights."""
    cfg = DagTransformerConfig(layers=1, width=16, heads=2, vocab_size=257, max_seq_len=160)
    model = DagTransformer.instantiate(cfg)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.2)
    place = tmp_path_factory.mktemp("run")
    save_to_dir(model, place / "model")
    save_to_dir(ByteTokenizer(), place / "tokenizer")
    return place


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of Markdown: an otter that swims in a river."""
    folder = tmp_path_factory.mktemp("notes")
    (folder / "Otter.md").write_text("It swims in the [[River]].")
    (folder / "River.md").write_text("Water on its way.")
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(each) for each in arguments])
    return code, *capsys.readouterr()


def test_prose_then_the_documents_that_were_read(capsys: pytest.CaptureFixture[str], run: Path, notes: Path) -> None:
    prompt = "An [otter](Otter), a [ghost](Ghost) "
    options = ("--prompt", prompt, "--follow-links", "--documents", notes, "--max-new-tokens", 5)
    code, out, err = said(capsys, run, *options)
    assert code == 0
    prose, _, told = out.partition("\n\nRead 1 document:\n")
    assert prose.startswith(prompt)
    ended = "Ended: the most tokens that were asked for: --max-new-tokens.\n"
    assert told == f"  Otter  in the prompt\nNot there: Ghost.\n{ended}"
    assert said(capsys, run, *options)[1] == out  # the same seed
    assert said(capsys, run, *options, "--seed", 1)[1] != out
    assert "read markdown: 2 files" in err


def test_a_store_serves_as_well(capsys: pytest.CaptureFixture[str], run: Path, notes: Path, tmp_path: Path) -> None:
    tokenizer = ByteTokenizer()
    documents = Tokenize(tokenizer)(MarkdownFolder(notes).get_data_generator())
    DocumentStore.build(documents, tmp_path / "store", tokenizer=tokenizer)
    options = (run, "--prompt", "An [o](Otter)", "--follow-links", "--max-new-tokens", 5, "--documents")
    assert said(capsys, *options, tmp_path / "store")[1] == said(capsys, *options, notes)[1]


def test_without_links_nothing_is_said_of_documents(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    code, out, _ = said(capsys, run, "--prompt", "An [otter](Otter)", "--max-new-tokens", 3, "--temperature", 0)
    assert code == 0
    assert "Read" not in out


def test_missing_documents_are_written_first(capsys: pytest.CaptureFixture[str], run: Path, notes: Path) -> None:
    options = ("--documents", notes, "--write-missing", 1, "--max-new-tokens", 5)
    _, out, _ = said(capsys, run, "--prompt", "A [g](Ghost) [h](Goblin)", "--follow-links", *options)
    assert "Read 1 document:\n  Ghost  in the prompt, written first\nNot there: Goblin.\n" in out


def test_the_documents_of_a_run_are_found_through_its_recipe(run: Path, tmp_path: Path) -> None:
    settings = Settings(pages=20, cache=tmp_path / "cache")
    (run / "config.json").write_text(pretty_json(envelope(to_config(settings))))
    some = next(iter(recipe(settings).places.parts["documents"].get_data_generator()))
    lookup = lookup_of(run, ByteTokenizer())
    found = lookup(some.id)
    assert found is not None
    assert (found.title, found.link_targets) == (some.title, tuple(link.target for link in some.links))
    assert lookup(DocumentId("Nowhere at all")) is None
    (run / "config.json").unlink()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            (),
            "got     neither --prompt nor --title nor --interactive\n  wanted  a beginning to go on from\n",
        ),
        (("--prompt", "a", "--documents", "x"), "--documents\n  got     no --follow-links\n  wanted  both"),
        (("--prompt", "a", "--follow-links"), "Say where documents are: --documents STORE, or a folder of Markdown."),
        (("--prompt", "a", "--temperature", "-1"), "Sampling.temperature\n  got     -1.0"),
        (
            ("--prompt", "a" * 200),
            "got     200 tokens and max_new_tokens=128\n  wanted  together less than max_seq_len",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_four_parts(
    capsys: pytest.CaptureFixture[str], run: Path, options: tuple[str, ...], message: str
) -> None:
    code, out, err = said(capsys, run, *options)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert message in err


def test_what_was_read_is_told_with_its_place_and_with_what_made_room() -> None:
    river, sea = DocumentId("River"), DocumentId("Red_Sea")
    whole = Generation(
        prompt=Prompt(text="To "),
        text="[r](River) [s](Red_Sea).",
        read=((10, river), (23, sea)),
        evicted=((23, river),),
    )
    lines = told(whole).splitlines()
    assert lines[:4] == [
        "Read 2 documents:",
        "  River    after 'To [r](River)'",
        "  Red Sea  after 'To [r](River) [s](Red_Sea)'",
        "Made room for others: River.",
    ]
    assert told(Generation(prompt=Prompt(text="a"), text="b")).startswith("Read no documents.\nEnded: ")


def test_a_directory_that_is_no_run_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _, _, err = said(capsys, tmp_path / "none", "--prompt", "a")
    assert "none\n  got     no such directory\n  wanted  a run that has ended, with its model\n" in err
    assert "got     no model" in said(capsys, tmp_path, "--prompt", "a")[2]
    save_to_dir(ByteTokenizer(), tmp_path / "model")
    assert "got     ByteTokenizer\n  wanted  a DagTransformer" in said(capsys, tmp_path, "--prompt", "a")[2]


def test_it_asks_for_one_prompt_after_the_other(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    """What is empty is passed over, what is too long is said, and then it goes on."""
    lines = iter(["An otter", "", "b" * 200, "A river"])

    def ask(_: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    assert main([str(run), "--interactive", "--max-new-tokens", "4"], ask=ask) == 0
    out, err = capsys.readouterr()
    assert out.count("Ended:") == 2
    assert out.startswith("An otter")
    assert "\n\nA river" not in out.partition("Ended:")[0]
    assert "got     200 tokens and max_new_tokens=4" in err


def test_ctrl_c_ends_it_quietly(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    def ask(_: str) -> str:
        raise KeyboardInterrupt

    assert main([str(run), "--interactive"], ask=ask) == 130
    assert capsys.readouterr().err.endswith("\nStopped.\n")


def test_help_says_what_each_option_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    out = capsys.readouterr().out
    assert "usage: python -m gptlab.models.generate" in out
    assert "example: python -m gptlab.models.generate experiments/" in out
    options = re.findall(r"^  (--\S+)(?: [A-Z]+)?(?:\n {20,}|  +)(\S.*)$", out, re.MULTILINE)
    assert len(options) == 14, "every option has a text"
    assert ("--follow-links", "read what a link leads to, then go on writing") in options


def test_at_a_terminal_it_reads_lines_and_ends_with_ctrl_d(run: Path) -> None:
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "gptlab.models.generate", str(run), "--interactive", "--max-new-tokens", "3"]
    process = subprocess.Popen(
        command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY, text=True
    )
    os.close(terminal)
    os.write(keyboard, b"An otter\n\x04")
    out, err = process.communicate(timeout=100)
    os.close(keyboard)
    assert process.returncode == 0, err
    assert "An otter" in out
    assert "Ended: the most tokens that were asked for" in out
    assert "end with Ctrl-D" in err
