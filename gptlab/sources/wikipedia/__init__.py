"""Wikipedia: from a dump to linked documents."""

from gptlab.sources.wikipedia.dump import WikipediaDump
from gptlab.sources.wikipedia.siteinfo import Namespace, SiteInfo
from gptlab.sources.wikipedia.wikitext import Converter, wikitext_to_markdown

__all__ = ["Converter", "Namespace", "SiteInfo", "WikipediaDump", "wikitext_to_markdown"]
