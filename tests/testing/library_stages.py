"""Every part of gptlab, for the plugin: `pytest --gptlab tests/testing/library_stages.py`."""

from collections.abc import Iterator
from pathlib import Path

import attrs
import hypothesis.strategies as st
import numpy as np

from gptlab.benchmarks import (
    CorrectAnswerInTopK,
    ExactMatch,
    HeldOutLoss,
    LinkAccuracy,
    LinkGain,
    MultipleChoiceLogits,
    Perplexity,
    RestatedFacts,
)
from gptlab.graph import (
    BestFirst,
    BreadthFirst,
    DepthFirst,
    DropLeaks,
    Follow,
    RandomOrder,
    RandomWalk,
    ShortestFirst,
    Split,
    SplitByCommunity,
    TraverseLinks,
)
from gptlab.models import (
    DagTransformer,
    DagTransformerConfig,
    LinkPairs,
    LinkPredictor,
    LinkPredictorConfig,
    MaskSpec,
    NGram,
    NGramConfig,
    SampleLinks,
)
from gptlab.packing import (
    BestFit,
    Collate,
    Concatenate,
    FitRest,
    Pack,
    PackedRows,
    PackedWalks,
    Prefetch,
    Shuffled,
)
from gptlab.pipeline import pipeline
from gptlab.sources import (
    ArticleFolder,
    FewShot,
    LinkedFacts,
    LinkedFactsQuestions,
    LinkedFactsWiki,
    MarkdownFolder,
    Piqa,
    PythonDocumentation,
    PythonPackages,
    QuestionFile,
    RestatedQuestions,
    ShortAnswerFile,
    TextFiles,
    WikipediaDump,
)
from gptlab.testing import Example, Items, tokenized_corpora
from gptlab.tokenizers import ByteLevelBPE, ByteTokenizer, LearnedBPE, Tokenize
from gptlab.training import BPETrainer, FoldTrainer, TorchTrainer, TrainerConfig
from gptlab.training.bpe import BYTES
from gptlab.types import Batch, Document, PackedSequence, Question, ShortAnswer

__test__ = True
__test_name__ = "gptlab"

VOCAB_SIZE = 10
TINY = DagTransformerConfig(layers=1, width=8, heads=2, vocab_size=VOCAB_SIZE, max_seq_len=24, short_conv=2)


def gptlab_examples(folder: Path) -> Iterator[object]:
    yield from stages()
    yield from sources(folder)
    yield from tokenizers(folder)
    yield from models()
    yield from trainers()
    yield from benchmarks(folder)


def stages() -> Iterator[object]:
    yield Tokenize(ByteTokenizer())
    yield Split("train", fraction=0.5)
    yield SplitByCommunity("train", fraction=0.5)
    policies = (BreadthFirst(), DepthFirst(Follow("both")), RandomWalk(), RandomOrder(), BestFirst(), ShortestFirst())
    for policy in policies:
        name = f"TraverseLinks by {type(policy).__name__}"
        yield Example(TraverseLinks(policy, seed=3, budget=16), name=name)
    yield Pack(16, min_document=2)
    yield Example(Pack(16, excess=FitRest(), max_document=9), name="Pack, capped and fitted")
    yield Concatenate(8)
    yield Example(BestFit(8, window=2), inputs=corpora_with_a_whole_row(8))
    yield Collate(2)
    yield Collate(3, drop_last=True)
    yield Example(SampleLinks(batch_size=2, length=4), inputs=corpora_with_a_link())
    whole = pipeline(Tokenize(ByteTokenizer()), TraverseLinks(BreadthFirst(), budget=32), Pack(32), Collate(2))
    yield Example(whole, name="the flagship's data path")


def corpora_with_a_whole_row(seq_len: int) -> st.SearchStrategy[list[object]]:
    """The law of laziness tries what else might come with the first document: one that is a row goes out at once,
    before all that waits, so what waits is seen to be unsettled."""

    def lengthened(corpus: list) -> list:
        first = corpus[0]
        tokens = np.repeat(first.tokens[-1:], seq_len)
        tokens[:-1] = 0
        whole = attrs.evolve(first, tokens=tokens, link_positions=first.link_positions[:0], link_targets=())
        return [whole, *corpus[1:]]

    return tokenized_corpora(min_size=1).map(lengthened)


def corpora_with_a_link() -> st.SearchStrategy[list[object]]:
    """What SampleLinks refuses to do without: a link, and a document that is not linked to."""

    def has_pairs(corpus: list) -> bool:
        ids = {document.id for document in corpus}
        return any(0 < len((set(d.link_targets) & ids) - {d.id}) < len(ids) - 1 for d in corpus)

    return tokenized_corpora(min_size=3).filter(has_pairs)


def sources(folder: Path) -> Iterator[object]:
    cache = folder / "cache"
    (folder / "notes").mkdir(parents=True)
    (folder / "notes" / "Moon.md").write_text("# Moon\n\nIt circles the [Earth](Earth.md).\n")
    (folder / "notes" / "Earth.md").write_text("# Earth\n\nIt has one [[Moon]].\n")
    (folder / "notes" / "empty.md").write_text("")
    notes, wiki = MarkdownFolder(folder / "notes"), LinkedFactsWiki(pages=12, seed=1, cache=cache)
    yield notes
    yield TextFiles(folder / "notes", "**/*.md")
    yield PythonPackages(("attrs",))
    yield PythonDocumentation()
    yield wiki
    yield LinkedFacts(wiki)
    yield LinkedFactsQuestions(wiki=wiki, most=20)
    (folder / "asked.jsonl").write_text('{"goal": "a", "sol1": "b", "sol2": "c", "label": 1}\n')
    yield Piqa(path=folder / "asked.jsonl")
    (folder / "own.jsonl").write_text('{"context": "a", "choices": ["b", "c"], "answer": "c"}\n' * 3)
    yield QuestionFile(folder / "own.jsonl")
    (folder / "short.csv").write_text("prompt,answer\na,b\n")
    yield ShortAnswerFile(folder / "short.csv")
    yield RestatedQuestions(facts=LinkedFacts(wiki), documents=wiki)
    yield pipeline(QuestionFile(folder / "own.jsonl"), FewShot(examples=QuestionFile(folder / "own.jsonl"), shots=2))
    wiki.pre_cache()
    yield WikipediaDump(path=wiki.dump, cache=cache)
    yield ArticleFolder(notes, cache=cache)
    rows = packed(wiki, cache)
    yield rows
    traverse = TraverseLinks(BreadthFirst(), budget=256, regime="cover_once", cache=cache)
    yield Example(traverse, name="TraverseLinks, each document once")
    yield DropLeaks(notes, size=3)
    walks = PackedWalks(pipeline(wiki, Tokenize(ByteTokenizer())), traverse, Pack(256))
    yield walks
    yield Example(pipeline(walks, Collate(2)), name="batches of walks")
    yield Example(Shuffled(rows, seed=2), name="Shuffled, endless")
    yield Example(Shuffled(rows, seed=2, epochs=1), name="Shuffled, one epoch")
    yield Example(Prefetch(Shuffled(rows, seed=2, epochs=1), ahead=3), name="Prefetch, in a thread")
    yield Example(pipeline(Shuffled(rows, seed=2), Collate(2)), name="batches of shuffled rows")


def packed(wiki: LinkedFactsWiki, cache: Path, seq_len: int = 256) -> PackedRows:
    walks = TraverseLinks(BreadthFirst(), budget=seq_len)
    return PackedRows(pipeline(wiki, Tokenize(ByteTokenizer()), walks, Pack(seq_len)), cache=cache)


def tokenizers(folder: Path) -> Iterator[object]:
    yield ByteTokenizer()
    alphabet = tuple(bytes([value]) for value in range(256))
    yield ByteLevelBPE(ranks=(*alphabet, b"ca", b"cat", b" a"), vocab_size=300)
    corpus = LinkedFactsWiki(pages=12, seed=1, cache=folder / "cache")
    yield LearnedBPE(corpus=corpus, vocab_size=280, cache=folder / "cache")


def models() -> Iterator[object]:
    yield DagTransformer.instantiate(TINY)
    dense = attrs.evolve(TINY, attention="dense", mask=MaskSpec("whole_document"), vocab_size=257, max_seq_len=64)
    yield Example(DagTransformer.instantiate(dense).reading(ByteTokenizer()), name="DagTransformer that can write")
    yield Example(LinkPredictor.instantiate(LinkPredictorConfig(vocab_size=VOCAB_SIZE, width=4)), inputs=pairs())
    yield NGram.instantiate(NGramConfig(vocab_size=VOCAB_SIZE))


@st.composite
def pairs(draw: st.DrawFn) -> list[LinkPairs]:
    def one() -> LinkPairs:
        size, length = draw(st.integers(1, 3)), draw(st.integers(1, 4))
        tokens = [np.array(draw(numbers(size, length)), np.int32).reshape(size, length) for _ in range(2)]
        is_link = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
        return LinkPairs(linkers=tokens[0], targets=tokens[1], is_link=is_link)

    return [one() for _ in range(draw(st.integers(0, 3)))]


def numbers(rows: int, length: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(-1, VOCAB_SIZE - 1), min_size=rows * length, max_size=rows * length)


@attrs.frozen
class CountedBatches:
    """Batch k is a function of k alone: what a trainer that resumes needs."""

    seed: int = 0

    def get_data_generator(self, start: int = 0) -> Iterator[Batch]:
        while True:
            tokens = np.random.default_rng((self.seed, start)).integers(0, VOCAB_SIZE, (2, 6)).astype(np.int32)
            yield Batch(
                tokens=tokens,
                targets=np.roll(tokens, -1, axis=1),
                documents=np.zeros_like(tokens),
                positions=np.tile(np.arange(6, dtype=np.int32), (2, 1)),
                edges=np.zeros((2, 0, 3), np.int32),
            )
            start += 1


def trainers() -> Iterator[object]:
    steps = TrainerConfig(steps=4, warmup_steps=1, checkpoint_every=2, keep_last=9)
    dropping = DagTransformer.instantiate(attrs.evolve(TINY, dropout=0.2))
    yield TorchTrainer.instantiate(steps, dropping, CountedBatches())
    yield BPETrainer.instantiate(300, ByteLevelBPE(ranks=BYTES, vocab_size=300), LinkedFactsWiki(pages=12))
    yield Example(FoldTrainer.instantiate(3, NGram.instantiate(NGramConfig(vocab_size=VOCAB_SIZE)), CountedBatches()))


def benchmarks(folder: Path) -> Iterator[object]:
    model = DagTransformer.instantiate(TINY)
    yield Example(HeldOutLoss(), model=model)
    yield Example(LinkGain(tokens=4, batch_size=2), model=model)
    predictor = LinkPredictor.instantiate(LinkPredictorConfig(vocab_size=VOCAB_SIZE, width=4))
    yield Example(LinkAccuracy(), model=predictor, inputs=pairs())
    wiki = LinkedFactsWiki(pages=12, seed=1, cache=folder / "cache")
    rows = list(packed(wiki, folder / "cache").get_data_generator())[:4]
    reader = DagTransformer.instantiate(attrs.evolve(TINY, vocab_size=257, max_seq_len=256))
    asked = [
        Question(context="a", choices=("b", "c d"), answer=1),
        Question(context="", choices=("é", "f"), answer=0),
    ]
    for benchmark in (
        MultipleChoiceLogits(tokenizer=ByteTokenizer()),
        CorrectAnswerInTopK(tokenizer=ByteTokenizer()),
    ):
        yield Example(benchmark, model=reader, data=Items(asked, Question))
    pages = Items(list(wiki.get_data_generator())[:2], Document)
    short = Items([ShortAnswer(prompt="a", answers=("b",)), ShortAnswer(prompt="é", answers=("f",))], ShortAnswer)
    yield Example(ExactMatch(max_new_tokens=4), model=reader.reading(ByteTokenizer()), data=short)
    yield Example(Perplexity(tokenizer=ByteTokenizer(), seq_len=128), model=reader, data=pages)
    facts = RestatedFacts(facts=LinkedFacts(wiki), documents=wiki, tokenizer=ByteTokenizer())
    yield Example(facts, model=reader, data=Items(rows, PackedSequence))
