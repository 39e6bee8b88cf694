"""Azure's Retail Prices API: each of its traps, met by an answer of the documented shape."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import rackrate as rr
from price_site import H100, H200, Reply, Request, Site, ask, item, page, price, problems, reserved, rows

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
    ]
    # A server may disregard the filter's kind of price.
    site.fault = lambda request: Reply.of(page(site.items)) if H100 in request.query["$filter"] else None
    outcome = azure(site, output)
    assert [row["usd_per_node_hour"] for row in rows(output)] == [98.32]
    assert skipped(outcome) == {"Windows price": 2, "DevTest price, for development only": 1}
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
