import { expect, test } from "vitest";
import { plainly } from "./plainly";

test("what leaves a cloud is told as a bill would, wherever core names it", () => {
  expect(plainly("egress to the internet: any (eastus2)")).toBe(
    "Data sent out to the internet (egress) from eastus2, price of all zones",
  );
  expect(plainly("egress to the internet: zone-1 (eastus2)")).toBe(
    "Data sent out to the internet (egress) from eastus2, price of zone 1",
  );
  expect(plainly("Transfer: egress to the internet: na-eu-uk: its price is old")).toBe(
    "Transfer: Data sent out to the internet (egress), price of North America, Europe and the UK: its price is old",
  );
  expect(plainly("egress to the internet")).toBe("Data sent out to the internet (egress)");
});

test("other words stay as they are", () => {
  for (const text of ["ExpressRoute circuit: any", "Object Storage, Standard: data set", ""]) {
    expect(plainly(text)).toBe(text);
  }
});
