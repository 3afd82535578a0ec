"""Every public class of gptlab comes back equal from a directory, or says here why it is not saved.

Classes are found by walking the packages and their `__all__`; some are drawn by `strategy_for`, what needs a part
behind a Protocol has an example. A new public class that is in none of the lists fails this file.
"""

import enum
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import gptlab
from gptlab.benchmarks import (
    CorrectAnswerInTopK,
    ExactMatch,
    HeldOutLoss,
    Judge,
    LeaderboardRow,
    LinkAccuracy,
    LLMComparison,
    LLMGrader,
    MultipleChoiceLogits,
    Perplexity,
    RestatedFacts,
)
from gptlab.experiment import Evaluation, Folders, KeepTokenizer, Recipe, WriteAfterLinks
from gptlab.graph import (
    BestFirst,
    BreadthFirst,
    DropLeaks,
    PageRankPerToken,
    Portion,
    Split,
    StoredDocuments,
    TraverseLinks,
    Walks,
)
from gptlab.models import (
    DagTransformer,
    DagTransformerConfig,
    LinkPredictor,
    LinkPredictorConfig,
    MaskSpec,
    NGram,
    NGramConfig,
    Sampling,
)
from gptlab.models.generation import Reading, WriteMissing
from gptlab.models.hugging_face import Card, PretrainedTokenizer
from gptlab.models.hugging_face.tokenizer_files import tokenizer_json
from gptlab.packing import Collate, FitRest, Pack, PackedRows, PackedWalks, Prefetch, Shuffled
from gptlab.pipeline import pipeline
from gptlab.sources import (
    Arc,
    ArticleFolder,
    FewShot,
    HellaSwag,
    Lambada,
    LinkedFacts,
    LinkedFactsQuestions,
    LinkedFactsWiki,
    MarkdownFolder,
    Mmlu,
    Piqa,
    PythonPackages,
    QuestionFile,
    RestatedQuestions,
    ShortAnswerFile,
    TextFiles,
    WikipediaDownload,
    WikipediaDump,
)
from gptlab.storage import from_config, load_from_dir, save_to_dir, to_config
from gptlab.testing import snapshot, strategy_for
from gptlab.tokenizers import ByteLevelBPE, ByteTokenizer, LearnedBPE, Tokenize
from gptlab.training import (
    BPETrainer,
    EarlyStopping,
    Evaluate,
    FoldTrainer,
    KeepBest,
    LossMask,
    Samples,
    TensorBoard,
    TrainerConfig,
    linkers,
)
from gptlab.types import Prompt, Question

WIKI = LinkedFactsWiki(pages=20)
ARTICLES = ArticleFolder(WIKI)
TOKENIZE = Tokenize(ByteTokenizer())
WALK = TraverseLinks(BreadthFirst(), seed=1, budget=64)
PACKED_WALKS = PackedWalks(StoredDocuments(pipeline(ARTICLES, TOKENIZE)), WALK, Pack(64))
BYTES = ByteLevelBPE(ranks=tuple(bytes([number]) for number in range(256)), vocab_size=257)
ROWS = PackedRows(pipeline(ARTICLES, TOKENIZE, TraverseLinks(BreadthFirst(), seed=1, budget=64), Pack(64)))
JUDGE = Judge(url="https://host/v1", model="judge", most_tokens=10**6, key_from="A_KEY", temperature=None)
TINY = DagTransformerConfig(layers=1, width=8, heads=1, vocab_size=257, max_seq_len=64)


def whole_recipe() -> Recipe[Any]:
    tokenizer = LearnedBPE(corpus=pipeline(ARTICLES, Split("train", 0.2)), vocab_size=300)
    return Recipe(
        data=pipeline(Shuffled(ROWS, seed=1), Collate(2)),
        model=DagTransformer.instantiate(TINY, seed=1),
        trainer=TrainerConfig(steps=3),
        held_out=pipeline(ROWS, Collate(2)),
        evaluations=(Evaluation(name="all", benchmark=HeldOutLoss(tokenizer=tokenizer), data=ROWS),),
        keep=KeepTokenizer(tokenizer),
        places=Folders({"documents": ARTICLES}),
    )


EXAMPLES: dict[str, Callable[[], Any]] = {
    "gptlab.benchmarks.CorrectAnswerInTopK": lambda: CorrectAnswerInTopK(tokenizer=ByteTokenizer(), k=5),
    "gptlab.benchmarks.ExactMatch": lambda: ExactMatch(normal_form="none", stop=("\n", "Q:")),
    "gptlab.benchmarks.HeldOutLoss": lambda: HeldOutLoss(tokenizer=ByteTokenizer()),
    "gptlab.benchmarks.Judge": lambda: JUDGE,
    "gptlab.benchmarks.LLMComparison": lambda: LLMComparison(
        judge=JUDGE, rubric="The shorter.", baseline=DagTransformer.instantiate(TINY).reading(ByteTokenizer())
    ),
    "gptlab.benchmarks.LLMGrader": lambda: LLMGrader(judge=JUDGE, rubric="5: right. 1: wrong.", stop=("\n",)),
    "gptlab.benchmarks.LeaderboardRow": lambda: LeaderboardRow(run="20261124_100000", metric="loss", value=2.5, n=9),
    "gptlab.benchmarks.LinkAccuracy": LinkAccuracy,
    "gptlab.benchmarks.MultipleChoiceLogits": lambda: MultipleChoiceLogits(
        tokenizer=ByteTokenizer(), max_questions=9
    ),
    "gptlab.benchmarks.Perplexity": lambda: Perplexity(tokenizer=ByteTokenizer(), stride=9, with_titles=False),
    "gptlab.benchmarks.RestatedFacts": lambda: RestatedFacts(
        facts=LinkedFacts(WIKI), documents=ARTICLES, tokenizer=ByteTokenizer()
    ),
    "gptlab.experiment.Evaluation": lambda: Evaluation(
        name="all", benchmark=HeldOutLoss(tokenizer=ByteTokenizer()), data=ROWS
    ),
    "gptlab.experiment.Folders": lambda: Folders({"documents": ARTICLES}),
    "gptlab.experiment.KeepTokenizer": lambda: KeepTokenizer(ByteTokenizer()),
    "gptlab.experiment.Recipe": whole_recipe,
    "gptlab.experiment.WriteAfterLinks": lambda: WriteAfterLinks(documents=ARTICLES, tokenizer=ByteTokenizer()),
    "gptlab.graph.BestFirst": lambda: BestFirst(score=PageRankPerToken(restart=0.2)),
    "gptlab.graph.DropLeaks": lambda: DropLeaks(ARTICLES, size=8),
    "gptlab.graph.Portion": lambda: Portion(ARTICLES, 1, of=3),
    "gptlab.graph.StoredDocuments": lambda: StoredDocuments(pipeline(ARTICLES, TOKENIZE)),
    "gptlab.graph.TraverseLinks": lambda: WALK,
    "gptlab.graph.Walks": lambda: Walks(StoredDocuments(pipeline(ARTICLES, TOKENIZE)), WALK),
    "gptlab.models.DagTransformer": lambda: DagTransformer.instantiate(TINY, seed=2),
    "gptlab.models.LinkPredictor": lambda: LinkPredictor.instantiate(LinkPredictorConfig(vocab_size=257, width=8)),
    "gptlab.models.NGram": lambda: NGram.instantiate(NGramConfig(order=2, vocab_size=20)),
    "gptlab.models.generation.Reading": lambda: Reading(tokenizer=TOKENIZE.tokenizer, write_missing=WriteMissing()),
    "gptlab.models.hugging_face.Card": lambda: Card(license="mit", languages=("en", "vi"), about="東京"),
    "gptlab.models.hugging_face.PretrainedTokenizer": lambda: PretrainedTokenizer(
        definition=tokenizer_json(BYTES), end_of_text=256
    ),
    "gptlab.packing.Pack": lambda: Pack(64, excess=FitRest(), max_document=32),
    "gptlab.packing.PackedWalks": lambda: PACKED_WALKS,
    "gptlab.packing.Prefetch": lambda: Prefetch(ROWS, ahead=3),
    "gptlab.packing.PackedRows": lambda: ROWS,
    "gptlab.packing.Shuffled": lambda: Shuffled(ROWS, seed=3),
    "gptlab.pipeline.SourcePipeline": lambda: pipeline(
        Shuffled(ROWS, seed=1), Collate(2), DagTransformer.instantiate(TINY, seed=1).forward
    ),
    "gptlab.pipeline.StagePipeline": lambda: pipeline(TOKENIZE, TraverseLinks(BreadthFirst(), seed=1, budget=64)),
    "gptlab.sources.Arc": lambda: Arc(level="challenge", split="train"),
    "gptlab.sources.ArticleFolder": lambda: ARTICLES,
    "gptlab.sources.FewShot": lambda: FewShot(examples=Mmlu(split="dev"), shots=2),
    "gptlab.sources.HellaSwag": lambda: HellaSwag(path=Path("hellaswag_val.jsonl"), split="train"),
    "gptlab.sources.Lambada": lambda: Lambada(revision="0" * 40),
    "gptlab.sources.LinkedFacts": lambda: LinkedFacts(WIKI),
    "gptlab.sources.LinkedFactsQuestions": lambda: LinkedFactsQuestions(wiki=WIKI, kinds=("one_key",), most=3),
    "gptlab.sources.LinkedFactsWiki": lambda: WIKI,
    "gptlab.sources.MarkdownFolder": lambda: MarkdownFolder(Path("notes")),
    "gptlab.sources.Mmlu": lambda: Mmlu(subject="anatomy"),
    "gptlab.sources.Piqa": lambda: Piqa(split="train"),
    "gptlab.sources.QuestionFile": lambda: QuestionFile(Path("own.csv")),
    "gptlab.sources.PythonPackages": lambda: PythonPackages(("attrs",)),
    "gptlab.sources.RestatedQuestions": lambda: RestatedQuestions(facts=LinkedFacts(WIKI), documents=ARTICLES),
    "gptlab.sources.ShortAnswerFile": lambda: ShortAnswerFile(Path("own.jsonl")),
    "gptlab.sources.TextFiles": lambda: TextFiles(Path("texts")),
    "gptlab.sources.WikipediaDownload": lambda: WikipediaDownload(wiki="simplewiki", date="20261101"),
    "gptlab.sources.WikipediaDump": lambda: WikipediaDump(
        path=Path("wiki.xml.bz2"), templates={"My quote": "{text|1}"}
    ),
    "gptlab.tokenizers.ByteLevelBPE": lambda: BYTES,
    "gptlab.tokenizers.LearnedBPE": lambda: LearnedBPE(corpus=ARTICLES, vocab_size=300),
    "gptlab.tokenizers.Tokenize": lambda: TOKENIZE,
    "gptlab.types.Question": lambda: Question(context="One or", choices=("two", "", "é"), answer=1, group="g"),
    "gptlab.training.BPETrainer": lambda: BPETrainer(model=BYTES, data_source=ARTICLES),
    "gptlab.training.EarlyStopping": lambda: EarlyStopping(patience=3),
    "gptlab.training.Evaluate": lambda: Evaluate(source=pipeline(ROWS, Collate(2)), every=5),
    "gptlab.training.FoldTrainer": lambda: FoldTrainer(
        model=NGram.instantiate(NGramConfig(vocab_size=257)), data_source=pipeline(ROWS, Collate(2)), batches=3
    ),
    "gptlab.training.KeepBest": lambda: KeepBest(figure="loss"),
    "gptlab.training.LossMask": lambda: LossMask(linkers),
    "gptlab.training.Samples": lambda: Samples(
        writing=WriteAfterLinks(documents=ARTICLES, tokenizer=ByteTokenizer()), every=7
    ),
    "gptlab.training.TensorBoard": lambda: TensorBoard(directory=Path("board"), every=2),
}
"""Of classes whose fields are behind a Protocol, or that are more than their fields: one value each."""

NOT_SAVED: dict[str, str] = {}
"""Public classes that nobody saves, with the reason; filled below."""


def _not_saved(reason: str, *names: str) -> None:
    NOT_SAVED.update({f"gptlab.{name}": reason for name in names})


def public_classes() -> dict[str, type]:
    """Every class that a package of gptlab names in its `__all__`, by the name it has there."""
    found: dict[str, type] = {}
    names = ["gptlab", *(info.name for info in pkgutil.walk_packages(gptlab.__path__, "gptlab.") if info.ispkg)]
    for name in names:
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            value = getattr(module, public)
            if inspect.isclass(value) and value.__module__.startswith("gptlab."):
                found.setdefault(f"{value.__module__}.{value.__qualname__}", value)
                PUBLIC.setdefault(value, f"{name}.{public}")
    return {PUBLIC[value]: value for value in found.values()}


PUBLIC: dict[type, str] = {}


def is_a_kind_that_is_never_saved(kind: type) -> bool:
    """Contracts, errors and enums: an enum is saved by its name inside of what holds it."""
    return getattr(kind, "_is_protocol", False) or issubclass(kind, BaseException | enum.Enum)


CLASSES = {name: kind for name, kind in public_classes().items() if not is_a_kind_that_is_never_saved(kind)}


def came_back(value: Any, folder: Path) -> Any:
    """Through files, and where there is no array through JSON alone too."""
    save_to_dir(value, folder)
    return load_from_dir(folder)


def same(first: Any, second: Any) -> bool:
    if type(first) is not type(second):
        return False
    if hasattr(first, "network"):
        pairs = zip(first.network.parameters(), second.network.parameters(), strict=True)
        return all(bool((one == other).all()) for one, other in pairs)
    return bool(snapshot(first) == snapshot(second))


def _named(package: str, *names: str) -> tuple[str, ...]:
    return tuple(f"gptlab.{package}.{name}" for name in names)


DRAWN = (
    *_named("types", "Batch", "Document", "Generation", "Link", "PackedSequence", "Prompt", "ShortAnswer"),
    *_named("types", "TokenizedDocument", "Walk"),
    *_named("graph", "BreadthFirst", "DepthFirst", "Follow", "GraphStatistics", "Leak", "LinkGraph"),
    *_named("graph", "RandomOrder", "RandomWalk", "ShortestFirst", "Split", "SplitByCommunity"),
    *_named("graph.store", "PartSize", "StoreSummary"),
    *_named("models", "LinkPairs", "LinkPredictorConfig", "MaskSpec", "SampleLinks"),
    *_named("models.generation", "Piece", "WriteMissing"),
    *_named("models.hugging_face.families", "Difference", "Slot"),
    *_named("packing", "BestFit", "Collate", "Concatenate", "CutLast", "FitRest", "PackedShards", "PadRest"),
    *_named("tokenizers", "ByteTokenizer", "Truncate"),
    *_named("benchmarks", "EdgeScores", "Grade", "LinkGain", "LinkSpecificity", "Preference", "RestatedAnswer"),
    *_named("benchmarks.grading", "Form", "Reply", "Verdict"),
    *_named("experiment", "Comparison", "InProcess", "LocalProcesses", "Restored", "RunDirectory", "RunOptions"),
    *_named("experiment", "Submitit", "Sweep", "Variant"),
    "gptlab.pipeline.AtMost",
    *_named("sources", "Fact", "PythonDocumentation"),
    *_named("sources.wikipedia", "Namespace", "SiteInfo"),
    *_named("storage.hub", "Patience", "Snapshot"),
    *_named("training", "MeanLoss", "Ranks", "Statistics", "Usage"),
)
"""What the testing kit draws from its annotations alone."""

DRAWN_WITHIN: dict[str, st.SearchStrategy[Any]] = {
    "gptlab.graph.PageRankPerToken": st.builds(
        PageRankPerToken, restart=st.floats(0.01, 1), epsilon=st.floats(1e-9, 1)
    ),
    "gptlab.models.DagTransformerConfig": st.builds(
        DagTransformerConfig,
        layers=st.integers(1, 9),
        heads=st.sampled_from([1, 2, 4]),
        width=st.sampled_from([16, 32, 64]),
        vocab_size=st.integers(1, 2**20),
        max_seq_len=st.integers(1, 2**16),
        mask=strategy_for(MaskSpec),
    ),
    "gptlab.models.NGramConfig": st.builds(NGramConfig, vocab_size=st.integers(1, 300), order=st.integers(1, 7)),
    "gptlab.models.Sampling": st.builds(
        Sampling, temperature=st.floats(0, 3), top_k=st.none() | st.integers(1, 9), top_p=st.floats(0.1, 1)
    ),
    "gptlab.training.TrainerConfig": st.builds(
        TrainerConfig, steps=st.integers(1, 10**6), learning_rate=st.floats(1e-6, 1), seed=st.integers(0, 2**40)
    ),
}
"""What has rules that annotations do not tell, and so would hardly ever be drawn from them."""

_not_saved(
    "holds what is open or at work: a console, files, counters, a cache of keys and values",
    "benchmarks.grading.Asking",
    *(f"experiment.{name}" for name in ("ConsoleObserver", "Session")),
    *(f"graph.{name}" for name in ("DocumentStore", "DocumentTable", "Routes")),
    *(f"models.generation.{name}" for name in ("Cached", "Library", "Memory", "WholeContext", "Writer")),
    "training.TrainState",
    "benchmarks.harness.HarnessModel",
    "pipeline.Drops",
    "sources.wikipedia.Converter",
)
_not_saved("what a model made of one question: figures are made of it", "benchmarks.QuestionScore")
_not_saved("a table of functions that stands in the code, found by its name", "models.hugging_face.families.Family")
_not_saved("saves itself in checkpoints, and is made again by load_checkpoint", "training.TorchTrainer")
_not_saved(
    "holds tensors of one step, on the device and with the gradients of that step",
    *(f"models.{name}" for name in ("LinkScores", "ModelOutput")),
    "training.Replay",
)
_not_saved(
    "its configuration is always a class of the user's: tests/models/test_torch_model.py holds one to the law",
    "models.TorchModel",
)
_not_saved(
    "a descriptor of a class, or part of the testing kit",
    "storage.FromMapping",
    *(f"testing.{name}" for name in ("Example", "Held", "Items", "laws.Law")),
)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_comes_back_equal(name: str, tmp_path: Path) -> None:
    value = EXAMPLES[name]()
    assert PUBLIC[type(value)] == name
    back = came_back(value, tmp_path / "saved")
    if attrs.has(type(value)) and type(value).__eq__ is object.__eq__:  # equal by what it is made of
        for field in attrs.fields(type(value)):
            one, other = getattr(value, field.name), getattr(back, field.name)
            assert one == other or same(one, other) or to_config_or_type(one) == to_config_or_type(other)
    else:
        assert back == value or same(value, back) or to_config_or_type(value) == to_config_or_type(back)


def to_config_or_type(value: Any) -> Any:
    """What a value is, where its class has no equality: its configuration, with models by their class."""
    from gptlab.storage import describe

    return describe(value)


@pytest.mark.parametrize("name", [*DRAWN, *DRAWN_WITHIN])
@settings(max_examples=3, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate))
@given(data=st.data())
def test_what_can_be_drawn_comes_back_equal(name: str, data: st.DataObject, tmp_path_factory: Any) -> None:
    value = data.draw(DRAWN_WITHIN[name] if name in DRAWN_WITHIN else strategy_for(CLASSES[name]))
    assert PUBLIC[type(value)] == name
    back = came_back(value, tmp_path_factory.mktemp("saved") / "value")
    assert same(value, back), (value, back)


def test_every_public_class_is_drawn_has_an_example_or_a_reason() -> None:
    covered = {*DRAWN, *DRAWN_WITHIN, *EXAMPLES, *NOT_SAVED}
    forgotten = sorted(set(CLASSES) - covered)
    assert not forgotten, "give each an example in EXAMPLES, or a reason in NOT_SAVED: " + ", ".join(forgotten)
    gone = sorted(covered - set(CLASSES))
    assert not gone, f"no public classes (any more): {', '.join(gone)}"


@given(strategy_for(Prompt))
def test_a_value_without_arrays_goes_through_plain_json_too(value: Prompt) -> None:
    assert from_config(json.loads(json.dumps(to_config(value)))) == value


def test_a_field_that_changes_on_the_way_would_be_seen() -> None:
    """The comparison itself: an array that differs in one place is not the same."""

    @attrs.frozen
    class Held:
        array: Any

    assert same(Held(np.arange(3)), Held(np.arange(3))) and not same(Held(np.arange(3)), Held(np.array([0, 1, 3])))
