"""Azure: which meters of the Retail Prices API our storage tiers and tariffs are, and their prices.

The catalogue names a tier in words; the API names a service, a product and a meter. The three stand here, once, for
everything whose unit both count alike. What is not here keeps its price.
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
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rackrate._prices.client import Client


@dataclass(frozen=True)
class Meter:
    """A meter of the API, and where and from which volume on it prices a row.

    Attributes:
        service: `serviceName`.
        product: `productName`.
        names: `meterName`: any of these.
        unit: `unitOfMeasure`.
        usd_per: The same unit in the catalogue's word.
        region: `armRegionName`.
        sku: `skuName`, where the meter's name is not enough.
        above: `tierMinimumUnits`, where the price has tiers.
    """

    service: str
    product: str
    names: tuple[str, ...]
    unit: str
    usd_per: str
    region: str
    sku: str | None = None
    above: float | None = None


# Disks whose capacity, operations and throughput are bought apart, by the first words of their tier.
DISKS: Final = {"Premium SSD v2": ("Azure Premium SSD v2", "Premium LRS"), "Ultra": ("Ultra Disks", "Ultra LRS")}
DISK_PARTS: Final = {
    "capacity": ("Provisioned Capacity", "1 GiB/Hour", "gib_hour"),
    "IOPS": ("Provisioned IOPS", "1/Hour", "iops_hour"),
    "throughput": ("Provisioned Throughput (MBps)", "1/Hour", "mb_per_s_hour"),
}
NETAPP: Final = {
    **{tier: f"{tier} Capacity" for tier in ("Standard", "Premium", "Ultra")},
    "Flexible capacity": "Flexible Service Level Capacity",
}
GATEWAYS: Final = {
    **{name: f"{name} Gateway" for name in ("ErGw1AZ", "ErGw2AZ", "ErGw3AZ")},
    "ErGwScale": "ErGwScale Unit",
}
CIRCUIT: Final = re.compile(r"ExpressRoute (Local|Standard|Premium)(?: (metered|unlimited))? (\d+) Gbps")

# A zone's tariff of internet egress is that of each of its regions; one of them is asked for.
EGRESS_REGIONS: Final = {"zone-1": "eastus", "zone-2": "southeastasia", "zone-3": "brazilsouth"}

# As the API spells regions: `eastus2`.
REGION: Final = re.compile(r"[a-z]+[0-9]*")


def storage_meter(row: Row) -> Meter | None:
    """Give the meter of a storage tier; none if it is not known here or the tier's region is not."""
    service, tier, region = row["service"], row["tier"], row.get("region") or ""
    if not region:
        return None
    if service == "NetApp Files" and tier in NETAPP:
        return Meter("Azure NetApp Files", "Azure NetApp Files", (NETAPP[tier],), "1 GiB/Hour", "gib_hour", region)
    if service == "Managed Lustre":
        names = ("Provisioned Capacity",)
        return Meter("Storage", "Azure Managed Lustre", names, "1 GiB/Hour", "gib_hour", region, sku=tier)
    disk, _, part = tier.rpartition(" ")
    if service == "Managed disks" and disk in DISKS and part in DISK_PARTS:
        product, kind = DISKS[disk]
        name, unit, usd_per = DISK_PARTS[part]
        return Meter("Storage", product, (f"{kind} {name}",), unit, usd_per, region)
    return None


def tariff_meter(row: Row) -> Meter | None:
    """Give the meter of a tariff; none if it is not known here or the tariff's region or zone is not."""
    kind, origin = row["kind"], row["origin"]
    name = GATEWAYS.get(origin.replace(",", " ").split(" ")[0])
    if kind == "interconnect_gateway" and name and (region := region_of(row)):
        return Meter("ExpressRoute", "ExpressRoute Gateway", (name,), "1 Hour", "hour", region)
    if kind == "internet_egress" and origin in EGRESS_REGIONS:
        # Over Microsoft's network, the default.
        return Meter(
            *("Bandwidth", "Rtn Preference: MGN", ("Standard Data Transfer Out",), "1 GB", "gb"),
            EGRESS_REGIONS[origin],
            above=row.get("tier_from_gb") or 0.0,
        )
    zone = str(row.get("destination") or "").replace("zone-", "Zone ")
    if not zone.startswith("Zone "):
        return None
    if kind == "interconnect_data" and origin == "ExpressRoute metered":
        return Meter("ExpressRoute", "ExpressRoute", ("Metered Data - Data Transfer Out",), "1 GB", "gb", zone)
    circuit = CIRCUIT.fullmatch(origin)
    if kind == "interconnect_port" and circuit:
        return Meter("ExpressRoute", "ExpressRoute", circuit_names(*circuit.groups()), "1/Month", "month", zone)
    return None


def circuit_names(plan: str, data: str | None, rate: str) -> tuple[str, ...]:
    """Give what the meter of a circuit may be called; a local one includes its data, and its name may not say so."""
    if data is None:
        return (f"{plan} {rate} Gbps Circuit", f"{plan} Unlimited Data {rate} Gbps Circuit")
    return (f"{plan} {data.capitalize()} Data {rate} Gbps Circuit",)


def region_of(row: Row) -> str:
    """Give the region a gateway's price holds for: the destination, or what stands in brackets behind its name."""
    words = row.get("destination") or row["origin"].partition("(")[2].partition(")")[0]
    return words if REGION.fullmatch(words) else ""


@dataclass(frozen=True)
class Wanted:
    """A row of the catalogue and the meter that prices it."""

    key: Key
    row: Row
    meter: Meter


def deliver(
    delivery: Delivery, client: Client, known: Mapping[Key, Row], kinds: Iterable[Kind], page: Callable[[str], None]
) -> None:
    """Read the meters of the rows that are asked for, those of one product in one query."""
    products: dict[tuple[str, str], list[Wanted]] = defaultdict(list)
    for one in wanted(delivery, known, kinds):
        products[one.meter.service, one.meter.product].append(one)
    for (service, product), rows in products.items():
        condition = f"serviceName eq '{service}' and productName eq '{product}' and priceType eq 'Consumption'"
        query = f"{condition} and {any_of('armRegionName', sorted({one.meter.region for one in rows}))}"
        try:
            pages = list(paged(client, address(client.base, query), product, page))
        except UndeliveredError as error:
            delivery.failures.append(f"{product}: {error}")
            continue
        read(delivery, client.base, rows, pages)


def wanted(delivery: Delivery, known: Mapping[Key, Row], kinds: Iterable[Kind]) -> Iterator[Wanted]:
    """Give the rows of the catalogue that have a meter."""
    for key, row in known.items():
        if row["provider"] == "azure" and key[0] in {"storage", "transfers"} and key[0] in kinds:
            meter = storage_meter(row) if key[0] == "storage" else tariff_meter(row)
            if meter is None:
                delivery.skipped[f"{key[0]} without a meter known here"] += 1
            else:
                yield Wanted(key, row, meter)


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
                    if is_about(item, at, one.meter):
                        note = f"meter {fields.text(item, 'meterName', at)}"
                        row = {**one.row, "usd": priced(item, at, one.meter.unit), "usd_per": one.meter.usd_per}
                        quoted[one.key].append(quote_of(one.key[0], "usd", stamped(row, "azure", base, page.day, note)))
            except SkippedError as reason:
                delivery.skipped[str(reason)] += 1
            except UnreadableError as error:
                delivery.faults.append(str(error))
    if len(delivery.faults) == faults:
        delivery.covered |= {one.key for one in rows if one.row.get("usd") is not None}
    for key, quotes in quoted.items():
        keep_single(delivery, key, quotes)


def is_about(item: dict[str, object], at: str, meter: Meter) -> bool:
    """Whether an item is this meter's, in its region and tier."""
    if fields.text(item, "type", at) != "Consumption":
        return False
    return (
        fields.text(item, "meterName", at) in meter.names
        and fields.text(item, "armRegionName", at) == meter.region
        and (meter.sku is None or fields.text(item, "skuName", at) == meter.sku)
        and (meter.above is None or fields.amount(item, "tierMinimumUnits", at) == meter.above)
    )
