/**
 * Rooms that are loaded when they are first needed: V8 takes a millisecond to read 50 kilobytes of a script, in each program that
 * imports the library, and few use all of it. In the bundle each is a script of its own (multiprocessing/bundle.mjs); else somebody
 * has to import them.
 */
import { loadedBundle } from './bundle.ts';
import { RuntimeError } from './errors.ts';

/** In this order: each may use those before it. @internal */
export const LATE_ROOMS = ['python_pickle', 'pool', 'managers'] as const;

/** @internal */
export type LateRoom = (typeof LATE_ROOMS)[number];

const entered = new Map<LateRoom, object>();
/** What a room gets of those to its right, which are there before it. */
const gifts = new Map<LateRoom, unknown>();

/** To be called by a room when it is loaded. @param exports what `lateRoom` gives of it @internal */
export function enterRoom(name: LateRoom, exports: object): void {
  entered.set(name, exports);
}

/** Whether a room is loaded. @internal */
export function hasRoom(name: LateRoom): boolean {
  return entered.has(name);
}

/** What a room has, which is loaded now at the latest. @throws RuntimeError where there is no bundle to load it from @internal */
export function lateRoom<T extends object>(name: LateRoom): T {
  if (!entered.has(name)) loadedBundle()?.loadRoom(name);
  const exports = entered.get(name);
  if (exports === undefined)
    throw new RuntimeError(`the room ${name} is not loaded: import it before it is needed`);
  return exports as T;
}

/** Gives a room something for the time when it is there. @internal */
export function giveRoom(name: LateRoom, gift: unknown): void {
  gifts.set(name, gift);
}

/** @internal */
export function givenTo<T>(name: LateRoom): T {
  return gifts.get(name) as T;
}
