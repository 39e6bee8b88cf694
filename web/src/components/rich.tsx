// Small pieces that many parts share.
import { type ComponentChildren, Fragment } from "preact";
import type { Provider } from "../../pkg/rackrate";
import { strings } from "../strings";

export const PROVIDERS = Object.keys(strings.clouds) as Provider[];

/** A cloud's name in its colour; the name alone says it too. */
export const Cloud = ({ of }: { of: Provider | null }) =>
  of === null ? (
    <span class="cloud none">{strings.noCloud}</span>
  ) : (
    <span class={`cloud ${of}`}>{strings.clouds[of]}</span>
  );

/** A shape's name, which may break where its parts do. */
export const Shape = ({ of }: { of: string | null }) => (
  <>
    {of?.split("_").map((part, i) => (
      <Fragment key={i}>
        {i > 0 && (
          <>
            _<wbr />
          </>
        )}
        {part}
      </Fragment>
    ))}
  </>
);

/** A mark in a column of few: seen as a dot, read as a word. */
export const Marked = ({ so }: { so: boolean }) =>
  so ? (
    <>
      <span aria-hidden="true">●</span>
      <span class="sr-only">{strings.choice.yes}</span>
    </>
  ) : null;

/** A sentence with its gaps filled by elements. */
export const Sentence = ({ words, gaps }: { words: string; gaps: Record<string, ComponentChildren> }) => (
  <>{words.split(/\{(\w+)\}/).map((part, i) => (i % 2 === 0 ? part : gaps[part]))}</>
);

/** Names and values, side by side. */
interface FactsProps {
  of: readonly (readonly [string, ComponentChildren])[];
  /** Side by side rather than one below the other. */
  across?: boolean;
}

export const Facts = ({ of, across }: FactsProps) => (
  <dl class={across ? "facts across" : "facts"}>
    {of.map(([name, value]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ))}
  </dl>
);
