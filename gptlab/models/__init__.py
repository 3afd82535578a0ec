"""Models: masks, attention kernels, transformers, generation. torch begins at this floor."""

from gptlab.models.config import DagTransformerConfig
from gptlab.models.dag_transformer import DagTransformer
from gptlab.models.generation import Lookup
from gptlab.models.link_pairs import LinkPairs, SampleLinks
from gptlab.models.link_prediction import LinkPredictor, LinkPredictorConfig, LinkScores
from gptlab.models.mask import MaskSpec, dense_mask
from gptlab.models.ngram import NGram, NGramConfig
from gptlab.models.output import ModelOutput
from gptlab.models.sampling import Sampling
from gptlab.models.torch_model import TorchModel

__all__ = [
    "DagTransformer",
    "DagTransformerConfig",
    "LinkPairs",
    "LinkPredictor",
    "LinkPredictorConfig",
    "LinkScores",
    "Lookup",
    "MaskSpec",
    "ModelOutput",
    "NGram",
    "NGramConfig",
    "SampleLinks",
    "Sampling",
    "TorchModel",
    "dense_mask",
]
