"""What a Python call costs, and how much of it is the package's own: converting the answer into dataclasses."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Any

import rackrate as rr
from rackrate import _core

STEP: dict[str, Any] = {
    "model": "llama-3.1-8b",
    "gpu": "H100-SXM",
    "gpus": 64,
    "layout": {"tp": 2, "dp": 32, "global_batch": 128, "recompute": "selective"},
    "sequence_length": 8192,
    "precision": "bf16",
    "task": "pretrain",
}
SCENARIO = "azure-trains-oci-serves"


def microseconds(call: Callable[[], object], times: int) -> float:
    """Give the best of five rounds, in microseconds for one call."""
    return min(timeit.repeat(call, number=times, repeat=5)) / times * 1e6


def main() -> None:
    """Print the table."""
    scenario = rr.plan(SCENARIO).scenario.to_dict()
    rows = [
        ("training_step", lambda: _core.training_step(STEP), lambda: rr.training_step(**STEP), 500),
        (f"plan {SCENARIO}", lambda: _core.plan(scenario), lambda: rr.plan(scenario), 3),
    ]
    print(f"{'call':<32} {'core and dicts, µs':>20} {'with dataclasses, µs':>22}")
    for name, inner, outer, times in rows:
        print(f"{name:<32} {microseconds(inner, times):>20,.1f} {microseconds(outer, times):>22,.1f}")


if __name__ == "__main__":
    main()
