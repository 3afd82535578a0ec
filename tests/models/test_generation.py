"""Writing: links in the prompt and in the written text are followed, and all of it repeats with the seed.

A scripted network, which gives any wanted token, stands where weights would: what is tested is what is read, when.
"""

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gptlab.graph import DocumentTable
from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.models.generation import Reading, Writer, next_logits, write
from gptlab.tokenizers import ByteTokenizer, document_from_prompt, tokenize_document
from gptlab.types import DocumentId, Generation, Prompt, TokenizedDocument

BYTES = ByteTokenizer()


def stored(title: str, text: str) -> TokenizedDocument:
    return tokenize_document(document_from_prompt(text, title), BYTES)


STORE = DocumentTable.from_documents(
    [
        stored("Otter", "An otter swims in the [river](River)."),
        stored("River", "Water that goes to the sea."),
        stored("Café", "Coffee, and words."),
        stored("Long", "ever so long " * 50),
    ]
)


class Script(nn.Module):
    """A network that writes a given text, then end-of-text, whatever it is shown; it keeps what it was shown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.tokens = [*BYTES.encode(text), BYTES.end_of_text]
        self.shown: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, tokens: Tensor, documents: Tensor, positions: Tensor, edges: Tensor) -> tuple[Tensor, None]:
        self.shown.append((tokens, documents, edges))
        logits = torch.full((1, tokens.shape[1], BYTES.vocab_size), -30.0)
        logits[0, -1, self.tokens[len(self.shown) - 1]] = 30.0
        return logits, None


def written(prompt: Prompt, script: Script, *, max_seq_len: int = 400, **changes: object) -> Generation:
    reading = Reading(**({"tokenizer": BYTES, "lookup": STORE.get} | changes))
    return write(prompt, script, reading, max_seq_len)


def shown_text(script: Script, step: int) -> str:
    data = b"".join(BYTES.token_bytes(int(token)) or b"|" for token in script.shown[step][0][0])
    return data.decode(errors="replace")


def test_a_written_link_is_read_before_the_next_token() -> None:
    script = Script("[o](Otter) swims")
    generation = written(Prompt(text="The "), script)
    assert generation.text == "[o](Otter) swims"
    assert generation.read == ((10, "Otter"),)
    assert generation.missing == ()
    assert shown_text(script, 9) == "The [o](Otter"
    assert shown_text(script, 10) == "# Otter\n\nAn otter swims in the [river](River).|The [o](Otter)"
    begin = len(STORE.get(DocumentId("Otter")).tokens)
    assert script.shown[10][2].tolist() == [[[1, 0, begin + len("The [o](Otter)") - 1]]]
    assert script.shown[9][2].shape == (1, 0, 3)


def test_links_of_the_prompt_are_read_before_anything_is_written() -> None:
    script = Script("")
    generation = written(Prompt(text="see [r](river) and", title="Trip"), script)
    assert generation.text == ""
    assert generation.read == ((0, "River"),)
    assert shown_text(script, 0) == "# River\n\nWater that goes to the sea.|# Trip\n\nsee [r](river) and"


def test_a_link_may_begin_in_the_prompt_and_be_completed_by_the_model() -> None:
    assert written(Prompt(text="to the [caf"), Script("é](Caf%C3%A9), so")).read == ((13, "Café"),)


def test_documents_that_link_to_each_other_stand_targets_first_with_their_edges() -> None:
    script = Script("[o](Otter) and [r](River).")
    generation = written(Prompt(text="The "), script)
    assert [title for _, title in generation.read] == ["Otter", "River"]
    last = script.shown[-1]
    assert shown_text(script, -1).startswith("# River\n\nWater that goes to the sea.|# Otter\n\n")
    assert {tuple(edge[:2]) for edge in last[2][0].tolist()} == {(1, 0), (2, 0), (2, 1)}


def test_missing_targets_are_told_once_and_links_to_itself_are_nothing() -> None:
    generation = written(Prompt(text="[a](Nowhere) [b](Trip) ", title="Trip"), Script("[c](Nowhere)[d](Never)"))
    assert generation.missing == ("Nowhere", "Never")
    assert generation.read == ()


def test_without_a_lookup_links_are_text() -> None:
    generation = written(Prompt(text="The "), Script("[o](Otter)[x](Nowhere)"), lookup=None)
    assert (generation.read, generation.missing) == ((), ())


def test_a_document_is_read_once_while_it_is_held_and_again_after_it_made_room() -> None:
    twice = written(Prompt(text="-"), Script("[o](Otter) [o](Otter)"))
    assert [title for _, title in twice.read] == ["Otter"]
    prompt = Prompt(text="-", max_new_tokens=50)
    script = Script("[o](Otter)[l](Long)[r](River)[o](Otter)")
    crowded = written(prompt, script, max_seq_len=2 + 50 + 60)
    assert [title for _, title in crowded.read] == ["Otter", "Long", "River", "Otter"]
    assert all(len(tokens[0]) <= 2 + 50 + 60 for tokens, _, _ in script.shown)
    assert shown_text(script, -1).startswith("# Otter\n\n")


def test_writing_ends_at_max_new_tokens_or_at_end_of_text() -> None:
    assert written(Prompt(text="a", max_new_tokens=3), Script("bcdefg")).text == "bcd"
    assert written(Prompt(text="a", max_new_tokens=0), Script("bcdefg")).text == ""
    assert written(Prompt(text="a"), Script("bc")).text == "bc"


def test_a_character_that_is_cut_is_shown_as_such() -> None:
    assert written(Prompt(text="a", max_new_tokens=1), Script("é")).text == "�"


@given(text=st.text(st.sampled_from("[]()aÉ\\ \n"), max_size=25).map(lambda text: text + "[o](Otter)"))
@settings(max_examples=40)
def test_what_is_read_is_what_the_links_of_the_whole_text_lead_to(text: str) -> None:
    """Found while writing, token by token, or in the finished text at once: the same links at the same tokens."""
    whole = tokenize_document(document_from_prompt("a" + text), BYTES)
    writer = Writer(Prompt(text="a"), Reading(tokenizer=BYTES, lookup=STORE.get), 400)
    for token in BYTES.encode(text):
        writer.add(token)
    assert writer.context.links == list(zip(whole.link_positions.tolist(), whole.link_targets, strict=True))
    assert writer.context.tokens == whole.tokens[:-1].tolist()


def model(**changes: object) -> DagTransformer:
    cfg = DagTransformerConfig(
        **({"layers": 1, "width": 16, "heads": 2, "vocab_size": 260, "max_seq_len": 200} | changes)
    )
    fresh = DagTransformer.instantiate(cfg, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in fresh.network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.2)
    return fresh


def test_the_same_seed_writes_the_same_and_another_does_not() -> None:
    writer = model().reading(BYTES, STORE.get)
    prompts = [Prompt(text="An [o](Otter)", seed=seed, max_new_tokens=12) for seed in (0, 0, 1)]
    first, again, other = writer.inference(iter(prompts))
    assert first == again
    assert first.text != other.text
    assert first.read == ((0, "Otter"),)


def test_what_was_read_changes_what_is_written() -> None:
    prompt = Prompt(text="An [o](Otter)", max_new_tokens=1)
    logits = [
        next_logits(model().network, Writer(prompt, Reading(tokenizer=BYTES, lookup=lookup), 200).context)
        for lookup in (STORE.get, None)
    ]
    assert np.abs(logits[0] - logits[1]).max() > 1e-4


def test_it_never_writes_a_token_that_the_tokenizer_has_not() -> None:
    class Wider(Script):
        """Likes a token best that no tokenizer has."""

        def forward(self, tokens: Tensor, documents: Tensor, positions: Tensor, edges: Tensor) -> tuple[Tensor, None]:
            logits, _ = super().forward(tokens, documents, positions, edges)
            return nn.functional.pad(logits, (0, 5), value=90.0), None

    assert written(Prompt(text="a"), Wider("bc")).text == "bc"


def test_reading_shares_the_weights_and_inference_leaves_the_mode() -> None:
    trained = model(dropout=0.5)
    writer = trained.reading(BYTES, STORE.get)
    assert writer.network is trained.network
    trained.network.train()
    prompts = [Prompt(text="a", max_new_tokens=8)] * 2
    first, again = writer.inference(iter(prompts))
    assert first == again
    assert trained.network.training


def test_types_are_read_from_the_annotations() -> None:
    assert (model().inf_input_type(), model().inf_output_type()) == (Prompt, Generation)


def test_refuses_to_write_before_it_can_read() -> None:
    with pytest.raises(ValueError, match=r"Use model.reading\(tokenizer, table.get\).inference"):
        next(model().inference(iter([Prompt(text="a")])))


def test_refuses_a_tokenizer_that_is_larger_than_the_model() -> None:
    with pytest.raises(
        ValueError, match="got     a tokenizer of 257 tokens\n  wanted  at most the model's vocab_size 7"
    ):
        model(vocab_size=7).reading(BYTES)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt(text=""), "got     no tokens\n  wanted  a text or a title"),
        (
            Prompt(text="a" * 190, max_new_tokens=10),
            "got     190 tokens and max_new_tokens=10\n  wanted  together less",
        ),
    ],
)
def test_refuses_a_prompt_that_cannot_be_continued(prompt: Prompt, message: str) -> None:
    with pytest.raises(ValueError, match="generation from the prompt") as caught:
        next(model().reading(BYTES).inference(iter([prompt])))
    assert message in str(caught.value)
    fits = attrs.evolve(prompt, text="a" * 189)
    assert fits.max_new_tokens == 128 or next(model().reading(BYTES).inference(iter([fits]))).prompt == fits
