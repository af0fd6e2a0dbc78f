/**
 * The words of a lock in shared memory (semlock.ts), and what STATE can be.
 */

import { MEMBER_SET_WORDS } from '../wait/hub.ts';
import { QUEUE_WORDS } from './turns.ts';

/** Of a lock the owner's token or 0, of a semaphore its value. */
export const WORD = 0;
export const STATE = 1;
export const SEQ = 2;
/** Turns that were taken while somebody waited. */
export const TURNS = 3;
/** How often the owner of a recursive lock holds it. */
export const COUNT = 4;
/** Who waits, and since when. */
export const QUEUE = 6;
/** Those of them who want to be rung. */
export const LISTENING = QUEUE + QUEUE_WORDS;
export const WORDS = LISTENING + MEMBER_SET_WORDS;

export const IDLE = 0;
export const SPINNING = 1;
export const SLEEPING = 2;
/** One has been woken and is on its way: another wake would be too many. */
export const WOKEN = 3;
