/**
 * The threads of this process that are none of Node's: those of addons, which Node knows nothing of. No thread survives a fork(2), and
 * what an addon's thread holds or has promised stays so in the child for ever.
 *
 * A thread's name proves nothing, it is inherited: one that DuckDB starts from libuv's pool is called `libuv-worker`. What tells is
 * the function that it began in, which glibc keeps in the thread's record: one of Node's own program is a thread of Node, V8,
 * libuv, the inspector, a worker. The kernel knows where that record is (get_robust_list(2)); at which place in it the function stands
 * is learned from V8's pool, whose threads are known. Where this cannot be learned (musl, emulators, sandboxes) the
 * threads are counted: what came since `expectThreads`, and is not as many as libuv's pool has, is an addon's.
 */
import { constants } from 'node:os';
import { basename } from 'node:path';
import { closeRaw, openRaw, readRaw } from '../fds/raw_fd.ts';
import { syscallNumbers } from '../ffi/constants.ts';
import { osError } from '../ffi/errors.ts';
import { errno, native, symbolAddress } from '../ffi/ffi.ts';
import { OwnMemory } from '../memory/own_memory.ts';
import { warnAtOnce } from '../node/warning.ts';
import { getpid } from './process.ts';
import { poolThreads } from './v8_pool.ts';

const cGetdents = native('long syscall(long number, long fd, void *entries, size_t size)');
const cRobustList = native(
  'long syscall(long number, long tid, _Out_ uintptr_t *head, _Out_ size_t *length)',
);
const cDladdr = native('int dladdr(uintptr_t address, void *info)');
const { getdents64 = -1, get_robust_list: getRobustList = -1 } = syscallNumbers[process.arch] ?? {};

/** A thread that is none of Node's. */
export interface ForeignThread {
  readonly tid: number;
  /** As the kernel has it; it may be inherited. */
  readonly name: string;
  /** The name of the shared object that has begun it, if that can be told. */
  readonly file: string | undefined;
}

/** This process has threads of others, and is not forked. @internal */
export class ForeignThreadsError extends Error {
  override name = 'ForeignThreadsError';
}

const entries = Buffer.alloc(1 << 13);
let now = new Int32Array(64);
const last = {
  /** The threads when they were looked at last. */
  tids: new Int32Array(0),
  foreign: [] as readonly ForeignThread[],
  /** Those that are expected where they can only be counted. */
  expected: undefined as ReadonlySet<number> | undefined,
};

/**
 * The threads of this process that are none of Node's. Where /proc does not show them there are none.
 * @throws OSError EMFILE among others
 * @internal
 */
export function foreignThreads(): readonly ForeignThread[] {
  if (process.platform !== 'linux') return [];
  isLearned = true;
  const count = listThreads();
  if (isAsBefore(count)) return last.foreign;
  const tids = now.slice(0, count);
  last.foreign = findForeign([...tids]);
  last.tids = tids;
  return last.foreign;
}

let isLearned = false;

/** Has what a forked child will need be there: it cannot learn it. @internal */
export function prepareForeignThreads(): void {
  if (!isLearned) foreignThreads();
}

/** What `foreignThreads` has said last, without a look. @internal */
export function knownForeignThreads(): readonly ForeignThread[] {
  return last.foreign;
}

/** Says that all threads that there are now are Node's, where they can only be counted. @internal */
export function expectThreads(): void {
  last.expected = new Set(now.subarray(0, listThreads()));
}

/** The threads in a sentence: `libvips worker (4, libvips-cpp.so.8.17.3)`. @internal */
export function describeThreads(threads: readonly ForeignThread[]): string {
  const counts = new Map<string, number>();
  for (const { name, file = '' } of threads) {
    const key = `${name}\0${file}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const parts = [...counts].map(([key, count]) => {
    const [name, file] = key.split('\0') as [string, string];
    const more = [count > 1 ? String(count) : '', file].filter(Boolean).join(', ');
    return more === '' ? name : `${name} (${more})`;
  });
  return parts.join(', ');
}

let warned = false;

/**
 * Warns that this process has threads of others, as Python 3.12 does of a fork; once.
 * @param more what is done about it
 * @internal
 */
export function warnOfThreads(more = ''): void {
  const threads = foreignThreads();
  if (warned || threads.length === 0) return;
  warned = true;
  warnAtOnce(
    'DeprecationWarning',
    `This process (pid=${process.pid}) is multi-threaded, use of fork() may lead to deadlocks in the child.` +
      ` Threads that are none of Node's: ${describeThreads(threads)}.${more}`,
  );
}

/** Writes the ids into `now`, and makes nothing: it is called right before a fork. @returns how many there are */
function listThreads(): number {
  const fd = openRaw('/proc/self/task');
  if (fd === -1) {
    const failed = errno();
    if (PASSING.has(failed)) throw osError(failed, 'open', '/proc/self/task');
    return 0;
  }
  let count = 0;
  for (;;) {
    const length = cGetdents(getdents64, fd, entries, entries.length);
    if (length <= 0) break;
    for (let at = 0; at < length; at += entries.readUInt16LE(at + LENGTH)) {
      const tid = numberAt(at + NAME);
      if (tid === 0) continue; // . and ..
      if (count === now.length) now = Int32Array.from({ length: 2 * count }, (_, i) => now[i] ?? 0);
      now[count++] = tid;
    }
  }
  closeRaw(fd);
  return count;
}

const { EMFILE, ENFILE, ENOMEM } = constants.errno;
const PASSING: ReadonlySet<number> = new Set([EMFILE, ENFILE, ENOMEM]);
/** In struct linux_dirent64: the length of the entry, and the name. */
const LENGTH = 16;
const NAME = 19;

function numberAt(at: number): number {
  let number = 0;
  for (let i = at; ; i++) {
    const digit = (entries[i] as number) - 0x30;
    if (digit < 0 || digit > 9) return number;
    number = number * 10 + digit;
  }
}

function isAsBefore(count: number): boolean {
  if (count !== last.tids.length) return false;
  for (let i = 0; i < count; i++) if (now[i] !== last.tids[i]) return false;
  return true;
}

//
// Whose a thread is
//

/** Bytes of a thread's record, from the head of its robust list, in which the function is looked for. */
const SPAN = 1024;
/** How often, each millisecond, a thread is looked at that has not come to its first line. */
const TRIES = 5;

const found = {
  /** Bytes from the head of the robust list to the function; NaN where it is not as in glibc. */
  offset: undefined as number | undefined,
  /** Where Node's program, and the libraries that it is made of, are mapped. */
  own: new Set<bigint>(),
};

function findForeign(tids: readonly number[]): readonly ForeignThread[] {
  const main = getpid();
  const others = tids.filter((tid) => tid !== main);
  const memory = new OwnMemory();
  try {
    found.offset ??= findOffset(memory, main);
    const { offset = Number.NaN } = found;
    if (Number.isNaN(offset)) return countForeign(others);
    const foreign = others.map((tid) => look(memory, tid, offset));
    return foreign.filter((thread) => thread !== undefined);
  } finally {
    memory.close();
  }
}

/** Undefined while the pool is not known. */
function findOffset(memory: OwnMemory, main: number): number | undefined {
  const known = poolThreads();
  if (known.length === 0) return undefined;
  for (const name of OF_NODE) {
    const address = symbolAddress(name);
    const base = address && objectAt(address)?.base;
    if (base !== undefined) found.own.add(base);
  }
  const records = known.map((tid) => memory.words(recordOf(tid), SPAN / 8));
  const ofMain = memory.words(recordOf(main), SPAN / 8); // nobody has begun it
  const index = ofMain.findIndex((word, i) => {
    return word === 0n && records.every((words) => isOwn(words[i] ?? 0n));
  });
  return index < 0 ? Number.NaN : index * 8;
}

/** A function of each library that Node may be made of, and of V8's pool in particular. */
const OF_NODE = [
  'uv_default_loop',
  '_ZN2v87Isolate10GetCurrentEv',
  '_ZNK4node23WorkerThreadsTaskRunner21NumberOfWorkerThreadsEv',
];

/** The head of a thread's robust list, which stands in its record; 0 if it has none. */
function recordOf(tid: number): bigint {
  const head = [0];
  return cRobustList(getRobustList, tid, head, [0]) === 0 ? BigInt(head[0] as number) : 0n;
}

const never = new Int32Array(new SharedArrayBuffer(4));

/** Undefined for a thread of Node's, or one that is gone. */
function look(memory: OwnMemory, tid: number, offset: number): ForeignThread | undefined {
  for (let i = 0; i < TRIES; i++) {
    const record = recordOf(tid);
    const [begin, argument] = record === 0n ? [] : memory.words(record + BigInt(offset), 2);
    if (begin !== undefined) {
      if (isOwn(begin)) return undefined;
      return { tid, name: nameOf(tid), file: fileOf(memory, begin, argument) };
    }
    if (isNoUserThread(tid)) return undefined;
    Atomics.wait(never, 0, 0, 1);
  }
  return { tid, name: nameOf(tid), file: undefined }; // made without the C library, as Go does
}

const info = new BigUint64Array(4);

/** The shared object in which an address is. */
function objectAt(address: bigint): { file: bigint; base: bigint } | undefined {
  if (cDladdr(address, info) === 0) return undefined;
  return { file: info[0] as bigint, base: info[1] as bigint };
}

function isOwn(address: bigint): boolean {
  const base = address === 0n ? undefined : objectAt(address)?.base;
  return base !== undefined && found.own.has(base);
}

/** Libraries that begin threads for others. */
const GENERAL = /^(lib(c|stdc\+\+|c\+\+|pthread)|ld-[\w-]+)[.-]/;

/** What began a thread. std::thread begins in the library of C++, with an object whose class is of who asked for it. */
function fileOf(memory: OwnMemory, begin: bigint, argument = 0n): string | undefined {
  const [table = 0n] = memory.words(argument, 1);
  for (const address of [begin, table]) {
    const object = address === 0n ? undefined : objectAt(address);
    const file = object && basename(textAt(memory, object.file));
    if (object !== undefined && !found.own.has(object.base) && !GENERAL.test(file ?? ''))
      return file;
  }
  return undefined;
}

function textAt(memory: OwnMemory, address: bigint): string {
  const bytes = Buffer.alloc(4096);
  return bytes.toString('utf8', 0, memory.read(address, bytes)).split('\0', 1)[0] as string;
}

function textOf(path: string): string {
  const fd = openRaw(path);
  const length = fd === -1 ? 0 : readRaw(fd, entries);
  closeRaw(fd);
  return entries.toString('utf8', 0, Math.max(length, 0));
}

function nameOf(tid: number): string {
  return textOf(`/proc/self/task/${tid}/comm`).trimEnd() || `thread ${tid}`;
}

/** PF_EXITING, PF_IO_WORKER (the kernel's own threads of io_uring), PF_KTHREAD. */
const NO_USER_THREAD = 0x4 | 0x10 | 0x200000;

function isNoUserThread(tid: number): boolean {
  const stat = textOf(`/proc/self/task/${tid}/stat`);
  const [state = 'X', , , , , , flags] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return /[ZX]/.test(state) || (Number(flags) & NO_USER_THREAD) !== 0;
}

function countForeign(others: readonly number[]): readonly ForeignThread[] {
  const { expected } = last;
  if (expected === undefined) return [];
  const fresh = others.filter((tid) => !expected.has(tid));
  if (fresh.length === poolSizeOfUv()) return [];
  return fresh.map((tid) => ({ tid, name: nameOf(tid), file: undefined }));
}

/** What libuv makes of UV_THREADPOOL_SIZE. */
function poolSizeOfUv(): number {
  const { UV_THREADPOOL_SIZE } = process.env;
  if (UV_THREADPOOL_SIZE === undefined) return 4;
  return Math.min(Math.max(Number.parseInt(UV_THREADPOOL_SIZE, 10) || 1, 1), 1024);
}
