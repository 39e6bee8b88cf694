// One input: label, unit, help, and core's refusal where it belongs to this field.
import { signal, useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { type Data, same } from "../data";
import { parse, type Scale, show } from "../entry";
import { get, refusal, set } from "../state";
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

const useShown = (path: string): void => {
  useLayoutEffect(() => {
    shown.value = new Set([...shown.value, path]);
    return () => {
      shown.value = new Set([...shown.value].filter((one) => one !== path));
    };
  }, [path]);
};

const idOf = (path: string) => `field-${path.replaceAll(".", "-")}`;

interface FrameProps {
  path: string;
  wide?: boolean;
  children: (attributes: {
    id: string;
    "aria-describedby": string | undefined;
    "aria-invalid": boolean;
  }) => ComponentChildren;
}

const Frame = ({ path, wide, children }: FrameProps) => {
  useShown(path);
  const wrong = useComputed(() => (faultyField() === path ? refusal.value : undefined)).value;
  const words = strings.fields[path] ?? { label: path };
  const id = idOf(path);
  const described = [words.help && `${id}-help`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
  return (
    <div class={wide ? "field wide" : "field"}>
      <label for={id}>
        {words.label}
        {words.unit && <span class="unit"> {words.unit}</span>}
      </label>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": wrong !== undefined })}
      {words.help && (
        <p class="help" id={`${id}-help`}>
          {words.help}
        </p>
      )}
      {wrong && (
        <p class="wrong" id={`${id}-wrong`}>
          {/* The label says which field; the message need not start with its path. */}
          <span>{wrong.message.replace(`${wrong.field}: `, "")}</span>
          {wrong.hint !== null && wrong.field === path && (
            <button type="button" class="link" onClick={() => set([path, parse(wrong.hint ?? "")])}>
              {fill(strings.didYouMean, { hint: wrong.hint })}
            </button>
          )}
        </p>
      )}
    </div>
  );
};

/** What was typed stays as typed as long as it still says what the scenario holds. */
const useText = (path: string, read: (text: string) => Data, write: (data: Data) => string) => {
  const text = useSignal("");
  const held = get(path);
  if (!same(read(text.peek()), held)) text.value = write(held);
  return {
    value: text.value,
    onInput: (event: { currentTarget: HTMLInputElement }) => {
      text.value = event.currentTarget.value;
      set([path, read(text.value)]);
    },
  };
};

export const NumberField = ({ path, scale, wide }: { path: string; scale?: Scale; wide?: boolean }) => {
  const bound = useText(
    path,
    (text) => parse(text, scale),
    (data) => show(data, scale),
  );
  return (
    <Frame path={path} wide={wide ?? false}>
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

interface TextProps {
  path: string;
  known?: readonly string[];
  wide?: boolean;
  type?: "text" | "date";
}

export const TextField = ({ path, known, wide, type = "text" }: TextProps) => {
  const bound = useText(path, (text) => text.trim() || null, show);
  const list = `${idOf(path)}-known`;
  return (
    <Frame path={path} wide={wide ?? false}>
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
              {known.map((name) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          )}
        </>
      )}
    </Frame>
  );
};

interface ChoiceProps {
  path: string;
  options: Readonly<Record<string, string>>;
  /** Words for leaving it open. */
  open?: string;
  wide?: boolean;
}

export const ChoiceField = ({ path, options, open, wide }: ChoiceProps) => {
  const held = get(path);
  const known = held === null || (typeof held === "string" && Object.hasOwn(options, held));
  return (
    <Frame path={path} wide={wide ?? false}>
      {(attributes) => (
        <select
          {...attributes}
          value={typeof held === "string" ? held : ""}
          onChange={(event) => set([path, event.currentTarget.value || null])}
        >
          {open !== undefined && <option value="">{open}</option>}
          {Object.entries(options).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
          {/* What a link brought stays visible, so that it can be put right. */}
          {!known && <option value={String(held)}>{String(held)}</option>}
        </select>
      )}
    </Frame>
  );
};

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
