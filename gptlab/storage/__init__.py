"""What is kept: directories that are whole or absent, strict configurations, fingerprints, saving and loading."""

from gptlab.storage.arrays import check_npy, check_safetensors, read_npy
from gptlab.storage.decode import from_config
from gptlab.storage.directories import is_complete, new_directory, unfinished_directory, verify, write_atomically
from gptlab.storage.encode import LOCATION, describe, fingerprint, to_config
from gptlab.storage.errors import StorageError
from gptlab.storage.from_mapping import FromMapping
from gptlab.storage.inspection import inspect_directory
from gptlab.storage.jsonfiles import canonical_json, pretty_json, read_json
from gptlab.storage.kept_drops import keeping_drops, tell_drops
from gptlab.storage.names import import_from_nested_path, name_of
from gptlab.storage.saving import load_from_dir, save_to_dir
from gptlab.storage.schema import SCHEMA, envelope, opened

__all__ = [
    "LOCATION",
    "SCHEMA",
    "FromMapping",
    "StorageError",
    "canonical_json",
    "check_npy",
    "check_safetensors",
    "describe",
    "envelope",
    "fingerprint",
    "from_config",
    "import_from_nested_path",
    "inspect_directory",
    "is_complete",
    "keeping_drops",
    "load_from_dir",
    "name_of",
    "new_directory",
    "opened",
    "pretty_json",
    "read_json",
    "read_npy",
    "save_to_dir",
    "tell_drops",
    "to_config",
    "unfinished_directory",
    "verify",
    "write_atomically",
]
