"""The README says what is so: its recipe runs, its stage composes, its error is the one that comes."""

import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from gptlab.experiment import __main__ as runs_of
from gptlab.experiment import load_saved, variants
from gptlab.experiment.reuse import parser as reuse_parser
from gptlab.models import hugging_face
from gptlab.models.hugging_face import __main__ as repositories
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
    names: dict[str, Any] = {}
    exec(compile(recipe, "README.md", "exec"), names)
    said = capsys.readouterr().out
    assert "TraverseLinks (barrier)" in said and "tensor(" in said
    for block in blocks("python"):
        if any(f"{name}(" in block for name in ("ExactMatch", "LLMGrader", "MultipleChoiceLogits")):
            exec(compile(block, "README.md", "exec"), names)
    assert names["figures"]["n"] > 20
    assert names["chosen"]["n"] == names["read"]["documents"] == 20
    assert "| 20261124_101500 | untrained | " in Path("experiments/leaderboards/exact_match.md").read_text()
    assert names["graded"].judge is names["judge"] and names["compared"].baseline is names["writer"]


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


def commands(module: str) -> list[list[str]]:
    """The arguments of every line that starts a module."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    started = [line.partition(f"-m {module} ")[2] for line in lines if f"-m {module} " in line]
    return [shlex.split(rest, comments=True) for rest in started]


def test_the_commands_on_runs_are_those_that_there_are() -> None:
    asked = [runs_of._parser().parse_args(arguments) for arguments in commands("gptlab.experiment")]
    wanted = ["list_runs", "show_run", "compare_runs", "plot_runs", "report_runs"]
    wanted += ["show_leaderboards", "show_leaderboards", "restore_run", "clean_runs"]
    assert [each.answer.__name__ for each in asked] == wanted
    [reused] = [reuse_parser().parse_args(arguments) for arguments in commands("gptlab.experiment.reuse")]
    assert (reused.run, reused.module, reused.name) == ("last", "tokenizer", "english") and callable(load_saved)
    sent = [repositories._parser().parse_args(arguments) for arguments in commands("gptlab.models.hugging_face")]
    assert [each.step.__name__ for each in sent] == ["export_run", "upload_directory"]


def test_the_sweep_and_what_comes_from_the_hub_are_written_as_they_are_called() -> None:
    names: dict[str, Any] = {"__name__": "readme"}  # so that nothing is run
    [block] = [block for block in blocks("python") if "sweep(" in block]
    exec(compile(block, "README.md", "exec"), names)
    grid = eval(re.search(r"{.*?}", block)[0])  # type: ignore[index]
    [settings] = inspect.signature(names["recipe"]).parameters.values()
    assert len(variants(settings.default, grid)) == 4
    [block] = [block for block in blocks("python") if "from_pretrained_dir(" in block]
    for called in ("from_pretrained_dir", "PretrainedTokenizer"):
        assert called in block and hasattr(hugging_face, called)
    compile(block, "README.md", "exec")
