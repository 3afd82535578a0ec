"""All documents of a corpus on disk: built as a stream, opened in milliseconds, read by number, identity and link."""

from gptlab.graph.store.document_store import DocumentStore
from gptlab.graph.store.parts import PartSize, write_parts
from gptlab.graph.store.portion import Portion
from gptlab.graph.store.stored_documents import StoredDocuments
from gptlab.graph.store.summary import StoreSummary, tokenizer_fingerprint
from gptlab.graph.store.walks import Walks

__all__ = [
    "DocumentStore",
    "PartSize",
    "Portion",
    "StoreSummary",
    "StoredDocuments",
    "Walks",
    "tokenizer_fingerprint",
    "write_parts",
]
