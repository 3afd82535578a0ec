"""Text in, `Document` out: Wikipedia, Markdown folders, Python packages, plain text, a wiki of facts; questions."""

from gptlab.sources.articles import ArticleFolder
from gptlab.sources.errors import SourceError
from gptlab.sources.linked_facts import Fact, LinkedFacts, LinkedFactsWiki
from gptlab.sources.markdown import MarkdownFolder
from gptlab.sources.python_packages import PythonPackages
from gptlab.sources.questions import (
    Arc,
    FewShot,
    HellaSwag,
    Lambada,
    LinkedFactsQuestions,
    Mmlu,
    Piqa,
    QuestionFile,
    RestatedQuestions,
    ShortAnswerFile,
)
from gptlab.sources.text_files import PythonDocumentation, TextFiles
from gptlab.sources.wikipedia import WikipediaDownload, WikipediaDump

__all__ = [
    "Arc",
    "ArticleFolder",
    "Fact",
    "FewShot",
    "HellaSwag",
    "Lambada",
    "LinkedFacts",
    "LinkedFactsQuestions",
    "LinkedFactsWiki",
    "MarkdownFolder",
    "Mmlu",
    "Piqa",
    "PythonDocumentation",
    "PythonPackages",
    "QuestionFile",
    "RestatedQuestions",
    "ShortAnswerFile",
    "SourceError",
    "TextFiles",
    "WikipediaDownload",
    "WikipediaDump",
]
