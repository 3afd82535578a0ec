"""Every version that was ever written is read, and means what it meant."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.graph import BreadthFirst, TraverseLinks
from gptlab.models import DagTransformerConfig, MaskSpec
from gptlab.packing import Collate, Pack
from gptlab.pipeline import pipeline
from gptlab.storage import SCHEMA, StorageError, envelope, from_config, load_from_dir, opened, read_json
from gptlab.storage.schema import MIGRATIONS, Migration, migrated, renamed, version_of
from gptlab.training import TrainerConfig
from gptlab.types import Prompt

CORPUS = Path(__file__).parent / "old_versions"
MEANT = {
    "model": DagTransformerConfig(
        layers=2, width=32, heads=2, vocab_size=300, max_seq_len=64, mask=MaskSpec("document"), attention="gathered"
    ),
    "prompt": Prompt(text="Sông chảy ra [biển](Biển)", title="Sông", seed=7),
    "stages": pipeline(TraverseLinks(BreadthFirst(), seed=1, budget=64), Pack(64), Collate(8)),
    "trainer": TrainerConfig(steps=50, learning_rate=1e-3),
}
FILES = sorted(CORPUS.glob("*.json"))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_of_any_version_means_what_it_meant(path: Path) -> None:
    name, _, version = path.stem.partition(".")
    content = read_json(path)
    assert version_of(content) == int(version)
    assert from_config(opened(content, str(path))) == MEANT[name]


def test_the_corpus_has_every_version_of_everything() -> None:
    assert {path.stem for path in FILES} == {f"{name}.{version}" for name in MEANT for version in range(SCHEMA + 1)}
    assert set(MIGRATIONS) == set(range(SCHEMA))  # a way on from every version but the last


@pytest.mark.parametrize("version", range(1, SCHEMA + 1))
def test_a_saved_directory_of_any_version_is_loaded(tmp_path: Path, version: int) -> None:
    (tmp_path / "config.json").write_bytes((CORPUS / f"stages.{version}.json").read_bytes())
    assert load_from_dir(tmp_path) == MEANT["stages"]


@given(json_values)
def test_migrations_leave_their_argument_alone_and_end_at_the_newest(value: Any) -> None:
    first = {"format": 1, "gptlab": "0.1.0", "value": value}
    before = copy.deepcopy(first)
    last = migrated(first, 1)
    assert first == before and last["schema"] == SCHEMA and last["value"] == value
    assert opened(json.loads(json.dumps(envelope(value))), "x") == value


def test_migrations_run_in_order_from_where_a_file_stands() -> None:
    def step(number: int) -> Migration:
        return lambda content: {**content, "way": [*content["way"], number]}

    steps = {number: step(number) for number in range(5)}
    assert migrated({"way": []}, 2, steps)["way"] == [2, 3, 4]
    assert migrated({"way": []}, 5, steps)["way"] == []


def test_a_rename_reaches_every_depth_and_only_its_class() -> None:
    old = {"class": "p.Chain", "size": 1, "parts": [{"class": "p.Old", "size": 2}, {"size": 3}]}
    new = renamed(old, {"p.Old": "p.New"}, {("p.Old", "size"): "seq_len"})
    assert new == {"class": "p.Chain", "size": 1, "parts": [{"class": "p.New", "seq_len": 2}, {"size": 3}]}


def test_a_newer_file_is_refused_with_the_way_to_read_it() -> None:
    with pytest.raises(StorageError) as caught:
        opened({"schema": SCHEMA + 1, "gptlab": "9.9.9", "value": 1}, "run/config.json")
    assert str(caught.value) == (
        f"run/config.json\n  got     schema {SCHEMA + 1}, written by gptlab 9.9.9\n"
        f"  wanted  schema {SCHEMA} or older, which gptlab 0.1.0 reads\n"
        "  Install that gptlab or a newer one: pip install -U gptlab"
    )


@pytest.mark.parametrize("schema", [True, 0, -1, "2", 2.0, None])
def test_a_schema_that_is_no_number_is_no_envelope(schema: object) -> None:
    assert version_of({"schema": schema, "value": 1}) == 0
    with pytest.raises(StorageError, match="no saved value"):
        opened({"schema": schema, "value": 1}, "x", bare=False)


@given(json_values)
def test_any_content_is_a_version_and_opens_or_is_refused(content: Any) -> None:
    try:
        opened(content, "x")
    except StorageError as error:
        assert version_of(content) > SCHEMA and "schema" in str(error)
