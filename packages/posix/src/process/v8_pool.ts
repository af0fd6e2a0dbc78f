/**
 * V8's pool of threads, which no fork copies.
 *
 * --single-threaded keeps V8 from most uses of the pool, not from all: every full collection, and from V8 14 on
 * every collection, posts a job (mark-compact.cc, ClearNonLiveReferences; scavenger.cc), which the pool or the thread that
 * posted it does, whoever comes first. A forked child has the pool's queue without its threads. There a posted job stays for ever:
 * Node waits for it when an event loop has run empty, the main thread's or a worker thread's. Posting itself hangs
 * when glibc's condition variable waits for sleepers that only the parent has, or when a thread held the queue's lock
 * at the fork.
 *
 * Two things answer that. A fork counts only if all threads of the pool slept through it: then the lock is free and
 * the queue is empty. And the child is told that its pool has no threads (libplatform's jobs are then done by the thread
 * that posts them): the list of threads in Node's WorkerThreadsTaskRunner is emptied. It is found through symbols
 * that Node exports, and recognised by what it holds; where it is not found, there is no fork.
 */
import { readdirSync } from 'node:fs';
import { closeRaw, openRaw, readRaw } from '../fds/raw_fd.ts';
import { calledByChildren } from '../ffi/compiled.ts';
import { byNode } from '../ffi/errors.ts';
import { direct, type NativeFunction, native, symbolAddress } from '../ffi/ffi.ts';
import { OwnMemory } from '../memory/own_memory.ts';
import { now } from '../node/clocks.ts';

const clockGettime = native('int clock_gettime(int clock, void *time)');
const threadClock = native('int pthread_getcpuclockid(uintptr_t thread, _Out_ int *clock)');
const memmove = native('void memmove(uintptr_t to, uintptr_t from, size_t length)');
const numberOfThreads = native(
  'int _ZNK4node23WorkerThreadsTaskRunner21NumberOfWorkerThreadsEv(uintptr_t runner)',
);

interface Pool {
  /** The address of the pointer to the first entry of the list of threads. */
  readonly begin: number;
  /** The address of the pointer to the list's end. */
  readonly end: number;
  /** The id of the thread for delayed tasks. */
  readonly scheduler: number;
  /** The ids of the threads that take jobs. */
  readonly tids: readonly number[];
  /** Their CPU clocks. */
  readonly clocks: readonly number[];
}

/** `memmove` without the function around it. */
let move: NativeFunction | undefined;
const NONE: Pool = { begin: 0, end: 0, scheduler: 0, tids: [], clocks: [] };

let pool: Pool | undefined;
let searched = false;
const time = new BigInt64Array(2);

/** Whether the pool of this process is known, so that a fork can deal with it. @throws OSError where /proc cannot be read */
export function poolIsKnown(): boolean {
  if (!searched) pool = findPool();
  searched = true;
  move = direct(memmove);
  return pool !== undefined;
}

/** The ids of all threads of the pool; none before `poolIsKnown`, and in a forked child. */
export function poolThreads(): readonly number[] {
  return pool === undefined || pool === NONE ? [] : [pool.scheduler, ...pool.tids];
}

/** In a forked child: its pool has no threads. */
export function emptyPool(): void {
  if (pool === undefined || pool === NONE) return;
  move?.(pool.end, pool.begin, 8);
  pool = NONE;
}

/** How long the threads of the pool have run, in nanoseconds. */
export function poolTime(): bigint {
  let sum = 0n;
  for (const clock of pool?.clocks ?? []) {
    clockGettime(clock, time);
    sum += (time[0] as bigint) * 1_000_000_000n + (time[1] as bigint);
  }
  return sum;
}

/** Whether the pool sleeps, and has slept since `since`, a reading of poolTime(). */
export function poolSlept(since: bigint): boolean {
  return (pool?.tids ?? []).every(isAsleep) && poolTime() === since;
}

const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits until the pool sleeps, for so many milliseconds at most. Nothing tells when a thread goes to sleep: it is looked at
 * each millisecond, and gets this thread's processor meanwhile.
 */
export function waitForPool(milliseconds: number): void {
  const end = now() + milliseconds;
  while (!(pool?.tids ?? []).every(isAsleep) && now() < end) {
    Atomics.wait(never, 0, 0, 1);
  }
}

const stat = Buffer.alloc(512);

/** Reads into memory that is there: right after a fork each page written to is a page copied. */
function isAsleep(tid: number): boolean {
  const fd = openRaw(`/proc/self/task/${tid}/stat`);
  const length = readRaw(fd, stat);
  closeRaw(fd);
  // "1234 (name) S ...": the name, of 15 bytes at most, may hold anything, nothing behind it a parenthesis.
  let i = Math.min(length, 40) - 1;
  while (i > 0 && stat[i] !== PARENTHESIS) i--;
  return i > 0 && stat[i + 2] === ASLEEP;
}

const ASLEEP = 'S'.charCodeAt(0);
const PARENTHESIS = ')'.charCodeAt(0);

const WORD = 8n;

/** node::per_process::v8_platform -> NodePlatform -> WorkerThreadsTaskRunner -> its std::vector of threads. */
function findPool(): Pool | undefined {
  const memory = new OwnMemory();
  const read: Read = (address, count) => memory.words(address, count);
  try {
    const runner = findRunner(read);
    if (runner === undefined) return undefined;
    const words = read(runner, 64);
    const length = BigInt(numberOfThreads(runner)) * WORD;
    const pools = words.map((first, i) =>
      words[i + 1] === first + length
        ? poolOf(read, runner + BigInt(i) * WORD, first, Number(length / WORD))
        : undefined,
    );
    return pools.find((found) => found !== undefined);
  } finally {
    memory.close();
  }
}

type Read = (address: bigint, count: number) => bigint[];

/** The pool whose list of threads has its begin at `list`, if that is what it is. */
function poolOf(read: Read, list: bigint, first: bigint, count: number): Pool | undefined {
  const clocks = read(first, count).map((pointer) => clockOf(read, pointer));
  // pthread_getcpuclockid(3) makes such a clock of a thread's id: ~id << 3, and two flags.
  const tids = clocks.map((clock) => ~(clock >> 3));
  const known = new Set(byNode(() => readdirSync('/proc/self/task')).map(Number));
  if (tids.length < 2 || !tids.every((tid) => known.has(tid))) return undefined;
  // The first thread is the scheduler of delayed tasks, the others take jobs.
  return {
    begin: Number(list),
    end: Number(list + WORD),
    scheduler: tids[0] as number,
    tids: tids.slice(1),
    clocks: clocks.slice(1),
  };
}

function findRunner(read: Read): bigint | undefined {
  const platformTable = symbolAddress('_ZTVN4node12NodePlatformE');
  const v8Platform = symbolAddress('_ZN4node11per_process11v8_platformE');
  if (platformTable === undefined || v8Platform === undefined) return undefined;
  const holdsTable = (object: bigint, table: bigint) => read(object, 1)[0] === table + 2n * WORD;
  const platform = read(v8Platform, 16).find((word) => holdsTable(word, platformTable));
  if (platform === undefined) return undefined;
  const blockTables = CONTROL_BLOCKS.map(symbolAddress).filter((table) => table !== undefined);
  const words = read(platform, 64);
  return words.find((object, i) => {
    // A shared_ptr that std::make_shared() made: its control block, two words long, stands before the object.
    const block = object - 2n * WORD;
    return words[i + 1] === block && blockTables.some((table) => holdsTable(block, table));
  });
}

/** The tables of the control block of a shared_ptr<WorkerThreadsTaskRunner>, as compilers name them. */
const CONTROL_BLOCKS = ['ESaIS1_E', 'ESaIvE'].map(
  (allocator) =>
    `_ZTVSt23_Sp_counted_ptr_inplaceIN4node23WorkerThreadsTaskRunner${allocator}LN9__gnu_cxx12_Lock_policyE2EE`,
);

/** The CPU clock of the thread whose pthread_t stands at that address; 0 if none does. */
function clockOf(read: Read, address: bigint): number {
  const [thread = 0n] = read(address, 1);
  const clock = [0];
  // glibc and musl keep the thread's id within its first KiB: what is not readable is no thread.
  if (read(thread, 128).length < 128 || threadClock(thread, clock) !== 0) return 0;
  return clock[0] as number;
}

calledByChildren(emptyPool);
