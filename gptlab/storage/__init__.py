"""What is kept: directories that are whole or absent, strict configurations, fingerprints, saving and loading."""

from gptlab.storage.decode import from_config
from gptlab.storage.directories import is_complete, new_directory, verify, write_atomically
from gptlab.storage.encode import LOCATION, describe, fingerprint, to_config
from gptlab.storage.errors import StorageError
from gptlab.storage.from_mapping import FromMapping
from gptlab.storage.jsonfiles import canonical_json, pretty_json, read_json
from gptlab.storage.kept_drops import keeping_drops, tell_drops
from gptlab.storage.names import import_from_nested_path, name_of
from gptlab.storage.saving import load_from_dir, save_to_dir

__all__ = [
    "LOCATION",
    "FromMapping",
    "StorageError",
    "canonical_json",
    "describe",
    "fingerprint",
    "from_config",
    "import_from_nested_path",
    "is_complete",
    "keeping_drops",
    "load_from_dir",
    "name_of",
    "new_directory",
    "pretty_json",
    "read_json",
    "save_to_dir",
    "tell_drops",
    "to_config",
    "verify",
    "write_atomically",
]
