/**
 * Python's exceptions as errors, and errors as Python's exceptions.
 */
import {
  AssertionError,
  AuthenticationError,
  BrokenPipeError,
  BufferError,
  BufferTooShort,
  EOFError,
  NotImplementedError,
  OSError,
  ProcessError,
  RuntimeError,
  SystemExit,
  TimeoutError,
  ValueError,
} from 'multiprocessing';
import {
  AttributeError,
  dumps,
  type FromPython,
  KeyError,
  loads,
  PythonError,
  Tuple,
} from 'multiprocessing/pickle';
import { Empty } from 'multiprocessing/queues';
import { describe, expect, test } from 'vitest';
import { findPythons } from '../support/python.ts';

interface Case {
  readonly python: string;
  readonly cls: abstract new (...args: never[]) => Error;
  readonly text: string;
  readonly code?: string;
}

const cases: readonly Case[] = [
  { python: 'ValueError("v")', cls: ValueError, text: 'ValueError: v', code: 'ERR_MP_VALUE' },
  { python: 'ValueError("v", 2)', cls: ValueError, text: "ValueError: ('v', 2)" },
  { python: 'ValueError()', cls: ValueError, text: 'ValueError' },
  { python: 'TypeError("t")', cls: TypeError, text: 'TypeError: t', code: 'ERR_MP_TYPE' },
  { python: 'KeyError("k")', cls: KeyError, text: "KeyError: 'k'", code: 'ERR_MP_KEY' },
  { python: 'KeyError((1, b"x", None))', cls: KeyError, text: "KeyError: (1, b'x', None)" },
  { python: 'IndexError("i")', cls: RangeError, text: 'RangeError: i', code: 'ERR_MP_INDEX' },
  { python: 'AttributeError("a")', cls: AttributeError, text: 'AttributeError: a' },
  { python: 'RuntimeError("r")', cls: RuntimeError, text: 'RuntimeError: r' },
  { python: 'RecursionError("r")', cls: RuntimeError, text: 'RecursionError: r' },
  { python: 'NotImplementedError()', cls: NotImplementedError, text: 'NotImplementedError' },
  { python: 'AssertionError("a")', cls: AssertionError, text: 'AssertionError: a' },
  { python: 'EOFError()', cls: EOFError, text: 'EOFError', code: 'ERR_MP_EOF' },
  { python: 'BufferError("b")', cls: BufferError, text: 'BufferError: b' },
  { python: 'SystemExit(3)', cls: SystemExit, text: 'SystemExit: SystemExit: 3' },
  { python: 'ZeroDivisionError("z")', cls: PythonError, text: 'ZeroDivisionError: z' },
  { python: 'StopIteration(5)', cls: PythonError, text: 'StopIteration: 5' },
  {
    python: 'Exception({"a": [1.5, True]})',
    cls: PythonError,
    text: "Exception: {'a': [1.5, True]}",
  },
  { python: 'UserWarning("w")', cls: PythonError, text: 'UserWarning: w' },
  {
    python: 'UnicodeDecodeError("ascii", b"x", 0, 1, "r")',
    cls: ValueError,
    text: "UnicodeDecodeError: ('ascii', b'x', 0, 1, 'r')",
  },
  {
    python: 'FileNotFoundError(2, "No such file", "/x")',
    cls: OSError,
    text: "FileNotFoundError: [Errno 2] No such file: '/x'",
    code: 'ENOENT',
  },
  {
    python: 'BrokenPipeError(32, "Pipe")',
    cls: BrokenPipeError,
    text: 'BrokenPipeError: [Errno 32] Pipe',
    code: 'EPIPE',
  },
  { python: 'OSError("no number")', cls: OSError, text: 'OSError: no number' },
  { python: 'multiprocessing.ProcessError("p")', cls: ProcessError, text: 'ProcessError: p' },
  { python: 'multiprocessing.TimeoutError()', cls: TimeoutError, text: 'TimeoutError' },
  {
    python: 'multiprocessing.AuthenticationError("a")',
    cls: AuthenticationError,
    text: 'AuthenticationError: a',
  },
  {
    python: 'multiprocessing.BufferTooShort(b"all")',
    cls: BufferTooShort,
    text: 'BufferTooShort: the message is longer than the buffer; it is in args[0]',
  },
  { python: 'queue.Empty()', cls: Empty, text: 'Empty', code: 'ERR_MP_EMPTY' },
];

/** Values whose text is not that of JavaScript. */
const shown: readonly [python: string, value: unknown][] = [
  ['"it\'s"', "it's"],
  ["'a\"b'", 'a"b'],
  ["'both\\'\"'", 'both\'"'],
  ["'\\t\\n\\r\\0\\x7f\\xa0\xe9\\u200b\\ud800'", '\t\n\r\0\x7f\xa0é\u200b\ud800'],
  ["b'a\\'b\\x00\\xff'", Buffer.from("a'b\0\xff", 'latin1')],
  ['(1,)', Tuple.of(1)],
  ['[(), {}, set(), {1: 2}]', [Tuple.of(), {}, new Set(), new Map([[1, 2]])]],
  ['[1e16, 1e-05, 1.5, -0.0, 5e-324]', [1e16, 1e-5, 1.5, -0, 5e-324]],
  ["[float('inf'), None, True, 2 ** 70]", [Infinity, null, true, 2n ** 70n]],
];

const { pythons, reasons } = findPythons({ old: true });
if (pythons.length === 0) console.warn(`no exceptions of Python: ${reasons.join('; ')}`);

const prelude = 'import json, multiprocessing, pickle, queue, sys, threading\n';
const hex = (pickled: Uint8Array) => Buffer.from(pickled).toString('hex');

describe.each(pythons)('exceptions of $label', ({ feed, version }) => {
  function ask<T>(data: unknown, code: string): T {
    const { stdout, stderr, status } = feed(JSON.stringify(data), `${prelude}${code}`);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return JSON.parse(stdout) as T;
  }

  test('come as errors of a class that has the same meaning, and go back as they were', () => {
    const answers = ask<string[][]>(
      cases.map(({ python }) => python),
      `
values = [eval(s) for s in json.load(sys.stdin)]
print(json.dumps([[pickle.dumps(v, p).hex() for p in range(6)] for v in values]))`,
    );
    const back: unknown[] = [];
    for (const [i, { python, cls, text, code }] of cases.entries()) {
      for (const [protocol, pickled] of (answers[i] ?? []).entries()) {
        const error = loads(Buffer.from(pickled, 'hex')) as Error & { code: unknown };
        expect(error, python).toBeInstanceOf(cls);
        // Protocols before 3 have Python 2's names, which had one class for all of these.
        if (!(error instanceof OSError) || protocol > 2)
          expect([python, String(error)]).toEqual([python, text]);
        if (code !== undefined) expect([python, error.code]).toEqual([python, code]);
        // It has been thrown nowhere here.
        expect(error.stack).not.toContain('\n    at ');
        for (const written of [2, 4, 5])
          back.push([python, hex(dumps(error, { protocol: written }))]);
      }
    }
    expect(
      ask<unknown[]>(
        back,
        `
wrong = []
for source, p in json.load(sys.stdin):
    value, expected = pickle.loads(bytes.fromhex(p)), eval(source)
    same = type(value) is type(expected) and value.args == expected.args and str(value) == str(expected)
    if not same: wrong.append([source, repr(value)])
print(json.dumps(wrong))`,
      ),
    ).toEqual([]);
  });

  test('notes and attributes come, and go back', () => {
    const [pickled] = ask<string[]>(
      [],
      `
error = ValueError('v')
error.__notes__, error.where = ['one', 'two'], (1, 2)
print(json.dumps([pickle.dumps(error).hex()]))`,
    );
    const error = loads(Buffer.from(pickled as string, 'hex')) as ValueError & FromPython;
    expect([error.notes, error.attributes]).toEqual([['one', 'two'], { where: [1, 2] }]);
    const own = Object.assign(new TypeError('t'), { notes: ['mine'] });
    expect(
      ask<unknown[]>(
        [error, own].map((each) => hex(dumps(each))),
        `
values = [pickle.loads(bytes.fromhex(p)) for p in json.load(sys.stdin)]
print(json.dumps([[repr(v), v.__notes__, getattr(v, 'where', None)] for v in values]))`,
      ),
    ).toEqual([
      ["ValueError('v')", ['one', 'two'], [1, 2]],
      ["TypeError('t')", ['mine'], null],
    ]);
  });

  test('the message shows values as Python does', () => {
    const answers = ask<string[]>(
      shown.map(([python]) => python),
      'print(json.dumps([str(KeyError(eval(s))) for s in json.load(sys.stdin)]))',
    );
    expect(shown.map(([, value]) => new KeyError(value).message)).toEqual(answers);
  });

  test('one that is in its own arguments, in a list, stays so', () => {
    const pickles = ask<string[]>(
      [],
      `
error = ValueError([])
error.args[0].append(error)
print(json.dumps([pickle.dumps(error, p).hex() for p in range(6)]))`,
    );
    const back = pickles.map((pickled) => {
      const error = loads(Buffer.from(pickled, 'hex')) as ValueError & { args: unknown[][] };
      expect(error.args[0]?.[0]).toBe(error);
      return [2, 4].map((protocol) => hex(dumps(error, { protocol })));
    });
    const answers = ask<boolean[]>(
      back.flat(),
      `
values = [pickle.loads(bytes.fromhex(p)) for p in json.load(sys.stdin)]
print(json.dumps([v.args[0][0] is v for v in values]))`,
    );
    expect(answers).toEqual(back.flat().map(() => true));
  });

  test('errors from here are exceptions there', () => {
    class Refused extends ValueError {}
    class Odd extends Error {
      override name = 'OddError';
    }
    const changed = loads(dumps(new ValueError('before'))) as Error;
    changed.message = 'after';
    const own: [Error, string][] = [
      [new Error('e'), "Exception('e')"],
      [new Refused('no'), "ValueError('Refused: no')"],
      [new Odd('o'), "Exception('OddError: o')"],
      [new TypeError('t'), "TypeError('t')"],
      [new RangeError('r'), "ValueError('r')"],
      [new ReferenceError('x'), "NameError('x')"],
      [new SyntaxError('s'), "SyntaxError('s')"],
      [new KeyError('k'), "KeyError('k')"],
      [new AttributeError('a'), "AttributeError('a')"],
      [new EOFError('end'), "EOFError('end')"],
      [new SystemExit(4), 'SystemExit(4)'],
      [new OSError(2, 'gone'), "FileNotFoundError(2, 'gone')"],
      [
        Object.assign(new Error('open: gone'), { errno: -2, code: 'ENOENT' }),
        "FileNotFoundError(2, 'open: gone')",
      ],
      [new NotImplementedError('later'), "NotImplementedError('later')"],
      [new Empty(''), "Empty('')"],
      [changed, "ValueError('after')"],
    ];
    if (Number(version.split('.')[1]) >= 11) {
      const group = new AggregateError([new Error('one'), new TypeError('two')], 'many');
      own.push([group, "ExceptionGroup('many', [Exception('one'), TypeError('two')])"]);
    }
    for (const protocol of [2, 4]) {
      const answers = ask<string[]>(
        own.map(([error]) => hex(dumps(error, { protocol }))),
        'print(json.dumps([repr(pickle.loads(bytes.fromhex(p))) for p in json.load(sys.stdin)]))',
      );
      expect(answers).toEqual(own.map(([, python]) => python));
    }
  });
});
