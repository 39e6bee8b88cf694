"""Azure: asking the Retail Prices API, page by page, and what all of its items share."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rackrate._prices import fields
from rackrate._prices.client import Pages, UndeliveredError
from rackrate._prices.fields import UnreadableError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator

    from rackrate._prices.client import Client
    from rackrate._prices.quotes import Delivery, Key, Quote

BASE: Final = "https://prices.azure.com/api/retail/prices"

# The version that tells savings plans; from it on the values of a filter are case-sensitive.
API_VERSION: Final = "2023-01-01-preview"

# A query's address stays below what every proxy takes, and what is lost with a query that fails stays small.
LONGEST_URL: Final = 1900
MOST_NAMES: Final = 8
# A query has some ten pages; one that has more than this turns in a circle of ever new addresses.
MOST_PAGES: Final = 200


class SkippedError(Exception):
    """An item is passed over, for the reason in the message."""


@dataclass(frozen=True)
class Page:
    """One page of an answer.

    Attributes:
        items: Its items, as JSON gave them.
        at: Path of the list, for messages.
        day: The day on which the server gave it.
    """

    items: list[object]
    at: str
    day: dt.date


def any_of(name: str, values: Iterable[str]) -> str:
    """Write the condition that a field has one of the values; a quote within a value is doubled, as OData wants."""
    quoted = [value.replace("'", "''") for value in values]
    return "(" + " or ".join(f"{name} eq '{value}'" for value in quoted) + ")"


def address(base: str, query: str) -> str:
    """Give the address of a query's first page."""
    asked = {"api-version": API_VERSION, "$filter": query}
    return f"{base}?{urllib.parse.urlencode(asked, safe='$', quote_via=urllib.parse.quote)}"


def paged(client: Client, url: str, what: str, page: Callable[[str], None]) -> Iterator[Page]:
    """Give a query's pages, one after the other.

    Raises:
        UndeliveredError: A page did not come, is no page, or the pages do not end.
    """
    pages = Pages(client, MOST_PAGES, what, page)
    while url:
        told, at = pages.turn(url)
        try:
            envelope = fields.an_object(told.content, at)
            items = fields.a_list(envelope, "Items", at)
            currency = fields.text(envelope, "BillingCurrency", at)
            count = fields.optional_amount(envelope, "Count", at)
            url = fields.optional_text(envelope, "NextPageLink", at) or ""
        except UnreadableError as error:
            raise UndeliveredError(str(error)) from error
        if currency != "USD":
            raise UndeliveredError(f"{at}.BillingCurrency: {currency} given, USD expected")
        if count is not None and count != len(items):
            raise UndeliveredError(f"{at}.Count: {count:.0f} items announced, {len(items)} came")
        yield Page(items, f"{at}.Items", told.day)


def priced(item: dict[str, object], at: str, unit: str) -> float:
    """Give the price of an item in USD; it has to be metered by this unit.

    Raises:
        SkippedError: The price is zero.
        UnreadableError: Another currency, another unit, no price.
    """
    for name, expected in (("currencyCode", "USD"), ("unitOfMeasure", unit)):
        if (found := fields.text(item, name, at)) != expected:
            raise UnreadableError(f'{at}.{name}: "{found}" given, "{expected}" expected')
    usd = fields.amount(item, "retailPrice", at)
    if usd == 0:
        raise SkippedError("price of zero")
    return usd


def keep_single(delivery: Delivery, key: Key, quotes: list[Quote]) -> None:
    """Keep the figure of a key that has one; two are a fault, of the list or of our reading."""
    if len(quotes) == 1:
        delivery.quotes += quotes
        return
    told = ", ".join(f"{quote.usd:g} ({quote.row.get('meter') or 'no meter'})" for quote in quotes)
    delivery.faults.append(f"{', '.join(str(part) for part in key[1:])}: {len(quotes)} prices, none taken: {told}")
    delivery.doubtful.add(key)
