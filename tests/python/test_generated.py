"""The generated types are those of the core."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import rackrate as rr


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert shutil.which("cargo"), "cargo is missing: the types are generated from the core"
    script = root / "scripts" / "generate_types.py"
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)


def test_generating_anew_gives_the_committed_file(root: Path) -> None:
    done = generate(root, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_installed_file_is_the_committed_one(root: Path) -> None:
    committed = (root / "python" / "rackrate" / "_types.py").read_text(encoding="utf-8")
    assert Path(rr.types.__file__).read_text(encoding="utf-8") == committed


def test_the_package_is_typed() -> None:
    package = Path(rr.__file__).parent
    assert (package / "py.typed").exists()
    assert (package / "_core.pyi").exists()
