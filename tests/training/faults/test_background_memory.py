"""What hooks remember is saved as it was at the step, however deep: later steps change it while it is written."""

import json
import threading
from pathlib import Path

import pytest
from tiny_torch import Counting, TinyModel

import gptlab.training.saver as saver_module
from gptlab.training import TorchTrainer, TrainerConfig
from gptlab.training.checkpoint import checkpoint_path, write_checkpoint


def test_a_checkpoint_holds_the_memory_of_its_own_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_write = threading.Event()

    def slow(path: Path, **parts: object) -> Path:
        assert may_write.wait(30)
        return write_checkpoint(path, **parts)  # type: ignore[arg-type]

    class Remembers:
        def after_step(self, state: object) -> dict[str, float]:
            step: int = state.step  # type: ignore[attr-defined]
            state.memory.setdefault("deep", {"steps": []})["steps"].append(step)  # type: ignore[attr-defined]
            if step == 3:
                may_write.set()
            return {}

    monkeypatch.setattr(saver_module, "write_checkpoint", slow)
    cfg = TrainerConfig(steps=4, checkpoint_every=2, save_in_background=True)
    TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=tmp_path, hooks=(Remembers(),)).train()
    saved = json.loads((checkpoint_path(tmp_path, 2) / "trainer.json").read_text())
    assert saved["memory"]["deep"] == {"steps": [1, 2]}
