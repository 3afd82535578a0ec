"""Text in, `Document` out: Wikipedia, Markdown folders, Python packages, plain text, and a wiki made of facts."""

from gptlab.sources.articles import ArticleFolder
from gptlab.sources.errors import SourceError
from gptlab.sources.linked_facts import Fact, LinkedFacts, LinkedFactsWiki
from gptlab.sources.markdown import MarkdownFolder
from gptlab.sources.python_packages import PythonPackages
from gptlab.sources.text_files import PythonDocumentation, TextFiles
from gptlab.sources.wikipedia import WikipediaDownload, WikipediaDump

__all__ = [
    "ArticleFolder",
    "Fact",
    "LinkedFacts",
    "LinkedFactsWiki",
    "MarkdownFolder",
    "PythonDocumentation",
    "PythonPackages",
    "SourceError",
    "TextFiles",
    "WikipediaDownload",
    "WikipediaDump",
]
