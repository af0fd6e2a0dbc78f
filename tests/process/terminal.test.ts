/**
 * Programs on a terminal.
 */
import { spawn, spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { nodeCommand, type Outcome, running } from '../support/programs.ts';
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
});
