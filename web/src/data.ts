// Plain data and paths into it. A scenario is plain data until core has read it: core alone knows what is allowed.

export type Data = null | boolean | number | string | Data[] | { [key: string]: Data };
export type Fields = { [key: string]: Data };
/** What lies at a path from now on. */
export type Change = [path: string, value: Data];

export const isFields = (data: Data | undefined): data is Fields =>
  typeof data === "object" && data !== null && !Array.isArray(data);

/** A member that is the object's own; never one that every object inherits. */
export const member = (data: Data | undefined, key: string): Data | undefined =>
  isFields(data) && Object.hasOwn(data, key) ? data[key] : undefined;

/** A step into data: a member's name, or the place of a list's item. */
export type Step = string | number;

/** The steps of a path as core writes it: `pricing.own_rates[1].term`. */
export const steps = (path: string): Step[] =>
  path.split(".").flatMap((part): Step[] => {
    const [name = "", ...places] = part.split("[");
    return [name, ...places.map((place) => Number.parseInt(place, 10))];
  });

const item = (data: Data | undefined, place: number): Data | undefined =>
  Array.isArray(data) ? data[place] : undefined;

/** What lies at `path` (`training.tokens`, `pricing.own_rates[0].term`); null where nothing does. */
export const at = (data: Data, path: string): Data => {
  let here: Data | undefined = data;
  for (const key of steps(path)) here = typeof key === "number" ? item(here, key) : member(here, key);
  return here ?? null;
};

/** The same data with `value` at `path`; objects on the way are made where there are none, lists are not made longer. */
export const put = (data: Data, path: readonly Step[], value: Data): Data => {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (typeof key === "number") {
    return Array.isArray(data) ? data.map((old, i) => (i === key ? put(old, rest, value) : old)) : data;
  }
  const fields: Fields = {};
  if (isFields(data)) for (const [name, old] of Object.entries(data)) own(fields, name, old);
  own(fields, key, put(member(data, key) ?? null, rest, value));
  return fields;
};

/** Sets a member that is the object's own, whatever its name: `__proto__` in a link is a key like any other. */
export const own = (fields: Fields, key: string, value: Data): void => {
  Object.defineProperty(fields, key, { value, enumerable: true, configurable: true, writable: true });
};

/** The same data without members that are null: core reads both alike. */
export const withoutNulls = (data: Data): Data => {
  if (Array.isArray(data)) return data.map(withoutNulls);
  if (!isFields(data)) return data;
  const fields: Fields = {};
  for (const [key, value] of Object.entries(data)) if (value !== null) own(fields, key, withoutNulls(value));
  return fields;
};

/** How many members differ, those of members included; what stands on one side only counts as one. */
export const differing = (a: Data | undefined, b: Data | undefined): number => {
  if (same(a, b)) return 0;
  if (!isFields(a) || !isFields(b)) return 1;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].reduce((sum, name) => sum + differing(member(a, name), member(b, name)), 0);
};

/** Equal as core reads them: a null member is one that is not there. */
export const same = (a: Data | undefined, b: Data | undefined): boolean => {
  if (a === b || (a ?? null) === (b ?? null)) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => same(item, b[i]));
  }
  if (!isFields(a) || !isFields(b)) return false;
  return [...Object.keys(a), ...Object.keys(b)].every((key) => same(member(a, key), member(b, key)));
};
