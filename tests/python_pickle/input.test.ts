/**
 * Pickles of a stranger: damaged, lying, greedy, or asking for more than plain data.
 */
import {
  Complex,
  Counter,
  DateTime,
  Decimal,
  DefaultDict,
  Deque,
  DType,
  dumps,
  Fraction,
  KeyError,
  loads,
  NDArray,
  OrderedDict,
  Path,
  Range,
  Slice,
  TimeDelta,
  TimeZone,
  Tuple,
  UUID,
  ZoneInfo,
} from 'multiprocessing/pickle';
import { describe, expect, test } from 'vitest';
import { fuzzed } from '../support/fuzz.ts';
import { runNode, runProgram } from '../support/programs.ts';
import { findPythons } from '../support/python.ts';

/** Bytes as Python shows them. */
const raw = (text: string) => Buffer.from(text, 'latin1');
const join = (...parts: (string | Buffer)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? raw(part) : part)));
const uint32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const uint64 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};
const unpicklingError = (message: RegExp) =>
  expect.objectContaining({
    name: 'UnpicklingError',
    code: 'ERR_MP_UNPICKLING',
    message: expect.stringMatching(message),
  });

describe('loads refuses', () => {
  const asked = (what: string): RegExp =>
    new RegExp(`^the pickle asks for ${what}.*, which is never made`);

  test.each<[title: string, pickle: string, what: string]>([
    ['os.system', "cos\nsystem\n(S'false'\ntR.", 'os\\.system'],
    ['builtins.eval', 'cbuiltins\neval\n(V1\ntR.', 'builtins\\.eval'],
    ['builtins.getattr', 'cbuiltins\ngetattr\n.', 'builtins\\.getattr'],
    ['__builtin__.eval', 'c__builtin__\neval\n.', '__builtin__\\.eval'],
    ['STACK_GLOBAL', '\x80\x04\x8c\x05posix\x8c\x06system\x93.', 'posix\\.system'],
    ['copyreg._reconstructor', 'ccopy_reg\n_reconstructor\n.', 'copy_reg\\._reconstructor'],
    ['a class alone in the arguments', 'ccopy_reg\n_reconstructor\ncos\nThing\n.', 'os\\.Thing'],
    [
      'copyreg.__newobj__',
      '\x80\x04\x8c\x07copyreg\x8c\x0a__newobj__\x93.',
      'copyreg\\.__newobj__',
    ],
    ['_codecs.decode', 'c_codecs\ndecode\n.', '_codecs\\.decode'],
    ['a class alone', 'cbuiltins\nset\n.', 'builtins\\.set'],
    ['a class in a list', '](cbuiltins\nset\ne.', 'builtins\\.set'],
    ['a class in a tuple', 'cbuiltins\nset\n\x85.', 'builtins\\.set'],
    ['a class as a key', '}cbuiltins\nset\nNs.', 'builtins\\.set'],
    ['a class by way of the memo', 'Ncbuiltins\nset\nq\x000]h\x00a.', 'builtins\\.set'],
    ['a class as an argument', 'cbuiltins\nset\ncbuiltins\nset\n\x85R.', 'builtins\\.set'],
    [
      'a set of no list',
      'cbuiltins\nset\nX\x01\0\0\0a\x85R.',
      'a call of builtins\\.set with other',
    ],
    [
      'bytes of a length',
      'cbuiltins\nbytes\nJ\xff\xff\xff\x7f\x85R.',
      'a call of builtins\\.bytes',
    ],
    [
      'another codec',
      'c_codecs\nencode\nX\x01\0\0\0aX\x06\0\0\0rot_13\x86R.',
      'a call of _codecs\\.enc',
    ],
    ['a call of a value', 'K\x01)R.', 'a call of something that is no function'],
    ['PERSID', 'Pa name\n.', 'the persistent object "a name"'],
    ['BINPERSID', 'X\x02\0\0\0idQ.', 'the persistent object "id"'],
    ['EXT1', '\x80\x02\x82\x05.', 'number 5 of the extension registry'],
    ['EXT2', '\x80\x02\x83\x05\x01.', 'number 261 of the extension registry'],
    ['EXT4', '\x80\x02\x84\x05\0\x01\0.', 'number 65541 of the extension registry'],
    ['INST', '(i__main__\nThing\n.', 'an instance of __main__\\.Thing'],
    ['OBJ', '(cbuiltins\nset\no.', 'an instance of a class'],
    ['NEWOBJ', 'capp\nThing\n)\x81.', 'app\\.Thing'],
    ['NEWOBJ of a value', 'N)\x81.', 'an instance of a class'],
    ['NEWOBJ_EX', 'capp\nThing\n)}\x92.', 'app\\.Thing'],
    ['a class in nested arguments', 'cbuiltins\nset\ncbuiltins\nset\n\x85\x85R.', 'builtins\\.set'],
    ['getattr', 'cbuiltins\ngetattr\n(cbuiltins\nset\nVpop\ntR.', 'builtins\\.set\\.pop'],
    ['BUILD', '}}b.', 'the state of an object'],
    ['NEXT_BUFFER', '\x80\x05\x97.', 'a buffer that is out of band'],
  ])('what would run code or find a name: %s', (_, pickle, what) => {
    expect(() => loads(raw(pickle))).toThrow(unpicklingError(asked(what)));
  });

  test('a name of any length by its beginning', () => {
    const pickle = join('c', 'x'.repeat(100_000), '\ny\n.');
    expect(() => loads(pickle)).toThrow(
      unpicklingError(/^the pickle asks for x{200}\.\.\., which/),
    );
  });
});

describe('loads tells', () => {
  test.each<[title: string, pickle: Buffer, message: RegExp]>([
    ['no bytes at all', raw(''), /truncated: it has no end/],
    ['no end', raw(']'), /truncated/],
    ['an unknown opcode', raw('\xff.'), /unknown opcode 0xff \(at byte 0\)/],
    ['a later protocol', raw('\x80\x06N.'), /is of protocol 6, and 5 is the last/],
    ['text that ends early', raw('\x8c\x05ab.'), /truncated: 5 bytes are announced, 3 are there/],
    ['a negative length of LONG4', join('\x8b', uint32(0xffff_fffe), 'xx.'), /truncated: -2 bytes/],
    ['a huge LONG4', join('\x8b', uint32(0x7fff_ffff), 'xx.'), /truncated: 2147483647 bytes/],
    ['a negative length of BINSTRING', join('T', uint32(0x8000_0000), '.'), /truncated: -21474836/],
    ['text of 4 GB', join('X', uint32(0xffff_ffff), 'x.'), /truncated: 4294967295 bytes/],
    ['bytes of 2 ** 40', join('\x8e', uint64(2n ** 40n), 'x.'), /truncated: 1099511627776 bytes/],
    ['text of -1', join('\x8d', uint64(2n ** 64n - 1n), 'x.'), /truncated: 1844674407370955/],
    ['an array of 2 ** 63', join('\x96', uint64(2n ** 63n), 'x.'), /truncated: 92233720368547/],
    ['a frame of 2 ** 40', join('\x80\x04\x95', uint64(2n ** 40n), 'N.'), /truncated: 10995116/],
    ['a line without an end', raw('I123'), /a line has no end/],
    ['an index that is not there', raw('h\x05.'), /has no object 5/],
    ['an index of 2 ** 31', join('j', uint32(2 ** 31), '.'), /has no object 2147483648/],
    ['an index that is none', raw('Np-1\n.'), /number of an object that is none/],
    ['an empty stack', raw('.'), /takes from an empty stack/],
    ['what is below a mark', raw('N(.'), /takes from an empty stack/],
    ['a pair over a mark', raw('}N(Ns.'), /takes from an empty stack/],
    ['no mark', raw(']Ne.'), /no mark where it needs one/],
    ['no mark for a tuple', raw('Nt.'), /no mark/],
    ['items for a number', raw('K\x01(Ne.'), /appends to something that is no list/],
    ['items for a tuple', raw(')(Ne.'), /appends to something that is no list/],
    ['pairs for a list', raw('](NNu.'), /sets an item of something that is no dict/],
    ['elements for a list', raw('](N\x90.'), /adds to something that is no set/],
    ['a buffer that is none', raw('\x80\x05N\x98.'), /no buffer that it is read-only/],
    ['a key without a value', raw('}(NNNu.'), /a key without a value/],
    ['arguments that are no tuple', raw('cbuiltins\nset\n]R.'), /arguments that are no tuple/],
    ['a name that is no text', raw('NN\x93.'), /a name that is no text/],
    ['UTF-8 that is none', raw('\x8c\x02\xff\xfe.'), /no UTF-8/],
    ['a surrogate cut short', raw('\x8c\x02\xed\xa0.'), /no UTF-8/],
    ['an integer that is none', raw('I1e5\n.'), /an integer that is none/],
    ['an integer of many digits', join('L', '9'.repeat(5000), 'L\n.'), /more than 4300 digits/],
    ['a float that is none', raw('F0x1\n.'), /a float that is none/],
    ['a broken escape', raw('V\\u00g0\n.'), /a broken escape/],
    ['a character beyond the last', raw('V\\U00110000\n.'), /a broken escape/],
    ['a STRING without quotes', raw('Sabc\n.'), /STRING without quotes/],
    ['a STRING with a broken escape', raw("S'\\x1'\n."), /a broken escape/],
    ['a str of Python 2 in Latin-1', raw('U\x01\xe9.'), /str of Python 2 that is not ASCII/],
  ])('%s', (_, pickle, message) => {
    expect(() => loads(pickle)).toThrow(unpicklingError(message));
  });
});

describe('loads takes', () => {
  test.each<[title: string, pickle: string, value: unknown]>([
    ['what stands behind the end', 'K\x01.rubbish', 1],
    ['what is left on the stack', 'K\x01K\x02.', 2],
    ['marks and values that are dropped', '(K\x01(K\x02001K\x03.', 3],
    ['a mark with all above it', 'K\x01(NN1.', 1],
    ['booleans of protocol 0', '(I01\nI00\nl.', [true, false]],
    ['a str of Python 2', "(S'a\\'\\n\\x41\\101'\nU\x01bT\x01\0\0\0cl.", ["a'\nAA", 'b', 'c']],
    ['numbers of the memo in any order', 'K\x01p7\np100\n0Nq\x03g100\n.', 1],
    ['the same value twice', 'K\x012\x86.', Tuple.of(1, 1)],
    ['a dict of protocol 0', '(dVa\np0\nI1\ns.', { a: 1 }],
    [
      'a dict of pairs behind a mark',
      '(Va\nNK\x01Nd.',
      new Map<unknown, unknown>([
        ['a', null],
        [1, null],
      ]),
    ],
    ['a set that is made of a list', 'c__builtin__\nset\n(lp0\nI1\na\x85R.', new Set([1])],
  ])('%s', (_, pickle, value) => {
    expect(loads(raw(pickle))).toStrictEqual(value);
  });
});

describe('the memory that a pickle takes', () => {
  test('is bounded by maxItems', () => {
    const pickle = dumps(Array.from({ length: 99 }, () => 'x'));
    expect(loads(pickle, { maxItems: 100 })).toHaveLength(99);
    expect(() => loads(pickle, { maxItems: 99 })).toThrow(unpicklingError(/more than 99 items/));
    const map = dumps(new Map(Array.from({ length: 50 }, (_, i) => [i, i])));
    expect(loads(map, { maxItems: 101 })).toHaveProperty('size', 50);
    expect(() => loads(map, { maxItems: 100 })).toThrow(unpicklingError(/more than 100 items/));
  });

  test('is not multiplied by calls that copy', () => {
    const call = (name: string, args: string) =>
      join(
        '](',
        'K\x01'.repeat(1000),
        'eq\x000',
        `cbuiltins\n${name}\nq\x010](`,
        args.repeat(1000),
        'e.',
      );
    expect(() => loads(call('set', 'h\x01h\x00\x85R'))).toThrow(
      unpicklingError(/copies more than/),
    );
    const text = join('X', uint32(5000), 'x'.repeat(5000), 'q\x000X\x06\0\0\0latin1q\x010](');
    const encode = join(text, 'c_codecs\nencode\nh\x00h\x01\x86R'.repeat(100), 'e.');
    expect(() => loads(encode)).toThrow(unpicklingError(/copies more than/));
  });

  test.each<[title: string, ...parts: (string | Buffer)[]]>([
    ['many arguments', 'cbuiltins\nKeyError\nq\0(', 'N'.repeat(5000), 'tq\x01', 'h\0h\x01R'],
    ['many parts', 'cpathlib\nPosixPath\nq\0(', 'X\0\0\0\0'.repeat(5000), 'tq\x01', 'h\0h\x01R'],
    [
      'a long text',
      'cdecimal\nDecimal\nq\0X',
      uint32(5000),
      '1'.repeat(5000),
      '\x85q\x01',
      'h\0h\x01R',
    ],
    [
      'a large state',
      'cbuiltins\nValueError\n)Rq\0}(',
      ...Array.from({ length: 2000 }, (_, i) => `V${i}\nN`),
      'uq\x01',
      'h\0h\x01b',
    ],
    [
      'a large count',
      'ccollections\nCounter\nq\0}(',
      ...Array.from({ length: 2000 }, (_, i) => `V${i}\nK\x01`),
      'u\x85q\x01',
      'h\0h\x01R',
    ],
    ['a long array', 'carray\narray\nq\0Vd\nC\xf8', 'x'.repeat(248), '\x86q\x01', 'h\0h\x01R'],
    [
      'many errors',
      'cbuiltins\nExceptionGroup\nq\0Vm\n](',
      'N'.repeat(5000),
      'e\x86q\x01',
      'h\0h\x01R',
    ],
  ])('is not multiplied, nor is the time, by %s', (_, ...parts) => {
    const start = parts.slice(0, -1);
    const last = parts.at(-1) as string;
    const once = join(...start, '](', last, 'e.');
    expect(() => loads(once)).not.toThrow();
    const often = join(...start, '](', ...Array.from({ length: 5000 }, () => last), 'e.');
    expect(() => loads(often)).toThrow(unpicklingError(/copies more than/));
  });

  test('nesting has a limit, and never a stack overflow', () => {
    const depth = 300_000;
    const lists = join(']'.repeat(depth), 'a'.repeat(depth - 1), '.');
    const marks = join('('.repeat(depth), 't'.repeat(depth), '.');
    const tuples = join('N', '\x85'.repeat(depth), '.');
    const dicts = join('}K\x01'.repeat(depth), 'N', 's'.repeat(depth), '.');
    const upside = join(']q\x000'.repeat(1), ']h\x00aq\x000'.repeat(5000), 'h\x00.');
    for (const pickle of [lists, marks, tuples, dicts, upside]) {
      expect(() => loads(pickle)).toThrow(unpicklingError(/nested more than 1000 levels deep/));
    }
    const most = join(']'.repeat(1000), 'a'.repeat(999), '.');
    expect(() => loads(most)).not.toThrow();
    expect(() => loads(most, { maxDepth: 999 })).toThrow(unpicklingError(/more than 999 levels/));
    let levels = 0;
    const value = loads(lists, { maxDepth: depth }) as unknown[];
    for (let list: unknown = value; Array.isArray(list); list = list[0]) levels++;
    expect(levels).toBe(depth);
    const wide = Array.from({ length: 2000 }, () => [1]);
    expect(loads(dumps(wide))).toStrictEqual(wide);
    const cycle: unknown[] = Array.from({ length: 2000 }, () => []);
    for (const each of cycle) (each as unknown[]).push(cycle);
    expect(loads(dumps(cycle))).toHaveLength(2000);
  });

  const bombs: Record<string, string> = {
    'empty sets': `Buffer.alloc(size, 0x8f)`,
    'empty dicts': `Buffer.alloc(size, '}')`,
    'empty tuples': `Buffer.alloc(size, ')')`,
    'empty bytes': `Buffer.alloc(size, 'C\\0')`,
    'dicts that are Maps': `Buffer.alloc(size, '}NNs')`,
    'dicts with an element far out': `Buffer.concat([Buffer.from('X\\x04\\0\\0\\x001000q\\0'), Buffer.alloc(size, '}h\\0Ns')])`,
    'numbers all over the memo': `Buffer.concat([Buffer.from('N'), ...Array.from({ length: size / 5 }, (_, i) => {
      const bytes = Buffer.from('r....');
      bytes.writeUInt32LE((i * 2654435761) >>> 0, 1);
      return bytes;
    })])`,
    // What is called is remembered once, and called by five bytes each time.
    errors: `Buffer.concat([Buffer.from('cbuiltins\\nKeyError\\nq\\0)q\\x01'), Buffer.alloc(size, 'h\\0h\\x01R')])`,
    'errors of the same long text': `Buffer.concat([Buffer.from('cbuiltins\\nKeyError\\nq\\0]Va' + '\\t'.repeat(20_000) + '\\nq\\x02a\\x85q\\x01', 'latin1'), Buffer.alloc(size - 20_000, 'h\\0h\\x01R')])`,
    ranges: `Buffer.concat([Buffer.from('cbuiltins\\nrange\\nq\\0K\\x01K\\x02K\\x03\\x87q\\x01', 'latin1'), Buffer.alloc(size, 'h\\0h\\x01R')])`,
    dates: `Buffer.concat([Buffer.from('cdatetime\\ndatetime\\nq\\0C\\n\\x07\\xe8\\x02\\x03\\0\\0\\0\\0\\0\\0\\x85q\\x01', 'latin1'), Buffer.alloc(size, 'h\\0h\\x01R')])`,
    'arrays of numpy': `Buffer.concat([Buffer.from('cnumpy\\nndarray\\nq\\0N\\x85q\\x01', 'latin1'), Buffer.alloc(size, 'h\\0h\\x01R')])`,
    deques: `Buffer.concat([Buffer.from('ccollections\\ndeque\\nq\\0)q\\x01'), Buffer.alloc(size, 'h\\0h\\x01R')])`,
    'dicts of defaults': `Buffer.concat([Buffer.from('ccollections\\ndefaultdict\\nq\\0)q\\x01'), Buffer.alloc(size, 'h\\0h\\x01R')])`,
    'instances with states': `Buffer.concat([Buffer.from('cuuid\\nUUID\\nq\\0)q\\x01}(Vint\\nL1L\\nuq\\x02'), Buffer.alloc(size, 'h\\0h\\x01\\x81h\\x02b', 'latin1')])`,
    duplicates: `Buffer.concat([Buffer.from('N'), Buffer.alloc(size, '2')])`,
  };

  test.each(Object.entries(bombs))('is in proportion to its length: %s', async (name, bomb) => {
    // 320 KB in a heap of 128 MB, where node ends if it runs out; what is not in the heap is looked at.
    const { code, stdout, stderr } = await runNode([
      '--max-old-space-size=128',
      '--input-type=module',
      '--eval',
      `import { UnpicklingError } from '${import.meta.resolve('multiprocessing')}';
       import { loads } from '${import.meta.resolve('multiprocessing/pickle')}';
       const size = 320_000;
       const before = process.resourceUsage().maxRSS;
       let refused = false;
       try {
         loads(Buffer.concat([${bomb}, Buffer.from('.')]));
       } catch (error) {
         refused = error instanceof UnpicklingError;
       }
       console.log((process.resourceUsage().maxRSS - before) / 1024 < 300, refused);`,
    ]);
    expect([code, stdout, stderr]).toEqual([0, `true ${name.startsWith('errors')}\n`, '']);
  });
});

describe('mutations', () => {
  const values = [
    null,
    [1, 300, 70_000, -5, 2 ** 40, 2n ** 100n, 1.5, true, false],
    { name: 'text', list: ['a', 'é😀', 'x'.repeat(300)], nested: { a: { b: [[], {}, null] } } },
    new Map<unknown, unknown>([
      [1, 'one'],
      [Tuple.of(1, 2), Buffer.from('bytes')],
      ['k', new Set(['v', 2])],
    ]),
    new Set<unknown>([1, 'two', new Set([3]), Tuple.of<unknown>(4, 'five')]),
    Tuple.of<unknown>(1, Tuple.of(2), Buffer.alloc(300, 7), 'end'),
  ];
  const cycle: Record<string, unknown> = { values };
  cycle.self = cycle;

  const count = fuzzed(10_000);

  const pickles = (of: readonly unknown[]) =>
    of.flatMap((value) =>
      [2, 3, 4, 5].map((protocol) => Buffer.from(dumps(value, { protocol })).toString('hex')),
    );

  /** Changes some of these in a program of its own. @param least how many of them must be found to be damaged */
  async function readMutations(valid: readonly string[], least: number): Promise<void> {
    const seed = Number(process.env.PICKLE_SEED ?? 20_241);
    const { code, stdout, stderr } = await runProgram(
      'pickle_mutations',
      [String(seed), String(count)],
      { execArgv: ['--max-old-space-size=64'], input: valid.join('\n') },
    );
    expect([code, stderr]).toEqual([0, '']);
    const outcome = JSON.parse(stdout) as {
      values: number;
      refused: number;
      other: string[];
      megabytes: number;
    };
    expect(outcome.other).toEqual([]);
    expect(outcome.values + outcome.refused).toBe(count);
    expect(outcome.values).toBeGreaterThan(200);
    expect(outcome.refused).toBeGreaterThan(least);
    expect(outcome.megabytes).toBeLessThan(150);
  }

  test(
    '10,000 of them give a value or an UnpicklingError, in bounded memory',
    async () => {
      const own = pickles([...values, cycle]);
      const [python] = findPythons().pythons;
      if (python === undefined)
        console.warn('mutations of our own pickles only: there is no python3');
      const theirs = python?.run(`
import pickle
value = [None, True, 5, 2 ** 70, 1.5, 'a\\u20ac', b'bytes', bytearray(b'x'), (1, 2, 3, 4), {'k': {1: 2}}, {3}, frozenset([4])]
value.append(value)
for p in range(6): print(pickle.dumps(value, p).hex())`);
      await readMutations([...own, ...(theirs?.stdout.trim().split('\n') ?? [])], 2000);
    },
    count * 10,
  );

  test(
    '10,000 of the classes that are known or registered do, too, and what they give can be shown and sent',
    async () => {
      const date = new DateTime(2024, 2, 29, 1, 2, 3, 4, { tzinfo: new ZoneInfo('Europe/Paris') });
      const array = new NDArray('int16', [2, 2], Int16Array.of(1, 2, 3, 4), { order: 'F' });
      const own = pickles([
        [date, new TimeDelta(1, 2, 3), TimeZone.utc, new Date(0)],
        [
          new Decimal('1.5'),
          new Fraction(1, 3),
          new Complex(1, 2),
          new Range(1, 5),
          new Slice(1, 2),
        ],
        [new UUID('0'.repeat(32)), new Path('/a/b')],
        [Deque.from([1, 2]), new OrderedDict([[1, 2]]), new Counter([['a', 1]]), new DefaultDict()],
        [Float64Array.of(1.5), Int16Array.of(1, 2), array, new DType('datetime64[ns]')],
        [new KeyError('k'), new RangeError('r'), new AggregateError([new Error('e')], 'm')],
      ]);
      const [python] = findPythons().pythons;
      const theirs = python?.run(`
import array, collections, dataclasses, datetime, decimal, enum, pathlib, pickle, sys, types, uuid
app = sys.modules['app'] = types.ModuleType('app')
exec('''
import collections, dataclasses, enum
@dataclasses.dataclass
class Point:
    x: int
    y: int
Pair = collections.namedtuple('Pair', 'a b', module='app')
class Oops(Exception): pass
class Color(enum.Enum):
    RED = 1
    BLUE = 'blue'
''', app.__dict__)
values = [
    [app.Point(1, 2), app.Pair(1, [2]), app.Oops('oops', 1), app.Color.RED, app.Color.BLUE],
    [datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc), decimal.Decimal(1), uuid.UUID(int=1)],
    [pathlib.Path('/a'), collections.deque([1], 2), collections.defaultdict(list, a=[1]), collections.Counter('a')],
    [array.array('d', [1]), array.array('u', 'a'), FileNotFoundError(2, 'no', 'f'), ValueError('v')],
]
for value in values:
    for p in range(6): print(pickle.dumps(value, p).hex())`);
      await readMutations([...own, ...(theirs?.stdout.trim().split('\n') ?? [])], 2000);
    },
    count * 10,
  );
});
