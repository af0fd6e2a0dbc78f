/**
 * Where a function by value stands in the file that people have written, if its script was made of one by a tool and Node
 * shows it by a source map: the part of the map that is about the function goes with it. A source map's `mappings` are
 * numbers in base 64: docs of it at tc39.es/ecma426.
 */

/** A source map with nothing but mappings. @internal */
export interface SourceMapPart {
  readonly version: 3;
  readonly sources: readonly string[];
  readonly names: readonly string[];
  readonly mappings: string;
}

/** A function in a script, and what has become of its text. @internal */
export interface Placed {
  /** Whose map shows where it stands. */
  readonly url: string;
  /** The URL under which the receiver has its part of the map. */
  readonly shown: string;
  /** Of its first character, counted from 0. */
  readonly line: number;
  readonly column: number;
  readonly text: string;
  /** By how much what stands behind a place in `text` has moved to the right, in their order. */
  readonly moves: readonly (readonly [offset: number, by: number])[];
}

/** Column, source, line and column there, name; of what has no source only the column. @internal */
export type Segment = readonly number[];

/** A source map with numbers. @internal */
export interface Decoded {
  readonly sources: readonly string[];
  readonly names: readonly string[];
  readonly lines: readonly (readonly Segment[])[];
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const decoded = new WeakMap<object, Decoded>();
const nodeModule = () => process.getBuiltinModule('node:module');

function isEnabled(): boolean {
  return (process as { sourceMapsEnabled?: boolean }).sourceMapsEnabled === true;
}

/** Whether Node shows errors of a script by a source map. @internal */
export function hasMap(url: string): boolean {
  return isEnabled() && url !== '' && nodeModule().findSourceMap(url) !== undefined;
}

/** The parts of source maps that are about functions, by the URLs of their scripts; undefined if there are none. @internal */
export function mapsOf(functions: readonly Placed[]): Record<string, SourceMapPart> | undefined {
  if (!isEnabled()) return undefined;
  const maps: Record<string, SourceMapPart> = {};
  for (const shown of new Set(functions.map((each) => each.shown))) {
    const all = functions.filter((each) => each.shown === shown);
    const { url } = all[0] as Placed;
    const map = hasMap(url) ? nodeModule().findSourceMap(url) : undefined;
    if (map === undefined) continue;
    let whole = decoded.get(map);
    if (whole === undefined) {
      whole = decode(map.payload);
      decoded.set(map, whole);
    }
    maps[shown] = part(whole, all);
  }
  return Object.keys(maps).length === 0 ? undefined : maps;
}

/** Not in one piece: who looks for the map of this very file, as vitest does for each error, would take it for that. */
const MAPPING = ['source', 'MappingURL'].join('');

/** Has Node know maps that came with functions, for scripts for which it has none. @internal */
export function registerMaps(maps: Readonly<Record<string, SourceMapPart>>): void {
  if (!isEnabled()) process.setSourceMapsEnabled(true);
  for (const [url, map] of Object.entries(maps)) {
    if (nodeModule().findSourceMap(url) !== undefined) continue;
    const data = Buffer.from(JSON.stringify(map)).toString('base64');
    // Node looks for these comments in what is evaluated, and nowhere else where it does not load the file.
    const comment = `//# sourceURL=${url}\n//# ${MAPPING}=data:application/json;base64,${data}`;
    try {
      // biome-ignore lint/security/noGlobalEval: it evaluates comments
      // biome-ignore lint/complexity/noCommaOperator: not in this scope
      (0, eval)(comment);
    } catch {
      return; // a process that evaluates nothing shows the places in the script
    }
  }
}

function part({ sources, names, lines }: Decoded, functions: readonly Placed[]): SourceMapPart {
  const kept: Segment[][] = [];
  for (const { line, column, text, moves } of functions) {
    let offset = 0;
    for (const [i, content] of text.split('\n').entries()) {
      const start = i === 0 ? column : 0;
      const of = lines[line + i] ?? [];
      // The one before it says where it begins.
      const first = of.findLastIndex(([at = 0]) => at <= start);
      const inside = of.filter(([at = 0], n) => n >= first && at <= start + content.length);
      const segments = inside.map(([at = 0, ...rest]) => {
        const place = offset + Math.max(at - start, 0);
        return [Math.max(at, start) + movedTo(place, offset, moves), ...rest];
      });
      kept[line + i] = [...(kept[line + i] ?? []), ...segments].sort(byColumn);
      offset += content.length + 1;
    }
  }
  return { version: 3, sources, names, mappings: encode(Array.from(kept, (line) => line ?? [])) };
}

const byColumn = ([a = 0]: Segment, [b = 0]: Segment) => a - b;

/** By how much a place has moved on its line, which begins at an offset. */
function movedTo(place: number, line: number, moves: Placed['moves']): number {
  let sum = 0;
  for (const [offset, by] of moves) if (offset >= line && offset <= place) sum += by;
  return sum;
}

/** The segments of a map's lines, by their columns. @internal */
export function decode({ sources, names, mappings }: Omit<SourceMapPart, 'version'>): Decoded {
  const state = [0, 0, 0, 0, 0];
  const lines = mappings.split(';').map((line) => {
    state[0] = 0;
    return line === ''
      ? []
      : line.split(',').map((segment) =>
          numbers(segment).map((n, i) => {
            state[i] = (state[i] as number) + n;
            return state[i] as number;
          }),
        );
  });
  return { sources, names, lines };
}

function numbers(segment: string): number[] {
  const found: number[] = [];
  let value = 0;
  let shift = 0;
  for (const char of segment) {
    const digit = DIGITS.indexOf(char);
    value += (digit & 31) * 2 ** shift;
    shift += 5;
    if (digit & 32) continue;
    found.push(value % 2 === 1 ? -(value - 1) / 2 : value / 2);
    value = shift = 0;
  }
  return found;
}

function encode(lines: readonly (readonly Segment[])[]): string {
  const before = [0, 0, 0, 0, 0];
  return lines
    .map((line) => {
      before[0] = 0;
      return line
        .map((segment) =>
          segment
            .map((n, i) => {
              const difference = n - (before[i] as number);
              before[i] = n;
              return digits(difference);
            })
            .join(''),
        )
        .join(',');
    })
    .join(';');
}

function digits(n: number): string {
  let rest = n < 0 ? -n * 2 + 1 : n * 2;
  let text = '';
  do {
    const digit = rest % 32;
    rest = Math.floor(rest / 32);
    text += DIGITS[rest > 0 ? digit + 32 : digit];
  } while (rest > 0);
  return text;
}
