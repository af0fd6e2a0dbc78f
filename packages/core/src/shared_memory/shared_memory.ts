/**
 * Counterpart of `SharedMemory` in multiprocessing/shared_memory.py (`ShareableList` is shareable_list.ts): memory with
 * a name, which any process of the same user can attach to, those of CPython among them.
 * Deviations: D-052, D-053, D-054, D-055, D-119.
 *
 *     resource_tracker.ts         resource_tracker.py: who removes what a killed program has left
 *     resource_tracker_script.ts  the tracker's own program
 *     shareable_items.ts          the items of a ShareableList in memory
 *     shareable_list.ts           ShareableList
 */
import { constants as bufferConstants } from 'node:buffer';
import { constants } from 'node:os';
import { inspect } from 'node:util';
import {
  blank,
  bufferOver,
  checkSegmentName,
  close,
  mapShared,
  OSError,
  osError,
  type Segment,
  shmCreate,
  shmInode,
  shmLink,
  shmOpen,
  shmUnlink,
  unmap,
  urandom,
} from '@multiprocessing/posix';
import { checkOptions } from '../base/arguments.ts';
import { NotImplementedError, typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { processWide } from '../base/state.ts';
import { isTrustedUser } from '../base/users.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import { _resourceTracker } from './resource_tracker.ts';

/** Where a mapping is in this process. */
interface Mapping {
  readonly address: number;
  readonly size: number;
}

/** Views keep their ArrayBuffer: when it is collected nobody can read the mapping any more. */
const mappings = processWide(
  'sharedMemory.mappings',
  () => new FinalizationRegistry<Mapping>(({ address, size }) => unmap(address, size)),
);

const NAME_PREFIX = 'psm_';

/** Options of a SharedMemory. */
export interface SharedMemoryOptions {
  /** Of the segment; a new one gets a random name without. */
  name?: string | undefined;
  /** Whether to make the segment. Otherwise there must be one of that name. */
  create?: boolean | undefined;
  /** Bytes of a new segment; ignored when attaching. */
  size?: number | undefined;
  /** Whether a new segment is removed when all processes of the program have ended. */
  track?: boolean | undefined;
  /** Whether to attach to a segment of another user, root's aside: that one can change and shorten it at any time. */
  anyOwner?: boolean | undefined;
}

/**
 * Memory with a name that several processes see; Python's `multiprocessing.shared_memory.SharedMemory`.
 *
 * Each process closes its own object when it is done; one of them unlinks the segment, which takes the name away.
 * It can be pickled at any time, by its name.
 */
export class SharedMemory {
  readonly #name: string;
  readonly #size: number;
  readonly #inode: bigint;
  readonly #track: boolean;
  #mapping: Mapping | undefined;
  #buf: Uint8Array<ArrayBuffer> | undefined;

  /**
   * @throws ValueError, TypeError for bad options
   * @throws OSError ENOENT when there is nothing to attach to, EPERM when it is another user's, EEXIST when the name to
   *   create is taken, ENOSPC when there is not so much shared memory
   * @throws NotImplementedError on other systems than Linux
   */
  constructor(options: SharedMemoryOptions = {}) {
    checkOptions(options, ['name', 'create', 'size', 'track', 'anyOwner'], 'SharedMemory');
    const { name, create = false, size = 0, track = true, anyOwner = false } = options;
    checkFlag('create', create);
    checkFlag('track', track);
    checkFlag('anyOwner', anyOwner);
    checkSize(size, create);
    if (name !== undefined) checkText(name);
    else if (!create) throw new ValueError("'name' can only be left out with create: true");
    if (process.platform !== 'linux') {
      throw new NotImplementedError(`SharedMemory needs Linux, this is ${process.platform}`);
    }
    if (name !== undefined) checkSegmentName(name);
    this.#track = track;
    const newName = name === undefined ? () => new.target._makeFilename() : () => name;
    const made = create
      ? createSegment(newName, size, track)
      : attachSegment(name as string, anyOwner);
    this.#name = made.name;
    this.#size = made.segment.size;
    this.#inode = made.segment.inode;
    this.#mapping = made.mapping;
    this.#buf = new Uint8Array(made.buffer);
  }

  /** A name for a new segment; asked again when it is taken. Python's `_make_filename`. @internal */
  static _makeFilename(): string {
    return NAME_PREFIX + Buffer.from(urandom(4)).toString('hex');
  }

  /** The segment's bytes; `undefined` once this object is closed. */
  get buf(): Uint8Array<ArrayBuffer> {
    return this.#buf as Uint8Array<ArrayBuffer>;
  }

  /** The name by which other processes attach. */
  get name(): string {
    return this.#name;
  }

  /** Bytes. */
  get size(): number {
    return this.#size;
  }

  /**
   * Lets go of the memory, and not of the name. A second call does nothing. Views that the program still holds read
   * zeros from now on, and what is written to them reaches nobody.
   */
  close(): void {
    if (this.#mapping === undefined) return;
    blank(this.#mapping.address, this.#mapping.size);
    this.#mapping = undefined;
    this.#buf = undefined;
  }

  /**
   * Takes the segment's name away: nobody can attach any more, and the memory goes with the last that has. To be
   * called by one of all processes.
   * @throws OSError ENOENT when that has been done already
   */
  unlink(): void {
    const untrack = () => {
      if (this.#track && _resourceTracker._isKnown()) {
        _resourceTracker.unregister(this.#name, 'shared_memory', this.#inode);
      }
    };
    if (shmInode(this.#name) !== this.#inode) {
      untrack();
      const detail = `/dev/shm/${this.#name}: this segment has been unlinked already`;
      throw osError(constants.errno.ENOENT, 'shm_unlink', detail);
    }
    shmUnlink(this.#name);
    untrack();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** How it is pickled: by its name, and the number of the segment that has it. */
  [reduceSymbol](): [typeof attach, [SharedMemoryClass, string, bigint]] {
    return [attach, [this.constructor as SharedMemoryClass, this.#name, this.#inode]];
  }

  /** The segment's own number. @internal */
  get _inode(): bigint {
    return this.#inode;
  }

  toString(): string {
    return `${this.constructor.name}(${inspect(this.#name)}, size=${this.#size})`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

type SharedMemoryClass = new (options: SharedMemoryOptions) => SharedMemory;

/** Of whichever user the segment is, it is the one that the sender has. @internal */
export function attach(cls: SharedMemoryClass, name: string, inode: bigint): SharedMemory {
  const memory = new cls({ name, anyOwner: true });
  checkSegment(memory, inode);
  return memory;
}

/** Closes what is not the segment that was sent. @throws OSError ENOENT @internal */
export function checkSegment(memory: SharedMemory, inode: bigint): void {
  if (memory._inode === inode) return;
  memory.close();
  const detail = `/dev/shm/${memory.name}: the segment that was sent has been unlinked, and another one has its name`;
  throw osError(constants.errno.ENOENT, 'shm_open', detail);
}

nameExports(import.meta.url, { SharedMemory, attach });

interface Made {
  readonly name: string;
  readonly segment: Segment;
  readonly mapping: Mapping;
  readonly buffer: ArrayBuffer;
}

function attachSegment(name: string, anyOwner: boolean): Made {
  const segment = shmOpen(name);
  try {
    if (!anyOwner) checkOwner(name, segment);
    if (segment.size === 0) {
      throw new ValueError(
        `cannot map '${name}': the segment is empty, whoever makes it has not given it a size yet`,
      );
    }
    return { name: bare(name), ...map(segment) };
  } finally {
    close(segment.fd);
  }
}

/** @throws OSError EPERM */
function checkOwner(name: string, { uid }: Segment): void {
  if (isTrustedUser(Number(uid))) return;
  const detail = `/dev/shm/${bare(name)} is a segment of the user ${uid}: attach to it with anyOwner: true if that one is to be trusted`;
  throw osError(constants.errno.EPERM, 'shm_open', detail);
}

/** The tracker knows a segment before it has its name: whenever this process is killed, nothing stays. */
function createSegment(newName: () => string, size: number, track: boolean): Made {
  const segment = shmCreate(size);
  try {
    const mapped = map(segment);
    for (let refused: string | undefined; ; ) {
      const name = bare(newName());
      if (track) _resourceTracker.register(name, 'shared_memory', segment.inode);
      try {
        shmLink(segment, name);
        return { name, ...mapped };
      } catch (error) {
        if (track) _resourceTracker.unregister(name, 'shared_memory', segment.inode);
        const taken = error instanceof OSError && error.code === 'EEXIST';
        if (!taken || name === refused) throw error; // twice the same: it was given
        refused = name;
      }
    }
  } finally {
    close(segment.fd);
  }
}

function map(segment: Segment): Omit<Made, 'name'> {
  const { fd, size } = segment;
  if (size > bufferConstants.MAX_LENGTH) {
    throw new ValueError(
      `the segment has ${size} bytes, a Uint8Array can have ${bufferConstants.MAX_LENGTH}`,
    );
  }
  const mapping = { address: mapShared(fd, size), size };
  const buffer = bufferOver(mapping.address, size);
  mappings.register(buffer, mapping);
  return { segment, mapping, buffer };
}

function bare(name: string): string {
  return name.replace(/^\//, '');
}

function checkFlag(option: string, value: unknown): void {
  if (typeof value !== 'boolean') {
    throw typeError(`'${option}' must be true or false, not ${inspect(value)}`);
  }
}

function checkText(name: unknown): void {
  if (typeof name !== 'string') throw typeError(`'name' must be a string, not ${inspect(name)}`);
  if (name.includes('\0')) throw new ValueError("'name': embedded null character");
  if (/[:\n]/.test(name)) {
    throw new ValueError(`'name' must have no colon and no newline in it: ${inspect(name)}`);
  }
  if (/\p{Surrogate}/u.test(name)) {
    throw new ValueError(`'name' must be well-formed text: ${inspect(name)}`);
  }
}

function checkSize(size: unknown, create: boolean): void {
  if (typeof size !== 'number') {
    throw typeError(`'size' must be a number of bytes, not ${inspect(size)}`);
  }
  if (!(size >= 0)) throw new ValueError("'size' must be a positive integer");
  if (!create) return;
  if (size === 0) throw new ValueError("'size' must be a positive number different from zero");
  if (!Number.isInteger(size)) {
    throw new ValueError(`'size' must be a whole number of bytes, not ${size}`);
  }
  if (size > bufferConstants.MAX_LENGTH) {
    throw new ValueError(
      `'size' is ${size}, and a Uint8Array can have ${bufferConstants.MAX_LENGTH} bytes`,
    );
  }
}
