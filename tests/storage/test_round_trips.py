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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gptlab
from gptlab.benchmarks import HeldOutLoss, LinkAccuracy, RestatedFacts
from gptlab.experiment import Evaluation, Folders, KeepTokenizer, Recipe
from gptlab.graph import BreadthFirst, Split, TraverseLinks
from gptlab.models import DagTransformer, DagTransformerConfig, LinkPredictor, LinkPredictorConfig, NGram, NGramConfig
from gptlab.packing import Collate, Pack, PackedRows, Shuffled
from gptlab.pipeline import pipeline
from gptlab.sources import ArticleFolder, LinkedFacts, LinkedFactsWiki, MarkdownFolder, PythonPackages, TextFiles
from gptlab.storage import from_config, load_from_dir, save_to_dir, to_config
from gptlab.testing import snapshot, strategy_for
from gptlab.tokenizers import ByteLevelBPE, ByteTokenizer, LearnedBPE, Tokenize
from gptlab.training import TrainerConfig
from gptlab.types import Prompt

WIKI = LinkedFactsWiki(pages=20)
ARTICLES = ArticleFolder(WIKI)
TOKENIZE = Tokenize(ByteTokenizer())
ROWS = PackedRows(pipeline(ARTICLES, TOKENIZE, TraverseLinks(BreadthFirst(), seed=1, budget=64), Pack(64)))
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
    "gptlab.benchmarks.HeldOutLoss": lambda: HeldOutLoss(tokenizer=ByteTokenizer()),
    "gptlab.benchmarks.LinkAccuracy": LinkAccuracy,
    "gptlab.benchmarks.RestatedFacts": lambda: RestatedFacts(
        facts=LinkedFacts(WIKI), documents=ARTICLES, tokenizer=ByteTokenizer()
    ),
    "gptlab.experiment.Evaluation": lambda: Evaluation(
        name="all", benchmark=HeldOutLoss(tokenizer=ByteTokenizer()), data=ROWS
    ),
    "gptlab.experiment.Folders": lambda: Folders({"documents": ARTICLES}),
    "gptlab.experiment.KeepTokenizer": lambda: KeepTokenizer(ByteTokenizer()),
    "gptlab.experiment.Recipe": whole_recipe,
    "gptlab.graph.TraverseLinks": lambda: TraverseLinks(BreadthFirst(), seed=1, budget=64),
    "gptlab.models.DagTransformer": lambda: DagTransformer.instantiate(TINY, seed=2),
    "gptlab.models.LinkPredictor": lambda: LinkPredictor.instantiate(LinkPredictorConfig(vocab_size=257, width=8)),
    "gptlab.models.NGram": lambda: NGram.instantiate(NGramConfig(order=2, vocab_size=20)),
    "gptlab.models.NGramConfig": lambda: NGramConfig(order=3, vocab_size=20),
    "gptlab.packing.PackedRows": lambda: ROWS,
    "gptlab.packing.Shuffled": lambda: Shuffled(ROWS, seed=3),
    "gptlab.pipeline.SourcePipeline": lambda: pipeline(
        Shuffled(ROWS, seed=1), Collate(2), DagTransformer.instantiate(TINY, seed=1).forward
    ),
    "gptlab.pipeline.StagePipeline": lambda: pipeline(TOKENIZE, TraverseLinks(BreadthFirst(), seed=1, budget=64)),
    "gptlab.sources.ArticleFolder": lambda: ARTICLES,
    "gptlab.sources.LinkedFacts": lambda: LinkedFacts(WIKI),
    "gptlab.sources.LinkedFactsWiki": lambda: WIKI,
    "gptlab.sources.MarkdownFolder": lambda: MarkdownFolder(Path("notes")),
    "gptlab.sources.PythonPackages": lambda: PythonPackages(("attrs",)),
    "gptlab.sources.TextFiles": lambda: TextFiles(Path("texts")),
    "gptlab.tokenizers.ByteLevelBPE": lambda: ByteLevelBPE(
        ranks=tuple(bytes([number]) for number in range(256)), vocab_size=257
    ),
    "gptlab.tokenizers.LearnedBPE": lambda: LearnedBPE(corpus=ARTICLES, vocab_size=300),
    "gptlab.tokenizers.Tokenize": lambda: TOKENIZE,
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


DRAWN = (
    *(f"gptlab.types.{name}" for name in ("Batch", "Document", "Generation", "Link", "PackedSequence", "Prompt")),
    *(f"gptlab.types.{name}" for name in ("TokenizedDocument", "Walk")),
    *(
        f"gptlab.graph.{name}"
        for name in ("BreadthFirst", "DepthFirst", "Follow", "RandomOrder", "RandomWalk", "Split")
    ),
    *(f"gptlab.models.{name}" for name in ("MaskSpec", "Sampling")),
    *(f"gptlab.packing.{name}" for name in ("Collate", "Concatenate", "Pack")),
    *(f"gptlab.tokenizers.{name}" for name in ("ByteTokenizer", "Truncate")),
    "gptlab.benchmarks.LinkGain",
    "gptlab.experiment.InProcess",
    "gptlab.experiment.LocalProcesses",
    "gptlab.pipeline.AtMost",
    "gptlab.sources.Fact",
)
"""What the testing kit draws from its annotations alone."""
_not_saved(
    "a result that is shown or written by others, never loaded as a value",
    *(f"benchmarks.{name}" for name in ("EdgeScores", "RestatedAnswer")),
    *(f"experiment.{name}" for name in ("Comparison", "Restored", "Sweep", "Variant")),
    *(f"graph.{name}" for name in ("GraphStatistics", "Leak", "store.PartSize", "store.StoreSummary")),
    *(f"models.{name}" for name in ("LinkScores", "ModelOutput")),
    *(f"training.{name}" for name in ("MeanLoss", "Usage")),
    "storage.hub.Snapshot",
)
_not_saved(
    "holds what is open or at work: files, processes, a run",
    *(f"experiment.{name}" for name in ("ConsoleObserver", "RunDirectory", "Session")),
    *(f"graph.{name}" for name in ("DocumentStore", "DocumentTable", "LinkGraph", "Portion", "StoredDocuments")),
    *(f"graph.{name}" for name in ("Routes", "Walks")),
    *(f"training.{name}" for name in ("FoldTrainer", "Ranks", "Statistics", "TorchTrainer", "TrainState")),
    "models.TorchModel",
    "pipeline.Drops",
    "sources.wikipedia.Converter",
)
_not_saved(
    "a descriptor of a class, or part of the testing kit",
    "storage.FromMapping",
    *(f"testing.{name}" for name in ("Example", "Held", "Items", "laws.Law")),
)
_not_saved(
    "a setting of how a run is worked on, kept in its config.json as such",
    *(f"experiment.{name}" for name in ("RunOptions", "Submitit", "WriteAfterLinks")),
    "storage.hub.Patience",
)
_not_saved(
    "put to the save_and_load law of the testing kit by its own tests, where its parts are at hand",
    *(
        f"graph.{name}"
        for name in ("BestFirst", "DropLeaks", "PageRankPerToken", "ShortestFirst", "SplitByCommunity")
    ),
    *(f"models.{name}" for name in ("DagTransformerConfig", "LinkPairs", "LinkPredictorConfig", "SampleLinks")),
    *(f"models.hugging_face.{name}" for name in ("Card", "PretrainedTokenizer")),
    *(f"models.hugging_face.families.{name}" for name in ("Difference", "Family", "Slot")),
    *(f"packing.{name}" for name in ("CollatedWalks", "PackedShards", "PackedWalks")),
    *(f"sources.{name}" for name in ("PythonDocumentation", "WikipediaDownload", "WikipediaDump")),
    *(f"sources.wikipedia.{name}" for name in ("Namespace", "SiteInfo")),
    *(f"training.{name}" for name in ("BPETrainer", "EarlyStopping", "Evaluate", "KeepBest", "LossMask", "Replay")),
    *(f"training.{name}" for name in ("Samples", "TensorBoard", "TrainerConfig")),
    "benchmarks.LinkSpecificity",
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


@pytest.mark.parametrize("name", DRAWN)
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_what_can_be_drawn_comes_back_equal(name: str, data: st.DataObject, tmp_path_factory: Any) -> None:
    value = data.draw(strategy_for(CLASSES[name]))
    back = came_back(value, tmp_path_factory.mktemp("saved") / "value")
    assert same(value, back), (value, back)


def test_every_public_class_is_drawn_has_an_example_or_a_reason() -> None:
    covered = {*DRAWN, *EXAMPLES, *NOT_SAVED}
    forgotten = sorted(set(CLASSES) - covered)
    assert not forgotten, "give each an example in EXAMPLES, or a reason in NOT_SAVED: " + ", ".join(forgotten)
    gone = sorted(({*EXAMPLES, *NOT_SAVED}) - set(CLASSES))
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
