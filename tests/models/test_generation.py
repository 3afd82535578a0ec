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
from gptlab.models.context import Context, Evict, least_recently_linked, oldest
from gptlab.models.generation import Piece, Reading, WholeContext, WriteMissing, Writer, stream, write
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
    (generation,) = write([prompt], WholeContext(script), reading, max_seq_len)
    return generation


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
        WholeContext(model().network)([Writer(prompt, Reading(tokenizer=BYTES, lookup=lookup), 200).context])
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


def test_writing_ends_before_a_stop_string_that_may_cross_tokens() -> None:
    generation = written(Prompt(text="a"), Script("bc. The end"), stop=("The", "nowhere"))
    assert (generation.text, generation.ended_by) == ("bc. ", "stop")
    assert written(Prompt(text="The"), Script("bc"), stop=("The", "eb")).text == "bc"  # the prompt has none
    assert written(Prompt(text="a"), Script("[o](Otter)"), stop=(")",)).read == ()


def test_how_it_ended_is_told() -> None:
    assert written(Prompt(text="a"), Script("b")).ended_by == "end_of_text"
    assert written(Prompt(text="a", max_new_tokens=1), Script("bc")).ended_by == "length"
    assert written(Prompt(text="a", max_new_tokens=0), Script("bc")).ended_by == "length"


def pieces(prompt: Prompt, script: Script, **changes: object) -> list[Piece]:
    reading = Reading(**({"tokenizer": BYTES, "lookup": STORE.get} | changes))
    return list(stream(prompt, WholeContext(script), reading, 400))


def test_pieces_come_as_they_are_written_with_what_was_read_behind_them() -> None:
    found = pieces(Prompt(text="to [r](River) "), Script("a[o](Otter)é."))
    assert found[0] == Piece(text="", read=("River",))
    assert [piece.text for piece in found[1:]] == [*"a[o](Otter)", "é", ".", ""]
    assert [piece.read for piece in found if ")" in piece.text] == [("Otter",)]
    assert [piece.generation for piece in found[:-1]] == [None] * (len(found) - 1)


@given(
    text=st.text(st.sampled_from("abé[]()"), max_size=12),
    stops=st.lists(st.text(st.sampled_from("abé("), min_size=1, max_size=3), max_size=2),
    most=st.integers(0, 14),
)
@settings(max_examples=40)
def test_pieces_together_are_the_text_and_none_is_taken_back(text: str, stops: list[str], most: int) -> None:
    prompt, changes = Prompt(text="x", max_new_tokens=most), {"stop": tuple(stops)}
    whole = written(prompt, Script(text), **changes)
    found = pieces(prompt, Script(text), **changes)
    assert "".join(piece.text for piece in found) == whole.text
    assert found[-1].generation == whole
    assert not any(stop in whole.text for stop in stops)
    uncut = BYTES.encode(text)[:most]
    full = b"".join(map(BYTES.token_bytes, uncut)).decode(errors="replace")
    assert whole.text == full[: min((full.find(stop) for stop in stops if stop in full), default=len(full))]


def test_what_made_room_is_told_with_the_moment() -> None:
    script = Script("[o](Otter)[l](Long)")
    generation = written(Prompt(text="-", max_new_tokens=50), script, max_seq_len=2 + 50 + 60)
    assert generation.evicted == ((19, "Otter"),)


@pytest.mark.parametrize(("evict", "gone"), [(least_recently_linked, "River"), (oldest, "Otter")])
def test_the_policy_says_what_makes_room(evict: Evict, gone: str) -> None:
    """The otter is linked to again, after the river, and stays by the one policy and not by the other."""
    script = Script("[o](Otter)[r](River)[o](Otter)[c](Caf%C3%A9)")
    room = sum(len(STORE.get(DocumentId(name)).tokens) for name in ("Otter", "River")) + 1
    generation = written(Prompt(text="-", max_new_tokens=60), script, max_seq_len=2 + 60 + room, evict=evict)
    assert [document for _, document in generation.evicted][:1] == [gone]


def test_what_is_missing_is_written_first_and_read() -> None:
    """The script goes on where it is: what it writes first is the missing document."""
    script = Script("[n](New) ends")
    end, body = BYTES.end_of_text, BYTES.encode("Newly made.")
    script.tokens[8:8] = [*body, end]
    generation = written(Prompt(text="a "), script, write_missing=WriteMissing())
    assert (generation.text, generation.missing) == ("[n](New) ends", ("New",))
    assert (generation.written_first, generation.read) == (("New",), ((8, "New"),))
    assert shown_text(script, -1) == "# New\n\nNewly made.|a [n](New) ends"
    assert shown_text(script, 8) == "# New\n\n"


@pytest.mark.parametrize(
    ("limits", "first"),
    [
        (WriteMissing(), ["One", "Four"]),
        (WriteMissing(documents=1), ["One"]),
        (WriteMissing(depth=2, documents=2), ["One", "Two"]),
    ],
)
def test_what_is_written_first_stays_within_depth_and_budget(limits: WriteMissing, first: list[str]) -> None:
    titles: list[str] = []
    text_of = {"": "[1](One)[4](Four)", "One": "[2](Two)", "Two": "[1](One)", "Four": "."}

    class Chain:
        """Writes for each document one link to the next, and the end; what it writes for is in the context."""

        def __call__(self, contexts: list[Context]) -> np.ndarray:
            (context,) = contexts
            text = b"".join(BYTES.token_bytes(token) for token in context.tokens).decode()
            title = text.partition("\n")[0].removeprefix("# ") if text.startswith("# ") else ""
            if title and title not in titles:
                titles.append(title)
            body = text.partition("\n\n")[2] if title else text[1:]
            logits = np.full((1, BYTES.vocab_size), -30, np.float32)
            rest = BYTES.encode(text_of[title])[len(body) :]
            logits[0, rest[0] if rest else BYTES.end_of_text] = 30
            return logits

        def apart(self) -> "Chain":
            return self

    reading = Reading(tokenizer=BYTES, lookup=STORE.get, write_missing=limits)
    (generation,) = write([Prompt(text="-")], Chain(), reading, 400)
    assert titles == first
    assert generation.missing == ("One", "Four")
    assert list(generation.written_first) == [title for title in ("One", "Four") if title in first]


@pytest.mark.parametrize("is_cached", [True, False])
def test_a_batch_of_any_lengths_writes_what_each_prompt_writes_alone(is_cached: bool) -> None:
    prompts = [
        Prompt(text=text, seed=seed, max_new_tokens=most)
        for seed, (text, most) in enumerate(
            [("An [o](Otter)", 9), ("x", 3), ("to the [river](River) and", 14), ("y", 0)]
        )
    ]
    alone = model().reading(BYTES, STORE.get, is_cached=False)
    at_once = model().reading(BYTES, STORE.get, batch_size=3, is_cached=is_cached)
    assert list(at_once.inference(iter(prompts))) == list(alone.inference(iter(prompts)))
    assert [each.generation for each in at_once.stream(iter(prompts)) if each.generation] == list(
        alone.inference(iter(prompts))
    )


def test_a_batch_takes_no_more_prompts_than_it_continues_at_once() -> None:
    taken: list[int] = []
    prompts = (taken.append(seed) or Prompt(text="a", seed=seed, max_new_tokens=2) for seed in range(5))
    next(model().reading(BYTES, batch_size=2).inference(prompts))
    assert taken == [0, 1]


def test_refuses_a_stop_string_that_every_text_has() -> None:
    with pytest.raises(ValueError, match=r"Reading\.stop\n  got     an empty string"):
        Reading(tokenizer=BYTES, stop=("",))
