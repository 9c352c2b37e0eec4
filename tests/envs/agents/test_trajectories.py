"""AgentTraj files: written, read back, and refused by the item that is wrong."""

import json

import pytest

from affine_trainer.envs.agents.trajectories import Trajectory, read_trajectories, trajectories_json
from affine_trainer.errors import DataError
from affine_trainer.records import Message

PROMPT = (Message("user", "rules"), Message("assistant", "OK."), Message("user", "page one"))
TURNS = (Message("assistant", "Action: a"), Message("user", "page two"), Message("assistant", "Action: b"))
PLAY = Trajectory("webshop", 6, PROMPT, TURNS)


def test_a_written_file_reads_back(tmp_path) -> None:
    path = tmp_path / "plays.json"
    path.write_text(trajectories_json([PLAY, PLAY._replace(item=7)]))
    assert read_trajectories(path) == [PLAY, PLAY._replace(item=7)]
    [first, _] = json.loads(path.read_text())
    assert first["item_id"] == "webshop_6"
    assert [line["loss"] for line in first["conversations"]] == [None, False, None, True, None, True]
    assert {line["from"] for line in first["conversations"]} == {"human", "gpt"}


def test_an_observation_that_nobody_answers_is_left_out(tmp_path) -> None:
    record = PLAY.record()
    record["conversations"].append({"from": "human", "loss": None, "value": "the end"})
    (tmp_path / "plays.json").write_text(json.dumps([record]))
    assert read_trajectories(tmp_path / "plays.json") == [PLAY]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "is not a JSON file"),
        ("[]", "should hold a list of plays"),
        ('[{"item_id": "webshop_1"}]', "item 0 lacks an item_id such as webshop_6, or conversations"),
        ('[{"item_id": "chess_1", "conversations": []}]', "item 0 is of the environment 'chess'"),
        ('[{"item_id": "webshop_x", "conversations": []}]', "item 0 lacks an item_id"),
        (
            '[{"item_id": "webshop_1", "conversations": [{"from": "gpt", "loss": false, "value": "x"}]}]',
            "item 0 has no reply to learn from",
        ),
    ],
)
def test_what_is_no_play_is_named(tmp_path, text: str, fault: str) -> None:
    (tmp_path / "plays.json").write_text(text)
    with pytest.raises(DataError, match=fault):
        read_trajectories(tmp_path / "plays.json")


def test_a_file_that_is_not_there_is_named_with_its_key(tmp_path) -> None:
    with pytest.raises(DataError, match=r"data.agentgym.trajectories: .*nowhere.json does not exist"):
        read_trajectories(tmp_path / "nowhere.json")
