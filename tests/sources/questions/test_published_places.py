"""Where published data come from: the hub at a commit, its cache, or an error that says what to do."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gptlab.sources import Arc, HellaSwag, Lambada, Mmlu, Piqa, SourceError
from gptlab.storage import fingerprint

sys.path.insert(0, str(Path(__file__).parents[2] / "storage"))

from loopback_hub import Hub, client_of, serving  # a hub on the loopback, of the tests of storage

ROWS = b'{"text": "the otter saw the otter"}\n{"text": "one two"}\n'
FILE = "data/lambada_test_en.jsonl"
REPO = "EleutherAI/lambada_openai"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as found, client_of(found, tmp_path / "cache", monkeypatch, token=None):
        yield found


def test_the_hub_is_asked_once_for_a_commit(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commit = hub.add(f"datasets/{REPO}", {FILE: ROWS, "data/lambada_test_de.jsonl": b"", "run_me.py": b"0"})
    hub.add(f"datasets/{REPO}", {FILE: b'{"text": "changed since"}\n'})
    source = Lambada(revision=commit)
    assert [question.right for question in source.get_data_generator()] == ["otter", "two"]
    assert hub.asked(FILE) and not hub.asked("lambada_test_de|run_me"), "nothing else is fetched"
    hub.requests.clear()
    assert [question.right for question in source.get_data_generator()] == ["otter", "two"]
    assert not hub.requests, "what is held at a commit is the same for ever"
    own = tmp_path / "own.jsonl"
    own.write_bytes(ROWS)
    assert fingerprint(Lambada(path=own, revision=commit)) == fingerprint(source)


def test_offline_and_missing_says_what_to_bring_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        serving() as hub,
        client_of(hub, tmp_path / "cache", monkeypatch, offline=True),
        pytest.raises(SourceError) as raised,
    ):
        next(HellaSwag().get_data_generator())
    assert str(raised.value).splitlines()[1:] == [
        "  got     hub: Rowan/hellaswag at 218ec52e09a7e7462a5400043bb9a69a41d06b76: nothing of it in the cache, "
        "and offline mode (HF_HUB_OFFLINE)",
        "  wanted  the file at revision 218ec52e09a7e7462a5400043bb9a69a41d06b76, or one of your own",
        "  Unset HF_HUB_OFFLINE, or fetch it once while you are online.",
        "  Or bring it from elsewhere and give its place, HellaSwag(path=...): https://huggingface.co/datasets/"
        "Rowan/hellaswag/resolve/218ec52e09a7e7462a5400043bb9a69a41d06b76/data/validation-00000-of-00001.parquet",
        "  or hellaswag_val.jsonl from https://github.com/rowanz/hellaswag/tree/master/data.",
    ]


def test_a_hub_that_has_it_not_says_so(hub: Hub) -> None:
    with pytest.raises(
        SourceError, match=r"Lambada: data/lambada_test_en.jsonl of EleutherAI/lambada_openai\n  got     hub"
    ):
        next(Lambada().get_data_generator())


@pytest.mark.parametrize("source", [HellaSwag, Arc, Piqa, Lambada, Mmlu])
def test_a_path_without_a_file_says_what_belongs_there(source: type, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as raised:
        next(source(path=tmp_path / "no.jsonl").get_data_generator())
    assert str(raised.value).startswith(
        f"{source.__name__}.path\n  got     {tmp_path / 'no.jsonl'}, where there is nothing"
    )
    assert "https://" in str(raised.value)
    assert "Download it and put it there, or leave path out" in str(raised.value)


def test_splits_and_levels_are_those_that_have_answers() -> None:
    with pytest.raises(
        SourceError, match=r"HellaSwag.split\n  got     'test'\n  wanted  one of 'train', 'validation'"
    ):
        HellaSwag(split="test")  # type: ignore[arg-type]
    with pytest.raises(SourceError, match=r"Arc.level\n  got     'hard'"):
        Arc(level="hard")  # type: ignore[arg-type]
