/**
 * Future by itself: what executors and those who wait do with one.
 */
import { inspect } from 'node:util';
import * as mp from 'multiprocessing';
import { CancelledError, Future, InvalidStateError } from 'multiprocessing/futures';
import { afterEach, describe, expect, test } from 'vitest';

/** What is warned of until the test is over. */
function watchWarnings(): Error[] {
  const seen: Error[] = [];
  process.on('warning', (warning) => seen.push(warning));
  return seen;
}

afterEach(() => {
  process.removeAllListeners('warning');
});

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

function inState(state: 'pending' | 'running' | 'cancelled' | 'failed' | 'done'): Future<number> {
  const future = new Future<number>();
  if (state === 'running') future.setRunningOrNotifyCancel();
  if (state === 'cancelled') future.cancel();
  if (state === 'failed') future.setException(new RangeError('no'));
  if (state === 'done') future.setResult(42);
  return future;
}

describe('callbacks', () => {
  test('a callback gets the future with its result', () => {
    const future = new Future<number>();
    let seen: unknown;
    future.addDoneCallback((f) => {
      seen = f.resultSync();
    });
    future.setResult(5);
    expect(seen).toBe(5);
  });

  test('a callback gets the future with its exception', () => {
    const future = new Future();
    let seen: unknown;
    future.addDoneCallback((f) => {
      seen = f.exceptionSync();
    });
    const error = new Error('test');
    future.setException(error);
    expect(seen).toBe(error);
  });

  test('a callback is told of a cancellation', () => {
    const future = new Future();
    let seen: unknown;
    future.addDoneCallback((f) => {
      seen = f.cancelled();
    });
    expect(future.cancel()).toBe(true);
    expect(seen).toBe(true);
  });

  test('a callback that throws is warned of, and the others are called', async () => {
    const warnings = watchWarnings();
    const future = new Future();
    const called: string[] = [];
    future.addDoneCallback(() => {
      called.push('first');
      throw new Error('doh!');
    });
    future.addDoneCallback(() => void called.push('second'));
    future.setResult(5);
    expect(called).toEqual(['first', 'second']);
    await nextTurn();
    expect(warnings.map(({ name, cause }) => [name, (cause as Error).message])).toEqual([
      ['FutureCallbackWarning', 'doh!'],
    ]);
  });

  test('so is an asynchronous one that rejects', async () => {
    const warnings = watchWarnings();
    const future = new Future();
    future.addDoneCallback(() => Promise.reject(new Error('later')));
    future.setResult(5);
    await nextTurn();
    expect(warnings.map(({ cause }) => (cause as Error).message)).toEqual(['later']);
  });

  test('of a future that is done already it is called at once', () => {
    const seen: unknown[] = [];
    inState('done').addDoneCallback((f) => void seen.push(f.resultSync()));
    expect(seen).toEqual([42]);
  });

  test('of one that has failed already, too', () => {
    const seen: unknown[] = [];
    inState('failed').addDoneCallback((f) => void seen.push((f.exceptionSync() as Error).message));
    expect(seen).toEqual(['no']);
  });

  test('of one that is cancelled already, too', () => {
    const seen: unknown[] = [];
    inState('cancelled').addDoneCallback((f) => void seen.push(f.cancelled()));
    expect(seen).toEqual([true]);
  });

  test('one that throws at once throws nothing at who adds it', async () => {
    const warnings = watchWarnings();
    inState('done').addDoneCallback(() => {
      throw new Error('doh!');
    });
    await nextTurn();
    expect(warnings.length).toBe(1);
  });
});

describe('states', () => {
  test('what it says of itself', () => {
    const failed = new Future();
    failed.setException(new mp.OSError(5, 'x'));
    const texts = [
      inState('pending'),
      inState('running'),
      inState('cancelled'),
      failed,
      inState('done'),
    ].map(String);
    expect(texts).toEqual([
      '<Future state=pending>',
      '<Future state=running>',
      '<Future state=cancelled>',
      '<Future state=finished raised OSError>',
      '<Future state=finished returned number>',
    ]);
    expect(inspect(inState('pending'))).toBe('<Future state=pending>');
    const others = [null, undefined, [1], Object.create(null)].map((value) => {
      const future = new Future();
      future.setResult(value);
      return String(future).replace(/.* /, '');
    });
    expect(others).toEqual(['null>', 'undefined>', 'Array>', 'object>']);
  });

  const states = ['pending', 'running', 'cancelled', 'failed', 'done'] as const;

  test('what can be cancelled', () => {
    const outcomes = states.map((state) => {
      const future = inState(state);
      return [future.cancel(), future.cancelled()];
    });
    expect(outcomes).toEqual([
      [true, true],
      [false, false],
      [true, true],
      [false, false],
      [false, false],
    ]);
  });

  test('cancelled()', () => {
    expect(states.map((state) => inState(state).cancelled())).toEqual([
      false,
      false,
      true,
      false,
      false,
    ]);
  });

  test('done()', () => {
    expect(states.map((state) => inState(state).done())).toEqual([false, false, true, true, true]);
  });

  test('running()', () => {
    expect(states.map((state) => inState(state).running())).toEqual([
      false,
      true,
      false,
      false,
      false,
    ]);
  });

  test('it begins once, and not when it was cancelled', () => {
    const future = new Future();
    expect(future.setRunningOrNotifyCancel()).toBe(true);
    expect(() => future.setRunningOrNotifyCancel()).toThrow(InvalidStateError);
    expect(inState('cancelled').setRunningOrNotifyCancel()).toBe(false);
  });

  test('a result is set once', () => {
    const future = inState('done');
    expect(() => future.setResult(2)).toThrow(InvalidStateError);
    expect(() => future.setResult(2)).toThrow(/FINISHED: <Future state=finished returned number>/);
    expect(future.resultSync()).toBe(42);
    expect(() => inState('cancelled').setResult(1)).toThrow(/CANCELLED/);
  });

  test('an exception is set once', () => {
    const future = inState('failed');
    expect(() => future.setException(new Error('other'))).toThrow(InvalidStateError);
    expect((future.exceptionSync() as Error).message).toBe('no');
  });
});

describe('waiting', () => {
  test('for a result, with a timeout', async () => {
    await expect(inState('pending').result(0)).rejects.toThrow(mp.TimeoutError);
    await expect(inState('running').result(0.01)).rejects.toThrow(/0\.01 seconds/);
    await expect(inState('cancelled').result(0)).rejects.toThrow(CancelledError);
    await expect(inState('failed').result(0)).rejects.toThrow(RangeError);
    expect(await inState('done').result(0)).toBe(42);
    await expect(inState('pending').result(Number.NaN)).rejects.toThrow(mp.ValueError);
    await expect(inState('pending').result('1' as unknown as number)).rejects.toThrow(TypeError);
  });

  test('for a result that somebody sets', async () => {
    const future = new Future<number>();
    const result = future.result(60);
    setImmediate(() => future.setResult(42));
    expect(await result).toBe(42);
    expect(await future).toBe(42);
  });

  test('for one that somebody cancels', async () => {
    const future = new Future<number>();
    const result = future.result(60);
    setImmediate(() => future.cancel());
    await expect(result).rejects.toThrow(CancelledError);
  });

  test('for an exception, with a timeout', async () => {
    await expect(inState('pending').exception(0)).rejects.toThrow(mp.TimeoutError);
    await expect(inState('running').exception(0)).rejects.toThrow(mp.TimeoutError);
    await expect(inState('cancelled').exception(0)).rejects.toThrow(CancelledError);
    expect(await inState('failed').exception(0)).toBeInstanceOf(RangeError);
    expect(await inState('done').exception(0)).toBe(undefined);
  });

  test('for an exception that somebody sets', async () => {
    const future = new Future();
    const exception = future.exception(60);
    const error = new mp.OSError(5, 'late');
    setImmediate(() => future.setException(error));
    expect(await exception).toBe(error);
    await expect(future).rejects.toBe(error);
  });

  test('nobody could set one while the thread is blocked', () => {
    expect(() => inState('pending').resultSync()).toThrow(mp.RuntimeError);
    expect(() => inState('cancelled').resultSync()).toThrow(CancelledError);
    expect(() => inState('failed').resultSync()).toThrow(RangeError);
    expect(inState('done').resultSync()).toBe(42);
  });

  test('an exception that nobody takes is nobody’s unhandled rejection', async () => {
    const seen: unknown[] = [];
    const note = (error: unknown) => void seen.push(error);
    process.on('unhandledRejection', note);
    inState('failed');
    inState('cancelled');
    await nextTurn();
    process.off('unhandledRejection', note);
    expect(seen).toEqual([]);
  });
});
