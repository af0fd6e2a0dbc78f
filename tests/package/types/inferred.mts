/** What factories make, in a module whose declarations are emitted and that imports no sub-path. */
import * as mp from 'multiprocessing';

export const queue = mp.Queue<number>();
export const lock = mp.Lock();
export const value = mp.Value('i', 0);
export const pipe = mp.Pipe();
export const characters = mp.RawArray('c', 3);
export const logger = mp.getLogger();
export const { reducer } = mp.getContext('spawn');

export class Holder {
  tasks = mp.JoinableQueue<string>();
}
