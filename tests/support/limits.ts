/**
 * Programs under limits of the kernel's: by a shell's ulimit, by another user's (nproc is no limit for root), without /proc,
 * without a call.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, constants, copyFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Outcome, running } from './programs.ts';
import { scratchFile } from './scratch.ts';
import type { Method } from './start_methods.ts';

const dist = fileURLToPath(new URL('../fixtures/dist', import.meta.url));
const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A program that is a node behind a line of shell: for setExecutable. @param before such as `ulimit -n 40;` */
export function nodeBehind(before: string, node = process.execPath): string {
  const path = scratchFile('node');
  writeFileSync(path, `#!/bin/sh\n${before} ${quote(node)} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A node that may have so many threads and processes. */
export function nodeWithThreads(count: number, node?: string): string {
  // A user of its own: the kernel counts by user, and root has no limit.
  const user = 100_000 + process.pid * 16 + (nextUser++ % 16);
  return nodeBehind(
    `exec setpriv --reuid=${user} --regid=${user} --clear-groups prlimit --nproc=${count}`,
    node,
  );
}
let nextUser = 0;

/** A copy of this node that others may run, and not read. */
export function unreadableNode(): string {
  const path = scratchFile('node');
  for (const folder of [tmpdir(), dirname(path)]) chmodSync(folder, 0o711);
  copyFileSync(process.execPath, path, constants.COPYFILE_FICLONE);
  chmodSync(path, 0o711);
  return path;
}

/** A command before a program that makes it another user's. */
export const AS_NOBODY: readonly string[] = [
  'setpriv',
  '--reuid=65534',
  '--regid=65534',
  '--clear-groups',
];

/** Why no other user can run anything here; printed. */
export const noOtherUser = why('no other user', () => {
  const [setpriv = '', ...flags] = AS_NOBODY;
  execFileSync(setpriv, [...flags, 'test', '-r', `${dist}/targets.js`], { stdio: 'pipe' });
});

/** Why `nodeWithThreads` cannot be had here; printed. */
export const noThreadLimit = why('no limit of threads', () => {
  const user = String(100_000 + process.pid * 16);
  const flags = [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  execFileSync('setpriv', [...flags, 'prlimit', '--nproc=50', 'test', '-r', `${dist}/targets.js`], {
    stdio: 'pipe',
  });
});

/** Why a process cannot give itself another limit of open files; printed. */
export const noFdLimit = why('no limit of open files', () => {
  execFileSync('prlimit', ['--nofile=100:', 'true'], { stdio: 'pipe' });
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
  /** In place of this one. */
  readonly node?: string;
}

/** Runs a program of tests/fixtures/programs to its end. */
export function runUnder(
  { shell = '', command = [], node = process.execPath }: Under,
  name: string,
  args: readonly string[],
  method?: Method,
): Promise<Outcome> {
  const flags = ['--expose-gc', ...(method === 'fork' ? ['--single-threaded'] : [])];
  const argv = [...command, node, ...flags, `${dist}/programs/${name}.js`, ...args];
  const line = `${shell} exec ${argv.map(quote).join(' ')}`;
  return running(spawn('/bin/sh', ['-c', line], { stdio: ['ignore', 'pipe', 'pipe'] })).outcome;
}
