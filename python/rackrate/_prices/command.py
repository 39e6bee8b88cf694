"""`python -m rackrate prices refresh`: its options, and what they come to."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rackrate import RackrateError
from rackrate._prices import quotes

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from rackrate._help import Parser
    from rackrate._prices.refresh import Outcome

NEEDED: Final = ("urllib3", "tqdm")

ABOUT: Final = "read today's list prices from the clouds' public price APIs into an overlay"

MORE: Final = """
What a provider fails to deliver keeps the rows that OUTPUT has; rows of your own in it always stay. Figures are taken
as quoted, in USD, before tax. Needs the extra `prices`: pip install 'rackrate[prices]'.

exit status:
  0    everything was delivered
  1    refused, nothing written: bad arguments, OUTPUT is no overlay or cannot be written, or no provider delivered
  2    wrong usage
  3    a part is missing (a query failed, an answer contradicts itself, an implausible jump was held back): the rest is
       written, what is missing keeps its old rows
  130  interrupted (Ctrl-C): OUTPUT is as it was
"""


def add(commands: argparse._SubParsersAction[Parser], run: Callable[[argparse.Namespace], None]) -> None:
    """Add `prices refresh` to the commands."""
    prices = commands.add_parser("prices", help=ABOUT, description=ABOUT)
    below = prices.add_subparsers(required=True, metavar="COMMAND")
    parser = below.add_parser(
        "refresh",
        help=ABOUT,
        description=ABOUT,
        epilog=MORE,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    parser.add_argument(
        "--provider", choices=quotes.PROVIDERS, action="append", help="whose prices; may be repeated (default: both)"
    )
    parser.add_argument(
        "--what", default=",".join(quotes.KINDS), metavar="KINDS", help="prices of what, comma-separated (default: all)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("overlay.json"),
        help="the overlay to merge into and write (default: overlay.json)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would change and write nothing")
    parser.add_argument(
        "--accept-jumps", action="store_true", help="also take prices above three times or below a third of the old"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="for each provider, waits included (default: 300)",
    )
    parser.add_argument(
        "--base-url",
        action="append",
        default=[],
        metavar="PROVIDER=URL",
        help="read a mirror instead, https (or plain http on this machine); its links have to stay on its host",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def run(options: argparse.Namespace) -> Outcome:
    """Refresh as the options say.

    Raises:
        RackrateError: An option is refused, the extra is missing, OUTPUT is no overlay.
        OSError: OUTPUT cannot be read or written.
    """
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            message = f"prices refresh needs {name}, which is not installed: pip install 'rackrate[prices]'"
            raise RackrateError("missing_extra", "", message)
    from rackrate._prices import client, progress, refresh  # noqa: PLC0415 (needs the extra)

    if not 0 < options.timeout < 1e6:  # noqa: PLR2004 (eleven days)
        raise refused("--timeout", f"{options.timeout:g} given, a number of seconds above zero expected")
    mirrors = dict(mirror(given, client.checked_base) for given in options.base_url)
    asked = refresh.Asked(
        output=options.output,
        providers=tuple(one for one in quotes.PROVIDERS if one in (options.provider or quotes.PROVIDERS)),
        kinds=kinds(options.what),
        bases=mirrors,
        accept_jumps=options.accept_jumps,
        dry_run=options.dry_run,
        patience=client.Patience(overall_seconds=options.timeout),
    )
    with progress.Shown(quiet=options.quiet) as shown:
        return refresh.refresh(asked, shown)


def mirror(given: str, checked: Callable[[str], str]) -> tuple[quotes.Provider, str]:
    """Read the address of a mirror."""
    provider, _, url = given.partition("=")
    for one in quotes.PROVIDERS:
        if one == provider:
            try:
                return one, checked(url)
            except ValueError as error:
                raise refused("--base-url", f"{url}: {error}") from error
    raise refused("--base-url", f"{given} given, PROVIDER=URL expected, such as azure=https://host/path")


def kinds(given: str) -> tuple[quotes.Kind, ...]:
    """Read what prices are asked for."""
    words = {word.strip() for word in given.split(",")}
    if unknown := sorted(words - set(quotes.KINDS)):
        raise refused("--what", f'"{unknown[0]}" given, some of {", ".join(quotes.KINDS)} expected')
    return tuple(kind for kind in quotes.KINDS if kind in words)


def refused(option: str, message: str) -> RackrateError:
    """Make the error for an option that cannot be."""
    return RackrateError("out_of_range", option, f"{option}: {message}")
