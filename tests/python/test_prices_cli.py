"""`python -m rackrate prices refresh` in a process of its own."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from typing import TYPE_CHECKING, Any

import pytest
from price_site import H100, Reply, Request, Site, item, rows

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-P", "-m", "rackrate", "prices", "refresh"]


def arguments(site: Site, output: Path, *more: str) -> list[str]:
    bases = [f"--base-url={name}={url}" for name, url in site.bases.items()]
    return [*COMMAND, *bases, "--output", str(output), *more]


def run(site: Site, output: Path, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments(site, output, *more),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "160", **variables},
    )


def test_a_refresh(site: Site, output: Path) -> None:
    done = run(site, output)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert f"{output} is written." in done.stdout
    assert "OCI: 1 unchanged" in done.stdout
    assert "oci: price list, page 1" in done.stderr
    assert "azure: " in done.stderr
    assert {row["shape"] for row in rows(output)} == {H100, "BM.GPU.H100.8"}


def test_quiet_says_nothing_on_standard_error(site: Site, output: Path) -> None:
    done = run(site, output, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_json_and_the_choice_of_prices(site: Site, output: Path) -> None:
    done = run(site, output, "--json", "--dry-run", "--provider", "oci", "--provider", "oci", "--what", "shapes")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert (told["written"], list(told["providers"])) == (False, ["oci"])
    assert {change["table"] for change in told["changes"]} == {"prices"}
    assert not output.exists()


def test_one_provider_down_is_status_3_and_all_down_status_1(site: Site, output: Path) -> None:
    site.fault = lambda request: Reply(b"", 404) if request.provider == "azure" else None
    done = run(site, output)
    assert done.returncode == 3
    assert "failed: " in done.stdout
    assert "HTTP 404" in done.stdout
    assert "keeps its old rows" in done.stdout
    before = output.read_bytes()
    site.fault = lambda _request: Reply(b"", 404)
    done = run(site, output)
    assert done.returncode == 1
    assert "Nothing could be read" in done.stdout
    assert output.read_bytes() == before


def test_a_reader_that_leaves_early_gets_the_status_all_the_same(site: Site, output: Path) -> None:
    site.fault = lambda request: Reply(b"", 404) if request.provider == "azure" else None
    with subprocess.Popen(
        arguments(site, output, "--quiet"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 3
    assert rows(output)


def test_throttling_is_waited_for_and_told(site: Site, output: Path) -> None:
    site.fault = lambda request: Reply(b"", 429, {"Retry-After": "0"}) if request.number == 1 else None
    done = run(site, output)
    assert done.returncode == 0
    assert "azure: HTTP 429 Too Many Requests; again in 0.0 s" in done.stderr


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--what", "shape"], '--what: "shape" given, some of shapes, storage, transfers expected'),
        (["--what", ""], "--what"),
        (["--timeout", "0"], "--timeout: 0 given"),
        (["--timeout", "nan"], "--timeout: nan given"),
        (["--base-url", "azure=http://mirror.example/"], "https expected"),
        (["--base-url", "aws=https://mirror.example/"], "PROVIDER=URL expected"),
        (["--base-url", "https://mirror.example/"], "PROVIDER=URL expected"),
        (["--output", "/dev/null/overlay.json"], "rackrate: /dev/null/overlay.json: Not a directory"),
    ],
)
def test_refused_arguments_are_status_1_and_one_line(site: Site, output: Path, more: list[str], why: str) -> None:
    done = run(site, output, *more)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("rackrate: ")
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert site.requests == []


@pytest.mark.parametrize("more", [["--provider", "aws"], ["--timeout", "soon"], ["--prov", "oci"]])
def test_wrong_usage_is_status_2(site: Site, output: Path, more: list[str]) -> None:
    done = run(site, output, *more)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_help_tells_the_exit_status() -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=False, timeout=60)
    for status in ("0 ", "1 ", "2 ", "3 ", "130 "):
        assert f"\n  {status}" in done.stdout


@pytest.mark.parametrize("missing", ["urllib3", "tqdm"])
def test_a_missing_extra_says_how_to_install_it(site: Site, output: Path, tmp_path: Path, missing: str) -> None:
    # Python runs this before anything else; it hides the library as if it were not installed.
    # Python runs this before anything else; it hides the library as if it were not installed.
    (tmp_path / "sitecustomize.py").write_text(
        f"""
from importlib.machinery import PathFinder

find = PathFinder.find_spec


def seen(name, path=None, target=None):
    return None if name.partition(".")[0] == {missing!r} else find(name, path, target)


PathFinder.find_spec = seen
"""
    )
    done = run(site, output, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert (
        done.stderr
        == f"rackrate: prices refresh needs {missing}, which is not installed: pip install 'rackrate[prices]'\n"
    )
    # The other commands need it not.
    other = subprocess.run(
        [sys.executable, "-P", "-m", "rackrate", "scenarios"],
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert other.returncode == 0


def test_ctrl_c_leaves_the_old_file_whole(site: Site, output: Path) -> None:
    assert run(site, output).returncode == 0
    before = output.read_bytes()
    site.items = [item(retailPrice=100.0)]
    asked = threading.Event()

    def hang(request: Request) -> None:
        if request.provider == "oci":
            asked.set()
            site.closing.wait(20)

    site.fault = hang
    command = arguments(site, output)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert asked.wait(30)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "rackrate: interrupted"
    assert "Traceback" not in errors
    assert output.read_bytes() == before
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_a_terminal_gets_a_bar(site: Site, output: Path) -> None:
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 120))
    shown = bytearray()

    def read() -> None:
        while True:
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                return
            if not piece:
                return
            shown.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    done: Any = subprocess.run(arguments(site, output), stdout=subprocess.PIPE, stderr=end, check=False, timeout=60)
    os.close(end)
    reader.join(10)
    os.close(terminal)
    assert done.returncode == 0
    assert b"reading prices" in shown
    assert b"5 pages" in shown
    assert b"oci: price list, page 1" in shown
