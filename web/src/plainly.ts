// What core calls a tariff, in words for those who pay it. Exports keep core's own names.
import { fill, strings } from "./strings";

/** `egress to the internet: zone-1 (eastus2)`: a tariff's zone, and the region that the data leaves. */
const EGRESS = /egress to the internet(?:: (\w+(?:-\w+)*))?(?: \(([^()]+)\))?/g;

const words = strings.egress;
const ZONES: Readonly<Record<string, string>> = words.zones;

/** The same text, in which what leaves a cloud is told as a bill would. */
export const plainly = (text: string): string =>
  text.replaceAll(EGRESS, (_, zone?: string, region?: string) => {
    const left = region === undefined ? words.out : fill(words.outOf, { region });
    return zone === undefined ? left : fill(words.priced, { left, zone: zoned(zone) });
  });

/** Whether what core names has the price of a zone. */
export const byZone = (what: string): boolean => what.startsWith("egress to the internet: ");

const zoned = (zone: string): string => {
  const named = Object.hasOwn(ZONES, zone) ? ZONES[zone] : undefined;
  return named ?? fill(words.zone, { zone: zone.replace(/^zone-/, "") });
};
