import { describe, expect, test } from "vitest";
import type { Data } from "./data";
import { entries, fromFile, over, placeIn, TABLES, tableOf, without } from "./own-data";
import { strings } from "./strings";

const csv = 'shape,usd_per_gpu_hour,note\nA,1,"two\nlines, ""quoted"""\nB,2,\n\n';
const rows: Data[] = [{ shape: "C" }, { shape: "D" }];

describe("a file", () => {
  test("of CSV text lies over the table that was chosen, as it stands", () => {
    expect(fromFile("x.csv", csv, "prices")).toEqual({ laid: [{ table: "prices", content: csv }] });
  });

  test("of JSON rows lies over that table, one of tables over each", () => {
    expect(fromFile("x.json", JSON.stringify(rows), "gpus")).toEqual({
      laid: [{ table: "gpus", content: rows }],
    });
    expect(fromFile("x.JSON", JSON.stringify({ prices: rows, gpus: csv, shapes: null }), "models")).toEqual({
      laid: [
        { table: "prices", content: rows },
        { table: "gpus", content: csv },
      ],
    });
  });

  test("that cannot be laid says why, with its name", () => {
    const why = (name: string, text: string) => {
      const found = fromFile(name, text, "prices");
      return "problem" in found ? found.problem : "laid";
    };
    expect(why("a.csv", " \n")).toBe("a.csv is empty.");
    expect(why("a.json", "{")).toContain("a.json is not JSON");
    expect(why("a.json", "3")).toContain("a.json holds no rows");
    expect(why("a.json", '{"price":[]}')).toContain("“price”");
    expect(why("a.json", '{"__proto__":[]}')).toContain("“__proto__”");
  });

  test("says by its name what it is for, if it does", () => {
    expect(tableOf("my-prices-2026.csv")).toBe("prices");
    expect(tableOf("GPU list.csv")).toBe("gpus");
    expect(tableOf("energy.json")).toBe("energy");
    expect(tableOf("data.csv")).toBeUndefined();
  });
});

describe("what is laid", () => {
  test("is counted by rows; a line break within quotes ends none", () => {
    expect(entries({ prices: csv }).map(({ path, rows }) => [path, rows])).toEqual([["overlay.prices", 2]]);
    expect(entries({ gpus: rows }).map(({ path, rows }) => [path, rows])).toEqual([["overlay.gpus", 2]]);
    expect(entries(null)).toEqual([]);
  });

  test("stands one behind the other, and is taken off one by one", () => {
    const laid: Data = { prices: over(over(csv, rows), csv), gpus: csv };
    const found = entries(laid);
    expect(found.map(({ table, path, rows, span }) => [table, path, rows, span])).toEqual([
      ["prices", "overlay.prices[0]", 2, [0, 1]],
      ["prices", "overlay.prices", 2, [1, 3]],
      ["prices", "overlay.prices[3]", 2, [3, 4]],
      ["gpus", "overlay.gpus", 2, undefined],
    ]);
    let left: Data = laid;
    for (const gone of ["prices", "prices", "prices", "gpus"]) {
      const [first] = entries(left);
      expect(first?.table).toBe(gone);
      if (first) left = without(left, first);
    }
    expect(left).toBe(null);
  });

  test("core's path is told as row and column of its own file", () => {
    const [single] = entries({ prices: csv });
    const [first, second, third] = entries({ prices: [csv, ...rows, csv] });
    const place = (entry: typeof single, field: string) => entry && placeIn(entry, field);
    expect(place(single, "overlay.prices[1].term")).toEqual({ row: 2, column: "term" });
    expect(place(single, "overlay.prices.odd name")).toEqual({ row: undefined, column: "odd name" });
    expect(place(first, "overlay.prices[0][1].term")).toEqual({ row: 2, column: "term" });
    expect(place(first, "overlay.prices[0].odd")).toEqual({ row: undefined, column: "odd" });
    expect(place(second, "overlay.prices[2].term")).toEqual({ row: 2, column: "term" });
    expect(place(second, "overlay.prices[3][0].term")).toBeUndefined();
    expect(place(third, "overlay.prices[3][0].term")).toEqual({ row: 1, column: "term" });
  });
});

test("every table has a name", () => {
  for (const table of TABLES) expect(strings.tables[table]).not.toBe("");
});
