// Every word on the page. A second language is a second object of this type.
import { answer } from "./answer";
import { fields } from "./fields";
import { names } from "./names";

export type { FieldWords } from "./fields";

export const strings = {
  locale: "en",
  title: "rackrate",
  tagline: "Where to train a large model, where to serve it, and what both cost on Azure and OCI.",
  none: "–",
  inAll: "{total} in all",
  inBoth: "{own} ({usd})",
  inUsd: "{title}, in USD",
  age: { day: "{days} day", days: "{days} days", old: "old" },
  range: "{low} to {high}",
  skip: "Skip to the answer",
  loading: "Working out the answer…",
  failed: "rackrate cannot work in this browser",
  failedHelp:
    "It needs WebAssembly and module workers, which every browser has had since 2023. Reload the page, or try another browser.",
  linkProblem: {
    version:
      "This link was made by another version of the page (“{given}”) and cannot be read. Shown instead: the first scenario.",
    scenario: "No scenario is named “{given}”. Shown instead: the first one.",
    damaged: "Part of this link cannot be read (“{given}”). Shown instead: the first scenario.",
  },
  fileProblem: "That file is not JSON: {message}",
  computed: "Computed in {time} in this browser",
  outdated: "The figures below answer the last question that could be read.",
  didYouMean: "Use {hint}",
  scenario: "Scenario",
  ownScenario: "Own scenario",
  changedScenario: "{name} (changed)",
  reset: "Reset",
  resetField: "Reset {label}",
  theme: { label: "Theme", auto: "Auto", light: "Light", dark: "Dark" },
  question: "The question",
  changeQuestion: "Change the question",
  hideQuestion: "Hide the question",
  actions: {
    label: "Take it away",
    link: "Copy link",
    python: "Copy as Python",
    json: "Scenario as JSON",
    open: "Open a scenario",
    print: "Print",
    csv: "CSV",
    copied: "Copied",
    copiedPart: "Copied, without your own data",
    notCopied: "Could not copy: the browser refused",
  },
  parts: {
    training: "Training",
    serving: "Serving",
    pricing: "Prices",
    storage: "Storage",
    transfer: "Move between clouds",
    more: "More",
    include: "Include",
  },
  choice: {
    sizeBy: "Size by",
    deadline: "Deadline",
    gpus: "GPUs",
    batchBy: "Batch in",
    tokens: "Tokens",
    sequences: "Sequences",
    trafficBy: "Traffic from",
    users: "Users",
    requests: "Requests",
    layout: "Layout",
    searched: "Search the best",
    fixed: "Fixed",
    cheapest: "Cheapest",
    anyAzureRegion: "The cheapest with the shape",
    anyOciRegion: "Any",
    everyRegion: "All regions",
    allShapes: "All {cloud} shapes",
    shapesOf: "{cloud} shapes",
    amountBy: "As",
    discount: "Discount",
    price: "Price",
    objectStorage: "Standard object storage",
    likeMatmul: "As the matrix products, 8 bits at least",
  },
  rates: {
    title: "Your own rates",
    help: "Negotiated rates and offers, for terms that nobody lists (every commitment on OCI) or instead of the listed price. The closest match counts.",
    one: "Rate {number}",
    add: "Add a rate",
    remove: "Remove",
    removeOne: "Remove rate {number}",
  },
  tier: {
    price: "{usd} per {unit}",
    throughput: "{rate} {unit}",
    atLeast: "from {size} TiB",
    atMost: "up to {size} TiB",
    readFor: "read for {region}",
    none: "no public price",
  },
  own: {
    title: "Your own data",
    help: "Rows of a CSV or JSON file take the place of the catalogue’s with the same key, or are added. They stay in this page.",
    table: "Table",
    choose: "Choose or drop a file",
    template: "Template",
    laid: "What is laid over the catalogue",
    rows: { one: "{count} row", other: "{count} rows" },
    entry: "{table}: {rows}",
    fromScenario: "from the scenario or link",
    remove: "Remove",
    removeOne: "Remove {name} from {table}",
    inLink: "The link holds these rows.",
    notInLink:
      "Too large for a link (more than {most} letters): the link leaves these rows out and says so. “Scenario as JSON” holds them.",
    leftOut:
      "This link was made with rows of someone’s own data that are too large for a link. The figures below are without them: lay the files again, or open the scenario’s JSON file.",
    row: "row {row}",
    column: "column {column}",
    notJson: "{name} is not JSON: {message}",
    notTables:
      "{name} holds no rows: a list of rows for one table is needed, or an object with tables by name.",
    noTable: "{name} names a table “{table}” that there is not: {known}.",
    empty: "{name} is empty.",
  },
  footer:
    "Everything is computed in this page by the same core as the Python package. Nothing is sent anywhere; the inputs live in the link.",

  fields,
  ...names,
  ...answer,
} as const;

/** The sentence with its gaps filled. */
export const fill = (sentence: string, gaps: Record<string, string | number>): string =>
  sentence.replace(/\{(\w+)\}/g, (gap, name: string) => String(gaps[name] ?? gap));
