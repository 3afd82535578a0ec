"""LearnedBPE: a value that trains once, wherever it is first needed."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from gptlab.pipeline.observe import Drops, watching
from gptlab.storage import StorageError, fingerprint, from_config, is_complete, load_from_dir, save_to_dir, to_config
from gptlab.tokenizers import ByteLevelBPE, LearnedBPE, Tokenize, TokenizerError, document_from_prompt, document_text
from gptlab.tokenizers.training import train_ranks
from gptlab.types import Document

READ: list[str] = []


@attrs.frozen
class Bridges:
    """A small corpus that remembers what was read of it."""

    count: int = 40
    broken: bool = False

    def get_data_generator(self) -> Iterator[Document]:
        for number in range(self.count):
            READ.append(str(number))
            text = (
                f"Bridge {number} was raised beside the granary, and the granary stands beside bridge {number + 1}."
            )
            yield document_from_prompt(
                text + ("\ud800" if self.broken and number % 2 else ""), title=f"Bridge {number}"
            )

    def pre_cache(self) -> None:
        READ.append("pre_cache")


@pytest.fixture(autouse=True)
def nothing_read() -> None:
    READ.clear()


def learned(cache: Path, **fields: object) -> LearnedBPE:
    return LearnedBPE(**{"corpus": Bridges(), "vocab_size": 300, "cache": cache, **fields})  # type: ignore[arg-type]


def test_it_trains_once_and_is_found_again(tmp_path: Path) -> None:
    first = learned(tmp_path)
    assert first.vocab_size == 300 and first.end_of_text == 299 and READ == [], "nothing is read before it is needed"
    ids = first.encode("Bridge 7 stands")
    assert (
        len(READ) == 41 and READ[0] == "pre_cache" and READ[-1] == "39" and is_complete(first.directory, "tokenizer")
    )
    READ.clear()
    second = learned(tmp_path)
    second.pre_cache()
    assert second.encode("Bridge 7 stands") == ids and READ == []
    expected = train_ranks([document_text(document) for document in Bridges().get_data_generator()], size=299)
    assert second.table == ByteLevelBPE(ranks=expected, vocab_size=300)
    assert b"".join(map(second.token_bytes, ids)) == b"Bridge 7 stands"
    assert second.encode_array("Bridge").tolist() == second.encode("Bridge")


def test_title_lines_are_trained_on(tmp_path: Path) -> None:
    assert b"# " in learned(tmp_path).table.ranks or b"#" in learned(tmp_path).table.ranks
    assert any(token.startswith(b"\n") for token in learned(tmp_path).table.ranks[256:])


def test_a_loaded_table_is_no_part_of_the_value(tmp_path: Path) -> None:
    used, fresh = learned(tmp_path), learned(tmp_path / "elsewhere")
    used.encode("x")
    assert used == fresh and hash(used) == hash(fresh) and fingerprint(used) == fingerprint(fresh)
    assert to_config(used) == to_config(attrs.evolve(fresh, cache=tmp_path))
    assert pickle.loads(pickle.dumps(used)) == used and repr(used).count("=") == 6
    for other in ({"vocab_size": 301}, {"corpus": Bridges(41)}, {"max_bytes": 99}, {"pattern": r"\w+|\W+"}):
        changed = learned(tmp_path, **other)
        assert changed != used and fingerprint(changed) != fingerprint(used) and changed.directory != used.directory


def test_it_goes_through_a_configuration(tmp_path: Path) -> None:
    stage = Tokenize(learned(tmp_path))
    assert from_config(to_config(stage), allow=(__name__,)) == stage
    save_to_dir(stage, tmp_path / "saved")
    assert load_from_dir(tmp_path / "saved", allow=(__name__,)) == stage


def test_tokenize_trains_before_it_is_run(tmp_path: Path) -> None:
    stage = Tokenize(learned(tmp_path))
    assert stage.axes() == {"vocab": 300} and READ == []
    stage.pre_cache()
    READ.clear()
    (tokenized,) = stage(iter([document_from_prompt("the granary", title="A")]))
    assert tokenized.tokens[-1] == 299 and READ == []


def test_a_small_corpus_is_said_and_the_size_stands(tmp_path: Path) -> None:
    drops = Drops()
    with watching(Listener()) as listener:
        tokenizer = learned(tmp_path, vocab_size=20_000)
        tokenizer.pre_cache()
    assert tokenizer.vocab_size == 20_000 and tokenizer.end_of_text == 19_999
    (message,) = listener.said
    assert message.startswith("tokenizer: the corpus gives only ") and "stay unused" in message
    assert max(tokenizer.encode("granary")) < len(tokenizer.table.ranks) < 1000
    assert listener.tasks == {"train tokenizer: read", "train tokenizer: merge"} and not drops.counts


class Listener:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.tasks: set[str] = set()

    def say(self, message: str) -> None:
        self.said.append(message)

    def drop(self, reason: str, count: int, example: str) -> None:
        raise AssertionError(reason)

    def progress(self, task: str, done: float, total: float | None, unit: str) -> None:
        self.tasks.add(task)


def test_it_reads_no_more_than_asked_for(tmp_path: Path) -> None:
    sizes = [len(document_text(document)) for document in Bridges(4).get_data_generator()]
    READ.clear()
    learned(tmp_path, max_bytes=sum(sizes[:2]) + 1).pre_cache()
    assert READ == ["pre_cache", "0", "1", "2"], "whole documents, until so much is read"


def test_documents_that_are_no_unicode_are_passed_over(tmp_path: Path) -> None:
    good = [document_text(document) for document in Bridges().get_data_generator()][::2]
    assert learned(tmp_path, corpus=Bridges(broken=True)).table.ranks == train_ranks(good, size=299)


def test_a_lost_cache_is_made_again_and_a_changed_one_refused(tmp_path: Path) -> None:
    first = learned(tmp_path)
    first.pre_cache()
    (first.directory / "ranks.tiktoken").unlink()
    READ.clear()
    assert learned(tmp_path).table == first.table and "0" in READ
    data = (first.directory / "ranks.tiktoken").read_bytes()
    (first.directory / "ranks.tiktoken").write_bytes(data.replace(b"YQ== 97", b"YQ== 79"))
    with pytest.raises(StorageError, match="content that has changed"):
        learned(tmp_path).encode("x")


def test_ctrl_c_while_reading_leaves_nothing(tmp_path: Path) -> None:
    @attrs.frozen
    class Interrupted:
        def get_data_generator(self) -> Iterator[Document]:
            yield document_from_prompt("one")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learned(tmp_path, corpus=Interrupted()).pre_cache()
    assert list(tmp_path.iterdir()) == []


def test_bad_sizes_are_refused_at_once() -> None:
    with pytest.raises(TokenizerError) as caught:
        LearnedBPE(corpus=Bridges(), vocab_size=256)
    assert str(caught.value) == (
        "LearnedBPE.vocab_size\n  got     256\n  wanted  a whole number of at least 257\n"
        "  256 are bytes, one is end-of-text: ask for more, or use ByteTokenizer()."
    )
    with pytest.raises(TokenizerError, match=r"LearnedBPE.max_bytes\n  got     0"):
        LearnedBPE(corpus=Bridges(), max_bytes=0)


def test_the_ranks_are_the_same_on_any_number_of_cores() -> None:
    code = (
        "import hashlib, os; os.environ['RAYON_NUM_THREADS'] = os.sys.argv[1]\n"
        "from gptlab.tokenizers.training import train_ranks\n"
        "texts = [f'bridge {n % 7} and granary {n % 11} of {n}' for n in range(2000)]\n"
        "print(hashlib.sha256(repr(train_ranks(texts, size=400)).encode()).hexdigest())"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code, cores], capture_output=True, text=True, check=True).stdout
        for cores in ("1", "2", "5")
    }
    assert len(runs) == 1


def test_torch_is_not_needed() -> None:
    code = "import sys, gptlab.tokenizers, gptlab.storage; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
