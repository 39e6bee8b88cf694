// What to serve and how it goes, on the built page: hours, fleet and payment; the fleet's figures, operations, both ways to
// read prompts, and one point that is tried.
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import type {
  Plan,
  Scenario,
  ServingOption,
  ServingPoint,
  ServingPointRequest,
} from "../../web/pkg/rackrate.js";
import * as core from "../../web/pkg/rackrate.js";
import { withoutNulls } from "../../web/src/data";
import { count, digits, percent, range, seconds, usd, usdShort } from "../../web/src/format";
import { fill, strings } from "../../web/src/strings";
import { chosen, fact, first, flaws, fragment, rowsOf, tells, visits } from "./visit";

const { open } = visits();

const SOON = { timeout: 15_000 };
const DETAIL = "serving-detail";
const { bench, choice, columns, detail, fleet, modes, operations, parts } = strings;

const named = (name: string): Scenario => core.scenarios().find((one) => one.name === name) as Scenario;
const serving = (scenario: Scenario, change: object): Scenario =>
  withoutNulls({ ...scenario, serving: { ...scenario.serving, ...change } } as never) as unknown as Scenario;
const traffic = (scenario: Scenario, change: object) =>
  serving(scenario, { traffic: { ...scenario.serving?.traffic, ...change } });
const served = (plan: Plan): ServingOption => {
  const found = plan.serving?.options.find((one) => one.shape === plan.serving?.chosen);
  if (found === undefined) throw new Error("core finds no way to serve");
  return found;
};
const unfold = (page: Page, title: string) =>
  page
    .locator("#question section", { hasText: strings.parts.serving })
    .locator("summary", { hasText: title })
    .last()
    .click();
const field = (page: Page, path: string) => page.locator(`#field-${path.replaceAll(".", "-")}`);
const pick = (page: Page, group: string, name: string) =>
  page.getByRole("radiogroup", { name: group, exact: true }).last().getByText(name, { exact: true }).click();
const closer = (page: Page, title: string) =>
  page.locator(`section[aria-labelledby=${DETAIL}] .closer > details > summary`, { hasText: title }).click();
const asTable = (page: Page, title: string) =>
  page.getByRole("figure", { name: title }).getByRole("button", { name: strings.chart.asTable }).click();
const numbers = (rows: Record<string, string>[], key: string) => rows.map((row) => Number(row[key]));
const close = (a: number, b: number) => Math.abs(a - b) <= 1e-9 * Math.abs(b);

const LATENCIES = ["mean_seconds", "p50_seconds", "p90_seconds", "p95_seconds", "p99_seconds"] as const;

describe("what is asked", () => {
  test("a measured week: its busiest hour is the peak; without hours it goes again", async () => {
    const page = await open("#v=1&s=serve-70b");
    await unfold(page, parts.hours);
    await pick(page, choice.hoursBy, choice.week);
    const week = traffic(named("serve-70b"), { shape: "azure_conversation_2024", peak_to_mean: null });
    await tells(page, week);
    await field(page, "serving.traffic.shape").selectOption("azure_code_2024");
    await tells(page, traffic(week, { shape: "azure_code_2024" }));
    await pick(page, choice.hoursBy, choice.even);
    await tells(page, named("serve-70b"));
    expect(fragment(page)).toBe("#v=1&s=serve-70b");
  });

  test("hours of one's own begin with those of the last plan, and take a pasted list", async () => {
    const page = await open("#v=1&s=serve-100m-users");
    await unfold(page, parts.hours);
    await pick(page, choice.hoursBy, choice.ownHours);
    const hours = field(page, "serving.traffic.hour_factors");
    const known = core.plan(named("serve-100m-users")).serving?.hourly_requests_per_second.slice(0, 24) ?? [];
    expect((await hours.inputValue()).split(" ").map(Number)).toEqual(
      known.map((rate) => Number(rate.toPrecision(3))),
    );
    const day = [3, 2, 1, 1, 1, 2, 3, 4, 6, 8, 9, 10, 10, 9, 9, 9, 9, 8, 7, 6, 6, 5, 4, 3];
    await hours.fill(day.join("\t"));
    const asked = traffic(named("serve-100m-users"), { shape: null, hour_factors: day });
    await tells(page, asked);
    expect(await page.locator(".drawn").first().locator("span").count()).toBe(24);
    await hours.fill(day.slice(1).join(", "));
    await expect.poll(() => hours.getAttribute("aria-invalid"), SOON).toBe("true");
    await hours.fill(day.join(", "));
    await field(page, "serving.traffic.weekday_factors").fill("1 1 1 1 1 0.5 0.5");
    await tells(page, traffic(asked, { weekday_factors: [1, 1, 1, 1, 1, 0.5, 0.5] }));
  });

  test("a fleet: regions, one of which may be lost, headroom, spares by share or by number", async () => {
    const page = await open("#v=1&s=serve-70b");
    await unfold(page, parts.fleet);
    const given = (fleet: object, change: object = {}) =>
      serving(named("serve-70b"), { fleet: { ...named("serve-70b").serving?.fleet, ...fleet }, ...change });
    await field(page, "serving.fleet.regions").fill("3");
    await field(page, "serving.fleet.survive_region_loss").check();
    await field(page, "serving.fleet.target_utilisation").fill("70");
    const policy = { regions: 3, survive_region_loss: true, target_utilisation: 0.7 };
    await tells(page, given(policy));
    await pick(page, choice.sparesBy, choice.spareCount);
    await field(page, "serving.fleet.spare_replicas").fill("2");
    const asked = given({ ...policy, spare_replicas: 2 }, { spare_share: null });
    await tells(page, asked);
    const option = served(core.plan(asked));
    expect(option.spare_replicas).toBeGreaterThanOrEqual(6);
    await expect
      .poll(() => fact(page, DETAIL, columns.replicas).textContent(), SOON)
      .toBe(fill(fleet.withSpares, { count: count(option.replicas), spare: count(option.spare_replicas) }));
    expect(fragment(page)).not.toContain("spare_share=0.1");
  });

  test("how it goes about its work: engine, cache, drafts, and prompts on GPUs of their own", async () => {
    const page = await open("#v=1&s=serve-70b");
    await unfold(page, parts.engine);
    await field(page, "serving.engine.family").selectOption("sglang");
    await field(page, "serving.engine.year").fill("2025");
    await field(page, "serving.prefix_cache.hit_rate").fill("40");
    const tactics = { engine: { family: "sglang", year: 2025 }, prefix_cache: { hit_rate: 0.4 } };
    await tells(page, serving(named("serve-70b"), tactics));
    await unfold(page, parts.more);
    await field(page, "serving.mode").selectOption("disaggregated");
    await field(page, "serving.output_spread").fill("0.5");
    const asked = serving(named("serve-70b"), { ...tactics, mode: "disaggregated", output_spread: 0.5 });
    await tells(page, asked);
    const { point } = served(core.plan(asked));
    if (point.pools === null) throw new Error("core reads prompts on the same GPUs");
    const read = (name: string) => fact(page, DETAIL, name).textContent();
    await expect.poll(() => read(bench.engine), SOON).toBe(point.engine);
    expect(await read(bench.prefillUse)).toBe(percent(point.pools.prefill_utilisation));
    expect(await read(bench.decodePool)).toContain(count(point.pools.decode_gpus));
  });

  test("settings of the engine: asked for once there is one, refused at their field, kept in the link", async () => {
    const page = await open("#v=1&s=serve-70b");
    await unfold(page, parts.engine);
    const settings = page.locator("#question summary", { hasText: parts.settings });
    expect(await settings.count()).toBe(0);
    await field(page, "serving.engine.family").selectOption("vllm");
    await settings.click();
    const share = field(page, "serving.engine.memory_share");
    expect(await share.getAttribute("placeholder")).toBe(choice.enginesOwn);
    await page.getByText("--gpu-memory-utilization").waitFor();
    await share.fill("90");
    await page.getByText("90 is outside 0.01 to 1", { exact: true }).waitFor();
    await share.fill("0.8");
    await field(page, "serving.engine.max_sequences").fill("32");
    await field(page, "serving.engine.decode_graphs").selectOption("false");
    const engine = { family: "vllm", max_sequences: 32, memory_share: 0.8, decode_graphs: false };
    const asked = serving(named("serve-70b"), { engine });
    await tells(page, asked);
    const { point } = served(core.plan(asked));
    expect(point.engine).toContain("at most 32 sequences, memory share 0.8");
    await expect.poll(() => fact(page, DETAIL, bench.engine).textContent(), SOON).toBe(point.engine);
    expect(fragment(page)).toContain("i.engine.memory_share=0.8");
    // A link opens what it changes.
    const again = await open(fragment(page));
    await tells(again, asked);
    await field(page, "serving.engine.family").selectOption("sglang");
    await page.getByText("--mem-fraction-static").waitFor();
  });

  test("how it is paid for: by the hour only where the hours are known", async () => {
    const page = await open("#v=1&s=serve-70b");
    await unfold(page, parts.paying);
    expect(await field(page, "serving.fleet.purchase").count()).toBe(0);
    await page.getByText(choice.noHours).waitFor();
    await unfold(page, parts.hours);
    await pick(page, choice.hoursBy, choice.week);
    await field(page, "serving.fleet.purchase").selectOption("cheapest_split");
    await field(page, "serving.fleet.scale_up_minutes").fill("10");
    await tells(
      page,
      serving(traffic(named("serve-70b"), { shape: "azure_conversation_2024", peak_to_mean: null }), {
        fleet: { ...named("serve-70b").serving?.fleet, purchase: "cheapest_split", scale_up_minutes: 10 },
      }),
    );
    await pick(page, choice.hoursBy, choice.even);
    // What the hours gave a meaning goes with them, so nothing is refused.
    await tells(page, named("serve-70b"));
    await expect.poll(() => page.locator(".stale").count(), SOON).toBe(0);
  });
});

describe("the fleet", () => {
  const SHAPE = "Standard_ND96isr_H100_v5";
  const scenario = () => named("serve-100m-users");
  const option = () => {
    const found = core.plan(scenario()).serving?.options.find((one) => one.shape === SHAPE);
    if (found === undefined) throw new Error(`core does not serve on ${SHAPE}`);
    return found;
  };
  const shown = async () => {
    const page = await open("#v=1&s=serve-100m-users");
    await page
      .locator("section", { has: page.locator("#ways-to-serve") })
      .getByRole("button", { name: SHAPE, exact: true })
      .first()
      .click();
    await page.getByRole("heading", { name: fill(strings.serving.detail, { shape: SHAPE }) }).waitFor();
    await page.locator("figure svg").first().waitFor();
    return page;
  };

  test("sizes, idle time and costs are core's", async () => {
    const page = await shown();
    const { fleet: of, ...one } = option();
    const said = (name: string) => fact(page, DETAIL, name).textContent();
    expect(await said(columns.nodes)).toBe(count(one.nodes));
    expect(await said(fleet.peakUse)).toBe(percent(of.peak_utilisation));
    expect(await said(fleet.perUser)).toBe(usd(of.usd_per_user_month));
    expect(await said(fleet.idleCost)).toBe(usdShort(of.idle_usd));
    expect(await said(columns.perMillionOut)).toBe(usd(one.usd_per_million_output_tokens));
    expect(await said(columns.costMonth)).toBe(usdShort(one.cost?.total_usd));
    expect(await said(detail.boundBy)).toBe(one.point.bound_by);
    expect(await said(bench.kvUsed)).toBe(percent(one.point.memory.kv_used_share));
  });

  test("every hour of the week, and how long so many nodes are needed", async () => {
    const page = await shown();
    const { hourly_nodes, hourly_replicas, load_duration } = option().fleet;
    const week = core.plan(scenario()).serving?.hourly_requests_per_second ?? [];
    await asTable(page, fleet.hours);
    const hours = await rowsOf(page, fleet.hours);
    expect(hours.length).toBe(168);
    expect(numbers(hours, "nodes")).toEqual(hourly_nodes);
    expect(numbers(hours, "replicas")).toEqual(hourly_replicas);
    expect(numbers(hours, "requests_per_second")).toEqual(week);
    await asTable(page, fleet.duration);
    const long = await rowsOf(page, fleet.duration);
    const down = [...load_duration].reverse();
    expect(numbers(long, "nodes")).toEqual(down.map((step) => step.nodes));
    expect(numbers(long, "hours_per_month")).toEqual(down.map((step) => step.hours_per_month));
  });

  test("ways to pay: the cheapest is drawn, another one when it is picked", async () => {
    const page = await shown();
    const { splits } = option().fleet;
    const rows = await rowsOf(page, fleet.splits);
    expect(numbers(rows, "cost_per_month_usd")).toEqual(splits.map((split) => split.usd));
    expect(numbers(rows, "committed_nodes")).toEqual(splits.map((split) => split.committed_nodes));
    const figure = page.getByRole("figure", { name: fleet.duration });
    const level = (nodes: number | undefined) => `${fleet.committed}: ${count(nodes)}`;
    const cheapest = splits.find((split) => split.cheapest);
    expect(cheapest?.committed_nodes).toBeGreaterThan(0);
    expect(await figure.textContent()).toContain(level(cheapest?.committed_nodes));
    const other = splits.find((split) => !split.cheapest && split.committed_nodes > 0);
    const name = strings.terms[other?.term ?? "payg"];
    await page.getByRole("table", { name: fleet.splits }).getByRole("button", { name, exact: true }).click();
    await expect.poll(() => figure.textContent(), SOON).toContain(level(other?.committed_nodes));
  });

  test("without hours there is nothing to draw", async () => {
    const page = await open("#v=1&s=serve-70b");
    await page.locator("figure svg").first().waitFor();
    await page.getByRole("figure", { name: detail.memoryServing }).first().waitFor();
    expect(await page.getByRole("figure", { name: fleet.hours }).count()).toBe(0);
    expect(await page.getByRole("table", { name: fleet.splits }).count()).toBe(0);
  });
});

/** The request of an option's own point, as the plan puts it. */
const pointOf = (plan: Plan, option: ServingOption): ServingPointRequest => {
  const job = plan.scenario.serving;
  if (job == null) throw new Error("nothing is served");
  return {
    model: job.model,
    shape: option.shape,
    gpus: option.point.gpus,
    layout: option.point.layout,
    input_tokens: job.input_tokens,
    output_tokens: job.output_tokens,
    request_rate: option.point.requests_per_second,
    precision: option.point.precision,
  };
};

describe("looking closer", () => {
  test("operations of a step: core's own, and their seconds are the step's", async () => {
    const page = await open();
    const requested: string[] = [];
    page.on("request", (request) => requested.push(request.url()));
    const plan = core.plan(first());
    const option = chosen(plan);
    const job = plan.scenario.training;
    if (option === undefined || job == null) throw new Error("core finds no way to train");
    const step = core.trainingStep({
      model: job.model,
      shape: option.shape,
      gpus: option.gpus,
      layout: option.step.layout,
      sequence_length: job.sequence_length,
      precision: job.precision ?? "bf16",
      explain: true,
    });
    expect(step.step_seconds).toBe(option.step.step_seconds);
    await page
      .locator("section[aria-labelledby=training-detail] .closer summary", { hasText: operations.title })
      .click();
    const table = page.getByRole("table", { name: operations.stepCaption });
    await table.waitFor();
    // Loaded when it is opened, not before.
    expect(requested.some((url) => /closer-[^/]*\.js$/.test(url))).toBe(true);
    expect(await table.locator("caption").textContent()).toContain(seconds(option.step.step_seconds));
    const rows = await rowsOf(page, operations.stepCaption);
    const key = ({ seconds, flop, bound }: { seconds: number; flop: number; bound: string }) =>
      `${seconds} ${flop} ${bound}`;
    expect(rows.map((row) => `${Number(row.seconds)} ${Number(row.flop)} ${row.bound}`).sort()).toEqual(
      step.operations.map(key).sort(),
    );
    const sum = numbers(rows, "seconds").reduce((sum, one) => sum + one, 0);
    expect(close(sum, option.step.step_seconds)).toBe(true);
    // A part opens to its operations, and shuts again.
    const part = table.getByRole("button", { name: strings.stepParts.compute_seconds });
    const before = await table.getByRole("row").count();
    const inPart = step.operations.filter((one) => one.part === "compute").length;
    const was = await part.getAttribute("aria-expanded");
    await part.click();
    const after = await table.getByRole("row").count();
    expect(Math.abs(after - before)).toBe(inPart);
    expect(await part.getAttribute("aria-expanded")).toBe(was === "true" ? "false" : "true");
  });

  test("operations of a point, by iteration; sorted by another measure", async () => {
    const page = await open("#v=1&s=serve-70b");
    const plan = core.plan(named("serve-70b"));
    const option = served(plan);
    const point = core.servingPoint({ ...pointOf(plan, option), explain: true });
    expect(point.decode).toEqual(option.point.decode);
    await closer(page, operations.pointTitle);
    for (const [iteration, caption] of [
      ["decode", operations.captions.serving.decode],
      ["prefill", operations.captions.serving.prefill],
    ] as const) {
      await pick(page, operations.of, detail[iteration]);
      const table = page.getByRole("table", { name: caption });
      await table.waitFor();
      expect(await table.locator("caption").textContent()).toContain(
        seconds(option.point[iteration].total_seconds),
      );
      const rows = await rowsOf(page, caption);
      const told = point.operations.filter((one) => one.iteration === iteration);
      expect(rows.map((row) => row.operation).sort()).toEqual(told.map((one) => one.name).sort());
      const sum = numbers(rows, "seconds").reduce((sum, one) => sum + one, 0);
      expect(close(sum, option.point[iteration].total_seconds)).toBe(true);
      const shares = numbers(rows, "share").reduce((sum, one) => sum + one, 0);
      expect(close(shares, 1)).toBe(true);
    }
    const table = page.getByRole("table", { name: operations.captions.serving.prefill });
    await page.getByRole("button", { name: strings.openAll }).click();
    await table.getByRole("columnheader", { name: operations.flop, exact: true }).getByRole("button").click();
    const flop = numbers(await rowsOf(page, operations.captions.serving.prefill), "flop");
    const matmul = point.operations.filter((one) => one.iteration === "prefill" && one.part === "matmul");
    const inOrder = matmul.map((one) => one.flop).sort((a, b) => a - b);
    expect(flop.filter((one) => inOrder.includes(one))).toEqual(inOrder);
  });

  test("prompts on the same GPUs or on their own: two frontiers of core's search", async () => {
    const page = await open("#v=1&s=serve-70b");
    const plan = core.plan(named("serve-70b"));
    const job = plan.scenario.serving;
    const option = served(plan);
    if (job == null) throw new Error("nothing is served");
    const search = (mode: "aggregated" | "disaggregated", precision: "fp8" | null) =>
      core.searchServing({
        model: job.model,
        shape: option.shape,
        input_tokens: job.input_tokens,
        output_tokens: job.output_tokens,
        slo: job.slo,
        precision,
        mode,
      });
    await closer(page, modes.title);
    const title = fill(modes.chart, { shape: option.shape });
    const figure = page.getByRole("figure", { name: title });
    await figure.locator("svg").first().waitFor();
    const expected = (precision: "fp8" | null) =>
      [search("aggregated", precision), search("disaggregated", precision)].flatMap(({ frontier }) =>
        frontier.map((point) => point.output_tokens_per_second_per_gpu),
      );
    await asTable(page, title);
    expect(numbers(await rowsOf(page, title), "output_tokens_per_second_per_gpu")).toEqual(expected("fp8"));
    expect(expected("fp8").length).toBeGreaterThan(10);
    await page.getByText(modes.any, { exact: true }).click();
    await expect
      .poll(async () => numbers(await rowsOf(page, title), "output_tokens_per_second_per_gpu"), SOON)
      .toEqual(expected(null));
  });
});

describe("one point", () => {
  const panel = (page: Page) => page.locator(".bench-answer");
  const figure = (page: Page, name: string) =>
    panel(page)
      .locator(".figures > div", { has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) })
      .locator(".value");
  /** Waits until the panel tells core's own answer. */
  const told = async (page: Page, request: ServingPointRequest): Promise<ServingPoint> => {
    const point = core.servingPoint(request);
    const said = async () =>
      Promise.all(
        [detail.meanTtft, detail.meanTpot, columns.output, bench.rate].map((name) =>
          figure(page, name).textContent(),
        ),
      );
    await expect
      .poll(said, SOON)
      .toEqual([
        seconds(point.ttft_seconds),
        seconds(point.tpot_seconds),
        digits(point.output_tokens_per_second_per_gpu),
        digits(point.requests_per_second),
      ]);
    return point;
  };
  const tried = async () => {
    const page = await open("#v=1&s=serve-70b", { permissions: ["clipboard-read", "clipboard-write"] });
    const plan = core.plan(named("serve-70b"));
    const asked = pointOf(plan, served(plan));
    const request_rate = Number(asked.request_rate?.toPrecision(6));
    await closer(page, bench.title);
    await figure(page, detail.meanTtft).waitFor();
    return { page, plan, asked: { ...asked, request_rate } };
  };

  test("begins as the plan's, with its interval", async () => {
    const { page, asked } = await tried();
    const { tpot_interval: at } = await told(page, asked);
    expect(await panel(page).textContent()).toContain(range(at.low, at.high, seconds));
    expect(await page.getByRole("button", { name: bench.reset }).count()).toBe(0);
  });

  test("another load, engine and cache; back to the plan's", async () => {
    const { page, asked } = await tried();
    const { request_rate: _, ...without } = asked;
    await field(page, "point.load").selectOption("closed_loop");
    await field(page, "point.concurrency").fill("64");
    await told(page, { ...without, concurrency: 64 });
    await page.locator(".bench-ask summary", { hasText: parts.engine }).click();
    await field(page, "point.engine.family").selectOption("vllm");
    await field(page, "point.engine.year").fill("2024");
    await page.locator(".bench-ask summary", { hasText: parts.settings }).click();
    await field(page, "point.engine.chunk_tokens").fill("2048");
    await field(page, "point.prefix_cache.hit_rate").fill("50");
    const more = {
      engine: { family: "vllm", year: 2024, chunk_tokens: 2048 },
      prefix_cache: { hit_rate: 0.5 },
    } as const;
    const point = await told(page, { ...without, concurrency: 64, ...more });
    expect(await panel(page).textContent()).toContain(point.engine);
    // A part whose last member is emptied is open again.
    await field(page, "point.prefix_cache.hit_rate").fill("");
    await told(page, { ...without, concurrency: 64, engine: more.engine });
    await page.getByRole("button", { name: bench.reset }).click();
    await told(page, asked);
  });

  test("lengths that spread: percentiles of both latencies", async () => {
    const { page, asked } = await tried();
    const shown = async (given: typeof asked): Promise<number[][]> => {
      const { percentiles } = await told(page, given);
      if (percentiles === null) throw new Error("core gives no percentiles");
      const rows = await rowsOf(page, bench.percentiles);
      const of = [percentiles.ttft, percentiles.tpot];
      return LATENCIES.map((key) => {
        const cells = of.map((one) => one[key]);
        expect(numbers(rows, key)).toEqual(cells);
        return cells;
      });
    };
    // Left open they are those of a measured conversation trace; wider ones have other tails.
    const usual = await shown(asked);
    await field(page, "point.input_spread").fill("2");
    await field(page, "point.output_spread").fill("1.5");
    expect(await shown({ ...asked, input_spread: 2, output_spread: 1.5 })).not.toEqual(usual);
  });

  test("each kind of load shows the numbers that it takes", async () => {
    const { page, asked } = await tried();
    const { request_rate: _, ...without } = asked;
    const shown = async () => {
      const names = ["request_rate", "concurrency", "requests"];
      const counts = await Promise.all(names.map((name) => field(page, `point.${name}`).count()));
      return names.filter((_, i) => counts[i]);
    };
    expect(await shown()).toEqual(["request_rate"]);
    await field(page, "point.load").selectOption("burst");
    await expect.poll(shown, SOON).toEqual(["requests"]);
    await field(page, "point.requests").fill("500");
    await field(page, "point.output_spread").fill("0");
    await told(page, { ...without, load: "burst", requests: 500, output_spread: 0 });
    for (const load of ["offline", "prefill_only"] as const) {
      await field(page, "point.load").selectOption(load);
      await told(page, { ...without, load });
    }
    for (const load of ["static_batch", "decode_only"] as const) {
      await field(page, "point.load").selectOption(load);
      await field(page, "point.concurrency").fill("16");
      await told(page, { ...without, load, concurrency: 16 });
    }
    await expect.poll(shown, SOON).toEqual(["concurrency"]);
  });

  test("prompts on GPUs of their own: begins with the best pools that core's search finds", async () => {
    const { page, plan, asked } = await tried();
    const job = plan.scenario.serving;
    if (job == null) throw new Error("nothing is served");
    const { best } = core.searchServing({
      model: job.model,
      shape: asked.shape ?? null,
      input_tokens: job.input_tokens,
      output_tokens: job.output_tokens,
      slo: job.slo,
      precision: "fp8",
      mode: "disaggregated",
    });
    if (best?.pools == null) throw new Error("core finds no pools");
    await page.locator(".bench-ask summary", { hasText: parts.pools }).click();
    await pick(page, bench.promptsRead, strings.servingModesBriefly.disaggregated);
    const { prefill_layout, prefill_gpus } = best.pools;
    const apart = { ...asked, gpus: best.gpus, layout: best.layout };
    const point = await told(page, { ...apart, disaggregated: { prefill_layout, prefill_gpus } });
    expect(await panel(page).textContent()).toContain(percent(point.pools?.prefill_utilisation));
    await field(page, "point.disaggregated.transfer").selectOption("layer_by_layer");
    await told(page, {
      ...apart,
      disaggregated: { prefill_layout, prefill_gpus, transfer: "layer_by_layer" },
    });
    await pick(page, bench.promptsRead, strings.servingModesBriefly.aggregated);
    await told(page, asked);
  });

  test("the link holds it: opened again, it stands open and says the same; another scenario ends it", async () => {
    const { page, asked } = await tried();
    await field(page, "point.output_tokens").fill("512");
    await told(page, { ...asked, output_tokens: 512 });
    await expect.poll(() => fragment(page), SOON).toBe("#v=1&s=serve-70b&point.output_tokens=512");
    await page.reload();
    await figure(page, detail.meanTtft).waitFor();
    await told(page, { ...asked, output_tokens: 512 });
    // The plan was not asked anew for it.
    const took = await page.locator("footer").textContent();
    await field(page, "point.output_tokens").fill("300");
    await told(page, { ...asked, output_tokens: 300 });
    await expect.poll(() => fragment(page), SOON).toContain("point.output_tokens=300");
    expect(await page.locator("footer").textContent()).toBe(took);
    await page.getByRole("combobox", { name: strings.scenario }).selectOption("serve-100m-users");
    await tells(page, named("serve-100m-users"));
    expect(fragment(page)).toBe("#v=1&s=serve-100m-users");
  });

  test("what core refuses stands at its field; the last figures stay, marked as old", async () => {
    const { page, asked } = await tried();
    const before = await figure(page, detail.meanTtft).textContent();
    const tp = field(page, "point.layout.tp");
    await tp.fill("3");
    await expect.poll(() => tp.getAttribute("aria-invalid"), SOON).toBe("true");
    expect(await figure(page, detail.meanTtft).textContent()).toBe(before);
    expect(await page.locator(".bench-answer.stale").count()).toBe(1);
    // The plan is none the worse for it.
    expect(await page.locator(".answer.stale").count()).toBe(0);
    await tp.fill("2");
    await field(page, "point.gpus").fill("4");
    await told(page, { ...asked, gpus: 4, layout: { ...asked.layout, tp: 2 } });
  });

  test("a refusal stands below what helps with its field, not over it", async () => {
    const { page } = await tried();
    await field(page, "point.layout.tp").fill("8");
    const refused = page.locator('.bench-ask [aria-invalid="true"]');
    await refused.waitFor();
    const below = ((await refused.getAttribute("aria-describedby")) ?? "").split(" ");
    expect(below.length).toBe(2);
    const boxes = [refused, ...below.map((id) => page.locator(`#${id}`))];
    const [input, help, wrong] = await Promise.all(boxes.map((one) => one.boundingBox()));
    if (!input || !help || !wrong) throw new Error("not on the page");
    expect(help.y).toBeGreaterThanOrEqual(input.y + input.height);
    expect(wrong.y).toBeGreaterThanOrEqual(help.y + help.height);
  });

  test("its operations add up, and it can be taken away as Python", async () => {
    const { page, asked } = await tried();
    await field(page, "point.input_tokens").fill("4k");
    const point = await told(page, { ...asked, input_tokens: 4000 });
    await panel(page).locator("summary", { hasText: operations.title }).click();
    const rows = await rowsOf(page, operations.captions.bench.decode);
    const sum = numbers(rows, "seconds").reduce((sum, one) => sum + one, 0);
    expect(close(sum, point.decode.total_seconds)).toBe(true);
    await panel(page).getByRole("button", { name: strings.actions.python }).click();
    await expect
      .poll(() => page.evaluate(() => navigator.clipboard.readText()), SOON)
      .toMatch(
        /^import rackrate\n\nserving_point = rackrate\.serving_point\(\*\*\{[\s\S]*"input_tokens": "4k"/,
      );
  });
});

describe("for everybody", () => {
  test.each([
    ["light", 1440],
    ["dark", 320],
  ] as const)("axe finds nothing in a service by the hour, %s, %i wide", async (colorScheme, width) => {
    const viewport = { width, height: 900 };
    const page = await open("#v=1&s=serve-100m-users", { colorScheme, viewport, reducedMotion: "reduce" });
    if (width < 1000) await page.getByRole("button", { name: strings.changeQuestion }).click();
    expect(await flaws(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
  });

  test("hours by keyboard: arrows move through them, T shows the table", async () => {
    const page = await open("#v=1&s=serve-100m-users");
    const figure = page.getByRole("figure", { name: fleet.hours });
    const hours = figure.getByRole("img");
    await hours.first().focus();
    await page.keyboard.press("ArrowRight");
    expect(await hours.nth(1).evaluate((hour) => hour === document.activeElement)).toBe(true);
    const [, nodes] = served(core.plan(named("serve-100m-users"))).fleet.hourly_nodes;
    expect(await figure.locator(".tip").textContent()).toContain(count(nodes));
    await page.keyboard.press("t");
    await figure.getByRole("table").waitFor();
  });
});
