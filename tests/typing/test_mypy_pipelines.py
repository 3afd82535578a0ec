"""mypy rejects what the construction check rejects: each line marked `# bad`, and no other."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PIPELINES = HERE / "good_and_bad_pipelines.py"
BARS = HERE / "good_and_bad_bars.py"


def errors_of(path: Path, cache: Path) -> dict[int, str]:
    """Line to mypy's message."""
    root = HERE.parents[1]
    command = [sys.executable, "-m", "mypy", "--config-file", root / "mypy.ini", "--cache-dir", cache, path]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert found.returncode in (0, 1), found.stdout + found.stderr
    matches = re.finditer(rf"^\S*{re.escape(path.name)}:(\d+): error: (.*)$", found.stdout, flags=re.MULTILINE)
    return {int(match[1]): match[2] for match in matches}


def marked(text: str) -> set[int]:
    return {number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# bad")}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize(
    ("file", "least"), [(PIPELINES, 30), (BARS, 20)], ids=lambda value: getattr(value, "stem", "")
)
def test_each_bad_line_is_an_error_and_no_good_one(file: Path, least: int, cache: Path) -> None:
    text = file.read_text(encoding="utf-8")
    errors, bad = errors_of(file, cache), marked(text)
    lines = text.splitlines()
    assert len(bad) >= least
    assert not {lines[number - 1] for number in bad - errors.keys()}, "bad lines that mypy lets pass"
    assert not {(lines[number - 1], errors[number]) for number in errors.keys() - bad}, "good lines that it rejects"


def test_the_proof_can_fail(cache: Path, tmp_path: Path) -> None:
    copy = tmp_path / PIPELINES.name
    lines = PIPELINES.read_text(encoding="utf-8").splitlines()
    good = next(index for index, line in enumerate(lines) if line.startswith("whole: "))
    lines[good] = lines[good].replace("Traverse(), Pack(8)", "Pack(8), Traverse()")
    copy.write_text("\n".join(lines), encoding="utf-8")
    assert good + 1 in errors_of(copy, cache)


@pytest.mark.parametrize("file", [PIPELINES, BARS], ids=lambda file: file.stem)
def test_what_mypy_rejects_the_construction_check_rejects_too(file: Path) -> None:
    """Good lines run; each bad line up to the last section, which is about types that only mypy is told, raises."""
    text = file.read_text(encoding="utf-8").split("# What comes out is not what is said.")[0]
    lines = [line.removesuffix("  # bad") if line.endswith("# bad") else "" for line in text.splitlines()]
    names: dict[str, object] = {"__name__": file.stem}
    good = "\n".join(line for line in text.splitlines() if not line.endswith("# bad"))
    exec(compile(good.replace("walks: Iterator[Walk] = ", "# "), str(file), "exec"), names)
    for line in filter(None, lines):
        with pytest.raises((TypeError, ValueError)):
            exec(line, names)
