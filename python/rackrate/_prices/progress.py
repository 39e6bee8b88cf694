"""How far a refresh is, on standard error: a bar on a terminal, a line for each step elsewhere, nothing if asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn, Protocol, TextIO

if TYPE_CHECKING:
    from types import TracebackType

    from tqdm import tqdm


class Progress(Protocol):
    """Told of what happens."""

    def page(self, provider: str, what: str) -> None:
        """A page came."""

    def waiting(self, provider: str, seconds: float, why: str) -> None:
        """A try failed, and the next comes after a wait."""


class Silent:
    """Says nothing."""

    def page(self, provider: str, what: str) -> None:
        """A page came."""

    def waiting(self, provider: str, seconds: float, why: str) -> None:
        """A try failed, and the next comes after a wait."""


class Lines:
    """A line for each step."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def page(self, provider: str, what: str) -> None:
        """A page came."""
        print(f"{provider}: {what}", file=self.stream, flush=True)

    def waiting(self, provider: str, seconds: float, why: str) -> None:
        """A try failed, and the next comes after a wait."""
        print(f"{provider}: {why}; again in {seconds:.1f} s", file=self.stream, flush=True)


class Bar:
    """A bar that counts pages; how many there will be is not known before the last."""

    def __init__(self, bar: tqdm[NoReturn]) -> None:
        self.bar = bar

    def page(self, provider: str, what: str) -> None:
        """A page came."""
        self.bar.set_postfix_str(f"{provider}: {what}", refresh=False)
        self.bar.update()

    def waiting(self, provider: str, seconds: float, why: str) -> None:
        """A try failed, and the next comes after a wait."""
        self.bar.set_postfix_str(f"{provider}: {why}; again in {seconds:.1f} s")


class Shown:
    """A progress for as long as a `with` lasts."""

    def __init__(self, *, quiet: bool, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self.stream = stream or sys.stderr
        self.bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> Progress:
        if self.quiet:
            return Silent()
        if not self.stream.isatty():
            return Lines(self.stream)
        from tqdm import tqdm  # noqa: PLC0415 (an extra: imported where it is used)

        bar: tqdm[NoReturn] = tqdm(desc="reading prices", unit=" pages", file=self.stream, leave=False, mininterval=0)
        self.bar = bar
        return Bar(bar)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()
