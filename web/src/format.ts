// Numbers as people read them. Scaling for display only: every value shown is core's.
import { counted, strings } from "./strings";

const cache = new Map<string, Intl.NumberFormat>();

const format = (value: number, options: Intl.NumberFormatOptions): string => {
  const key = JSON.stringify(options);
  let formatter = cache.get(key);
  if (formatter === undefined) {
    formatter = new Intl.NumberFormat(strings.locale, { ...UNSIGNED_ZERO, ...options });
    cache.set(key, formatter);
  }
  return formatter.format(value);
};

/** Zero has no sign, whatever the bits say. */
const UNSIGNED_ZERO = { signDisplay: "negative" } as const;

type Shown = number | null | undefined;
const shown =
  (write: (value: number) => string) =>
  (value: Shown): string =>
    value === null || value === undefined ? strings.none : write(value);

/** `12,288` */
export const count = shown((n) => format(n, { maximumFractionDigits: 0 }));
const counting =
  (words: { one: string; other: string }) =>
  (number: number): string =>
    counted(words, number, count(number));
/** `1 GPU`, `12,288 GPUs` */
export const gpus = counting(strings.counts.gpus);
/** `1 replica`, `12 replicas` */
export const replicas = counting(strings.counts.replicas);
/** Core's words with long numbers as people read them: `16800000 tokens` as `16,800,000 tokens`; names that hold digits stay. */
export const grouped = (words: string): string =>
  words.replaceAll(/(?<![\w.,/:@-])\d{5,}(?![\w./-]*[\w/])/g, (digits) => count(Number(digits)));
/** Three digits that count: `0.0421`, `42.1`, `4,210`. */
export const digits = shown((n) =>
  Math.abs(n) >= 1000
    ? format(n, { maximumFractionDigits: 0 })
    : format(n, { maximumSignificantDigits: 3, minimumSignificantDigits: Math.abs(n) >= 0.9995 ? 3 : 1 }),
);
/** `15.6T`, `405B`, `16.8M` */
export const compact = shown((n) => format(n, { notation: "compact", maximumSignificantDigits: 3 }));
/** The same with three digits whatever they are, for columns: `9.06T`, `6.10T`. */
export const compactly = shown((n) =>
  format(n, { notation: "compact", maximumSignificantDigits: 3, minimumSignificantDigits: 3 }),
);
/** `41.2%` */
export const percent = shown((n) =>
  format(n, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }),
);
/** The same for an axis: `5%`, `0.2%`. */
export const percentBriefly = shown((n) => format(n, { style: "percent", maximumSignificantDigits: 3 }));
/** `$59.4M`, `$812`, `€54.6M` */
export const moneyShort = (amount: Shown, currency: string): string =>
  shown((n) =>
    Math.abs(n) < 1000
      ? money(n, currency)
      : format(n, { style: "currency", currency, notation: "compact", maximumSignificantDigits: 3 }),
  )(amount);
/** `$59,412,008`, `$12.29`, `$0.0087` */
export const money = (amount: Shown, currency: string): string =>
  shown((n) => {
    const size = Math.abs(n);
    const fraction =
      size >= 1000 || n === 0
        ? { maximumFractionDigits: 0 }
        : size >= 1
          ? { minimumFractionDigits: 2, maximumFractionDigits: 2 }
          : { maximumSignificantDigits: 3 };
    return format(n, { style: "currency", currency, ...fraction });
  })(amount);

const USD = "USD";
export const usd = (amount: Shown): string => money(amount, USD);
export const usdShort = (amount: Shown): string => moneyShort(amount, USD);
/** The same for an axis, where every tick is a round figure. */
export const usdBriefly = shown((n) =>
  format(n, { style: "currency", currency: USD, notation: "compact", maximumSignificantDigits: 3 }),
);
/** `86.4`: days to a tenth, whole from a hundred. */
export const days = shown((n) => {
  const fraction = n < 99.95 ? 1 : 0;
  return format(n, { minimumFractionDigits: fraction, maximumFractionDigits: fraction });
});
/** As few digits as it takes: `12`, `1.5`. */
export const few = shown((n) => format(n, { maximumSignificantDigits: 3 }));

/** Seconds in the unit that reads best: `12.4 s`, `38.1 ms`, `920 µs`, `3.2 min`. */
export const seconds = shown((n) => timed(n, digits));
/** Seconds for an axis: `2 s` rather than `2.00 s`. */
export const secondsBriefly = shown((n) => timed(n, few));

const timed = (n: number, write: (n: number) => string): string => {
  const [scale, unit] =
    n === 0 || (n >= 1 && n < 120)
      ? [1, "s"]
      : n >= 7200
        ? [1 / 3600, "h"]
        : n >= 120
          ? [1 / 60, "min"]
          : n >= 1e-3
            ? [1e3, "ms"]
            : [1e6, "µs"];
  return `${write(n * scale)}\u00a0${unit}`;
};

/** Bytes in decimal units: `1.62 GB`. */
export const bytes = shown((n) => scaled(n, ["B", "kB", "MB", "GB", "TB", "PB", "EB"]));
/** Message sizes in binary units, as collective benchmarks step through them: `32 MiB`. */
export const binaryBytes = shown((n) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(n, 1)) / 10)));
  return `${few(n / 1024 ** step)}\u00a0${units[step]}`;
});
/** FLOP in decimal units: `3.8 YFLOP`. */
export const flop = shown((n) =>
  scaled(n, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP", "ZFLOP", "YFLOP", "RFLOP"]),
);

const scaled = (value: number, units: readonly string[]): string => {
  let n = value;
  let step = 0;
  while (Math.abs(n) >= 999.5 && step < units.length - 1) {
    n /= 1000;
    step += 1;
  }
  return `${digits(n)}\u00a0${units[step]}`;
};

/** `61.2 to 98.0` with the writer of the unit. */
export const range = (low: number, high: number, write: (n: number) => string): string =>
  strings.range.replace("{low}", write(low)).replace("{high}", write(high));

const MULTIPLES: readonly [string, number][] = [
  ["P", 1e15],
  ["T", 1e12],
  ["B", 1e9],
  ["M", 1e6],
  ["k", 1e3],
];

/** A number as a person would type it: `15.6T`, `8192`, `0.05`. Exact: read back, it is the same number. */
export const typed = (value: number): string => {
  if (Math.abs(value) >= 1e5) {
    for (const [suffix, factor] of MULTIPLES) {
      const head = String(Number((value / factor).toPrecision(12)));
      if (Math.abs(value) >= factor && head.length <= 6 && Number(head) * factor === value) {
        return `${head}${suffix}`;
      }
    }
  }
  return String(value);
};
