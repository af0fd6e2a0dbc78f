/**
 * Runs one library through one row of what tasks do, and says what it does: a line of JSON for each fact.
 *
 *     node --expose-gc behaviour.mjs LIBRARY ROW
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { inspect } from 'node:util';
import { libraries } from './libraries.mjs';
import tasks from './tasks.cjs';

const [, , library = '', row = ''] = process.argv;
const isOurs = library === 'pool';
/** What this process is told beside results. */
const told = [];

const say = (fact, value) => console.log(JSON.stringify([fact, value]));

/** What becomes of a promise in so many milliseconds. */
const settle = (promise, milliseconds = 4000) =>
  Promise.race([
    Promise.resolve(promise).then(
      (value) => ({ value }),
      (error) => ({ error }),
    ),
    wait(milliseconds, {}),
  ]);

async function open(options) {
  const pool = await libraries[library](1, options);
  const { pool: inner } = pool;
  const events = inner.emitter ?? inner;
  if (typeof events.on === 'function') events.on('error', (error) => told.push(error));
  await pool.run('square', 1);
  return pool;
}

const isWell = async (pool) => (await settle(pool.run('square', 7))).value === 49;
const words = (value) => inspect(value, { depth: 6, showHidden: false });

const ROWS = {
  async error() {
    const pool = await open();
    const { error } = await settle(pool.run('fail'));
    say('its class', error instanceof tasks.LimitError);
    say('its name and message', error?.name === 'LimitError' && error.message === 'too many');
    const at = error?.at instanceof Date && error.at.getTime() === 0;
    say('its own fields', at && error.limit?.most?.[1] === 2);
    const { cause } = error ?? {};
    say('its cause', cause instanceof RangeError && cause.message === 'out of range');
    say("the task's stack", words(error).includes('behaviours.cjs'));
    await pool.end();
  },

  async thrown() {
    const thrown = async (what) => {
      const pool = await open();
      const outcome = await settle(pool.run('throwThis', what));
      await pool.end();
      return 'error' in outcome ? outcome : { error: wait };
    };
    say('`null`', (await thrown('null')).error === null);
    say('a string', (await thrown('text')).error === 'some text');
    const { error: dom } = await thrown('DOMException');
    say('a `DOMException`', dom instanceof DOMException && dom.name === 'InvalidStateError');
    const { error } = await thrown('AggregateError');
    const [one, two] = error?.errors ?? [];
    const are = one instanceof TypeError && two instanceof RangeError && two.message === 'two';
    say('an `AggregateError` of Errors', error instanceof AggregateError && are);
  },

  async result() {
    const given = async (what) => {
      const pool = await open();
      const outcome = await settle(pool.run('give', what), 2000);
      const well = await isWell(pool);
      await pool.end();
      return { ...outcome, well };
    };
    const { value: point } = await given('instance');
    say('an instance of a class', point instanceof tasks.Point && point.twice() === 6);
    const { value: values } = await given('values');
    const date = values?.map?.get?.(1);
    const numbers = values?.big === 2n ** 70n && Object.is(values?.zero, -0);
    say(
      'Map, Date, BigInt, -0, a cycle',
      date instanceof Date && numbers && values.itself === values,
    );
    say('a symbol key', (await given('symbol')).value?.[Symbol.for('key')] === 1);
    const { value: result } = await given('function');
    say('a function that was made there', typeof result === 'function' && (await result(1)) === 2);
    const { value: named } = await given('named');
    say('a function of a module', typeof named === 'function' && (await named(3)) === 9);
    const { error, well } = await given('uncloneable');
    say('what cannot go: an error', error instanceof Error && error.message !== '');
    say('which names it', /WeakMap/.test(error?.message));
    say('and where it is in the result', /\blist\b/.test(error?.message));
    say('and the pool goes on', well);
  },

  async exit() {
    const pool = await open();
    const who = String(await pool.run('whoAmI')).split(' ');
    const file = scratch('ran');
    const { error } = await settle(pool.run('exit', file));
    const text = words(error);
    say('the task fails', error !== undefined);
    say('with the exit code', /(exit ?code|code)\W{1,4}0\b|exited with code 0/i.test(text));
    say('the pid of the worker', new RegExp(`\\b${who[0]}\\b`).test(text) && who[1] === '0');
    say('the task and its argument', /\bexit \(item|'exit'/.test(text) && text.includes(file));
    say('and was run once', readFileSync(file, 'utf8') === 'x');
    say('the pool goes on', await isWell(pool));
    await settle(pool.end());
  },

  async endless() {
    const pool = await open();
    if (pool.begin !== undefined) {
      const { promise, stop } = pool.begin('endless');
      promise.then?.(undefined, () => {});
      await wait(300);
      const reason = new Error('no more of it');
      const begin = performance.now();
      stop(reason);
      const { error } = await settle(promise);
      const time = performance.now() - begin;
      say('can be stopped', error !== undefined);
      if (error !== undefined && library !== 'synckit')
        say('after, milliseconds', String(Math.max(1, Math.round(time))));
      say('with the reason that was given', error?.cause === reason || error === reason);
      say('and the pool goes on', await isWell(pool));
    }
    void settle(pool.end());
    await tidies();
  },

  async timer() {
    const pool = await open();
    const file = scratch('timer');
    await pool.run('leaveTimer', file);
    await wait(100);
    const workers = isOurs ? pool.pool.stats().workers : [];
    const isCounted = workers.some(({ leftBehind }) => leftBehind > 0);
    const isNamed = workers.some(({ leftBy }) => leftBy === 'leaveTimer');
    await wait(800);
    say('it fires on time', existsSync(file));
    say('somebody tells of it', isCounted || told.length > 0);
    say('and which task it is of', isNamed || words(told).includes('leaveTimer'));
    await settle(pool.end());
  },

  async rejection() {
    const pool = await open();
    await pool.run('leaveRejection');
    await wait(1000);
    const text = words(told);
    say('the program is told', told.length > 0);
    say('of the error itself', text.includes('a stray error'));
    say('and which task it was of', text.includes('leaveRejection ') || text.includes("'leaveRej"));
    say('and the next task runs', await isWell(pool));
    await settle(pool.end());
  },

  async garbage() {
    let pool = await open();
    const promise = pool.run('pause', 300);
    pool = undefined;
    for (let i = 0; i < 10; i++) {
      await wait(10);
      globalThis.gc();
    }
    say('its task ends, and is answered', 'value' in (await settle(promise)));
    await wait(100);
    globalThis.gc();
    await wait(100);
    say('a warning', /never|forgotten|not closed|close\(\)/.test(words(told)));
  },
};

/** Whether a task has time to tidy up when it is stopped. */
async function tidies() {
  const pool = await open(isOurs ? { killTimeout: 1 } : {});
  if (pool.begin === undefined || library === 'synckit') return;
  const file = scratch('tidied');
  const { promise, stop } = pool.begin('tidy', { file, isOurs });
  promise.then?.(undefined, () => {});
  await wait(300);
  stop(new Error('no more of it'));
  await settle(promise);
  await wait(300);
  say('and the task can tidy up first', existsSync(file));
}

const folder = mkdtempSync(join(tmpdir(), 'multiprocessing-behaviour-'));
const scratch = (name) => join(folder, name);
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** A child of a pool imports this file, too. */
const isMain = !isOurs || (await import('multiprocessing')).isMain(import.meta);
if (isMain) {
  process.on('warning', (warning) => told.push(warning));
  process.on('uncaughtException', (error) => told.push(error));
  await ROWS[row]();
  // The last row is about whether the program ends.
  if (row !== 'garbage') process.exit();
  process.stdout.write('', () => say('last', true));
}
