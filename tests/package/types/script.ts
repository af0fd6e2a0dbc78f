/** What a user writes who has TypeScript find modules as it did before package.json had exports. */
import * as mp from 'multiprocessing';
import { Queue } from 'multiprocessing/queues';

export const queue: Queue<number> = mp.Queue<number>();
export const isQueue = queue instanceof Queue;
