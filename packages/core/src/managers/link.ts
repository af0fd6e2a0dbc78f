/**
 * What all proxies of one manager in this process have in common: the way to it. Deviations: D-141, D-143.
 */
import type { Call, LinkOptions } from './calls.ts';
import { Conversation } from './conversation.ts';
import { nodeClientWire } from './node_wire.ts';

/** How this process speaks with a manager. @internal */
export interface Link {
  readonly isOpen: boolean;
  /** Finds out whether the manager has gone while nobody called. */
  look(): void;
  call(call: Call): Promise<unknown>;
  callSync(call: Call): unknown;
  /** Counts a reference of a proxy that has come from another process. */
  refer(ident: string, soon: boolean): void;
  /** Gives one back. */
  release(ident: string): void;
  /** Gives one back at the end of the process. */
  releaseSync(ident: string): void;
  /** Tells the manager to end, if it can be reached. It throws nothing. @param timeout seconds for each step of that */
  shutDown(timeout: number): Promise<void>;
  shutDownSync(timeout: number): void;
  /** Closes it. Calls under way fail. */
  close(error?: unknown): void;
  /** In a forked child: it is the parent's. Does nothing in the process that made it. */
  leaveToParent(): void;
}

let writing: Link | undefined;

/** Whether what is pickled now goes to that manager, behind which nothing of this process can overtake it. @internal */
export function goesTo(link: Link | undefined): boolean {
  return writing !== undefined && writing === link;
}

/** To a manager of this library: one connection, over which all goes. @internal */
export class NodeLink implements Link {
  readonly #conversation: Conversation;

  constructor(options: LinkOptions) {
    const closed = () => options.closed(this);
    this.#conversation = new Conversation({ ...options, closed }, nodeClientWire);
  }

  get isOpen(): boolean {
    return this.#conversation.isOpen;
  }

  call(call: Call): Promise<unknown> {
    const before = writing;
    writing = this;
    try {
      return this.#conversation.call(call);
    } finally {
      writing = before;
    }
  }

  callSync(call: Call): unknown {
    const before = writing;
    writing = this;
    try {
      return this.#conversation.callSync(call);
    } finally {
      writing = before;
    }
  }

  look(): void {
    this.#conversation.look();
  }

  refer(ident: string, soon: boolean): void {
    this.#conversation.post({ ident: null, method: 'incref', args: [ident] }, !soon);
  }

  release(ident: string): void {
    this.#conversation.post({ ident: null, method: 'decref', args: [ident] }, false);
  }

  /** The end of the connection says it all. */
  releaseSync(): void {}

  async shutDown(timeout: number): Promise<void> {
    if (await this.#conversation.connected(timeout)) this.shutDownSync(timeout);
  }

  shutDownSync(timeout: number): void {
    this.#conversation.post({ ident: null, method: 'shutdown', args: [] }, true, timeout);
  }

  close(error?: unknown): void {
    this.#conversation.close(error);
  }

  leaveToParent(): void {
    this.#conversation.leaveToParent();
  }
}
