"""The link graph: all documents as one table, walks along links, targets first, and what is held out."""

from gptlab.graph.best_first import BestFirst, PageRankPerToken, Score, ShortestFirst
from gptlab.graph.documents import NO_EDGE, Documents
from gptlab.graph.link_graph import LinkGraph
from gptlab.graph.policies import BreadthFirst, DepthFirst, Follow, RandomOrder, RandomWalk, VisitPolicy
from gptlab.graph.routes import Routes
from gptlab.graph.split import Split
from gptlab.graph.statistics import GraphStatistics, graph_statistics
from gptlab.graph.table import DocumentTable
from gptlab.graph.traverse import TraverseLinks, walk_of

__all__ = [
    "NO_EDGE",
    "BestFirst",
    "BreadthFirst",
    "DepthFirst",
    "DocumentTable",
    "Documents",
    "Follow",
    "GraphStatistics",
    "LinkGraph",
    "PageRankPerToken",
    "RandomOrder",
    "RandomWalk",
    "Routes",
    "Score",
    "ShortestFirst",
    "Split",
    "TraverseLinks",
    "VisitPolicy",
    "graph_statistics",
    "walk_of",
]
