"""A refresh: ask the providers, compare, merge, write; and say honestly what of it succeeded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from rackrate import _known
from rackrate._prices import azure, azure_api, oracle, overlay, quotes, report
from rackrate._prices.changes import Change, changes
from rackrate._prices.client import Client, Patience, World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rackrate import types
    from rackrate._prices.progress import Progress
    from rackrate._prices.quotes import Delivery, Key, Kind, Provider, Row
    from rackrate._sections import Section

DELIVERED: Final = 0
REFUSED: Final = 1
PARTLY: Final = 3

BASES: Final[Mapping[Provider, str]] = {"azure": azure_api.BASE, "oci": oracle.BASE}


@dataclass(frozen=True)
class Asked:
    """What to refresh.

    Attributes:
        output: The overlay to write, and to merge into.
        providers: Whose prices.
        kinds: Of what.
        bases: Addresses of the price lists, where not the providers' own.
        accept_jumps: Take prices that moved by more than is plausible.
        dry_run: Write nothing.
        patience: How long and how often to try.
        world: Clock, sleep and chance.
    """

    output: Path
    providers: tuple[Provider, ...] = quotes.PROVIDERS
    kinds: tuple[Kind, ...] = quotes.KINDS
    bases: Mapping[Provider, str] = field(default_factory=dict)
    accept_jumps: bool = False
    dry_run: bool = False
    patience: Patience = field(default_factory=Patience)
    world: World = field(default_factory=World)


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        asked: The question.
        deliveries: What each provider gave.
        changes: What moved.
        written: Whether the output was written.
        status: Exit status: 0 all delivered, 1 nothing written, 3 a part is missing and keeps its old rows.
    """

    asked: Asked
    deliveries: list[Delivery]
    changes: list[Change]
    written: bool
    status: int

    def to_dict(self) -> dict[str, Any]:
        """Give the outcome as JSON would hold it."""
        return {
            "output": str(self.asked.output),
            "written": self.written,
            "status": self.status,
            "counts": report.counts(self.changes),
            "providers": {
                one.provider: {
                    "quotes": len(one.quotes),
                    "failures": one.failures,
                    "faults": one.faults,
                    "skipped": dict(sorted(one.skipped.items())),
                    "notes": one.notes,
                }
                for one in self.deliveries
            },
            "changes": [change.to_dict() for change in self.changes],
        }

    def sections(self) -> list[Section]:
        """Give the outcome as a person reads it."""
        return report.sections(self)


def refresh(asked: Asked, progress: Progress) -> Outcome:
    """Read today's prices into the output file.

    Raises:
        RackrateError: The output is no overlay, or the core refuses what was read.
        OSError: The output cannot be read or written.
    """
    if not asked.dry_run:
        overlay.check_writable(asked.output)
    tables = overlay.read(asked.output)
    catalog = _known.catalog()
    catalogue = quotes.known(catalog)
    deliveries = [delivered(asked, provider, catalog, catalogue, progress) for provider in asked.providers]
    canonical = overlay.spellings(catalog.shapes)
    told = changes(deliveries, catalogue, overlay.keyed(tables, canonical), accept_jumps=asked.accept_jumps)
    outcome = Outcome(asked, deliveries, told, written=False, status=status_of(deliveries, told))
    if outcome.status == REFUSED:
        return outcome
    fresh = [quote for delivery in deliveries for quote in delivery.quotes]
    result = overlay.validated(overlay.merged(tables, fresh, told, canonical))
    if not asked.dry_run:
        overlay.write(asked.output, result)
    return replace(outcome, written=not asked.dry_run)


def delivered(
    asked: Asked, provider: Provider, catalog: types.Catalog, catalogue: Mapping[Key, Row], progress: Progress
) -> Delivery:
    """Ask one provider."""
    client = Client(
        asked.bases.get(provider, BASES[provider]),
        asked.patience,
        asked.world,
        lambda seconds, why: progress.waiting(provider, seconds, why),
    )

    def page(what: str) -> None:
        progress.page(provider, what)

    if provider == "azure":
        delivery = azure.deliver(client, catalog, catalogue, asked.kinds, page)
    else:
        delivery = oracle.deliver(client, catalogue, asked.kinds, page)
    if delivery.covered and not delivery.quotes:
        # A list without any price that we know is a broken list, not the end of all offers.
        delivery.covered.clear()
        delivery.failures.append("the answers hold no price of anything that is known here")
    return delivery


def status_of(deliveries: list[Delivery], told: list[Change]) -> int:
    """Give the exit status."""
    if not any(delivery.quotes for delivery in deliveries):
        return REFUSED
    complete = not any(delivery.failures or delivery.faults for delivery in deliveries)
    return DELIVERED if complete and not any(change.status == "held" for change in told) else PARTLY
