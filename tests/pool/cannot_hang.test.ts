/**
 * Whatever a task does or whatever is done to its worker: it fails by the right error, all others are right, and the pool goes on.
 */
import { readFileSync } from 'node:fs';
import { BrokenProcessPool, ProcessPoolExecutor } from 'multiprocessing/futures';
import { kill } from 'multiprocessing/os';
import type { Pool } from 'multiprocessing/pool';
import { afterEach, describe, expect, test } from 'vitest';
import { type Caller, callersOf, type Outcome } from '../fixtures/dist/pool_callers.js';
import type { Item } from '../fixtures/dist/pool_targets.js';
import * as targets from '../fixtures/dist/pool_targets.js';
import { type Context, forEachStartMethod, type Method } from '../support/start_methods.ts';

/** Seconds in which each call has to answer: far more than any of them takes. */
const BOUND = 60;
const GOOD = [1, 2, 3, 4, 5, 6];

/** What a bad item has to fail by; undefined: it gives 0. */
const WRONG: Record<string, RegExp | undefined> = {
  killed: /^WorkerLostError .* SIGKILL/,
  exit: /^WorkerLostError .* exit code 0 .* process\.exit/,
  _exit: /^WorkerLostError .* exit code 3 /,
  SystemExit: /^WorkerLostError .* exit code 4 .* SystemExit/,
  'stack overflow': /^RangeError Maximum call stack/,
  'result that cannot be sent': /^MaybeEncodingError .*WeakMap/,
  'error that cannot be sent': /^MaybeEncodingError .*with a map/s,
  'error that cannot be read': /^Error this cannot be made again/,
  'thrown null': /^null$/,
  rejection: undefined,
  timer: undefined,
  'killed after it': undefined,
};

function wordsOf(error: unknown): string {
  return error instanceof Error ? `${error.name} ${error.message}` : String(error);
}

function check(
  caller: Caller,
  outcomes: readonly Outcome[],
  bad: RegExp | undefined,
  at = 2,
): void {
  const isWrong = (outcome: Outcome) => 'error' in outcome;
  const wrong = outcomes
    .filter(isWrong)
    .map((outcome) => wordsOf((outcome as { error: unknown }).error));
  if (bad === undefined) expect(wrong).toEqual([]);
  else {
    expect(wrong.filter((words) => !bad.test(words))).toEqual([]);
    expect(wrong).toEqual([expect.stringMatching(bad)]);
  }
  const right = outcomes
    .filter((outcome) => !isWrong(outcome))
    .map((outcome) => (outcome as { value: unknown }).value);
  const squares = GOOD.map((x) => x * x);
  const all = bad === undefined ? squares.toSpliced(at, 0, 0) : squares;
  if (caller.name === 'executor.map' && bad !== undefined) expect(right).toEqual(all.slice(0, at));
  else if (caller.name === 'imapUnordered')
    expect([...right].sort((a, b) => (a as number) - (b as number))).toEqual(
      [...all].sort((a, b) => a - b),
    );
  else expect(right).toEqual(all);
}

const withBad = (item: Item): Item[] => (GOOD as Item[]).toSpliced(2, 0, item);

function isStopped(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
}

function within<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${BOUND} s`)), BOUND * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

forEachStartMethod((ctx, method) => {
  cannotHang(ctx, method);
});

function cannotHang(ctx: Context, method: Method): void {
  // A forked child has vitest's process.exit(), which throws: tests/pool/programs.test.ts has a process of its own for it.
  if (method === 'fork')
    console.warn('no process.exit() in tasks of really forked workers under vitest');
  const kinds = Object.keys(WRONG).filter((kind) => method !== 'fork' || kind !== 'exit');
  let pool: Pool | undefined;
  let executor: ProcessPoolExecutor | undefined;
  const all = ['apply', 'map', 'imap', 'imapUnordered', 'submit', 'executor.map'];
  const isWhole = method !== 'spawn' || process.env.MULTIPROCESSING_TEST_MATRIX === 'whole';
  // The engine is the same, and a start by spawn takes twenty times as long.
  if (!isWhole) console.warn('two of six ways to call under spawn: `pnpm test:hang` takes all');
  const calls = isWhole ? all : ['apply', 'executor.map'];
  const makeExecutor = () =>
    new ProcessPoolExecutor({ maxWorkers: 2, mpContext: ctx, onWorkerDeath: 'fail-task' });
  const thePool = () => (pool ??= ctx.Pool(2));
  const theExecutor = () => (executor ??= makeExecutor());
  const callerOf = (name: string) =>
    callersOf(thePool, theExecutor).find((caller) => caller.name === name) as Caller;

  afterEach(async () => {
    pool?.terminate();
    await pool?.join();
    await executor?.shutdown();
    pool = undefined;
    executor = undefined;
  });

  describe.each(calls)('%s', (name) => {
    test.each(kinds)('a task and: %s', async (item) => {
      const caller = callerOf(name);
      check(caller, await within(caller.call(withBad(item))), WRONG[item]);
      check(caller, await within(caller.call(withBad(0))), undefined);
    });

    test('workers that are killed before the call', async () => {
      const caller = callerOf(name);
      await within(caller.call([1]));
      for (const pid of caller.pids()) kill(pid, 9);
      check(caller, await within(caller.call(withBad(0))), undefined);
    });

    test('a worker that is stopped in the middle of its task, and killed then', async () => {
      const caller = callerOf(name);
      const outcomes = caller.call(withBad('stopped'));
      let stopped: number | undefined;
      await expect
        .poll(() => (stopped = caller.pids().find(isStopped)), { timeout: BOUND * 1000 })
        .toBeDefined();
      kill(stopped as number, 9);
      check(caller, await within(outcomes), /^WorkerLostError .* SIGKILL/);
    });

    test('an argument that cannot be sent', async () => {
      const caller = callerOf(name);
      const outcomes = await within(caller.call(withBad(new WeakMap() as unknown as Item)));
      check(caller, outcomes, /^PicklingError .*WeakMap/);
    });
  });

  describe.each(calls.filter((name) => /^(apply|map|imap)/.test(name)))('%s', (name) => {
    test('an endless loop whose time is over', async () => {
      const caller = callerOf(name);
      check(
        caller,
        await within(caller.call(withBad('loop'), { timeout: 0.3 })),
        /^TimeoutError .*behave/,
      );
      check(caller, await within(caller.call(withBad(0))), undefined);
    });

    test('an endless loop that is cancelled', async () => {
      const caller = callerOf(name);
      const abort = new AbortController();
      const outcomes = caller.call(['loop'], { signal: abort.signal });
      await expect.poll(() => thePool().stats().running).toBe(1);
      abort.abort(new Error('enough'));
      const [outcome] = await within(outcomes);
      expect(wordsOf((outcome as { error: Error }).error)).toMatch(/^CancelledError/);
      expect(((outcome as { error: Error }).error.cause as Error).message).toBe('enough');
      check(caller, await within(caller.call(withBad(0))), undefined);
    });
  });

  test('an executor whose calls never end is killed', async () => {
    const endless = makeExecutor();
    const future = endless.submit(targets.behave, 'loop');
    await expect.poll(() => future.running()).toBe(true);
    const waiting = endless.submit(targets.square, 2);
    endless.killWorkers();
    expect(wordsOf(await within(future.exception()))).toBe(
      'BrokenProcessPool the workers of the executor were killed',
    );
    expect(waiting.cancelled()).toBe(true);
    await endless.shutdown();
  });

  describe.each([
    ['throws', targets.failToBegin, /initializer of a worker has thrown/],
    ['ends its process', targets.exitAtBegin, /without having done anything.*exit code 7/],
  ] as const)('an initializer that %s', (_, initializer, message) => {
    test.each(calls)('%s', async (name) => {
      pool = ctx.Pool(2, { initializer });
      executor = new ProcessPoolExecutor({ maxWorkers: 2, mpContext: ctx, initializer });
      const outcomes = await within(callerOf(name).call(['loop', 'loop']));
      expect(outcomes.length).toBeGreaterThan(0);
      for (const outcome of outcomes) {
        const words = wordsOf((outcome as { error: unknown }).error);
        expect(words).toMatch(/^BrokenProcessPool/);
        expect(words).toMatch(message);
      }
      const isOfPool = /^(apply|map|imap)/.test(name);
      if (isOfPool)
        expect(() => thePool().applyAsync(targets.square, [1])).toThrow(
          'the pool can do nothing any more',
        );
      else expect(() => theExecutor().submit(targets.square, 1)).toThrow(BrokenProcessPool);
    });
  });
}
