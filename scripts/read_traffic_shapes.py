"""Read the hourly requests of two measured weeks off the figures that Microsoft publishes of them.

The traces themselves (Azure LLM inference trace 2024) are 16.8 and 27.3 million rows that lie outside their repository.
Their notebook holds a figure of each, requests per minute over the week, and prints the number of rows. Each column of
pixels is read as the middle of the line in it; the sum over the week, scaled to the rows printed, is what calibrates.

    python3 scripts/read_traffic_shapes.py AzureLLMInferenceDataset2024.ipynb > core/data/traffic_shapes.csv

The notebook: github.com/Azure/AzurePublicDataset, analysis/AzureLLMInferenceDataset2024.ipynb, commit b469a113.
"""

import base64
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np

# Which figure, first day, rows printed (trace, weekday of its first midnight with Monday as 0).
WEEKS = (("azure_code_2024", 0, 4, 16_803_695), ("azure_conversation_2024", 1, 6, 27_303_999))
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOURS = 7 * 24

CHANNELS = 4
NONE, SUB, UP, MEAN = range(4)
# Brightness of the frame at most, and by how much the line is bluer than red.
DARK, BLUER = 60, 60


def pixels(png: bytes) -> np.ndarray:
    """Decode an 8-bit RGBA image: height × width × 4."""
    at, data, size = len(b"_PNG____"), b"", (0, 0)
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, *form = struct.unpack(">IIBBBBB", body)
            if form != [8, 6, 0, 0, 0]:
                sys.exit("the figure is no plain 8-bit RGBA image")
            size = (height, width)
        elif kind == b"IDAT":
            data += body
        at += 12 + length
    height, width = size
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + CHANNELS * width)
    out = np.zeros((height + 1, CHANNELS * (width + 1)), np.int32)
    for y in range(height):
        unfilter(rows[y, 0], rows[y, 1:].astype(np.int32), out[y], out[y + 1])
    return out[1:, CHANNELS:].reshape(height, width, CHANNELS)


def unfilter(kind: int, row: np.ndarray, up: np.ndarray, out: np.ndarray) -> None:
    """Undo one row's filter (PNG specification, section 9); rows begin with an empty pixel."""
    if kind in {NONE, UP}:
        out[CHANNELS:] = (row + (up[CHANNELS:] if kind == UP else 0)) % 256
        return
    for x in range(row.size):
        left, above, corner = out[x], up[x + CHANNELS], up[x]
        if kind == SUB:
            guess = left
        elif kind == MEAN:
            guess = (left + above) // 2
        else:
            far = [abs(above - corner), abs(left - corner), abs(left + above - 2 * corner)]
            guess = (left, above, corner)[int(np.argmin(far))]
        out[x + CHANNELS] = (row[x] + guess) % 256


def week(image: np.ndarray) -> np.ndarray:
    """Give the mean height of the line in each hour of the figure's week, in pixels above its zero line."""
    red, green, blue = (image[:, :, i] for i in range(3))
    dark = (red < DARK) & (green < DARK) & (blue < DARK)
    # The frame: the longest dark rows and columns.
    bottom = int(np.flatnonzero(dark.sum(1) > 0.8 * image.shape[1])[-1])
    frame = np.flatnonzero(dark[: bottom + 1].sum(0) > 0.6 * bottom)
    left, right = float(frame[0]), float(frame[-1])
    line = (blue > red + BLUER) & (blue > 2 * DARK)
    centres, heights = [], []
    for x in range(int(left) + 1, int(right)):
        ys = np.flatnonzero(line[:bottom, x])
        if ys.size:
            centres.append((x - left) / (right - left) * HOURS)
            heights.append(bottom - 0.5 * (ys[0] + ys[-1]))
    edges = np.arange(HOURS + 1)
    # The line between its pixels, integrated over each hour.
    fine = np.interp(np.arange(0, HOURS, 1 / 60) + 1 / 120, centres, heights)
    hourly: np.ndarray = fine.reshape(len(edges) - 1, 60).mean(1)
    return hourly


def main() -> None:
    """Write the table."""
    cells = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["cells"]
    figures = []
    for cell in cells:
        if "plt_invocations_time(df_trace)" in "".join(cell["source"]):
            outputs = [o.get("data", {}) for o in cell["outputs"]]
            figures = [base64.b64decode(o["image/png"]) for o in outputs if "image/png" in o]
    print("shape,day," + ",".join(f"h{hour}" for hour in range(24)))
    for name, figure, first, rows in WEEKS:
        heights = week(pixels(figures[figure]))
        hours = np.roll(heights / heights.sum() * rows, 24 * first).reshape(7, 24)
        for day, counts in zip(DAYS, hours, strict=True):
            print(f"{name},{day}," + ",".join(str(round(count, -2))[:-2] for count in counts))


if __name__ == "__main__":
    main()
