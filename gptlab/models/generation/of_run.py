"""What a run left behind, as a writer needs it: its model, its tokenizer, and the documents its links lead to."""

import importlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from gptlab.graph import DocumentStore, DocumentTable
from gptlab.models.dag_transformer import DagTransformer
from gptlab.models.generation.reading import Lookup
from gptlab.pipeline.protocols import Tokenizer
from gptlab.sources import MarkdownFolder
from gptlab.storage import from_config, is_complete, load_from_dir, opened, read_json
from gptlab.tokenizers import Tokenize, tokenize_document
from gptlab.types import DocumentId, TokenizedDocument
from gptlab.types.errors import FourPartError, refusal

RECIPES = ("recipes",)
"""Packages beside gptlab whose classes a run may name: those of the recipes it was made by."""

_HELD = 4096
"""Documents of a run that stay tokenized."""


def model_of(run: Path) -> DagTransformer:
    """The model that a run ended with.

    Raises:
        ValueError: there is none, or it is of a kind that does not write.
    """
    model = _part(run, "model")
    if not isinstance(model, DagTransformer):
        raise refusal(
            run / "model",
            got=type(model).__name__,
            wanted="a DagTransformer",
            do="Name a run of a model that writes.",
        )
    return model


def tokenizer_of(run: Path) -> Tokenizer:
    """The tokenizer that a run kept beside its model.

    Raises:
        ValueError: it kept none.
    """
    tokenizer: Tokenizer = _part(run, "tokenizer")
    return tokenizer


def _part(run: Path, name: str) -> Any:
    if not (run / name).is_dir():
        raise refusal(
            run,
            got=f"no {name}" if run.is_dir() else "no such directory",
            wanted=f"a run that has ended, with its {name}",
            do="See the runs with: python -m gptlab.experiment list",
        )
    return load_from_dir(run / name, allow=RECIPES)


def lookup_in(place: Path, tokenizer: Tokenizer) -> Lookup:
    """Documents to read: a document store, which is opened, or a folder of Markdown, which is read whole.

    Raises:
        ValueError: it is neither, or the store holds the tokens of another tokenizer.
    """
    if is_complete(place, "document-store"):
        return DocumentStore.open(place, tokenizer=tokenizer).get
    return DocumentTable.from_documents(Tokenize(tokenizer)(MarkdownFolder(place).get_data_generator())).get


def lookup_of(run: Path, tokenizer: Tokenizer) -> Lookup:
    """The documents that a run was trained and tested on, found again through its recipe; tokenized when first read.

    Raises:
        ValueError: the run does not say where they are.
    """
    try:
        path = run / "config.json"
        settings = from_config(opened(read_json(path), str(path)), allow=RECIPES)
        recipe = importlib.import_module(type(settings).__module__).recipe(settings)
        documents = recipe.places.parts["documents"]
        by_title = documents.by_title
        documents.pre_cache()
    except (FourPartError, ImportError, AttributeError, KeyError, OSError) as error:
        raise refusal(
            run,
            got=f"documents that could not be found again ({str(error).splitlines()[0]})",
            wanted="a recipe whose `places` have an ArticleFolder by the name of documents",
            do="Say where documents are: --documents STORE, or a folder of Markdown.",
        ) from error

    @lru_cache(maxsize=_HELD)
    def lookup(id: DocumentId) -> TokenizedDocument | None:
        try:
            return tokenize_document(by_title(id), tokenizer)
        except KeyError:
            return None

    return lookup
