"""What is said about the machine: numbers that agree with torch, psutil, and a container's limit."""

import json

import psutil
import pytest
import torch

from affine_trainer import device


def test_the_description_is_json_and_agrees_with_torch():
    described = json.loads(json.dumps(device.describe_device()))
    assert described["type"] == ("cuda" if torch.cuda.is_available() else "cpu")
    assert described["name"]
    assert described["memory_bytes"] > 2**28
    assert 1 <= described["cores"] <= psutil.cpu_count()
    assert described["threads"] == torch.get_num_threads()


@pytest.mark.parametrize(("limit", "counts"), [(str(2**30), True), ("max", False), (str(2**62), False)])
def test_the_limit_of_a_container_counts_where_it_is_below_the_machines_memory(
    tmp_path, monkeypatch, limit, counts
):
    file = tmp_path / "memory.max"
    file.write_text(limit + "\n")
    monkeypatch.setattr(device, "CGROUP_MEMORY_LIMITS", (tmp_path / "absent", file))
    total = psutil.virtual_memory().total
    assert device.usable_ram() == (2**30 if counts else total)


@pytest.mark.parametrize(
    ("capabilities", "supported"),
    [({"avx512_bf16": True}, True), ({"bf16": True}, True), ({"avx512_f": True}, False), ({}, False)],
)
def test_a_cpu_computes_in_bfloat16_when_it_has_the_instructions(monkeypatch, capabilities, supported):
    monkeypatch.setattr(device, "training_device", lambda: "cpu")
    monkeypatch.setattr(device, "_cpu_capabilities", lambda: capabilities)
    assert device.supports_bf16() is supported
