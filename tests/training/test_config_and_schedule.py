"""TrainerConfig refuses with four parts; the schedule is what its docstring says."""

import itertools
import json
import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.storage import from_config, to_config
from gptlab.training import TrainerConfig, TrainingError, learning_rate
from gptlab.training.schedule import batches_at, batches_before, rate_function, step_seed

BATCHES = "pairs (step, batches), steps ascending from 0 or more, batches of at least 1"

configs = st.builds(
    TrainerConfig,
    steps=st.integers(1, 300),
    warmup_steps=st.integers(0, 400),
    learning_rate=st.floats(1e-6, 10),
    min_learning_rate_ratio=st.floats(0, 1),
    schedule=st.sampled_from(["cosine", "wsd", "constant"]),
)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("steps", 0, "a whole number of at least 1"),
        ("steps", 10.0, "a whole number of at least 1"),
        ("steps", True, "a whole number of at least 1"),
        ("learning_rate", 0, "more than 0"),
        ("learning_rate", math.nan, "more than 0"),
        ("learning_rate", math.inf, "more than 0"),
        ("learning_rate", "0.1", "more than 0"),
        ("min_learning_rate_ratio", 1.5, "from 0 to 1"),
        ("warmup_steps", -1, "a whole number of at least 0"),
        ("schedule", "linear", "one of 'cosine', 'wsd', 'constant', or the import path of a function"),
        ("schedule", "a..b", "one of 'cosine', 'wsd', 'constant', or the import path of a function"),
        ("groups", (("*", -1.0, 0.0),), "triples of a pattern, a factor and a weight decay of 0 or more"),
        ("groups", (("*", 1.0),), "triples of a pattern, a factor and a weight decay of 0 or more"),
        ("ema", 1.0, "above 0 and below 1, or None"),
        ("z_loss", -1e-4, "0 or more"),
        ("batch_schedule", ((5, 2), (5, 3)), BATCHES),
        ("batch_schedule", ((-1, 2),), BATCHES),
        ("batch_schedule", ((0, 0),), BATCHES),
        ("batch_schedule", ((0,),), BATCHES),
        ("patience", 0, "a whole number of at least 1, or None"),
        ("patience", 1.5, "a whole number of at least 1, or None"),
        ("checkpoint_minutes", 0.0, "more than 0, or None"),
        ("spike", 0.0, "more than 0, or None"),
        ("parallel", "pipeline", "one of 'ddp', 'fsdp'"),
        ("optimizer", "sgd", "one of 'adamw', 'muon'"),
        ("dtype", "float16", "one of 'float32', 'bfloat16', 'auto'"),
        ("weight_decay", -0.1, "0 or more"),
        ("betas", (0.9, 1.0), "a tuple of two numbers, each from 0 to below 1"),
        ("betas", (0.9,), "a tuple of two numbers, each from 0 to below 1"),
        ("clip", 0.0, "more than 0, or None"),
        ("accumulate", 0, "a whole number of at least 1"),
        ("evaluate_every", 0, "a whole number of at least 1"),
        ("checkpoint_every", 0, "a whole number of at least 1"),
        ("keep_last", 0, "a whole number of at least 1"),
        ("seed", -1, "a whole number of at least 0"),
    ],
)
def test_every_setting_is_checked_with_four_parts(name, value, wanted):
    default = attrs.fields_dict(TrainerConfig)[name].default
    with pytest.raises(TrainingError) as error:
        _unchecked(name, value)
    assert str(error.value) == (
        f"TrainerConfig.{name}\n  got     {value!r}\n  wanted  {wanted}\n  Set {name}; the default is {default!r}."
    )


def _unchecked(name, value):
    """Past the run-time type check of the tests, which users do not have: evolve a field and validate."""
    cfg = TrainerConfig()
    object.__setattr__(cfg, name, value)
    attrs.validate(cfg)


def test_all_of_it_is_read_back_from_json():
    cfg = TrainerConfig(
        groups=(("*embedding*", 0.5, 0.0),), batch_schedule=((5, 2), (9, 4)), ema=0.9, patience=3, spike=None
    )
    assert from_config(json.loads(json.dumps(to_config(cfg)))) == cfg


@given(configs, st.data())
def test_the_learning_rate_stays_between_its_bounds(cfg, data):
    step = data.draw(st.integers(0, cfg.steps - 1))
    rate = learning_rate(cfg, step)
    assert rate >= 0
    assert rate <= cfg.learning_rate * (1 + 1e-12)
    if step >= cfg.warmup_steps:
        assert rate >= cfg.learning_rate * cfg.min_learning_rate_ratio * (1 - 1e-12)


@given(configs)
def test_it_rises_in_the_warm_up_and_never_after(cfg):
    rates = [learning_rate(cfg, step) for step in range(cfg.steps)]
    warm = min(cfg.warmup_steps, cfg.steps)
    assert all(a < b for a, b in itertools.pairwise(rates[:warm]))
    assert all(a >= b - 1e-12 * a for a, b in itertools.pairwise(rates[warm:]))


@given(configs.filter(lambda cfg: cfg.schedule != "constant" and cfg.steps - cfg.warmup_steps >= 10))
def test_the_last_step_has_the_lowest_rate(cfg):
    assert learning_rate(cfg, cfg.steps - 1) == pytest.approx(cfg.learning_rate * cfg.min_learning_rate_ratio)
    assert learning_rate(cfg, cfg.warmup_steps) == pytest.approx(cfg.learning_rate)


def test_wsd_is_flat_until_the_last_fifth_and_falls_in_a_line():
    cfg = TrainerConfig(steps=101, warmup_steps=0, learning_rate=1.0, min_learning_rate_ratio=0.0, schedule="wsd")
    rates = [learning_rate(cfg, step) for step in range(101)]
    assert rates[:82] == [1.0] * 82
    falls = [a - b for a, b in itertools.pairwise(rates[81:])]
    assert falls == pytest.approx([1 / 19] * 19)


def test_cosine_is_half_way_down_half_way():
    cfg = TrainerConfig(steps=101, warmup_steps=0, learning_rate=1.0, min_learning_rate_ratio=0.2)
    assert learning_rate(cfg, 50) == pytest.approx(0.6)
    assert learning_rate(cfg, 25) == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi / 4)) / 2)


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**40))
def test_seeds_fit_torch_and_differ_by_step(seed, step, other):
    assert 0 <= step_seed(seed, step) < 2**63
    assert (step_seed(seed, step) == step_seed(seed, other)) == (step == other)


batch_schedules = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), unique_by=lambda pair: pair[0]).map(
    lambda pairs: tuple(sorted(pairs))
)


@given(batch_schedules, st.integers(1, 4), st.integers(0, 60))
def test_the_place_in_the_data_is_the_sum_of_all_steps_before(pairs, accumulate, step):
    cfg = TrainerConfig(accumulate=accumulate, batch_schedule=pairs)
    assert batches_before(cfg, step) == sum(batches_at(cfg, earlier) for earlier in range(step))
    for begin, count in pairs:
        assert batches_at(cfg, begin) == count


def halves(cfg: TrainerConfig, step: int) -> float:
    return cfg.learning_rate / 2**step


def needs_more(cfg: TrainerConfig, step: int, other: int) -> float:
    return 0.0


def test_any_function_of_the_step_is_a_schedule_by_its_name():
    cfg = TrainerConfig(learning_rate=1.0, schedule="test_config_and_schedule.halves")
    assert from_config(to_config(cfg)) == cfg
    rate = rate_function(cfg, allow=("test_config_and_schedule",))
    assert [rate(cfg, step) for step in range(3)] == [1.0, 0.5, 0.25]


@pytest.mark.parametrize(
    ("name", "allow"),
    [("halves", ()), ("nothing", ("test_config_and_schedule",)), ("needs_more", ("test_config_and_schedule",))],
)
def test_a_schedule_that_is_no_such_function_is_refused(name, allow):
    cfg = TrainerConfig(schedule=f"test_config_and_schedule.{name}")
    with pytest.raises(TrainingError) as error:
        rate_function(cfg, allow)
    assert str(error.value).startswith(f"TrainerConfig.schedule\n  got     'test_config_and_schedule.{name}': ")
    assert str(error.value).endswith(
        "  wanted  the import path of a function (cfg, step) -> learning rate\n"
        "  Define it at the top of a module, and name it as `package.module.function`."
    )


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(1, 64))
def test_ranks_draw_numbers_of_their_own(seed, step, rank):
    assert step_seed(seed, step, rank) != step_seed(seed, step)
