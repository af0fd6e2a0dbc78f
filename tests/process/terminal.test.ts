/**
 * Programs on a terminal, and programs that read their stdin.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { nodeCommand, type Outcome, running, startProgram } from '../support/programs.ts';
import { forEachWay, ways } from '../support/start_methods.ts';

const python = spawnSync('python3', ['-c', 'import pty']);
const noTerminal = python.status === 0 ? undefined : 'python3 has no module pty here';
if (noTerminal !== undefined) console.warn(`tests are left out: ${noTerminal}`);

/** Runs it on a terminal of its own; what it prints there is stdout. */
function onTerminal(command: readonly string[]): Promise<Outcome> {
  const script =
    'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';
  const child = spawn('python3', ['-c', script, ...command], { stdio: ['pipe', 'pipe', 'pipe'] });
  return running(child).outcome; // its stdin stays open: its end would be that of the terminal's
}

forEachWay((how) => {
  const { name, options } = ways(how);

  test.skipIf(noTerminal).each(['return', 'exit', 'error', 'uncaught', 'SIGTERM', 'SIGINT'])(
    'a child that ends (%s) leaves the modes of the terminal',
    async (way) => {
      const command = nodeCommand('terminal', [name, 'modes', way], options);
      const { stdout } = await onTerminal(command);
      expect(stdout).toMatch(/^raw\r?$/m);
    },
  );

  test.skipIf(noTerminal)('an asynchronous child prints on a terminal', async () => {
    const { stdout } = await onTerminal(nodeCommand('terminal', [name, 'reader'], options));
    expect(stdout).toBe('the child has printed\r\nexit code 7\r\n');
  });

  test.each(['pipe', 'file'])(
    'a program that reads its stdin (%s) keeps its child',
    async (kind) => {
      const stdin = kind === 'file' ? openSync(fileURLToPath(import.meta.url), 'r') : 'pipe';
      const { child, outcome } = startProgram('terminal', [name, 'reader'], {
        ...options,
        stdio: [stdin, 'pipe', 'pipe'],
      });
      expect(await outcome).toMatchObject({
        stdout: 'the child has printed\nexit code 7\n',
        stderr: '',
        code: 0,
      });
      child.stdin?.destroy();
      if (typeof stdin === 'number') closeSync(stdin);
    },
  );
});
