// The page: the question beside its answer.
import { useSignal } from "@preact/signals";
import type { Plan } from "../../pkg/rackrate";
import { json, python, save } from "../export";
import { faultyField, scenarioForm } from "../form";
import * as show from "../format";
import { readJson, unreadObject } from "../json";
import type { Refusal } from "../protocol";
import * as state from "../state";
import { fill, strings } from "../strings";
import { THEMES, theme } from "../theme";
import { wordsOf } from "./field";
import { Headline } from "./headline";
import { Question } from "./question";
import { Serving } from "./serving";
import { Sources } from "./sources";
import { Splits } from "./splits";
import { Training } from "./training";

export const App = () => {
  const open = useSignal(false);
  return (
    <>
      <button type="button" class="skip" onClick={jump}>
        {strings.skip}
      </button>
      <Top />
      <div class="page">
        <aside class={open.value ? "ask open" : "ask"}>
          <button
            type="button"
            class="unfold"
            aria-expanded={open.value}
            aria-controls="question"
            onClick={() => {
              open.value = !open.value;
            }}
          >
            {open.value ? strings.hideQuestion : strings.changeQuestion}
          </button>
          <div id="question">{state.scenario.value !== null && <Question />}</div>
        </aside>
        <main id="answer" tabIndex={-1}>
          <Notices />
          {state.plan.value ? <Answer plan={state.plan.value} /> : <Waiting />}
        </main>
      </div>
      <footer>
        <p>{strings.footer}</p>
        {state.took.value > 0 && (
          <p class="help">{fill(strings.computed, { time: show.seconds(state.took.value / 1000) })}</p>
        )}
      </footer>
    </>
  );
};

/** The fragment belongs to the scenario, so the skip link moves the focus itself. */
const jump = () => {
  document.getElementById("answer")?.focus();
};

const Top = () => (
  <header>
    <h1>
      <img src="icon.svg" width="28" height="28" alt="" />
      {strings.title}
    </h1>
    <p class="tagline">{strings.tagline}</p>
    <div class="tools">
      <Scenarios />
      <Themes />
    </div>
    <Actions />
  </header>
);

const Scenarios = () => {
  const { base, changed, scenarios } = state;
  return (
    <div class="scenarios">
      <label for="scenario">{strings.scenario}</label>
      <select id="scenario" value={base.value} onChange={(event) => state.turnTo(event.currentTarget.value)}>
        {base.value === "" && <option value="">{strings.ownScenario}</option>}
        {scenarios.value.map(({ name }) => (
          <option key={name} value={name}>
            {name === base.value && changed.value ? fill(strings.changedScenario, { name }) : name}
          </option>
        ))}
      </select>
      {changed.value && base.value !== "" && (
        <button type="button" class="link" onClick={() => state.choose(base.value)}>
          {strings.reset}
        </button>
      )}
    </div>
  );
};

const Themes = () => (
  <div class="either themes" role="radiogroup" aria-label={strings.theme.label}>
    <div class="options">
      {THEMES.map((name) => (
        <label key={name}>
          <input
            type="radio"
            name="theme"
            checked={theme.value === name}
            onChange={() => {
              theme.value = name;
            }}
          />
          <span>{strings.theme[name]}</span>
        </label>
      ))}
    </div>
  </div>
);

const Actions = () => {
  const said = useSignal("");
  const copy = async (text: string, copied: string = strings.actions.copied) => {
    try {
      await navigator.clipboard.writeText(text);
      said.value = copied;
    } catch {
      said.value = strings.actions.notCopied;
    }
    setTimeout(() => {
      said.value = "";
    }, 2500);
  };
  const name = () => state.get("name") ?? "scenario";
  const read = async (input: HTMLInputElement) => {
    const [file] = input.files ?? [];
    input.value = "";
    if (file === undefined) return;
    const found = readJson(await file.text());
    if ("data" in found) state.open(found.data);
    else state.notice.value = fill(strings.fileProblem, { name: file.name, problem: found.problem });
  };
  return (
    <section class="actions" aria-label={strings.actions.label}>
      <button
        type="button"
        onClick={() =>
          copy(
            location.href.replace(/#.*$/, `#${state.link()}`),
            state.linkIsWhole.value ? strings.actions.copied : strings.actions.copiedPart,
          )
        }
      >
        {strings.actions.link}
      </button>
      <button type="button" onClick={() => copy(python("plan", state.scenario.value))}>
        {strings.actions.python}
      </button>
      <button
        type="button"
        onClick={() => save(`${name()}.json`, "application/json", json(state.scenario.value))}
      >
        {strings.actions.json}
      </button>
      <label class="button">
        {strings.actions.open}
        <input
          type="file"
          class="sr-only"
          accept=".json,application/json"
          onChange={(event) => read(event.currentTarget)}
        />
      </label>
      <button type="button" onClick={() => print()}>
        {strings.actions.print}
      </button>
      <output aria-live="polite">{said.value}</output>
    </section>
  );
};

/** What went wrong, where no field can say it. */
const Notices = () => {
  const failure = state.failure.value;
  const refusal = state.refusal.value;
  const message = refusal && messageOf(refusal);
  const unplaced = refusal !== undefined && faultyField(scenarioForm) === undefined;
  return (
    <>
      {failure !== undefined && (
        <div class="notice wrong" role="alert">
          <strong>{strings.failed}</strong>
          <p>{strings.failedHelp}</p>
          <p class="help">{failure}</p>
        </div>
      )}
      {state.notice.value && (
        <p class="notice" role="status">
          {state.notice.value}
        </p>
      )}
      {refusal !== undefined && (
        <div class="notice wrong" role="alert">
          <p>
            {unplaced ? (
              message
            ) : (
              <button type="button" class="link" onClick={toField}>
                {message}
              </button>
            )}
          </p>
          {state.plan.value ? <p class="help">{strings.outdated}</p> : <WayBack />}
        </div>
      )}
    </>
  );
};

/** Core's words; of a pasted description that is no JSON, which core can only take for a name, where it breaks. */
const messageOf = ({ field, message }: Refusal): string => {
  const problem = unreadObject(state.get(field));
  if (problem === undefined) return message;
  const told = fill(strings.configProblem, { problem });
  return fill(strings.refusedField, { label: wordsOf(field).label, problem: told });
};

/** From a question that nothing stands below: a link that was refused. */
const WayBack = () => {
  const name = state.origin.value;
  return (
    <p class="help">
      <button type="button" class="link" onClick={() => state.choose(name)}>
        {fill(strings.backTo, { name })}
      </button>
    </p>
  );
};

const toField = () => {
  document.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
};

const Answer = ({ plan }: { plan: Plan }) => (
  <div class={state.stale.value ? "answer stale" : "answer"} aria-busy={state.busy.value}>
    <Headline plan={plan} />
    <Splits plan={plan} />
    {plan.training && <Training plan={plan} training={plan.training} />}
    {plan.serving && <Serving plan={plan} serving={plan.serving} />}
    {plan.sources.length > 0 && <Sources of={plan.sources} />}
  </div>
);

/** The answer's outline, at its size, until it is there; where none will come, nothing. */
const Waiting = () =>
  state.failure.value !== undefined || state.refusal.value !== undefined ? null : (
    <div class="waiting" aria-busy="true">
      <p class="sr-only" role="status">
        {strings.loading}
      </p>
      <div class="bone tall" />
      <div class="bones">
        <div class="bone" />
        <div class="bone" />
        <div class="bone" />
        <div class="bone" />
      </div>
      <div class="bone wide" />
      <div class="bone wide" />
    </div>
  );
