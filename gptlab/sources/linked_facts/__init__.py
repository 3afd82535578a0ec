"""A seeded fictional encyclopedia whose linked pages state facts that their linkers restate."""

from gptlab.sources.linked_facts.facts import Fact, locate
from gptlab.sources.linked_facts.wiki import LinkedFacts, LinkedFactsWiki

__all__ = ["Fact", "LinkedFacts", "LinkedFactsWiki", "locate"]
