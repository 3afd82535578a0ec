"""The README says what is so: its recipe runs, its stage composes, its error is the one that comes."""

import re
from pathlib import Path
from typing import Any

import pytest

from gptlab.packing import Pack
from gptlab.pipeline import ContractError, pipeline
from gptlab.sources import LinkedFactsWiki
from gptlab.testing import check_stage
from gptlab.tokenizers import ByteTokenizer, Tokenize

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_recipe_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = next(block for block in blocks("python") if "losses = pipeline(" in block)
    exec(compile(recipe, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "TraverseLinks (barrier)" in said and "tensor(" in said


def test_the_stage_obeys_the_laws() -> None:
    names: dict[str, Any] = {"__name__": "readme"}
    for block in blocks("python"):
        if "class KeepLong" in block or "gptlab_examples" in block:
            exec(compile(block, "README.md", "exec"), names)
    for stage in names["gptlab_examples"]():
        check_stage(stage, max_examples=5, leave_out={"save_and_load": "a class that no module holds"})


def test_the_error_is_the_one_that_comes() -> None:
    with pytest.raises(ContractError) as caught:
        pipeline(LinkedFactsWiki(pages=200), Tokenize(ByteTokenizer()), Pack(seq_len=256))
    [written] = blocks("text")
    without_lines = re.compile(r":\d+")
    assert without_lines.sub("", written.removeprefix("ContractError: ").strip()) == without_lines.sub(
        "", str(caught.value)
    )
