"""OCI: Oracle's price list, the products of its cost estimator.

One answer holds the whole list. A part number of the list prices the shapes whose price in the catalogue names it as
`meter`, and the storage tiers and tariffs whose row names it (and no other): so no table stands between the two. The
list has pay-as-you-go prices only: preemptible is half of them by Oracle's rule, and commitments are negotiated.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rackrate._prices import fields
from rackrate._prices.client import Pages, UndeliveredError
from rackrate._prices.fields import UnreadableError
from rackrate._prices.quotes import Delivery, Key, Kind, Row, quote_of, scope_of, stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rackrate._prices.client import Client

# The slash at the end is part of the address.
BASE: Final = "https://apexapps.oracle.com/pls/apex/cetools/api/v1/products/"

# The whole list is one page today.
MOST_PAGES: Final = 100

# The list's words for our units, as it printed them in 2026: a part that is metered by another is not taken.
GPU_HOUR: Final = "GPU Per Hour"
METRICS: Final = {
    "gb_month": "Gigabyte Storage Capacity Per Month",
    "performance_unit_gb_month": "Performance Units Per Gigabyte Per Month",
    "gb": "Gigabyte Outbound Data Transfer Per Month",
    "port_hour": "Port Hour",
}

PART: Final = re.compile(r"\bB\d{5,6}\b")


@dataclass(frozen=True)
class Tier:
    """A pay-as-you-go price of a part, from an edge on."""

    usd: float
    above: float


@dataclass(frozen=True)
class Part:
    """A part of the list: what it is called, what it is metered by, its prices."""

    name: str
    metric: str
    tiers: tuple[Tier, ...]


def deliver(client: Client, known: Mapping[Key, Row], kinds: Iterable[Kind], page: Callable[[str], None]) -> Delivery:
    """Read what is asked for; `page` is told of every page."""
    delivery = Delivery("oci")
    try:
        items, day = whole_list(client, page)
    except UndeliveredError as error:
        delivery.failures.append(f"the price list: {error}")
        return delivery
    wanted = rows_by_part(delivery, known, kinds)
    listed = parts_of(items, wanted.keys(), delivery.faults)
    unreadable = bool(delivery.faults)
    for number, rows in wanted.items():
        for key, row in rows.items():
            delivery.covered.add(scope_of(key))
            if not listed[number]:
                continue
            try:
                column, made, note = priced(row, key[0], number, fitting(listed[number], key, row))
            except UnreadableError as error:
                delivery.faults.append(f"part {number}, {', '.join(str(cell) for cell in key[1:] if cell)}: {error}")
                delivery.doubtful.add(key)
                continue
            made = stamped(made, "oci", client.base, day, note)
            if key[0] == "prices":
                # Where it is doubtful which part a shape is billed by, a newer list does not settle it.
                made["confidence"] = row["confidence"]
            delivery.quotes.append(quote_of(key[0], column, made))
    if unreadable:
        # What could not be read may be any part: then none of them counts as gone.
        delivery.covered.clear()
    return delivery


def whole_list(client: Client, page: Callable[[str], None]) -> tuple[list[tuple[str, object]], dt.date]:
    """Give all items with their paths, and the day of the list.

    Raises:
        UndeliveredError: A page did not come, is no page, or the pages do not end.
    """
    url: str | None = f"{client.base}?currencyCode=USD"
    items: list[tuple[str, object]] = []
    pages = Pages(client, MOST_PAGES, "price list", page)
    day = dt.date.max
    while url:
        told, at = pages.turn(url)
        try:
            envelope = fields.an_object(told.content, at)
            items += [(f"{at}.items[{n}]", item) for n, item in enumerate(fields.a_list(envelope, "items", at))]
            day = min(day, updated(envelope, at) or told.day)
            url = following(envelope, at)
        except UnreadableError as error:
            raise UndeliveredError(str(error)) from error
    return items, day


def updated(envelope: dict[str, object], at: str) -> dt.date | None:
    """Give the day on which the list was made, if it says so."""
    moment = fields.optional_text(envelope, "lastUpdated", at)
    if moment is None:
        return None
    try:
        return dt.datetime.fromisoformat(moment).date()
    except ValueError as error:
        raise UnreadableError(f'{at}.lastUpdated: "{moment[:40]}" is no date') from error


def following(envelope: dict[str, object], at: str) -> str | None:
    """Give the address of the next page, if there is one."""
    more = envelope.get("hasMore", False)
    if not isinstance(more, bool):
        raise UnreadableError(f"{at}.hasMore: {fields.kind(more)} given, true or false expected")
    if not more:
        return None
    for number, given in enumerate(fields.a_list(envelope, "links", at)):
        link = fields.an_object(given, here := f"{at}.links[{number}]")
        if fields.text(link, "rel", here) == "next":
            return fields.text(link, "href", here)
    raise UnreadableError(f"{at}.links: more pages announced, but no next one")


def rows_by_part(delivery: Delivery, known: Mapping[Key, Row], kinds: Iterable[Kind]) -> dict[str, dict[Key, Row]]:
    """Give the rows of the catalogue by the part that prices them."""
    tables = {"shapes": "prices", "storage": "storage", "transfers": "transfers"}
    asked = {tables[kind] for kind in kinds}
    parts: dict[str, dict[Key, Row]] = defaultdict(dict)
    for key, row in known.items():
        if row["provider"] != "oci" or key[0] not in asked:
            continue
        if row.get("term", "payg") != "payg":
            delivery.skipped[f"term {row['term']}, not in the list"] += 1
            continue
        named = named_parts(key[0], row)
        if len(named) == 1:
            parts[named.pop()][key] = row
        else:
            delivery.skipped[f"{key[0]} computed from several parts" if named else f"{key[0]} without a part"] += 1
    return parts


def named_parts(table: str, row: Row) -> set[str]:
    """Give the part numbers that a row of the catalogue names."""
    if table == "prices":
        return {row["meter"]} if row.get("meter") else set()
    cells = (str(row.get(name) or "") for name in ("tier", "origin", "note"))
    return {part for cell in cells for part in PART.findall(cell)}


def parts_of(items: Iterable[tuple[str, object]], numbers: Iterable[str], faults: list[str]) -> dict[str, list[Part]]:
    """Give the parts of the list by their numbers, of those that are asked for."""
    listed: dict[str, list[Part]] = {number: [] for number in numbers}
    for at, given in items:
        try:
            item = fields.an_object(given, at)
            found = listed.get(fields.text(item, "partNumber", at))
            if found is not None and (part := part_of(item, at)) not in found:
                found.append(part)
        except UnreadableError as error:
            faults.append(str(error))
    return listed


def part_of(item: dict[str, object], at: str) -> Part:
    """Read a part."""
    tiers = []
    for number, given in enumerate(fields.a_list(item, "currencyCodeLocalizations", at)):
        local = fields.an_object(given, here := f"{at}.currencyCodeLocalizations[{number}]")
        if fields.text(local, "currencyCode", here) == "USD":
            tiers += tiers_of(local, here)
    name = fields.optional_text(item, "displayName", at) or ""
    return Part(" ".join(name.split()), fields.optional_text(item, "metricName", at) or "", tuple(tiers))


def tiers_of(local: dict[str, object], at: str) -> list[Tier]:
    """Give the pay-as-you-go prices of a part in one currency."""
    tiers = []
    for number, given in enumerate(fields.a_list(local, "prices", at)):
        price = fields.an_object(given, here := f"{at}.prices[{number}]")
        if fields.text(price, "model", here) == "PAY_AS_YOU_GO":
            edge = fields.optional_amount(price, "rangeMin", here) or 0.0
            tiers.append(Tier(fields.amount(price, "value", here), edge))
    return tiers


def fitting(parts: list[Part], key: Key, row: Row) -> tuple[Part, Tier]:
    """Give the part's price that a row is about.

    Raises:
        UnreadableError: There is not exactly one, or it is for something else than the row says.
    """
    # Tiered parts begin with a tier that is free.
    paid = [(part, tier) for part in parts for tier in part.tiers if tier.usd > 0]
    if len(paid) != 1:
        told = ", ".join(f"{tier.usd:g} above {tier.above:g}" for _, tier in paid) or "none above zero"
        raise UnreadableError(f"{len(paid)} pay-as-you-go prices ({told}), none taken")
    part, tier = paid[0]
    metric = GPU_HOUR if key[0] == "prices" else METRICS.get(str(row.get("usd_per")))
    if part.metric != metric:
        raise UnreadableError(f'metered by "{part.metric}", "{metric or row.get("usd_per")}" expected')
    edge = row.get("tier_from_gb") or 0.0
    if key[0] == "transfers" and edge != tier.above:
        raise UnreadableError(f"the price begins above {tier.above:g} GB, in the catalogue above {edge:g} GB")
    return part, tier


def priced(row: Row, table: str, number: str, found: tuple[Part, Tier]) -> tuple[str, Row, str]:
    """Give the column of the price, the row with it, and its note."""
    part, tier = found
    note = row.get("note") or ""
    if table == "prices":
        kept = {name: row[name] for name in ("provider", "shape", "region", "term", "meter")}
        return "usd_per_gpu_hour", {**kept, "usd_per_gpu_hour": tier.usd}, note or f'"{part.name}" in the list'
    # By the part number in its note a row is found again.
    return "usd", {**row, "usd": tier.usd}, note if number in note else f"part {number}. {note}".strip()
