"""The README's examples run and print what it says."""

from __future__ import annotations

import doctest
import re
import shutil
import subprocess
from pathlib import Path

import rackrate as rr


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def test_python(root: Path) -> None:
    text = "\n".join(blocks(root / "README.md", "pycon"))
    examples = doctest.DocTestParser().get_doctest(text, {}, "README.md", "README.md", 0)
    assert len(examples.examples) >= 3
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    outcome = runner.run(examples)
    assert outcome.failed == 0


def test_the_package_docstring() -> None:
    outcome = doctest.testmod(rr)
    assert outcome.attempted >= 2
    assert outcome.failed == 0


def test_javascript(root: Path, tmp_path: Path) -> None:
    (example,) = blocks(root / "README.md", "js")
    package = root / "web" / "pkg"
    node = shutil.which("node")
    assert node, "node is missing: the README has a JavaScript example"
    assert (package / "rackrate.js").exists(), "the wasm package is not built: make build-web"
    # In Node the module's bytes are handed over, for it has no fetch of files; the rest is the README's own text.
    loader = "import { readFileSync } from 'node:fs';\n"
    wasm = package / "rackrate_bg.wasm"
    example = example.replace("./pkg/", f"{package}/").replace(
        "await init()", f"await init({{ module_or_path: readFileSync('{wasm}') }})"
    )
    script = tmp_path / "readme.mjs"
    script.write_text(loader + example, encoding="utf-8")
    done = subprocess.run([node, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_shell(root: Path) -> None:
    """Every command that the README names exists."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = re.findall(r"`?make ([a-z-]+)", (root / "README.md").read_text(encoding="utf-8"))
    assert {"run", "test"} <= set(named) <= targets
