"""The tests run against the installed package, as users get it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rackrate as rr
from price_site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


def pytest_sessionstart() -> None:
    installed = Path(rr.__file__).resolve()
    if installed.is_relative_to(ROOT / "python"):
        pytest.exit(f"the source tree is imported instead of the installed package: {installed}", returncode=1)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def plan() -> rr.types.Plan:
    return rr.plan("azure-trains-oci-serves")


STEP: dict[str, Any] = {
    "model": "llama-3.1-8b",
    "gpu": "H100-SXM",
    "gpus": 64,
    "layout": {"tp": 2, "pp": 1, "dp": 32, "global_batch": 128, "micro_batch": 1, "recompute": "selective"},
    "sequence_length": 8192,
    "precision": "bf16",
}

POINT: dict[str, Any] = {
    "model": "llama-3.1-8b",
    "gpu": "H100-SXM",
    "gpus": 1,
    "layout": {"tp": 1},
    "input_tokens": 1000,
    "output_tokens": 200,
    "concurrency": 16,
    "precision": "fp8",
}

SIMULATE: dict[str, Any] = {
    "model": "llama-3.1-8b",
    "gpu": "H100-SXM",
    "gpus": 1,
    "layout": {"tp": 1},
    "input": {"mean_tokens": 1000, "family": "gamma", "coefficient_of_variation": 1.0},
    "output": {"mean_tokens": 200},
    "request_rate": 2,
    "requests": 200,
    "precision": "fp8",
}

SEARCH: dict[str, Any] = {
    "model": "llama-3.1-8b",
    "gpu": "H100-SXM",
    "gpus": 64,
    "global_batch": 128,
    "sequence_length": 8192,
}

SERVE: dict[str, Any] = {
    "model": "llama-3.1-8b",
    "gpu": "H100-SXM",
    "input_tokens": 1000,
    "output_tokens": 200,
    "slo": {"ttft_p95_seconds": 2, "tpot_p95_seconds": 0.05},
}


@pytest.fixture
def step() -> rr.types.TrainingStep:
    return rr.training_step(**STEP)


@pytest.fixture
def point() -> rr.types.ServingPoint:
    return rr.serving_point(**POINT)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "overlay.json"
