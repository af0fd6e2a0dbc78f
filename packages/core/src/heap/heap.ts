/**
 * Counterpart of multiprocessing/heap.py: memory that a process shares with its children, in blocks of any size.
 * The arenas that the blocks are cut from are in arena.ts. Deviations: D-059, D-060.
 *
 * CPython needs a lock here, and a list of blocks that were freed while it was held, because its collector runs
 * finalizers in the middle of anything. JavaScript's run between tasks: nothing here can be interrupted.
 *
 *     arena.ts        the memory that blocks are cut from
 *     block_users.ts  which children may still see a block
 */
import { bufferOver, PAGE_SIZE, roundup } from '@multiprocessing/posix';
import { checkSize } from '../base/arguments.ts';
import { UnpicklingError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import type { ProcessEntry } from '../base/process_table.ts';
import { processWide } from '../base/state.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import { registerSharedBuffer } from '../pickle/shared_buffers.ts';
import { assertSpawning, getSpawningPopen } from '../process/spawning.ts';
import { Finalize } from '../util/finalize.ts';
import { info } from '../util/logging.ts';
import { Arena } from './arena.ts';
import { BlockUsers, lives } from './block_users.ts';

export { Arena } from './arena.ts';

/** A part of an arena: bytes from start up to stop. */
interface Extent {
  readonly arena: Arena;
  readonly start: number;
  readonly stop: number;
}

/** A part that is in use. */
export interface Block extends Extent {
  /** Up to here somebody may have written before. @internal */
  readonly dirtyStop: number;
  /** @internal */
  readonly users: BlockUsers;
}

/** Allocates blocks from arenas; Python's `heap.Heap`. */
export class Heap {
  /** The least alignment of a block, in bytes. @internal */
  _alignment = 8;
  /** Bytes from which on an arena without blocks is given back. @internal */
  _DISCARD_FREE_SPACE_LARGER_THAN = 4 * 1024 ** 2;
  /** Each arena is twice as large as the last one, up to this. @internal */
  _DOUBLE_ARENA_SIZE_UNTIL = 4 * 1024 ** 2;

  /** @internal */ _lastpid = process.pid;
  /** @internal */ _size: number;
  /** The lengths of free parts, ascending. @internal */
  _lengths: number[] = [];
  /** @internal */ _lenToSeq = new Map<number, Extent[]>();
  /** @internal */ _startToBlock = new Map<Arena, Map<number, Extent>>();
  /** @internal */ _stopToBlock = new Map<Arena, Map<number, Extent>>();
  /** @internal */ _allocatedBlocks = new Map<Arena, Set<Block>>();
  /** @internal */ _arenas: Arena[] = [];
  /** Freed here, but children still use them. @internal */
  _pendingFreeBlocks: { readonly block: Block; readonly users: Set<ProcessEntry> }[] = [];
  /** @internal */ _nMallocs = 0;
  /** @internal */ _nFrees = 0;

  /** @param size bytes of the first arena */
  constructor(size = PAGE_SIZE) {
    this._size = size;
  }

  /**
   * Takes a block; Python's `Heap.malloc`.
   * @param size bytes; the block is rounded up to the alignment
   * @throws TypeError unless it is a whole number, ValueError for a negative one, OSError ENOMEM
   */
  malloc(size: number): Block {
    checkSize(size);
    if (process.pid !== this._lastpid) Object.assign(this, new Heap()); // what is there is the parent's
    this._nMallocs++;
    this._freePendingBlocks();
    const length = roundup(Math.max(size, 1), this._alignment);
    const { arena, start, stop } = this.#malloc(length);
    const realStop = start + length;
    if (realStop < stop) this.#addFreeBlock({ arena, start: realStop, stop });
    const dirtyStop = Math.min(realStop, arena._used);
    const block = { arena, start, stop: realStop, dirtyStop, users: new BlockUsers() };
    arena._used = Math.max(realStop, arena._used);
    this._allocatedBlocks.get(arena)?.add(block);
    return block;
  }

  /**
   * Gives a block back; Python's `Heap.free`. While children may still use it nobody else gets it.
   * @throws ValueError in another process than the one that has taken it
   */
  free(block: Block): void {
    if (process.pid !== this._lastpid) {
      throw new ValueError(`My pid ${process.pid} is not last pid ${this._lastpid}`);
    }
    this._nFrees++;
    this._freePendingBlocks();
    const users = block.users.living();
    if (users.size > 0) this._pendingFreeBlocks.push({ block, users });
    else this.#release(block);
  }

  /** Frees those whose last child has ended. @internal */
  _freePendingBlocks(): void {
    if (this._pendingFreeBlocks.length === 0) return;
    const all = new Set(this._pendingFreeBlocks.flatMap(({ users }) => [...users]));
    const ended = [...all].filter((child) => !lives(child));
    if (ended.length === 0) return;
    const pending = this._pendingFreeBlocks;
    this._pendingFreeBlocks = [];
    for (const { block, users } of pending) {
      for (const child of ended) users.delete(child);
      if (users.size > 0) this._pendingFreeBlocks.push({ block, users });
      else this.#release(block);
    }
  }

  #release(block: Block): void {
    this.#addFreeBlock(block);
    this.#removeAllocatedBlock(block);
  }

  #newArena(size: number): Extent {
    const length = roundup(Math.max(this._size, size), PAGE_SIZE);
    const arena = new Arena(length);
    if (this._size < this._DOUBLE_ARENA_SIZE_UNTIL) this._size *= 2;
    info('allocating a new mmap of length %d', length);
    this._arenas.push(arena);
    this._startToBlock.set(arena, new Map());
    this._stopToBlock.set(arena, new Map());
    this._allocatedBlocks.set(arena, new Set());
    return { arena, start: 0, stop: length };
  }

  #discardArena(arena: Arena): void {
    const { size } = arena;
    if (size < this._DISCARD_FREE_SPACE_LARGER_THAN) return;
    const whole = this._startToBlock.get(arena)?.get(0) as Extent;
    this.#absorb(whole);
    this._startToBlock.delete(arena);
    this._stopToBlock.delete(arena);
    this._allocatedBlocks.delete(arena);
    this._arenas.splice(this._arenas.indexOf(arena), 1);
    arena._close();
  }

  /** A free part that is large enough, the smallest there is. It might be much larger. */
  #malloc(size: number): Extent {
    const length = this._lengths[lowerBound(this._lengths, size)];
    const seq = length === undefined ? undefined : this._lenToSeq.get(length);
    const extent = seq?.at(-1);
    if (extent === undefined) return this.#newArena(size);
    this.#absorb(extent);
    return extent;
  }

  /** Makes a part available, merged with its free neighbours. */
  #addFreeBlock({ arena, start, stop }: Extent): void {
    const before = this._stopToBlock.get(arena)?.get(start);
    const after = this._startToBlock.get(arena)?.get(stop);
    if (before !== undefined) this.#absorb(before);
    if (after !== undefined) this.#absorb(after);
    const extent = { arena, start: before?.start ?? start, stop: after?.stop ?? stop };
    const length = extent.stop - extent.start;
    const seq = this._lenToSeq.get(length);
    if (seq !== undefined) {
      seq.push(extent);
    } else {
      this._lenToSeq.set(length, [extent]);
      this._lengths.splice(lowerBound(this._lengths, length), 0, length);
    }
    this._startToBlock.get(arena)?.set(extent.start, extent);
    this._stopToBlock.get(arena)?.set(extent.stop, extent);
  }

  /** Takes a free part out of the books. */
  #absorb(extent: Extent): void {
    const { arena, start, stop } = extent;
    this._startToBlock.get(arena)?.delete(start);
    this._stopToBlock.get(arena)?.delete(stop);
    const length = stop - start;
    const seq = this._lenToSeq.get(length) as Extent[];
    seq.splice(seq.lastIndexOf(extent), 1);
    if (seq.length > 0) return;
    this._lenToSeq.delete(length);
    this._lengths.splice(lowerBound(this._lengths, length), 1);
  }

  #removeAllocatedBlock(block: Block): void {
    const blocks = this._allocatedBlocks.get(block.arena);
    blocks?.delete(block);
    if (blocks?.size === 0) this.#discardArena(block.arena);
  }
}

/** The index of the first number that is not less; Python's `bisect_left`. */
function lowerBound(ascending: readonly number[], least: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] as number) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A block of shared memory that can be inherited by children; Python's `heap.BufferWrapper`. */
export class BufferWrapper {
  /** @internal */
  static _heap = processWide('heap', () => new Heap());

  /** Bytes, as they were asked for. */
  readonly size: number;
  /** Where the block begins in this process's memory. */
  readonly address: number;
  /** The block, zeroed. While it is in use the block is not given to anybody else. */
  readonly buffer: ArrayBuffer;
  /** @internal */
  readonly _block: Block | Extent;

  /**
   * @param size bytes, 0 or more
   * @throws TypeError unless it is a whole number, ValueError for a negative one, OSError ENOMEM
   */
  constructor(size: number, received?: Extent) {
    const heap = BufferWrapper._heap;
    const block = received ?? heap.malloc(size);
    this._block = block;
    this.size = size;
    this.address = block.arena.address + block.start;
    this.buffer = bufferOver(this.address, size);
    // From the buffer to this object, and from here to the arena: together they stay and together they go.
    registerSharedBuffer(this.buffer, this);
    if (!isOwn(block)) return;
    const dirty = Math.min(block.dirtyStop - block.start, size);
    if (dirty > 0) new Uint8Array(this.buffer, 0, dirty).fill(0);
    new Finalize(this.buffer, freeBlock, { args: [heap, block] });
  }

  /** How it is pickled. @throws RuntimeError unless a child is being launched */
  [reduceSymbol](): [typeof rebuildWrapper, [Arena, number, number, number]] {
    assertSpawning(this);
    const { arena, start, stop } = this._block;
    if (isOwn(this._block)) this._block.users.addSpawning();
    if (getSpawningPopen()?.method === 'thread') givenToThreads.add(this.buffer);
    return [rebuildWrapper, [arena, start, stop, this.size]];
  }
}

/** Nobody tells when a thread has let go of a block: it stays until the process ends. */
const givenToThreads = new Set<ArrayBuffer>();

/** Whether this process has taken the block from its heap, and has to free it. */
function isOwn(block: Block | Extent): block is Block {
  return 'users' in block;
}

function freeBlock(heap: Heap, block: Block): void {
  heap.free(block);
}

/**
 * In a child: the same block, which is its parent's to free.
 * @throws UnpicklingError for one that is not inside of its arena
 * @internal
 */
export function rebuildWrapper(
  arena: Arena,
  start: number,
  stop: number,
  size: number,
): BufferWrapper {
  const whole = [start, stop, size].every((n) => Number.isInteger(n) && n >= 0);
  if (!(arena instanceof Arena && whole && stop <= arena.size && start + size <= stop)) {
    throw new UnpicklingError('a block of shared memory is not inside of its arena');
  }
  return new BufferWrapper(size, { arena, start, stop });
}

nameExports(import.meta.url, { rebuildWrapper });
