/**
 * What becomes of errors in an executor.
 */
import { ProcessPoolExecutor } from 'multiprocessing/futures';
import { afterEach, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/pool_targets.js';
import { forEachStartMethod } from '../support/start_methods.ts';

forEachStartMethod((ctx) => {
  const warnings: Error[] = [];
  const listen = (warning: Error) => warnings.push(warning);
  afterEach(() => {
    process.off('warning', listen);
    warnings.length = 0;
  });

  test("an error has the worker's stack for its cause", async () => {
    await using executor = new ProcessPoolExecutor({ maxWorkers: 1, mpContext: ctx });
    const error = (await executor.submit(targets.fail, 7).exception()) as Error;
    expect(error).toBeInstanceOf(targets.OwnError);
    expect((error.cause as Error).name).toBe('RemoteTraceback');
  });

  test('an executor that breaks says it by its futures, and by nothing else', async () => {
    process.on('warning', listen);
    await using executor = new ProcessPoolExecutor({ maxWorkers: 1, mpContext: ctx });
    const error = (await executor.submit(targets.behave, 'killed').exception()) as Error;
    expect(error.name).toBe('BrokenProcessPool');
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  });
});
