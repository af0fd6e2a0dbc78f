/**
 * Counterpart of `SharedMemoryManager` and `SharedMemoryServer` in multiprocessing/managers.py.
 */
import { nameExports } from '../base/names.ts';
import { ensureRunning } from '../shared_memory/resource_tracker.ts';
import { type Shareable, ShareableList } from '../shared_memory/shareable_list.ts';
import { SharedMemory } from '../shared_memory/shared_memory.ts';
import { debug } from '../util/logging.ts';
import { BaseManager } from './manager.ts';
import type { ManagerOptions } from './manager_options.ts';
import { Server } from './server.ts';

/** A server that knows segments of shared memory, and unlinks them at its end; Python's `managers.SharedMemoryServer`. */
export class SharedMemoryServer extends Server {
  readonly #segments = new Set<string>();

  constructor(...args: ConstructorParameters<typeof Server>) {
    super(...args);
    this.control.set('track_segment', (_link, [name]) => this.#track(name as string));
    this.control.set('release_segment', (_link, [name]) => this.#destroy(name as string));
    this.control.set('list_segments', () => [...this.#segments]);
  }

  #track(name: string): void {
    debug('Register segment %j in pid %d', name, process.pid);
    this.#segments.add(name);
  }

  #destroy(name: string): void {
    if (!this.#segments.delete(name)) return;
    debug('Destroy segment %j in pid %d', name, process.pid);
    try {
      const segment = new SharedMemory({ name });
      segment.close();
      segment.unlink();
    } catch (error) {
      debug('... %s', error);
    }
  }

  override stop(): void {
    for (const name of [...this.#segments]) this.#destroy(name);
    super.stop();
  }
}

/** A manager that makes shared memory, and unlinks it at its end; Python's `managers.SharedMemoryManager`. */
export class SharedMemoryManager extends BaseManager {
  /** @internal */
  static override readonly _Server = SharedMemoryServer;

  constructor(options: ManagerOptions = {}) {
    // Else this process and the manager would each get one of their own.
    ensureRunning();
    super(options);
  }

  /** Makes a segment. @param size bytes */
  async SharedMemory(size: number): Promise<SharedMemory> {
    this._link();
    const segment = new SharedMemory({ create: true, size });
    await this.#tracked(segment);
    return segment;
  }

  /** The blocking twin of `SharedMemory`. */
  SharedMemorySync(size: number): SharedMemory {
    this._link();
    const segment = new SharedMemory({ create: true, size });
    this.#trackedSync(segment);
    return segment;
  }

  /** Makes a list in a segment. */
  async ShareableList<T extends Shareable>(items: Iterable<T>): Promise<ShareableList<T>> {
    this._link();
    const list = new ShareableList<T>(items);
    await this.#tracked(list.shm);
    return list;
  }

  /** The blocking twin of `ShareableList`. */
  ShareableListSync<T extends Shareable>(items: Iterable<T>): ShareableList<T> {
    this._link();
    const list = new ShareableList<T>(items);
    this.#trackedSync(list.shm);
    return list;
  }

  async #tracked(segment: SharedMemory): Promise<void> {
    try {
      await this._link().call({ ident: null, method: 'track_segment', args: [segment.name] });
    } catch (error) {
      segment.unlink();
      throw error;
    }
  }

  #trackedSync(segment: SharedMemory): void {
    try {
      this._link().callSync({ ident: null, method: 'track_segment', args: [segment.name] });
    } catch (error) {
      segment.unlink();
      throw error;
    }
  }
}

nameExports(import.meta.url, { SharedMemoryServer, SharedMemoryManager });
