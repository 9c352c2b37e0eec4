"""Prompts are filled in one pass from our wording or a user's files, whose mistakes are named."""

import pytest

from affine_trainer.config import Config, load_config
from affine_trainer.envs import task_sets, template_hashes
from affine_trainer.envs.prompts import OWN_TEMPLATES, REQUIRED_SLOTS, Template, load_templates
from affine_trainer.errors import DataError


def test_our_wording_has_every_slot_and_names_the_answer_format():
    for env, slots in REQUIRED_SLOTS.items():
        assert all(f"{{{slot}}}" in OWN_TEMPLATES[env] for slot in slots)
    assert "x1=True, x2=False, ..." in OWN_TEMPLATES["sat"] and "UNSAT" in OWN_TEMPLATES["sat"]
    assert "<INPUT>" in OWN_TEMPLATES["abd"] and "</INPUT>" in OWN_TEMPLATES["abd"]
    assert "```python" in OWN_TEMPLATES["ded"] and "STDIN" in OWN_TEMPLATES["ded"]


def test_a_prompt_is_one_user_message_without_an_unfilled_slot():
    single_turn = load_config(None, ["data.agentgym.environments=[]"])
    for env, tasks in task_sets(single_turn, None).items():
        for task in tasks.tasks(range(20)):
            [message] = task.prompt
            assert message.role == "user"
            slots = REQUIRED_SLOTS[env.removeprefix("affine:")]
            assert not any(f"{{{slot}}}" in message.content for slot in slots)


def test_braces_in_a_value_and_of_other_words_stay_as_they_are():
    template = Template("abd", "{program} | {output} | {other}")
    [message] = template.fill(program="print({output}, {'a': 1})", output="{program}")
    assert message.content == "print({output}, {'a': 1}) | {program} | {other}"


def test_a_folder_of_templates_words_the_prompts(tmp_path):
    (tmp_path / "sat.txt").write_text("Löse {formula} mit {n} Variablen\n", encoding="utf-8")
    config = load_config(None, [f"data.prompts={tmp_path}"])
    tasks = task_sets(config, None)
    [task] = tasks["affine:sat"].tasks([0])
    own = task_sets(Config(), None)
    assert task.prompt[0].content.startswith("Löse (")
    assert task.prompt[0].content.endswith(" Variablen")
    assert task.content_sha256 == own["affine:sat"].tasks([0])[0].content_sha256
    assert tasks["affine:abd"].tasks([0]) == own["affine:abd"].tasks([0])


def test_the_hashes_tell_which_wording_changed(tmp_path):
    (tmp_path / "ded.txt").write_text("{prompt} Go.")
    ours, theirs = template_hashes(Config()), template_hashes(load_config(None, [f"data.prompts={tmp_path}"]))
    assert {env for env in ours if ours[env] != theirs[env]} == {"ded"}


def test_a_missing_slot_is_named_with_its_file(tmp_path):
    (tmp_path / "abd.txt").write_text("Program: {program}, and its {outptu}")
    with pytest.raises(DataError, match=r"abd\.txt lacks the slot \{output\}"):
        load_templates(str(tmp_path))


def test_a_folder_without_a_template_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds none of sat\.txt, abd\.txt, ded\.txt"):
        load_templates(str(tmp_path / "nowhere"))


def test_a_template_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "sat.txt").write_bytes(b"{formula} \xff")
    with pytest.raises(DataError, match=r"sat\.txt is not UTF-8 text \(byte 10\)"):
        load_templates(str(tmp_path))
