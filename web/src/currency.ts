// Amounts in the plan's currency. Core converts: beside each total in USD stands the same in the currency asked for, or
// nothing where that is USD. Here one of the two is chosen and written with its own sign.
import { computed } from "@preact/signals";
import type { Currency } from "../pkg/rackrate";
import * as show from "./format";
import { plan } from "./state";

const USD = "USD";

/** Code of the currency that the plan's totals are in. */
export const code = computed((): string => currencyOf(plan.value?.scenario.pricing?.currency));

const currencyOf = (currency: Currency | undefined): string => currency?.code ?? USD;

/** An amount as core gives it: in USD, and in the currency asked for where that is another. */
export interface Amount {
  usd: number | null | undefined;
  own: number | null | undefined;
}

export const amount = (usd: Amount["usd"], own: Amount["own"]): Amount => ({ usd, own });

/** Of the two the one that is shown, for sorting and for CSV. */
export const value = ({ usd, own }: Amount): number | null => own ?? usd ?? null;

const written =
  (write: (amount: number | null, currency: string) => string) =>
  (of: Amount): string =>
    write(value(of), typeof of.own === "number" ? code.value : USD);

/** `€54,612,008` */
export const money = written(show.money);
/** `€54.6M` */
export const short = written(show.moneyShort);

/** End of a CSV column's name: `usd`, `eur`. */
export const suffix = (): string => code.value.toLowerCase();
