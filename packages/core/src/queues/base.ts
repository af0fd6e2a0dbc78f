/**
 * What all queues have: a channel that they share, the two halves that use it, and how they travel.
 */
import { inspect } from 'node:util';
import { close } from '@multiprocessing/posix';
import { Empty, EOFError } from '../base/errors.ts';
import { DupFd } from '../fds/dup_fd.ts';
import { BlockUsers } from '../heap/block_users.ts';
import { getStateSymbol, setStateSymbol } from '../pickle/codes.ts';
import { ModuleList } from '../pickle/module_list.ts';
import { ANYBODY } from '../pickle/permissions.ts';
import { checkShareable } from '../process/sharing.ts';
import { getSpawningPopen } from '../process/spawning.ts';
import type { SynchronizeOptions } from '../synchronize/locks.ts';
import { Finalize } from '../util/finalize.ts';
import { registerAfterFork } from '../util/util.ts';
import { type ChannelState, QueueChannel } from './channel.ts';
import { Feeder } from './feeder.ts';
import { openQueueFile } from './file.ts';
import { QueueReader } from './reader.ts';

/** Options of a queue. */
export interface QueueOptions extends SynchronizeOptions {
  /**
   * The modules that an item may name which is got: absolute paths and `file:` URLs of files, of folders with a slash
   * at their end; names of Node's modules; `'globalThis'`, `'multiprocessing'`. Any, without.
   */
  allowedModules?: readonly (string | URL)[] | undefined;
}

interface QueueState {
  maxsize: number;
  allowedModules: readonly string[] | undefined;
  channel: ChannelState;
  file: DupFd;
}

/** @internal */
export abstract class QueueBase<T = unknown> {
  /** @internal */ _maxsize: number;
  /** @internal */ _ctx: SynchronizeOptions['ctx'];
  private _allowed: ModuleList | undefined;
  /** @internal */ _fd!: number;
  /** @internal */ _channel!: QueueChannel;
  /** @internal */ _feeder!: Feeder;
  /** @internal */ _reader!: QueueReader;
  /** @internal */ _closed!: boolean;
  private _releaseFile!: Finalize<[number]>;
  /** The children and threads that this process gave it to. */
  private _given!: BlockUsers;
  private _givenToThread = false;

  constructor(maxsize: number, { ctx, allowedModules }: QueueOptions) {
    this._maxsize = maxsize;
    this._ctx = ctx;
    this._allowed = allowedModules && new ModuleList(allowedModules);
    this._open(openQueueFile());
  }

  private _open(fd: number, state?: ChannelState): void {
    this._fd = fd;
    this._releaseFile = new Finalize(this, close, { args: [fd] });
    this._channel = new QueueChannel(fd, state);
    this._given = new BlockUsers();
    this._reset();
    registerAfterFork(this, (queue) => queue._reset());
  }

  /** At the beginning of its life in this process. @internal */
  _reset(): void {
    const { room } = this._channel;
    this._closed = false;
    this._channel.members.enter();
    this._feeder = new Feeder(this._channel, this._maxsize);
    const hooks = {
      taking: this._taking(),
      taken: this._maxsize > 0 ? () => room.notify() : undefined,
      quiet: () => this._checkEof(),
      checkOpen: () => this._checkOpen(),
      isClosed: () => this._closed,
    };
    const rules = this._allowed ? { fromParent: false, allowed: this._allowed } : ANYBODY;
    this._reader = new QueueReader(this._channel, hooks, rules);
  }

  /** What is to be done before an item counts as taken. @internal */
  _taking(): (() => void) | undefined {
    return undefined;
  }

  /** Throws when the queue is closed. @internal */
  abstract _checkOpen(): void;

  /** Lets go of what it has open, when all that was put is in the channel. @internal */
  _release(): void {
    this._channel.items.recheck(); // who waits here is told that it is closed
    if (this._feeder.isEmpty) this._releaseFile.call();
    else void this._feeder.join().then(() => this._releaseFile.call());
  }

  /**
   * Whether any other process or thread that has the queue lives, or may yet: one that could put something. No counterpart
   * in Python.
   */
  othersLive(): boolean {
    return (
      this._givenToThread || this._channel.members.othersLive() || this._given.living().size > 0
    );
  }

  private _checkEof(): void {
    // In this order: what the last of them has put is still to be got.
    if (this.othersLive() || this._channel.hasItems()) return;
    throw new EOFError('the queue is empty, and no other process that has it lives any more');
  }

  /** Gets what comes until no other process that has the queue lives and it is empty. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const { items, hasItems } = this._channel;
      await items.wait(() => hasItems() || this._closed || !this.othersLive(), Infinity);
      if (this._closed) return;
      try {
        yield (await this._reader.get(false, 0)) as T;
      } catch (error) {
        if (!(error instanceof Empty)) throw error;
        if (!this.othersLive() && !hasItems()) return;
      }
    }
  }

  [getStateSymbol](): QueueState {
    checkShareable(this, this._ctx);
    if (getSpawningPopen()?.method === 'thread') this._givenToThread = true;
    this._given.addSpawning();
    return {
      maxsize: this._maxsize,
      allowedModules: this._allowed?.entries,
      channel: this._channel.state,
      file: new DupFd(this._fd),
    };
  }

  [setStateSymbol]({ maxsize, allowedModules, channel, file }: QueueState): void {
    this._maxsize = maxsize;
    this._allowed = allowedModules && new ModuleList(allowedModules);
    this._ctx = undefined;
    this._givenToThread = false;
    this._open(file.detach(), channel);
  }

  toString(): string {
    return `<${this.constructor.name} at 0x${this._channel.memory.address.toString(16)}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
