"""A checkpoint whose arrays claim more than is there is refused before anything is allocated, hashes or no hashes."""

import json
import struct
from pathlib import Path

import pytest
from tiny_torch import Counting, TinyModel

from gptlab.storage import StorageError, new_directory
from gptlab.training import TorchTrainer, TrainerConfig, latest_checkpoint
from gptlab.training.checkpoint import KIND, read_checkpoint


@pytest.mark.parametrize("name", ["optimizer", "average"])
def test_a_header_of_ten_gigabytes_is_refused(name: str, tmp_path: Path) -> None:
    cfg = TrainerConfig(steps=1, checkpoint_every=1, warmup_steps=0)
    TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=tmp_path / "run").train()
    whole = latest_checkpoint(tmp_path / "run")
    assert whole is not None and read_checkpoint(whole).average == {}
    entry = {"dtype": "F32", "shape": [10 * 2**28], "data_offsets": [0, 10 * 2**30]}
    header = json.dumps({"weight": entry}).encode()
    with new_directory(tmp_path / "hostile", kind=KIND) as folder:  # whoever wrote it wrote hashes that agree
        for path in whole.rglob("*"):
            if path.is_file() and path.name != "manifest.json":
                (folder / path.relative_to(whole)).parent.mkdir(parents=True, exist_ok=True)
                (folder / path.relative_to(whole)).write_bytes(path.read_bytes())
        (folder / f"{name}.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(StorageError) as caught:
        read_checkpoint(tmp_path / "hostile")
    begin = f"{tmp_path}/hostile/{name}.safetensors\n  got     a header of 10,737,418,240"
    assert str(caught.value).startswith(begin)
