// A replica in a line, leaving out what is not cut.
import type { ServingLayout } from "../../pkg/rackrate";
import * as show from "../format";

export const cut = (layout: ServingLayout): string =>
  (["tp", "pp", "ep", "dp"] as const)
    .filter((name) => (layout[name] ?? 1) > 1 || name === "tp")
    .map((name) => `${name} ${show.count(layout[name])}`)
    .join(", ");
