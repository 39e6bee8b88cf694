"""Getting JSON from a server that fails: tried again where that may help, never for ever, never from elsewhere."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import time
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
import rackrate as rr
from price_site import DAY, Reply, Request, Site, Time, real_time
from rackrate._prices.client import Client, Patience, UndeliveredError, checked_base, same_host

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = Reply.of({"good": True})


def client(site: Site, world: Any, **patience: Any) -> Client:
    return Client(f"{site.url}/azure", Patience(**{"read_seconds": 5.0, **patience}), world)


def first(bad: Reply, times: int = 1) -> Callable[[Request], Reply]:
    return lambda request: bad if request.number <= times else GOOD


def test_an_answer(site: Site) -> None:
    site.fault = first(GOOD)
    told = client(site, Time().world()).json(f"{site.url}/azure")
    assert (told.content, told.day) == ({"good": True}, dt.date(2026, 11, 20))
    (request,) = site.requests
    assert request.agent.startswith(f"rackrate/{rr.__version__} ")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_after_growing_waits(site: Site, status: int) -> None:
    still = Time()
    site.fault = first(Reply(b"busy", status), times=3)
    assert client(site, still.world()).json(f"{site.url}/azure").content == {"good": True}
    assert still.waits == [1, 2, 4]


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 410, 501])
def test_what_will_not_pass_is_an_error_at_once(site: Site, status: int) -> None:
    still = Time()
    site.fault = first(Reply(b"{}", status, {"Location": "https://elsewhere.example/"}))
    with pytest.raises(UndeliveredError, match=f"HTTP {status}"):
        client(site, still.world()).json(f"{site.url}/azure")
    assert (len(site.requests), still.waits) == (1, [])


def test_the_wait_varies_so_that_many_do_not_come_back_at_once(site: Site) -> None:
    still = Time()
    world = still.world()
    object.__setattr__(world, "chance", lambda: 1.0)
    site.fault = first(Reply(b"", 503), times=2)
    client(site, world).json(f"{site.url}/azure")
    assert still.waits == [0.5, 1]


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("7", 7),
        ("0", 0),
        (format_datetime(DAY + dt.timedelta(seconds=11), usegmt=True), 11),
        (format_datetime(DAY - dt.timedelta(days=1), usegmt=True), 0),
        ("soon", 1),
        ("-3", 1),
    ],
)
def test_retry_after_is_honoured_in_seconds_and_as_a_date(site: Site, asked: str, waited: float) -> None:
    still = Time()
    site.fault = first(Reply(b"", 429, {"Retry-After": asked}))
    assert client(site, still.world()).json(f"{site.url}/azure").content == {"good": True}
    assert still.waits == [waited]


def test_a_wait_past_the_end_is_not_begun(site: Site) -> None:
    still = Time()
    site.fault = first(Reply(b"", 429, {"Retry-After": "3600"}))
    with pytest.raises(UndeliveredError, match="3600 s is more than the time that is left"):
        client(site, still.world()).json(f"{site.url}/azure")
    assert still.waits == []


def test_tries_are_bounded(site: Site) -> None:
    still = Time()
    site.fault = lambda _request: Reply(b"", 500)
    with pytest.raises(UndeliveredError, match=r"HTTP 500 .*\(5 tries\)"):
        client(site, still.world()).json(f"{site.url}/azure")
    assert len(site.requests) == 5
    assert still.waits == [1, 2, 4, 8]


def test_who_failed_to_the_last_is_tried_once_for_each_further_address_until_one_succeeds(site: Site) -> None:
    still = Time()
    one = client(site, still.world())
    site.fault = lambda _request: Reply(b"", 503)
    for expected in (5, 6, 7):
        with pytest.raises(UndeliveredError, match="HTTP 503"):
            one.json(f"{site.url}/azure")
        assert len(site.requests) == expected
    site.fault = lambda request: GOOD if request.number in {8, 10} else Reply(b"", 503)
    one.json(f"{site.url}/azure")
    one.json(f"{site.url}/azure")
    assert len(site.requests) == 10


def test_all_requests_of_a_client_share_one_end(site: Site) -> None:
    still = Time()
    site.fault = lambda _request: GOOD
    one = client(site, still.world(), overall_seconds=10)
    one.json(f"{site.url}/azure")
    still.seconds = 11
    with pytest.raises(UndeliveredError, match="no time left of 10 s"):
        one.json(f"{site.url}/azure")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (Reply(b'{"good": tru', cut_to=None), "not JSON"),
        (Reply(GOOD.body, cut_to=5), "broke off"),
        (Reply(b"<html>hotel network, please log in</html>", headers={"Content-Type": "text/html"}), "text/html"),
        (Reply(GOOD.body, headers={"Content-Type": "text/plain"}), "text/plain"),
        (Reply(b'{"price": NaN}'), "NaN is no number"),
        (Reply(b"[" * 100_000), "not JSON"),
        (Reply(b"\xff\xfe\x00"), "not JSON"),
        (Reply(b""), "not JSON"),
        (Reply(b"not gzip", headers={"Content-Encoding": "gzip"}), "compression"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_broken_answer_is_asked_for_again(site: Site, bad: Reply, why: str) -> None:
    waits: list[float] = []
    site.fault = first(bad)
    assert client(site, real_time(waits)).json(f"{site.url}/azure").content == {"good": True}
    assert len(waits) == 1
    site.fault = lambda _request: bad
    with pytest.raises(UndeliveredError, match=why):
        client(site, real_time(waits), tries=2).json(f"{site.url}/azure")


def test_a_slow_answer_is_not_waited_for(site: Site) -> None:
    def slow(_request: Request) -> Reply:
        site.closing.wait(2.0)
        return GOOD

    site.fault = slow
    waits: list[float] = []
    with pytest.raises(UndeliveredError, match=r"no answer in time \(2 tries\)"):
        client(site, real_time(waits), read_seconds=0.05, tries=2).json(f"{site.url}/azure")
    assert len(waits) == 1


def test_an_answer_that_drips_ends_with_the_time_for_all(site: Site) -> None:
    site.fault = lambda _request: Reply(b'"' + b"x" * 1000 + b'"', piece_seconds=0.01)
    begun = time.monotonic()
    with pytest.raises(UndeliveredError, match=r"still coming after 0\.2 s"):
        client(site, real_time([]), overall_seconds=0.2).json(f"{site.url}/azure")
    assert time.monotonic() - begun < 5


def test_an_endless_answer_is_cut(site: Site) -> None:
    big = gzip.compress(json.dumps("x" * 100_000).encode())
    site.fault = lambda _request: Reply(big, headers={"Content-Encoding": "gzip"})
    with pytest.raises(UndeliveredError, match="larger than 50000 bytes"):
        client(site, Time().world(), most_bytes=50_000).json(f"{site.url}/azure")
    assert len(client(site, Time().world()).json(f"{site.url}/azure").content) == 100_000


def test_nobody_there(site: Site) -> None:
    url = site.url
    site.server.server_close()
    still = Time()
    with pytest.raises(UndeliveredError, match="no connection"):
        Client(f"{url}/azure", Patience(tries=2), still.world()).json(f"{url}/azure")
    assert still.waits == [1]


@pytest.mark.parametrize(
    "url",
    [
        "http://prices.azure.com/x",
        "https://prices.azure.com.evil.example/x",
        "https://prices.azure.com:444/x",
        "https://user@prices.azure.com/x",
        "https://evil.example/prices.azure.com",
        "//evil.example/",
        "/relative",
        "",
        "file:///etc/passwd",
        "https://[bad/",
        "https://prices.azure.com:port/x",
    ],
)
def test_a_link_elsewhere_is_refused(url: str) -> None:
    base = "https://prices.azure.com/api/retail/prices"
    same_host(base, "https://prices.azure.com:443/api?$skip=1000")
    with pytest.raises(UndeliveredError, match="which is not on prices"):
        same_host(base, url)


@pytest.mark.parametrize(
    "url", ["https://mirror.example/prices", "http://127.0.0.1:8000/x", "http://localhost/x", "http://[::1]/"]
)
def test_an_address_to_start_from(url: str) -> None:
    assert checked_base(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://mirror.example/prices",
        "http://192.168.0.1/",
        "ftp://127.0.0.1/",
        "mirror.example",
        "",
        "https://user:word@mirror.example/",
        "https://mirror.example/?a=b",
        "https://mirror.example:port/",
    ],
)
def test_an_address_not_to_start_from(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected|[Pp]ort"):
        checked_base(url)
