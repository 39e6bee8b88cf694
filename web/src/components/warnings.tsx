// What the reader should know: warnings of one kind together, so that a long list stays readable.
import type { Warning } from "../../pkg/rackrate";
import { strings } from "../strings";

/** Kinds in the order that the words have, which is that of what they may change; unknown ones behind. */
const ORDER = Object.keys(strings.warnings.codes);
const titleOf = (code: string): string => {
  const known: Readonly<Record<string, string>> = strings.warnings.codes;
  const title = Object.hasOwn(known, code) ? known[code] : undefined;
  return title ?? code.replaceAll("_", " ");
};
const place = (code: string): number => {
  const at = ORDER.indexOf(code);
  return at < 0 ? ORDER.length : at;
};

/** More than so many of a kind fold. */
const FEW = 3;

export const Warnings = ({ of }: { of: readonly Warning[] }) => {
  if (of.length === 0) return null;
  const codes = [...new Set(of.map((warning) => warning.code))].sort((a, b) => place(a) - place(b));
  const groups = codes.map((code) => [code, of.filter((warning) => warning.code === code)] as const);
  return (
    <ul class="warned">
      {groups.map(([code, warnings]) => (
        <li key={code}>
          {warnings.length > FEW ? (
            <details>
              <summary>
                <strong>{titleOf(code)}</strong> <span class="count">{warnings.length}</span>
              </summary>
              <Each of={warnings} />
            </details>
          ) : (
            <>
              <strong>{titleOf(code)}</strong>
              <Each of={warnings} />
            </>
          )}
        </li>
      ))}
    </ul>
  );
};

const Each = ({ of }: { of: readonly Warning[] }) => (
  <ul>
    {of.map((warning) => (
      <li key={`${warning.about} ${warning.message}`}>
        {warning.about && `${strings.fields[warning.about]?.label ?? warning.about}: `}
        {warning.message}
      </li>
    ))}
  </ul>
);
