"""gptlab's own parts joined by `|`, for mypy and for the construction check: every line that ends in `# bad` is an
error to both, and no other line is."""

from collections.abc import Iterator

from gptlab.graph import BreadthFirst, Split, TraverseLinks
from gptlab.packing import Collate, Concatenate, Pack, PackedRows, Shuffled
from gptlab.pipeline import SourcePipeline, StagePipeline, pipeline
from gptlab.sources import ArticleFolder, LinkedFactsWiki, MarkdownFolder, PythonPackages, TextFiles
from gptlab.tokenizers import ByteTokenizer, Tokenize, Truncate
from gptlab.types import Batch, Document, PackedSequence, TokenizedDocument, Walk


class Model:
    def forward(self, batches: Iterator[Batch]) -> Iterator[float]:
        yield from (float(batch.tokens.size) for batch in batches)


wiki = LinkedFactsWiki(pages=3)
tokenize = Tokenize(ByteTokenizer())
traverse = TraverseLinks(BreadthFirst(), seed=1, budget=64)
model = Model()

# Whole chains, and what they are.
closed: SourcePipeline[float] = wiki | tokenize | traverse | Pack(64) | Collate(4) | model.forward
batches: SourcePipeline[Batch] = wiki | Split("train") | tokenize | Truncate(32) | traverse | Pack(64) | Collate(4)
plain: SourcePipeline[PackedSequence] = TextFiles("notes") | tokenize | Concatenate(64)
rows: PackedRows = PackedRows(plain)
shuffled: SourcePipeline[Batch] = Shuffled(rows, seed=1) | Collate(4)
in_order: SourcePipeline[float] = rows | Collate(4) | model.forward
folder: SourcePipeline[TokenizedDocument] = ArticleFolder(wiki) | tokenize
notes: SourcePipeline[Document] = MarkdownFolder("vault") | Split("held_out")
code: SourcePipeline[TokenizedDocument] = PythonPackages(("attrs",)) | tokenize
stages: StagePipeline[Document, Walk] = tokenize | Truncate(32) | traverse
joined: SourcePipeline[Batch] = wiki | stages | (Pack(64) | Collate(4))
assert closed == pipeline(wiki, tokenize, traverse, Pack(64), Collate(4), model.forward)
assert joined == wiki | tokenize | Truncate(32) | traverse | Pack(64) | Collate(4)

# Made from plain settings, and still known to mypy.
made: SourcePipeline[TokenizedDocument] = LinkedFactsWiki.initialize({"pages": 3}) | tokenize

# Left out, exchanged.
wiki | traverse  # bad
wiki | Pack(64)  # bad
wiki | tokenize | Pack(64)  # bad
wiki | tokenize | traverse | Collate(4)  # bad
wiki | tokenize | Split("train")  # bad
wiki | tokenize | traverse | Concatenate(64)  # bad
wiki | tokenize | Truncate(32) | tokenize  # bad
wiki | tokenize | traverse | Pack(64) | model.forward  # bad
wiki | (traverse | Pack(64))  # bad
wiki | tokenize | wiki  # bad
tokenize | wiki  # bad
rows | tokenize  # bad
rows | traverse  # bad
Shuffled(rows) | Pack(64)  # bad
TextFiles("notes") | Collate(4)  # bad
LinkedFactsWiki.initialize({"pages": 3}) | Pack(64)  # bad
PackedRows(wiki)  # bad
wiki | tokenize | model  # bad

# What comes out is not what is said.
wrong: SourcePipeline[Walk] = wiki | tokenize  # bad
wrong_kind: StagePipeline[Document, TokenizedDocument] = wiki | tokenize  # bad
