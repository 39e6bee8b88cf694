// How to pay: term, regions, discounts, own rates, currency, and the day that prices should hold for.
import { useMemo } from "preact/hooks";
import type { Data } from "../data";
import { original } from "../state";
import { strings } from "../strings";
import { ChoiceField, NumberField, TextField } from "./field";
import { OwnRates } from "./own-rates";
import { pricedRegionsOf, regionsOf } from "./regions";

const CODE = "pricing.currency.code";
const PER_USD = "pricing.currency.per_usd";

export const Pricing = () => (
  <>
    <div class="fields">
      <ChoiceField path="pricing.term" options={strings.terms} wide />
      <ChoiceField
        path="pricing.azure_region"
        options={pricedRegionsOf("azure")}
        open={strings.choice.anyAzureRegion}
        wide
      />
      <ChoiceField
        path="pricing.oci_region"
        options={regionsOf("oci")}
        open={strings.choice.anyOciRegion}
        wide
      />
      <NumberField path="pricing.azure_discount" scale="percent" />
      <NumberField path="pricing.oci_discount" scale="percent" />
      <TextField path={CODE} known={useMemo(currencies, [])} together={[PER_USD]} also={rateOf} />
      <NumberField path={PER_USD} together={[CODE]} />
      <NumberField path="pricing.hours_per_month" />
      <TextField path="today" type="date" />
    </div>
    <OwnRates />
  </>
);

/** A rate belongs to its currency: another currency comes back with its own, or asks for one. */
const rateOf = (code: Data): [string, Data][] => [
  [PER_USD, code === original(CODE) ? (original(PER_USD) ?? null) : code === "USD" ? 1 : null],
];

/** Codes of today's and some of yesterday's currencies with their names, as this browser knows them. */
const currencies = (): [string, string][] => {
  const named = new Intl.DisplayNames(strings.locale, { type: "currency" });
  return Intl.supportedValuesOf("currency").map((code) => [code, named.of(code) ?? code]);
};
