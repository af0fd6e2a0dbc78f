/**
 * What an error advises instead: whoever follows it sends the data, whole. And what an object is called.
 */
import vm from 'node:vm';
import * as mp from 'multiprocessing';
import { DateTime, dumps, loads } from 'multiprocessing/pickle';
import { ForkingPickler, register } from 'multiprocessing/reduction';
import { describe, expect, test } from 'vitest';

function refusalOf(dump: (value: unknown) => unknown, value: unknown): string {
  try {
    dump(value);
  } catch (error) {
    expect(error).toBeInstanceOf(mp.PicklingError);
    return (error as Error).message;
  }
  throw new Error('it was pickled');
}

const bytes = Uint8Array.of(9, 1, 2, 3);
const view = new DataView(bytes.buffer, 1, 2);
class Floats extends Float64Array {}
class Day extends Date {}
const floats = new Floats([0.5, -1]);
const day = new Day(1500);
/** An error by what the engine keeps inside of it alone. */
const error = Object.setPrototypeOf(new RangeError('why'), null) as Error;
class Entries extends Map<unknown, unknown> {}
class Members extends Set<unknown> {}
class List extends Array {}
function* yielding() {
  yield* [1, 2];
}

describe('what is said about what cannot be sent to Python', () => {
  test.each<[what: string, value: unknown, advice: string, followed: unknown, arrives: unknown]>([
    ['Day', day, 'new Date(it)', new Date(day), DateTime.fromDate(day)],
    ['RegExp', /a/gi, 'its source and its flags', [/a/gi.source, /a/gi.flags], ['a', 'gi']],
    ['object whose class has no name', error, 'its message', error.message, 'why'],
    ['Number', Object(5), 'its valueOf()', (Object(5) as object).valueOf(), 5],
    ['Symbol object', Object(Symbol('s')), 'its description', Symbol('s').description, 's'],
    [
      'DataView',
      view,
      'new Uint8Array(it.buffer, it.byteOffset, it.byteLength) for its bytes',
      new Uint8Array(view.buffer, view.byteOffset, view.byteLength),
      Buffer.of(1, 2),
    ],
    ['Floats', floats, 'Array.from(it) for a list', Array.from(floats), [0.5, -1]],
    [
      'Floats',
      floats,
      'new Uint8Array(it.buffer, it.byteOffset, it.byteLength) for its bytes',
      new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength),
      Buffer.from(floats.buffer),
    ],
    ['ArrayBuffer', bytes.buffer, 'new Uint8Array(it) for its bytes', new Uint8Array(bytes), bytes],
    ['List', List.of(1, 2), 'Array.from(it) for a list', Array.from(List.of(1, 2)), [1, 2]],
    ['Entries', new Entries([[1, 2]]), 'new Map(it)', new Map(new Entries([[1, 2]])), { 1: 2 }],
    ['Members', new Members([1]), 'new Set(it)', new Set(new Members([1])), new Set([1])],
    ['generator', yielding(), 'an Array of what it yields', [...yielding()], [1, 2]],
    ['URL', new URL('http://x/y'), 'its href', new URL('http://x/y').href, 'http://x/y'],
    ['URLSearchParams', new URLSearchParams('a=1'), 'its toString()', 'a=1', 'a=1'],
    ['symbol', Symbol('s'), 'its description', Symbol('s').description, 's'],
  ])('%s: %#', (what, value, advice, followed, arrives) => {
    const message = refusalOf(dumps, { value });
    expect(message).toMatch(
      new RegExp(`^an? ${what} cannot be sent to Python: .*\\(found at value\\)$`),
    );
    expect(message).toContain(advice);
    const back = loads(dumps({ value: followed })) as { value: unknown };
    if (back.value instanceof Map) expect(Object.fromEntries(back.value)).toEqual(arrives);
    else if (back.value instanceof Uint8Array)
      expect([...back.value]).toEqual([...(arrives as [])]);
    else expect(back.value).toEqual(arrives);
  });

  test.each<[code: string, beginning: string]>([
    ['new URL("http://x/")', 'a URL '],
    ['new (class Uint8ClampedItems {})()', 'a Uint8ClampedItems '],
    ['new (class URIPath {})()', 'a URIPath '],
    ['new (class Int8Items {})()', 'an Int8Items '],
    ['new (class EvalStep {})()', 'an EvalStep '],
    ['new (class HTTPAgent {})()', 'an HTTPAgent '],
    ['new (class User {})()', 'a User '],
    ['new (class Unknown {})()', 'an Unknown '],
    ['new (class {})()', 'an object whose class has no name '],
    ['(function* () {})()', 'a generator '],
    ['new Map().keys()', 'an iterator '],
    ['Object.create({})', 'an Object '],
  ])('%s is called as one says it', (code, beginning) => {
    const message = refusalOf(dumps, vm.runInThisContext(code));
    expect(message.slice(0, beginning.length)).toBe(beginning);
  });
});

describe('what is said about what no process can be sent', () => {
  const { loadsSync } = ForkingPickler;
  const refused = (value: unknown) => refusalOf(ForkingPickler.dumps, value);

  test('a function may travel by value where that is possible only', () => {
    const local = () => bytes;
    // A queue and a connection never do.
    expect(refused(local)).toMatch(/`ctx\.allowClosures = true`, in the args of a Process/);
    expect(refused(local)).toMatch(/move it into a module of its own and export it; or/);
  });

  test('what belongs to this process can have a reduce function', () => {
    class Held extends AbortController {}
    expect(refused(new AbortController())).toMatch(/register a reduce function for it/);
    register(AbortController, () => [Array.of, [1]]);
    expect(loadsSync(ForkingPickler.dumps([new AbortController()]))).toEqual([[1]]);
    expect(refused(new Held())).toMatch(/register a reduce function for it/);
  });

  test('a Promise, a generator, a symbol, shared memory of threads', async () => {
    expect(refused(Promise.resolve(1))).toMatch(/await it and send its value/);
    expect(loadsSync(ForkingPickler.dumps(await Promise.resolve(1)))).toBe(1);
    expect(refused(yielding())).toMatch(/send an array of what it yields/);
    expect(loadsSync(ForkingPickler.dumps([...yielding()]))).toEqual([1, 2]);
    expect(refused(Symbol('a'))).toMatch(/unless it is made by Symbol\.for\(\)/);
    expect(loadsSync(ForkingPickler.dumps(Symbol.for('a')))).toBe(Symbol.for('a'));
    expect(refused(new SharedArrayBuffer(2))).toMatch(/multiprocessing\/shared_memory/);
  });
});
