/**
 * Timers and clocks, and what else is the program's own: taken once.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import * as targets from '../fixtures/dist/targets.js';
import { runProgram } from '../support/programs.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

forEachStartMethod((ctx, method) => {
  test('a test with fake timers runs a child to its end', async () => {
    vi.useFakeTimers();
    try {
      const p = new ctx.Process({ target: targets.empty });
      await p.start();
      await p.join();
      expect(p.exitcode).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  describe.each(['node:test', 'globals'])('with the timers of %s replaced', (kind) => {
    test.each(['before', 'after'])('%s the library is loaded, all waits end', async (when) => {
      const { code, stdout } = await runProgram('fake_timers', [method, kind, when], { method });
      expect({ code, stdout }).toEqual({ code: 0, stdout: '0 0 false,false,Empty\n' });
    });
  });
});

/** The linter looks after globals; these are properties of `process`. */
test('no other file asks for what a program may replace', () => {
  const packages = fileURLToPath(new URL('../../packages/', import.meta.url));
  const files = readdirSync(packages, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /^\w+\/src\/.*\.ts$/.test(file),
  );
  const asking = files.filter((file) =>
    /process\.(hrtime|nextTick|cwd|execArgv|env\.NODE_OPTIONS)\b/.test(
      readFileSync(packages + file, 'utf8').replaceAll(/^ *(\/\*)?\*.*$|\/\/.*$/gm, ''),
    ),
  );
  expect(asking.sort()).toEqual([
    'multiprocessing/src/cli_arguments.ts', // of a program that it starts
    'multiprocessing/src/vitest_coverage.ts', // where vitest runs
    'popen/src/base/start_node.ts', // the environment that a child gets
    'popen/src/base/start_watch.ts', // as above
    'popen/src/loader/loader.ts', // the environment that a child gets
    'popen/src/loader/tsx_in_thread.ts', // runs before everything
    'popen/src/spawn/spawn.ts', // takes a flag away
    'posix/src/node/clocks.ts', // takes them once
    'posix/src/node/program.ts',
  ]);
});
