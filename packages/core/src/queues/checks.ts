/**
 * Looks at what other processes have written into a queue's memory. Whoever has the queue can write anything there; who
 * reads it must not read elsewhere, take memory for what is not there, or go round in circles. Deviations: D-121.
 */
import { fstatSync } from 'node:fs';
import { byNode } from '@multiprocessing/posix';
import { damaged } from '../base/errors.ts';
import { MOST_BYTES, WINDOW_BYTES } from './file.ts';

/** Numbers of bytes and of things, up to more than there can be. */
function isCount(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

/** @throws RuntimeError unless all are numbers of something @internal */
export function checkCounts(...counts: number[]): void {
  if (!counts.every(isCount)) throw damaged('Queue');
}

/** @throws RuntimeError unless both are numbers of something, and the first is the smaller one @internal */
export function checkOrder(less: number, more: number): void {
  if (!(isCount(less) && isCount(more) && less <= more)) throw damaged('Queue');
}

/** Where a body stands: position, bytes of the message, runs beside it, its end in the file or 0, its end in the window. */
export type Place = [number, number, number, number, number];

/** Bytes of a place in a record. @internal */
export const PLACE_BYTES = 40;

/**
 * Reads where a body stands.
 * @param bytes PLACE_BYTES of them
 * @param bodies the end of all bodies in the file
 * @returns the place, and where the body ends at the latest, in bytes from where positions begin
 * @throws RuntimeError for one that leaves what is there
 * @internal
 */
export function readPlace(bytes: Uint8Array, fd: number, bodies: number): [Place, number] {
  const place = [...new Float64Array(bytes.buffer, 0, 5)] as Place;
  const [position, , , end] = place;
  checkCounts(...place);
  if (end === 0) {
    checkOrder(position, WINDOW_BYTES);
    return [place, WINDOW_BYTES];
  }
  checkOrder(position, end);
  checkOrder(end, Math.min(bodies, MOST_BYTES));
  // The file may say that it is longer than its memory.
  const { blocks } = byNode(() => fstatSync(fd, { bigint: true }));
  return [place, Math.min(end, position + Number(blocks) * 512)];
}
