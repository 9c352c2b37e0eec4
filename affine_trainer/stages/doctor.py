"""What this machine has, and what the configuration would need of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import rich
from rich.table import Table

from affine_trainer import __version__
from affine_trainer.config import Config
from affine_trainer.config.cores import usable_cores
from affine_trainer.device import describe_device, usable_ram
from affine_trainer.memory import Architecture, Estimate, architecture_of, estimates, num_trainable
from affine_trainer.policies.model_names import model_path
from affine_trainer.sandbox import isolation_level
from affine_trainer.stages.workload import played_rows

GIB = 2**30
FULL_TUNING_RATE = 5e-5  # a learning rate at or below this is one of full fine-tuning
FEWEST_EVALUATED = 200  # below this the validators' default scoring counts an environment as lost


@dataclass(frozen=True, slots=True)
class Package:
    """An installed dependency against the range that the package asks for."""

    name: str
    version: str | None
    wanted: str
    ok: bool


def doctor(config: Config, *, as_json: bool = False) -> dict[str, Any]:
    """Print (and return) machine, packages, sandbox level, and the memory of every stage with a verdict."""
    device = describe_device()
    on_gpu = device["type"] == "cuda"
    model = architecture_of(model_path(config.model.name))
    needs = estimates(config, model, on_gpu=on_gpu, played=played_rows(config)) if model else []
    report = {
        "version": __version__,
        "machine": {
            "device": device,
            "cores": usable_cores(),
            "ram_bytes": usable_ram(),
            "disk_free_bytes": shutil.disk_usage(Path.cwd()).free,
            "isolation": isolation_level(),
        },
        "packages": [asdict(package) for package in packages()],
        "model": {"name": config.model.name, **_sizes(config, model)},
        "stages": [verdict(need, device["memory_bytes"], usable_ram()) for need in needs],
        "notes": notes(config, model, device),
    }
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        _show(report)
    return report


def packages() -> list[Package]:
    """Every dependency of the installed package; without one (a bare checkout) none."""
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(text) for text in metadata.requires("affine-trainer") or ()]
    except metadata.PackageNotFoundError:
        return []
    return [
        _package(need) for need in requirements if need.marker is None or need.marker.evaluate({"extra": ""})
    ]


def _package(need: Any) -> Package:
    try:
        version = metadata.version(need.name)
    except metadata.PackageNotFoundError:
        return Package(need.name, None, str(need.specifier), False)
    return Package(
        need.name, version, str(need.specifier), need.specifier.contains(version, prereleases=True)
    )


def verdict(need: Estimate, device_bytes: int, ram_bytes: int) -> dict[str, Any]:
    """The estimate against the memory it is taken from: the GPU's for the stages that run there, else RAM."""
    available = device_bytes if need.on_gpu else ram_bytes
    return {
        "stage": need.stage,
        "memory": "GPU" if need.on_gpu else "RAM",
        "parts_bytes": need.parts,
        "total_bytes": need.total,
        "available_bytes": available,
        "fits": need.total <= available,
    }


def notes(config: Config, model: Architecture | None, device: dict[str, Any]) -> list[str]:
    """What a person should know about this config on this machine, a sentence each."""
    training, found = config.training, []
    if model is None:
        found.append(
            f"the sizes of {config.model.name} cannot be known from here, so there is no memory estimate; "
            "name a local folder that holds its config.json"
        )
    if device["type"] != "cuda":
        found.append("this machine has no GPU that torch can use: models train and answer on the CPU")
    if training.bf16 and not device["bf16"]:
        found.append(
            "training.bf16 is true, but this device does not compute in bfloat16: sft and rl refuse to start"
        )
    if training.use_lora and training.learning_rate <= FULL_TUNING_RATE:
        found.append(
            "LoRA's best learning rate is about 10x that of full fine-tuning; "
            f"training.learning_rate {training.learning_rate:g} is low for it"
        )
    if config.data.affine.sat_family == "validator" and "sat" in config.data.affine.environments:
        found.append(
            "answering all-True solves 94 % of the validator's SAT tasks: little can be gained there"
        )
    if config.evaluation.num_samples < FEWEST_EVALUATED:
        found.append(f"the validators count an environment with fewer than {FEWEST_EVALUATED} tasks as lost")
    return found


def _sizes(config: Config, model: Architecture | None) -> dict[str, int | None]:
    if model is None:
        return {"num_parameters": None, "num_trainable": None}
    return {"num_parameters": model.num_parameters, "num_trainable": num_trainable(config, model)}


def _show(report: dict[str, Any]) -> None:
    console = rich.get_console()
    machine, model = report["machine"], report["model"]
    device = machine["device"]
    facts = Table("machine", "", box=None, pad_edge=False)
    facts.add_row("device", f"{device['type']}: {device['name']}, {gib(device['memory_bytes'])}")
    facts.add_row("bfloat16", "yes" if device["bf16"] else "no")
    facts.add_row("cores", f"{machine['cores']} ({device['threads']} torch threads)")
    facts.add_row("RAM", gib(machine["ram_bytes"]))
    facts.add_row("disk", f"{gib(machine['disk_free_bytes'])} free here")
    facts.add_row("sandbox", f"isolation level {machine['isolation']}")
    console.print(facts, "")
    _show_packages(report["packages"])
    if report["stages"]:
        console.print(
            f"\n{model['name']}: {model['num_parameters'] / 1e6:,.1f} M parameters, "
            f"{model['num_trainable'] / 1e6:,.1f} M of them trained",
            highlight=False,
        )
        console.print(_memory_table(report["stages"]))
    for note in report["notes"]:
        console.print(f"note: {note}", highlight=False, soft_wrap=True, markup=False)


def _show_packages(found: list[dict[str, Any]]) -> None:
    console = rich.get_console()
    wrong = [package for package in found if not package["ok"]]
    for package in wrong:
        console.print(
            f"{package['name']} {package['version'] or 'is missing'}; wanted {package['wanted']}", style="red"
        )
    if found and not wrong:
        console.print(
            f"packages: all {len(found)} within the ranges of affine {__version__}", highlight=False
        )
    if not found:
        console.print("packages: affine-trainer is not installed, so no ranges are known (pip install -e .)")


def _memory_table(stages: list[dict[str, Any]]) -> Table:
    table = Table("stage", "needs", "of", "of which", "verdict", box=None, pad_edge=False)
    for stage in stages:
        largest = sorted(stage["parts_bytes"].items(), key=lambda part: -part[1])
        table.add_row(
            stage["stage"],
            gib(stage["total_bytes"]),
            f"{gib(stage['available_bytes'])} {stage['memory']}",
            ", ".join(f"{name} {gib(size)}" for name, size in largest if size >= 0.05 * GIB),
            "[green]fits[/]" if stage["fits"] else "[red]does not fit[/]",
        )
    return table


def gib(size: int) -> str:
    return f"{size / GIB:,.1f} GiB"
