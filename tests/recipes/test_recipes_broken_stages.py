"""A recipe whose stages are left out, swapped or mistyped is refused when it is made, and by mypy as well."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from programs import ROOT

pytestmark = pytest.mark.slow
TEXT = (ROOT / "recipes" / "dagseq_wiki.py").read_text(encoding="utf-8")
TRAVERSE = "                TraverseLinks(POLICIES[settings.traversal], seed=settings.seed, budget=seq_len),\n"
PACK = "                Pack(seq_len),\n"
TOKENIZE = "                Tokenize(tokenizer),\n"
BROKEN: dict[str, tuple[tuple[str, str], ...]] = {
    "no_tokenize": ((TOKENIZE, ""),),
    "no_traverse": ((TRAVERSE, ""),),
    "no_pack": ((PACK, ""),),
    "no_collate": (("seed=settings.seed), Collate(settings.batch_size))", "seed=settings.seed))"),),
    "no_collate_held_out": (("pipeline(held_out_rows, Collate(settings.batch_size))", "pipeline(held_out_rows)"),),
    "swapped_pack_and_traverse": ((TRAVERSE + PACK, PACK + TRAVERSE),),
    "swapped_tokenize_and_split": (("                part,\n" + TOKENIZE, TOKENIZE + "                part,\n"),),
    "tokenized_twice": ((TOKENIZE, TOKENIZE + TOKENIZE),),
    "tokenizer_for_its_stage": ((TOKENIZE, "                tokenizer,\n"),),
    "class_for_its_value": ((PACK, "                Pack,\n"),),
    "number_for_a_stage": ((PACK, "                2048,\n"),),
    "stage_of_another_path": (("Pack(seq_len)", "Collate(seq_len)"),),
    "word_for_a_number": (("Pack(seq_len)", 'Pack("seq_len")'),),
    "policy_that_is_a_word": (("POLICIES[settings.traversal]", '"breadth_first"'),),
}
"""Name to what is replaced by what."""


def broken(name: str) -> str:
    text = TEXT
    for old, new in BROKEN[name]:
        assert text.count(old) == 1, (name, old)
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All variants, and the recipe itself, as files."""
    place = tmp_path_factory.mktemp("broken")
    (place / "right.py").write_text(TEXT, encoding="utf-8")
    for name in BROKEN:
        (place / f"{name}.py").write_text(broken(name), encoding="utf-8")
    return place


def made(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"a_recipe_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.recipe(module.Settings())


def test_the_recipe_itself_is_made(folder: Path) -> None:
    assert made(folder / "right.py")


@pytest.mark.parametrize("name", BROKEN)
def test_it_is_refused_when_it_is_made(folder: Path, name: str) -> None:
    with pytest.raises((ValueError, TypeError)) as refused:
        made(folder / f"{name}.py")
    lines = [line.strip() for line in str(refused.value).splitlines()]
    # Of two stages that do not fit, one yields what the other does not take: got and wanted, each with its place.
    words = (r"\d+ +\S+ +yields ", r"\d+ +\S+ +takes ") if "cannot follow" in lines[0] else ("got ", "wanted ")
    got, wanted = (next((at for at, line in enumerate(lines) if re.match(word, line)), 0) for word in words)
    assert 0 < got < wanted < len(lines) - 1, str(refused.value)
    assert len(lines[-1].split()) > 1, str(refused.value)


def test_mypy_refuses_each_of_them_and_not_the_recipe(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "mypy.ini", "--cache-dir", tmp_path, folder]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert found.returncode in (0, 1), found.stdout + found.stderr
    wrong = {Path(name).stem for name in re.findall(r"^(\S+\.py):\d+: error: ", found.stdout, flags=re.MULTILINE)}
    assert wrong == set(BROKEN), found.stdout
