"""All documents of a corpus on disk: built as a stream, opened in milliseconds, read by number, identity and link."""

from gptlab.graph.store.document_store import DocumentStore
from gptlab.graph.store.parts import PartSize, write_parts
from gptlab.graph.store.summary import StoreSummary, tokenizer_fingerprint

__all__ = ["DocumentStore", "PartSize", "StoreSummary", "tokenizer_fingerprint", "write_parts"]
