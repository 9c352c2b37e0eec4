"""Recipe files in the format of the game become a book that is played, and our book becomes such files."""

import json

import pytest

from affine_trainer.envs.textcraft import TextCraftGames, generated_book, load_recipes, write_recipes
from affine_trainer.envs.textcraft.recipes import Part, Recipe, read_command
from affine_trainer.errors import AffineError, DataError

SHAPED = {
    "type": "minecraft:crafting_shaped",
    "pattern": ["XX", "XX", " / "],
    "key": {"X": {"tag": "minecraft:planks"}, "/": [{"item": "minecraft:rod"}, {"item": "minecraft:pole"}]},
    "result": {"item": "minecraft:wide_board", "count": 2},
}


def shapeless(ingredients, result, **more):
    return {"type": "crafting_shapeless", "ingredients": ingredients, "result": result, **more}


def planks(wood):
    log = {"item": f"minecraft:{wood}_log"}
    return shapeless([log], {"item": f"minecraft:{wood}_planks", "count": 4}, group="planks")


def put(folder, below="recipes", **files):
    (folder / below).mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / below / f"{name}.json").write_text(json.dumps(data))
    return folder


def test_shaped_shapeless_groups_and_alternatives_are_read(tmp_path):
    stick = shapeless([{"tag": "minecraft:planks"}] * 2, "minecraft:stick")
    reed_stick = shapeless([{"item": "minecraft:reed"}, {"item": "minecraft:sap"}], "minecraft:stick")
    smelting = {"type": "minecraft:smelting", "ingredient": {"item": "minecraft:sand"}, "result": "glass"}
    put(tmp_path, board=SHAPED, oak=planks("oak"), pine=planks("pine"), glass=smelting)
    book = load_recipes(put(tmp_path, stick=stick, stick_2=reed_stick))
    assert book.recipes == {
        "wide board": (Recipe("wide board", 2, (Part(4, "planks"), Part(1, "rod"))),),
        "oak planks": (read_command("craft 4 oak planks using 1 oak log"),),
        "pine planks": (read_command("craft 4 pine planks using 1 pine log"),),
        "stick": (
            read_command("craft 1 stick using 2 planks"),
            read_command("craft 1 stick using 1 reed, 1 sap"),
        ),
    }
    assert book.tags == {"planks": ("oak planks", "pine planks")}
    assert {name for name in book.items if book.fetchable(name)} == {
        "oak log",
        "pine log",
        "rod",
        "reed",
        "sap",
    }
    assert [book.depth(name) for name in ("rod", "stick", "wide board", "planks")] == [0, 1, 2, 1]


def test_the_newer_way_of_writing_recipes_is_read(tmp_path):
    frame = {
        "type": "minecraft:crafting_shaped",
        "pattern": ["PPP"],
        "key": {"P": "#minecraft:boards"},
        "result": {"id": "minecraft:frame", "count": 1},
    }
    board = shapeless(["minecraft:oak_log"], {"id": "minecraft:oak_board"})
    put(tmp_path, "recipe", frame=frame, board=board)
    things = {"values": ["minecraft:oak_board", {"id": "minecraft:pole", "required": False}]}
    put(tmp_path, "tags/item", boards={"values": ["#minecraft:things"]}, things=things)
    book = load_recipes(tmp_path)
    assert book.tags == {"boards": ("oak board", "pole")}
    assert book.match("frame", [Part(3, "oak board")]) == read_command("craft 1 frame using 3 boards")


def test_a_generic_ingredient_that_nothing_makes_is_an_item_to_fetch(tmp_path):
    torch = shapeless([{"tag": "minecraft:coals"}, {"item": "minecraft:stick"}], "minecraft:torch")
    book = load_recipes(put(tmp_path, torch=torch))
    assert book.tags == {} and book.fetchable("coals")


def test_circles_and_unpacked_blocks_are_passed_over(tmp_path):
    nugget = {"item": "minecraft:nugget"}
    book = load_recipes(
        put(
            tmp_path,
            a_ingot=shapeless([nugget] * 9, "minecraft:ingot"),
            b_nugget=shapeless([{"item": "minecraft:ingot"}], "minecraft:nugget"),
            c_gem=shapeless([{"item": "minecraft:gem_block"}], {"item": "minecraft:gem", "count": 9}),
        )
    )
    assert set(book.recipes) == {"ingot"}
    assert book.fetchable("nugget") and book.fetchable("gem")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"type": 5}',
        '{"type": "crafting_shapeless", "ingredients": [{}], "result": "minecraft:a"}',
        '{"type": "crafting_shapeless", "ingredients": [], "result": "minecraft:a"}',
    ],
)
def test_a_broken_file_is_named(tmp_path, text):
    put(tmp_path, good=planks("oak"))
    (tmp_path / "recipes" / "broken.json").write_text(text)
    with pytest.raises(DataError, match=r"broken\.json"):
        load_recipes(tmp_path)


def test_a_folder_without_recipes_is_refused(tmp_path):
    with pytest.raises(DataError, match="no crafting recipes"):
        load_recipes(tmp_path / "nowhere")


def test_our_book_survives_being_written_and_read(tmp_path):
    book = generated_book("validation", 2)
    write_recipes(book, tmp_path)
    assert load_recipes(tmp_path) == book
    groups = [
        json.loads(path.read_text()).get("group") for path in (tmp_path / "recipes").glob("*_planks.json")
    ]
    assert groups and set(groups) == {"planks"}


def test_every_recipe_that_is_written_fits_a_crafting_grid(tmp_path):
    write_recipes(generated_book("train", 1), tmp_path)
    for path in (tmp_path / "recipes").glob("*.json"):
        recipe = json.loads(path.read_text())
        assert recipe["type"] == "minecraft:crafting_shapeless" and 1 <= len(recipe["ingredients"]) <= 9


def test_games_over_a_folder_are_played_and_share_no_goal_between_splits(tmp_path):
    write_recipes(generated_book("pretrain", 0), tmp_path)
    games = TextCraftGames(recipes=tmp_path)
    goals = {}
    for split in ("pretrain", "train", "validation", "evaluation"):
        indices = games.indices(split, 200, seed=0)
        goals[split] = {games.task(index).goal for index in indices}
        for index in indices[:40]:
            game = games.start(index)
            expert, observation = games.expert(game), game.observe()
            for _ in range(12):
                observation = game.act(expert.move(observation).action).observation
                if game.success:
                    break
            assert game.success
    assert sum(map(len, goals.values())) == len(set().union(*goals.values()))


def test_a_few_recipes_of_a_users_own_are_enough_to_play(tmp_path):
    put(tmp_path, board=SHAPED, **{wood: planks(wood) for wood in ("oak", "pine", "elm", "ash")})
    games = TextCraftGames(recipes=tmp_path)
    for split in ("pretrain", "train", "validation", "evaluation"):
        [index] = games.indices(split, 1, seed=0)
        game = games.start(index)
        expert, observation = games.expert(game), game.observe()
        while not game.success:
            observation = game.act(expert.move(observation).action).observation


def test_a_split_without_goals_is_refused_with_the_reason(tmp_path):
    games = TextCraftGames(recipes=put(tmp_path, oak=planks("oak")))
    assert (
        games.start(0).observe()
        == "Crafting commands:\ncraft 4 oak planks using 1 oak log\n\nGoal: craft oak planks."
    )
    with pytest.raises(AffineError, match="too few recipes for a train split"):
        games.start(2_000_000)
