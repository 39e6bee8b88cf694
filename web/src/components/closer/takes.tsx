// Taking a question beside the scenario's away, and back to what it began with.
import { useSignal } from "@preact/signals";
import { strings } from "../../strings";
import type { AskedForm } from "./asked-form";

interface TakesProps {
  form: AskedForm;
  /** What going back is called. */
  reset: string;
  /** The question as Python. */
  python: () => string;
}

/** How long is told that something was copied, ms. */
const TOLD = 2500;

export const Takes = ({ form, reset, python }: TakesProps) => {
  const said = useSignal("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(python());
      said.value = strings.actions.copied;
    } catch {
      said.value = strings.actions.notCopied;
    }
    setTimeout(() => {
      said.value = "";
    }, TOLD);
  };
  return (
    <div class="takes">
      {form.changed() && (
        <button type="button" class="link" onClick={form.reset}>
          {reset}
        </button>
      )}
      <button type="button" class="link" onClick={copy}>
        {strings.actions.python}
      </button>
      <output aria-live="polite">{said.value}</output>
    </div>
  );
};
