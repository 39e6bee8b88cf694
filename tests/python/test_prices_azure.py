"""Azure's Retail Prices API: each of its traps, met by an answer of the documented shape."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import rackrate as rr
from price_site import H100, H200, Reply, Request, Site, ask, item, page, price, problems, reserved, rows
from rackrate._prices import azure_meters
from rackrate._prices.client import Client
from rackrate._prices.quotes import Delivery, key_of

if TYPE_CHECKING:
    from pathlib import Path

    from rackrate._prices.refresh import Outcome


def azure(site: Site, output: Path, **changes: Any) -> Outcome:
    return ask(site, output, providers=("azure",), **changes)


def skipped(outcome: Outcome) -> dict[str, int]:
    return dict(outcome.deliveries[0].skipped)


def test_every_size_of_the_catalogue_is_asked_for_by_its_own_name(site: Site, output: Path) -> None:
    assert azure(site, output).status == 0
    names = [shape.name for shape in rr.catalog().shapes if shape.provider == "azure"]
    filters = [request.query["$filter"] for request in site.requests]
    assert re.findall(r"armSkuName eq '([^']*)'", " ".join(filters)) == names
    for request in site.requests:
        assert request.query["api-version"] == "2023-01-01-preview"
        assert "serviceName eq 'Virtual Machines'" in request.query["$filter"]
        # The name of the field differs between filter and answer.
        assert "priceType eq 'Consumption'" in request.query["$filter"]
        assert "priceType eq 'Reservation'" in request.query["$filter"]
    assert len(filters) == -(-len(names) // 8)


def test_pay_as_you_go(site: Site, output: Path) -> None:
    azure(site, output)
    row = price(output, H100, "eastus2")
    assert row == {
        "provider": "azure",
        "shape": H100,
        "region": "eastus2",
        "term": "payg",
        "usd_per_node_hour": 98.32,
        "meter": "ND96isrH100v5",
        "source": f"Azure Retail Prices API ({site.url}/azure/prices)",
        "as_of": "2026-11-20",
        "confidence": "list",
        "note": "",
    }
    plan = rr.plan("azure-trains-oci-serves", overlay={"prices": [row]})
    assert any("Azure Retail Prices API" in one.source.source for one in plan.sources)


def test_pages_are_followed_to_the_end_an_empty_one_among_them(site: Site, output: Path) -> None:
    site.items = [item(armRegionName=f"region{number}") for number in range(10)]
    site.page_size = 3

    def empty_middle(request: Request) -> Reply | None:
        if request.query.get("$skip") == "3":
            return Reply.of(page([], f"{site.url}/azure/prices?%24filter={H100}&%24skip=6&go=on"))
        if request.query.get("go") == "on":
            return Reply.of(page(site.items[6:]))
        return None

    site.fault = empty_middle
    assert azure(site, output).status == 0
    assert [row["region"] for row in rows(output)] == [f"region{number}" for number in (0, 1, 2, 6, 7, 8, 9)]


def test_spot_and_low_priority_ride_inside_consumption(site: Site, output: Path) -> None:
    site.items += [
        item(meterName="ND96isrH100v5 Spot", retailPrice=18.169536),
        item(meterName="ND96isrH100v5 Low Priority", retailPrice=19.664),
    ]
    assert azure(site, output).status == 0
    found = {row["term"]: row["usd_per_node_hour"] for row in rows(output)}
    assert found == {"payg": 98.32, "spot": 18.169536, "low_priority": 19.664}


def test_a_reservation_gives_the_total_of_its_term(site: Site, output: Path) -> None:
    site.items = [reserved("1 Year", 551221.0, armRegionName="eastus"), reserved("3 Years", 1134310.0)]
    site.items.append(reserved("5 Years", 2000000.0))
    outcome = azure(site, output)
    one, three = price(output, H100, "eastus", "reserved_1y"), price(output, H100, "eastus2", "reserved_3y")
    assert one is not None
    assert three is not None
    assert (one["term_total_usd"], three["term_total_usd"]) == (551221, 1134310)
    assert "usd_per_node_hour" not in one
    assert skipped(outcome) == {'reservation of "5 Years"': 1}
    overlaid = rr.plan("azure-trains-oci-serves", overlay={"prices": rows(output)})
    assert overlaid.training is not None


def test_windows_and_development_prices_are_dropped(site: Site, output: Path) -> None:
    site.items += [
        item(productName="Virtual Machines NDsr H100 v5 Series Windows", retailPrice=102.0),
        item(productName="Virtual Machines NDsr H100 v5 Series Windows", meterName="X Spot", retailPrice=20.0),
        item(type="DevTestConsumption", retailPrice=50.0),
        item(productName="NDsr H100 v5 Series CloudServices", retailPrice=98.0),
        item(productName="NDsr H100 v5 Series Dedicated Host", retailPrice=99.0),
    ]
    # A server may disregard the filter's kind of price.
    site.fault = lambda request: Reply.of(page(site.items)) if H100 in request.query["$filter"] else None
    outcome = azure(site, output)
    assert [row["usd_per_node_hour"] for row in rows(output)] == [98.32]
    assert skipped(outcome) == {
        "Windows price": 2,
        "DevTest price, for development only": 1,
        "price of Cloud Services": 1,
        "price of a dedicated host": 1,
    }
    assert outcome.status == 0


def test_spot_at_the_price_of_pay_as_you_go_is_no_error(site: Site, output: Path) -> None:
    changes = {"armSkuName": H200, "retailPrice": 84.8}
    site.items = [item(**changes), item(meterName="ND96isrH200v5 Spot", **changes)]
    assert azure(site, output).status == 0
    row = price(output, H200, "eastus2", "spot")
    assert row is not None
    assert row["usd_per_node_hour"] == 84.8
    assert "no discount" in row["note"]


def test_names_that_are_no_size_of_ours_are_told(site: Site, output: Path) -> None:
    others = ["", "NDsrGB200NDRv6", "standard_nd96isr_h100_v5"]
    everything = [*site.items, *(item(armSkuName=name, retailPrice=1.0) for name in others)]
    site.fault = lambda request: Reply.of(page(everything)) if H100 in request.query["$filter"] else None
    outcome = azure(site, output)
    assert len(rows(output)) == 1
    assert skipped(outcome) == {f'unknown size "{name}"': 1 for name in others}


def test_two_prices_of_one_kind_are_a_fault_and_none_is_guessed(site: Site, output: Path) -> None:
    site.items += [item(armRegionName="eastus"), item(retailPrice=90.0, meterName="another meter")]
    outcome = azure(site, output)
    assert outcome.status == 3
    assert price(output, H100, "eastus2") is None
    assert price(output, H100, "eastus") is not None
    assert f"{H100}, eastus2, payg: 2 prices, none taken: 98.32 (ND96isrH100v5), 90 (another meter)" in problems(
        outcome, "azure"
    )
    # Nor does what was known of it count as gone.
    assert not [
        change for change in outcome.changes if change.key[1:3] == (H100, "eastus2") and change.key[3] == "payg"
    ]


def test_an_item_that_comes_twice_over_two_pages_counts_once(site: Site, output: Path) -> None:
    site.items = [item(), item()]
    site.page_size = 1
    assert azure(site, output).status == 0
    assert len(rows(output)) == 1


def test_prices_of_zero_and_closed_regions_are_dropped(site: Site, output: Path) -> None:
    site.items += [
        item(retailPrice=0.0, armRegionName="westus"),
        item(armRegionName="usgovvirginia"),
        item(armRegionName=""),
    ]
    outcome = azure(site, output)
    assert [row["region"] for row in rows(output)] == ["eastus2"]
    assert skipped(outcome) == {"price of zero": 1, 'region "usgovvirginia", for governments': 1, "no region": 1}


def test_savings_plans_of_the_preview(site: Site, output: Path) -> None:
    plans = [
        {"unitPrice": 0.34323, "retailPrice": 0.34323, "term": "3 Years"},
        {"unitPrice": 0.49129, "retailPrice": 0.49129, "term": "1 Year"},
        {"unitPrice": 0.1, "retailPrice": 0.1, "term": "9 Years"},
    ]
    site.items = [item(savingsPlan=plans), item(meterName="X Spot", retailPrice=18.0, savingsPlan=plans)]
    outcome = azure(site, output)
    found = {row["term"]: row["usd_per_node_hour"] for row in rows(output)}
    assert found == {"payg": 98.32, "savings_plan_3y": 0.34323, "savings_plan_1y": 0.49129, "spot": 18.0}
    assert skipped(outcome) == {'savings plan of "9 Years"': 1}


def test_an_old_start_of_a_price_is_no_old_price(site: Site, output: Path) -> None:
    site.items = [item(effectiveStartDate="2017-01-01T00:00:00Z")]
    azure(site, output)
    row = price(output, H100, "eastus2")
    assert row is not None
    assert row["as_of"] == "2026-11-20"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"retailPrice": "98.32"}, 'retailPrice: "98.32" given, a number expected'),
        ({"retailPrice": True}, "retailPrice: true given, a number expected"),
        ({"retailPrice": None}, "retailPrice: null given, a number expected"),
        ({"retailPrice": -1}, "retailPrice: -1 is no price"),
        ({"retailPrice": 10**400}, "is no price"),
        ({"currencyCode": "EUR"}, 'currencyCode: "EUR" given, "USD" expected'),
        ({"unitOfMeasure": "1/Month"}, 'unitOfMeasure: "1/Month" given, "1 Hour" expected'),
        ({"tierMinimumUnits": 100}, "tierMinimumUnits"),
        ({"armRegionName": 7}, "armRegionName: 7 given, text expected"),
        ({"meterName": ["x"]}, "meterName: a list given, text expected"),
        ({"savingsPlan": {"term": "1 Year"}}, "savingsPlan: an object given, a list expected"),
        ({"savingsPlan": ["x"]}, 'savingsPlan[0]: "x" given, an object expected'),
        ({"type": "Reservation"}, "reservationTerm is missing"),
    ],
)
def test_a_field_of_another_kind_is_a_fault_with_its_path(
    site: Site, output: Path, change: dict[str, Any], why: str
) -> None:
    site.items = [item(armRegionName="westus"), item(**change)]
    site.fault = lambda request: Reply.of(page(site.items)) if H100 in request.query["$filter"] else None
    outcome = azure(site, output)
    assert outcome.status == 3
    assert "page 1.Items[1]" in problems(outcome, "azure")
    assert why in problems(outcome, "azure")
    assert price(output, H100, "westus") is not None
    # What could not be read may be anything: nothing of this query counts as gone.
    assert not [change for change in outcome.changes if change.status == "gone" and change.key[1] == H100]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ([], "page 1: a list given, an object expected"),
        ({}, "page 1.Items is missing"),
        ({**page([]), "Items": {}}, "page 1.Items: an object given, a list expected"),
        ({**page([]), "BillingCurrency": "EUR"}, "page 1.BillingCurrency: EUR given, USD expected"),
        ({**page([]), "NextPageLink": 5}, "page 1.NextPageLink: 5 given, text expected"),
        ({**page([item()]), "Count": 2}, "page 1.Count: 2 items announced, 1 came"),
        (page([], "https://prices.azure.com.evil.example/next"), "links to https://prices.azure.com.evil.example/next"),
        (page([], "http://127.0.0.1:1/next"), "links to http://127.0.0.1:1/next"),
    ],
)
def test_a_page_that_is_none_fails_its_query_only(site: Site, output: Path, body: Any, why: str) -> None:
    site.items = [item(), item(armSkuName="Standard_NC24ads_A100_v4", retailPrice=3.673)]
    site.fault = lambda request: Reply.of(body) if H100 in request.query["$filter"] else None
    outcome = azure(site, output)
    assert outcome.status == 3
    assert why in problems(outcome, "azure")
    assert {row["shape"] for row in rows(output)} == {"Standard_NC24ads_A100_v4"}


@pytest.mark.parametrize("links", ["the same", "ever new"])
def test_pages_without_end_are_left(site: Site, output: Path, links: str) -> None:
    def circle(request: Request) -> Reply | None:
        number = request.number if links == "ever new" else 1
        if H100 in request.query["$filter"]:
            return Reply.of(page([item()], f"{site.url}/azure/prices?%24filter={H100}&page={number}"))
        return None

    site.fault = circle
    outcome = azure(site, output)
    assert outcome.status == 1
    assert "turn in a circle" in problems(outcome, "azure")
    assert len(site.requests) < 220
    assert not output.exists()


def test_an_answer_without_any_price_is_a_failure_not_the_end_of_all_offers(site: Site, output: Path) -> None:
    site.items = []
    outcome = azure(site, output)
    assert outcome.status == 1
    assert "no price of anything" in problems(outcome, "azure")
    assert outcome.changes == []
    assert not output.exists()


def meter(service: str, product: str, name: str, usd: float, unit: str, **changes: Any) -> dict[str, Any]:
    return item(
        serviceName=service,
        productName=product,
        meterName=name,
        retailPrice=usd,
        unitOfMeasure=unit,
        armRegionName="eastus",
        armSkuName="",
        **changes,
    )


def test_meters_of_storage(site: Site, output: Path) -> None:
    netapp, ssd = "Azure NetApp Files", "Azure Premium SSD v2"
    site.items = [
        meter(netapp, netapp, "Standard Capacity", 0.000203, "1 GiB/Hour"),
        meter(netapp, netapp, "Standard Capacity", 0.0003, "1 GiB/Hour") | {"armRegionName": "westus"},
        # The free first 3,000 operations stand beside the paid ones.
        meter("Storage", ssd, "Premium LRS Provisioned IOPS", 0.0, "1/Hour"),
        meter("Storage", ssd, "Premium LRS Provisioned IOPS", 0.0000071, "1/Hour", tierMinimumUnits=3000.0),
        # A unit that the tier does not have.
        meter("Storage", ssd, "Premium LRS Provisioned Capacity", 0.08, "1 GiB/Month"),
        # Ours is per month: a change of unit is held back, whatever the figures.
        meter("Storage", "Ultra Disks", "Ultra LRS Provisioned IOPS", 0.000068, "1/Hour"),
    ]
    outcome = azure(site, output, kinds=("storage",))
    assert outcome.status == 3
    found = {row["name"]: row for row in rows(output, "storage")}
    assert set(found) == {"azure-netapp-standard", "azure-disk-premium-ssd-v2-iops"}
    assert (found["azure-netapp-standard"]["usd"], found["azure-netapp-standard"]["throughput"]) == (0.000203, 16)
    assert found["azure-disk-premium-ssd-v2-iops"]["usd"] == 0.0000071
    assert found["azure-disk-premium-ssd-v2-iops"]["above"] == 3000
    assert 'unitOfMeasure: "1 GiB/Month" given, "1 GiB/Hour" expected' in problems(outcome, "azure")
    (held,) = [change for change in outcome.changes if change.status == "held"]
    assert held.key == ("storage", "azure-disk-ultra-iops")
    assert "per iops_month, the new one per iops_hour" in held.why


def test_gateways(site: Site, output: Path) -> None:
    tariffs = [row for row in rr.catalog().transfers if row.origin.startswith("ErGw1AZ")]
    region = (tariffs[0].destination or tariffs[0].origin.partition("(")[2]).strip("()")
    name = "ErGw1AZ Gateway"
    site.items = [
        meter("ExpressRoute", "ExpressRoute Gateway", name, 0.37, "1 Hour") | {"armRegionName": region},
        meter("ExpressRoute", "ExpressRoute Gateway", name, 9.99, "1 Hour") | {"armRegionName": "elsewhere"},
    ]
    azure(site, output, kinds=("transfers",))
    (row,) = rows(output, "transfers")
    assert (row["usd"], row["usd_per"], row["origin"]) == (0.37, "hour", tariffs[0].origin)


def tariff(kind: str, origin: str, destination: str | None, usd_per: str, above: float | None = None) -> dict[str, Any]:
    return {
        "provider": "azure",
        "kind": kind,
        "origin": origin,
        "destination": destination,
        "tier_from_gb": above,
        "usd": 1.0,
        "usd_per": usd_per,
    }


def tier(service: str, name: str, region: str = "westeurope") -> dict[str, Any]:
    return {
        "provider": "azure",
        "name": f"{service} {name}",
        "service": service,
        "tier": name,
        "region": region,
        "usd": 1,
    }


def priced_by(site: Site, table: str, row: dict[str, Any]) -> Delivery:
    """What one row of a catalogue is found to cost."""
    delivery = Delivery("azure")
    known = {key_of(table, row): row}
    azure_meters.deliver(delivery, Client(site.bases["azure"]), known, (table,), lambda _what: None)  # type: ignore[arg-type]
    return delivery


CIRCUITS = ("ExpressRoute", "ExpressRoute")
EGRESS = ("Bandwidth", "Rtn Preference: MGN", "Standard Data Transfer Out")


@pytest.mark.parametrize(
    ("table", "row", "found"),
    [
        (
            "transfers",
            tariff("interconnect_port", "ExpressRoute Standard metered 10 Gbps", "zone-2", "month"),
            meter(*CIRCUITS, "Standard Metered Data 10 Gbps Circuit", 3400, "1/Month") | {"armRegionName": "Zone 2"},
        ),
        (
            "transfers",
            tariff("interconnect_port", "ExpressRoute Premium unlimited 5 Gbps", "zone-1", "month"),
            meter(*CIRCUITS, "Premium Unlimited Data 5 Gbps Circuit", 28650, "1/Month") | {"armRegionName": "Zone 1"},
        ),
        (
            "transfers",
            tariff("interconnect_port", "ExpressRoute Local 1 Gbps", "zone-3", "month"),
            meter(*CIRCUITS, "Local 1 Gbps Circuit", 2000, "1/Month") | {"armRegionName": "Zone 3"},
        ),
        (
            "transfers",
            tariff("interconnect_port", "ExpressRoute Local 1 Gbps", "zone-3", "month"),
            meter(*CIRCUITS, "Local Unlimited Data 1 Gbps Circuit", 2000, "1/Month") | {"armRegionName": "Zone 3"},
        ),
        (
            "transfers",
            tariff("interconnect_data", "ExpressRoute metered", "zone-1", "gb"),
            meter(*CIRCUITS, "Metered Data - Data Transfer Out", 0.025, "1 GB") | {"armRegionName": "Zone 1"},
        ),
        (
            "transfers",
            tariff("internet_egress", "zone-1", "internet", "gb", 10335),
            meter(*EGRESS, 0.083, "1 GB", tierMinimumUnits=10335),
        ),
        (
            "transfers",
            tariff("interconnect_gateway", "ErGwScale unit", "eastus", "hour"),
            meter("ExpressRoute", "ExpressRoute Gateway", "ErGwScale Unit", 0.21, "1 Hour"),
        ),
        (
            "storage",
            tier("Managed Lustre", "AMLFS-Durable-Premium-125"),
            meter("Storage", "Azure Managed Lustre", "Provisioned Capacity", 0.000258, "1 GiB/Hour")
            | {"armRegionName": "westeurope", "skuName": "AMLFS-Durable-Premium-125"},
        ),
        (
            "storage",
            tier("Managed disks", "Ultra throughput"),
            meter("Storage", "Ultra Disks", "Ultra LRS Provisioned Throughput (MBps)", 0.000572, "1/Hour")
            | {"armRegionName": "westeurope"},
        ),
    ],
)
def test_each_kind_of_meter(site: Site, table: str, row: dict[str, Any], found: dict[str, Any]) -> None:
    # Beside it stand another region, another sku, another tier and another meter, each with another price.
    others = {"armRegionName": "elsewhere", "skuName": "another", "tierMinimumUnits": 7, "meterName": "another"}
    decoys = [found | {name: value, "retailPrice": 77.0} for name, value in others.items()]
    needed = {"armRegionName", "meterName"}
    needed |= {"skuName"} if row.get("service") == "Managed Lustre" else set()
    needed |= {"tierMinimumUnits"} if row.get("kind") == "internet_egress" else set()
    site.items = [found, *(one for one, name in zip(decoys, others, strict=True) if name in needed)]
    delivery = priced_by(site, table, row)
    assert delivery.faults == []
    assert [quote.usd for quote in delivery.quotes] == [found["retailPrice"]]
    # Twice is contradictory, another unit is none.
    site.items = [found, found | {"retailPrice": 77.0}]
    assert (priced_by(site, table, row).quotes, len(priced_by(site, table, row).faults)) == ([], 1)
    site.items = [found | {"unitOfMeasure": "1/Year"}]
    assert "unitOfMeasure" in priced_by(site, table, row).faults[0]


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("transfers", tariff("internet_egress", "any", "internet", "gb", 0)),
        ("transfers", tariff("interconnect_gateway", "ErGwScale, per scale unit (1 to 40)", None, "hour")),
        ("transfers", tariff("interconnect_port", "ExpressRoute Local 1 Gbps", None, "month")),
        ("storage", tier("Managed Lustre", "AMLFS-Durable-Premium-125", "")),
        ("storage", tier("Blob Storage", "Hot LRS")),
    ],
)
def test_what_has_no_meter_keeps_its_price_and_is_told(site: Site, table: str, row: dict[str, Any]) -> None:
    delivery = priced_by(site, table, row)
    assert (site.requests, delivery.quotes) == ([], [])
    assert delivery.skipped == {f"{table} without a meter known here": 1}


def test_the_region_asked_for_a_zone_lies_in_it() -> None:
    zones = {one.name: one.egress_zone for one in rr.catalog().regions if one.provider == "azure"}
    tariffs = {
        one.origin for one in rr.catalog().transfers if one.provider == "azure" and one.kind == "internet_egress"
    }
    assert {zones[region]: region for region in azure_meters.EGRESS_REGIONS.values()} == {
        zone: region for zone, region in azure_meters.EGRESS_REGIONS.items() if zone in tariffs
    }
