/**
 * `wait` of multiprocessing/connection.py. Deviations: D-074.
 */
import type { Server, Socket } from 'node:net';
import { inspect } from 'node:util';
import { clearTimeout, now, onReady, poll, setTimeout } from '@multiprocessing/posix';
import { checkTimeout } from './arguments.ts';
import { typeError, ValueError } from './errors.ts';

/**
 * What `wait` takes: an fd number (a process's `sentinel`), an object that has one (a Connection, a Listener), a socket or
 * server of node:net.
 */
export type Waitable = number | { fileno(): number } | Socket | Server;

/** The fds, beside its own, by which an object becomes ready. @internal */
export const moreFds = Symbol('moreFds');

/** What a socket or server of node:net keeps its fd in. */
interface NetObject {
  _handle?: { fd?: number } | null;
  readonly readableLength?: number;
  on(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
}

function isNetObject(object: object): object is NetObject {
  return '_handle' in object && 'on' in object;
}

/** The fd of an object that can be waited for. @throws TypeError, ValueError for a closed socket @internal */
export function filenoOf(object: Waitable): number {
  if (typeof object === 'number') return object;
  if (typeof object === 'object' && object !== null) {
    if ('fileno' in object && typeof object.fileno === 'function') return object.fileno();
    if (isNetObject(object)) {
      const fd = object._handle?.fd;
      if (typeof fd === 'number' && fd >= 0) return fd;
      throw new ValueError(`objects: ${object.constructor.name} has no open fd (any more)`);
    }
  }
  throw typeError(
    `objects must be fd numbers, connections, sockets or servers, not ${inspect(object)}`,
  );
}

/** All fds by which an object becomes ready, its own first. */
function filenosOf(object: Waitable): readonly number[] {
  const more = (object as { readonly [moreFds]?: readonly number[] })[moreFds];
  return more === undefined ? [filenoOf(object)] : [filenoOf(object), ...more];
}

/** Whether Node has read for a socket already what somebody waits for. */
function hasBuffered(object: Waitable): boolean {
  return typeof object === 'object' && ((object as Partial<Socket>).readableLength ?? 0) > 0;
}

/**
 * Waits until one of the objects is ready and returns all that are; Python's `connection.wait`.
 * @param timeout seconds; undefined waits for ever, 0 and less do not wait
 * @throws ValueError for a timeout that is NaN, TypeError for an object without fd, OSError EBADF for a closed fd
 */
export async function wait<T extends Waitable>(
  objects: Iterable<T>,
  timeout?: number,
): Promise<T[]> {
  checkTimeout(timeout);
  const list = [...new Set(objects)];
  const deadline = timeout === undefined ? Infinity : now() + timeout * 1000;
  for (;;) {
    const ready = waitSync(list, 0);
    const left = deadline - now();
    if (ready.length > 0 || left <= 0) return ready;
    const served = await oneIsReady(list, left);
    if (served !== undefined) return [...new Set([...waitSync(list, 0), served])];
  }
}

/** The blocking twin of `wait`: sleeps in poll(2). */
export function waitSync<T extends Waitable>(objects: Iterable<T>, timeout?: number): T[] {
  checkTimeout(timeout);
  const list = [...new Set(objects)];
  const fds = list.map(filenosOf);
  const buffered = list.some(hasBuffered);
  const ready = new Set(poll(fds.flat(), buffered ? 0 : timeout));
  return list.filter((object, i) => fds[i]?.some((fd) => ready.has(fd)) || hasBuffered(object));
}

/**
 * Waits until one of the fds is ready, or the time is over.
 * @param ms milliseconds
 * @returns an object of node:net for which Node has taken already what it became ready by
 */
function oneIsReady<T extends Waitable>(list: readonly T[], ms: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const stops: (() => void)[] = [];
    const wake = (served?: T) => {
      for (const stop of stops) stop();
      resolve(served);
    };
    try {
      for (const object of list) {
        for (const fd of filenosOf(object)) stops.push(onReady(fd, wake));
        const event = takenEvent(object);
        if (event === undefined) continue;
        const taken = () => wake(object);
        (object as unknown as NetObject).on(event, taken);
        stops.push(() => (object as unknown as NetObject).off(event, taken));
      }
    } catch (error) {
      for (const stop of stops) stop();
      reject(error);
      return;
    }
    if (ms === Infinity) return;
    // setTimeout counts up to 2^31 - 1: after 24 days the wait begins anew.
    const timer = setTimeout(wake, Math.min(ms, 0x7fffffff));
    stops.push(() => clearTimeout(timer));
  });
}

/** What a socket or server emits when Node reads or accepts before anybody else can. */
function takenEvent(object: Waitable): string | undefined {
  if (typeof object !== 'object' || !isNetObject(object)) return undefined;
  return 'readableLength' in object ? 'readable' : 'connection';
}
