import { describe, expect, test } from "vitest";
import * as show from "./format";

describe("numbers as people read them", () => {
  test.each<[string, string]>([
    [show.usdShort(59_412_008), "$59.4M"],
    [show.usdShort(61.918), "$61.92"],
    [show.usdShort(-0), "$0"],
    [show.usdShort(null), "–"],
    [show.usd(12.29), "$12.29"],
    [show.usd(0.00871), "$0.00871"],
    [show.usd(193_378_906.6), "$193,378,907"],
    [show.count(12288), "12,288"],
    [show.percent(0.4142), "41.4%"],
    [show.percentBriefly(0.05), "5%"],
    [show.percentBriefly(0.002), "0.2%"],
    [show.binaryBytes(1024), "1\u00a0KiB"],
    [show.binaryBytes(33_554_432), "32\u00a0MiB"],
    [show.binaryBytes(8_589_934_592), "8\u00a0GiB"],
    [show.binaryBytes(0), "0\u00a0B"],
    [show.compactly(6.1e12), "6.10T"],
    [show.compactly(218e9), "218B"],
    [show.percent(0.44), "44.0%"],
    [show.days(82), "82.0"],
    [show.days(106.7), "107"],
    [show.digits(42.123), "42.1"],
    [show.digits(0.0421), "0.0421"],
    [show.digits(4210.4), "4,210"],
    [show.few(12), "12"],
    [show.seconds(7), "7.00\u00a0s"],
    [show.seconds(0.0381), "38.1\u00a0ms"],
    [show.seconds(0.00092), "920\u00a0µs"],
    [show.seconds(649.4), "10.8\u00a0min"],
    [show.seconds(33_948), "9.43\u00a0h"],
    [show.seconds(0), "0\u00a0s"],
    [show.secondsBriefly(2), "2\u00a0s"],
    [show.bytes(811_706_777_600), "812\u00a0GB"],
    [show.bytes(999_600), "1.00\u00a0MB"],
    [show.bytes(0), "0\u00a0B"],
    [show.flop(3.94e25), "39.4\u00a0YFLOP"],
    [show.range(65.6, 107.2, show.days), "65.6 to 107"],
  ])("%s", (given, wanted) => {
    expect(given).toBe(wanted);
  });
});

test.each([
  ["16800000 tokens are taken as 2048 sequences", "16,800,000 tokens are taken as 2048 sequences"],
  ["19835 and 70848 GPU-hours (arXiv 2407.21783)", "19,835 and 70,848 GPU-hours (arXiv 2407.21783)"],
  ["200000.5 of 12345, 2026-11-23, ND96isr12345", "200000.5 of 12,345, 2026-11-23, ND96isr12345"],
])("%s is told as %s", (words, told) => expect(show.grouped(words)).toBe(told));
