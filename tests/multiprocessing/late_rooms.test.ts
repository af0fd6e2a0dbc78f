/**
 * Rooms of the library that are loaded when they are first needed.
 */
import { execFileSync } from 'node:child_process';
import { BrokenProcessPool } from 'multiprocessing/futures';
import { RemoteError } from 'multiprocessing/managers';
import { KeyError } from 'multiprocessing/pickle';
import { expect, test } from 'vitest';
import * as targets from '../fixtures/dist/pool_targets.js';
import { forEachStartMethod } from '../support/start_methods.ts';

/** What a program prints that has the library. */
function said(code: string): string[] {
  const program = `
    import * as mp from 'multiprocessing';
    const bundle = process.getBuiltinModule('node:fs')[Symbol.for('multiprocessing.bundle')];
    const rooms = () => console.log(['pickle', 'pool', 'futures', 'managers'].filter((name) => name in bundle.exports).join(' '));
    ${code}`;
  const node = ['--input-type=module', '-e', program];
  return execFileSync(process.execPath, node, { encoding: 'utf8', cwd: import.meta.dirname })
    .trimEnd()
    .split('\n');
}

test('no room is loaded before it is needed', () => {
  expect(
    said(`rooms(); const pool = mp.getContext('spawn').Pool(1); rooms(); pool.terminate();`),
  ).toEqual(['', 'pool futures']);
  expect(said(`await import('multiprocessing/managers'); rooms();`)).toEqual([
    'pickle pool futures managers',
  ]);
  const codec = `const [a, b] = mp.Pipe(true, { codec: 'pickle' }); rooms(); a.sendSync([1]); console.log(b.recvSync()); rooms();`;
  expect(said(codec)).toEqual(['', '[ 1 ]', 'pickle']);
});

forEachStartMethod((ctx) => {
  test('a child finds what it is sent of a room that it has not loaded', async () => {
    // The server is there before the room.
    const p = new ctx.Process({ target: targets.square, args: [1] });
    await p.start();
    await p.join();
    const [here, there] = ctx.Pipe();
    const errors = [new BrokenProcessPool('one'), new RemoteError('two'), new KeyError('three')];
    const child = new ctx.Process({ target: targets.sendBack, args: [there, errors] });
    await child.start();
    const [back, names] = (await here.recv()) as [Error[], string[]];
    await child.join();
    expect(names).toEqual(['BrokenProcessPool', 'RemoteError', 'KeyError']);
    expect(back.map((error) => error.constructor)).toEqual([
      BrokenProcessPool,
      RemoteError,
      KeyError,
    ]);
    here.close();
    there.close();
  });

  test('a pool in a program whose server is older', async () => {
    const pool = ctx.Pool(1);
    try {
      expect(await pool.apply(targets.square, [3])).toBe(9);
    } finally {
      pool.terminate();
      await pool.join();
    }
  });
});
