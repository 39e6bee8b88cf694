// What the reader should know: warnings of one kind together, so that a long list stays readable.
import type { Warning } from "../../pkg/rackrate";
import { grouped } from "../format";
import { plainly } from "../plainly";
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

interface WarningsProps {
  of: readonly Warning[];
  /** Of a question beside the scenario's: where the words of its fields lie. */
  root?: string;
}

export const Warnings = ({ of, root }: WarningsProps) => {
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
              <Each of={warnings} root={root} />
            </details>
          ) : (
            <>
              <strong>{titleOf(code)}</strong>
              <Each of={warnings} root={root} />
            </>
          )}
        </li>
      ))}
    </ul>
  );
};

const Each = ({ of, root }: WarningsProps) => (
  <ul>
    {of.map((warning) => (
      <li key={`${warning.about} ${warning.message}`}>
        {warning.about && `${labelOf(warning.about, root)}: `}
        {told(warning.message, root)}
      </li>
    ))}
  </ul>
);

const ABOUT: Readonly<Record<string, string>> = strings.warnings.about;

/** What stands at a path: a field's label; none of what has no words, such as a shape's name. */
const known = (path: string, root: string | undefined): string | undefined => {
  const at = path.replaceAll(/\[\d+\]/g, "[]");
  const labels = (root === undefined ? [at] : [`${root}.${at}`, at]).map(
    (full) => strings.fields[full]?.label ?? ABOUT[full],
  );
  return labels.find((label) => label !== undefined);
};

/** What a warning is about: a field by its label, a shape or a GPU by its name. */
const labelOf = (about: string, root: string | undefined): string => known(about, root) ?? plainly(about);

/** Core's words, in which a field's path is its label. */
const told = (message: string, root: string | undefined): string =>
  grouped(plainly(message).replaceAll(/[a-z]+(?:[._][a-z]+)+/g, (path) => known(path, root) ?? path));
