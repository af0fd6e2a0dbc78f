/**
 * numpy's arrays and scalars, both ways, by its versions 1 and 2 where Pythons of this machine have them.
 */
import { Complex, DType, dumps, loads, NDArray } from 'multiprocessing/pickle';
import { describe, expect, test } from 'vitest';
import { findNumpys } from '../support/python.ts';

const hex = (pickled: Uint8Array) => Buffer.from(pickled).toString('hex');
const unhex = (text: string) => Buffer.from(text, 'hex');
const written = [2, 3, 4, 5];

const halves = Float32Array.of(0, 0.5, -2, 65_504, 2 ** -24, Number.POSITIVE_INFINITY, 0.1).map(
  (value) => (value === Math.fround(0.1) ? 0.0999755859375 : value),
);

/** What they are in Python, where `np` is numpy. */
const arrays: readonly (readonly [python: string, array: NDArray])[] = [
  ['np.array([True, False])', new NDArray('bool', [2], Uint8Array.of(1, 0))],
  ["np.array([[1, -2], [3, 4]], 'i1')", new NDArray('int8', [2, 2], Int8Array.of(1, -2, 3, 4))],
  ["np.array([1, -300], 'i2')", new NDArray('int16', [2], Int16Array.of(1, -300))],
  ["np.array([1, -2], 'i4')", new NDArray('int32', [2], Int32Array.of(1, -2))],
  ["np.array([1, -2 ** 63], 'i8')", new NDArray('int64', [2], BigInt64Array.of(1n, -(2n ** 63n)))],
  ["np.array([1, 255], 'u1')", new NDArray('uint8', [2], Uint8Array.of(1, 255))],
  ["np.array([1, 65535], 'u2')", new NDArray('uint16', [2], Uint16Array.of(1, 65_535))],
  ["np.array([2 ** 32 - 1], 'u4')", new NDArray('uint32', [1], Uint32Array.of(2 ** 32 - 1))],
  ["np.array([2 ** 64 - 1], 'u8')", new NDArray('uint64', [1], BigUint64Array.of(2n ** 64n - 1n))],
  ["np.array([0, .5, -2, 65504, 2 ** -24, np.inf, .1], 'f2')", new NDArray('float16', [7], halves)],
  ["np.array([.5, np.nan], 'f4')", new NDArray('float32', [2], Float32Array.of(0.5, Number.NaN))],
  ['np.array([.1, -np.inf])', new NDArray('float64', [2], Float64Array.of(0.1, -Infinity))],
  ["np.array([1 + 2j], 'c8')", new NDArray('complex64', [1], Float32Array.of(1, 2))],
  ['np.array([1 + 2j, 3])', new NDArray('complex128', [2], Float64Array.of(1, 2, 3, 0))],
  [
    "np.array(['2024-01-01', 'NaT'], 'M8[ns]')",
    new NDArray('datetime64[ns]', [2], BigInt64Array.of(1_704_067_200_000_000_000n, -(2n ** 63n))),
  ],
  ["np.array([3], 'm8[25s]')", new NDArray('timedelta64[25s]', [1], BigInt64Array.of(3n))],
  ["np.array([3], 'm8')", new NDArray('timedelta64', [1], BigInt64Array.of(3n))],
  ['np.array(5.0)', new NDArray('float64', [], Float64Array.of(5))],
  ['np.zeros((2, 0, 3))', new NDArray('float64', [2, 0, 3], new Float64Array())],
  [
    "np.asfortranarray(np.arange(6, dtype='i4').reshape(2, 3))",
    new NDArray('int32', [2, 3], Int32Array.of(0, 3, 1, 4, 2, 5), { order: 'F' }),
  ],
  [
    "np.arange(24, dtype='i2').reshape(2, 3, 4)",
    new NDArray(
      'int16',
      [2, 3, 4],
      Int16Array.from({ length: 24 }, (_, i) => i),
    ),
  ],
];

/** What comes in another way, and goes back as what is in the middle. */
const oneWay: readonly (readonly [python: string, value: unknown])[] = [
  ["np.array([1, 2], '>i4')", new NDArray('int32', [2], Int32Array.of(1, 2))],
  ["np.array([1, 2], '>f8')", new NDArray('float64', [2], Float64Array.of(1, 2))],
  ["np.array([1], '>f2')", new NDArray('float16', [1], Float32Array.of(1))],
  [
    "np.arange(6, dtype='i4').reshape(2, 3)[:, ::2]",
    new NDArray('int32', [2, 2], Int32Array.of(0, 2, 3, 5)),
  ],
  ['np.float64(1.5)', 1.5],
  ["np.float32('nan')", Number.NaN],
  ['np.float16(0.5)', 0.5],
  ['np.int64(-7)', -7],
  ['np.int64(2 ** 62)', 2n ** 62n],
  ['np.uint8(200)', 200],
  ['np.uint64(2 ** 64 - 1)', 2n ** 64n - 1n],
  ['np.bool_(True)', true],
  ['np.complex128(1 - 2j)', new Complex(1, -2)],
  ["np.datetime64('1970-01-02')", new NDArray('datetime64[D]', [], BigInt64Array.of(1n))],
  ["np.timedelta64(5, 'ms')", new NDArray('timedelta64[ms]', [], BigInt64Array.of(5n))],
  ["np.dtype('f4')", new DType('float32')],
  ["np.dtype('M8[us]')", new DType('datetime64[us]')],
];

const { pythons, reasons } = findNumpys();
if (pythons.length === 0) console.warn(`no pickles of numpy: ${reasons.join('; ')}`);

describe.each(pythons)('arrays of $label', ({ feed, version }) => {
  function ask<T>(data: unknown, code: string): T {
    const prelude = 'import json, pickle, sys, numpy as np\n';
    const { stdout, stderr, status } = feed(JSON.stringify(data), prelude + code);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return JSON.parse(stdout) as T;
  }

  test('we read what numpy writes, in every protocol', () => {
    const cases = [...arrays, ...oneWay];
    const answers = ask<string[][]>(
      cases.map(([python]) => python),
      `
values = [eval(s) for s in json.load(sys.stdin)]
print(json.dumps([[pickle.dumps(v, p).hex() for p in range(6)] for v in values]))`,
    );
    expect(answers).toHaveLength(cases.length);
    for (const [i, [python, value]] of cases.entries()) {
      for (const [protocol, pickled] of (answers[i] ?? []).entries()) {
        const result = loads(unhex(pickled));
        expect([python, protocol, result]).toStrictEqual([python, protocol, value]);
      }
    }
  });

  test('numpy reads what we write, in every protocol', () => {
    const pickled = arrays.map(([python, array]) => {
      return [python, written.map((protocol) => hex(dumps(array, { protocol })))];
    });
    const answers = ask<unknown[]>(
      pickled,
      `
wrong = []
for source, pickles in json.load(sys.stdin):
    for p in pickles:
        value, expected = pickle.loads(bytes.fromhex(p)), eval(source)
        same = value.dtype == expected.dtype and value.shape == expected.shape and value.tobytes() == expected.tobytes()
        if not (same and value.flags.writeable and value.flags.f_contiguous == expected.flags.f_contiguous):
            wrong.append([source, repr(value), p])
print(json.dumps(wrong))`,
    );
    expect(answers).toEqual([]);
  });

  test('axes in any order, and buffers beside the pickle', () => {
    const [cube, pickle, ...buffers] = ask<string[]>(
      [],
      `
cube = np.arange(24, dtype='i4').reshape(2, 3, 4).transpose(2, 0, 1)
buffers = []
beside = pickle.dumps([cube, np.arange(3.0)], 5, buffer_callback=buffers.append)
print(json.dumps([pickle.dumps(cube, 5).hex(), beside.hex()] + [b.raw().tobytes().hex() for b in buffers]))`,
    );
    const nested = Array.from({ length: 4 }, (_, i) =>
      [0, 1].map((j) => [0, 1, 2].map((k) => j * 12 + k * 4 + i)),
    );
    expect((loads(unhex(cube as string)) as NDArray).tolist()).toEqual(nested);
    expect(buffers.length).toBeGreaterThan(0);
    const beside = { buffers: buffers.map(unhex) };
    const [one, two] = loads(unhex(pickle as string), beside) as [NDArray, NDArray];
    expect([one.shape, one.tolist()]).toEqual([[4, 2, 3], nested]);
    expect(two).toEqual(new NDArray('float64', [3], Float64Array.of(0, 1, 2)));
    expect(() => loads(unhex(pickle as string))).toThrow('a buffer that is out of band');
    const short = { buffers: buffers.map((text) => unhex(text).subarray(1)) };
    expect(() => loads(unhex(pickle as string), short)).toThrow(/bytes (for an array|of numbers)/);
  });

  test('typed arrays are arrays of numpy when that is asked for', () => {
    const value = [
      Float64Array.of(1, 2),
      Uint8ClampedArray.of(3),
      BigInt64Array.of(4n),
      Uint8Array.of(5),
    ];
    const [answer] = ask<string[]>(
      [hex(dumps(value, { typedArrays: 'numpy' }))],
      `
values = pickle.loads(bytes.fromhex(json.load(sys.stdin)[0]))
print(json.dumps([str([(v.dtype.name, v.tolist()) if isinstance(v, np.ndarray) else v for v in values])]))`,
    );
    expect(answer).toBe("[('float64', [1.0, 2.0]), ('uint8', [3]), ('int64', [4]), b'\\x05']");
  });

  test('arrays of anything but numbers are refused by their dtype', () => {
    const sources = [
      "np.array([{}], 'O')",
      "np.array(['a'])",
      "np.array([b'a'])",
      "np.zeros(1, 'i4, f8')",
      'np.float64.__mro__ and np.longdouble(1)',
    ];
    const answers = ask<string[]>(
      sources,
      'print(json.dumps([pickle.dumps(eval(s), p).hex() for s in json.load(sys.stdin) for p in (2, 4, 5)]))',
    );
    for (const [i, pickled] of answers.entries()) {
      expect(() => loads(unhex(pickled)), `${sources[Math.floor(i / 3)]} of ${version}`).toThrow(
        /the pickle asks for numpy's dtype "\w+", which is not one of numbers/,
      );
    }
  });
});

test.each(written)('all come back as they were, in protocol %i', (protocol) => {
  for (const [, array] of arrays) {
    expect(loads(dumps(array, { protocol }))).toStrictEqual(array);
  }
  expect(loads(dumps(new DType('datetime64[ns]'), { protocol }))).toEqual(
    new DType('datetime64[ns]'),
  );
});

test('elements and nested arrays', () => {
  const c = new NDArray('int32', [2, 3], Int32Array.of(0, 1, 2, 3, 4, 5));
  const f = new NDArray('int32', [2, 3], Int32Array.of(0, 3, 1, 4, 2, 5), { order: 'F' });
  for (const array of [c, f]) {
    expect(array.tolist()).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(array.item(1, 2)).toBe(5);
    expect(array.size).toBe(6);
  }
  expect(new NDArray('bool', [1], Uint8Array.of(1)).tolist()).toEqual([true]);
  expect(new NDArray('complex64', [], Float32Array.of(1, 2)).tolist()).toEqual(new Complex(1, 2));
  expect(() => c.item(2, 0)).toThrow(/index 2 of axis 0 must be in 0 to 1/);
  expect(() => c.item(1)).toThrow(/2 indices are needed, not 1/);
});

test('what no array can be is told', () => {
  const wrong: [() => unknown, RegExp][] = [
    [
      () => new NDArray('float65', [1], new Float64Array(1)),
      /dtype must be one of bool, int8.*'float65'/,
    ],
    [() => new NDArray('float64[s]', [1], new Float64Array(1)), /dtype must be one of/],
    [() => new NDArray('float64', [2], new Float64Array(1)), /data must have 2 elements/],
    [
      () => new NDArray('float64', [1], new Float32Array(1)),
      /data of float64 must be a Float64Array/,
    ],
    [() => new NDArray('float64', [-1], new Float64Array(1)), /whole numbers, not -1/],
    [() => new NDArray('float64', 1 as never, new Float64Array(1)), /shape must be an array/],
    [
      () => new NDArray('float64', [1], new Float64Array(1), { order: 'K' as never }),
      /order must be/,
    ],
    [() => dumps(1, { typedArrays: 'list' as never }), /typedArrays must be 'array' or 'numpy'/],
  ];
  for (const [make, message] of wrong) expect(make).toThrow(message);
});
