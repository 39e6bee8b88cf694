"""The interpreter is let go while the core computes."""

from __future__ import annotations

import sys
import threading
import time
from itertools import pairwise

import rackrate as rr
from rackrate import _core


def longest_pause() -> tuple[float, float]:
    """Seconds of a long call, and the longest pause that another Python thread made while it ran."""
    request = rr.plan("azure-trains-oci-serves").scenario.to_dict()
    stamps: list[float] = []
    ended = threading.Event()

    def stamp() -> None:
        while not ended.is_set():
            stamps.append(time.perf_counter())
            time.sleep(0.0005)

    thread = threading.Thread(target=stamp)
    thread.start()
    time.sleep(0.01)
    begin = time.perf_counter()
    _core.plan(request)
    end = time.perf_counter()
    ended.set()
    thread.join()
    inside = [begin, *(at for at in stamps if begin < at < end), end]
    return end - begin, max(later - sooner for sooner, later in pairwise(inside))


def test_other_threads_run_meanwhile() -> None:
    """A call that kept the interpreter would make the pause as long as the call; a busy machine may, once or twice."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        tries = [longest_pause() for _ in range(8)]
    finally:
        sys.setswitchinterval(before)
    assert any(pause < call / 2 for call, pause in tries), tries


def test_answers_do_not_mix_between_threads() -> None:
    expected = {name: rr.plan(name) for name in ("serve-70b", "fine-tune-8b")}
    wrong: list[str] = []

    def ask(name: str) -> None:
        wrong.extend(name for _ in range(3) if rr.plan(name) != expected[name])

    threads = [threading.Thread(target=ask, args=(name,)) for name in [*expected, *expected]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
