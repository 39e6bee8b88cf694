// One input: label, unit, help, a way back, and core's refusal where it belongs to this field.
import { useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { type Data, differing, type Fields, isFields, same } from "../data";
import { parse, type Scale, show } from "../entry";
import { faultyField, scenarioForm, useForm } from "../form";
import { readJson, unreadObject } from "../json";
import type { Refusal } from "../protocol";
import { fill, strings } from "../strings";

/** Says that a refusal of what lies at `path` has a place on the page. */
const useShown = (path: string): void => {
  const { shown } = useForm();
  useLayoutEffect(() => {
    shown.value = new Set([...shown.value, path]);
    return () => {
      shown.value = new Set([...shown.value].filter((one) => one !== path));
    };
  }, [path, shown]);
};

const idOf = (path: string) => `field-${path.replaceAll(/[.[\]]+/g, "-")}`;

/** Whether somebody is emptying the field of one of these paths, to type something else: the form stays as it is. */
export const emptied = (paths: readonly string[]): boolean =>
  paths.some((path) => document.activeElement?.id === idOf(path) && scenarioForm.get(path) === null);

/** What the field at `path` is called, with its unit and help. */
export const wordsOf = (path: string) => strings.fields[path.replaceAll(/\[\d+\]/g, "[]")] ?? { label: path };

/** What the scenario's fields say; while one of them is being emptied, what they said before. */
export const useHeld = <Name,>(now: Name, paths: readonly string[]): Name => {
  const kept = useRef(now);
  if (!emptied(paths)) kept.current = now;
  return kept.current;
};

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
  /** Why what was typed cannot be read as what it begins to be. */
  unread?: string | undefined;
  children: (attributes: ReturnType<typeof useFrame>["attributes"]) => ComponentChildren;
}

const Frame = ({ path, wide, together = [], unread, children }: FrameProps) => {
  const { words, id, wrong, attributes } = useFrame(path, unread);
  return (
    <div class={wide ? "field wide" : "field"}>
      <div class="head">
        <label for={id}>
          {words.label}
          {words.unit && <span class="unit"> {words.unit}</span>}
        </label>
        <Back paths={[path, ...together]} label={words.label} />
      </div>
      {children(attributes)}
      {(words.help || wrong) && (
        <div class="below">
          {words.help && (
            <p class="help" id={`${id}-help`}>
              {words.help}
            </p>
          )}
          {wrong && <Wrong path={path} id={`${id}-wrong`} refusal={wrong} />}
        </div>
      )}
    </div>
  );
};

/** What an input at `path` is called, and what is wrong with it: what the page itself cannot read comes first. */
const useFrame = (path: string, unread?: string) => {
  const refused = useWrong(path);
  const wrong: Refusal | undefined =
    unread === undefined ? refused : { code: "unread", field: path, message: unread, hint: null };
  const words = wordsOf(path);
  const id = idOf(path);
  const described = [words.help && `${id}-help`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
  const attributes = {
    id,
    "aria-describedby": described || undefined,
    "aria-invalid": wrong !== undefined,
  };
  return { words, id, wrong, attributes };
};

/** What is wrong with what lies at `path`, where nothing on the page is nearer to it. */
const useWrong = (path: string): Refusal | undefined => {
  const form = useForm();
  useShown(path);
  return useComputed(() => (faultyField(form) === path ? form.refusal.value : undefined)).value;
};

const Wrong = ({ path, id, refusal: wrong }: { path: string; id?: string; refusal: Refusal }) => {
  const { set } = useForm();
  return (
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
};

/** Core's refusal of a part that is no single input, where it stands; `lead` says where in the part, or that it is another's. */
export const Faulty = ({ path, lead }: { path: string; lead?: (field: string) => string | undefined }) => {
  const wrong = useWrong(path);
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
  const { get, original, set } = useForm();
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
  const { get, set } = useForm();
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

/** `open`: words for what is taken where core does not tell it. */
export const NumberField = ({ scale, open, ...common }: Common & { scale?: Scale; open?: string }) => {
  const { get, filled } = useForm();
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
          placeholder={get(common.path) === null ? show(filled(common.path), scale) || open : undefined}
          autocomplete="off"
          spellcheck={false}
        />
      )}
    </Frame>
  );
};

/** Numbers apart by commas or blanks, as a list: what a spreadsheet pastes. */
export const NumbersField = ({ below, ...common }: Common & { below?: ComponentChildren }) => {
  const bound = useText(
    common,
    (text) => {
      const numbers = text.split(/[\s,;]+/).flatMap((one) => (one === "" ? [] : [parse(one)]));
      return numbers.length === 0 ? null : numbers;
    },
    (data) => (Array.isArray(data) ? data.map((one) => show(one)).join(" ") : show(data)),
  );
  return (
    <Frame {...common}>
      {(attributes) => (
        <div class="numbers">
          <input {...attributes} {...bound} type="text" autocomplete="off" spellcheck={false} />
          {below}
        </div>
      )}
    </Frame>
  );
};

/** Names apart by commas, as a list. */
export const NamesField = (common: Common) => {
  const bound = useText(
    common,
    (text) => text.split(",").flatMap((name) => name.trim() || []),
    (data) => (Array.isArray(data) ? data.join(", ") : show(data)),
  );
  return (
    <Frame {...common}>
      {(attributes) => <input {...attributes} {...bound} type="text" autocomplete="off" spellcheck={false} />}
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
  return <Named {...common} {...(known ? { known } : {})} bound={{ ...bound, type }} />;
};

/** A model by its name, or by a pasted description such as a Hugging Face config, of which then the name is shown. */
export const ModelField = ({ known, ...common }: Pick<TextProps, "known"> & Common) => {
  const { get, set } = useForm();
  const held = get(common.path);
  const bound = useText(common, described, show);
  const value = isFields(held) ? nameOf(held) : bound.value;
  const problem = unreadObject(held);
  const unread = problem === undefined ? undefined : fill(strings.configProblem, { problem });
  // An input of one line would drop the line breaks, and with them the place where a description breaks.
  const onPaste = (event: ClipboardEvent) => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (!text.trim().startsWith("{")) return;
    event.preventDefault();
    set([common.path, described(text)]);
  };
  return (
    <Named
      {...common}
      {...(known ? { known } : {})}
      unread={unread}
      bound={{ ...bound, value, type: "text", onPaste }}
    />
  );
};

/** The name typed, or the object that a pasted text describes; the text itself where that cannot be read. */
const described = (given: string): Data => {
  const text = given.trim();
  const found = text.startsWith("{") ? readJson(text) : undefined;
  return found && "data" in found ? found.data : text || null;
};

/** What to call a model that is described: by the class that a Hugging Face config names, else as it names itself. */
const nameOf = (model: Fields): string => {
  const { architectures, model_type, name } = model;
  const [first = model_type] = Array.isArray(architectures) ? architectures : [];
  if (typeof first === "string") return fill(strings.fromConfig, { name: first });
  return fill(strings.asDescribed, { name: typeof name === "string" ? name : strings.ownModel });
};

interface NamedProps extends Omit<FrameProps, "children"> {
  known?: TextProps["known"];
  bound: ReturnType<typeof useText> & { type: "text" | "date"; onPaste?: (event: ClipboardEvent) => void };
}

/** An input for a name, with those that are offered. */
const Named = ({ known, bound, ...frame }: NamedProps) => {
  const list = `${idOf(frame.path)}-known`;
  return (
    <Frame {...frame}>
      {(attributes) => (
        <>
          <input
            {...attributes}
            {...bound}
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
  /** Words for leaving it open. Without them what core took is shown. */
  open?: string;
}

export const ChoiceField = ({ options, groups = {}, open, also = () => [], ...common }: ChoiceProps) => {
  const { get, set, filled } = useForm();
  const given = get(common.path);
  const held = given === null && open === undefined ? filled(common.path) : given;
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
  options: Readonly<Partial<Record<Name, string>>>;
  value: Name;
  choose: (value: Name) => void;
  wide?: boolean;
}

/** One of two to four, side by side. */
export const Either = <Name extends string>(props: EitherProps<Name>) => {
  const { label, name, options, value, choose, wide } = props;
  return (
    <div
      class={wide ? "field either wide" : "field either"}
      role="radiogroup"
      aria-labelledby={`${name}-label`}
    >
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
};

/** Yes or no; where the scenario leaves it open, as core took it. */
export const SwitchField = ({ path }: { path: string }) => {
  const { get, set, filled } = useForm();
  const { words, wrong, attributes } = useFrame(path);
  return (
    <div class="field check wide">
      <div class="head">
        <label>
          <input
            {...attributes}
            type="checkbox"
            checked={(get(path) ?? filled(path)) === true}
            onChange={(event) => set([path, event.currentTarget.checked])}
          />
          {words.label}
        </label>
        <Back paths={[path]} label={words.label} />
      </div>
      {wrong && <Wrong path={path} id={`${attributes.id}-wrong`} refusal={wrong} />}
    </div>
  );
};

/** Yes, no, or open, where open is a third thing. */
export const YesNoField = ({ open, ...common }: Common & { open: string }) => {
  const { get, set } = useForm();
  const held = get(common.path);
  const known = held === null || typeof held === "boolean";
  return (
    <Frame {...common}>
      {(attributes) => (
        <select
          {...attributes}
          value={held === null ? "" : String(held)}
          onChange={({ currentTarget: { value } }) =>
            set([common.path, value === "" ? null : value === "true"])
          }
        >
          <option value="">{open}</option>
          <option value="true">{strings.choice.yes}</option>
          <option value="false">{strings.choice.no}</option>
          {!known && <option value={String(held)}>{String(held)}</option>}
        </select>
      )}
    </Frame>
  );
};

interface GroupProps {
  title: string;
  /** Paths that it holds: how many values were changed is told, and a refusal of one opens it. */
  paths: readonly string[];
  children: ComponentChildren;
}

/** Fields that few need, folded. */
export const Group = ({ title, paths, children }: GroupProps) => {
  const { get, original, refusal } = useForm();
  const ref = useRef<HTMLDetailsElement>(null);
  const at = refusal.value?.field ?? "";
  const faulty = paths.some((path) => at === path || at.startsWith(`${path}.`));
  useEffect(() => {
    // Opened only: what the reader opened stays open.
    if (faulty && ref.current !== null) ref.current.open = true;
  }, [faulty]);
  // A built-in scenario says everything; what it does not say was set here.
  const count = paths.reduce((sum, path) => sum + differing(get(path), original(path) ?? null), 0);
  return (
    <details ref={ref}>
      <summary>
        {title} {count > 0 && <span class="count">{count}</span>}
      </summary>
      {children}
    </details>
  );
};
