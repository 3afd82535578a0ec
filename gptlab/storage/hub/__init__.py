"""The Hugging Face hub: saved directories to repositories and back; pinned, private by default, no pickles."""

from gptlab.storage.hub.cloud import load_from_cloud, plain_copy, save_to_cloud
from gptlab.storage.hub.download import Snapshot, download
from gptlab.storage.hub.files import FILES, WEIGHTS
from gptlab.storage.hub.patience import Patience
from gptlab.storage.hub.upload import upload

__all__ = [
    "FILES",
    "WEIGHTS",
    "Patience",
    "Snapshot",
    "download",
    "load_from_cloud",
    "plain_copy",
    "save_to_cloud",
    "upload",
]
