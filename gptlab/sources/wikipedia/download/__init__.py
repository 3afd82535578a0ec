"""From the name of a wiki to its dump on disk, whole and verified, and to its documents."""

from gptlab.sources.wikipedia.download.source import WikipediaDownload

__all__ = ["WikipediaDownload"]
