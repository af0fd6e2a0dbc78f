/**
 * V8's pool of threads, which no fork copies. Under --single-threaded V8 hands it no work, with one exception: since
 * V8 14 every collection of the young generation posts its job to the pool, even if one thread is to do it
 * (V8's scavenger.cc, PostJob). Posting is a lock, a queue and a condition variable. In a forked child
 *
 * - the condition variable must have at most one sleeper: glibc, when it changes groups, waits until the sleepers
 *   of the older group have left (pthread_cond_common.c, quiesce_and_switch_g1), and they never will;
 * - the lock must be free: the fork must find the pool's one thread asleep.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { native } from './ffi.ts';

const clockGettime = native('int clock_gettime(int clock, void *time)');

/** The Node flags of a process that can fork. */
export const FORK_FLAGS: readonly string[] = ['--single-threaded', '--v8-pool-size=1'];

const usesPool = Number.parseInt(process.versions.v8, 10) >= 14;

const patterns = [/^--single[-_]threaded$/, /^--v8[-_]pool[-_]size=1$/];

/** The first of FORK_FLAGS that this process needs and was not started with. */
export function missingForkFlag(): string | undefined {
  const given = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/[\s"']+/)];
  const needed = usesPool ? FORK_FLAGS : FORK_FLAGS.slice(0, 1);
  return needed.find((_, i) => !given.some((flag) => patterns[i]?.test(flag)));
}

let threads: readonly number[] | undefined;
const time = new BigInt64Array(2);

/** To be called in a forked child: it has no pool. */
export function forgetPool(): void {
  threads = [];
}

/** How long the threads of the pool have run, in nanoseconds. */
export function poolTime(): bigint {
  if (!usesPool) return 0n;
  threads ??= findThreads();
  let sum = 0n;
  for (const tid of threads) {
    // The CPU clock of a thread, as pthread_getcpuclockid(3) makes it: ~tid << 3, per thread (4), its run time (2).
    if (clockGettime((~tid << 3) | 4 | 2, time) !== 0) continue;
    sum += (time[0] as bigint) * 1_000_000_000n + (time[1] as bigint);
  }
  return sum;
}

/** Whether the pool sleeps, and has slept since `since`, a reading of poolTime(). */
export function poolSlept(since: bigint): boolean {
  if (!usesPool) return true;
  return (threads ?? []).every(isAsleep) && poolTime() === since;
}

function findThreads(): number[] {
  const tids = readdirSync('/proc/self/task');
  const name = (tid: string) => readFileSync(`/proc/self/task/${tid}/comm`, 'utf8');
  return tids.filter((tid) => name(tid).includes('V8Worker')).map(Number);
}

function isAsleep(tid: number): boolean {
  // The state is the letter after the name, which stands in parentheses.
  return readFileSync(`/proc/self/task/${tid}/stat`, 'latin1').includes(') S ');
}
