"""The families of checkpoints that are read and written: each one table of names, used in both directions."""

from gptlab.models.hugging_face.families.family import Difference, Family, Slot
from gptlab.models.hugging_face.families.gpt2 import GPT2
from gptlab.models.hugging_face.families.llama import LLAMA
from gptlab.models.hugging_face.families.qwen3 import QWEN3

FAMILIES = {family.name: family for family in (LLAMA, QWEN3, GPT2)}
"""By the name that a checkpoint's `config.json` gives as `model_type`."""

__all__ = ["FAMILIES", "Difference", "Family", "Slot"]
