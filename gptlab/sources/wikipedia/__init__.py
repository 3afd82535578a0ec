"""Wikipedia: from the name of a wiki, or its dump, to linked documents."""

from gptlab.sources.wikipedia.download import WikipediaDownload
from gptlab.sources.wikipedia.dump import WikipediaDump
from gptlab.sources.wikipedia.siteinfo import Namespace, SiteInfo
from gptlab.sources.wikipedia.wikitext import Converter, wikitext_to_markdown

__all__ = ["Converter", "Namespace", "SiteInfo", "WikipediaDownload", "WikipediaDump", "wikitext_to_markdown"]
