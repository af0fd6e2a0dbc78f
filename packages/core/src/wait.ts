/**
 * `wait` of multiprocessing/connection.py.
 */
import { onReady, poll } from '@multiprocessing/posix';
import { checkTimeout } from './arguments.ts';

/** What `wait` takes: an fd number (a process's `sentinel`), or an object that has one. */
export type Waitable = number | { fileno(): number };

function filenoOf(object: Waitable): number {
  return typeof object === 'number' ? object : object.fileno();
}

/**
 * Waits until one of the objects is ready and returns all that are; Python's `connection.wait`.
 * @param timeout seconds; undefined waits for ever, 0 and less do not wait
 * @throws ValueError for a timeout that is NaN, OSError EBADF for a closed fd
 */
export async function wait<T extends Waitable>(
  objects: Iterable<T>,
  timeout?: number,
): Promise<T[]> {
  checkTimeout(timeout);
  const list = [...objects];
  const ready = waitSync(list, 0);
  if (ready.length > 0 || (timeout !== undefined && timeout <= 0)) return ready;
  await new Promise<void>((resolve) => {
    const stops: (() => void)[] = [];
    const wake = () => {
      clearTimeout(timer);
      for (const stop of stops) stop();
      resolve();
    };
    const timer = timeout === undefined ? undefined : setTimeout(wake, timeoutMs(timeout));
    for (const object of list) stops.push(onReady(filenoOf(object), wake));
  });
  return waitSync(list, 0);
}

/** The blocking twin of `wait`: sleeps in poll(2). */
export function waitSync<T extends Waitable>(objects: Iterable<T>, timeout?: number): T[] {
  checkTimeout(timeout);
  const list = [...objects];
  const ready = new Set(poll(list.map(filenoOf), timeout));
  return list.filter((object) => ready.has(filenoOf(object)));
}

/** setTimeout counts in milliseconds, up to 2^31 - 1 of them: 24 days. */
function timeoutMs(seconds: number): number {
  return Math.min(seconds * 1000, 0x7fffffff);
}
