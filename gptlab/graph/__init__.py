"""The link graph: all documents as one table, walks along links, targets first, and what is held out."""

from gptlab.graph.best_first import BestFirst, PageRankPerToken, Score, ShortestFirst
from gptlab.graph.communities import SplitByCommunity, communities, edges_within, hold_out
from gptlab.graph.documents import NO_EDGE, Documents
from gptlab.graph.leaks import DropLeaks, Leak, leaks, linked_leaks
from gptlab.graph.link_graph import LinkGraph
from gptlab.graph.policies import BreadthFirst, DepthFirst, Follow, RandomOrder, RandomWalk, VisitPolicy
from gptlab.graph.routes import Routes
from gptlab.graph.split import Split
from gptlab.graph.statistics import GraphStatistics, graph_statistics
from gptlab.graph.store import DocumentStore, Portion, StoredDocuments, Walks
from gptlab.graph.table import DocumentTable
from gptlab.graph.traverse import TraverseLinks, walk_of

__all__ = [
    "NO_EDGE",
    "BestFirst",
    "BreadthFirst",
    "DepthFirst",
    "DocumentStore",
    "DocumentTable",
    "Documents",
    "DropLeaks",
    "Follow",
    "GraphStatistics",
    "Leak",
    "LinkGraph",
    "PageRankPerToken",
    "Portion",
    "RandomOrder",
    "RandomWalk",
    "Routes",
    "Score",
    "ShortestFirst",
    "Split",
    "SplitByCommunity",
    "StoredDocuments",
    "TraverseLinks",
    "VisitPolicy",
    "Walks",
    "communities",
    "edges_within",
    "graph_statistics",
    "hold_out",
    "leaks",
    "linked_leaks",
    "walk_of",
]
