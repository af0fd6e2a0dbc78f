/**
 * What the programs of programs.ts do with their target: `node MAIN METHOD` starts a child by the method and prints, as JSON,
 * how it went.
 */
import { isDeepStrictEqual } from 'node:util';
import { getContext } from 'multiprocessing';

/** Seconds after which a child hangs. */
const LONG = 15;

/**
 * @param target sends what it has found over the connection that it is given
 * @param use finds the same, here; after the child, which is the first to use the package
 */
export async function start(target, use) {
  const [, main, method] = process.argv;
  const ctx = getContext(method);
  if (method !== 'fork') ctx.allowClosures = main.includes('inline');
  const [mine, childs] = ctx.Pipe(false);
  const p = new ctx.Process({ target, args: [childs] });
  await p.start();
  childs.close();
  const answered = await mine.poll(LONG);
  const found = answered ? await mine.recv().catch((error) => error) : undefined;
  if (answered) await p.join(LONG);
  const hangs = p.exitcode === undefined;
  if (hangs) p.kill();
  await p.join();
  const emulated = method === 'fork' && ctx.emulated; // before the use, which may make threads
  const expected = await use();
  const ending = {
    hangs,
    exitcode: p.exitcode,
    emulated,
    right: expected !== undefined && isDeepStrictEqual(found, expected),
    found: JSON.stringify(found) ?? String(found),
  };
  process.stdout.write(JSON.stringify(ending));
  process.exit(0);
}
