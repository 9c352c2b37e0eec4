"""The config: every mistake at once in plain words, shipped files, `--set`, and that every key is read."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from affine_trainer.config import Config, config_from_record, flatten, load_config, resolved_yaml
from affine_trainer.errors import ConfigError
from tests.config_reads import SECTIONS, keys_read, leaf_keys, unread_keys

ROOT = Path(__file__).parents[1]
SHIPPED = [ROOT / "config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))]


def mistakes(text: str, tmp_path: Path, overrides=()) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return str(caught.value)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_config_loads(path):
    assert load_config(path).run


def test_config_yaml_is_the_embedded_default_written_out_in_full():
    path = ROOT / "config.yaml"
    assert load_config(path) == Config() == load_config(None)
    assert resolved_keys(yaml.safe_load(path.read_text())) == set(flatten(Config()))


def resolved_keys(tree: dict, prefix: str = "") -> set[str]:
    keys = set()
    for key, value in tree.items():
        nested = isinstance(value, dict) and value
        keys |= resolved_keys(value, f"{prefix}{key}.") if nested else {prefix + key}
    return keys


def test_every_key_of_config_yaml_has_a_comment():
    for line in (ROOT / "config.yaml").read_text().splitlines():
        if re.match(r"\s+\w+: *\S", line):
            assert re.search(r"\S +# \w", line), line


def test_every_number_has_a_range():
    for path, section in SECTIONS.items():
        for name, field in section.model_fields.items():
            if field.annotation in (int, float):
                bounds = {type(bound).__name__ for bound in field.metadata}
                assert bounds & {"Ge", "Gt"} and bounds & {"Le", "Lt"}, f"{path}.{name}"


def test_the_guides_values_are_in_the_qwen_config():
    config = load_config(ROOT / "configs" / "qwen3-4b.yaml")
    training, rl, data = config.training, config.rl_training, config.data
    assert config.model.name == "Qwen/Qwen3-4B"
    assert (training.lora_r, training.lora_alpha, training.lora_dropout) == (64, 128, 0.05)
    assert len(training.lora_target_modules) == 7
    assert (training.num_epochs, training.batch_size, training.gradient_accumulation_steps) == (3, 2, 8)
    assert (training.learning_rate, training.warmup_steps, training.weight_decay) == (2e-5, 100, 0.01)
    assert (training.lr_schedule, training.min_lr_ratio, training.save_total_limit) == ("cosine", 0.1, 3)
    assert training.bf16 and training.gradient_checkpointing
    assert (rl.ppo_epochs, rl.num_rollouts, rl.rollout_batch_size) == (4, 100, 4)
    assert (rl.clip_range, rl.vf_coef, rl.entropy_coef) == (0.2, 0.5, 0.01)
    assert (rl.gamma, rl.gae_lambda, rl.learning_rate) == (0.99, 0.95, 1e-5)
    assert (data.num_samples, data.train_split, config.evaluation.num_samples) == (10_000, 0.9, 200)
    assert (data.affine.sat_family, data.affine.programs) == ("validator", "satpalsr/rl-python")
    statistics = config.sampling
    assert (statistics.confidence_level, statistics.beta_prior_alpha, statistics.beta_prior_beta) == (
        0.8,
        0.5,
        0.5,
    )


def test_all_mistakes_of_a_file_are_reported_at_once(tmp_path):
    text = """
training:
  num_epochs: three
  lora_dropout: 1.5
  num_epoch: 3
  lora_target_modules: q_proj
  warmup_steps: "20"
  bf16: maybe
rl_training:
  gae_lambda: 2
  entropy_coefficient: .1
  num_rollouts: 2.5
data:
  affine:
    environments: [sat, xyz]
    weights: {sat: 1, foo: 2}
tracking:
  wandb_project: 3
hardware: {device: cuda}
"""
    lines = mistakes(text, tmp_path).splitlines()
    assert lines[0].endswith("config.yaml has 13 mistakes:")
    assert set(lines[1:]) == {
        "  training.num_epochs: expected a whole number, got 'three'",
        "  training.lora_dropout: must be below 1, got 1.5",
        "  training.num_epoch: unknown key; did you mean training.num_epochs?",
        "  training.lora_target_modules: expected a list, got 'q_proj'",
        "  training.warmup_steps: expected a whole number, got '20' (leave out the quotes)",
        "  training.bf16: expected true or false, got 'maybe'",
        "  rl_training.gae_lambda: must be at most 1, got 2",
        "  rl_training.entropy_coefficient: is now rl_training.entropy_coef",
        "  rl_training.num_rollouts: expected a whole number, got 2.5",
        "  data.affine.environments[1]: expected sat, abd or ded, got 'xyz'",
        "  data.affine.weights.foo: unknown key; there are sat, abd or ded",
        "  tracking.wandb_project: expected text, got 3 (put it in quotes)",
        "  hardware: is gone: the device is found by itself, bf16 is training.bf16, "
        "and several GPUs are used by starting the stage with torchrun",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lora_r: 3", "lora_r: unknown key; did you mean training.lora_r?"),
        ("learning_rate: 1", "did you mean training.learning_rate or rl_training.learning_rate?"),
        ("zzz: 1", "zzz: unknown key; the file has run, seed, model,"),
        ("sampling: {qqqq: 1}", "sampling.qqqq: unknown key; sampling has confidence_level,"),
        (
            "model: {dtype: bfloat}",
            "expected auto, float32 or bfloat16, got 'bfloat' (did you mean bfloat16?)",
        ),
        (
            "rl_training: {value_loss_coefficient: 1}",
            "rl_training.value_loss_coefficient: is now rl_training.vf_coef",
        ),
        ("huggingface: {repo: x}", "huggingface: is gone: log in with `hf auth login`"),
        (
            "data: {agentgym: {environments: [web]}}",
            "data.agentgym.environments[0]: expected babyai, sciworld, textcraft, alfworld or webshop, "
            "got 'web' (did you mean webshop?)",
        ),
        ("run: ../up", "run: must start with a letter or digit"),
        ("run: ''", "run: "),
        ("run: 2025", "run: expected text, got 2025 (put it in quotes)"),
        ("run: on", "run: expected text, got true (put it in quotes)"),
        ("model: {name: ''}", "model.name: must not be empty"),
        ("model: {name: null}", "model.name: expected text, got nothing"),
        ("model: nano", "model: expected a section of keys and values, got 'nano'"),
        ("training: {num_epochs: true}", "training.num_epochs: expected a whole number, got true"),
        ("training: {learning_rate: .inf}", "training.learning_rate: expected a finite number"),
        ("training: {learning_rate: .nan}", "training.learning_rate: expected a finite number"),
        ("training: {learning_rate: 0}", "training.learning_rate: must be above 0, got 0"),
        ("training: {batch_size: 0}", "training.batch_size: must be at least 1, got 0"),
        (
            "data: {affine: {environments: []}, agentgym: {environments: []}}",
            "data: affine.environments, agentgym.environments and custom.environments are all empty",
        ),
        ("data: {affine: {environments: [sat, sat]}}", "data.affine: environments names one twice"),
        ("data: {affine: {weights: {sat: 1}}}", "data.affine: weights needs a number above 0 for abd, ded"),
        ("data: {affine: {weights: {sat: -1}}}", "data.affine.weights.sat: must be at least 0, got -1"),
        (
            "rl_training: {mini_batch_size: 48}",
            "rollout_batch_size (256) must be a multiple of mini_batch_size (48)",
        ),
        (
            "rl_training: {samples_per_task: 12}",
            "micro_batch_size (64) must be a multiple of samples_per_task (12)",
        ),
        (
            "rl_training: {samples_per_task: 1}",
            "advantage: group compares a task's episodes; give samples_per_task at least 2",
        ),
        (
            "rl_training: {normalize_advantages: true}",
            "rl_training.normalize_advantages: true is now `scale` (deviation 1",
        ),
        (
            "rl_training: {normalize_advantages: false}",
            "rl_training.normalize_advantages: false is now `none`",
        ),
        (
            "rl_training: {normalize_advantages: whiten}",
            "rl_training.normalize_advantages: expected batch, ema, scale or none, got 'whiten'",
        ),
        (
            "rl_training: {whiten_advantages: true}",
            "rl_training.whiten_advantages: is now rl_training.normalize_advantages",
        ),
        (
            "rl_training: {algorithm: reinforce}",
            "learns from each episode once, with the policy that sampled it; set ppo_epochs to 1 (it is 2)",
        ),
        (
            "rl_training: {algorithm: grpo, advantage: gae, oversampling: 1}",
            "algorithm: grpo compares a task's episodes; set advantage to group",
        ),
        (
            "rl_training: {advantage: baseline, oversampling: 1, vf_coef: 0}",
            "advantage: baseline needs a critic that learns; set vf_coef above 0, as in 0.5",
        ),
        (
            "rl_training: {advantage: critic}",
            "rl_training.advantage: expected gae, group, baseline or vine, got 'critic'",
        ),
        (
            "rl_training: {min_rollouts: 17}",
            "min_rollouts (17) must be at most max_rollouts (16)",
        ),
        (
            "rl_training: {advantage: vine, oversampling: 1, gae_level: token}",
            "advantage: vine discounts by turns",
        ),
        (
            "rl_training: {advantage: vine, oversampling: 1}\n"
            "data: {agentgym: {base_urls: {webshop: 'http://localhost:1'}}}",
            "which a server cannot do; take webshop out of data.agentgym.base_urls",
        ),
        (
            "rl_training: {micro_batch_size: 48}",
            "mini_batch_size (64) must be a multiple of micro_batch_size (48)",
        ),
        ("seed: 1\nrun: a\nseed: 2", "seed: given more than once (lines 1 and 3)"),
        ("training:\n  lora_r: 1\n  lora_r: 2", "training.lora_r: given more than once (lines 2 and 3)"),
        ("a: b: c", "line 1: mapping values are not allowed here"),
        ("run: a\n\tseed: 1", "line 2: found character '\\t' that cannot start any token"),
        ("a: !!python/object:os.system x", "line 1: could not determine a constructor"),
        ("a: 1\n---\nb: 2", "line 2: "),
        ("run: &x [*x]", "holds something that is no plain value"),
        ("run: &x {a: {b: *x}}", "holds something that is no plain value"),
        ("", "is empty: write at least one key"),
        ("# only a comment", "is empty: write at least one key"),
        ("- run", "should hold sections of keys and values, but holds a list"),
        ("nano", "should hold sections of keys and values, but holds only 'nano'"),
    ],
)
def test_a_mistake_is_a_sentence_that_says_where_and_what(text, message, tmp_path):
    assert message in mistakes(text, tmp_path)


def test_keys_that_do_not_fit_together_are_named_all_at_once_and_beside_wrong_ones(tmp_path):
    text = """
seed: one
rl_training: {mini_batch_size: 48, min_rollouts: 17, advantage: vine, weights: {sat: 1, chess: 2}}
data: {affine: {weights: {sat: 1}}, agentgym: {base_urls: {webshop: 'http://localhost:1'}}}
endpoint: {url: 'http://localhost:1'}
"""
    lines = mistakes(text, tmp_path).splitlines()
    assert lines[0].endswith("config.yaml has 9 mistakes:")
    for words in (
        "seed: expected a whole number",
        "rl_training: rollout_batch_size (256) must be a multiple of mini_batch_size (48)",
        "rl_training: mini_batch_size (48) must be a multiple of micro_batch_size (64)",
        "rl_training: min_rollouts (17) must be at most max_rollouts (16)",
        "rl_training: oversampling picks tasks",
        "data.affine: weights needs a number above 0 for abd, ded",
        "endpoint: url needs model as well",
        "rl_training.advantage: vine puts environments back into earlier states",
        "rl_training.weights.chess: unknown key",
    ):
        assert any(words in line for line in lines), words


def test_what_a_wrong_or_misspelt_key_might_have_said_is_not_guessed_at(tmp_path):
    wrong = mistakes("rl_training: {mini_batch_size: many, rollout_batch_size: 32}", tmp_path)
    assert len(wrong.splitlines()) == 2, wrong
    misspelt = mistakes("rl_training: {mini_batchsize: 32, rollout_batch_size: 32}", tmp_path)
    assert len(misspelt.splitlines()) == 2, misspelt


def test_a_missing_file_is_named_with_the_nearest_name(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 1")
    with pytest.raises(ConfigError, match=r"conifg\.yaml does not exist \(did you mean .*config\.yaml\?\)"):
        load_config(tmp_path / "conifg.yaml")


def test_a_folder_and_a_binary_file_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"run: \xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "binary.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-5", 2e-5),
        ("1.e-5", 1e-5),
        ("2E-5", 2e-5),
        ("1e-3", 1e-3),
        (".5", 0.5),
        ("1", 1.0),
        ("+1e-1", 0.1),
    ],
)
def test_numbers_are_read_as_people_write_them(text, value, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"training: {{learning_rate: {text}}}")
    assert load_config(path).training.learning_rate == value


def test_whole_numbers_are_decimal_and_dates_are_text():
    config = load_config(None, ["seed=010", "data.num_samples=10_000", "run=2025-11-14"])
    assert (config.seed, config.data.num_samples, config.run) == (10, 10_000, "2025-11-14")


def test_a_section_whose_keys_are_all_commented_out_keeps_its_defaults(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("training:\n  # lora_r: 3\nseed: 4\n")
    assert load_config(path) == Config(seed=4)


def test_set_overrides_the_file_and_later_ones_win(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("seed: 1\ntraining: {num_epochs: 7}\n")
    config = load_config(
        path,
        [
            "seed=2",
            "seed=3",
            "training.lora_r=8",
            "training.lora_target_modules=[q_proj, v_proj]",
            "model.revision=",
        ],
    )
    assert (config.seed, config.training.num_epochs, config.training.lora_r) == (3, 7, 8)
    assert config.training.lora_target_modules == ("q_proj", "v_proj")
    assert config.model.revision is None


def test_set_of_one_weight_keeps_the_others_and_a_mapping_replaces_all():
    assert load_config(None, ["data.affine.weights.sat=3"]).data.affine.weights == {
        "sat": 3,
        "abd": 50,
        "ded": 34,
    }
    weights = load_config(None, ["data.affine.weights={sat: 2, abd: 1, ded: 4}"]).data.affine.weights
    assert weights == {"sat": 2, "abd": 1, "ded": 4}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.num_epoch=1", "--set training.num_epoch: unknown key; did you mean training.num_epochs?"),
        ("training.num_epochs=three", "--set training.num_epochs: expected a whole number, got 'three'"),
        ("training.num_epochs", "--set training.num_epochs: expected KEY=VALUE"),
        ("=1", "--set =1: expected KEY=VALUE"),
        ("a..b=1", "--set a..b=1: expected KEY=VALUE"),
        ("seed.x=1", "--set seed.x: seed is a value, not a section"),
        ("run=[a", "--set run: the value '[a' is not valid YAML"),
        ("hardware.device=cuda", "--set hardware: is gone"),
        ("data.affine=sat", "--set data.affine: expected a section of keys and values, got 'sat'"),
    ],
)
def test_a_mistake_in_set_says_so(override, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(None, [override])


def test_a_mistake_in_set_is_reported_beside_those_of_the_file(tmp_path):
    message = mistakes("seed: x\n", tmp_path, ["training.lora_r=0", "seed.deep=1"])
    assert "3 mistakes" in message and "--set training.lora_r: must be at least 1" in message


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("training.lora_r=0", "--set training.lora_r: must be at least 1"),
        ("rl_training.mini_batch_size=48", "--set rl_training: rollout_batch_size (256) must be"),
        ("endpoint.url=http://localhost:1", "--set endpoint: url needs model"),
        ("rl_training.weights={sat: 1, chess: 1}", "--set rl_training.weights.chess: unknown key"),
        ("training.lora_r", "--set training.lora_r: expected KEY=VALUE"),
    ],
)
def test_a_mistake_in_set_is_not_blamed_on_the_file(override, line, tmp_path):
    first, second, *_ = mistakes("seed: 1", tmp_path, [override]).splitlines()
    assert first.startswith("--set has ") and line in second
    both = mistakes("training: {num_epochs: 0}", tmp_path, [override]).splitlines()
    assert "config.yaml with --set has" in both[0]
    assert [each for each in both if "training.num_epochs" in each and "--set" not in each]


def test_a_key_of_the_file_is_not_blamed_on_set(tmp_path):
    message = mistakes("rl_training: {mini_batch_size: 48}", tmp_path, ["rl_training.kl_coef=0.2"])
    assert "--set" not in message


def test_a_value_through_a_section_that_is_a_value_is_refused(tmp_path):
    assert "--set seed.x: seed is a value, not a section" in mistakes("seed: 1", tmp_path, ["seed.x=1"])


def test_text_never_becomes_a_number_in_code_either():
    with pytest.raises(ValueError, match="seed"):
        Config.model_validate({"seed": "3"})


def test_the_config_cannot_be_changed_and_defaults_are_not_shared():
    with pytest.raises(ValueError, match="frozen"):
        Config().seed = 3
    Config().data.affine.weights["sat"] = 9.0
    assert Config().data.affine.weights["sat"] == 14


configs = st.builds(
    lambda run, seed, rate, modules, prompts, weight: [
        f"run={json.dumps(run)}",
        f"seed={seed}",
        f"training.learning_rate={rate!r}",
        f"training.lora_target_modules={json.dumps(modules)}",
        f"data.prompts={json.dumps(prompts)}",
        f"data.affine.weights.sat={weight!r}",
    ],
    st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z"),
    st.integers(0, 2**31 - 1),
    st.floats(1e-12, 1.0),
    st.lists(st.text(st.characters(codec="ascii"), min_size=1), min_size=1, max_size=3),
    st.none() | st.text(max_size=20),
    st.floats(1e-6, 1000.0),
)


@settings(max_examples=60, deadline=None)
@given(configs)
def test_the_resolved_file_reads_back_to_the_same_config(tmp_path_factory, overrides):
    config = load_config(None, overrides)
    path = tmp_path_factory.mktemp("resolved") / "config.yaml"
    path.write_text(resolved_yaml(config), encoding="utf-8")
    assert load_config(path) == config


def test_flatten_gives_every_value_under_its_dotted_key():
    flat = flatten(Config())
    assert flat["training.lora_r"] == 32 and flat["data.affine.weights.sat"] == 14
    assert flat["data.affine.environments"] == ["sat", "abd", "ded"]
    json.dumps(flat)


def test_reading_a_config_imports_no_model_library():
    program = (
        "import sys; from affine_trainer.config import load_config; load_config(None)\n"
        "print([name for name in ('torch', 'transformers', 'numpy', 'wandb') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_every_key_is_read_by_code():
    package = ROOT / "affine_trainer"
    files = [path for path in package.rglob("*.py") if package / "config" not in path.parents]
    assert unread_keys(files) == []


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("def f(config: Config): return config.training.lora_r", {"training", "training.lora_r"}),
        ("def f(config: 'Config | None'): return config.seed", {"seed"}),
        ("def f(c: Config):\n  t = c.training\n  return t.lora_r", {"training", "training.lora_r"}),
        ("def f(c: Config):\n  a, b = c.training, c.model\n  b.name", {"training", "model", "model.name"}),
        ("def f(t: RLConfig): return t.learning_rate", {"rl_training.learning_rate"}),
        ("class A:\n  rl: RLConfig\n  def f(self): return self.rl.gamma", {"rl_training.gamma"}),
        (
            "class A:\n  def __init__(self, c: Config): self.t = c.training\n  def f(self): self.t.lora_r",
            {"training", "training.lora_r"},
        ),
        (
            "class A:\n  def g(my, c: Config):\n    t = c.model\n    my.t = t\n  def f(my): my.t.name",
            {"model", "model.name"},
        ),
        ("c = load_config(None)\ndef f(): return c.run", {"run"}),
        (
            "def f(c: Config):\n  return [g(lambda: c.data.affine.weights) for _ in x]",
            {"data", "data.affine", "data.affine.weights"},
        ),
        ("def f(model): return model.config.seed", set()),
        ("def f(args): return args.learning_rate", set()),
        ("def f(t: TrainingConfig): return t.gamma", set()),
        ("reads = ['training.lora_r']", set()),
    ],
)
def test_the_search_for_reads_follows_sections_and_nothing_else(source, keys):
    assert keys_read(source) == keys


def test_the_search_for_reads_knows_every_key():
    assert {"run", "training.lora_r", "data.affine.weights", "sandbox.output_bytes"} <= set(leaf_keys(Config))
    assert len(list(leaf_keys(Config))) == len(flatten(Config())) - 2 - 4 - 7  # weights are one key a section


def test_a_recorded_config_is_read_as_it_was_and_that_of_another_version_is_none():
    config = Config(run="kept", seed=7)
    assert config_from_record(json.loads(config.model_dump_json())) == config
    assert config_from_record({**config.model_dump(mode="json"), "gone": 1}) is None
