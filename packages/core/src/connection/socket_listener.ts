/**
 * Counterpart of `SocketListener` in multiprocessing/connection.py: a socket that listens, and those who wait for a
 * connection at it. Deviations: D-082, D-083, D-086.
 */
import { statSync, unlinkSync } from 'node:fs';
import { resolve as resolvePath } from 'node:path';
import {
  acceptStream,
  byNode,
  close,
  listenStream,
  onReady,
  poll,
  socketName,
} from '@multiprocessing/posix';
import { OSError } from '../base/errors.ts';
import { Finalize } from '../util/finalize.ts';
import { generation } from '../wait/hub.ts';
import { type Address, type Family, resolveAddressSync } from './addresses.ts';

/** A connection that was accepted: its fd, and where the other side is. */
interface Accepted {
  readonly fd: number;
  readonly peer: Address;
}

interface Waiting {
  resolve(accepted: Accepted): void;
  reject(error: unknown): void;
}

/** What is left of a listener that nobody has any more. */
interface Leftover {
  fd: number | undefined;
  readonly file: SocketFile | undefined;
  /** Fds of those whose proof is under way (reception.ts). */
  readonly guests: Set<number>;
}

/** The name of a Unix socket in the file system. */
interface SocketFile {
  readonly path: string;
  readonly dev: bigint;
  readonly ino: bigint;
}

const EBADF = 9;

/** @internal */
export class SocketListener {
  readonly address: Address;
  /** The other side of the connection that was accepted last. */
  lastAccepted: Address | undefined;
  readonly #leftover: Leftover;
  readonly #pid = process.pid;
  readonly #finalizer: Finalize<[Leftover]>;
  #waiting: Waiting[] = [];
  #stopWatch: (() => void) | undefined;
  #generation = generation();

  /** @param file of the process that made it alone: that one takes the name away */
  private constructor(fd: number, file?: SocketFile) {
    this.#leftover = { fd, file, guests: new Set() };
    this.address = socketName(fd);
    this.#finalizer = new Finalize(this, cleanUp, { args: [this.#leftover], exitpriority: 0 });
  }

  /** @throws OSError */
  static bind(address: Address, family: Family, backlog: number): SocketListener {
    const fd = listenStream(resolveAddressSync(address, family), backlog);
    try {
      return new SocketListener(fd, socketFile(address));
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  /** One whose fd another process has passed to this one. */
  static adopt(fd: number): SocketListener {
    return new SocketListener(fd);
  }

  /** @throws OSError when it is closed */
  get fd(): number {
    const { fd } = this.#leftover;
    if (fd === undefined) throw closedListener();
    return fd;
  }

  /** Closed with the listener, whoever does that. */
  get guests(): Set<number> {
    return this.#leftover.guests;
  }

  /** The next connection. Several may be waited for; they are given out in order. @throws OSError */
  accept(): Promise<Accepted> {
    return new Promise((resolve, reject) => {
      this.#forgetParents();
      this.#waiting.push({ resolve, reject });
      if (this.#waiting.length === 1) this.#serve();
    });
  }

  /** @throws OSError */
  acceptSync(): Accepted {
    for (;;) {
      const accepted = this.#accept();
      if (accepted !== undefined) return accepted;
      poll([this.fd]);
    }
  }

  /** Gives those who wait what is there, and looks again when there is more. */
  #serve(): void {
    this.#stopWatch = undefined;
    while (this.#waiting.length > 0) {
      try {
        const accepted = this.#accept();
        if (accepted === undefined) {
          this.#stopWatch = onReady(this.fd, () => this.#serve());
          return;
        }
        this.#waiting.shift()?.resolve(accepted);
      } catch (error) {
        this.#waiting.shift()?.reject(error);
      }
    }
  }

  /** A connection that is there already. @throws OSError */
  tryAccept(): Accepted | undefined {
    return acceptStream(this.fd);
  }

  #accept(): Accepted | undefined {
    const accepted = this.tryAccept();
    if (accepted !== undefined) this.lastAccepted = accepted.peer;
    return accepted;
  }

  /** In a forked child: what its parent waits for is not the child's. */
  #forgetParents(): void {
    if (this.#generation === generation()) return;
    this.#generation = generation();
    this.#waiting = [];
    this.#stopWatch = undefined;
  }

  /** Rejects those who wait. A second call does nothing. */
  close(): void {
    if (this.#leftover.fd === undefined) return;
    this.#forgetParents();
    this.#stopWatch?.();
    this.#stopWatch = undefined;
    this.#finalizer.cancel();
    cleanUp(this.#leftover, this.#pid === process.pid);
    for (const { reject } of this.#waiting.splice(0)) reject(closedListener());
  }
}

/** @internal */
export function closedListener(): OSError {
  return new OSError(EBADF, 'listener is closed');
}

function cleanUp(leftover: Leftover, unlink = true): void {
  if (leftover.fd === undefined) return;
  close(leftover.fd);
  leftover.fd = undefined;
  for (const guest of leftover.guests) close(guest);
  if (unlink && leftover.file !== undefined) removeFile(leftover.file);
}

/** By its full path: the program may go to another directory. */
function socketFile(address: Address): SocketFile | undefined {
  if (typeof address !== 'string' || address.startsWith('\0')) return undefined;
  const path = resolvePath(address);
  const { dev, ino } = byNode(() => statSync(path, { bigint: true }));
  return { path, dev, ino };
}

/** Removes the name, unless somebody has done that or given it to another socket. */
function removeFile({ path, dev, ino }: SocketFile): void {
  byNode(() => {
    const now = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (now?.dev === dev && now.ino === ino) unlinkSync(path);
  });
}
