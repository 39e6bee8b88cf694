"""Getting JSON from a public API: politely, within a bounded time, or not at all.

What may pass (throttling, a server's fault, a broken connection, an error page in place of the answer) is tried again
after a growing wait, or after the wait that the server asks for. What will not pass (a refusal, a link to another host)
is an error at once. Either way the caller gets a whole answer or an `UndeliveredError`.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import ipaddress
import json
import random
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import urllib3

from rackrate import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

USER_AGENT: Final = f"rackrate/{__version__} (price refresh; python-urllib3/{version('urllib3')})"

# Answers that a later try may better: time-out, too early, throttled, and the server's own faults.
PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

CHUNK_BYTES: Final = 1 << 16


class UndeliveredError(Exception):
    """An answer did not come, or not whole; the message says why."""


class PassingError(Exception):
    """A try failed for a reason that may pass; `wait_seconds` is what the server asks for, if it does."""

    def __init__(self, why: str, wait_seconds: float | None = None) -> None:
        super().__init__(why)
        self.wait_seconds = wait_seconds


@dataclass(frozen=True)
class Patience:
    """How long and how often to try.

    Attributes:
        connect_seconds: To open a connection.
        read_seconds: Between two pieces of an answer.
        overall_seconds: For everything that one client gets, waits included.
        tries: For one address.
        first_wait_seconds: Before the second try; doubled before each further one, with up to half of it off at random,
            so that many clients do not come back at once.
        longest_wait_seconds: No wait of our own is longer.
        most_bytes: No answer is larger.
    """

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    overall_seconds: float = 300.0
    tries: int = 5
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0
    most_bytes: int = 64 << 20


@dataclass(frozen=True)
class World:
    """What lies outside of the program, so that a test can stand in for it."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Told:
    """An answer: its content as JSON gave it, and the day on which the server gave it."""

    content: object
    day: dt.date


@dataclass
class Client:
    """Gets JSON from one host.

    Attributes:
        base: The address that everything starts from; links to any other host are refused.
        patience: How long and how often to try.
        world: Clock, sleep and chance.
        waiting: Told of every wait: its seconds and its reason.
    """

    base: str
    patience: Patience = field(default_factory=Patience)
    world: World = field(default_factory=World)
    waiting: Callable[[float, str], None] = lambda _seconds, _why: None

    def __post_init__(self) -> None:
        self.tries = self.patience.tries
        self.deadline = self.world.clock() + self.patience.overall_seconds
        self.pool = pool(self.base)

    def json(self, url: str) -> Told:
        """Get the JSON at an address on the client's host.

        Raises:
            UndeliveredError: After all tries, or at once where another would not help.
        """
        same_host(self.base, url)
        attempt = 0
        while True:
            attempt += 1
            try:
                told = self.attempt(url)
            except PassingError as error:
                if attempt >= self.tries:
                    # Whoever failed to the last gets one try for each further address, until one succeeds.
                    self.tries = 1
                    raise UndeliveredError(f"{error} ({attempt} tries)" if attempt > 1 else str(error)) from error
                self.wait(attempt, error)
            else:
                self.tries = self.patience.tries
                return told

    def wait(self, attempt: int, error: PassingError) -> None:
        """Wait before the next try: as long as the server asks for, or longer each time."""
        wait = error.wait_seconds
        if wait is None:
            longest = min(self.patience.first_wait_seconds * 2 ** (attempt - 1), self.patience.longest_wait_seconds)
            wait = longest * (1 - 0.5 * self.world.chance())
        if wait >= self.left():
            raise UndeliveredError(f"{error}; a wait of {wait:.0f} s is more than the time that is left") from error
        self.waiting(wait, str(error))
        self.world.sleep(wait)

    def left(self) -> float:
        """Give the seconds until the client gives up."""
        return self.deadline - self.world.clock()

    def attempt(self, url: str) -> Told:
        """Try once."""
        left = self.left()
        if left <= 0:
            raise UndeliveredError(f"no time left of {self.patience.overall_seconds:g} s")
        timeout = urllib3.Timeout(
            connect=min(self.patience.connect_seconds, left), read=min(self.patience.read_seconds, left)
        )
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
        try:
            # Tries and redirects are decided here, not in the library: a redirect may lead to another host.
            response = self.pool.request(
                "GET", url, headers=headers, timeout=timeout, retries=False, redirect=False, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise PassingError(in_words(error)) from error
        try:
            return self.read(response)
        except urllib3.exceptions.HTTPError as error:
            raise PassingError(in_words(error)) from error
        finally:
            # A connection with an answer half read cannot be used again.
            response.close()

    def read(self, response: urllib3.BaseHTTPResponse) -> Told:
        """Read an answer whole."""
        status = f"HTTP {response.status} {response.reason or ''}".strip()
        if response.status in PASSING:
            raise PassingError(status, retry_after(response.headers.get("Retry-After"), self.world.now()))
        if response.status != 200:  # noqa: PLR2004 (HTTP's word for all is well)
            where = response.headers.get("Location")
            raise UndeliveredError(f"{status}{f', a redirect to {where}, not followed' if where else ''}")
        body = bytearray()
        # Piece by piece as they come: an answer that drips would else outlast every limit.
        while chunk := response.read1(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > self.patience.most_bytes:
                raise UndeliveredError(f"the answer is larger than {self.patience.most_bytes} bytes")
            if self.left() <= 0:
                raise UndeliveredError(f"the answer is still coming after {self.patience.overall_seconds:g} s")
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise PassingError(f"{kind or 'no content type'} given, application/json expected")
        return Told(parsed(bytes(body)), day_of(response.headers.get("Date"), self.world.now()))


def parsed(body: bytes) -> object:
    """Read JSON; not-a-number and infinity, which Python would let pass, are no JSON."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no number")

    try:
        return json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise PassingError(f"the answer is not JSON: {error}") from error


def retry_after(value: str | None, now: dt.datetime) -> float | None:
    """Give the seconds that a `Retry-After` asks for: a number of them, or an HTTP date; None for anything else."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    moment = http_date(value)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def day_of(value: str | None, now: dt.datetime) -> dt.date:
    """Give the day of a `Date` header; today where there is none."""
    moment = http_date(value) if value else None
    return (moment or now).date()


def http_date(value: str) -> dt.datetime | None:
    """Read an HTTP date; None where it is none."""
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def checked_base(url: str) -> str:
    """Give an address to start from: https, or plain http on this machine alone.

    Raises:
        ValueError: It is neither.
    """
    parts = urllib.parse.urlsplit(url)
    host, _ = parts.hostname, parts.port  # a port that is none raises here
    if not host or parts.username or parts.query or parts.fragment:
        raise ValueError("an address such as https://host/path expected, without user, query or fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError("https expected (plain http is allowed on this machine only: localhost, 127.0.0.1)")
    return url


class Pages:
    """The pages of one answer, each of which may link to the next.

    Args:
        client: Who gets them.
        most: Pages that no whole answer reaches.
        what: What is asked for, in words.
        page: Told of each page that came.
    """

    def __init__(self, client: Client, most: int, what: str, page: Callable[[str], None]) -> None:
        self.client, self.most, self.what, self.page = client, most, what, page
        self.seen: set[str] = set()

    def turn(self, url: str) -> tuple[Told, str]:
        """Give the page at an address, and which one it is.

        Raises:
            UndeliveredError: It did not come, lies on another host, or the pages do not end.
        """
        if url in self.seen or len(self.seen) == self.most:
            raise UndeliveredError(f"the pages turn in a circle: {len(self.seen)} came, then {url[:200]}")
        same_host(self.client.base, url)
        self.seen.add(url)
        told = self.client.json(url)
        at = f"page {len(self.seen)}"
        self.page(f"{self.what}, {at}")
        return told, at


def same_host(base: str, url: str) -> None:
    """Refuse a link that leaves the host, the port or the scheme of `base`."""

    def origin(address: str) -> tuple[str, str | None, int | None]:
        parts = urllib.parse.urlsplit(address)
        return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)

    try:
        same = origin(url) == origin(base) and "@" not in urllib.parse.urlsplit(url).netloc
    except ValueError:
        same = False
    if not same:
        raise UndeliveredError(f"the answer links to {url[:200]}, which is not on {urllib.parse.urlsplit(base).netloc}")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def pool(base: str) -> urllib3.PoolManager:
    """Give connections to the host of `base`, by the proxy that the environment names for it."""
    parts = urllib.parse.urlsplit(base)
    host = parts.hostname or ""
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy is None or is_loopback(host) or urllib.request.proxy_bypass(host):
        return urllib3.PoolManager()
    login = urllib.parse.urlsplit(proxy)
    if not login.username:
        return urllib3.ProxyManager(proxy)
    words = urllib.parse.unquote(f"{login.username}:{login.password or ''}")
    return urllib3.ProxyManager(proxy, proxy_headers=urllib3.make_headers(proxy_basic_auth=words))


def in_words(error: urllib3.exceptions.HTTPError) -> str:
    """Name what went wrong on the way, without the library's own objects in the text."""
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (urllib3.exceptions.NameResolutionError, "the host's name is not known here"),
        (urllib3.exceptions.ConnectTimeoutError, "no connection in time"),
        (urllib3.exceptions.ReadTimeoutError, "no answer in time"),
        (urllib3.exceptions.NewConnectionError, "no connection"),
        (urllib3.exceptions.ProxyError, "no connection to the proxy"),
        (urllib3.exceptions.SSLError, "no secure connection"),
        (urllib3.exceptions.ProtocolError, "the connection broke off"),
        (urllib3.exceptions.DecodeError, "the answer's compression is broken"),
    )
    words = next((words for kind, words in kinds if isinstance(error, kind)), type(error).__name__)
    cause = str(error).rpartition(": ")[2]
    return f"{words} ({cause[:160]})" if cause and not isinstance(error, urllib3.exceptions.TimeoutError) else words
