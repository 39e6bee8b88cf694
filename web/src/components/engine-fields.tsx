// Engine, KV cache and drafted tokens of a service, or of a point that is tried.
import { Fragment } from "preact";
import { useForm, wholeOr } from "../form";
import { strings } from "../strings";
import { ChoiceField, Group, NumberField, TextField, YesNoField } from "./field";
import { models } from "./known";

const { choice, parts } = strings;

const CACHE = ["hit_rate", "shared_tokens"];
const SETTINGS = ["chunk_tokens", "max_sequences", "memory_share", "decode_graphs"];
const DRAFT = ["draft_tokens", "acceptance", "draft"];

/** `root` begins their paths. */
export const EngineFields = ({ root }: { root: "point" | "replay" | "serving" }) => {
  const form = useForm();
  const at = (name: string) => `${root}.${name}`;
  const engine = at("engine");
  const cache = wholeOr(form, at("prefix_cache"), CACHE);
  const draft = wholeOr(form, at("speculation"), DRAFT);
  const path = (name: string) => at(`speculation.${name}`);
  return (
    <Group title={parts.engine} paths={["engine", "kv_precision", "prefix_cache", "speculation"].map(at)}>
      <div class="fields">
        <ChoiceField
          path={`${engine}.family`}
          options={strings.engines}
          open={choice.anyEngine}
          also={(family) => (family === null ? [[engine, null]] : [])}
          wide
        />
        {form.get(engine) !== null && (
          <>
            <NumberField path={`${engine}.year`} wide />
            <Settings engine={engine} />
          </>
        )}
        <ChoiceField path={at("kv_precision")} options={strings.precisions} open={choice.likeMatmul} wide />
        <NumberField path={at("prefix_cache.hit_rate")} scale="percent" also={cache("hit_rate")} />
        <NumberField path={at("prefix_cache.shared_tokens")} also={cache("shared_tokens")} />
        <NumberField path={path("draft_tokens")} also={draft("draft_tokens")} />
        <NumberField path={path("acceptance")} scale="percent" also={draft("acceptance")} />
        <TextField path={path("draft")} also={draft("draft")} known={[strings.bench.mtp, ...models()]} wide />
      </div>
    </Group>
  );
};

/** What the engine's command line sets in place of its defaults: few need it, so it is opened by those who do. */
const Settings = ({ engine }: { engine: string }) => {
  const family = useForm().get(`${engine}.family`);
  const known: Readonly<Record<string, { flags: readonly string[]; count: string }>> = strings.engineFlags;
  const its = typeof family === "string" ? known[family] : undefined;
  const path = (name: string) => `${engine}.${name}`;
  return (
    <div class="field wide">
      <Group title={parts.settings} paths={SETTINGS.map(path)}>
        <div class="fields">
          <NumberField path={path("chunk_tokens")} open={choice.enginesOwn} />
          <NumberField path={path("max_sequences")} open={choice.enginesOwn} />
          <NumberField path={path("memory_share")} open={choice.enginesOwn} />
          <YesNoField path={path("decode_graphs")} open={choice.enginesOwn} />
        </div>
        {its && (
          <p class="help">
            {choice.asFlags}{" "}
            {its.flags.map((flag, i) => (
              <Fragment key={flag}>
                {i > 0 && ", "}
                <span class="flag">{flag}</span>
              </Fragment>
            ))}
            . {its.count}
          </p>
        )}
      </Group>
    </div>
  );
};
