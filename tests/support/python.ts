/**
 * The Pythons of this machine, which share memory with this library.
 */
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { type Running, running } from './programs.ts';

export interface Python {
  readonly label: string;
  /** `3.13.0` */
  readonly version: string;
  run(code: string, ...args: string[]): SpawnSyncReturns<string>;
  /** The same with something on its stdin. */
  feed(input: string, code: string): SpawnSyncReturns<string>;
  /** As `run`, beside what the test does meanwhile. */
  start(code: string, ...args: string[]): Running;
}

const named = process.env.MULTIPROCESSING_TEST_PYTHON;

const candidates: [label: string, command: string, env?: Record<string, string>][] = named
  ? [[`MULTIPROCESSING_TEST_PYTHON=${named}`, named]]
  : [
      ['python3', 'python3'],
      ['python3.13', 'python3.13'],
      ['PYENV_VERSION=3.13.0 python3', 'python3', { PYENV_VERSION: '3.13.0' }],
    ];

/** The oldest that has multiprocessing.shared_memory, for what differs between versions. */
const oldest: typeof candidates = named
  ? []
  : [
      ['python3.8', 'python3.8'],
      ['PYENV_VERSION=3.8.18 python3', 'python3', { PYENV_VERSION: '3.8.18' }],
    ];

/**
 * Those that have multiprocessing.shared_memory, one of each version, and why others are not there.
 * @param options.old whether one of 3.8 is looked for, too
 */
export function findPythons({ old = false } = {}): Found {
  return find(
    old ? [...oldest, ...candidates] : candidates,
    'import platform, multiprocessing.shared_memory; print(platform.python_version())',
    'Python',
  );
}

/** Those that have numpy, one of each version of that. */
export function findNumpys(): Found {
  const others: typeof candidates = named
    ? []
    : [
        ['/usr/bin/python3', '/usr/bin/python3'],
        ['PYENV_VERSION=3.8.18 python3', 'python3', { PYENV_VERSION: '3.8.18' }],
      ];
  return find([...candidates, ...others], 'import numpy; print(numpy.__version__)', 'numpy');
}

interface Found {
  readonly pythons: Python[];
  readonly reasons: string[];
}

/** @param ask a program that prints the version of something */
function find(commands: typeof candidates, ask: string, what: string): Found {
  const pythons = new Map<string, Python>();
  const reasons: string[] = [];
  for (const [label, command, env] of commands) {
    const feed = (input: string, code: string, ...args: string[]) =>
      spawnSync(command, ['-c', code, ...args], {
        encoding: 'utf8',
        env: { ...process.env, ...env },
        timeout: 20_000,
        maxBuffer: 64 * 2 ** 20,
        input,
      });
    const run = (code: string, ...args: string[]) => feed('', code, ...args);
    const start = (code: string, ...args: string[]) =>
      running(spawn(command, ['-c', code, ...args], { env: { ...process.env, ...env } }));
    const { error, status, stdout, stderr } = run(ask);
    if (error || status !== 0) {
      reasons.push(`${label}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
      continue;
    }
    const version = stdout.trim();
    if (!pythons.has(version))
      pythons.set(version, { label: `${what} ${version}`, version, run, feed, start });
  }
  return { pythons: [...pythons.values()], reasons };
}

/** Before a snippet: `forget(shm)` keeps Python's own tracker from unlinking what it has only attached to. */
export const prelude = `
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory, ShareableList
def forget(shm):
    resource_tracker.unregister(shm._name, 'shared_memory')
`;
