"""Oracle's price list: each of its traps, met by an answer of the documented shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import rackrate as rr
from price_site import Reply, Request, Site, ask, part, payg, price, problems, rows

if TYPE_CHECKING:
    from pathlib import Path

    from rackrate._prices.refresh import Outcome

ALL = "all-commercial"


def oci(site: Site, output: Path, **changes: Any) -> Outcome:
    return ask(site, output, providers=("oci",), **changes)


def test_a_price_is_for_one_gpu_and_dated_by_the_list(site: Site, output: Path) -> None:
    assert oci(site, output).status == 0
    (request,) = site.requests
    assert request.path == "/oci/products/"
    assert request.query == {"currencyCode": "USD"}
    (row,) = rows(output)
    assert row == {
        "provider": "oci",
        "shape": "BM.GPU.H100.8",
        "region": ALL,
        "term": "payg",
        "meter": "B98415",
        "usd_per_gpu_hour": 10.0,
        "source": f"Oracle price list API ({site.url}/oci/products/)",
        "as_of": "2026-11-19",
        "confidence": "list",
        "note": '"H100" in the list',
    }


def test_a_list_that_does_not_say_its_day_has_the_day_of_the_answer(site: Site, output: Path) -> None:
    site.fault = lambda _request: Reply.of({"items": site.parts})
    oci(site, output)
    assert rows(output)[0]["as_of"] == "2026-11-20"


def test_every_shape_with_a_part_is_found_by_its_number_whatever_the_name(site: Site, output: Path) -> None:
    known = {one.meter: one for one in rr.catalog().prices if one.provider == "oci" and one.term == "payg"}
    assert None not in known
    site.parts = [
        part(str(number), payg(one.usd_per_gpu_hour * 1.25), name="OCI-  Compute") for number, one in known.items()
    ]
    outcome = oci(site, output)
    assert outcome.status == 0
    shapes = {one.shape for one in rr.catalog().prices if one.provider == "oci" and one.term == "payg"}
    assert len(shapes) >= 20
    assert {row["shape"] for row in rows(output)} == shapes
    assert {round(change.share or 0, 9) for change in outcome.changes} == {0.25}


def test_what_is_doubtful_about_a_mapping_stays_doubtful(site: Site, output: Path) -> None:
    site.parts = [part("B93544", payg(3.05))]
    oci(site, output)
    row = price(output, "BM.GPU.B4.8", ALL)
    assert row is not None
    assert row["confidence"] == "secondary"
    assert "inferred" in row["note"]


def test_other_parts_of_the_same_metric_are_no_gpus(site: Site, output: Path) -> None:
    site.parts += [
        part("B111827", payg(2.5), name="NVIDIA AI Enterprise - H100"),
        part("B110965", payg(9), name="Compute Cloud@Customer - H100"),
    ]
    oci(site, output)
    assert [row["usd_per_gpu_hour"] for row in rows(output)] == [10]


@pytest.mark.parametrize(
    ("prices", "metric", "why"),
    [
        ([payg(10), payg(11)], "GPU Per Hour", "2 pay-as-you-go prices (10 above 0, 11 above 0), none taken"),
        ([payg(0)], "GPU Per Hour", "0 pay-as-you-go prices (none above zero), none taken"),
        ([], "GPU Per Hour", "0 pay-as-you-go prices"),
        ([payg(80)], "Node Per Hour", 'metered by "Node Per Hour", "GPU Per Hour" expected'),
    ],
)
def test_a_part_that_does_not_fit_is_a_fault_and_not_taken(
    site: Site, output: Path, prices: list[dict[str, Any]], metric: str, why: str
) -> None:
    site.parts = [part("B98415", *prices, metric=metric), part("B110519", payg(10))]
    outcome = oci(site, output)
    assert outcome.status == 3
    assert "part B98415, BM.GPU.H100.8" in problems(outcome, "oci")
    assert why in problems(outcome, "oci")
    assert [row["shape"] for row in rows(output)] == ["BM.GPU.H200.8"]
    assert not [change for change in outcome.changes if change.status == "gone" and change.key[1] == "BM.GPU.H100.8"]


def test_two_different_entries_of_one_part_are_a_fault_the_same_twice_is_not(site: Site, output: Path) -> None:
    site.parts = [part("B110519", payg(10)), *site.parts, *site.parts]
    assert oci(site, output).status == 0
    site.parts += [part("B98415", payg(12))]
    assert oci(site, output).status == 3


def test_only_pay_as_you_go_in_usd_counts(site: Site, output: Path) -> None:
    one = part("B98415", payg(10), {"model": "MONTHLY_COMMIT", "value": 7})
    one["currencyCodeLocalizations"].insert(0, {"currencyCode": "EUR", "prices": [payg(9.3)]})
    site.parts = [one]
    assert oci(site, output).status == 0
    assert rows(output)[0]["usd_per_gpu_hour"] == 10


def test_preemptible_is_not_in_the_list_and_not_gone(site: Site, output: Path) -> None:
    outcome = oci(site, output)
    preemptible = len([one for one in rr.catalog().prices if one.term == "preemptible"])
    assert outcome.deliveries[0].skipped == {"term preemptible, not in the list": preemptible}
    gone = {change.key[1] for change in outcome.changes if change.status == "gone"}
    assert "BM.GPU.H200.8" in gone
    assert not [change for change in outcome.changes if change.status == "gone" and change.key[3] == "preemptible"]


def test_tiered_parts_begin_with_a_free_tier(site: Site, output: Path) -> None:
    stored, moved = "Gigabyte Storage Capacity Per Month", "Gigabyte Outbound Data Transfer Per Month"
    site.parts = [
        part("B91628", payg(0, rangeMin=0, rangeMax=10), payg(0.026, rangeMin=10), metric=stored),
        part("B91961", payg(0.03), metric="Gigabyte Storage Capacity Per Hour"),
        part("B88327", payg(0, rangeMin=0), payg(0.009, rangeMin=10240), metric=moved),
        part("B93455", payg(0, rangeMin=0), payg(0.03, rangeMin=5000), metric=moved),
        part("B88326", payg(1.3), metric="Port Hour"),
    ]
    outcome = oci(site, output, kinds=("storage", "transfers"))
    assert outcome.status == 3
    (tier,) = rows(output, "storage")
    assert (tier["name"], tier["usd"], tier["usd_per"]) == ("oci-object-standard", 0.026, "gb_month")
    assert "B91628" in tier["note"]
    egress, port = sorted(rows(output, "transfers"), key=lambda row: str(row["usd"]))
    assert (egress["tier_from_gb"], egress["usd"], egress["kind"]) == (10240, 0.009, "internet_egress")
    assert (port["usd"], port["gbit_per_s"]) == (1.3, [10])
    assert "part B93455" in problems(outcome, "oci")
    assert (
        'metered by "Gigabyte Storage Capacity Per Hour", "Gigabyte Storage Capacity Per Month" expected'
        in problems(outcome, "oci")
    )
    assert "begins above 5000 GB, in the catalogue above 10240 GB" in problems(outcome, "oci")
    # What a refresh wrote, the next one finds again by its part.
    again = {change.key[1]: change.status for change in oci(site, output, kinds=("storage",)).changes}
    assert again["oci-object-standard"] == "unchanged"


def test_more_pages_are_followed_if_they_appear(site: Site, output: Path) -> None:
    def paged(request: Request) -> Reply | None:
        if request.query.get("offset") == "1":
            return Reply.of({"items": [part("B110519", payg(10))], "hasMore": False, "links": []})
        links = [{"rel": "self", "href": "x"}, {"rel": "next", "href": f"{site.url}/oci/products/?offset=1"}]
        return Reply.of({"lastUpdated": site.updated, "items": site.parts, "hasMore": True, "links": links})

    site.fault = paged
    assert oci(site, output).status == 0
    assert len(rows(output)) == 2


GOOD: dict[str, Any] = {"items": [], "lastUpdated": "2026-11-19T14:18:05.193Z"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ([], "page 1: a list given, an object expected"),
        ({}, "page 1.items is missing"),
        ({"items": "none"}, 'page 1.items: "none" given, a list expected'),
        ({**GOOD, "lastUpdated": "yesterday"}, 'page 1.lastUpdated: "yesterday" is no date'),
        ({**GOOD, "lastUpdated": 5}, "page 1.lastUpdated: 5 given, text expected"),
        ({**GOOD, "hasMore": "yes"}, 'page 1.hasMore: "yes" given'),
        ({**GOOD, "hasMore": True}, "page 1.links is missing"),
        ({**GOOD, "hasMore": True, "links": []}, "more pages announced, but no next one"),
        ({**GOOD, "hasMore": True, "links": [{"rel": "next"}]}, "page 1.links[0].href is missing"),
        ({**GOOD, "hasMore": True, "links": [{"rel": "next", "href": "https://evil.example/"}]}, "evil.example"),
        (GOOD, "no price of anything"),
    ],
)
def test_a_list_that_is_none_fails_as_a_whole(site: Site, output: Path, body: Any, why: str) -> None:
    site.fault = lambda _request: Reply.of(body)
    outcome = oci(site, output)
    assert outcome.status == 1
    assert why in problems(outcome, "oci")
    assert not output.exists()


@pytest.mark.parametrize("links", ["the same", "ever new"])
def test_pages_without_end_are_left(site: Site, output: Path, links: str) -> None:
    def circle(request: Request) -> Reply:
        number = request.number if links == "ever new" else 0
        following = {"rel": "next", "href": f"{site.url}/oci/products/?offset={number}"}
        return Reply.of({"items": site.parts, "hasMore": True, "links": [following]})

    site.fault = circle
    outcome = oci(site, output)
    assert outcome.status == 1
    assert "turn in a circle" in problems(outcome, "oci")
    assert len(site.requests) <= 100


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("a part", 'page 1.items[1]: "a part" given, an object expected'),
        ({"partNumber": 5}, "page 1.items[1].partNumber: 5 given, text expected"),
        ({"partNumber": "B110519"}, "page 1.items[1].currencyCodeLocalizations is missing"),
        (part("B110519", payg("10")), 'prices[0].value: "10" given, a number expected'),  # type: ignore[arg-type]
        (part("B110519", {"value": 10}), "prices[0].model is missing"),
        (part("B110519", payg(10, rangeMin="0")), 'prices[0].rangeMin: "0" given, a number expected'),
    ],
)
def test_an_item_of_another_kind_is_a_fault_with_its_path(site: Site, output: Path, broken: Any, why: str) -> None:
    site.parts += [broken]
    outcome = oci(site, output)
    assert outcome.status == 3
    assert why in problems(outcome, "oci")
    assert [row["shape"] for row in rows(output)] == ["BM.GPU.H100.8"]
    assert not [change for change in outcome.changes if change.status == "gone"]
