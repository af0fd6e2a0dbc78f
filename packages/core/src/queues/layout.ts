/**
 * Where everything of a queue's channel stands in shared memory, in bytes from the beginning. The ring is last.
 */
import { roundup } from '@multiprocessing/posix';
import { SIGNAL_WORDS } from '../wait/change_signal.ts';
import { COMMITTED_BYTES } from '../wait/committed.ts';
import { MEMBERS_WORDS } from './members.ts';

/** Bytes of the ring: a power of 2. It should stay in the processors' caches. */
export const RING_BYTES = 1 << 18;

export const PUTS_AT = 0;
export const TAKES_AT = COMMITTED_BYTES;
const WORDS_AT = 2 * COMMITTED_BYTES;
/** Somebody has put something. */
export const ITEMS_AT = WORDS_AT;
/** Somebody has made room. */
export const ROOM_AT = ITEMS_AT + SIGNAL_WORDS * 4;
/** All tasks are done. */
export const DONE_AT = ROOM_AT + SIGNAL_WORDS * 4;
/** How many tasks are done, modulo 2^32. */
export const TASKS_DONE_AT = DONE_AT + SIGNAL_WORDS * 4;
export const MEMBERS_AT = TASKS_DONE_AT + 4;
export const RING_AT = roundup(MEMBERS_AT + MEMBERS_WORDS * 4, 64);
export const CHANNEL_BYTES = RING_AT + RING_BYTES;

/** What changes with a put, under the lock of those who put. */
export const TAIL = 0;
/** Items ever put. */
export const PUTS = 1;
/** The part of the overflow that is not in the ring yet. */
export const OVER_HEAD = 2;
export const OVER_TAIL = 3;
/** Where the next body goes, and how many there ever were, that are not in the window. */
export const BODY_TAIL = 4;
export const BODIES = 5;
/** Bytes of the window ever given out, and up to where it is free whatever WINDOW_HEAD says. */
export const WINDOW_TAIL = 6;
export const WINDOW_FLOOR = 7;

/** What changes with a get, under the lock of those who get. */
export const HEAD = 0;
/** Items ever taken. */
export const GETS = 1;
/** Bodies ever read, and how many of them have given their memory back. */
export const BODIES_READ = 2;
export const BODIES_FREED = 3;
/** Bytes of the window ever given back. */
export const WINDOW_HEAD = 4;
