"""Hugging Face repositories, both ways: Llama, Qwen3 and GPT-2 weights into a `DagTransformer` and back."""

from gptlab.models.hugging_face.card import Card
from gptlab.models.hugging_face.cloud import load_from_cloud, save_to_cloud
from gptlab.models.hugging_face.pretrained_tokenizer import PretrainedTokenizer
from gptlab.models.hugging_face.reading import from_pretrained_dir
from gptlab.models.hugging_face.settings import family_settings
from gptlab.models.hugging_face.writing import save_pretrained_dir

__all__ = [
    "Card",
    "PretrainedTokenizer",
    "family_settings",
    "from_pretrained_dir",
    "load_from_cloud",
    "save_pretrained_dir",
    "save_to_cloud",
]
