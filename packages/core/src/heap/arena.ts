/**
 * `Arena` of multiprocessing/heap.py: a piece of memory that a process shares with those that it starts.
 * Deviations: D-065.
 */
import { constants } from 'node:buffer';
import { fstatSync, ftruncateSync, openSync, rmSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import {
  byNode,
  close,
  mapShared,
  orClose,
  osError,
  sealedMemfd,
  unmap,
  urandom,
} from '@multiprocessing/posix';
import { UnpicklingError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { processWide } from '../base/state.ts';
import { makeTempDir } from '../base/temp_dir.ts';
import { DupFd } from '../fds/dup_fd.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import { assertSpawning } from '../process/spawning.ts';
import { Finalize } from '../util/finalize.ts';

/** The arenas of this process by the key that all processes know them by. */
const arenas = processWide(
  'arenas',
  () => new Map<string, { fd: number; arena: WeakRef<Arena> }>(),
);

/** What an arena that is received has already. */
interface Received {
  readonly key: string;
  readonly fd: number;
}

/** Shared memory without a name; Python's `heap.Arena`. It is let go when the object is collected. */
export class Arena {
  /** Bytes. */
  readonly size: number;
  /** An fd of the memory, open as long as the arena. */
  readonly fd: number;
  readonly address: number;
  /** Up to here it may hold something; beyond are zeros. @internal */
  _used = 0;
  readonly #key: string;
  readonly #release: Finalize<[string, number, number, number]>;

  /**
   * @param size bytes, a multiple of the size of a page
   * @throws OSError ENOMEM for more than this machine has
   */
  constructor(size: number, received?: Received) {
    this.size = size;
    this.#key = received?.key ?? Buffer.from(urandom(16)).toString('hex');
    const fd = received?.fd ?? openMemory(size);
    this.fd = fd;
    this.address = orClose(fd, () => mapShared(fd, size));
    arenas.set(this.#key, { fd: this.fd, arena: new WeakRef(this) });
    this.#release = new Finalize(this, release, {
      args: [this.#key, this.fd, this.address, size],
    });
  }

  /** Lets the memory go now, when nobody has an ArrayBuffer in it. @internal */
  _close(): void {
    this.#release.call();
  }

  /** How it is pickled. @throws RuntimeError unless a child is being launched */
  [reduceSymbol](): [typeof rebuildArena, [string, number, DupFd]] {
    assertSpawning(this);
    return [rebuildArena, [this.#key, this.size, new DupFd(this.fd)]];
  }
}

function release(key: string, fd: number, address: number, size: number): void {
  // Another object for the same arena may have arrived since this one was last used.
  if (arenas.get(key)?.fd === fd) arenas.delete(key);
  unmap(address, size);
  close(fd);
}

/** Memory that is not there is refused here: later it would be the kernel that kills who writes to it. */
function openMemory(size: number): number {
  if (size > Math.min(totalmem(), constants.MAX_LENGTH)) {
    throw osError(12 /* ENOMEM */, 'mmap', `${size} bytes`);
  }
  if (process.platform === 'linux') return sealedMemfd('multiprocessing-heap', size);
  const folder = makeTempDir('pymp-');
  try {
    const fd = openSync(join(folder, 'arena'), 'w+', 0o600);
    ftruncateSync(fd, size);
    return fd;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * In a child: the arena, mapped once however often it arrives; Python's `rebuild_arena`.
 * @throws UnpicklingError for a file of another size: the kernel would kill who reads beyond its end
 * @internal
 */
export function rebuildArena(key: string, size: number, dupFd: DupFd): Arena {
  const fd = dupFd.detach();
  const known = arenas.get(key)?.arena.deref();
  if (known === undefined) {
    const found = orClose(fd, () => byNode(() => fstatSync(fd, { bigint: true }))).size;
    if (Number(found) !== size) throw new UnpicklingError('an arena has lost its file');
    return new Arena(size, { key, fd });
  }
  if (known.fd !== fd) close(fd);
  return known;
}

nameExports(import.meta.url, { rebuildArena });
