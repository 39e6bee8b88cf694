"""What a refresh makes of the answers: merged, compared, checked by the core, written whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rackrate as rr
from price_site import H100, Reply, Request, Site, Time, ask, item, part, payg, price, problems, rows
from rackrate._prices import overlay as overlays
from rackrate._prices.client import Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from rackrate._prices.refresh import Outcome

ALL = "all-commercial"


def down(provider: str) -> Callable[[Request], Reply | None]:
    return lambda request: Reply(b"down", 503) if request.provider == provider else None


def statuses(outcome: Outcome) -> dict[tuple[Any, ...], str]:
    return {change.key[1:]: change.status for change in outcome.changes}


def folder(output: Path) -> list[str]:
    return sorted(path.name for path in output.parent.iterdir())


def test_both_providers_by_default(site: Site, output: Path) -> None:
    outcome = ask(site, output)
    assert (outcome.status, outcome.written) == (0, True)
    assert [row["shape"] for row in rows(output)] == ["BM.GPU.H100.8", H100]
    assert folder(output) == ["overlay.json"]
    # The core takes the file as it takes any overlay.
    overlay = json.loads(output.read_text())
    assert rr.plan("azure-trains-oci-serves", overlay=overlay).training is not None


def test_what_moved_since_the_catalogue_and_since_the_last_refresh(site: Site, output: Path) -> None:
    (old,) = [one for one in rr.catalog().prices if (one.shape, one.region, one.term) == (H100, "eastus2", "payg")]
    site.items = [
        item(retailPrice=old.usd_per_node_hour * 1.1),
        item(armRegionName="newregion"),
        item(armRegionName="eastus", retailPrice=98.32),
    ]
    first = ask(site, output)
    told = statuses(first)
    assert told[H100, "eastus2", "payg"] == "changed"
    assert told[H100, "newregion", "payg"] == "added"
    assert told[H100, "eastus", "payg"] == "unchanged"
    assert told[H100, "westus", "payg"] == "gone"
    assert told["BM.GPU.H100.8", ALL, "payg"] == "unchanged"
    (changed,) = [change for change in first.changes if change.status == "changed"]
    assert changed.share == pytest.approx(0.1)
    assert changed.to_dict()["shape"] == H100
    # The second time nothing is new; what one no longer lists leaves the file.
    site.items.pop(1)
    second = statuses(ask(site, output))
    assert second[H100, "eastus2", "payg"] == "unchanged"
    assert second[H100, "newregion", "payg"] == "gone"
    assert price(output, H100, "newregion") is None
    assert (H100, "newregion", "payg") not in statuses(ask(site, output))


def test_one_provider_down_keeps_its_old_rows(site: Site, output: Path) -> None:
    assert ask(site, output).status == 0
    before = price(output, H100, "eastus2")
    site.fault = down("azure")
    site.parts = [part("B98415", payg(11))]
    outcome = ask(site, output)
    assert outcome.status == 3
    assert price(output, H100, "eastus2") == before
    row = price(output, "BM.GPU.H100.8", ALL)
    assert row is not None
    assert row["usd_per_gpu_hour"] == 11
    assert "HTTP 503" in problems(outcome, "azure")
    assert not [change for change in outcome.changes if change.provider == "azure"]


def test_one_query_down_keeps_its_old_rows(site: Site, output: Path) -> None:
    other = "Standard_NC24ads_A100_v4"
    site.items.append(item(armSkuName=other, retailPrice=3.673))
    assert ask(site, output).status == 0
    before = output.read_text()
    site.fault = lambda request: Reply(b"", 500) if H100 in request.query.get("$filter", "") else None
    outcome = ask(site, output)
    assert outcome.status == 3
    assert output.read_text() == before
    assert statuses(outcome)[other, "eastus2", "payg"] == "unchanged"
    assert not [change for change in outcome.changes if change.key[1] == H100]


def test_a_page_that_fails_in_the_middle_takes_its_whole_query_with_it(site: Site, output: Path) -> None:
    site.items = [item(armRegionName=f"region{number}") for number in range(6)]
    site.page_size = 2
    assert ask(site, output).status == 0
    before = output.read_text()
    # Half of a query could hide the second of two contradictory prices.
    site.items = [item(armRegionName=f"region{number}", retailPrice=100.0) for number in range(6)]
    site.fault = lambda request: Reply(b"", 500) if request.query.get("$skip") == "2" else None
    outcome = ask(site, output)
    assert outcome.status == 3
    assert output.read_text() == before
    assert not [change for change in outcome.changes if change.provider == "azure"]


def test_both_down_leaves_the_file(site: Site, output: Path) -> None:
    assert ask(site, output).status == 0
    before = output.read_bytes()
    site.fault = lambda _request: Reply(b"down", 503)
    outcome = ask(site, output)
    assert (outcome.status, outcome.written) == (1, False)
    assert output.read_bytes() == before
    assert folder(output) == ["overlay.json"]


def test_all_that_is_tried_ends_with_the_time_that_is_given(site: Site, output: Path) -> None:
    site.fault = lambda _request: Reply(b"", 429, {"Retry-After": "20"})
    time = Time()
    outcome = ask(site, output, world=time.world(), patience=Patience(overall_seconds=60))
    assert outcome.status == 1
    assert time.seconds <= 120


def test_one_provider_asked_for_is_the_only_one(site: Site, output: Path) -> None:
    outcome = ask(site, output, providers=("oci",))
    assert outcome.status == 0
    assert {request.provider for request in site.requests} == {"oci"}
    assert {row["provider"] for row in rows(output)} == {"oci"}


@pytest.mark.parametrize("usd", [98.32 * 3.1, 98.32 / 3.1, 98.32 / 8])
def test_a_jump_is_held_back_until_it_is_accepted(site: Site, output: Path, usd: float) -> None:
    ask(site, output)
    site.items = [item(retailPrice=usd), item(armRegionName="westus2")]
    outcome = ask(site, output)
    assert outcome.status == 3
    assert statuses(outcome)[H100, "eastus2", "payg"] == "held"
    kept = price(output, H100, "eastus2")
    assert kept is not None
    assert kept["usd_per_node_hour"] == 98.32
    assert price(output, H100, "westus2") is not None
    outcome = ask(site, output, accept_jumps=True)
    assert outcome.status == 0
    taken = price(output, H100, "eastus2")
    assert taken is not None
    assert taken["usd_per_node_hour"] == usd
    # What was accepted is what the next is compared with.
    assert ask(site, output).status == 0


def test_rows_of_ones_own_and_other_tables_stay(site: Site, output: Path) -> None:
    own = {"shape": "nd96isr-h100-v5", "region": "eastus2", "term": "payg", "usd_per_node_hour": 60, "note": "ours"}
    gone = {"shape": H100, "region": "moon", "term": "payg", "usd_per_node_hour": 60, "source": "a contract"}
    output.write_text(json.dumps({"prices": [own, gone], "models": []}))
    outcome = ask(site, output)
    assert outcome.status == 0
    written = json.loads(output.read_text())
    assert written["prices"][:2] == [own, gone]
    assert written["models"] == []
    assert len(written["prices"]) == 3
    assert statuses(outcome)[H100, "eastus2", "payg"] == "own"
    assert statuses(outcome)[H100, "moon", "payg"] == "gone"


def test_a_table_may_be_written_as_csv(site: Site, output: Path) -> None:
    table = "shape,region,term,usd_per_gpu_hour,note\nBM.GPU.H100.8,all-commercial,payg, 9 ,a contract\n"
    output.write_text(json.dumps({"prices": table}))
    outcome = ask(site, output)
    assert outcome.status == 0
    assert statuses(outcome)["BM.GPU.H100.8", ALL, "payg"] == "own"
    row = price(output, "BM.GPU.H100.8", ALL)
    assert row is not None
    assert row["usd_per_gpu_hour"] == "9"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("not json", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"price": []}', "price"),
        ('{"prices": [{"shape": "BM.GPU.H100.9"}]}', "BM.GPU.H100.9"),
        ('{"prices": 5}', "prices"),
        ('{"prices": [5]}', "prices"),
    ],
)
def test_a_file_that_is_no_overlay_is_refused_before_anyone_is_asked(
    site: Site, output: Path, text: str, why: str
) -> None:
    output.write_text(text)
    with pytest.raises(rr.RackrateError, match=why):
        ask(site, output)
    assert output.read_text() == text
    assert site.requests == []


def test_what_the_core_refuses_is_not_written(site: Site, output: Path) -> None:
    site.items = [item(retailPrice=5e6, armRegionName="newregion")]
    with pytest.raises(rr.RackrateError, match="usd_per_node_hour"):
        ask(site, output)
    assert not output.exists()


def test_a_dry_run_writes_nothing(site: Site, output: Path) -> None:
    outcome = ask(site, output, dry_run=True)
    assert (outcome.status, outcome.written) == (0, False)
    assert outcome.changes
    assert folder(output) == []


@pytest.mark.parametrize("name", [".", "absent/overlay.json", "file/overlay.json"])
def test_an_output_that_cannot_be_written_is_refused_before_anyone_is_asked(
    site: Site, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"folder|No such file|Not a directory"):
        ask(site, tmp_path / name)
    assert site.requests == []


def test_a_disk_that_fails_leaves_the_old_file(site: Site, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(site, output)
    before = output.read_bytes()
    site.items = [item(retailPrice=100.0)]

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        ask(site, output)
    assert output.read_bytes() == before
    assert folder(output) == ["overlay.json"]


def test_permissions_and_links_stay(site: Site, output: Path) -> None:
    real = output.with_name("real.json")
    real.write_text("{}")
    real.chmod(0o640)
    output.symlink_to(real)
    assert ask(site, output).status == 0
    assert output.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert len(rows(real)) == 2


def test_two_refreshes_of_the_same_prices_write_the_same_file(site: Site, output: Path) -> None:
    site.items = [item(armRegionName=f"region{number}") for number in range(9)]
    ask(site, output)
    first = output.read_bytes()
    site.items.reverse()
    site.page_size = 2
    ask(site, output)
    assert output.read_bytes() == first


def test_the_report_names_what_happened(site: Site, output: Path) -> None:
    site.items = [item(), item(armRegionName="new1"), item(armRegionName="new2")]
    site.parts = [part("B98415", payg(12)), part("B110519", payg(100))]
    outcome = ask(site, output)
    titles = [section.title for section in outcome.sections()]
    assert titles[:4] == ["Prices", "Changed", "Held back: implausible", "Added"]
    added = next(section.table for section in outcome.sections() if section.title == "Added")
    assert added is not None
    assert added.rows == ((H100, "payg", "2", "98.32", "98.32", "node hour", "new1, new2"),)
    changed = next(section.table for section in outcome.sections() if section.title == "Changed")
    assert changed is not None
    assert changed.rows[0][:7] == ("BM.GPU.H100.8", ALL, "payg", "10", "12", "+20.0", "gpu hour")
    told = outcome.to_dict()
    assert told["counts"]["added"] == 2
    assert told["counts"]["held"] == 1
    assert told["status"] == 3
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_the_key_of_a_row_is_that_of_the_core() -> None:
    """Two rows that we take for one the core takes for one too, and the other way round."""
    catalog = rr.catalog()
    canonical = overlays.spellings(catalog.shapes)
    for shape in catalog.shapes:
        for word in (shape.name, *shape.aliases, shape.name.lower(), shape.name.replace("_", "-")):
            assert canonical(word) == shape.name
    assert canonical("no such shape") == "no such shape"
    row = {"shape": H100, "region": "eastus2", "term": "payg", "usd_per_node_hour": 60}
    with pytest.raises(rr.RackrateError, match="same key"):
        overlays.validated({"prices": [row, {**row, "shape": "nd96isr h100 v5"}]})
