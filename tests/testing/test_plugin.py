"""The plugin on a user's folder, with no test file written."""

import importlib.metadata
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import gptlab.testing.collecting  # noqa: F401  (once: pytester forgets what its sessions import)

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
IS_INSTALLED = any(entry.name == "gptlab" for entry in importlib.metadata.entry_points(group="pytest11"))
LOADED = () if IS_INSTALLED else ("-p", "gptlab.testing.plugin")

HEAD = """
from collections.abc import Iterator
import attrs
__test__ = True
__test_name__ = "my stages"
"""
GOOD = """
def shout(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        yield word.upper()
"""


def run(pytester: pytest.Pytester, body: str, *more: str, head: str = HEAD) -> pytest.RunResult:
    folder = pytester.mkdir("stages")
    (folder / "mine.py").write_text(textwrap.dedent(head + body))
    arguments = [*LOADED, "--gptlab", "--gptlab-examples=5", "-p", "no:cacheprovider", *more]
    return pytester.runpytest_inprocess(*arguments, "stages")


def test_a_folder_of_stages_is_put_to_its_laws(pytester: pytest.Pytester) -> None:
    result = run(pytester, GOOD, "-v", "-rs")
    result.assert_outcomes(passed=8, skipped=2)
    result.stdout.fnmatch_lines(["*mine.py::my stages shout::lazy PASSED*", "*it has no items_per_yield*"])


def test_a_bug_is_shown_by_its_law_and_its_input(pytester: pytest.Pytester) -> None:
    body = """
        def first(words: Iterator[str]) -> Iterator[str]:
            for word in words:
                yield word[0]
    """
    result = run(pytester, textwrap.dedent(body), "--tb=short")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*first breaks a law: Every input that the annotation allows is taken.",
            "*got     IndexError: string index out of range",
            "*input   [[]''[]]",
            "*mine.py:* in first",
        ]
    )
    result.assert_outcomes(failed=1, passed=7, skipped=2)


def test_a_class_that_asks_for_more_needs_an_example(pytester: pytest.Pytester) -> None:
    body = """
        @attrs.frozen
        class Add:
            step: int
            def __call__(self, numbers: Iterator[int]) -> Iterator[int]:
                for number in numbers:
                    yield number + self.step
    """
    result = run(pytester, textwrap.dedent(body))
    result.stdout.fnmatch_lines(["Add has no example", "*Write def gptlab_examples(): return [[]Add(step=...)[]]*"])
    result.assert_outcomes(failed=1)


def test_examples_are_given_by_a_function_that_may_ask_for_a_folder(pytester: pytest.Pytester) -> None:
    body = """
        @attrs.frozen
        class Lines:
            path: object
            def get_data_generator(self, start: int = 0) -> Iterator[str]:
                with open(self.path) as lines:
                    yield from list(lines)[start:]

        def gptlab_examples(folder):
            from gptlab.testing import Example
            (folder / "a.txt").write_text("one\\ntwo\\n")
            return {"two lines": Example(Lines(str(folder / "a.txt")))}
    """
    result = run(pytester, textwrap.dedent(body), "-v")
    result.stdout.fnmatch_lines(["*my stages two lines::resume PASSED*"])
    result.assert_outcomes(passed=8, skipped=2)


def test_opting_out_is_reported(pytester: pytest.Pytester) -> None:
    result = run(pytester, "raise SystemExit(3)", head='__test__ = False\n__test_name__ = "not yet"\n')
    result.stdout.fnmatch_lines(["*left out by __test__ = False*", "stages/mine.py: not yet"])
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_module_without_a_name_is_refused(pytester: pytest.Pytester) -> None:
    result = run(pytester, GOOD, head="from collections.abc import Iterator\n__test__ = True\n")
    result.stdout.fnmatch_lines(["*mine.py has no name*"])
    result.assert_outcomes(errors=1)


def test_nothing_is_collected_unless_asked(pytester: pytest.Pytester) -> None:
    (pytester.mkdir("stages") / "mine.py").write_text(HEAD + GOOD)
    assert pytester.runpytest_inprocess(*LOADED, "stages").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_doctests_of_a_marked_module_still_run(pytester: pytest.Pytester) -> None:
    """doctest itself takes `__test__` for a dictionary and fails on a bool."""
    text = f'"""\n>>> 1 + 1\n2\n"""{HEAD}'
    (pytester.mkdir("stages") / "mine.py").write_text(text)
    pytester.runpytest_inprocess(*LOADED, "--doctest-modules", "stages").assert_outcomes(passed=1)


def test_an_annotation_that_says_too_little_is_told(pytester: pytest.Pytester) -> None:
    body = """
        def copy(items: Iterator) -> Iterator[int]:
            yield from items
    """
    result = run(pytester, textwrap.dedent(body))
    result.stdout.fnmatch_lines(["*copy does not say of what its stream is*"])


def test_loading_the_plugin_imports_neither_gptlab_nor_anything_heavy() -> None:
    code = (
        "import sys, pytest\nbefore = set(sys.modules)\nimport gptlab.testing.plugin\n"
        "print(*sorted(m for m in set(sys.modules) - before if not m.startswith('_')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(done.stdout.split()) <= {"gptlab", "gptlab.testing", "gptlab.testing.plugin", "ast"}


@pytest.mark.slow
def test_every_part_of_gptlab_obeys_its_laws() -> None:
    """Two inputs for each law here; `pytest --gptlab tests/testing/library_stages.py` looks further."""
    command = [sys.executable, "-m", "pytest", *LOADED, "--gptlab", "--gptlab-examples=2", "-p", "no:cacheprovider"]
    file = ROOT / "tests" / "testing" / "library_stages.py"
    done = subprocess.run([*command, "-q", "-rfE", str(file)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " failed" not in done.stdout
    passed = int(done.stdout.rsplit(" passed", 1)[0].split()[-1])
    assert passed > 300
