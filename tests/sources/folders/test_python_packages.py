"""Modules and their imports: spans, targets, relative imports, drops, on written sources and real packages."""

import ast
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.pipeline.observe import Drops, watching
from gptlab.sources.errors import SourceError
from gptlab.sources.python_packages import PythonPackages, import_links

MODULES = frozenset({"pkg", "pkg.a", "pkg.b", "pkg.sub", "pkg.sub.deep", "other"})


def links_of(source: str, module: str = "pkg.a", is_package: bool = False) -> list[tuple[str, str]]:
    links = import_links(source, module, MODULES, is_package=is_package)
    assert list(links) == sorted(links, key=lambda link: link.start)
    return [(source[link.start : link.end], link.target) for link in links]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import other", [("other", "other")]),
        ("import pkg.b, other as o, os", [("pkg.b", "pkg.b"), ("other", "other")]),
        ("import pkg . b", [("pkg . b", "pkg.b")]),
        ("from pkg import b as c", [("pkg", "pkg"), ("b", "pkg.b")]),
        ("from pkg.sub import deep, thing", [("pkg.sub", "pkg.sub"), ("deep", "pkg.sub.deep")]),
        ("from . import b", [(".", "pkg"), ("b", "pkg.b")]),
        ("from.b import x", [(".b", "pkg.b")]),
        ("from .sub.deep import (\n    x,\n    y,\n)", [(".sub.deep", "pkg.sub.deep")]),
        ("from \\\n  .b import x", [(".b", "pkg.b")]),
        ("from .b import *", [(".b", "pkg.b")]),
        ("from ..nowhere import x", []),
        ("from ... import x", []),
        ("import os.path; import other", [("other", "other")]),
        ("def f():\n    é = '日本'; from .b import x", [(".b", "pkg.b")]),
        ("'''é\x0c\u2028'''\nimport other", [("other", "other")]),
        ("x = 1\r\ny = 2\r\nimport other\r\n", [("other", "other")]),
        ("import pkg.a", []),
        ("# import other\n'import other'", []),
        ("try:\n    import other\nexcept ImportError:\n    from .b import c", [("other", "other"), (".b", "pkg.b")]),
    ],
)  # fmt: skip
def test_the_span_is_the_name_that_is_imported(source: str, expected: list[tuple[str, str]]) -> None:
    assert links_of(source) == expected


def test_relative_imports_start_at_the_package_itself_in_an_init_file() -> None:
    assert links_of("from .deep import x", "pkg.sub", is_package=True) == [(".deep", "pkg.sub.deep")]
    assert links_of("from .deep import x", "pkg.sub", is_package=False) == []
    assert links_of("from ..b import x", "pkg.sub.deep") == [("..b", "pkg.b")]
    assert links_of("from .. import b", "pkg.sub.deep") == [("..", "pkg"), ("b", "pkg.b")]


@given(
    before=st.lists(st.sampled_from(["x = 1", "# é 日本", "y = 'ü'; z = 2", "", "if x:\n    pass"]), max_size=4),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    indent=st.sampled_from(["", "é = 1; ", "if 1: "]),
    names=st.lists(st.sampled_from(sorted(MODULES - {"pkg.a"})), min_size=1, max_size=3),
)
def test_imports_are_found_wherever_they_stand(
    before: list[str], newline: str, indent: str, names: list[str]
) -> None:
    source = newline.join([*before, indent + "import " + " ,  ".join(names), "end = 1"]).replace("\n", newline)
    if newline == "\r\n":
        source = source.replace("\r\r\n", "\r\n")
    assert [target for _, target in links_of(source)] == names
    assert all(text == target for text, target in links_of(source))


def test_real_packages_are_linked_by_their_imports() -> None:
    with watching(Drops()) as drops:
        modules = {module.id: module for module in PythonPackages(("attrs", "pytest")).get_data_generator()}
    assert {"attr", "attr._make", "attrs", "_pytest", "pytest", "_pytest.config"} <= set(modules)
    assert list(modules) == sorted(modules)
    targets = {link.target for link in modules["attr._make"].links}
    assert "attr.exceptions" in targets or "attr._config" in targets
    for module in modules.values():
        ends = 0
        for link in module.links:
            assert link.target in modules
            assert ends <= link.start < link.end
            ends = link.end
            written = module.text[link.start : link.end]
            assert link.target.endswith(written.strip(". ")) and link.target != module.id
    assert sum(len(module.links) for module in modules.values()) > 300
    assert not drops.counts["module does not parse"]


def test_the_text_is_the_file_unchanged() -> None:
    import attr

    modules = {module.id: module for module in PythonPackages(("attrs",)).get_data_generator()}
    assert modules["attr"].text == Path(attr.__file__).read_bytes().decode()


def test_as_many_links_as_an_independent_count_over_real_sources() -> None:
    """Against a second, plain way to find them: names alone, no places."""
    modules = {module.id: module for module in PythonPackages(("rich",)).get_data_generator()}
    for module in modules.values():
        package = module.id.split(".") if _is_package(module.id, modules) else module.id.split(".")[:-1]
        expected = []
        for node in ast.walk(ast.parse(module.text)):
            if isinstance(node, ast.Import):
                expected += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = package[: len(package) - node.level + 1]
                    base = ".".join([*above, base]) if base else ".".join(above)
                expected += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        wanted = sorted(name for name in expected if name in modules and name != module.id)
        assert sorted(link.target for link in module.links) == wanted


def _is_package(name: str, modules: object) -> bool:
    import importlib.util

    found = importlib.util.find_spec(name)
    return found is not None and found.submodule_search_locations is not None


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A real installed distribution, `fixture-pkg`, written as an installer would."""
    files = {
        "fix/__init__.py": b"from . import good\n",
        "fix/good.py": b"import fix.latin\n",
        "fix/latin.py": b"# -*- coding: latin-1 -*-\nname = '\xe9'\n",
        "fix/broken.py": b"def f(:\n",
        "fix/bytes.py": b"name = '\xe9'\n",
        "fix/nul.py": b"x = 1\0\n",
        "fix/bom.py": b"\xef\xbb\xbfimport fix.good\n",
        "fix/deep.py": b"(" * 5000 + b")" * 5000,
        "fix/tests/test_good.py": b"import fix.good\n",
        "fix/test_more.py": b"import fix.good\n",
        "fix/not-a-module.py": b"",
        "fix/data.txt": b"import fix",
    }
    info = tmp_path / "fixture_pkg-1.0.dist-info"
    info.mkdir()
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fixture-pkg\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in [*files, "fix/gone.py", "../../bin/script.py"]))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_what_cannot_be_used_is_dropped_and_counted(installed: Path) -> None:
    with watching(Drops()) as drops:
        modules = {module.id: module for module in PythonPackages(("fixture-pkg",)).get_data_generator()}
    assert sorted(modules) == ["fix", "fix.bom", "fix.good", "fix.latin"]
    assert modules["fix.latin"].text.endswith("'é'\n")
    assert [link.target for link in modules["fix"].links] == ["fix.good"]
    assert modules["fix.bom"].text == "import fix.good\n"
    assert drops.counts == {"module does not parse": 3, "module is in an unknown encoding": 1, "test module": 2}


def test_test_modules_are_kept_when_asked_for(installed: Path) -> None:
    kept = {module.id for module in PythonPackages(("fixture-pkg",), with_tests=True).get_data_generator()}
    assert {"fix.tests.test_good", "fix.test_more"} <= kept


def test_the_fingerprint_follows_the_files(installed: Path) -> None:
    source = PythonPackages(("fixture-pkg",))
    before = source.content_fingerprint()
    assert source.content_fingerprint() == before
    (installed / "fix" / "good.py").write_text("import fix.latin, os\n")
    assert source.content_fingerprint() != before


def test_a_package_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(
        SourceError, match="got     'no-such-package-at-all', which is not installed\n  wanted  names"
    ):
        next(PythonPackages(("no-such-package-at-all",)).get_data_generator())


def test_a_package_without_python_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "bare-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bare\nVersion: 1.0\n")
    (info / "RECORD").write_text("bare/data.txt,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SourceError, match="got     no Python files in bare\n  wanted  one or more\n  Name packages"):
        next(PythonPackages(("bare",)).get_data_generator())


def test_all_installed_packages_are_found() -> None:
    files, _ = PythonPackages()._files()
    assert {"attr", "numpy", "pytest"} <= set(files)
    assert all(path.suffix == ".py" for path in files.values())
    assert "sys" in sys.modules and "sys" not in files
