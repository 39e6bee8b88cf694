"""Azure: which meters of the Retail Prices API our storage tiers and gateways are, and their prices.

The catalogue names a tier in words; the API names a service, a product and a meter. The three stand here, once, for
every tier whose unit both count alike. What is not here keeps its price.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rackrate._prices import fields
from rackrate._prices.azure_api import Page, SkippedError, address, any_of, keep_single, paged, priced
from rackrate._prices.client import UndeliveredError
from rackrate._prices.fields import UnreadableError
from rackrate._prices.quotes import Delivery, Key, Kind, Quote, Row, quote_of, stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rackrate._prices.client import Client


@dataclass(frozen=True)
class Meter:
    """A meter of the API.

    Attributes:
        service: `serviceName`.
        product: `productName`.
        name: `meterName`.
        unit: `unitOfMeasure`.
        usd_per: The same unit in the catalogue's word.
    """

    service: str
    product: str
    name: str
    unit: str
    usd_per: str


def netapp(name: str) -> Meter:
    """Give a meter of Azure NetApp Files."""
    return Meter("Azure NetApp Files", "Azure NetApp Files", name, "1 GiB/Hour", "gib_hour")


def disk(product: str, kind: str) -> dict[str, Meter]:
    """Give the three meters of a disk whose capacity, operations and throughput are bought apart."""
    return {
        "capacity": Meter("Storage", product, f"{kind} Provisioned Capacity", "1 GiB/Hour", "gib_hour"),
        "iops": Meter("Storage", product, f"{kind} Provisioned IOPS", "1/Hour", "iops_hour"),
        "throughput": Meter("Storage", product, f"{kind} Provisioned Throughput (MBps)", "1/Hour", "mb_per_s_hour"),
    }


def gateway(name: str) -> Meter:
    """Give a meter of the ExpressRoute gateways."""
    return Meter("ExpressRoute", "ExpressRoute Gateway", name, "1 Hour", "hour")


PREMIUM_SSD_V2: Final = disk("Azure Premium SSD v2", "Premium LRS")
ULTRA: Final = disk("Ultra Disks", "Ultra LRS")

STORAGE: Final[Mapping[str, Meter]] = {
    "azure-netapp-standard": netapp("Standard Capacity"),
    "azure-netapp-premium": netapp("Premium Capacity"),
    "azure-netapp-ultra": netapp("Ultra Capacity"),
    "azure-netapp-flexible-capacity": netapp("Flexible Service Level Capacity"),
    **{f"azure-disk-premium-ssd-v2-{part}": meter for part, meter in PREMIUM_SSD_V2.items()},
    **{f"azure-disk-ultra-{part}": meter for part, meter in ULTRA.items()},
}

# By the word that the origin of the tariff begins with.
GATEWAYS: Final[Mapping[str, Meter]] = {
    **{name: gateway(f"{name} Gateway") for name in ("ErGw1AZ", "ErGw2AZ", "ErGw3AZ")},
    "ErGwScale": gateway("ErGwScale Unit"),
}


# As the API spells regions: `eastus2`.
REGION: Final = re.compile(r"[a-z]+[0-9]*")


@dataclass(frozen=True)
class Wanted:
    """A row of the catalogue that a meter prices in a region."""

    key: Key
    row: Row
    meter: Meter
    region: str


def deliver(
    delivery: Delivery, client: Client, known: Mapping[Key, Row], kinds: Iterable[Kind], page: Callable[[str], None]
) -> None:
    """Read the meters of the rows that are asked for, those of one product in one query."""
    products: dict[tuple[str, str], list[Wanted]] = defaultdict(list)
    for one in wanted(delivery, known, kinds):
        products[one.meter.service, one.meter.product].append(one)
    for (service, product), rows in products.items():
        query = " and ".join(
            (
                f"serviceName eq '{service}' and productName eq '{product}' and priceType eq 'Consumption'",
                any_of("meterName", sorted({one.meter.name for one in rows})),
                any_of("armRegionName", sorted({one.region for one in rows})),
            )
        )
        try:
            pages = list(paged(client, address(client.base, query), product, page))
        except UndeliveredError as error:
            delivery.failures.append(f"{product}: {error}")
            continue
        read(delivery, client.base, rows, pages)


def wanted(delivery: Delivery, known: Mapping[Key, Row], kinds: Iterable[Kind]) -> Iterable[Wanted]:
    """Give the rows of the catalogue that have a meter and a region."""
    for key, row in known.items():
        if row["provider"] != "azure":
            continue
        if key[0] == "storage" and "storage" in kinds:
            meter, region = STORAGE.get(row["name"]), row.get("region")
        elif key[0] == "transfers" and "transfers" in kinds:
            meter, region = GATEWAYS.get(first_word(row["origin"])), region_of(row)
        else:
            continue
        if meter is None:
            delivery.skipped[f"{key[0]} without a meter known here"] += 1
        elif not region:
            delivery.skipped[f"{key[0]} whose region is not stated"] += 1
        else:
            yield Wanted(key, row, meter, str(region))


def first_word(origin: str) -> str:
    """Give the product that a tariff is for: what stands before a space or a comma."""
    return origin.replace(",", " ").split(" ")[0]


def region_of(row: Row) -> str:
    """Give the region a gateway's price holds for: the destination, or what stands in brackets behind its name."""
    words = row.get("destination") or row["origin"].partition("(")[2].partition(")")[0]
    return words if REGION.fullmatch(words) else ""


def read(delivery: Delivery, base: str, rows: list[Wanted], pages: Iterable[Page]) -> None:
    """Read a product's items as prices of the rows; a free first tier stands beside the paid one and is passed over."""
    quoted: dict[Key, list[Quote]] = defaultdict(list)
    faults = len(delivery.faults)
    for page in pages:
        for number, given in enumerate(page.items):
            at = f"{page.at}[{number}]"
            try:
                item = fields.an_object(given, at)
                for one in rows:
                    if (usd := price(item, at, one)) is not None:
                        note = f"meter {one.meter.name}"
                        row = {**one.row, "usd": usd, "usd_per": one.meter.usd_per}
                        quoted[one.key].append(quote_of(one.key[0], "usd", stamped(row, "azure", base, page.day, note)))
            except SkippedError as reason:
                delivery.skipped[str(reason)] += 1
            except UnreadableError as error:
                delivery.faults.append(str(error))
    if len(delivery.faults) == faults:
        delivery.covered |= {one.key for one in rows if one.row.get("usd") is not None}
    for key, quotes in quoted.items():
        keep_single(delivery, key, quotes)


def price(item: dict[str, object], at: str, one: Wanted) -> float | None:
    """Give the price that an item has for a row, in USD; none if it is about another."""
    if fields.text(item, "type", at) != "Consumption":
        raise SkippedError("DevTest price, for development only")
    if fields.text(item, "meterName", at) != one.meter.name or fields.text(item, "armRegionName", at) != one.region:
        return None
    return priced(item, at, one.meter.unit)
