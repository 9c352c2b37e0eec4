"""What this machine has: cores, memory, and an accelerator (torch is imported only when asked for)."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from affine_trainer.config.cores import usable_cores
from affine_trainer.errors import ConfigError

CGROUP_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def describe_device() -> dict[str, Any]:
    """What a manifest records; `memory_bytes` is the GPU's, or the RAM on a CPU."""
    import torch

    kind = training_device()
    if kind == "cuda":
        properties = torch.cuda.get_device_properties(0)
        name, memory = properties.name, properties.total_memory
    else:
        name, memory = _cpu_capabilities().get("cpu_name") or platform.machine(), usable_ram()
    return {
        "type": kind,
        "name": name,
        "count": torch.cuda.device_count() if kind == "cuda" else 1,
        "memory_bytes": memory,
        "bf16": supports_bf16(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
    }


def training_device() -> str:
    """Where models are trained and sampled from: "cuda" when torch sees a GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def supports_bf16() -> bool:
    """Whether the training device computes in bfloat16 natively (a CPU: AVX512-BF16, AMX or Arm BF16)."""
    import torch

    if training_device() == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = _cpu_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def require_bf16() -> None:
    """ConfigError where `training.bf16` is asked of a device that cannot do it."""
    if not supports_bf16():
        raise ConfigError(
            f"training.bf16 is true, but this machine's {training_device()} does not compute in bfloat16: "
            "run with --set training.bf16=false, or on another machine"
        )


def usable_ram() -> int:
    """Bytes of RAM: the machine's, or the container's limit where that is smaller."""
    import psutil

    limits = [psutil.virtual_memory().total]
    for path in CGROUP_MEMORY_LIMITS:
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits)


def _cpu_capabilities() -> dict[str, Any]:
    """What torch found out about the CPU; empty where this torch cannot tell."""
    import torch

    find = getattr(torch.cpu, "get_capabilities", None)
    return dict(find()) if find is not None else {}
