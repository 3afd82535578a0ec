"""Contracts between parts, their composition, and what a run tells whoever watches. No torch."""

from gptlab.pipeline.axes import AtMost
from gptlab.pipeline.compose import pipeline, then
from gptlab.pipeline.errors import ContractError
from gptlab.pipeline.needs import need_source_of, source_of
from gptlab.pipeline.observe import Drops, Observer, drop, progress, say, track, watching
from gptlab.pipeline.pipelines import Pipeline, SourcePipeline, StagePipeline
from gptlab.pipeline.signature import takes, yields
from gptlab.pipeline.subtype import fits

__all__ = [
    "AtMost",
    "ContractError",
    "Drops",
    "Observer",
    "Pipeline",
    "SourcePipeline",
    "StagePipeline",
    "drop",
    "fits",
    "need_source_of",
    "pipeline",
    "progress",
    "say",
    "source_of",
    "takes",
    "then",
    "track",
    "watching",
    "yields",
]
