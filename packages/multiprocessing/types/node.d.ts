/** What the declarations need of Node's types: those of @types/node where a program has it, or else enough of them. */

export type Buffer = typeof globalThis extends { Buffer: { alloc(size: number): infer B } }
  ? B
  : Uint8Array;

export type URL = typeof globalThis extends { URL: { prototype: infer U } }
  ? U
  : { readonly href: string; readonly protocol: string };

/** NodeJS.Signals. */
export type Signals = `SIG${string}`;

/** Of node:net. */
export interface Socket {
  readonly connecting: boolean;
  readonly readyState: string;
  setNoDelay(noDelay?: boolean): unknown;
}

/** Of node:net. */
export interface Server {
  readonly listening: boolean;
  address(): unknown;
  getConnections(callback: (error: Error | null, count: number) => void): unknown;
}
