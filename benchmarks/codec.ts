/**
 * Which codec? Encoding and decoding with the project's own pickler, with v8.serialize, and with msgpackr.
 *
 * The others do not know functions, classes and (v8) prototypes; what they need to be correct is a walk
 * over the object that replaces these by marked objects, before encoding, and one that puts them back,
 * after decoding ("+ walk"). msgpackr is measured if it can be found; MSGPACKR may give the URL of its
 * main file.
 *
 *     pnpm build && npx tsx benchmarks/codec.ts
 */
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import v8 from 'node:v8';
import { ForkingPickler } from '../packages/core/dist/pickle/reduction.js';

const core = new URL('../packages/core/dist/', import.meta.url).href;
const msgpackrModule: string = process.env.MSGPACKR ?? 'msgpackr';

interface Codec {
  readonly name: string;
  readonly load: string;
  readonly encode: (value: unknown) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => unknown;
  /** Functions are replaced by a walk, or the codec cannot send them at all. */
  readonly functions: boolean;
}

interface Msgpackr {
  Packr: new (
    options?: object,
  ) => { pack(value: unknown): Uint8Array; unpack(bytes: Uint8Array): unknown };
}

/** The least walk that finds functions and class instances and keeps cycles and shared references. */
function walk(value: unknown, seen: Map<object, unknown> = new Map()): unknown {
  if (typeof value === 'function') return { '\0name': ['file:///m.js', value.name] };
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  const proto: unknown = Object.getPrototypeOf(value);
  if (proto === Array.prototype) {
    let copy: unknown[] | undefined;
    const array = value as unknown[];
    seen.set(value, value);
    for (let i = 0; i < array.length; i++) {
      const item = walk(array[i], seen);
      if (item !== array[i]) {
        copy ??= array.slice();
        copy[i] = item;
      }
    }
    return copy ?? value;
  }
  if (proto !== Object.prototype)
    return { '\0class': (value as object).constructor.name, state: { ...value } };
  let copy: Record<string, unknown> | undefined;
  const object = value as Record<string, unknown>;
  seen.set(value, value);
  for (const key of Object.keys(object)) {
    const item = walk(object[key], seen);
    if (item !== object[key]) {
      copy ??= { ...object };
      copy[key] = item;
    }
  }
  return copy ?? value;
}

function unwalk(value: unknown, seen: Set<object> = new Set()): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || seen.has(value))
    return value;
  if ('\0name' in value) return Math.max;
  seen.add(value);
  const object = value as Record<string, unknown>;
  for (const key of Object.keys(object)) {
    const item = object[key];
    const back = unwalk(item, seen);
    if (back !== item) object[key] = back;
  }
  return value;
}

async function codecs(): Promise<Codec[]> {
  const all: Codec[] = [
    {
      name: 'own pickler',
      load: `${core}reduction.js`,
      encode: (value) => ForkingPickler.dumps(value),
      decode: (bytes) => ForkingPickler.loadsSync(bytes),
      functions: true,
    },
    {
      name: 'v8.serialize',
      load: 'node:v8',
      encode: v8.serialize,
      decode: (b) => v8.deserialize(b) as unknown,
      functions: false,
    },
    {
      name: 'v8.serialize + walk',
      load: 'node:v8',
      encode: (value) => v8.serialize(walk(value)),
      decode: (bytes) => unwalk(v8.deserialize(bytes)),
      functions: true,
    },
  ];
  const msgpackr = (await import(msgpackrModule).catch(() => undefined)) as Msgpackr | undefined;
  if (msgpackr !== undefined) {
    const plain = new msgpackr.Packr();
    const full = new msgpackr.Packr({ structuredClone: true, moreTypes: true });
    all.push(
      {
        name: 'msgpackr',
        load: msgpackrModule,
        encode: (v) => plain.pack(v),
        decode: (b) => plain.unpack(b),
        functions: false,
      },
      {
        name: 'msgpackr structuredClone',
        load: msgpackrModule,
        encode: (v) => full.pack(v),
        decode: (b) => full.unpack(b),
        functions: false,
      },
      {
        name: 'msgpackr sC + walk',
        load: msgpackrModule,
        encode: (v) => full.pack(walk(v)),
        decode: (b) => unwalk(full.unpack(b)),
        functions: true,
      },
    );
  }
  return all;
}

/** Fastest of some rounds, in microseconds a call. */
function time(call: () => unknown, calls: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 7; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < calls; i++) call();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 1000 / calls);
  }
  return best;
}

/** Milliseconds to import a codec in a fresh process, beside what the library loads anyway. */
function loadTime(specifier: string): number {
  const code = `await import(${JSON.stringify(`${core}errors.js`)}); const t = performance.now();
    await import(${JSON.stringify(specifier)}); process.stdout.write(String(performance.now() - t))`;
  const times = Array.from({ length: 5 }, () =>
    Number(
      execFileSync(process.execPath, ['--input-type=module', '-e', code], {
        encoding: 'utf8',
        cwd: import.meta.dirname,
      }),
    ),
  );
  return Math.min(...times);
}

const records = Array.from({ length: 10_000 }, (_, i) => ({
  id: i,
  name: `record ${i}`,
  score: i / 7,
  tags: ['a', 'b'],
  ok: i % 2 === 0,
}));
const cases: readonly (readonly [string, () => unknown, number])[] = [
  ['{i, s}', () => ({ i: 123_456, s: 'hello world' }), 100_000],
  ['[fn, args]', () => [Math.max, [1, 2, { key: 'value' }]], 50_000],
  ['10k records', () => records, 10],
  ['8 MB doubles', () => new Float64Array(1_000_000), 20],
];

console.log(
  `${cpus()[0]?.model}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`,
);
console.log('microseconds: encode + decode (bytes); load in ms, after the errors module');
const rows: Record<string, Record<string, string>> = {};
for (const codec of await codecs()) {
  const row: Record<string, string> = {};
  for (const [title, make, calls] of cases) {
    const value = make();
    if (!codec.functions && title.startsWith('[fn')) {
      row[title] = 'cannot';
      continue;
    }
    const bytes = codec.encode(value);
    const encode = time(() => codec.encode(value), calls);
    const decode = time(() => codec.decode(bytes), calls);
    const digits = encode > 100 ? 0 : 2;
    row[title] = `${encode.toFixed(digits)} + ${decode.toFixed(digits)} (${bytes.length})`;
  }
  try {
    row.load = loadTime(codec.load).toFixed(1);
  } catch {
    row.load = '?';
  }
  rows[codec.name] = row;
}
console.table(rows);
