/**
 * What the library does when the kernel refuses. Each call that it makes is denied under each start method, as an old kernel
 * (ENOSYS) and a sandbox (EPERM) do, and then each of its occurrences fails once. Every run has to end well or with an OSError
 * that names the call; none may hang, crash, or leave a child, an fd, a segment or a file.
 *
 * strace changes what the call returns. It is attached when the program and its server stand, so that the threads that Node
 * begins with are not meant. A fresh node that a run starts is: it has the call denied from its first instruction.
 *
 *     tsx benchmarks/soak/kernel.ts [CALL ...] [--update]      all calls, without; --update: into docs/kernel.md
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describeMachine } from '../machine.ts';
import { toMarkdown, toText, updatePage } from '../table.ts';
import { childrenOf, inParallel, processesWith } from './support.ts';

/** A call, by what strace calls it, with the errors that it can have and the names that an OSError may give it. */
interface Call {
  readonly trace: string;
  readonly errors: readonly string[];
  readonly names: readonly string[];
}

const CALLS: Readonly<Record<string, Call>> = {
  pipe2: call('pipe2', 'EMFILE ENFILE', 'pipe2'),
  socketpair: call('socketpair', 'EMFILE ENOMEM', 'socketpair'),
  memfd_create: call('memfd_create', 'EMFILE ENOMEM', 'memfd_create'),
  ftruncate: call('ftruncate', 'ENOMEM ENOSPC', 'ftruncate'),
  fallocate: call('fallocate', 'ENOSPC', 'fallocate'),
  mmap: call('mmap', 'ENOMEM EMFILE', 'mmap'),
  dup3: call('dup3', 'EBUSY', 'dup3'),
  fcntl: call('fcntl', 'EMFILE', 'fcntl'),
  sendmsg: call('sendmsg', 'ENOBUFS ETOOMANYREFS', 'sendmsg'),
  recvmsg: call('recvmsg', 'ENOMEM', 'recvmsg'),
  clone: call('clone,clone3,fork,vfork', 'EAGAIN ENOMEM', 'posix_spawn fork pthread_create'),
  pidfd_open: call('pidfd_open', 'EMFILE ENOMEM', 'pidfd_open'),
  madvise: call('madvise', 'ENOMEM EAGAIN', 'madvise'),
  openat: call('openat', 'EMFILE ENFILE', 'open openat shm_open mkdtemp scandir opendir'),
  prctl: call('prctl', 'EINVAL', 'prctl'),
  membarrier: call('membarrier', 'EINVAL', 'membarrier'),
  poll: call('poll', 'ENOMEM', 'poll'),
};

function call(trace: string, errors: string, names: string): Call {
  return { trace, errors: errors.split(' '), names: names.split(' ') };
}

const METHODS = ['spawn', 'forkserver', 'forkserver, running', 'fork'] as const;
type Method = (typeof METHODS)[number];

/** How a run ended. `node`: the program or a child ended in Node's own code, which has no error for it. */
type Kind = 'well' | 'OSError' | 'node' | 'BAD';

interface Ending {
  readonly kind: Kind;
  readonly text: string;
}

const program = fileURLToPath(new URL('../programs/dist/kernel.js', import.meta.url));
const SECONDS = 40;
/** More occurrences of a call in one thread are not tried. */
const MOST = 40;

interface Running {
  readonly child: ChildProcess;
  readonly marker: string;
  readonly lines: { step?: string; outcome?: string; error?: Failure; ready?: number }[];
  readonly said: (word: 'ready' | 'done') => Promise<void>;
  readonly stderr: () => string;
}

interface Failure {
  readonly name: string;
  readonly code?: string;
  readonly syscall?: string;
  readonly message: string;
  readonly typed: boolean;
}

let counter = 0;

function start(method: Method): Running {
  const marker = `MP_SOAK=${process.pid}-${++counter}`;
  const name = method.replace(/,.*/, '');
  const flags = ['--expose-gc', ...(name === 'fork' ? ['--single-threaded'] : [])];
  const warm = method.includes('running') ? 'warm' : 'cold';
  const child = spawn(process.execPath, [...flags, program, name, warm], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, MP_SOAK: marker.slice(8), TMPDIR: scratch },
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
  return { child, marker, lines, said, stderr: () => text.err };
}

/** The server of a program: what it has started before. */
function serverOf(pid: number): number[] {
  return childrenOf(pid).filter((child) => {
    return readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('forkserver_main');
  });
}

/** Attaches strace. Resolves when it has all threads. */
async function attach(pids: readonly number[], inject: readonly string[]): Promise<ChildProcess> {
  const flags = ['-f', '-o', log(pids[0] as number), ...inject, ...pids.flatMap((pid) => ['-p', String(pid)])];
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

const scratch = join(tmpdir(), `mp-soak-kernel-${process.pid}`);
const log = (pid: number) => join(scratch, `${pid}.strace`);

interface Outcome extends Running {
  readonly code: number | null;
  readonly signal: string | null;
  readonly hangs: boolean;
  readonly fds: number;
  readonly left: string[];
  /** How often each thread of the program and its server has made the call. */
  readonly occurrences: number;
}

async function run(method: Method, { trace }: Call, inject: string | undefined): Promise<Outcome> {
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
  const fds = hangs || child.exitCode !== null || child.signalCode !== null ? 0 : fdsOf(pid);
  child.stdin?.write('x');
  hangs = (await Promise.race([ended, late])) === 'late' || hangs;
  timer.abort();
  const left = await leftovers(running.marker, hangs);
  if (hangs) child.kill('SIGKILL');
  const [code, signal] = await ended;
  for (const other of processesWith(running.marker)) kill(other);
  if (strace.exitCode === null) await once(strace, 'exit');
  const occurrences = countCalls(log(pid), pids);
  rmSync(log(pid), { force: true });
  return { ...running, code, signal, hangs, fds, left, occurrences };
}

function fdsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
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
async function leftovers(marker: string, hangs: boolean): Promise<string[]> {
  const look = () => [
    ...processesWith(marker).map((pid) => describe(pid)),
    ...readdirSync(scratch).filter((name) => name.startsWith('pymp-')),
  ];
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

/** What Node, V8, libuv and the C library say when they end a process themselves. */
const NODES_OWN =
  /Assertion .*failed|Fatal (process|JavaScript|error)|out of memory|Native stack trace|pthread_create|error while loading shared libraries|Could not|uv_|node:internal|libuv|# Fatal/i;

function judge(method: Method, { names }: Call, outcome: Outcome, clean: number): Ending {
  const { lines, code, signal, hangs, fds, left } = outcome;
  const stderr = outcome.stderr();
  const bad = (text: string): Ending => ({ kind: 'BAD', text });
  const steps = lines.filter(({ step }) => step !== undefined);
  const failures = steps.filter((line) => line.error !== undefined);
  if (hangs) return bad(`hangs after ${JSON.stringify(steps.at(-1) ?? 'nothing')} ${tail(stderr)}`);
  if (left.length > 0) return bad(`leaves ${left.join(', ')}`);
  const wrong = failures.find(({ error }) => !isTyped(error as Failure, names, stderr));
  if (wrong !== undefined) return bad(`${wrong.step}: ${JSON.stringify(wrong.error)} ${tail(stderr)}`);
  if (signal !== null || (code !== 0 && !/OSError/.test(stderr))) {
    if (NODES_OWN.test(stderr) || signal === 'SIGTRAP') return { kind: 'node', text: tail(stderr) };
    return bad(`ends with ${signal ?? code}: ${tail(stderr)}`);
  }
  if (fds > clean) return bad(`has ${fds} fds, not ${clean}`);
  const codes = steps.filter(({ outcome: text }) => text !== undefined && text !== 'well');
  const silent = codes.find(() => stderr.trim() === '');
  if (silent !== undefined) return bad(`${silent.step}: ${silent.outcome}, and nothing is said`);
  const first = failures[0]?.error;
  if (first !== undefined) return { kind: 'OSError', text: `${first.syscall} ${first.code}` };
  if (code !== 0) return { kind: 'OSError', text: tail(stderr) };
  if (codes.length > 0) {
    const own = /OSError/.test(stderr) ? 'OSError' : 'node';
    return { kind: own, text: `${method}: a child ends with ${codes[0]?.outcome}: ${tail(stderr)}` };
  }
  return { kind: 'well', text: '' };
}

/** An OSError of that call; or that the server could not start, which says so; or a call of Node's own start of a child. */
function isTyped(error: Failure, names: readonly string[], stderr: string): boolean {
  if (error.typed) return names.includes(error.syscall ?? '');
  return /the server ended at its start/.test(error.message) && stderr !== '';
}

const tail = (text: string) => text.trim().split('\n').slice(0, 3).join(' / ').slice(0, 300);

interface Job {
  readonly name: string;
  readonly method: Method;
  readonly inject: string;
  readonly occurrence: number;
}

const results = new Map<string, { job: Job; ending: Ending }[]>();

async function tryJob(job: Job, clean: number): Promise<void> {
  const target = CALLS[job.name] as Call;
  const ending = judge(job.method, target, await run(job.method, target, job.inject), clean);
  const key = `${job.name} ${job.method} ${job.occurrence > 0}`;
  results.set(key, [...(results.get(key) ?? []), { job, ending }]);
  if (ending.kind !== 'well' || process.env.SOAK_VERBOSE) {
    console.log(`${job.name} ${job.inject} under ${job.method}: ${ending.kind} ${ending.text}`);
  }
}

async function sweep(names: readonly string[]): Promise<void> {
  for (const method of METHODS) {
    const jobs: Job[] = [];
    let clean = 0;
    for (const name of names) {
      const target = CALLS[name] as Call;
      const plain = await run(method, target, undefined);
      const ending = judge(method, target, plain, plain.fds);
      if (ending.kind !== 'well') throw new Error(`${method} without a failure: ${ending.text}`);
      clean = Math.max(clean, plain.fds);
      for (const error of ['ENOSYS', 'EPERM']) {
        jobs.push({ name, method, inject: `error=${error}`, occurrence: 0 });
      }
      const count = Math.min(plain.occurrences, MOST);
      for (let n = 1; n <= count; n++) {
        for (const error of target.errors) {
          jobs.push({ name, method, inject: `error=${error}:when=${n}`, occurrence: n });
        }
      }
    }
    console.log(`${method}: ${jobs.length} runs`);
    await inParallel(jobs.length, 3, (i) => tryJob(jobs[i] as Job, clean));
  }
}

const NAMES: Readonly<Record<Kind, string>> = {
  well: 'well',
  OSError: 'OSError',
  node: "Node's own end",
  BAD: '**BAD**',
};

function cell(name: string, method: Method, once: boolean): string {
  const found = results.get(`${name} ${method} ${once}`) ?? [];
  if (found.length === 0) return once ? 'not made' : '';
  if (!once) return found.map(({ ending }) => NAMES[ending.kind]).join(', ');
  const kinds = (Object.keys(NAMES) as Kind[]).flatMap((kind) => {
    const count = found.filter(({ ending }) => ending.kind === kind).length;
    return count === 0 ? [] : [`${count} ${NAMES[kind]}`];
  });
  return kinds.join(', ');
}

function tables(names: readonly string[]) {
  const columns = ['', ...METHODS];
  const rows = (once: boolean) =>
    names.map((name) => [`\`${name}\``, ...METHODS.map((method) => cell(name, method, once))]);
  return [
    { title: 'denied: ENOSYS, EPERM', columns, rows: rows(false) },
    { title: 'each occurrence fails once', columns, rows: rows(true) },
  ];
}

function badOnes(): string[] {
  return [...results.values()].flat().flatMap(({ job, ending }) => {
    if (ending.kind !== 'BAD') return [];
    return [`- ${job.method}, \`${job.name}:${job.inject}\`: ${ending.text.replaceAll('|', '\\|')}`];
  });
}

async function main(): Promise<void> {
  const names = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
  const unknown = names.find((name) => !(name in CALLS));
  if (unknown !== undefined) throw new Error(`${unknown} is none of ${Object.keys(CALLS).join(' ')}`);
  const { status } = spawnSync('strace', ['-V']);
  if (status !== 0) {
    console.error('kernel: SKIPPED: strace is not there (apt-get install strace): nothing can make calls fail');
    return;
  }
  const all = names.length > 0 ? names : Object.keys(CALLS);
  const begin = performance.now();
  await sweep(all);
  for (const table of tables(all)) console.log(toText(table));
  const bad = badOnes();
  const count = [...results.values()].flat().length;
  const minutes = ((performance.now() - begin) / 60_000).toFixed(0);
  if (process.argv.includes('--update')) {
    const head = `${describeMachine()}; ${count} runs`;
    const list = bad.length === 0 ? 'No run was bad.' : `Bad runs:\n\n${bad.join('\n')}`;
    updatePage('kernel', [head, ...tables(all).map(toMarkdown), list].join('\n\n'), 'kernel.md');
  }
  console.log(`kernel: ${count} runs, ${bad.length} of them bad; ${minutes} min`);
  if (bad.length > 0) process.exitCode = 1;
}

mkdirSync(scratch, { recursive: true });
try {
  await main();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
