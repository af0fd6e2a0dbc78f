/**
 * Carries what V8 has counted in children over to the code that vitest counts by.
 *
 * A child runs a file as it is on disk, or what a loader makes of it; vitest reports by what vite makes of it. Both have a map to the
 * source, or are the source. So for each token of vite's code the count is that of V8 at the same place of the child's code; where
 * one has no map for a place, which is between two tokens that have one, it is the place before the next of them: behind
 * a name comes what opens a function or a block, not what ends one.
 */
import { readFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { fileURLToPath } from 'node:url';
import { decode } from '@multiprocessing/core/closures/source_maps';

interface SourceMap {
  readonly sources: readonly string[];
  readonly mappings: string;
}

/** What V8 has counted of a script of a child. @internal */
export interface ScriptOfChild extends Profiler.ScriptCoverage {
  /** Of what a loader has made of the file: Node has kept its map. */
  readonly map: { lineLengths: readonly number[]; data: SourceMap | null } | undefined;
}

/** What vite makes of a file. @internal */
export interface Transformed {
  readonly code: string;
  readonly map: SourceMap | null | { mappings: '' };
}

type ScriptCoverage = Profiler.ScriptCoverage & { startOffset: number };

/** A place in code, and that in the source; of what is in no source -1. */
type Pair = readonly [code: number, source: number];

/** How often it has run what stands at a place of the source. */
type CountAt = (source: number) => number;

/**
 * Gives what V8 would have counted in vitest's code.
 * @param scripts those of children
 * @param transform gives vitest's code for a path
 * @internal
 */
export async function carryOver(
  scripts: readonly ScriptOfChild[],
  transform: (path: string) => Promise<Transformed | null>,
): Promise<ScriptCoverage[]> {
  const urls = new Set(scripts.map(({ url }) => url));
  return Promise.all(
    [...urls].map(async (url) => {
      const path = fileURLToPath(url);
      const transformed = await transform(path).catch(() => null); // vitest then takes the file
      const code = transformed?.code ?? readFileSync(path, 'utf8');
      const sources = new Sources(url);
      const pairs = pairsOf(startsOf(code), transformed?.map, sources);
      const sums = new Float64Array(code.length);
      for (const script of scripts) {
        if (script.url === url) add(sums, pairs, countsOf(script, sources));
      }
      const functions = [{ functionName: '', isBlockCoverage: true, ranges: rangesOf(sums) }];
      return { scriptId: '0', url, functions, startOffset: 0 };
    }),
  );
}

/** Also one with parameters for types. */
const FUNCTION = /(?:async|function)\b|[(<]|[\w$]+\s*=>/y;

/** The sources of a file's maps, one behind the other. The first is the file itself. */
class Sources {
  readonly #url: string;
  readonly #starts = new Map<string, readonly number[]>();
  #text = '';

  constructor(url: string) {
    this.#url = url;
    this.#startsOf(url);
  }

  /** The place of a line and column, counted from 0, of a source as a map has it. */
  placeOf(source: string, line: number, column: number): number {
    const start = this.#startsOf(new URL(source, this.#url).href)[line];
    return start === undefined ? -1 : start + column;
  }

  /** Whether a function expression stands there. */
  opensFunction(place: number): boolean {
    FUNCTION.lastIndex = place;
    return FUNCTION.test(this.#text);
  }

  #startsOf(url: string): readonly number[] {
    let starts = this.#starts.get(url);
    if (starts === undefined) {
      const text = textOf(url);
      starts = startsOf(text).map((start) => start + this.#text.length);
      this.#starts.set(url, starts);
      this.#text += `${text}\n`;
    }
    return starts;
  }
}

function textOf(url: string): string {
  try {
    return readFileSync(fileURLToPath(url), 'utf8');
  } catch {
    return ''; // the source of a package that came without it
  }
}

/** Where the lines of a text begin. */
function startsOf(text: string): number[] {
  return [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
}

/**
 * What a map says, in the order of the code.
 * @param starts where the lines of the code begin
 * @returns undefined without a map: the code is the source
 */
function pairsOf(
  starts: readonly number[],
  map: Transformed['map'] | undefined,
  sources: Sources,
): Pair[] | undefined {
  if (!map || !('sources' in map)) return undefined;
  const { lines } = decode({ ...map, names: [] });
  return lines.flatMap((segments, n) =>
    segments.map(([column = 0, source, line = 0, at = 0]): Pair => {
      const name = map.sources[source ?? -1];
      const place = name === undefined ? -1 : sources.placeOf(name, line, at);
      return [(starts[n] ?? 0) + column, place];
    }),
  );
}

/** What a script of a child has counted. */
function countsOf({ functions, map }: ScriptOfChild, sources: Sources): CountAt {
  const painted = paint(functions);
  const inCode = (place: number) => painted[place] ?? 0;
  let start = 0;
  const starts = map?.lineLengths.map((length) => {
    const own = start;
    start += length + 1;
    return own;
  });
  const pairs = pairsOf(starts ?? [], map?.data, sources);
  if (pairs === undefined) return inCode;
  const first = bySource(pairs, functions, sources);
  return (place) => {
    const i = lastAtOrBefore(first, place);
    const [code, source] = first[i] ?? [-1, -1];
    if (source === place) return inCode(code);
    const [next = -1] = first[i + 1] ?? [];
    return inCode(next > code ? next - 1 : code);
  };
}

/**
 * The pairs in the order of the source, one for each place. Where a loader wraps a function (esbuild, to keep its name), what it puts
 * before and behind has the function's place, too: V8 knows where the function itself begins.
 */
function bySource(
  pairs: readonly Pair[],
  functions: ScriptOfChild['functions'],
  sources: Sources,
): Pair[] {
  const starts = functions.map(({ ranges }) => ranges[0]?.startOffset ?? 0).sort((a, b) => a - b);
  let next = 0;
  const found = new Map<number, Pair>();
  const opened = new Set<number>();
  for (const [i, [code, source]] of pairs.entries()) {
    if (source < 0) continue;
    while ((starts[next] ?? Infinity) < code) next++;
    const own = starts[next] ?? Infinity;
    const isWithin = own <= (pairs[i + 1]?.[0] ?? own);
    if (opened.has(source)) continue;
    if (isWithin && sources.opensFunction(source)) {
      found.set(source, [own, source]);
      opened.add(source);
    } else if (!found.has(source)) {
      found.set(source, [code, source]);
    }
  }
  return [...found.values()].sort(([, a], [, b]) => a - b);
}

/** How often each character has run. V8 names what is inside of something else after it. */
function paint(functions: ScriptOfChild['functions']): Uint32Array {
  const ranges = functions.flatMap((each) => each.ranges);
  const painted = new Uint32Array(Math.max(0, ...ranges.map(({ endOffset }) => endOffset)));
  for (const { startOffset, endOffset, count } of ranges)
    painted.fill(count, startOffset, endOffset);
  return painted;
}

function lastAtOrBefore(pairs: readonly Pair[], place: number): number {
  let low = 0;
  let high = pairs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pairs[middle] as Pair)[1] <= place) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Adds what a child has counted to the characters of vitest's code. */
function add(sums: Float64Array, pairs: readonly Pair[] | undefined, countAt: CountAt): void {
  if (pairs === undefined) {
    for (const place of sums.keys()) sums[place] = (sums[place] as number) + countAt(place);
    return;
  }
  for (const [i, [code, source]] of pairs.entries()) {
    if (source < 0) continue;
    const [end, next] = pairs[i + 1] ?? [sums.length, -1];
    const own = countAt(source);
    const behind = next > source ? countAt(next - 1) : own;
    for (let place = code; place < end; place++) {
      sums[place] = (sums[place] as number) + (place === code ? own : behind);
    }
  }
}

/** Ranges as V8 has them: the whole, and in it what has run. */
function rangesOf(sums: Float64Array): Profiler.CoverageRange[] {
  const ranges = [{ startOffset: 0, endOffset: sums.length, count: 0 }];
  let startOffset = 0;
  for (let i = 1; i <= sums.length; i++) {
    if (sums[i] === sums[startOffset]) continue;
    const count = sums[startOffset] as number;
    if (count > 0) ranges.push({ startOffset, endOffset: i, count });
    startOffset = i;
  }
  return ranges;
}
