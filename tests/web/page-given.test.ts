// What is wider than its place says so and can be reached; what is given and cannot be read says where it breaks.
import { describe, expect, test } from "vitest";
import * as core from "../../web/pkg/rackrate.js";
import { fill, strings } from "../../web/src/strings";
import { first, tells, visits } from "./visit";

const { open } = visits();
const serving = "#v=1&s=serve-100m-users";

describe("a table wider than its place", () => {
  test.each([
    ["wide", 1440],
    ["narrow", 390],
  ])("says so, and its last column is a press or a key away, %s", async (_, width) => {
    const page = await open(serving, { viewport: { width, height: 900 }, reducedMotion: "reduce" });
    const region = page.getByRole("region", { name: strings.serving.caption, exact: true });
    await region.waitFor();
    const shown = () =>
      region.evaluate((one) => getComputedStyle(one.parentElement as Element, "::after").opacity);
    const last = region.getByRole("columnheader", { name: strings.columns.perThousand });
    const hidden = () =>
      last.evaluate((one) => {
        const edge = one.closest("section")?.getBoundingClientRect().right ?? 0;
        return one.getBoundingClientRect().right > edge + 1;
      });
    const press = (name: string) =>
      page.getByRole("button", { name }).filter({ hasText: strings.serving.caption }).click();
    expect(await shown()).toBe("1");
    expect(await hidden()).toBe(true);
    for (let presses = 0; presses < 8 && (await hidden()); presses += 1) {
      await press(strings.moreColumns);
      await page.waitForTimeout(500);
    }
    expect(await hidden()).toBe(false);
    expect(await shown()).toBe("0");
    await press(strings.firstColumns);
    await expect.poll(() => region.evaluate((one) => one.scrollLeft)).toBe(0);
    // And without a pointer: the region takes the focus.
    await region.focus();
    for (let presses = 0; presses < 60 && (await hidden()); presses += 1)
      await page.keyboard.press("ArrowRight");
    await expect.poll(hidden).toBe(false);
  });

  test("where there is room it is no stop of the Tab key", async () => {
    const page = await open(serving, { viewport: { width: 1440, height: 900 } });
    const table = page.getByRole("table", { name: strings.splits.caption });
    await table.waitFor();
    const around = table.locator("xpath=ancestor::section[contains(@class, 'scroll')][1]");
    expect(await around.getAttribute("tabindex")).toBeNull();
  });
});

describe("JSON that breaks", () => {
  const broken =
    '{\n  "architectures": ["LlamaForCausalLM"],\n  "hidden_size": 8192\n  "vocab_size": 128256\n}';
  const problem = 'Line 4, column 3: a comma or } is expected, not “"”.';

  test("pasted for a model is told at the field and above the answer, by line and column", async () => {
    const page = await open();
    const model = page.getByLabel("Model").first();
    await model.evaluate((input, text) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", text);
      input.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }, broken);
    const told = fill(strings.configProblem, { problem });
    await expect.poll(() => page.locator("#field-training-model-wrong").textContent()).toContain(told);
    await expect.poll(() => page.getByRole("alert").textContent()).toContain(`Model: ${told}`);
    // Nothing of the text itself stands there.
    expect(await page.getByRole("alert").textContent()).not.toContain("Llama");
    await page.getByRole("alert").getByRole("button").click();
    expect(await model.evaluate((input) => input === document.activeElement)).toBe(true);
    await model.fill("llama-3.1-405b");
    await tells(page, first());
  });

  test("opened as a scenario leaves the question as it is, and is told with its name", async () => {
    const page = await open();
    await page
      .getByLabel(strings.actions.open)
      .setInputFiles({ name: "mine.json", mimeType: "application/json", buffer: Buffer.from(broken) });
    const notice = page.getByRole("status").filter({ hasText: "mine.json" });
    await notice.waitFor();
    expect(await notice.textContent()).toBe(fill(strings.fileProblem, { name: "mine.json", problem }));
    await tells(page, first());
  });

  test("a scenario without a name is answered as unnamed", async () => {
    const page = await open();
    const { serving } = core.scenarios().find(({ name }) => name === "serve-70b") ?? {};
    const buffer = Buffer.from(JSON.stringify({ serving }));
    await page
      .getByLabel(strings.actions.open)
      .setInputFiles({ name: "mine.json", mimeType: "application/json", buffer });
    await tells(page, { serving });
  });
});
