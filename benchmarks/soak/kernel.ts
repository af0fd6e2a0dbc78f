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
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { describeMachine } from '../machine.ts';
import { toMarkdown, toText, updatePage } from '../table.ts';
import {
  type Call,
  type Failure,
  METHODS,
  type Method,
  type Outcome,
  run,
  scratch,
} from './kernel_run.ts';
import { inParallel } from './support.ts';

const CALLS: Readonly<Record<string, Call>> = {
  pipe2: call('pipe2', 'EMFILE ENFILE', 'pipe2'),
  socketpair: call('socketpair', 'EMFILE ENOMEM', 'socketpair'),
  memfd_create: call('memfd_create', 'EMFILE ENOMEM', 'memfd_create'),
  ftruncate: call('ftruncate', 'ENOMEM ENOSPC', 'ftruncate'),
  fallocate: call('fallocate', 'ENOSPC', 'fallocate'),
  mmap: call('mmap', 'ENOMEM EMFILE', 'mmap posix_spawn pthread_create'),
  dup3: call('dup3', 'EBUSY', 'dup3'),
  fcntl: call('fcntl', 'EMFILE', 'fcntl posix_spawn'),
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

/** How a run ended. `node`: the program or a child ended in Node's own code, which has no error for it. */
type Kind = 'well' | 'OSError' | 'node' | 'BAD';

interface Ending {
  readonly kind: Kind;
  readonly text: string;
}

/** More occurrences of a call in one thread are not tried. */
const MOST = 40;

/**
 * Those that are there and were not without a failure. libuv opens /dev/null with the first stream of a loop, which is stderr
 * where a warning is printed; and the report of a server that starts is there until the next start reads it.
 */
function fdsMore(method: Method, fds: readonly string[], clean: readonly string[]): string[] {
  const known = [...clean, '/dev/null', ...(method === 'forkserver' ? ['pipe'] : [])];
  return fds.filter((fd) => {
    const at = known.indexOf(fd);
    if (at >= 0) known.splice(at, 1);
    return at < 0;
  });
}

/** What Node, V8, libuv and the C library say when they end a process themselves. */
const NODES_OWN =
  /Assertion .*failed|Fatal (process|JavaScript|error)|out of memory|Native stack trace|pthread_create|error while loading shared libraries|Could not|uv_|node:internal|node:fs:|libuv|# Fatal/i;

function judge(
  method: Method,
  { names }: Call,
  outcome: Outcome,
  clean: readonly string[],
): Ending {
  const { lines, code, signal, hangs, fds, left } = outcome;
  const stderr = outcome.stderr();
  const bad = (text: string): Ending => ({ kind: 'BAD', text });
  const steps = lines.filter(({ step }) => step !== undefined);
  const failures = steps.filter((line) => line.error !== undefined);
  if (hangs) return bad(`hangs after ${JSON.stringify(steps.at(-1) ?? 'nothing')} ${tail(stderr)}`);
  // A program that V8 ends has no moment to remove its folder of temporary files.
  const crashed = signal !== null && left.every((name) => name.startsWith('pymp-'));
  if (left.length > 0 && !crashed) return bad(`leaves ${left.join(', ')}`);
  const wrong = failures.find(({ error }) => !isTyped(error as Failure, names));
  if (wrong !== undefined)
    return bad(`${wrong.step}: ${JSON.stringify(wrong.error)} ${tail(stderr)}`);
  if (signal !== null || (code !== 0 && !/OSError/.test(stderr))) {
    if (NODES_OWN.test(stderr) || ['SIGTRAP', 'SIGABRT'].includes(signal ?? ''))
      return { kind: 'node', text: tail(stderr) };
    return bad(`ends with ${signal ?? code}: ${tail(stderr)}`);
  }
  const more = fdsMore(method, fds, clean);
  if (more.length > 0 && fds.length > clean.length) return bad(`has fds more: ${more.join(', ')}`);
  const codes = steps.filter(({ outcome: text }) => text !== undefined && text !== 'well');
  const silent = codes.find(() => stderr.trim() === '');
  if (silent !== undefined) return bad(`${silent.step}: ${silent.outcome}, and nothing is said`);
  const first = failures[0]?.error;
  if (first !== undefined) return { kind: 'OSError', text: `${first.syscall} ${first.code}` };
  if (code !== 0) return { kind: 'OSError', text: tail(stderr) };
  if (codes.length > 0) {
    const own = /OSError/.test(stderr) ? 'OSError' : 'node';
    return {
      kind: own,
      text: `${method}: a child ends with ${codes[0]?.outcome}: ${tail(stderr)}`,
    };
  }
  return { kind: 'well', text: '' };
}

/** An OSError of that call; or the ValueError of a server that cannot be had, when it gives such a one as its reason. */
function isTyped(error: Failure, names: readonly string[]): boolean {
  if (error.typed) return names.includes(error.syscall ?? '');
  const reason = /cannot be used by this program: OSError: (\w+):/.exec(error.message)?.[1];
  return reason !== undefined && names.includes(reason);
}

/** Whether a node that does nothing ends badly, too, when the call fails in it. */
const plainNodes = new Map<string, boolean>();
function failsInPlainNode({ trace }: Call, inject: string): boolean {
  const key = `${trace} ${inject}`;
  let fails = plainNodes.get(key);
  if (fails === undefined) {
    const flags = [
      '-f',
      '-qq',
      '-o',
      '/dev/null',
      '-e',
      `trace=${trace}`,
      '-e',
      `inject=${trace}:${inject}`,
    ];
    const { status } = spawnSync('strace', [...flags, process.execPath, '-e', '0'], {
      stdio: 'ignore',
      timeout: 5000,
      killSignal: 'SIGKILL',
    });
    fails = status !== 0;
    plainNodes.set(key, fails);
  }
  return fails;
}

const tail = (text: string) => text.trim().split('\n').slice(0, 3).join(' / ').slice(0, 300);

interface Job {
  readonly name: string;
  readonly method: Method;
  readonly inject: string;
  readonly occurrence: number;
}

const results = new Map<string, { job: Job; ending: Ending }[]>();

async function tryJob(job: Job, clean: readonly string[]): Promise<void> {
  const target = CALLS[job.name] as Call;
  let ending = judge(job.method, target, await run(job.method, target, job.inject), clean);
  const mayBeNodes =
    ending.kind === 'BAD' && /exit code|ends with|ended at its start/.test(ending.text);
  if (mayBeNodes && (NODES_OWN.test(ending.text) || failsInPlainNode(target, job.inject))) {
    ending = { ...ending, kind: 'node' };
  }
  const key = `${job.name} ${job.method} ${job.occurrence > 0}`;
  results.set(key, [...(results.get(key) ?? []), { job, ending }]);
  if (ending.kind !== 'well' || process.env.SOAK_VERBOSE) {
    console.log(`${job.name} ${job.inject} under ${job.method}: ${ending.kind} ${ending.text}`);
  }
}

async function sweep(names: readonly string[]): Promise<void> {
  for (const method of METHODS) {
    const jobs: Job[] = [];
    let clean: readonly string[] = [];
    for (const name of names) {
      const target = CALLS[name] as Call;
      const plain = await run(method, target, undefined);
      const ending = judge(method, target, plain, plain.fds);
      if (ending.kind !== 'well') throw new Error(`${method} without a failure: ${ending.text}`);
      if (plain.fds.length > clean.length) clean = plain.fds;
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
    return [
      `- ${job.method}, \`${job.name}:${job.inject}\`: ${ending.text.replaceAll('|', '\\|')}`,
    ];
  });
}

async function main(): Promise<void> {
  const names = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
  const unknown = names.find((name) => !(name in CALLS));
  if (unknown !== undefined)
    throw new Error(`${unknown} is none of ${Object.keys(CALLS).join(' ')}`);
  const { status } = spawnSync('strace', ['-V']);
  if (status !== 0) {
    console.error(
      'kernel: SKIPPED: strace is not there (apt-get install strace): nothing can make calls fail',
    );
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
