"""The documents that the links of a run lead to, for a writer to read."""

import importlib
from functools import lru_cache
from pathlib import Path

from gptlab.graph import DocumentStore, DocumentTable
from gptlab.models.generation.reading import Lookup
from gptlab.models.of_run import RECIPES
from gptlab.pipeline.protocols import Tokenizer
from gptlab.sources import MarkdownFolder
from gptlab.storage import from_config, is_complete, opened, read_json
from gptlab.tokenizers import Tokenize, tokenize_document
from gptlab.types import DocumentId, TokenizedDocument
from gptlab.types.errors import FourPartError, refusal

_HELD = 4096
"""Documents of a run that stay tokenized."""


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
