"""Models: masks, attention kernels, transformers, generation. torch begins at this floor."""

from gptlab.models.config import DagTransformerConfig
from gptlab.models.dag_transformer import DagTransformer
from gptlab.models.mask import MaskSpec, dense_mask
from gptlab.models.output import ModelOutput

__all__ = ["DagTransformer", "DagTransformerConfig", "MaskSpec", "ModelOutput", "dense_mask"]
