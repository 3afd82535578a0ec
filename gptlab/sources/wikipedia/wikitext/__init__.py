"""Wikitext to Markdown with links as spans: a pure function, in six steps."""

from gptlab.sources.wikipedia.wikitext.convert import Converter, wikitext_to_markdown

__all__ = ["Converter", "wikitext_to_markdown"]
