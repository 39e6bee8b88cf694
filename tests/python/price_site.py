"""A web server on this machine that answers as the two price APIs do, and fails as a test wants it to."""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from rackrate._prices.client import Patience, World
from rackrate._prices.progress import Silent
from rackrate._prices.refresh import Asked, Outcome, refresh

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)
H100, H200 = "Standard_ND96isr_H100_v5", "Standard_ND96isr_H200_v5"


def item(**changes: Any) -> dict[str, Any]:
    """An item of Azure's answer, as documented: pay-as-you-go of a node with eight H100."""
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": 98.32,
        "unitPrice": 98.32,
        "armRegionName": "eastus2",
        "location": "US East 2",
        "effectiveStartDate": "2023-12-01T00:00:00Z",
        "meterId": "65502bfb-6a12-54dc-b27e-e15b70039e2a",
        "meterName": "ND96isrH100v5",
        "productId": "DZH318Z0KN53",
        "skuId": "DZH318Z0KN53/0030",
        "productName": "Virtual Machines NDsr H100 v5 Series",
        "skuName": "ND96isrH100v5",
        "serviceName": "Virtual Machines",
        "serviceId": "DZH313Z7MMC8",
        "serviceFamily": "Compute",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": H100,
        **changes,
    }


def reserved(years: str, usd: float, **changes: Any) -> dict[str, Any]:
    """A reservation's item."""
    return item(type="Reservation", reservationTerm=years, retailPrice=usd, unitPrice=usd, **changes)


def part(number: str, *prices: dict[str, Any], metric: str = "GPU Per Hour", name: str = "a part") -> dict[str, Any]:
    """An item of Oracle's list, as documented."""
    return {
        "partNumber": number,
        "displayName": name,
        "metricName": metric,
        "serviceCategory": "Compute - GPU",
        "currencyCodeLocalizations": [{"currencyCode": "USD", "prices": list(prices)}],
    }


def payg(value: float, **changes: Any) -> dict[str, Any]:
    """A price of a part."""
    return {"model": "PAY_AS_YOU_GO", "value": value, **changes}


@dataclass
class Reply:
    """What the server sends."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_to: int | None = None
    piece_seconds: float = 0.0

    @classmethod
    def of(cls, content: Any, **changes: Any) -> Reply:
        return cls(json.dumps(content).encode(), **changes)


@dataclass
class Request:
    """What the server was asked."""

    path: str
    query: dict[str, str]
    agent: str
    number: int

    @property
    def provider(self) -> str:
        return "azure" if self.path.startswith("/azure") else "oci"


class Site:
    """Both APIs on one port. `fault` may answer in their place."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = [item()]
        self.parts: list[dict[str, Any]] = [part("B98415", payg(10), name="H100")]
        self.page_size = 1000
        self.updated = "2026-11-19T14:18:05.193Z"
        self.fault: Callable[[Request], Reply | None] = lambda _request: None
        self.requests: list[Request] = []
        self.closing = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # headers and body leave together

            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

            def date_time_string(self, _timestamp: float | None = None) -> str:
                return format_datetime(DAY, usegmt=True)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def bases(self) -> dict[str, str]:
        return {"azure": f"{self.url}/azure/prices", "oci": f"{self.url}/oci/products/"}

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        request = Request(parts.path, query, handler.headers["User-Agent"], len(self.requests) + 1)
        self.requests.append(request)
        reply = self.fault(request) or (self.azure(request) if request.provider == "azure" else self.oracle())
        handler.send_response(reply.status)
        headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(reply.body))}
        for name, value in {**headers, **reply.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        try:
            self.send(handler, reply)
        except OSError:
            handler.close_connection = True  # the client has left

    def send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.cut_to is not None:
            handler.wfile.write(reply.body[: reply.cut_to])
            handler.close_connection = True
        elif reply.piece_seconds:
            for byte in reply.body:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                if self.closing.wait(reply.piece_seconds):
                    return
        else:
            handler.wfile.write(reply.body)

    def azure(self, request: Request) -> Reply:
        """Answer a filter: every field in it has to have one of the values that it names."""
        wanted: dict[str, set[str]] = {}
        for name, value in re.findall(r"(\w+) eq '([^']*)'", request.query["$filter"]):
            wanted.setdefault({"priceType": "type"}.get(name, name), set()).add(value)
        found = [one for one in self.items if all(one.get(name) in values for name, values in wanted.items())]
        skip = int(request.query.get("$skip", 0))
        some = found[skip : skip + self.page_size]
        more = skip + self.page_size < len(found)
        link = urllib.parse.urlencode({**request.query, "$skip": skip + self.page_size}, safe="$")
        return Reply.of(page(some, f"{self.url}{request.path}?{link}" if more else None))

    def oracle(self) -> Reply:
        return Reply.of({"lastUpdated": self.updated, "items": self.parts})


def page(items: list[Any], following: str | None = None) -> dict[str, Any]:
    """A page of Azure's answer, as documented."""
    return {
        "BillingCurrency": "USD",
        "CustomerEntityId": "Default",
        "CustomerEntityType": "Retail",
        "Items": items,
        "NextPageLink": following,
        "Count": len(items),
    }


class Time:
    """A clock that stands still but for the waits that are asked of it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds

    def world(self) -> World:
        return World(clock=lambda: self.seconds, sleep=self.sleep, chance=lambda: 0.0, now=lambda: DAY)


def real_time(waits: list[float]) -> World:
    """The clock as it is, but no wait is longer than a moment."""

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(min(seconds, 0.01))

    return World(sleep=sleep, chance=lambda: 0.0, now=lambda: DAY)


def ask(site: Site, output: Path, **changes: Any) -> Outcome:
    """Refresh from the site, waits taking no time."""
    given: dict[str, Any] = {
        "bases": site.bases,
        "kinds": ("shapes",),
        "patience": Patience(read_seconds=5.0),
        "world": Time().world(),
        **changes,
    }
    return refresh(Asked(output=output, **given), Silent())


def rows(output: Path, table: str = "prices") -> list[dict[str, Any]]:
    """The rows that were written."""
    return json.loads(output.read_text(encoding="utf-8"))[table]


def price(output: Path, shape: str, region: str, term: str = "payg") -> dict[str, Any] | None:
    """One price that was written."""
    found = [one for one in rows(output) if (one["shape"], one["region"], one["term"]) == (shape, region, term)]
    assert len(found) <= 1
    return found[0] if found else None


def problems(outcome: Outcome, provider: str) -> str:
    """What went wrong with a provider, as one text."""
    (delivery,) = [one for one in outcome.deliveries if one.provider == provider]
    return "\n".join([*delivery.failures, *delivery.faults])
