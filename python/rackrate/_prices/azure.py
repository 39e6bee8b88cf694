"""Azure: the Retail Prices API.

Sizes are asked for by name, some in a query, each query over all its pages. The name of a size in the catalogue is the
`armSkuName` of the API, so no table stands between the two.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from rackrate._prices import azure_meters, fields
from rackrate._prices.azure_api import (
    LONGEST_URL,
    MOST_NAMES,
    SkippedError,
    address,
    any_of,
    keep_single,
    paged,
    priced,
)
from rackrate._prices.client import UndeliveredError
from rackrate._prices.fields import UnreadableError
from rackrate._prices.quotes import Delivery, Key, Kind, Quote, Row, quote_of, stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rackrate import types
    from rackrate._prices.azure_api import Page
    from rackrate._prices.client import Client

VIRTUAL_MACHINES: Final = (
    "serviceName eq 'Virtual Machines' and (priceType eq 'Consumption' or priceType eq 'Reservation')"
)

RESERVED: Final = {"1 Year": "reserved_1y", "3 Years": "reserved_3y"}
SAVINGS: Final = {"1 Year": "savings_plan_1y", "3 Years": "savings_plan_3y"}
TERMS: Final = ("payg", "spot", "low_priority", *RESERVED.values(), *SAVINGS.values())

# Regions for governments, closed to the public: the cheapest of them must not win a comparison.
CLOSED_REGIONS: Final = ("usgov", "usdod")

# What carries the name of a size and is no Linux machine of it.
OTHER_PRODUCTS: Final = {
    "Windows": "Windows price",
    "Cloud Services": "price of Cloud Services",
    "CloudServices": "price of Cloud Services",
    "Dedicated Host": "price of a dedicated host",
    "DedicatedHost": "price of a dedicated host",
}

NOTES: Final = {
    "spot": "spot moves monthly",
    "low_priority": '"Low Priority" meter (old Batch/scale-set tier), not Spot',
    **dict.fromkeys(RESERVED.values(), "the API prints the total of the term"),
}


def deliver(
    client: Client, catalog: types.Catalog, known: Mapping[Key, Row], kinds: Iterable[Kind], page: Callable[[str], None]
) -> Delivery:
    """Read what is asked for; `page` is told of every page."""
    delivery = Delivery("azure")
    if "shapes" in kinds:
        names = [shape.name for shape in catalog.shapes if shape.provider == "azure"]
        for some in chunks(client.base, names):
            what = f"{some[0]} and {len(some) - 1} more sizes" if len(some) > 1 else some[0]
            query = VIRTUAL_MACHINES + " and " + any_of("armSkuName", some)
            try:
                pages = list(paged(client, address(client.base, query), what, page))
            except UndeliveredError as error:
                delivery.failures.append(f"{what}: {error}")
                continue
            read_sizes(delivery, client.base, frozenset(some), pages)
    azure_meters.deliver(delivery, client, known, kinds, page)
    return delivery


def chunks(base: str, names: Iterable[str]) -> Iterator[list[str]]:
    """Cut names into queries whose addresses keep a reasonable length."""
    some: list[str] = []
    for name in names:
        query = VIRTUAL_MACHINES + " and " + any_of("armSkuName", [*some, name])
        if len(some) == MOST_NAMES or (some and len(address(base, query)) > LONGEST_URL):
            yield some
            some = []
        some.append(name)
    if some:
        yield some


def read_sizes(delivery: Delivery, base: str, names: frozenset[str], pages: Iterable[Page]) -> None:
    """Read a whole query's items as prices of sizes; one that is quoted twice is not guessed."""
    quoted: dict[Key, list[Quote]] = defaultdict(list)
    faults = len(delivery.faults)
    seen: set[str] = set()
    for page in pages:
        for number, item in enumerate(page.items):
            if (said := json.dumps(item, sort_keys=True)) in seen:
                continue  # the list moved while its pages were read: the very same item came twice
            seen.add(said)
            try:
                for row, column in rows_of(fields.an_object(item, at := f"{page.at}[{number}]"), at, names, delivery):
                    quote = quote_of(
                        "prices", column, stamped(row, "azure", base, page.day, NOTES.get(row["term"], ""))
                    )
                    quoted[quote.key].append(quote)
            except SkippedError as reason:
                delivery.skipped[str(reason)] += 1
            except UnreadableError as error:
                delivery.faults.append(str(error))
    # An item that cannot be read may be of any size: then none of them counts as gone.
    if len(delivery.faults) == faults:
        delivery.covered |= {("prices", name, term) for name in names for term in TERMS}
    for key, quotes in quoted.items():
        keep_single(delivery, key, quotes)
    mark_spot_without_discount(delivery, quoted)


def mark_spot_without_discount(delivery: Delivery, quoted: Mapping[Key, list[Quote]]) -> None:
    """Note where spot is listed at the price of pay-as-you-go: so it is, and a reader would think it a slip."""
    for quote in delivery.quotes:
        table, *shape_and_region, term = quote.key
        if table == "prices" and term == "spot":
            firm = quoted.get((table, *shape_and_region, "payg"), [])
            if [one.usd for one in firm] == [quote.usd]:
                quote.row["note"] = "listed at the price of pay-as-you-go: no discount"


def rows_of(item: dict[str, object], at: str, names: frozenset[str], delivery: Delivery) -> Iterator[tuple[Row, str]]:
    """Give the rows of an item and the column that the figure stands in: one, and its savings plans."""
    kind = fields.text(item, "type", at)
    if kind == "DevTestConsumption":
        raise SkippedError("DevTest price, for development only")
    if kind not in {"Consumption", "Reservation"}:
        raise SkippedError(f'unknown type "{kind}"')
    shape = fields.text(item, "armSkuName", at)
    if shape not in names:
        raise SkippedError(f'unknown size "{shape}"')
    product = fields.text(item, "productName", at)
    for words, told in OTHER_PRODUCTS.items():
        if words in product:
            raise SkippedError(told)
    region = fields.text(item, "armRegionName", at)
    if not region or region.startswith(CLOSED_REGIONS):
        raise SkippedError(f'region "{region}", for governments' if region else "no region")
    meter = fields.text(item, "meterName", at)
    usd = hourly(item, at)
    row = {"provider": "azure", "shape": shape, "region": region, "meter": meter}
    if kind == "Reservation":
        years = fields.text(item, "reservationTerm", at)
        if years not in RESERVED:
            raise SkippedError(f'reservation of "{years}"')
        # The total of the term, whatever unitOfMeasure says.
        yield {**row, "term": RESERVED[years], "term_total_usd": usd}, "term_total_usd"
        return
    term = "spot" if " Spot" in meter else "low_priority" if " Low Priority" in meter else "payg"
    yield {**row, "term": term, "usd_per_node_hour": usd}, "usd_per_node_hour"
    if term == "payg" and item.get("savingsPlan") is not None:
        yield from savings(row, item, at, delivery)


def savings(row: Row, item: dict[str, object], at: str, delivery: Delivery) -> Iterator[tuple[Row, str]]:
    """Give the savings plans of a pay-as-you-go item."""
    for number, given in enumerate(fields.a_list(item, "savingsPlan", at)):
        here = f"{at}.savingsPlan[{number}]"
        plan = fields.an_object(given, here)
        years = fields.text(plan, "term", here)
        usd = fields.amount(plan, "retailPrice", here)
        if years not in SAVINGS or usd == 0:
            delivery.skipped[f'savings plan of "{years}"' if usd else "price of zero"] += 1
            continue
        yield {**row, "term": SAVINGS[years], "usd_per_node_hour": usd}, "usd_per_node_hour"


def hourly(item: dict[str, object], at: str) -> float:
    """Give the price of an item that has no tiers, in USD; `unitOfMeasure` is an hour even where it is a whole term."""
    if fields.optional_amount(item, "tierMinimumUnits", at):
        raise UnreadableError(f"{at}.tierMinimumUnits: a tier of a price that has none")
    return priced(item, at, "1 Hour")
