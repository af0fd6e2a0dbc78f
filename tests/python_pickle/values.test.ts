/**
 * What Python programs send besides plain data: the classes of its standard library, both ways, in all protocols. The table of
 * docs/cpython-interop.md is made here: `MULTIPROCESSING_UPDATE=1 npx vitest run tests/python_pickle/values.test.ts`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { createContext, runInContext } from 'node:vm';
import {
  Complex,
  Counter,
  DateOnly,
  DateTime,
  Decimal,
  DefaultDict,
  Deque,
  dumps,
  Fraction,
  loads,
  OrderedDict,
  Path,
  PythonArray,
  Range,
  Slice,
  TimeDelta,
  TimeOnly,
  TimeZone,
  Tuple,
  UUID,
  ZoneInfo,
} from 'multiprocessing/pickle';
import { describe, expect, test } from 'vitest';
import { findPythons } from '../support/python.ts';

interface Case {
  readonly python: string;
  readonly value: object;
  /** What it is in a pickle of protocol 0 to 3, if that is something else. */
  readonly early?: object;
  /** The first Python that has it. */
  readonly since?: number;
  /** Whether it is a row of the page. */
  readonly row?: boolean;
}

const hour = new TimeDelta(0, 3600);
const deque = <T>(items: T[], maxlen: number | null = null) => {
  const made = Deque.from(items) as Deque<T>;
  if (maxlen !== null) made.maxlen = maxlen;
  return made;
};
const defaultdict = (factory: string | null, entries: [unknown, unknown][]) => {
  return Object.assign(new DefaultDict(entries), { defaultFactory: factory });
};
const paris = new ZoneInfo('Europe/Paris');

const cases: readonly Case[] = [
  {
    python: 'datetime.datetime(2024, 2, 29, 12, 30, 0, 1)',
    value: new DateTime(2024, 2, 29, 12, 30, 0, 1),
    row: true,
  },
  { python: 'datetime.datetime(1, 1, 1)', value: new DateTime(1, 1, 1) },
  {
    python: 'datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)',
    value: new DateTime(9999, 12, 31, 23, 59, 59, 999_999),
  },
  {
    python: 'datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc)',
    value: new DateTime(2024, 2, 29, 0, 0, 0, 0, { tzinfo: TimeZone.utc }),
    row: true,
  },
  {
    python:
      'datetime.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))',
    value: new DateTime(2024, 10, 27, 2, 30, 0, 0, { tzinfo: paris, fold: 1 }),
    early: new DateTime(2024, 10, 27, 2, 30, 0, 0, { tzinfo: paris }),
    since: 9,
  },
  { python: 'datetime.date(2000, 2, 29)', value: new DateOnly(2000, 2, 29) },
  { python: 'datetime.date(2023, 12, 31)', value: new DateOnly(2023, 12, 31) },
  { python: 'datetime.date(2024, 2, 29)', value: new DateOnly(2024, 2, 29), row: true },
  { python: 'datetime.time(1, 2, 3, 4)', value: new TimeOnly(1, 2, 3, 4), row: true },
  {
    python: 'datetime.time(1, fold=1, tzinfo=datetime.timezone.utc)',
    value: new TimeOnly(1, 0, 0, 0, { fold: 1, tzinfo: TimeZone.utc }),
    early: new TimeOnly(1, 0, 0, 0, { tzinfo: TimeZone.utc }),
  },
  { python: 'datetime.timedelta(days=1, seconds=2)', value: new TimeDelta(1, 2), row: true },
  { python: 'datetime.timedelta(microseconds=-1)', value: new TimeDelta(-1, 86_399, 999_999) },
  { python: 'datetime.timezone.utc', value: TimeZone.utc, row: true },
  {
    python: 'datetime.timezone(datetime.timedelta(hours=-1), "X")',
    value: new TimeZone(new TimeDelta(0, -3600), 'X'),
  },
  { python: 'zoneinfo.ZoneInfo("Europe/Paris")', value: paris, since: 9, row: true },
  { python: 'decimal.Decimal("1.50")', value: new Decimal('1.50'), row: true },
  { python: 'decimal.Decimal("-Infinity")', value: new Decimal('-Infinity') },
  { python: 'decimal.Decimal("1E+1000")', value: new Decimal('1E+1000') },
  { python: 'fractions.Fraction(1, 3)', value: new Fraction(1, 3), row: true },
  { python: 'fractions.Fraction(-7)', value: new Fraction(-7) },
  { python: 'fractions.Fraction(2 ** 70, 3)', value: new Fraction(2n ** 70n, 3) },
  { python: 'complex(1.5, -2.0)', value: new Complex(1.5, -2), row: true },
  { python: 'complex(-0.0, 3)', value: new Complex(-0, 3) },
  { python: 'range(0, 10, 3)', value: new Range(0, 10, 3), row: true },
  { python: 'range(2 ** 70)', value: new Range(0, 2n ** 70n) },
  { python: 'slice(1, None)', value: new Slice(1, null), row: true },
  {
    python: 'uuid.UUID("12345678-1234-5678-1234-567812345678")',
    value: new UUID('12345678-1234-5678-1234-567812345678'),
    row: true,
  },
  { python: 'uuid.UUID(int=0)', value: new UUID('0'.repeat(32)) },
  {
    python: 'uuid.UUID(int=2 ** 128 - 1, is_safe=uuid.SafeUUID.unsafe)',
    value: new UUID('f'.repeat(32), -1),
  },
  {
    python: 'pathlib.PurePosixPath("/a/b.txt")',
    value: new Path('/a/b.txt', 'PurePosixPath'),
    row: true,
  },
  { python: 'pathlib.PosixPath("a/../b")', value: new Path('a/../b') },
  { python: 'pathlib.PosixPath()', value: new Path('.') },
  { python: 'pathlib.PosixPath("//server/x")', value: new Path('//server/x') },
  { python: 'pathlib.PureWindowsPath("C:/a/b")', value: new Path('C:\\a\\b', 'PureWindowsPath') },
  {
    python: 'pathlib.PureWindowsPath("//host/share/x")',
    value: new Path('\\\\host\\share\\x', 'PureWindowsPath'),
  },
  { python: 'pathlib.PureWindowsPath("C:a")', value: new Path('C:a', 'PureWindowsPath') },
  { python: 'collections.deque([1, 2], 5)', value: deque([1, 2], 5), row: true },
  {
    python: 'collections.deque(range(2500))',
    value: deque(Array.from({ length: 2500 }, (_, i) => i)),
  },
  {
    python: 'collections.OrderedDict(b=1, a=2)',
    value: new OrderedDict([
      ['b', 1],
      ['a', 2],
    ]),
    row: true,
  },
  {
    python: 'collections.OrderedDict({1: {2: 3}})',
    value: new OrderedDict([[1, new Map([[2, 3]])]]),
  },
  {
    python: 'collections.Counter("aab")',
    value: new Counter([
      ['a', 2],
      ['b', 1],
    ]),
    row: true,
  },
  { python: 'collections.Counter([1, 1])', value: new Counter([[1, 2]]) },
  {
    python: 'collections.defaultdict(list, a=[1])',
    value: defaultdict('builtins.list', [['a', [1]]]),
    row: true,
  },
  { python: 'collections.defaultdict(None, {1: 2})', value: defaultdict(null, [[1, 2]]) },
  { python: 'array.array("d", [1.5, 2])', value: Float64Array.of(1.5, 2), row: true },
  { python: 'array.array("f", [0.5])', value: Float32Array.of(0.5) },
  { python: 'array.array("b", [-1, 1])', value: Int8Array.of(-1, 1) },
  { python: 'array.array("h", [-300])', value: Int16Array.of(-300) },
  { python: 'array.array("H", [60000])', value: Uint16Array.of(60_000) },
  { python: 'array.array("i", [-70000])', value: Int32Array.of(-70_000) },
  { python: 'array.array("I", [2 ** 32 - 1])', value: Uint32Array.of(2 ** 32 - 1) },
  { python: 'array.array("q", [-(2 ** 63)])', value: BigInt64Array.of(-(2n ** 63n)) },
  { python: 'array.array("Q", [2 ** 64 - 1])', value: BigUint64Array.of(2n ** 64n - 1n) },
  { python: 'array.array("i")', value: new Int32Array() },
  { python: 'array.array("l", [1])', value: new PythonArray('l', BigInt64Array.of(1n)), row: true },
  { python: 'array.array("L", [1])', value: new PythonArray('L', BigUint64Array.of(1n)) },
  { python: 'array.array("B", [1, 255])', value: new PythonArray('B', Uint8Array.of(1, 255)) },
  { python: 'array.array("u", "a\\u20ac\\U0001f600")', value: new PythonArray('u', 'a€😀') },
];

const prelude = `
import array, collections, datetime, decimal, fractions, json, pathlib, pickle, sys, uuid, warnings
warnings.simplefilter('ignore')
try: import zoneinfo
except ImportError: pass
`;

/** A range by its ends: comparing would go through all of its numbers. */
const comparable = (value: unknown) => (value instanceof Range ? ['range', { ...value }] : value);

const hex = (pickled: Uint8Array) => Buffer.from(pickled).toString('hex');
const written = [2, 3, 4, 5];

const { pythons, reasons } = findPythons({ old: true });
if (pythons.length === 0) console.warn(`no pickles of Python: ${reasons.join('; ')}`);

describe.each(pythons)('values of $label', ({ feed, version }) => {
  const here = cases.filter(({ since = 0 }) => Number(version.split('.')[1]) >= since);

  function ask<T>(data: unknown, code: string): T {
    const { stdout, stderr, status } = feed(JSON.stringify(data), `${prelude}${code}`);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return JSON.parse(stdout) as T;
  }

  test('we read what Python writes, in every protocol', () => {
    const answers = ask<[string[], string][]>(
      here.map(({ python }) => python),
      `
from multiprocessing.reduction import ForkingPickler
values = [eval(s) for s in json.load(sys.stdin)]
print(json.dumps([([pickle.dumps(v, p).hex() for p in range(6)] + [bytes(ForkingPickler.dumps(v)).hex()], str(v)) for v in values]))`,
    );
    expect(answers).toHaveLength(here.length);
    for (const [i, { python, value, early = value }] of here.entries()) {
      const [pickles = [], text] = answers[i] ?? [];
      expect(pickles).toHaveLength(7);
      for (const [protocol, pickled] of pickles.entries()) {
        const result = loads(Buffer.from(pickled, 'hex'));
        const expected = protocol < 4 ? early : value;
        const wanted = [python, protocol, comparable(expected)];
        expect([python, protocol, comparable(result)]).toStrictEqual(wanted);
      }
      if (!Array.isArray(value) && !(value instanceof Map) && !/array/.test(python))
        expect([python, String(value)]).toEqual([python, text]);
    }
  });

  test('Python reads what we write, in every protocol', () => {
    const pickled = here.map(({ python, value, early }) => {
      const protocols = written.filter((protocol) => !early || protocol > 3);
      return [python, protocols.map((protocol) => hex(dumps(value, { protocol })))];
    });
    const answers = ask<unknown[]>(
      pickled,
      `
wrong = []
for source, pickles in json.load(sys.stdin):
    for p in pickles:
        value, expected = pickle.loads(bytes.fromhex(p)), eval(source)
        if not (type(value) is type(expected) and value == expected and repr(value) == repr(expected)):
            wrong.append([source, repr(value), p])
print(json.dumps(wrong))`,
    );
    expect(answers).toEqual([]);
  });

  test('a Date is an aware datetime, a typed array an array', () => {
    const value = {
      date: new Date(Date.UTC(2024, 1, 29, 12, 30, 0, 7)),
      old: new Date(Date.UTC(1600, 0, 1)),
      clamped: Uint8ClampedArray.of(1, 2),
      view: new Float64Array(new Float64Array([1, 2, 3]).buffer, 8, 1),
      keys: new Map<unknown, unknown>([
        [new UUID('0'.repeat(32)), 1],
        [Tuple.of<unknown>(new Decimal('1.5'), new Date(0)), 2],
        [runInContext('new Date(1000)', createContext()), new Set([new DateOnly(2024, 1, 2)])],
      ]),
      foreign: runInContext('[new Date(0), Int16Array.of(1)]', createContext()) as unknown,
    };
    const [answer] = ask<string[]>(
      [hex(dumps(value))],
      'print(json.dumps([repr(pickle.loads(bytes.fromhex(p))) for p in json.load(sys.stdin)]))',
    );
    const utc = 'tzinfo=datetime.timezone.utc';
    expect(answer).toBe(
      `{'date': datetime.datetime(2024, 2, 29, 12, 30, 0, 7000, ${utc}), ` +
        `'old': datetime.datetime(1600, 1, 1, 0, 0, ${utc}), 'clamped': array('B', [1, 2]), ` +
        `'view': array('d', [2.0]), ` +
        `'keys': {UUID('00000000-0000-0000-0000-000000000000'): 1, ` +
        `(Decimal('1.5'), datetime.datetime(1970, 1, 1, 0, 0, ${utc})): 2, ` +
        `datetime.datetime(1970, 1, 1, 0, 0, 1, ${utc}): {datetime.date(2024, 1, 2)}}, ` +
        `'foreign': [datetime.datetime(1970, 1, 1, 0, 0, ${utc}), array('h', [1])]}`,
    );
  });
});

/** A cell with code. */
const code = (text: string) => `\`${text.replaceAll('|', '\\|')}\``;

test('the table of the page says what comes and goes', ({ skip }) => {
  const python = pythons.find(({ version }) => version.startsWith('3.13.'));
  if (python === undefined) return skip('the table is that of Python 3.13, which is not there');
  const rows = cases.filter(({ row }) => row);
  const ask = (data: unknown, program: string) => {
    const { stdout, stderr } = python.feed(JSON.stringify(data), prelude + program);
    expect(stderr).toBe('');
    return JSON.parse(stdout) as string[];
  };
  const pickles = ask(
    rows.map((row) => row.python),
    'print(json.dumps([pickle.dumps(eval(s)).hex() for s in json.load(sys.stdin)]))',
  );
  const values = pickles.map((pickle) => loads(Buffer.from(pickle, 'hex')) as object);
  const back = ask(
    values.map((value) => hex(dumps(value))),
    'print(json.dumps([repr(pickle.loads(bytes.fromhex(p))) for p in json.load(sys.stdin)]))',
  );
  const cells = rows.map((row, i) => {
    const value = values[i] as object;
    const shown = inspect(value).replace(/\s+/g, ' ');
    const text = Object.hasOwn(value.constructor.prototype as object, 'toString')
      ? String(value)
      : '';
    const text2 = text === '' || text === shown ? '' : code(text);
    return `| ${code(row.python)} | ${code(value.constructor.name)} | ${text2 || code(shown)} | ${code(back[i] ?? '')} |`;
  });
  const table = [
    '| from Python | is here a | whose text is | and goes to Python as |',
    '| --- | --- | --- | --- |',
    ...cells,
  ].join('\n');
  const page = new URL('../../docs/cpython-interop.md', import.meta.url);
  const before = readFileSync(page, 'utf8');
  const place = /(?<=<!-- values\.test\.ts -->\n)[\s\S]*(?=\n<!-- end of values\.test\.ts -->)/;
  if (process.env.MULTIPROCESSING_UPDATE) {
    writeFileSync(
      page,
      before.replace(place, () => `\n${table}\n`),
    );
  } else {
    expect(place.exec(before)?.[0].trim()).toBe(table);
  }
});

test.each(written)('all come back as they were, in protocol %i', (protocol) => {
  for (const { value, early = value } of cases) {
    const back = loads(dumps(value, { protocol }));
    expect(comparable(back)).toStrictEqual(comparable(protocol < 4 ? early : value));
    expect(inspect(back)).toBe(inspect(protocol < 4 ? early : value));
  }
});

test('moments, as Python counts them', () => {
  const at = (month: number, day: number, hours: number, minute: number, fold: 0 | 1 = 0) =>
    new DateTime(2024, month, day, hours, minute, 0, 0, { tzinfo: paris, fold });
  // What `datetime(..., tzinfo=ZoneInfo('Europe/Paris'))` gives in Python for str() and timestamp().
  const known: [DateTime, string, number][] = [
    [at(7, 1, 12, 0), '2024-07-01 12:00:00+02:00', 1_719_828_000],
    [at(1, 1, 12, 0), '2024-01-01 12:00:00+01:00', 1_704_106_800],
    [at(10, 27, 2, 30), '2024-10-27 02:30:00+02:00', 1_729_989_000],
    [at(10, 27, 2, 30, 1), '2024-10-27 02:30:00+01:00', 1_729_992_600],
    [at(3, 31, 2, 30), '2024-03-31 02:30:00+01:00', 1_711_848_600],
    [at(3, 31, 2, 30, 1), '2024-03-31 02:30:00+02:00', 1_711_845_000],
  ];
  for (const [time, text, timestamp] of known) {
    expect([String(time), time.toDate().getTime() / 1000]).toEqual([text, timestamp]);
  }
  const date = new Date(1_700_000_000_123);
  expect(DateTime.fromDate(date).toDate()).toEqual(date);
  expect(String(DateTime.fromDate(date))).toBe('2023-11-14 22:13:20.123000+00:00');
  expect(new DateTime(2024, 1, 2, 3, 4, 5, 6999).toDate()).toEqual(
    new Date(2024, 0, 2, 3, 4, 5, 6),
  );
  expect(JSON.stringify(new DateTime(2024, 1, 2))).toBe('"2024-01-02T00:00:00"');
});

test('what none of them can be is told', () => {
  const wrong: [() => unknown, RegExp][] = [
    [() => new DateTime(2023, 2, 29), /day must be in 1 to 28, not 29/],
    [() => new DateTime(1900, 2, 29), /day must be in 1 to 28/],
    [() => new DateOnly(2024, 11, 31), /day must be in 1 to 30/],
    [() => new DateTime(10_000, 1, 1), /year must be in 1 to 9999/],
    [() => new TimeOnly(24), /hour must be in 0 to 23/],
    [() => new TimeOnly(0, 0, 0, 0.5), /microsecond must be an integer, not 0.5/],
    [() => new TimeOnly(0, 0, 0, 0, { tzinfo: 'UTC' as never }), /tzinfo must be a TimeZone/],
    [() => new TimeZone(new TimeDelta(1)), /less than a day/],
    [() => new Decimal('1,5'), /'1,5' is no decimal number/],
    [() => new Fraction(1, 0), /denominator must be positive/],
    [() => new Range(0, 1, 0), /step must not be zero/],
    [() => new UUID('123'), /'123' is no UUID/],
    [() => new Path('a', 'Path' as never), /kind must be one of PosixPath/],
    [() => new PythonArray('x', new Int8Array()), /typecode must be one/],
    [() => dumps(new Date(Number.NaN)), /a Date .* the Date is invalid/],
    [() => dumps(new Date(Date.UTC(-1, 0))), /a Date .* year must be in 1 to 9999/],
    [() => dumps(new Map([[deque([]), 1]])), /a Deque cannot be a key/],
    [
      () => dumps(Object.assign(new DefaultDict(), { defaultFactory: 'list' })),
      /defaultFactory is a name/,
    ],
  ];
  for (const [make, message] of wrong) expect(make).toThrow(message);
  expect([...new Range(5, 0, -2)]).toEqual([5, 3, 1]);
  expect(new Range(0, 0).length).toBe(0);
  expect(hour.totalSeconds()).toBe(3600);
  expect(Tuple.of(1)).toHaveLength(1);
});
