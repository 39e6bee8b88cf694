#!/usr/bin/env python3
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

import numpy as np

# Which figure, first day, rows printed (trace, weekday of its first midnight with Monday as 0).
WEEKS = (("azure_code_2024", 0, 4, 16_803_695), ("azure_conversation_2024", 1, 6, 27_303_999))
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOURS = 7 * 24


def pixels(png: bytes) -> np.ndarray:
    """Decode an 8-bit RGBA image: height × width × 4."""
    at, data, size = 8, b"", (0, 0)
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            if (depth, colour, interlaced) != (8, 6, 0):
                sys.exit("the figure is no plain 8-bit RGBA image")
            size = (height, width)
        elif kind == b"IDAT":
            data += body
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(size[0], 1 + 4 * size[1])
    out = np.zeros((size[0], 4 * size[1]), np.int32)
    for y in range(size[0]):
        kind, row = rows[y, 0], rows[y, 1:].astype(np.int32)
        up = out[y - 1] if y else np.zeros_like(row)
        if kind == 0:
            out[y] = row
        elif kind == 2:
            out[y] = (row + up) % 256
        else:
            for x in range(row.size):
                left = out[y, x - 4] if x >= 4 else 0
                corner = up[x - 4] if x >= 4 else 0
                if kind == 1:
                    guess = left
                elif kind == 3:
                    guess = (left + up[x]) // 2
                else:
                    far = [abs(up[x] - corner), abs(left - corner), abs(left + up[x] - 2 * corner)]
                    guess = (left, up[x], corner)[int(np.argmin(far))]
                out[y, x] = (row[x] + guess) % 256
    return out.reshape(size[0], size[1], 4)


def week(image: np.ndarray) -> np.ndarray:
    """Give the mean height of the line in each hour of the figure's week, in pixels above its zero line."""
    red, green, blue = (image[:, :, i] for i in range(3))
    dark = (red < 60) & (green < 60) & (blue < 60)
    # The frame: the longest dark rows and columns.
    bottom = int(np.flatnonzero(dark.sum(1) > 0.8 * image.shape[1])[-1])
    frame = np.flatnonzero(dark[: bottom + 1].sum(0) > 0.6 * bottom)
    left, right = float(frame[0]), float(frame[-1])
    line = (blue > red + 60) & (blue > 120)
    centres, heights = [], []
    for x in range(int(left) + 1, int(right)):
        ys = np.flatnonzero(line[:bottom, x])
        if ys.size:
            centres.append((x - left) / (right - left) * HOURS)
            heights.append(bottom - 0.5 * (ys[0] + ys[-1]))
    edges = np.arange(HOURS + 1)
    # The line between its pixels, integrated over each hour.
    fine = np.interp(np.arange(0, HOURS, 1 / 60) + 1 / 120, centres, heights)
    return fine.reshape(len(edges) - 1, 60).mean(1)


def main() -> None:
    """Write the table."""
    with open(sys.argv[1], encoding="utf-8") as file:
        cells = json.load(file)["cells"]
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
