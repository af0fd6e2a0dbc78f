/**
 * Classes derived from Process. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import * as mp from 'multiprocessing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failing, UpperCaser, Wrapped } from '../fixtures/dist/classes.js';
import { report } from '../fixtures/dist/report.js';
import * as targets from '../fixtures/dist/targets.js';
import { Channel } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

forEachStartMethod((_ctx, method) => {
  const before = mp.getStartMethod({ allowNone: true });
  beforeEach(() => mp.setStartMethod(method, { force: true }));
  afterEach(() => mp.setStartMethod(before, { force: true }));

  test('a subclass answers from its own run with the state that its constructor made', async () => {
    const [requests, answers] = [new Channel(), new Channel()];
    const p = new UpperCaser(requests.path, answers.path);
    expect(p.name).toMatch(/^UpperCaser-\d+$/);
    p.daemon = true;
    await p.start();
    for (const word of ['hello', 'world']) {
      report(requests.path, word);
      expect(await answers.next()).toBe(word.toUpperCase());
    }
    report(requests.path, '');
    await p.join();
    expect(p.exitcode).toBe(0);
    expect(await answers.next()).toEqual([2, p.name, true]);
    expect(p.answered).toBe(0); // the child's object is its own
    expect(String(p)).toMatch(/^<UpperCaser name=/);
  });

  test('an asynchronous run can call the target', async () => {
    const channel = new Channel();
    const p = new Wrapped({ target: targets.reportArgsLater, args: [channel.path, 1] as never });
    p.channel = channel.path;
    await p.start();
    await p.join();
    expect(channel.all()).toEqual(['before', [1], 'after']);
    expect(p.exitcode).toBe(0);
  });

  test('what an asynchronous run throws decides the exit code', async () => {
    const p = new Failing();
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(17);
  });
});

forEachStartMethod(['fork'], () => {
  test('startSync refuses an asynchronous run before it forks', () => {
    const p = new (class extends mp.ForkProcess {
      override async run(): Promise<void> {}
    })();
    expect(() => p.startSync()).toThrow(mp.RuntimeError);
    expect(() => p.startSync()).toThrow('await process.start()');
    expect(p.pid).toBeUndefined();
  });
});
