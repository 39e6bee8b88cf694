// The fields of the bench: replica and load first, then, folded, the engine, what spares work, and the pools.
import { useSignal } from "@preact/signals";
import type { LoadKind, Plan, ServingPoint } from "../../../pkg/rackrate";
import type { Change, Data } from "../../data";
import { served } from "../../state";
import { strings } from "../../strings";
import { EngineFields } from "../engine-fields";
import { ChoiceField, Either, Group, NumberField } from "../field";
import type { BenchForm } from "./bench-form";

const { choice, parts } = strings;
const words = strings.bench;

const at = (name: string) => `point.${name}`;
const CUTS = ["tp", "pp", "ep", "dp"];

/** The ways that a replica at `layout` may be cut; experts may be held twice where they are cut at all. */
const cutsOf = (form: BenchForm, layout: string): string[] =>
  Number(form.get(`${layout}.ep`) ?? 1) > 1 || Number(form.get(`${layout}.redundant_experts`) ?? 0) > 0
    ? [...CUTS, "redundant_experts"]
    : CUTS;

/** The numbers that say how much comes, by kind of load: shown where core takes them, the first where it needs one. */
const NUMBERS: Record<LoadKind, readonly (keyof typeof STARTS)[]> = {
  poisson: ["request_rate"],
  closed_loop: ["concurrency", "requests"],
  offline: ["requests"],
  burst: ["requests"],
  static_batch: ["concurrency"],
  prefill_only: [],
  decode_only: ["concurrency"],
};

/** What they start from: what the last answer had. */
const STARTS = {
  request_rate: (point: ServingPoint) => point.requests_per_second,
  concurrency: (point: ServingPoint) => Math.max(1, Math.round(point.concurrency)),
  requests: (point: ServingPoint) => Math.max(1, Math.round(point.concurrency)),
};
/** Those without which a kind of load is one of its own: a service rather than a run that ends. */
const OPEN: readonly LoadKind[] = ["closed_loop", "offline"];

const SPREADS = ["input_spread", "output_spread"];

interface FieldsProps {
  plan: Plan;
  /** The last answer. */
  answer: ServingPoint;
  form: BenchForm;
}

export const BenchFields = (props: FieldsProps) => {
  const { answer, form } = props;
  const load = form.get(at("load")) as LoadKind;
  const numbers = NUMBERS[load] ?? [];
  // Of prompts random arrivals alone have a use for it, of answers a run that ends too.
  const spreads = load === "poisson" ? SPREADS : form.get(at("requests")) !== null ? ["output_spread"] : [];
  const turned = (to: Data): Change[] =>
    [...Object.keys(STARTS), ...SPREADS].map((name): Change => {
      const key = name as keyof typeof STARTS;
      const taken =
        NUMBERS[to as LoadKind]?.includes(key) && !(key === "requests" && OPEN.includes(to as LoadKind));
      return [at(name), taken ? (form.get(at(name)) ?? STARTS[key](answer)) : null];
    });
  return (
    <>
      <div class="fields">
        <NumberField path={at("gpus")} />
        {cutsOf(form, at("layout")).map((name) => (
          <NumberField key={name} path={at(`layout.${name}`)} />
        ))}
        <ChoiceField path={at("precision")} options={strings.precisions} />
        <ChoiceField path={at("load")} options={strings.loads} also={turned} wide />
        {numbers.map((name) => (
          <NumberField key={name} path={at(name)} wide={numbers.length === 1} />
        ))}
        <NumberField path={at("input_tokens")} />
        <NumberField path={at("output_tokens")} />
        {SPREADS.filter((name) => spreads.includes(name) || form.get(at(name)) !== null).map((name) => (
          <NumberField key={name} path={at(name)} wide={spreads.length === 1} />
        ))}
      </div>
      <div class="groups">
        <EngineFields root="point" />
        <Pools {...props} />
      </div>
    </>
  );
};

const APART = at("disaggregated");

/** Prompts read on the GPUs that decode, or on GPUs of their own. */
const Pools = ({ plan, form }: FieldsProps) => {
  const missing = useSignal(false);
  const apart = form.get(APART) !== null;
  const path = (name: string) => `${APART}.${name}`;
  const turn = async () => {
    const request = form.request();
    const slo = plan.scenario.serving?.slo;
    if (request === undefined || slo === undefined) return;
    const { model, shape = null, gpu = null, input_tokens, output_tokens, overlay = null } = request;
    const { precision = null, kv_precision = null, engine = null } = request;
    const { prefix_cache = null, speculation = null } = request;
    const lengths = { model, shape, gpu, input_tokens, output_tokens, overlay };
    const tactics = { precision, kv_precision, engine, prefix_cache, speculation };
    // To start from: the best pools that a search finds, for a split by hand needs both.
    const { best, nearest } = await served({ ...lengths, ...tactics, slo, mode: "disaggregated" });
    const found = best ?? nearest;
    missing.value = found?.pools == null;
    if (found?.pools == null) return;
    const { prefill_layout, prefill_gpus } = found.pools;
    form.set(
      [at("gpus"), found.gpus],
      [at("layout"), found.layout as unknown as Data],
      [APART, { prefill_layout: prefill_layout as unknown as Data, prefill_gpus }],
    );
  };
  const back = () =>
    form.set(
      ...["gpus", "layout", "disaggregated"].map(
        (name): Change => [at(name), form.original(at(name)) ?? null],
      ),
      [APART, null],
    );
  return (
    <Group title={parts.pools} paths={[APART]}>
      <div class="fields">
        <Either
          label={words.promptsRead}
          name="pools-by"
          options={strings.servingModesBriefly}
          value={apart ? "disaggregated" : "aggregated"}
          choose={(to) => (to === "disaggregated" ? void turn() : back())}
          wide
        />
        {missing.value && <p class="help note">{words.noPools}</p>}
        {apart && (
          <>
            <NumberField path={path("prefill_gpus")} wide />
            {cutsOf(form, path("prefill_layout")).map((name) => (
              <NumberField key={name} path={path(`prefill_layout.${name}`)} />
            ))}
            <ChoiceField path={path("transfer")} options={strings.kvTransfers} open={choice.usual} wide />
          </>
        )}
      </div>
    </Group>
  );
};
