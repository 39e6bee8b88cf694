// What to serve: the job itself, then, folded, its hours, its fleet, how that is paid for, and what few need to say.
import { useSignal } from "@preact/signals";
import { type Change, type Data, same } from "../data";
import { example, get, original, plan, set } from "../state";
import { strings } from "../strings";
import { EngineFields } from "./engine-fields";
import {
  ChoiceField,
  Either,
  Group,
  ModelField,
  NamesField,
  NumberField,
  NumbersField,
  SwitchField,
  TextField,
  useHeld,
} from "./field";
import { gpus, models } from "./known";

const { choice, parts } = strings;

const traffic = (name: string) => `serving.traffic.${name}`;
const fleet = (name: string) => `serving.fleet.${name}`;
const none = (paths: readonly string[]): Change[] => paths.map((path) => [path, null]);

export const ServingQuestion = () => (
  <>
    <div class="fields">
      <ModelField path="serving.model" known={models()} wide />
      <Traffic />
      <NumberField path="serving.input_tokens" />
      <NumberField path="serving.output_tokens" />
      <NumberField path="serving.slo.ttft_p95_seconds" scale="ms" />
      <NumberField path="serving.slo.tpot_p95_seconds" scale="ms" />
      <ChoiceField path="serving.precision" options={strings.precisions} />
      <ChoiceField path="serving.cloud" options={strings.clouds} open={choice.cheapest} />
    </div>
    <div class="groups">
      <Hours />
      <Fleet />
      <Paying />
      <EngineFields root="serving" />
      <Group title={parts.more} paths={MORE.map((name) => `serving.${name}`)}>
        <div class="fields">
          <ChoiceField path="serving.mode" options={strings.servingModes} open={choice.bothModes} wide />
          <NumberField path="serving.max_replica_gpus" />
          <NumberField path="serving.input_spread" />
          <NumberField path="serving.output_spread" />
          <NamesField path="serving.shapes" wide />
          <TextField path="serving.gpu" known={gpus()} wide />
        </div>
      </Group>
    </div>
  </>
);

const MORE = ["mode", "max_replica_gpus", "input_spread", "output_spread", "shapes", "gpu"];

const RATE = traffic("requests_per_second");
const PEOPLE = ["monthly_active_users", "daily_active_share", "requests_per_active_user_day"].map(traffic);
const PEAK = traffic("peak_to_mean");

/** How much is asked: by requests or by users, and at the peak. */
const Traffic = () => {
  const answer = plan.value?.serving;
  const by = useHeld(get(RATE) === null ? "users" : "requests", [RATE, ...PEOPLE]);
  const toRate = () => set([RATE, answer?.mean_requests_per_second ?? example(RATE)], ...none(PEOPLE));
  const toUsers = () => set([RATE, null], ...PEOPLE.map((path): Change => [path, example(path)]));
  return (
    <>
      <Either
        label={choice.trafficBy}
        name="traffic-by"
        options={{ users: choice.users, requests: choice.requests }}
        value={by}
        choose={(to) => (to === "requests" ? toRate() : toUsers())}
      />
      {by === "requests" ? (
        <NumberField path={RATE} together={PEOPLE} />
      ) : (
        PEOPLE.map((path) => (
          <NumberField
            key={path}
            path={path}
            together={[RATE, ...PEOPLE]}
            {...(path.endsWith("share") ? { scale: "percent" as const } : {})}
          />
        ))
      )}
      <NumberField path={PEAK} />
    </>
  );
};

const WEEK = traffic("shape");
const DAY = traffic("hour_factors");
const WEEKDAYS = traffic("weekday_factors");
const HOURLY = [WEEK, DAY, WEEKDAYS];
/** What only traffic by the hour gives a meaning. */
const BY_THE_HOUR = ["purchase", "scale_up_minutes", "interruptible_peak"].map(fleet);

/** As the scenario had it where that knows no hours either; else left open. */
const withoutHours = (): Change[] => {
  const knew = HOURLY.some((path) => (original(path) ?? null) !== null);
  return BY_THE_HOUR.map((path) => [path, knew ? null : (original(path) ?? null)]);
};

type HoursBy = "even" | "week" | "own";
const hoursBy = (): HoursBy => {
  if (get(WEEK) !== null) return "week";
  return get(DAY) !== null || get(WEEKDAYS) !== null ? "own" : "even";
};

/** How the traffic moves by the hour. */
const Hours = () => {
  const by = useHeld(hoursBy(), HOURLY);
  const to: Record<HoursBy, () => Change[]> = {
    even: () => [...none(HOURLY), ...withoutHours(), [PEAK, get(PEAK) ?? example(PEAK)]],
    // The busiest hour says how high the peak is; a number given for it would have to agree.
    week: () => [...none(HOURLY), [WEEK, example(WEEK)], [PEAK, null]],
    own: () => [...none(HOURLY), [DAY, lastDay()], [PEAK, null]],
  };
  return (
    <Group title={parts.hours} paths={HOURLY}>
      <div class="fields">
        <Either
          label={choice.hoursBy}
          name="hours-by"
          options={{ even: choice.even, week: choice.week, own: choice.ownHours }}
          value={by}
          choose={(name) => set(...to[name]())}
          wide
        />
        {by === "week" && <ChoiceField path={WEEK} options={strings.trafficShapes} together={HOURLY} wide />}
        {by === "own" && (
          <>
            <NumbersField path={DAY} together={HOURLY} below={<Drawn of={get(DAY)} />} wide />
            <NumbersField path={WEEKDAYS} below={<Drawn of={get(WEEKDAYS)} />} wide />
          </>
        )}
      </div>
    </Group>
  );
};

/** To start from: the first day that the last plan knows, to three digits, for only its ratios count; else all alike. */
const lastDay = (): Data => {
  const known = plan.value?.serving?.hourly_requests_per_second.slice(0, 24) ?? [];
  return known.length === 24 ? known.map((rate) => Number(rate.toPrecision(3))) : Array<Data>(24).fill(1);
};

/** A list of weights as bars, to see what was typed. */
const Drawn = ({ of }: { of: Data }) => {
  const weights = Array.isArray(of) ? of.filter((one) => typeof one === "number" && one >= 0) : [];
  const most = Math.max(...(weights as number[]));
  if (weights.length === 0 || most <= 0) return null;
  return (
    <div class="drawn" aria-hidden="true">
      {(weights as number[]).map((weight, i) => (
        <span key={i} style={{ blockSize: `${(weight / most) * 100}%` }} />
      ))}
    </div>
  );
};

const SHARE = "serving.spare_share";
const SPARES = fleet("spare_replicas");

/** Regions, headroom and spares. */
const Fleet = () => {
  const asked = useSignal(false);
  const counted = Number(get(SPARES) ?? 0) > 0 || (asked.value && !get(SHARE));
  const by = useHeld(counted ? "count" : "share", [SHARE, SPARES]);
  const paths = ["regions", "survive_region_loss", "target_utilisation", "spare_replicas", "whole_racks"];
  return (
    <Group title={parts.fleet} paths={[SHARE, ...paths.map(fleet)]}>
      <div class="fields">
        <NumberField path={fleet("regions")} />
        <NumberField path={fleet("target_utilisation")} scale="percent" />
        <SwitchField path={fleet("survive_region_loss")} />
        <Either
          label={choice.sparesBy}
          name="spares-by"
          options={{ share: choice.spareShare, count: choice.spareCount }}
          value={by}
          choose={(to) => {
            asked.value = to === "count";
            set(
              [SHARE, to === "share" ? example(SHARE) : null],
              [SPARES, to === "count" ? example(SPARES) : null],
            );
          }}
        />
        {by === "count" ? (
          <NumberField path={SPARES} together={[SHARE]} />
        ) : (
          <NumberField path={SHARE} scale="percent" together={[SPARES]} />
        )}
        <SwitchField path={fleet("whole_racks")} />
      </div>
    </Group>
  );
};

/** Commitments and demand: by the hour, where the hours are known. */
const Paying = () => {
  const hourly = hoursBy() !== "even" || BY_THE_HOUR.some((path) => !same(get(path), original(path)));
  return (
    <Group title={parts.paying} paths={[...BY_THE_HOUR, "serving.usd_per_gpu_hour", "serving.months"]}>
      <div class="fields">
        {hourly ? (
          <>
            <ChoiceField path={fleet("purchase")} options={strings.purchases} wide />
            <NumberField path={fleet("scale_up_minutes")} wide />
            <SwitchField path={fleet("interruptible_peak")} />
          </>
        ) : (
          <p class="help note">{choice.noHours}</p>
        )}
        <NumberField path="serving.months" />
        <NumberField path="serving.usd_per_gpu_hour" />
      </div>
    </Group>
  );
};
