/**
 * Processes that the kernel does not let look into themselves: their /proc/self is root's. One has changed its user, or its program may
 * not be read by who runs it.
 */
import * as mp from 'multiprocessing';
import { afterEach, describe, expect, test } from 'vitest';
import {
  AS_NOBODY,
  nodeWithThreads,
  noOtherUser,
  noThreadLimit,
  runUnder,
  unreadableNode,
} from '../support/limits.ts';
import { runProgram } from '../support/programs.ts';

afterEach(() => mp.setExecutable(undefined));

const NOBODY = 65534;

const ways = [
  ['spawn', '<SpawnContext>', 'spawn'],
  ['forkserver', '<ForkServerContext>', 'forkserver'],
  ['a real fork', '<ForkContext>', 'fork'],
  ['an emulated fork', '<ForkContext emulated>', undefined],
] as const;

function expectWell(text: string, context: string, user = NOBODY): void {
  expect(JSON.parse(text || 'null')).toEqual({
    context,
    users: [user, user, user],
    segments: [7, 7, 7],
    randoms: 3,
    exitcodes: [0, 0, 0],
  });
}

describe.skipIf(noOtherUser).each(ways)('%s', (_, context, method) => {
  const name = method ?? 'fork';
  const isServed = context === '<ForkServerContext>' || context === '<ForkContext emulated>';

  test('starts children after setuid', async () => {
    const args = [name, 'give-up'];
    const { stdout, stderr } = await runProgram('as_nobody', args, method && { method });
    expect(stderr).toBe('');
    expectWell(stdout, context);
  });

  test('starts more of them after setuid', async () => {
    const args = [name, 'give-up', 'used'];
    const { stdout, stderr } = await runProgram('as_nobody', args, method && { method });
    expect(stderr).toBe('');
    expectWell(stdout, context, isServed ? 0 : NOBODY); // a server stays what it was
  });

  test('starts children by a node that may not be read', async () => {
    const under = { command: AS_NOBODY, node: unreadableNode() };
    const { stdout, stderr } = await runUnder(under, 'as_nobody', [name], method);
    expect(stderr).toBe('');
    expectWell(stdout, context);
  });
});

test.skipIf(noOtherUser ?? noThreadLimit)(
  'a node that may not be read and sleeps in its own start is ended',
  async () => {
    const node = nodeWithThreads(2, unreadableNode());
    const { stdout, stderr } = await runProgram('stuck_child', ['spawn', node]);
    expect(stdout.split('\n')[1]).toBe('{"exitcode":-9}');
    expect(stderr).toMatch(/ulimit -u is 2/);
  },
);
