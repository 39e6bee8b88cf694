// One input: label, unit, help, a way back, and core's refusal where it belongs to this field.
import { signal, useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { type Data, same } from "../data";
import { parse, type Scale, show } from "../entry";
import type { Refusal } from "../protocol";
import { get, original, refusal, set } from "../state";
import { fill, strings } from "../strings";

/** Paths that have an input on the page now. */
const shown = signal<ReadonlySet<string>>(new Set());

/** The field that a refusal belongs to: the one named, or the nearest around it; none where no input is. */
export const faultyField = (): string | undefined => {
  const at = refusal.value?.field;
  if (!at) return undefined;
  const around = [...shown.value].filter(
    (path) => at === path || at.startsWith(`${path}.`) || at.startsWith(`${path}[`),
  );
  return around.sort((a, b) => b.length - a.length)[0];
};

/** Says that a refusal of what lies at `path` has a place on the page. */
const useShown = (path: string): void => {
  useLayoutEffect(() => {
    shown.value = new Set([...shown.value, path]);
    return () => {
      shown.value = new Set([...shown.value].filter((one) => one !== path));
    };
  }, [path]);
};

const idOf = (path: string) => `field-${path.replaceAll(/[.[\]]+/g, "-")}`;
const wordsOf = (path: string) => strings.fields[path.replaceAll(/\[\d+\]/g, "[]")] ?? { label: path };

/** What every field may be told besides its path. */
interface Common {
  path: string;
  wide?: boolean;
  /** Paths that mean something only together with this one: reset with it. */
  together?: readonly string[];
  /** What else changes when this one does. */
  also?: (value: Data) => [path: string, value: Data][];
}

interface FrameProps extends Common {
  children: (attributes: {
    id: string;
    "aria-describedby": string | undefined;
    "aria-invalid": boolean;
  }) => ComponentChildren;
}

const Frame = ({ path, wide, together = [], children }: FrameProps) => {
  useShown(path);
  const wrong = useComputed(() => (faultyField() === path ? refusal.value : undefined)).value;
  const words = wordsOf(path);
  const id = idOf(path);
  const described = [words.help && `${id}-help`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
  return (
    <div class={wide ? "field wide" : "field"}>
      <div class="head">
        <label for={id}>
          {words.label}
          {words.unit && <span class="unit"> {words.unit}</span>}
        </label>
        <Back paths={[path, ...together]} label={words.label} />
      </div>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": wrong !== undefined })}
      {words.help && (
        <p class="help" id={`${id}-help`}>
          {words.help}
        </p>
      )}
      {wrong && <Wrong path={path} id={`${id}-wrong`} refusal={wrong} />}
    </div>
  );
};

const Wrong = ({ path, id, refusal: wrong }: { path: string; id?: string; refusal: Refusal }) => (
  <p class="wrong" id={id}>
    {/* The label says which field; the message need not start with its path. */}
    <span>{wrong.message.replace(`${wrong.field}: `, "")}</span>
    {wrong.hint !== null && wrong.field === path && (
      <button type="button" class="link" onClick={() => set([path, parse(wrong.hint ?? "")])}>
        {fill(strings.didYouMean, { hint: wrong.hint })}
      </button>
    )}
  </p>
);

/** Core's refusal of a part that is no single input, where it stands; `lead` says where in the part, or that it is another's. */
export const Faulty = ({ path, lead }: { path: string; lead?: (field: string) => string | undefined }) => {
  useShown(path);
  const wrong = useComputed(() => (faultyField() === path ? refusal.value : undefined)).value;
  if (wrong === undefined) return null;
  const where = lead?.(wrong.field);
  if (lead && where === undefined) return null;
  return (
    <>
      {where && <p class="wrong where">{where}</p>}
      <Wrong path={path} refusal={wrong} />
    </>
  );
};

/** To what the built-in scenario says, where this one says something else. */
const Back = ({ paths, label }: { paths: readonly string[]; label: string }) => {
  const changes = paths.map((path): [string, Data | undefined] => [path, original(path)]);
  const differ = changes.some(([path, value]) => value !== undefined && !same(value, get(path)));
  if (!differ) return null;
  const words = fill(strings.resetField, { label });
  return (
    <button
      type="button"
      class="back"
      title={words}
      onClick={() => set(...changes.map(([path, value]): [string, Data] => [path, value ?? null]))}
    >
      <span aria-hidden="true">↺</span>
      <span class="sr-only">{words}</span>
    </button>
  );
};

/** What was typed stays as typed as long as it still says what the scenario holds. */
const useText = (
  { path, also = () => [] }: Common,
  read: (text: string) => Data,
  write: (data: Data) => string,
) => {
  const text = useSignal("");
  const held = get(path);
  if (!same(read(text.peek()), held)) text.value = write(held);
  return {
    value: text.value,
    onInput: (event: { currentTarget: HTMLInputElement }) => {
      text.value = event.currentTarget.value;
      const value = read(text.value);
      set([path, value], ...also(value));
    },
  };
};

export const NumberField = ({ scale, ...common }: Common & { scale?: Scale }) => {
  const bound = useText(
    common,
    (text) => parse(text, scale),
    (data) => show(data, scale),
  );
  return (
    <Frame {...common}>
      {(attributes) => (
        <input
          {...attributes}
          {...bound}
          type="text"
          inputMode="decimal"
          autocomplete="off"
          spellcheck={false}
        />
      )}
    </Frame>
  );
};

interface TextProps extends Common {
  /** Names that are offered, each with what it stands for if that is not plain. */
  known?: readonly (string | readonly [name: string, words: string])[];
  type?: "text" | "date";
}

export const TextField = ({ known, type = "text", ...common }: TextProps) => {
  const bound = useText(common, (text) => text.trim() || null, show);
  const list = `${idOf(common.path)}-known`;
  return (
    <Frame {...common}>
      {(attributes) => (
        <>
          <input
            {...attributes}
            {...bound}
            type={type}
            list={known ? list : undefined}
            autocomplete="off"
            spellcheck={false}
          />
          {known && (
            <datalist id={list}>
              {known.map((one) => {
                const [name, words] = typeof one === "string" ? [one, undefined] : one;
                return <option key={name} value={name} label={words} />;
              })}
            </datalist>
          )}
        </>
      )}
    </Frame>
  );
};

export type Options = Readonly<Record<string, string>>;

interface ChoiceProps extends Common {
  options: Options;
  /** More of them, under headings. */
  groups?: Readonly<Record<string, Options>>;
  /** Words for leaving it open. */
  open?: string;
}

export const ChoiceField = ({ options, groups = {}, open, also = () => [], ...common }: ChoiceProps) => {
  const held = get(common.path);
  const all = [options, ...Object.values(groups)];
  const known = held === null || (typeof held === "string" && all.some((some) => Object.hasOwn(some, held)));
  const choose = (given: string) => {
    const value = given || null;
    set([common.path, value], ...also(value));
  };
  return (
    <Frame {...common}>
      {(attributes) => (
        <select
          {...attributes}
          value={typeof held === "string" ? held : ""}
          onChange={(event) => choose(event.currentTarget.value)}
        >
          {open !== undefined && <option value="">{open}</option>}
          {listed(options)}
          {Object.entries(groups).map(([name, some]) => (
            <optgroup key={name} label={name}>
              {listed(some)}
            </optgroup>
          ))}
          {/* What a link brought stays visible, so that it can be put right. */}
          {!known && <option value={String(held)}>{String(held)}</option>}
        </select>
      )}
    </Frame>
  );
};

const listed = (options: Options) =>
  Object.entries(options).map(([value, words]) => (
    <option key={value} value={value}>
      {words}
    </option>
  ));

interface EitherProps<Name extends string> {
  label: string;
  name: string;
  options: Readonly<Record<Name, string>>;
  value: Name;
  choose: (value: Name) => void;
}

/** One of two or three, side by side. */
export const Either = <Name extends string>({ label, name, options, value, choose }: EitherProps<Name>) => (
  <div class="field either" role="radiogroup" aria-labelledby={`${name}-label`}>
    <span class="label" id={`${name}-label`}>
      {label}
    </span>
    <div class="options">
      {(Object.entries(options) as [Name, string][]).map(([option, words]) => (
        <label key={option}>
          <input
            type="radio"
            name={name}
            value={option}
            checked={option === value}
            onChange={() => choose(option)}
          />
          <span>{words}</span>
        </label>
      ))}
    </div>
  </div>
);
