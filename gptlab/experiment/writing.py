"""Samples at the end of a run: the model goes on after a link, with the linked document read.

Prompts are beginnings of documents, cut just after their first link to a document that is there, so every sample
shows what the method is about: the target is looked up, put before the prompt, and seen from the link on.
"""

from typing import Any

import attrs

from gptlab.graph import DocumentTable
from gptlab.pipeline import say
from gptlab.pipeline.protocols import Source, Tokenizer
from gptlab.tokenizers import Tokenize
from gptlab.types import Document, Generation, Prompt


@attrs.frozen(kw_only=True, eq=False)
class WriteAfterLinks:
    """Continue the beginnings of a few documents.

    Attributes:
        documents: where beginnings are taken from and targets are looked up; read twice.
        tokenizer: the model's own.
        samples: how many; fewer where fewer documents have a link that leads anywhere.
        max_new_tokens: of each.
        seed: of the tokens drawn.
    """

    documents: Source[Document]
    tokenizer: Tokenizer
    samples: int = 2
    max_new_tokens: int = 40
    seed: int = 0

    def write(self, model: Any) -> list[Generation]:
        """What the model writes.

        Args:
            model: has `reading(tokenizer, lookup)`, which gives one with `inference`, and `cfg.max_seq_len`.
        """
        table = DocumentTable.from_documents(Tokenize(self.tokenizer)(self.documents.get_data_generator()))
        room = model.cfg.max_seq_len - self.max_new_tokens
        prompts = self._prompts(table, room)
        if not prompts:
            say("No sample: no document begins with a link to another that is there, within the model's row length.")
        return list(model.reading(self.tokenizer, table.get).inference(iter(prompts)))

    def _prompts(self, table: DocumentTable, room: int) -> list[Prompt]:
        """Beginnings that leave their target the larger half of the room."""
        found: list[Prompt] = []
        for document in self.documents.get_data_generator():
            if len(found) == self.samples:
                break
            link = next((link for link in document.links if link.target in table.numbers), None)
            if link is None or link.target == document.id:
                continue
            prompt = Prompt(
                text=document.text[: link.end],
                title=document.title,
                max_new_tokens=self.max_new_tokens,
                seed=self.seed + len(found),
            )
            if len(self.tokenizer.encode(prompt.text)) < room // 2:
                found.append(prompt)
        return found
