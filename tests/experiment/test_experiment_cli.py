"""The command line and the session: codes, messages, and what is said of what was kept."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Literal

import attrs
import pytest

from gptlab.experiment import ExperimentError, RunDirectory, main, running
from gptlab.experiment.cli import Terminated, is_for_users, names_of, parse
from gptlab.pipeline.observe import drop, progress, say


def _positive(instance: object, attribute: object, value: int) -> None:
    if value < 1:
        raise ValueError(f"TrainerConfig.steps\n  got     {value}\n  wanted  at least 1\n  Ask for one step or more.")


@attrs.frozen(kw_only=True)
class Training:
    """How to train.

    Attributes:
        steps: optimiser steps in all.
        learning_rate: the highest.
    """

    steps: int = attrs.field(default=100, validator=_positive)
    learning_rate: float = 3e-3
    betas: tuple[float, float] = (0.9, 0.95)


@attrs.frozen(kw_only=True)
class Settings:
    """Everything that this recipe can be told.

    More words, which are not for the command line.

    Attributes:
        trainer: how to train.
        dump: a MediaWiki export.
        mask: what a token sees.
        resume: go on with the last run.
    """

    trainer: Training = Training(steps=300)
    dump: Path | None = None
    mask: Literal["causal", "from_link"] = "from_link"
    resume: bool = False


def nothing(settings: Settings) -> None:
    """A recipe that does nothing."""


def test_settings_are_dotted_and_spelled_as_in_the_code() -> None:
    chosen = parse(Settings, ["--trainer.learning_rate", "0.5", "--dump", "a.xml", "--resume", "--mask", "causal"])
    assert chosen == Settings(
        trainer=Training(steps=300, learning_rate=0.5), dump=Path("a.xml"), resume=True, mask="causal"
    )
    assert parse(Settings, ["--dump", "None", "--trainer.betas", "0.1", "0.2"]).trainer.betas == (0.1, 0.2)
    assert parse(Settings, []) == Settings()


def test_help_lists_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(Settings, nothing, ["--help"], prog="recipe") == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Everything that this recipe can be told. --debug shows the traceback of every error." in text
    assert all(f"--{name}" in text for name in names_of(Settings))
    for words in (
        "(default: 300)",
        "(default: 0.003)",
        "(default: 0.9 0.95)",
        "(default: None)",
        "(default: from_link)",
    ):
        assert words in text
    assert "optimiser steps in all." in text and "More words" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--trainer.stepz", "5"],
            "there is no setting --trainer.stepz\n  got     --trainer.stepz 5\n  wanted  settings as --name value\n"
            "  Did you mean --trainer.steps? --help lists all of them.",
        ),
        (
            ["--steps=5"],
            "there is no setting --steps\n  got     --steps=5\n  wanted  settings as --name value\n"
            "  Did you mean --trainer.steps? --help lists all of them.",
        ),
        (
            ["--learning-rte", "5"],
            "there is no setting --learning-rte\n  got     --learning-rte 5\n  wanted  settings as --name value\n"
            "  Did you mean --trainer.learning_rate? --help lists all of them.",
        ),
        (
            ["--qqq"],
            "there is no setting --qqq\n  got     --qqq\n  wanted  settings as --name value\n"
            "  --help lists all of them.",
        ),
        (
            ["dump.xml"],
            "the argument 'dump.xml'\n  got     dump.xml\n"
            "  wanted  settings as --name value; nothing is given by its place\n"
            "  --help lists all of them.",
        ),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(Settings, lambda settings: pytest.fail("it ran"), arguments) == 2
    assert capsys.readouterr().err == f"Error: {message}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--trainer.steps", "5.5"], "--trainer.steps: invalid literal for int() with base 10: '5.5'"),
        (["--mask", "none"], "invalid choice 'none' for argument '--mask'"),
        (["--trainer.steps", "0"], "TrainerConfig.steps got 0 wanted at least 1 Ask for one step or more."),
        (["--trainer.steps"], "Missing value for argument '--trainer.steps'."),
    ],
)
def test_a_wrong_value_is_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(Settings, lambda settings: pytest.fail("it ran"), arguments) == 2
    shown = capsys.readouterr()
    assert words in " ".join((shown.out + shown.err).replace("│", " ").split())


def failing(error: BaseException) -> int:
    def run(settings: Settings) -> None:
        raise error

    return main(Settings, run, [])


def test_errors_for_users_are_messages_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    error = ExperimentError("here", got="a \x1b[2J", wanted="b", do="Do c.")
    error.add_note("Kept: all.")
    assert failing(error) == 2
    assert capsys.readouterr().err == "Error: here\n  got     a \\x1b[2J\n  wanted  b\n  Do c.\nKept: all.\n"
    assert failing(ValueError("x\n  got     1\n  wanted  2\n  Do.")) == 2
    assert capsys.readouterr().err == "Error: x\n  got     1\n  wanted  2\n  Do.\n"
    assert failing(FileNotFoundError(2, "No such file or directory", "dump.xml")) == 2
    assert capsys.readouterr().err == (
        "Error: dump.xml\n  got     No such file or directory\n  wanted  a path that exists\n"
        "  Check the spelling; a relative path begins at the current folder.\n"
    )


def test_errors_of_every_floor_are_for_users() -> None:
    from gptlab.pipeline.errors import ContractError
    from gptlab.sources.errors import SourceError
    from gptlab.storage import StorageError

    for kind in (SourceError, StorageError):
        assert is_for_users(kind("x", got="", wanted="", do=""))
    assert is_for_users(ContractError("x"))
    assert not is_for_users(ValueError("invalid literal for int() with base 10: ''"))
    assert not is_for_users(KeyError("\n  wanted"))


def test_a_mistake_of_the_program_has_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(ZeroDivisionError("by zero")) == 1
    text = capsys.readouterr().err
    assert "Traceback" in text and "ZeroDivisionError: by zero" in text
    assert text.endswith("This is a mistake in the program, not in what it was given; the lines above say where.\n")


@pytest.mark.parametrize("way", ["option", "variable"])
def test_debug_shows_every_traceback(
    way: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPTLAB_DEBUG", "1" if way == "variable" else "0")

    def run(settings: Settings) -> None:
        raise ExperimentError("here", got="a", wanted="b", do="c")

    assert main(Settings, run, ["--debug"] if way == "option" else []) == 2
    text = capsys.readouterr().err
    assert "Traceback" in text and text.endswith("Error: here\n  got     a\n  wanted  b\n  c\n")


def test_interrupts_say_so_and_have_their_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "Stopped.\n"
    assert failing(KeyboardInterrupt("stopped after step 7.")) == 130
    assert capsys.readouterr().err == "Stopped. stopped after step 7.\n"
    before = signal.getsignal(signal.SIGTERM)
    assert main(Settings, lambda settings: os.kill(os.getpid(), signal.SIGTERM), []) == 143
    assert capsys.readouterr().err == "Stopped. The process was asked to end (SIGTERM).\n"
    assert signal.getsignal(signal.SIGTERM) is before and issubclass(Terminated, KeyboardInterrupt)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    recipe = tmp_path / "r.py"
    recipe.write_text("x = 1\n")
    return RunDirectory.create(tmp_path / "runs", recipe, {"steps": 3})


def test_a_session_watches_logs_and_counts(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    with running(run) as session:
        say("hello")
        drop("missing", example="Foo")
        progress("train", 3, 3, "steps")
        session.logger.info("to all")
    assert session.run is run and session.observer.drops.counts == {"missing": 1}
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["hello", "train from 3 of 3 steps …", "train: 3 steps in 0.0 s", "to all"]
    log = run.log.read_text()
    assert "hello" in log and "dropped 1: missing (Foo)" in log
    say("nobody hears this")
    assert "nobody" not in run.log.read_text()


def test_what_was_kept_and_how_to_go_on_is_said(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    def recipe(settings: Settings) -> None:
        with running(run, go_on=f"python r.py --resume {run.path}"):
            run.metrics.write_text('{"step": 1}\n{"step": 2}\n')
            (run.checkpoints / "step_2").mkdir(parents=True)
            (run.checkpoints / ".half").mkdir()
            raise KeyboardInterrupt

    assert main(Settings, recipe, []) == 130
    assert capsys.readouterr().err == (
        f"Stopped.\nKept: {run.path}, metrics of 2 steps, checkpoints step_2\n"
        f"Go on: python r.py --resume {run.path}\n"
    )


def test_the_traceback_of_a_users_error_is_in_the_log(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    def recipe(settings: Settings) -> None:
        with running(run):
            raise ExperimentError("here", got="a", wanted="b", do="c")

    assert main(Settings, recipe, []) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert "Traceback (most recent call last)" in run.log.read_text()


def test_two_sessions_in_one_process_keep_apart(run: RunDirectory, tmp_path: Path) -> None:
    other = RunDirectory.create(tmp_path / "runs", tmp_path / "r.py", {})
    with running(run):
        say("outer before")
        with running(other):
            say("inner")
        say("outer after")
    assert "inner" not in run.log.read_text() and "outer" not in other.log.read_text()


def test_a_title_ends_no_run_on_a_terminal_without_unicode(tmp_path: Path) -> None:
    code = (
        "import attrs, sys\nfrom gptlab.experiment import main, make_console\n"
        "@attrs.frozen\nclass S:\n    a: int = 1\n"
        "sys.exit(main(S, lambda s: make_console().print('東京')))\n"
    )
    (tmp_path / "r.py").write_text(code, encoding="utf-8")
    env = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "r.py")], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "\\u6771\\u4eac\n"), done.stderr
