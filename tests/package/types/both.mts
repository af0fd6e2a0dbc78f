/** A type is the same, whichever way it was come by. */
import type { Queue } from 'multiprocessing/queues';
import type { Lock } from 'multiprocessing/synchronize';
import { lock, queue } from './program.cjs';

export const strings: Queue<string> = queue();
export const same: Lock = lock;
// @ts-expect-error: a queue of strings
export const numbers: Queue<number> = queue();
