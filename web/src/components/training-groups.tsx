// What few need to say of a training job: how it is cut, its software, its network, its failures, its pauses.
import { useSignal } from "@preact/signals";
import type { FailureRate } from "../../pkg/rackrate";
import { type Data, isFields } from "../data";
import * as show from "../format";
import { catalog, get, plan, set } from "../state";
import { fill, strings } from "../strings";
import {
  ChoiceField,
  Either,
  Faulty,
  Group,
  NumberField,
  type Options,
  SwitchField,
  YesNoField,
} from "./field";

const { choice, parts } = strings;

const LAYOUT = "training.layout";
const CUTS = ["tp", "pp", "vp", "cp", "ep", "expert_tp", "dp", "micro_batch", "global_batch"];

/** `fix` gives what a layout of one’s own starts from. */
export const Layout = ({ fix }: { fix: () => [string, Data][] }) => {
  const fixed = isFields(get(LAYOUT));
  return (
    <Group title={parts.layout} paths={[LAYOUT]}>
      <div class="fields">
        <Either
          label={choice.layout}
          name="layout-by"
          options={{ searched: choice.searched, fixed: choice.fixed }}
          value={fixed ? "fixed" : "searched"}
          choose={(by) => set(...(by === "fixed" ? fix() : [[LAYOUT, null] as [string, Data]]))}
          wide
        />
        {fixed && <Cut />}
      </div>
    </Group>
  );
};

const Cut = () => {
  const again = get(`${LAYOUT}.recompute`);
  const layers = `${LAYOUT}.recompute_layers`;
  const some = `${LAYOUT}.recompute_parts`;
  return (
    <>
      {CUTS.map((name) => (
        <NumberField key={name} path={`${LAYOUT}.${name}`} />
      ))}
      <ChoiceField path={`${LAYOUT}.schedule`} options={strings.schedules} />
      <NumberField path={`${LAYOUT}.zero`} />
      <NumberField path={`${LAYOUT}.shard_group`} />
      <SwitchField path={`${LAYOUT}.sequence_parallel`} />
      <ChoiceField
        path={`${LAYOUT}.recompute`}
        options={strings.recomputes}
        also={(kind) => [
          [layers, kind === "full" ? get(layers) : null],
          [some, kind === "selective" ? get(some) : null],
        ]}
        wide
      />
      {/* Each belongs to one kind of recompute; what a link brought stays visible, so that it can be put right. */}
      {(again === "full" || get(layers) !== null) && <NumberField path={layers} wide />}
      {(again === "selective" || get(some) !== null) && <Parts path={some} />}
      <NumberField path={`${LAYOUT}.offload.activation_layers`} wide />
      <SwitchField path={`${LAYOUT}.offload.optimizer`} />
    </>
  );
};

/** The parts that selective recompute does again: core's usual ones, or those that are ticked. */
const Parts = ({ path }: { path: string }) => {
  const chosen = isFields(get(path));
  return (
    <>
      <Either
        label={choice.partsBy}
        name="parts-by"
        options={{ usual: choice.usual, chosen: choice.chosen }}
        value={chosen ? "chosen" : "usual"}
        choose={(by) => set([path, by === "chosen" ? {} : null])}
        wide
      />
      {chosen && (
        <>
          <Faulty path={path} />
          {Object.keys(strings.recomputeParts).map((name) => (
            <SwitchField key={name} path={`${path}.${name}`} />
          ))}
        </>
      )}
    </>
  );
};

const SOFTWARE = "training.software";

export const Software = () => (
  <Group title={parts.software} paths={[SOFTWARE]}>
    <div class="fields">
      <ChoiceField
        path={`${SOFTWARE}.attention`}
        options={strings.attentionKernels}
        open={choice.usual}
        wide
      />
      {[
        "fused_elementwise",
        "tensor_overlap",
        "tensor_tiles",
        "cast_after_gather",
        "context_gather",
        "fp8_weight_gather",
        "expert_overlap",
        "expert_all_to_all",
        "fused_experts",
        "captured",
      ].map((name) => (
        <SwitchField key={name} path={`${SOFTWARE}.${name}`} />
      ))}
    </div>
  </Group>
);

const NETWORK = "training.network";
const PLACEMENT = `${NETWORK}.placement`;
const SCATTERED = `${NETWORK}.scattered_share`;

export const Network = () => {
  const asked = useSignal(false);
  const byShare = get(SCATTERED) !== null || (asked.value && get(PLACEMENT) === null);
  const path = (name: string) => `${NETWORK}.${name}`;
  return (
    <Group title={parts.network} paths={[NETWORK]}>
      <div class="fields">
        <Either
          label={choice.placementBy}
          name="placement-by"
          options={{ named: choice.named, share: choice.share }}
          value={byShare ? "share" : "named"}
          choose={(by) => {
            asked.value = by === "share";
            set([PLACEMENT, null], [SCATTERED, null]);
          }}
          wide
        />
        {byShare ? (
          <NumberField path={SCATTERED} scale="percent" together={[PLACEMENT]} wide />
        ) : (
          <ChoiceField path={PLACEMENT} options={strings.placements} open={choice.asTheFabric} wide />
        )}
        <ChoiceField path={path("routing")} options={strings.routings} open={choice.asTheFabric} wide />
        <NumberField path={path("oversubscription")} together={[path("tier_gpus")]} />
        <NumberField path={path("tier_gpus")} />
        <YesNoField path={path("in_switch_reduction")} open={choice.asTheFabric} wide />
        <ChoiceField path={path("launch")} options={strings.launches} wide />
        <ChoiceField path={path("library")} options={strings.libraries} wide />
      </div>
    </Group>
  );
};

const RELIABILITY = "training.reliability";
const RATE = `${RELIABILITY}.rate`;
const OWN = `${RELIABILITY}.gpu_hours_per_interruption`;

export const Failures = () => {
  const asked = useSignal(false);
  const own = get(OWN) !== null || (asked.value && get(RATE) === null);
  const rested = plan.value?.training?.options[0]?.losses.gpu_hours_per_interruption;
  const path = (name: string) => `${RELIABILITY}.${name}`;
  return (
    <Group title={parts.reliability} paths={[RELIABILITY]}>
      <div class="fields">
        <Either
          label={choice.failuresBy}
          name="failures-by"
          options={{ published: choice.published, own: choice.own }}
          value={own ? "own" : "published"}
          choose={(by) => {
            asked.value = by === "own";
            // To start from: what the last plan rests on.
            set([RATE, null], [OWN, by === "own" ? (rested ?? null) : null]);
          }}
          wide
        />
        {own ? (
          <NumberField path={OWN} together={[RATE]} wide />
        ) : (
          <ChoiceField path={RATE} options={rates()} open={choice.usual} wide />
        )}
        <NumberField path={path("checkpoint_interval_seconds")} />
        <NumberField path={path("checkpoint_stall_share")} scale="percent" />
        <NumberField path={path("checkpoint_gb_per_s_per_node")} />
        <NumberField path={path("checkpoint_gb_per_s_total")} />
        <NumberField path={path("restart_seconds")} />
        <NumberField path={path("checkpoints_kept")} />
        <NumberField path={path("spare_share")} scale="percent" wide />
      </div>
    </Group>
  );
};

/** Published rates of failures, with what each counts. */
const rates = (): Options =>
  Object.fromEntries((catalog.value?.reliability ?? []).map((rate) => [rate.name, worded(rate)]));

const worded = (rate: FailureRate): string =>
  fill(strings.rateOf, {
    system: rate.system,
    hours: show.count(rate.gpu_hours_per_event),
    counts: strings.failures[rate.counts],
  });

const PAUSES = "training.pauses";

export const Pauses = () => (
  <Group title={parts.pauses} paths={[PAUSES]}>
    <div class="fields">
      {["evaluation_seconds", "evaluation_every_steps", "data_wait_seconds_per_step", "startup_seconds"].map(
        (name) => (
          <NumberField key={name} path={`${PAUSES}.${name}`} />
        ),
      )}
    </div>
  </Group>
);
