/**
 * One run of benchmarks/programs/kernel.ts while strace makes a call of the kernel fail; kernel.ts says which, and judges.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { childrenOf, processesWith } from './support.ts';

/** A call, by what strace calls it, with the errors that it can have and the names that an OSError may give it. */
export interface Call {
  readonly trace: string;
  readonly errors: readonly string[];
  readonly names: readonly string[];
}

export const METHODS = ['spawn', 'forkserver', 'forkserver, running', 'fork'] as const;
export type Method = (typeof METHODS)[number];

const program = fileURLToPath(new URL('../programs/dist/kernel.js', import.meta.url));
const SECONDS = 40;
interface Running {
  readonly child: ChildProcess;
  readonly marker: string;
  /** For its temporary files. */
  readonly folder: string;
  readonly lines: { step?: string; outcome?: string; error?: Failure; ready?: number }[];
  readonly said: (word: 'ready' | 'done') => Promise<void>;
  readonly stderr: () => string;
}

export interface Failure {
  readonly name: string;
  readonly code?: string;
  readonly syscall?: string;
  readonly message: string;
  readonly typed: boolean;
}

let counter = 0;

function start(method: Method): Running {
  const marker = `MP_SOAK=${process.pid}-${++counter}`;
  const folder = join(scratch, String(counter));
  mkdirSync(folder, { recursive: true });
  const name = method.replace(/,.*/, '');
  const flags = ['--expose-gc', ...(name === 'fork' ? ['--single-threaded'] : [])];
  const warm = method.includes('running') ? 'warm' : 'cold';
  const child = spawn(process.execPath, [...flags, program, name, warm], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, MP_SOAK: marker.slice(8), TMPDIR: folder },
  });
  child.stdin?.on('error', () => {});
  const text = { out: '', err: '' };
  const lines: Running['lines'] = [];
  const waiting = new Map<string, () => void>();
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text.out += chunk;
    const whole = text.out.split('\n');
    text.out = whole.pop() ?? '';
    for (const line of whole) {
      const said = JSON.parse(line) as Running['lines'][number];
      lines.push(said);
      for (const word of Object.keys(said)) waiting.get(word)?.();
    }
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text.err += chunk;
  });
  const ended = once(child, 'exit');
  const said = async (word: string) => {
    if (lines.some((line) => word in line)) return;
    await Promise.race([new Promise<void>((resolve) => waiting.set(word, resolve)), ended]);
  };
  return { child, marker, folder, lines, said, stderr: () => text.err };
}

/** The server of a program: what it has started before. */
function serverOf(pid: number): number[] {
  return childrenOf(pid).filter((child) => {
    return readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('forkserver_main');
  });
}

/** Attaches strace. Resolves when it has all threads. */
async function attach(pids: readonly number[], inject: readonly string[]): Promise<ChildProcess> {
  const flags = [
    '-f',
    '-o',
    log(pids[0] as number),
    ...inject,
    ...pids.flatMap((pid) => ['-p', String(pid)]),
  ];
  const strace = spawn('strace', flags, { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  const attached = () => pids.every((pid) => text.includes(`Process ${pid} attached`));
  await new Promise<void>((resolve) => {
    strace.once('exit', () => resolve());
    strace.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (attached()) resolve();
    });
  });
  if (!attached()) throw new Error(`strace cannot attach: ${text.trim()}`);
  return strace;
}

/** Where the runs have their temporary files; to be removed in the end. */
export const scratch = join(tmpdir(), `mp-soak-kernel-${process.pid}`);
const log = (pid: number) => join(scratch, `${pid}.strace`);

export interface Outcome extends Running {
  readonly code: number | null;
  readonly signal: string | null;
  readonly hangs: boolean;
  /** What its fds are. */
  readonly fds: readonly string[];
  readonly left: string[];
  /** How often each thread of the program and its server has made the call. */
  readonly occurrences: number;
}

/** Runs it once. @param inject as strace has it; nothing fails, without */
export async function run(
  method: Method,
  { trace }: Call,
  inject: string | undefined,
): Promise<Outcome> {
  const running = start(method);
  const { child } = running;
  const pid = child.pid as number;
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  await running.said('ready');
  const pids = [pid, ...serverOf(pid)];
  const flags = ['-e', `trace=${trace}`, ...(inject ? ['-e', `inject=${trace}:${inject}`] : [])];
  const strace = await attach(pids, flags);
  const timer = new AbortController();
  const late = sleep(SECONDS * 1000, 'late', { signal: timer.signal }).catch(() => 'not late');
  child.stdin?.write('x');
  let hangs = (await Promise.race([running.said('done'), late])) === 'late';
  const fds = fdsOf(pid);
  child.stdin?.write('x');
  hangs = (await Promise.race([ended, late])) === 'late' || hangs;
  timer.abort();
  const left = await leftovers(running, hangs);
  if (hangs) child.kill('SIGKILL');
  const [code, signal] = await ended;
  for (const other of processesWith(running.marker)) kill(other);
  if (strace.exitCode === null) await once(strace, 'exit');
  const occurrences = countCalls(log(pid), pids);
  rmSync(log(pid), { force: true });
  return { ...running, code, signal, hangs, fds, left, occurrences };
}

function fdsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/:\[\d+\]/, '');
    });
  } catch {
    return []; // it has ended
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}

/** What is there when the program has ended, and does not go within five seconds. */
async function leftovers({ marker, folder }: Running, hangs: boolean): Promise<string[]> {
  const look = () => [...processesWith(marker).map((pid) => describe(pid)), ...readdirSync(folder)];
  for (let i = 0; i < 250 && !hangs; i++) {
    if (look().length === 0) return [];
    await sleep(20);
  }
  return look();
}

function describe(pid: number): string {
  try {
    return `process ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 150)}`;
  } catch {
    return `process ${pid}`;
  }
}

/** The most calls that one of these threads has made. */
function countCalls(file: string, pids: readonly number[]): number {
  const counts = new Map<string, number>();
  try {
    for (const [, tid = ''] of readFileSync(file, 'utf8').matchAll(/^(\d+) +\w+\(/gm)) {
      counts.set(tid, (counts.get(tid) ?? 0) + 1);
    }
  } catch {
    return 0;
  }
  return Math.max(0, ...pids.map((pid) => counts.get(String(pid)) ?? 0));
}
