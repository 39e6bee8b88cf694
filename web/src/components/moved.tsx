// The way of the weights from the cloud that trains to the one that serves: regions, links, time, cost.
import type { Split } from "../../pkg/rackrate";
import { amount, money } from "../currency";
import * as show from "../format";
import { byZone } from "../plainly";
import { fill, strings } from "../strings";
import { CostLines } from "./money";
import { Cloud } from "./rich";
import { Warnings } from "./warnings";

const words = strings.moved;

export const Moved = ({ split }: { split: Split }) => (
  <details open>
    <summary>
      {fill(words.title, {
        size: show.bytes(split.transfer_gb * 1e9),
        time: show.seconds(split.transfer_hours * 3600),
        cost: money(amount(split.transfer_usd, split.transfer_in_currency)),
      })}
    </summary>
    <Way split={split} />
    {split.transfer_unpriced.length > 0 && (
      <div class="unpriced">
        <strong>{words.unpriced}</strong>
        <ul>
          {split.transfer_unpriced.map((charge) => (
            <li key={charge}>{charge}</li>
          ))}
        </ul>
      </div>
    )}
    <Warnings of={split.transfer_warnings} />
    {split.transfer_lines.some((line) => byZone(line.what)) && <p class="help">{words.charged}</p>}
    {split.transfer_lines.length > 0 && (
      <CostLines
        name="transfer"
        caption={strings.splits.movedCaption}
        lines={split.transfer_lines}
        total={amount(split.transfer_usd, split.transfer_in_currency)}
      />
    )}
  </details>
);

/** From end to end, link by link; the slowest says that it is. */
const Way = ({ split }: { split: Split }) => (
  <ol class="way" aria-label={words.way}>
    <li class="end">
      <Cloud of={split.train_on} />
      <span>{split.transfer_from ?? words.anyRegion}</span>
    </li>
    {split.transfer_links.map((link) => {
      const slowest = link.name === split.transfer_slowest_link;
      return (
        <li key={link.name} class={slowest ? "slowest" : ""}>
          <span class="rate">{fill(words.rate, { rate: show.few(link.gbit_per_s) })}</span>
          <span>{link.name}</span>
          {slowest && <span class="tag">{words.slowest}</span>}
        </li>
      );
    })}
    <li class="end">
      <Cloud of={split.serve_on} />
      <span>{split.transfer_to ?? words.anyRegion}</span>
    </li>
  </ol>
);
