// What to train and how it goes, on the built page: tokens given or sought, software, network, failures, layouts.
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import type { Scenario, TrainingOption } from "../../web/pkg/rackrate.js";
import * as core from "../../web/pkg/rackrate.js";
import { bytes, compactly, count, digits, percent, range, seconds } from "../../web/src/format";
import { fill, strings } from "../../web/src/strings";
import { chosen, fact, first, fragment, headline, rowsOf, tells, visits } from "./visit";

const { open, openBroken } = visits();

const SOON = { timeout: 15_000 };
const DETAIL = "training-detail";
const { choice, detail, parts } = strings;

const named = (name: string): Scenario => core.scenarios().find((one) => one.name === name) as Scenario;
const training = (scenario: Scenario, change: object): Scenario =>
  ({ ...scenario, training: { ...scenario.training, ...change } }) as Scenario;
const option = (scenario: Scenario): TrainingOption => {
  const found = chosen(core.plan(scenario));
  if (found === undefined) throw new Error("core finds no option");
  return found;
};
const unfold = (page: Page, title: string) =>
  page.locator("#question summary", { hasText: title }).first().click();
const field = (page: Page, path: string) => page.locator(`#field-${path.replaceAll(".", "-")}`);
const pick = (page: Page, group: string, name: string) =>
  page.getByRole("radiogroup", { name: group, exact: true }).first().getByText(name, { exact: true }).click();
/** Waits until the step's time is that of core's own answer. */
const steps = (page: Page, scenario: Scenario) =>
  expect
    .poll(() => fact(page, DETAIL, detail.stepTime).textContent(), SOON)
    .toBe(seconds(option(scenario).step.step_seconds));

describe("how many tokens", () => {
  test("by rule: as many as the model's parameters say", async () => {
    const page = await open("#v=1&s=llama3-405b-as-published&t.gpu=null");
    const before = training(named("llama3-405b-as-published"), { gpu: null });
    await pick(page, choice.tokensBy, choice.rule);
    const asked = training(before, { tokens: null, tokens_rule: "chinchilla" });
    await tells(page, asked);
    const plan = core.plan(asked);
    expect(fragment(page)).toContain("t.tokens=null&t.tokens_rule=chinchilla");
    const line = page.locator("section[aria-labelledby=ways-to-train] .facts-line").first();
    expect(await line.textContent()).toContain(compactly(plan.training?.tokens));
    expect(await line.textContent()).toContain(strings.tokensBases.compute_optimal);
    await pick(page, choice.tokensBy, choice.given);
    await tells(page, training(before, { tokens: plan.training?.tokens }));
  });

  test("by budget: each option has its own, with its interval", async () => {
    const page = await open("#v=1&s=budget-2m-8b");
    await field(page, "training.budget_usd").fill("3M");
    const asked = training(named("budget-2m-8b"), { budget_usd: 3e6 });
    await tells(page, asked);
    const best = option(asked);
    const { low, high } = best.tokens_interval ?? { low: Number.NaN, high: Number.NaN };
    const likely = fill(detail.likely, {
      value: compactly(best.tokens),
      range: range(low, high, compactly),
    });
    await expect.poll(() => fact(page, DETAIL, detail.tokensTrained).textContent(), SOON).toBe(likely);
    expect(await page.locator(".figures").textContent()).toContain(compactly(best.tokens));
    expect(await headline(page).textContent()).toContain(`on ${compactly(best.tokens)} tokens in`);
    const rows = await rowsOf(page, strings.training.caption);
    const options = core.plan(asked).training?.options ?? [];
    expect(rows.map((row) => Number(row.tokens))).toEqual(options.map((one) => one.tokens));
    expect(rows.map((row) => Number(row.goodput))).toEqual(options.map((one) => one.goodput));
  });

  test("by budget: a deadline, a number of GPUs, or both", async () => {
    const page = await open("#v=1&s=budget-2m-8b");
    const asked = named("budget-2m-8b");
    const { gpus } = option(asked);
    await pick(page, choice.sizeBy, choice.both);
    await tells(page, training(asked, { gpus }));
    await field(page, "training.gpus").fill("128");
    await tells(page, training(asked, { gpus: 128 }));
    await pick(page, choice.sizeBy, choice.gpus);
    await tells(page, training(asked, { gpus: 128, deadline_days: null }));
    expect(await field(page, "training.deadline_days").count()).toBe(0);
  });

  test("by time: the most that the GPUs train on until the deadline", async () => {
    const page = await open();
    await pick(page, choice.tokensBy, choice.time);
    const { gpus } = option(first());
    const asked = training(first(), { tokens: null, gpus });
    await tells(page, asked);
    const best = option(asked);
    expect(best.tokens_interval).not.toBeNull();
    await expect
      .poll(
        () => page.locator("section[aria-labelledby=ways-to-train] .facts-line").first().textContent(),
        SOON,
      )
      .toContain(`${compactly(best.tokens)} tokens, ${strings.tokensBases.most_in_time}`);
    // Back to tokens that are given: one of the two sizes goes.
    await pick(page, choice.tokensBy, choice.given);
    await tells(page, training(first(), { tokens: best.tokens }));
  });

  test("a field that is emptied to type something else stays", async () => {
    const page = await open("#v=1&s=fine-tune-8b");
    const gpus = field(page, "training.gpus");
    await gpus.fill("");
    await page.getByRole("alert").waitFor();
    expect(await gpus.count()).toBe(1);
    await gpus.pressSequentially("16");
    await tells(page, training(named("fine-tune-8b"), { gpus: 16 }));
  });
});

describe("what few need to say", () => {
  test("software: boxes show what core takes, and change it", async () => {
    const page = await open();
    await unfold(page, parts.software);
    const filled = core.plan(first()).scenario.training?.software ?? {};
    const names = [
      "captured",
      "expert_overlap",
      "fused_experts",
      "tensor_overlap",
      "fused_elementwise",
    ] as const;
    for (const name of names) {
      expect(await field(page, `training.software.${name}`).isChecked(), name).toBe(filled[name]);
    }
    await field(page, "training.software.fused_elementwise").uncheck();
    await field(page, "training.software.attention").selectOption("flash2");
    const link = "t.software.attention=flash2&t.software.fused_elementwise=false";
    await expect.poll(() => fragment(page), SOON).toContain(link);
    // Opened again, the link says the same.
    await page.reload();
    await page.locator(".headline").waitFor();
    await unfold(page, parts.software);
    expect(await field(page, "training.software.attention").inputValue()).toBe("flash2");
    expect(await field(page, "training.software.fused_elementwise").isChecked()).toBe(false);
  });

  test("software changes the step as core says", async () => {
    const page = await open("#v=1&s=llama3-405b-as-published");
    const scenario = named("llama3-405b-as-published");
    await unfold(page, parts.software);
    await field(page, "training.software.fused_elementwise").uncheck();
    const software = { ...scenario.training?.software, fused_elementwise: false };
    const asked = training(scenario, { software });
    expect(option(asked).step.step_seconds).toBeGreaterThan(option(scenario).step.step_seconds);
    await steps(page, asked);
  });

  test("network: scattered nodes, a share of them, an oversubscribed tier", async () => {
    const page = await open("#v=1&s=llama3-405b-as-published");
    const scenario = named("llama3-405b-as-published");
    const given = (network: object) =>
      training(scenario, { network: { ...scenario.training?.network, ...network } });
    await unfold(page, parts.network);
    await field(page, "training.network.placement").selectOption("scattered");
    await steps(page, given({ placement: "scattered" }));
    expect(option(given({ placement: "scattered" })).step.step_seconds).toBeGreaterThan(
      option(scenario).step.step_seconds,
    );
    await pick(page, choice.placementBy, choice.share);
    await field(page, "training.network.scattered_share").fill("50");
    await steps(page, given({ scattered_share: 0.5 }));
    await field(page, "training.network.routing").selectOption("ecmp");
    await field(page, "training.network.oversubscription").fill("3");
    const last = given({ scattered_share: 0.5, routing: "ecmp", oversubscription: 3 });
    await steps(page, last);
    const { bisection_gb_per_s } = option(last).interconnect;
    expect(await page.locator(`section[aria-labelledby=${DETAIL}]`).textContent()).toContain(
      `${bytes(bisection_gb_per_s * 1e9)}/s`,
    );
  });

  test("failures: by a published rate, or one's own; never both", async () => {
    const page = await open();
    await unfold(page, parts.reliability);
    const rate = field(page, "training.reliability.rate");
    await expect.poll(() => rate.locator("option").count(), SOON).toBe(core.catalog().reliability.length + 1);
    await rate.selectOption("opt-175b");
    const given = (reliability: object) =>
      training(first(), { reliability: { ...first().training?.reliability, ...reliability } });
    const published = given({ rate: "opt-175b" });
    await tells(page, published);
    const goodput = (scenario: Scenario) => {
      const { goodput, goodput_interval: at } = option(scenario);
      return fill(detail.likely, { value: percent(goodput), range: range(at.low, at.high, percent) });
    };
    const shown = () => fact(page, DETAIL, detail.goodput).textContent();
    await expect.poll(shown, SOON).toBe(goodput(published));
    await pick(page, choice.failuresBy, choice.own);
    const own = field(page, "training.reliability.gpu_hours_per_interruption");
    // What the published rate says, to start from.
    expect(await own.inputValue()).toBe(String(option(published).losses.gpu_hours_per_interruption));
    await own.fill("100k");
    await expect.poll(shown, SOON).toBe(goodput(given({ gpu_hours_per_interruption: 1e5 })));
    expect(fragment(page)).not.toContain("reliability.rate");
  });

  test("pauses enter the clock", async () => {
    const page = await open();
    await unfold(page, parts.pauses);
    await field(page, "training.pauses.evaluation_seconds").fill("600");
    // Half of it is refused, at the other half.
    await expect
      .poll(() => field(page, "training.pauses.evaluation_every_steps").getAttribute("aria-invalid"), SOON)
      .toBe("true");
    await field(page, "training.pauses.evaluation_every_steps").fill("100");
    const asked = training(first(), {
      pauses: { ...first().training?.pauses, evaluation_seconds: 600, evaluation_every_steps: 100 },
    });
    await tells(page, asked);
    expect(option(asked).losses.evaluation_share).toBeGreaterThan(0.01);
  });

  test("a layout of one's own: recompute in part, and what lies on the host", async () => {
    const page = await open("#v=1&s=llama3-405b-as-published");
    const scenario = named("llama3-405b-as-published");
    const { layout } = option(scenario).step;
    await unfold(page, parts.layout);
    await pick(page, choice.layout, choice.fixed);
    await field(page, "training.layout.recompute").selectOption("full");
    await field(page, "training.layout.recompute_layers").fill("2");
    await field(page, "training.layout.offload.optimizer").check();
    const asked = training(scenario, {
      layout: {
        ...layout,
        recompute: "full",
        recompute_layers: 2,
        offload: { ...layout.offload, optimizer: true },
      },
    });
    await steps(page, asked);
    const { memory } = option(asked).step;
    expect(memory.host_gib).toBeGreaterThan(0);
    expect(await fact(page, DETAIL, detail.host).textContent()).toBe(
      fill(detail.gib, { size: digits(memory.host_gib) }),
    );
    expect(await fact(page, DETAIL, detail.layout).textContent()).toContain(
      fill(detail.recomputeLayers, { count: "2" }),
    );
    await field(page, "training.layout.recompute").selectOption("selective");
    // What belonged to full recompute is gone; parts begin with none, which core refuses beside them.
    expect(await field(page, "training.layout.recompute_layers").count()).toBe(0);
    await pick(page, choice.partsBy, choice.chosen);
    await page.locator("#question .wrong").waitFor();
    await page.getByLabel(strings.recomputeParts.feed_forward, { exact: true }).check();
    await steps(
      page,
      training(asked, {
        layout: {
          ...asked.training?.layout,
          recompute: "selective",
          recompute_layers: null,
          recompute_parts: { feed_forward: true },
        },
      }),
    );
  });

  test("a layout of one's own brings the GPUs that it was found on", async () => {
    const page = await open();
    const { gpus, step } = option(first());
    await unfold(page, parts.layout);
    await pick(page, choice.layout, choice.fixed);
    await tells(page, training(first(), { layout: step.layout, gpus, deadline_days: null }));
    expect(await field(page, "training.gpus").inputValue()).toBe(String(gpus));
    await expect.poll(() => page.locator(".stale").count(), SOON).toBe(0);
  });

  test("only these shapes: two clouds with the same GPU", async () => {
    const page = await open();
    await unfold(page, parts.more);
    const shapes = ["Standard_ND96isr_H100_v5", "BM.GPU.H100.8"];
    const input = field(page, "training.shapes");
    await input.fill(shapes.join(", "));
    await tells(page, training(first(), { shapes }));
    const rows = page.getByRole("table", { name: strings.training.caption }).getByRole("rowheader");
    expect((await rows.allTextContents()).sort()).toEqual([...shapes].sort());
    await input.fill(`${shapes[0]}, BM.GPU.H100.9`);
    await expect.poll(() => input.getAttribute("aria-invalid"), SOON).toBe("true");
    await input.fill("");
    await tells(page, first());
  });

  test("a refusal opens the group that its field lies in", async () => {
    const page = await openBroken("#v=1&s=azure-trains-oci-serves&t.network.tier_gpus=64");
    const wrong = field(page, "training.network.tier_gpus");
    await wrong.waitFor({ state: "visible" });
    expect(await wrong.getAttribute("aria-invalid")).toBe("true");
  });

  test("a group tells how many of its values were changed", async () => {
    const page = await open("#v=1&s=azure-trains-oci-serves&t.pauses.startup_seconds=1800");
    const summary = (title: string) => page.locator("#question summary", { hasText: title }).first();
    expect(await summary(parts.pauses).locator(".count").textContent()).toBe("1");
    expect(await summary(parts.network).locator(".count").count()).toBe(0);
  });
});

describe("how it goes", () => {
  test("where lost time goes: core's shares, which with goodput make one", async () => {
    const page = await open("#v=1&s=budget-2m-8b");
    const best = option(named("budget-2m-8b"));
    const figure = page.getByRole("figure", { name: detail.lost });
    await figure.locator(".chart svg").first().waitFor();
    expect(await figure.textContent()).toContain(percent(best.goodput));
    await figure.getByRole("button", { name: strings.chart.asTable }).click();
    const rows = await rowsOf(page, detail.lost);
    const labels = Object.entries(strings.losses) as [keyof typeof strings.losses, string][];
    expect(rows.map((row) => [row.part, Number(row.share)])).toEqual(
      labels.map(([key, label]) => [label, best.losses[key]]),
    );
    const sum = rows.reduce((sum, row) => sum + Number(row.share), best.goodput);
    expect(Math.abs(sum - 1)).toBeLessThan(1e-9);
  });

  test("failures and checkpoints as core reckons with them", async () => {
    const page = await open();
    const { losses } = option(first());
    expect(await fact(page, DETAIL, detail.failureRate).textContent()).toBe(
      count(losses.gpu_hours_per_interruption),
    );
    expect(await fact(page, DETAIL, detail.stall).textContent()).toBe(
      seconds(losses.checkpoint_stall_seconds),
    );
  });

  test("other layouts: the front of core's search", async () => {
    const page = await open("#v=1&s=compute-optimal-70b");
    const scenario = named("compute-optimal-70b");
    const plan = core.plan(scenario);
    const best = option(scenario);
    const job = plan.scenario.training;
    if (job == null || plan.training === null) throw new Error("nothing is trained");
    const { front, considered } = core.searchLayouts({
      model: job.model,
      shape: best.shape,
      gpus: best.gpus,
      global_batch: plan.training.global_batch,
      sequence_length: job.sequence_length,
    });
    expect(front.length).toBeGreaterThan(2);
    await page.getByText(detail.layouts, { exact: true }).click();
    const figure = page.getByRole("figure", { name: detail.front });
    await figure.locator("svg").first().waitFor();
    expect(await page.getByText(count(considered)).count()).toBeGreaterThan(0);
    expect(await figure.getByRole("img").count()).toBe(front.length);
    await figure.getByRole("button", { name: strings.chart.asTable }).click();
    const rows = await rowsOf(page, detail.front);
    expect(rows.map((row) => [Number(row.step_seconds), Number(row.memory_gib)])).toEqual(
      front.map((point) => [point.step_seconds, point.memory_gib]),
    );
    expect(front.some((point) => point.step_seconds === best.step.step_seconds)).toBe(true);
  });
});
