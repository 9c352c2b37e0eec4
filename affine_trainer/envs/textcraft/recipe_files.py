"""Recipe books as folders of recipe files in the game's format, for our engine and for the real server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from affine_trainer.envs.textcraft.recipes import Book, Part, Recipe, by_output, item_id, named_items
from affine_trainer.errors import DataError

RECIPE_FOLDERS = ("recipes", "recipe", ".")
TAG_FOLDERS = ("tags/items", "tags/item")


class RecipeFile(NamedTuple):
    """One file: a recipe, and the generic ingredient that its output is a kind of."""

    recipe: Recipe
    group: str | None


def load_recipes(folder: Path) -> Book:
    """The book of a folder, read as the server reads it.

    Shaped and shapeless recipes are taken from `recipes/` (or the folder itself), in the order of the file
    names; other types are passed over. Of several items that fit a slot the first is taken. The kinds of a
    generic ingredient are the outputs whose `group` has its name and, where `tags/items/` has a file of that
    name, what the file lists. A generic ingredient without a kind that can be crafted becomes an item to
    fetch. Passed over as well: making something of one block, and a recipe that would close a circle.
    DataError for a folder without recipes or a file that cannot be read.
    """
    files = [_read_recipe(path) for path in _json_files(folder, RECIPE_FOLDERS)]
    read = [file for file in files if file is not None]
    if not read:
        raise DataError(f"{folder}: no crafting recipes; put files such as recipes/stick.json there")
    tags = _tags(folder, read)
    recipes = by_output(_without_circles([f.recipe for f in read if not _unblocks(f.recipe)], tags))
    generic = {tag: kinds for tag, kinds in tags.items() if any(kind in recipes for kind in kinds)}
    items = named_items(by_output(file.recipe for file in read), generic)
    return Book(recipes, generic, items)


def write_recipes(book: Book, folder: Path) -> None:
    """Write a book so that `load_recipes`, and the server, read the same one."""
    groups = {kind: tag for tag, kinds in book.tags.items() for kind in kinds}
    for name, recipes in book.recipes.items():
        for number, recipe in enumerate(recipes, start=1):
            suffix = "" if number == 1 else f"_{number}"
            path = folder / "recipes" / f"{_path_of(name)}{suffix}.json"
            _write_json(path, _shapeless(recipe, book, groups.get(name)))
    for tag, kinds in book.tags.items():
        path = folder / "tags" / "items" / f"{_path_of(tag)}.json"
        _write_json(path, {"replace": False, "values": [item_id(kind) for kind in kinds]})


def _shapeless(recipe: Recipe, book: Book, group: str | None) -> dict[str, Any]:
    ingredients = [
        {"tag" if part.name in book.tags else "item": item_id(part.name)}
        for part in recipe.parts
        for _ in range(part.amount)
    ]
    return {
        "type": "minecraft:crafting_shapeless",
        **({"group": _path_of(group)} if group else {}),
        "ingredients": ingredients,
        "result": {"item": item_id(recipe.output), "count": recipe.makes},
    }


def _read_recipe(path: Path) -> RecipeFile | None:
    """The recipe of a file; None when it is not made on a crafting grid."""
    data = _read_json(path)
    try:
        kind = data["type"].removeprefix("minecraft:")
        if kind == "crafting_shaped":
            parts = _shaped_parts(data["pattern"], data["key"])
        elif kind == "crafting_shapeless":
            parts = _shapeless_parts(data["ingredients"])
        else:
            return None
        if not parts:
            raise ValueError("no ingredients")
        output, makes = _result(data["result"])
        return RecipeFile(
            Recipe(output, makes, parts), _name_of(data["group"]) if data.get("group") else None
        )
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise DataError(f"{path}: not a crafting recipe of the game ({error!r})") from error


def _shaped_parts(pattern: list[str], key: Mapping[str, Any]) -> tuple[Part, ...]:
    grid = "".join(pattern)
    return tuple(Part(grid.count(mark), _ingredient(slot)) for mark, slot in key.items() if mark in grid)


def _shapeless_parts(slots: Iterable[Any]) -> tuple[Part, ...]:
    names = [_ingredient(slot) for slot in slots]
    return tuple(Part(names.count(name), name) for name in dict.fromkeys(names))


def _ingredient(slot: Any) -> str:
    """The name in a slot: an object with `item` or `tag`, an id or `#tag`, or a list of these."""
    first = slot[0] if isinstance(slot, list) else slot
    return _name_of(first if isinstance(first, str) else first.get("item") or first["tag"])


def _result(result: Any) -> tuple[str, int]:
    if isinstance(result, str):
        return _name_of(result), 1
    return _name_of(result.get("item") or result["id"]), int(result.get("count") or 1)


def _unblocks(recipe: Recipe) -> bool:
    return len(recipe.parts) == 1 and recipe.parts[0].name.endswith(" block")


def _tags(folder: Path, files: Iterable[RecipeFile]) -> dict[str, tuple[str, ...]]:
    """The kinds of every generic ingredient: of every group, and of every tag that a recipe asks for."""
    files = list(files)
    listed = {_name_of(path.stem): path for path in _json_files(folder, TAG_FOLDERS)}
    asked = {part.name for file in files for part in file.recipe.parts}
    kinds = {tag: dict.fromkeys(_members(tag, listed, ())) for tag in listed if tag in asked}
    for recipe, group in files:
        if group and group != recipe.output:
            kinds.setdefault(group, {})[recipe.output] = None
    return {tag: tuple(names) for tag, names in kinds.items()}


def _members(tag: str, listed: Mapping[str, Path], above: tuple[str, ...]) -> Iterator[str]:
    """The items of a tag file and of the tags it names."""
    if tag not in listed or tag in above:
        return
    for value in _read_json(listed[tag]).get("values", ()):
        name = value if isinstance(value, str) else value["id"]
        if name.startswith("#"):
            yield from _members(_name_of(name), listed, (*above, tag))
        else:
            yield _name_of(name)


def _without_circles(recipes: Iterable[Recipe], tags: Mapping[str, tuple[str, ...]]) -> Iterator[Recipe]:
    """The recipes in their order, but for those whose output one of their parts is made of."""
    made_of: dict[str, set[str]] = {tag: set(kinds) for tag, kinds in tags.items()}

    def leads_to(name: str, goal: str, seen: set[str]) -> bool:
        if name == goal:
            return True
        seen.add(name)
        return any(leads_to(below, goal, seen) for below in made_of.get(name, set()) - seen)

    for recipe in recipes:
        if not any(leads_to(part.name, recipe.output, set()) for part in recipe.parts):
            made_of.setdefault(recipe.output, set()).update(part.name for part in recipe.parts)
            yield recipe


def _json_files(folder: Path, names: Iterable[str]) -> list[Path]:
    """The JSON files of the first of these sub-folders that has any, by name."""
    return next((found for name in names if (found := sorted((folder / name).glob("*.json")))), [])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(data, dict):
        raise DataError(f"{path}: not a JSON object")
    return data


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _name_of(identifier: str) -> str:
    """`#minecraft:oak_planks` is `oak planks`."""
    return identifier.removeprefix("#").rpartition(":")[2].replace("_", " ")


def _path_of(name: str) -> str:
    return name.replace(" ", "_")
