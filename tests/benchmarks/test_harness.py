"""lm-evaluation-harness on a run of ours: what it computes of our model is what its own backend does of the export.

Log-likelihoods are compared in float32, each to `TOLERANCE` of itself: two orders of the same sums.
"""

import json
import math
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from test_prefix_trees import random_model

from gptlab.benchmarks import CorrectAnswerInTopK, MultipleChoiceLogits, Perplexity
from gptlab.benchmarks.harness import NAME, HarnessModel, register
from gptlab.benchmarks.harness.__main__ import main
from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec, Sampling
from gptlab.models.hugging_face import PretrainedTokenizer, family_settings, from_pretrained_dir, save_pretrained_dir
from gptlab.pipeline.observe import Drops, watching
from gptlab.sources import HellaSwag, Lambada, Piqa, QuestionFile
from gptlab.storage import save_to_dir
from gptlab.testing import Items
from gptlab.tokenizers import ByteLevelBPE
from gptlab.types import Document, DocumentId, Prompt

pytestmark = pytest.mark.filterwarnings("ignore")  # of the harness and what it imports

TOLERANCE = 1e-6
"""Of a log-likelihood, relative."""

PIECES = ByteLevelBPE(
    ranks=(*(bytes([value]) for value in range(256)), b" a", b"th", b" th", b" the", b"er", b"on", b"in"),
    vocab_size=264,
)
ROWS = [
    {"context": "The heron stands in", "choices": ["the reeds", "an oven that is on", "a thing"], "answer": 0},
    {"context": "Whoever finds the otter", "choices": ["waits", "reads to her all night"], "answer": 0},
    {"context": "é, said the inn", "choices": ["keeper", "è", "on", "thin air"], "answer": 3},
    {"context": "A " * 50 + "and then", "choices": ["the end", "an echo"], "answer": 1},
]
TEXTS = ["The otter and the heron.", "one on the other " * 12, "é"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory, with its export beside the model."""
    cfg = DagTransformerConfig(
        layers=2,
        width=32,
        heads=4,
        vocab_size=264,
        max_seq_len=96,
        **(family_settings("qwen3") | {"mask": MaskSpec()}),
    )
    folder = tmp_path_factory.mktemp("runs") / "20261124_101500"
    folder.mkdir()
    model = random_model(cfg, scale=0.05)
    save_to_dir(model, folder / "model")
    save_to_dir(PIECES, folder / "tokenizer")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_pretrained_dir(model, folder / "export", tokenizer=PIECES)
    write_tasks(folder / "tasks")
    return folder


def write_tasks(folder: Path) -> None:
    """Three tasks of the harness's own kinds, over local rows."""
    folder.mkdir()
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    head = "dataset_path: json\ntest_split: test\ndataset_kwargs:\n  data_files:\n    test: {}\n"
    metrics = "metric_list:\n" + "".join(f"  - metric: {name}\n" for name in ("acc", "acc_norm", "acc_bytes"))
    (folder / "own_choices.yaml").write_text(
        "task: own_choices\noutput_type: multiple_choice\ndoc_to_text: '{{context}}'\ndoc_to_target: answer\n"
        "doc_to_choice: choices\n" + metrics + head.format(folder / "rows.jsonl")
    )
    (folder / "own_texts.yaml").write_text(
        "task: own_texts\noutput_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: '{{text}}'\n"
        "metric_list:\n  - metric: bits_per_byte\n  - metric: word_perplexity\n" + head.format(folder / "texts.jsonl")
    )


@pytest.fixture
def own_tasks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness reads ten thousand files of tasks, which takes it half a minute."""
    monkeypatch.setattr(
        register().tasks, "TaskManager", partial(register().tasks.TaskManager, include_defaults=False)
    )


@pytest.fixture(scope="module")
def ours(run: Path) -> HarnessModel:
    register()
    return HarnessModel.create_from_arg_string(f"run={run},batch_tokens=300")


@pytest.fixture(scope="module")
def theirs(run: Path) -> Any:
    """The harness's own backend on the export."""
    from lm_eval.models.huggingface import HFLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers.logging.disable_progress_bar()
        model = transformers.AutoModelForCausalLM.from_pretrained(run / "export", dtype=torch.float32)
        tokenizer = transformers.AutoTokenizer.from_pretrained(run / "export")
        return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=3, max_length=96, device="cpu")


def asked(*arguments: Any) -> Any:
    return SimpleNamespace(args=arguments, task_name="own")


def close(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * max(abs(one), abs(other))


PAIRS = [(row["context"], f" {choice}") for row in ROWS for choice in row["choices"]] + [
    ("", "the otter"),
    ("a ", "b"),
]


def test_each_log_likelihood_is_that_of_the_export(ours: HarnessModel, theirs: Any) -> None:
    requests = [asked(*pair) for pair in PAIRS]
    with watching(Drops()) as drops:
        mine = ours.loglikelihood(requests)
    his = theirs.loglikelihood(requests, disable_tqdm=True)
    assert drops.counts == {"context cut on the left to fit the model": 2}, "the harness cuts the same"
    for (total, greedy), (wanted, is_greedy), pair in zip(mine, his, PAIRS, strict=True):
        assert close(total, wanted), (pair, total, wanted)
        assert greedy == is_greedy


def test_each_rolling_log_likelihood_is_that_of_the_export(ours: HarnessModel, theirs: Any) -> None:
    requests = [asked(text) for text in TEXTS]
    mine, his = ours.loglikelihood_rolling(requests), theirs.loglikelihood_rolling(requests, disable_tqdm=True)
    assert all(close(one, other) for one, other in zip(mine, his, strict=True)), (mine, his)


def test_gptlab_agrees_with_the_harness_and_with_its_export(run: Path, ours: HarnessModel, theirs: Any) -> None:
    """The benchmark, on the run's model and on the export read back, and the harness on the same rows."""
    data = QuestionFile(run / "tasks" / "rows.jsonl")
    back = from_pretrained_dir(run / "export")
    of_run, of_export = (
        MultipleChoiceLogits(tokenizer=tokenizer).scores(data, model)
        for tokenizer, model in (
            (PIECES, ours.model),
            (PretrainedTokenizer.from_pretrained_dir(run / "export"), back),
        )
    )
    pairs = [(row["context"], f" {choice}") for row in ROWS for choice in row["choices"]]
    wanted = [total for total, _ in theirs.loglikelihood([asked(*pair) for pair in pairs], disable_tqdm=True)]
    for found in (of_run, of_export):
        totals = [choice.total for score in found for choice in score.choices]
        assert all(close(one, other) for one, other in zip(totals, wanted, strict=True))


def test_the_figures_are_those_of_simple_evaluate(run: Path, ours: HarnessModel, theirs: Any) -> None:
    lm_eval = register()
    manager = lm_eval.tasks.TaskManager(include_path=str(run / "tasks"), include_defaults=False)
    results = [
        lm_eval.simple_evaluate(model=model, tasks=["own_choices", "own_texts"], task_manager=manager)["results"]
        for model in (ours, theirs)
    ]
    for name in ("acc,none", "acc_norm,none", "acc_bytes,none", "acc_stderr,none"):
        assert results[0]["own_choices"][name] == results[1]["own_choices"][name]
    figures = MultipleChoiceLogits(tokenizer=PIECES).calculate(QuestionFile(run / "tasks" / "rows.jsonl"), ours.model)
    for own, name in (
        ("accuracy", "acc"),
        ("accuracy_per_character", "acc_norm"),
        ("accuracy_per_byte", "acc_bytes"),
    ):
        assert figures[own] == results[0]["own_choices"][f"{name},none"]
    assert figures["accuracy_stderr"] == pytest.approx(results[0]["own_choices"]["acc_stderr,none"])
    texts = [Document(id=DocumentId(str(n)), title="", text=text) for n, text in enumerate(TEXTS)]
    of_texts = Perplexity(tokenizer=PIECES).calculate(Items(texts, Document), ours.model)
    for name in ("bits_per_byte", "word_perplexity"):
        assert results[0]["own_texts"][f"{name},none"] == pytest.approx(
            results[1]["own_texts"][f"{name},none"], rel=1e-6
        )
        assert of_texts[name] == pytest.approx(results[0]["own_texts"][f"{name},none"], rel=1e-6)


def test_the_usual_tasks_ask_what_the_harness_asks(tmp_path: Path, ours: HarnessModel) -> None:
    """The whole way: a published row, the harness's request for it, and the likelihood of it by both."""
    (tmp_path / "h.jsonl").write_text(
        json.dumps(
            {
                "activity_label": "Tea",
                "ctx_a": "Water [step] boils.",
                "ctx_b": "it",
                "endings": ["sings.", "is poured [title] Now wait."],
                "label": 1,
            }
        )
    )
    (tmp_path / "p.jsonl").write_text(
        json.dumps({"goal": "Open it", "sol1": "Sing.", "sol2": "Turn it.", "label": 1})
    )
    (tmp_path / "l.jsonl").write_text(json.dumps({"text": "the heron saw the heron"}))
    wanted = [
        ("Tea: Water boils. It", " sings."),
        ("Tea: Water boils. It", " is poured. Now wait."),
        ("Question: Open it\nAnswer:", " Sing."),
        ("Question: Open it\nAnswer:", " Turn it."),
        ("the heron saw the", " heron"),
    ]
    choices = MultipleChoiceLogits(tokenizer=PIECES)
    found = [
        choice.total
        for source in (HellaSwag(path=tmp_path / "h.jsonl"), Piqa(path=tmp_path / "p.jsonl"))
        for score in choices.scores(source, ours.model)
        for choice in score.choices
    ]
    lambada = CorrectAnswerInTopK(tokenizer=PIECES).calculate(Lambada(path=tmp_path / "l.jsonl"), ours.model)
    answers = ours.loglikelihood([asked(*pair) for pair in wanted])
    assert all(close(one, other) for one, (other, _) in zip([*found, -lambada["loss"]], answers, strict=True))
    assert lambada["accuracy"] == answers[-1][1]


def test_writing_is_that_of_the_export(ours: HarnessModel, theirs: Any) -> None:
    requests = [
        asked(context, {"until": ["\n\n"], "max_gen_toks": 8, "do_sample": False})
        for context in ("The heron", "one", "é, said")
    ]
    assert ours.generate_until(requests) == theirs.generate_until(requests, disable_tqdm=True)


def test_writing_obeys_the_options_of_the_task(ours: HarnessModel) -> None:
    greedy = ours.model.reading(PIECES, sampling=Sampling(temperature=0))
    (whole,) = greedy.inference(iter([Prompt(text="The heron", max_new_tokens=8)]))
    stop = whole.text[3:5]
    first, again, short = ours.generate_until(
        [
            asked("The heron", {"until": stop, "max_gen_toks": 8}),
            asked("The heron", {"until": stop, "max_gen_toks": 8}),
            asked("The heron", {"until": [], "max_gen_toks": 1, "temperature": 0.0}),
        ]
    )
    assert first == again == whole.text[: whole.text.index(stop)]
    assert whole.text.startswith(short) and len(short) < len(whole.text)
    assert len(ours.generate_until([asked("a", {"max_gen_toks": 4, "do_sample": True, "top_k": 3})])) == 1
    with watching(Drops()) as drops:
        assert len(ours.generate_until([asked("é on the " * 40, {"max_gen_toks": 4})])) == 1
    assert drops.counts["context cut on the left to fit the model"] >= 1
    with pytest.raises(ValueError, match=r"got     max_gen_toks 256\n  wanted  less than max_seq_len 96"):
        ours.generate_until([asked("a", {})])
    with pytest.raises(ValueError, match=r"got     num_beams=4\n  wanted  until, max_gen_toks"):
        ours.generate_until([asked("a", {"num_beams": 4})])


def test_every_answer_is_told_to_the_cache(ours: HarnessModel) -> None:
    told: list[tuple[str, Any, Any]] = []
    ours.set_cache_hook(SimpleNamespace(add_partial=lambda *answer: told.append(answer)))
    found = ours.loglikelihood([asked("a", " b")])
    ours.set_cache_hook(None)
    assert told == [("loglikelihood", ("a", " b"), found[0])]


def test_it_is_known_by_its_name(run: Path) -> None:
    lm_eval = register()
    register()
    manager = lm_eval.tasks.TaskManager(include_path=str(run / "tasks"), include_defaults=False)
    results = lm_eval.simple_evaluate(
        model=NAME, model_args=f"run={run}", tasks=["own_choices"], task_manager=manager, limit=2, device="cpu"
    )
    assert results["n-samples"]["own_choices"]["effective"] == 2
    assert not math.isnan(results["results"]["own_choices"]["acc,none"])
    with pytest.raises(ValueError, match=r"--model gptlab --model_args\n  got     nothing\n  wanted  run=DIRECTORY"):
        HarnessModel.create_from_arg_string("")
    with pytest.raises(ValueError, match="got     run=a, dtype=float16"):
        HarnessModel.create_from_arg_string("run=a,dtype=float16")


@pytest.mark.usefixtures("own_tasks_alone")
def test_the_command_prints_the_table_and_writes_the_results(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found" / "results.json"
    arguments = [str(run), "--tasks", "own_choices", "--include-path", str(run / "tasks"), "--output", str(out)]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "|own_choices|" in said.out
    assert "2 times: context cut on the left to fit the model (" in said.err
    assert json.loads(out.read_text())["results"]["own_choices"]["alias"] == "own_choices"


@pytest.mark.usefixtures("own_tasks_alone")
def test_the_command_says_what_is_wrong(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--tasks", "no_such_task"]) == 2
    assert "--tasks\n  got     no_such_task\n  wanted  names of tasks" in capsys.readouterr().err
    assert main([str(tmp_path), "--tasks", "own_choices", "--include-path", str(run / "tasks")]) == 2
    assert "got     no model\n" in capsys.readouterr().err


def test_without_the_harness_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"got     no module lm_eval\n.*\n  pip install 'gptlab\[eval\]'"):
        register()


def test_a_conversation_is_refused(ours: HarnessModel) -> None:
    assert isinstance(ours.model, DagTransformer)
    assert ours.chat_template() == ""
    with pytest.raises(ValueError, match="a model that was trained on conversations"):
        ours.apply_chat_template([{"role": "user", "content": "a"}])
