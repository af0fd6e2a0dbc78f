/**
 * What is between the processes of a queue. CPython's is a pipe with a lock at each end; here it is a ring in shared
 * memory with a lock at each end, and a file behind it (file.ts) for what is too large or too much for the ring. So a
 * put never has to wait for a reader, and an item that was put does not depend on its producer any more.
 *
 * Everything that a put or a get changes counts in one moment (wait/committed.ts). A process that is killed before has
 * changed nothing, and who waits for its lock gets it: see docs/queues.md.
 */

import { now, roundup } from '@multiprocessing/posix';
import { damaged } from '../base/errors.ts';
import { spin } from '../base/spin.ts';
import { BufferWrapper } from '../heap/heap.ts';
import type { Pickled, Piece } from '../pickle/message.ts';
import type { Received } from '../pickle/reduction.ts';
import { LOCK, NativeSemLock, type SemLockState } from '../synchronize/semlock.ts';
import { ChangeSignal, SIGNAL_WORDS } from '../wait/change_signal.ts';
import { Committed } from '../wait/committed.ts';
import { MemberTable } from '../wait/hub.ts';
import { checkCounts, checkOrder, PLACE_BYTES, readPlace } from './checks.ts';
import {
  freeBodies,
  freeOverflow,
  MOST_BYTES,
  QueueWindow,
  readBody,
  readFromWindow,
  readOverflow,
  sizeOfBody,
  WINDOW_BYTES,
  writeBody,
  writeOverflow,
  writeToWindow,
} from './file.ts';
import {
  BODIES,
  BODIES_FREED,
  BODIES_READ,
  BODY_TAIL,
  CHANNEL_BYTES,
  DONE_AT,
  GETS,
  HEAD,
  ITEMS_AT,
  MEMBERS_AT,
  OVER_HEAD,
  OVER_TAIL,
  PUTS,
  PUTS_AT,
  RING_AT,
  RING_BYTES,
  ROOM_AT,
  TAIL,
  TAKES_AT,
  TASKS_DONE_AT,
  WINDOW_FLOOR,
  WINDOW_HEAD,
  WINDOW_TAIL,
} from './layout.ts';
import { MEMBERS_WORDS, QueueMembers } from './members.ts';
import { copy, RECORD_HEAD, sizeOfRecord } from './record.ts';

const MASK = RING_BYTES - 1;
/** Kinds: a message; where a body stands in the file; nothing up to the end of the ring. Above them stands the item's tag. */
const MESSAGE = 0;
const BODY = 1;
const SKIP = 2;
const KIND_BITS = 2;
const KIND = (1 << KIND_BITS) - 1;
/** Bytes of the longest message that goes through the ring. */
const LONGEST_MESSAGE = 16_384;
const LONGEST_RECORD = RECORD_HEAD + LONGEST_MESSAGE;

/** Bytes that a millisecond moves through memory that has to be made first. */
const FILE_BYTES_PER_MS = 1024 ** 2;

/** What a channel is pickled as. @internal */
export interface ChannelState {
  memory: BufferWrapper;
  members: BufferWrapper;
  putLock: SemLockState;
  getLock: SemLockState;
}

/** An item, and the tag that it was put with. @internal */
export interface Taken extends Received {
  readonly tag: number;
}

/** What `take` says when it would have to wait for those who put. @internal */
export const BUSY = Symbol('busy');

const NOTHING: readonly Uint8Array<ArrayBuffer>[] = [];

function silentLock(state?: SemLockState): NativeSemLock {
  const lock = state === undefined ? new NativeSemLock(LOCK, 0, 1) : NativeSemLock.rebuild(state);
  lock.name = undefined; // nothing is lost with its owner
  lock.what = 'Queue';
  return lock;
}

/** @internal */
export class QueueChannel {
  readonly putLock: NativeSemLock;
  readonly getLock: NativeSemLock;
  /** Something was put. */
  readonly items: ChangeSignal;
  /** Something was taken. */
  readonly room: ChangeSignal;
  /** All tasks are done. */
  readonly done: ChangeSignal;
  readonly tasksDone: Int32Array;
  readonly members: QueueMembers;
  readonly memory: BufferWrapper;
  readonly #table: MemberTable;
  readonly #fd: number;
  readonly #puts: Committed;
  readonly #takes: Committed;
  readonly #ring: Uint8Array;
  readonly #ringWords: Int32Array;
  /** What was taken last. */
  #scratch = Buffer.allocUnsafeSlow(LONGEST_RECORD);
  /** What is put into the overflow. */
  #record: Buffer | undefined;
  #mapped: QueueWindow | undefined;
  /** What the last refill has taken out of the overflow. */
  #moved = { from: 0, to: 0 };
  /** How far the others have come at least: looked up anew when that is not enough. */
  #knownHead = 0;
  #knownTail = 0;

  /** @param fd of the queue's file, which stays the caller's */
  constructor(fd: number, state?: ChannelState) {
    this.#fd = fd;
    this.memory = state?.memory ?? new BufferWrapper(CHANNEL_BYTES);
    this.#table = state === undefined ? MemberTable.current : new MemberTable(state.members);
    this.putLock = silentLock(state?.putLock);
    this.getLock = silentLock(state?.getLock);
    const { buffer, address } = this.memory;
    this.#puts = new Committed(buffer, PUTS_AT);
    this.#takes = new Committed(buffer, TAKES_AT);
    const signal = (at: number) =>
      new ChangeSignal(new Int32Array(buffer, at, SIGNAL_WORDS), address + at, this.#table);
    this.items = signal(ITEMS_AT);
    this.room = signal(ROOM_AT);
    this.done = signal(DONE_AT);
    this.tasksDone = new Int32Array(buffer, TASKS_DONE_AT, 1);
    this.members = new QueueMembers(new Int32Array(buffer, MEMBERS_AT, MEMBERS_WORDS));
    this.#ring = new Uint8Array(buffer, RING_AT, RING_BYTES);
    this.#ringWords = new Int32Array(buffer, RING_AT, RING_BYTES / 4);
  }

  get state(): ChannelState {
    return {
      memory: this.memory,
      members: this.#table.memory,
      putLock: this.putLock.state,
      getLock: this.getLock.state,
    };
  }

  /** How many items were ever taken. */
  get gets(): number {
    return this.#takes.read(GETS);
  }

  /** How many items were put and not taken. */
  get size(): number {
    const gets = this.#takes.read(GETS); // first: so it cannot be more than puts
    return this.#puts.read(PUTS) - gets;
  }

  /** The same, if it can be: `size` itself is looked at too often. @throws RuntimeError */
  get checkedSize(): number {
    const { size } = this;
    checkCounts(size);
    return size;
  }

  get puts(): number {
    return this.#puts.read(PUTS);
  }

  //
  // Putting: for who has putLock
  //

  /**
   * Puts an item.
   * @param tag goes with it, below 2^30
   * @throws OSError when the machine has no memory for it, RuntimeError when the queue's memory is damaged; then nothing has
   *   changed
   */
  put(item: Pickled, tag = 0): void {
    const base = this.#puts.edit();
    const tagged = tag << KIND_BITS;
    if (item.beside.length === 0 && item.length <= LONGEST_MESSAGE) {
      this.#write(base, item, tagged | MESSAGE);
    } else {
      this.#write(base, this.#putBody(base, item), tagged | BODY);
    }
    (this.#puts.fields[base + PUTS] as number)++;
    this.#commitPuts();
  }

  #commitPuts(): void {
    this.#puts.commit();
    const { from, to } = this.#moved;
    if (to === 0) return;
    this.#moved = { from: 0, to: 0 };
    freeOverflow(this.#fd, from, to);
  }

  #putBody(base: number, { bytes, start, length, beside }: Pickled): Piece {
    const part = bytes.subarray(start, start + length);
    this.#checkBodies(base);
    const size = sizeOfBody(length, beside);
    let position = this.#placeInWindow(base, size);
    let end = 0;
    if (position === undefined) {
      position = this.#placeInFile(base, size);
      end = position + size;
      writeBody(this.#fd, position, part, beside);
    } else writeToWindow(this.#window, position, part, beside);
    const windowEnd = this.#puts.fields[base + WINDOW_TAIL] as number;
    const place = Float64Array.of(position, length, beside.length, end, windowEnd);
    return { bytes: new Uint8Array(place.buffer), start: 0, length: place.byteLength };
  }

  #checkBodies(base: number): void {
    const { fields } = this.#puts;
    const get = (field: number) => fields[base + field] as number;
    checkOrder(get(BODY_TAIL), MOST_BYTES);
    checkOrder(this.#takes.read(BODIES_FREED), get(BODIES));
    checkOrder(this.#takes.read(WINDOW_HEAD), get(WINDOW_TAIL));
    checkOrder(get(WINDOW_FLOOR), get(WINDOW_TAIL));
  }

  /** Finds a place for so many bytes in one piece. */
  #placeInWindow(base: number, size: number): number | undefined {
    const { fields } = this.#puts;
    const given = this.#takes.read(WINDOW_HEAD);
    let tail = fields[base + WINDOW_TAIL] as number;
    let head = Math.max(given, fields[base + WINDOW_FLOOR] as number);
    // When nobody needs it, it begins anew: the fewer pages, the better.
    const begin = roundup(tail, WINDOW_BYTES);
    if (given === tail) {
      tail = begin;
      head = begin;
    } else if ((tail % WINDOW_BYTES) + size > WINDOW_BYTES) tail = begin;
    if (tail + size - head > WINDOW_BYTES && !this.#waitForWindow(tail + size, size))
      return undefined;
    head = Math.max(head, this.#takes.read(WINDOW_HEAD));
    fields[base + WINDOW_FLOOR] = head;
    fields[base + WINDOW_TAIL] = tail + size;
    return tail % WINDOW_BYTES;
  }

  /** A reader that is at work makes room in less time than the file would take. */
  #waitForWindow(end: number, size: number): boolean {
    if (size > WINDOW_BYTES / 2) return false;
    const deadline = now() + size / FILE_BYTES_PER_MS;
    const fits = () => end - this.#takes.read(WINDOW_HEAD) <= WINDOW_BYTES;
    return this.room.waitSync(fits, deadline);
  }

  #placeInFile(base: number, size: number): number {
    const { fields } = this.#puts;
    let position = fields[base + BODY_TAIL] as number;
    // When all have been read and their memory is free, the file begins anew.
    if (this.#takes.read(BODIES_FREED) === fields[base + BODIES]) {
      freeBodies(this.#fd, position);
      position = 0;
    }
    fields[base + BODY_TAIL] = position + size;
    (fields[base + BODIES] as number)++;
    return position;
  }

  get #window(): QueueWindow {
    this.#mapped ??= new QueueWindow(this.#fd);
    return this.#mapped;
  }

  #write(base: number, payload: Piece, kind: number): void {
    const { fields } = this.#puts;
    if (fields[base + OVER_HEAD] !== fields[base + OVER_TAIL]) this.#refill(base);
    if (fields[base + OVER_HEAD] === fields[base + OVER_TAIL]) {
      if (this.#append(base, payload, kind)) return;
      // A reader that is at work soon makes room.
      const size = RECORD_HEAD * 2 + payload.length;
      if (spin(() => this.#free(base) >= 2 * size) && this.#append(base, payload, kind)) return;
    }
    this.#record ??= Buffer.alloc(LONGEST_RECORD);
    const record = this.#record.subarray(0, sizeOfRecord(payload.length));
    record.writeInt32LE(payload.length, 0);
    record.writeInt32LE(kind, 4);
    copy(payload.bytes, payload.start, record, RECORD_HEAD, payload.length);
    const tail = fields[base + OVER_TAIL] as number;
    checkOrder(tail, MOST_BYTES);
    writeOverflow(this.#fd, tail, record);
    fields[base + OVER_TAIL] = tail + record.length;
  }

  /** Bytes of the ring that are free now. @throws RuntimeError */
  #free(base: number): number {
    const head = this.#takes.read(HEAD);
    const used = (this.#puts.fields[base + TAIL] as number) - head;
    if (!(used >= 0 && used <= RING_BYTES)) throw damaged('Queue');
    this.#knownHead = head;
    return RING_BYTES - used;
  }

  /** Puts a record into the ring. @returns false when there is no room */
  #append(base: number, payload: Piece, kind: number): boolean {
    const { fields } = this.#puts;
    let tail = fields[base + TAIL] as number;
    const size = sizeOfRecord(payload.length);
    const toEnd = RING_BYTES - (tail & MASK);
    const needed = toEnd < size ? toEnd + size : size;
    const used = tail - this.#knownHead;
    if (!(used >= 0 && used + needed <= RING_BYTES) && this.#free(base) < needed) return false;
    const words = this.#ringWords;
    let word = (tail & MASK) >>> 2;
    if (toEnd < size) {
      words[word + 1] = SKIP;
      tail += toEnd;
      word = 0;
    }
    words[word] = payload.length;
    words[word + 1] = kind;
    copy(payload.bytes, payload.start, this.#ring, word * 4 + RECORD_HEAD, payload.length);
    fields[base + TAIL] = tail + size;
    return true;
  }

  /** Moves records from the overflow into the ring, once half of it is free. @throws RuntimeError, OSError */
  #refill(base: number): void {
    if (this.#free(base) < RING_BYTES / 2) return;
    const { fields } = this.#puts;
    const begin = fields[base + OVER_HEAD] as number;
    const tail = fields[base + OVER_TAIL] as number;
    checkOrder(begin, Math.min(tail, MOST_BYTES));
    if ((tail - begin) % RECORD_HEAD !== 0) throw damaged('Queue');
    const chunk = Buffer.allocUnsafeSlow(Math.min(tail - begin, RING_BYTES / 2));
    readOverflow(this.#fd, begin, chunk);
    const words = new Int32Array(chunk.buffer);
    let at = 0;
    while (at + RECORD_HEAD <= chunk.length) {
      const length = words[at >>> 2] as number;
      if (length >>> 0 > LONGEST_MESSAGE) throw damaged('Queue');
      const end = at + sizeOfRecord(length);
      if (end > chunk.length) break;
      const payload = { bytes: chunk, start: at + RECORD_HEAD, length };
      if (!this.#append(base, payload, words[(at >>> 2) + 1] as number)) break;
      at = end;
    }
    if (at === 0) throw damaged('Queue'); // there was room for one at least
    const head = begin + at;
    this.#moved = { from: begin, to: head };
    fields[base + OVER_HEAD] = head === tail ? 0 : head;
    if (head === tail) fields[base + OVER_TAIL] = 0;
  }

  //
  // Taking: for who has getLock
  //

  /** Whether there seems to be an item. */
  readonly hasItems = (): boolean => this.size > 0;

  /**
   * Takes the next item.
   * @param before is called with its tag before it counts as taken
   * @returns undefined when there is none; BUSY when `refill` is needed first
   * @throws OSError when there is no memory for it, RuntimeError when the queue's memory is damaged; then it is still there
   */
  take(before?: (tag: number) => void): Taken | undefined | typeof BUSY {
    const base = this.#takes.edit();
    const { fields } = this.#takes;
    let head = fields[base + HEAD] as number;
    if (!(head < this.#knownTail)) {
      this.#knownTail = this.#puts.read(TAIL);
      if (!(head < this.#knownTail)) return this.#nothing(base);
    }
    const words = this.#ringWords;
    if (words[((head & MASK) >>> 2) + 1] === SKIP) head += RING_BYTES - (head & MASK);
    const word = (head & MASK) >>> 2;
    const length = words[word] as number;
    const left = this.#knownTail - head;
    if (left > RING_BYTES || length >>> 0 > Math.min(left - RECORD_HEAD, LONGEST_MESSAGE)) {
      this.#knownTail = 0;
      throw damaged('Queue');
    }
    const start = word * 4 + RECORD_HEAD;
    copy(this.#ring, start, this.#scratch, 0, length);
    fields[base + HEAD] = head + sizeOfRecord(length);
    (fields[base + GETS] as number)++;
    const tagged = words[word + 1] as number;
    const tag = tagged >>> KIND_BITS;
    if ((tagged & KIND) !== MESSAGE) {
      if ((tagged & KIND) !== BODY || length !== PLACE_BYTES) throw damaged('Queue');
      return this.#takeBody(base, tag, before);
    }
    before?.(tag);
    this.#takes.commit();
    return { bytes: this.#scratch, length, beside: NOTHING, tag };
  }

  /** When the ring is empty: whether all is. @throws RuntimeError */
  #nothing(base: number): undefined | typeof BUSY {
    const { fields } = this.#takes;
    checkOrder(fields[base + HEAD] as number, this.#knownTail);
    const puts = this.#puts.read(PUTS);
    checkOrder(fields[base + GETS] as number, puts);
    return puts === fields[base + GETS] ? undefined : BUSY;
  }

  #takeBody(base: number, tag: number, before: ((tag: number) => void) | undefined): Taken {
    const bodies = this.#puts.read(BODY_TAIL);
    const [place, limit] = readPlace(this.#scratch, this.#fd, bodies);
    const [position, message, beside, end, windowEnd] = place;
    const { fields } = this.#takes;
    const body = { position, message, beside, limit };
    if (end === 0) {
      const taken = readFromWindow(this.#window, body);
      fields[base + WINDOW_HEAD] = windowEnd;
      before?.(tag);
      this.#takes.commit();
      this.room.notify();
      return { ...taken, tag };
    }
    const taken = readBody(this.#fd, body);
    const read = (fields[base + BODIES_READ] as number) + 1;
    fields[base + BODIES_READ] = read;
    before?.(tag);
    this.#takes.commit();
    freeBodies(this.#fd, end);
    fields[this.#takes.edit() + BODIES_FREED] = read;
    this.#takes.commit();
    return { ...taken, tag };
  }

  /** When the ring is empty and there is an overflow: for who has both locks. */
  refill(): void {
    const base = this.#puts.edit();
    if (this.#puts.fields[base + OVER_HEAD] === this.#puts.fields[base + OVER_TAIL]) {
      // Nobody puts or takes now.
      const isEmpty = this.#puts.read(TAIL) === this.#takes.read(HEAD);
      if (isEmpty && this.size !== 0) throw damaged('Queue');
      return;
    }
    this.#refill(base);
    this.#commitPuts();
  }

  /** What was taken is still in use: the next item must not overwrite it. */
  keepTaken(): void {
    this.#scratch = Buffer.allocUnsafeSlow(LONGEST_RECORD);
  }
}
