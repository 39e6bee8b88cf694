"""Numbers and names as words: units from the names of fields, figures with as many digits as they deserve."""

from __future__ import annotations

from typing import Any, Final

# A field's name ends in its unit; what is printed after the number. Longer endings first.
UNITS: Final = {
    "usd_per_million_input_tokens": "USD/M tokens",
    "usd_per_million_output_tokens": "USD/M tokens",
    "usd_per_thousand_requests": "USD/1000 requests",
    "usd_per_gpu_hour": "USD/GPU-hour",
    "usd_per_month": "USD/month",
    "tokens_per_second_per_gpu": "tokens/s/GPU",
    "tokens_per_second_per_user": "tokens/s/user",
    "tokens_per_second": "tokens/s",
    "requests_per_second": "requests/s",
    "request_rate": "requests/s",
    "tflops_per_gpu": "TFLOP/s/GPU",
    "gbit_per_s_per_gpu": "Gb/s/GPU",
    "gbit_per_s": "Gb/s",
    "gb_per_s_per_gpu": "GB/s/GPU",
    "gb_per_s_per_node": "GB/s/node",
    "gb_per_s": "GB/s",
    "algbw": "GB/s",
    "busbw": "GB/s",
    "tb_per_s": "TB/s",
    "gpu_hours": "GPU-hours",
    "tflops": "TFLOP/s",
    "seconds": "s",
    "hours": "h",
    "days": "days",
    "watts": "W",
    "bytes": "B",
    "usd": "USD",
    "gib": "GiB",
    "mib": "MiB",
    "gb": "GB",
    "tb": "TB",
}


def unit_of(name: str) -> str:
    """Give the unit that a field's name ends in; empty for none."""
    last = name.rsplit(".", 1)[-1]
    return next((unit for ending, unit in UNITS.items() if last == ending or last.endswith("_" + ending)), "")


def label_of(name: str) -> str:
    """Give a field's name as words without its unit."""
    words = name.replace(".", " ").replace("_", " ")
    for ending in UNITS:
        spaced = " " + ending.replace("_", " ")
        if words.endswith(spaced):
            return words.removesuffix(spaced)
    return words


def amount(value: float | None) -> str:
    """Write a number with three significant digits, thousands grouped; nothing known is a dash."""
    if value is None:
        return "–"
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 999.5:  # noqa: PLR2004 (where three digits need no decimals)
        return f"{value:,.0f}" if size < 1e12 else f"{value:.2e}"  # noqa: PLR2004
    return f"{value:.3g}" if size >= 1e-3 else f"{value:.1e}"  # noqa: PLR2004


def figure(value: Any) -> str:
    """Write any value of a field."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return amount(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(figure(item) for item in value) or "–"
    return str(value)


def size(count: float) -> str:
    """Write bytes as sweeps over message sizes count them, in powers of two: 512 MiB."""
    for factor, unit in ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB")):
        if count >= factor:
            return f"{amount(count / factor)} {unit}"
    return f"{amount(count)} B"


def percent(share: float | None) -> str:
    """Write a share of 1 as percent, without the sign."""
    return "–" if share is None else f"{share * 100:.1f}"


def money(value: float | None) -> str:
    """Write an amount of money: 1.23 B, 97.2 M, 12.3 k, 4.56."""
    if value is None:
        return "–"
    for factor, letter in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= factor * 0.9995:
            return f"{value / factor:.3g}{letter}" if abs(value) < 999.5 * factor else f"{value / factor:,.0f}{letter}"
    return f"{value + 0.0:,.2f}"  # what is -0.0 reads 0.00
