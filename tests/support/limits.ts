/**
 * Programs under limits of the kernel's: by a shell's ulimit, by another user's (nproc is no limit for root), without /proc,
 * without a call.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Outcome, running } from './programs.ts';
import { scratchFile } from './scratch.ts';
import type { Method } from './start_methods.ts';

const dist = fileURLToPath(new URL('../fixtures/dist', import.meta.url));
const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A program that is this node behind a line of shell: for setExecutable. @param before such as `ulimit -n 40;` */
export function nodeBehind(before: string): string {
  const path = scratchFile('node');
  writeFileSync(path, `#!/bin/sh\n${before} ${quote(process.execPath)} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A node that may have so many threads and processes. */
export function nodeWithThreads(count: number): string {
  // A user of its own: the kernel counts by user, and root has no limit.
  const user = 100_000 + process.pid * 16 + (nextUser++ % 16);
  return nodeBehind(
    `exec setpriv --reuid=${user} --regid=${user} --clear-groups prlimit --nproc=${count}`,
  );
}
let nextUser = 0;

/** Why `nodeWithThreads` cannot be had here; printed. */
export const noThreadLimit = why('no limit of threads', () => {
  const user = String(100_000 + process.pid * 16);
  const flags = [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  execFileSync('setpriv', [...flags, 'prlimit', '--nproc=50', 'test', '-r', `${dist}/targets.js`], {
    stdio: 'pipe',
  });
});

/** Why nothing can be denied here; printed. */
export const noStrace = why('no strace', () => {
  execFileSync('strace', ['-f', '-o', '/dev/null', 'true'], { stdio: 'pipe' });
});

/** Why /proc cannot be taken away here; printed. */
export const noUnshare = why('no unshare', () => {
  execFileSync('unshare', ['-m', 'umount', '-l', '/proc'], { stdio: 'pipe' });
});

function why(what: string, attempt: () => void): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    const reason = `${what}: ${String((error as Error).message)
      .split('\n')
      .join(' ')}`;
    console.warn(`tests are left out: ${reason}`);
    return reason;
  }
}

/** What `runUnder` runs its program by: a shell's limits, or a command. */
export interface Under {
  /** Such as `ulimit -n 64;` */
  readonly shell?: string;
  /** Such as `['strace', '-f']`. */
  readonly command?: readonly string[];
}

/** Runs a program of tests/fixtures/programs to its end. */
export function runUnder(
  { shell = '', command = [] }: Under,
  name: string,
  args: readonly string[],
  method?: Method,
): Promise<Outcome> {
  const flags = ['--expose-gc', ...(method === 'fork' ? ['--single-threaded'] : [])];
  const argv = [...command, process.execPath, ...flags, `${dist}/programs/${name}.js`, ...args];
  const line = `${shell} exec ${argv.map(quote).join(' ')}`;
  return running(spawn('/bin/sh', ['-c', line], { stdio: ['ignore', 'pipe', 'pipe'] })).outcome;
}
