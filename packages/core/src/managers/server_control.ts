/**
 * What clients ask of a server itself: to make an object, to count a reference, to end.
 */
import { setTimeout } from '@multiprocessing/posix';
import { debug } from '../util/logging.ts';
import type { ServerLink } from './server_link.ts';
import type { Entry, Owner } from './shared_objects.ts';
import type { Token } from './token.ts';

/** A server, as those requests see it. @internal */
export interface Controlled {
  ownerOf(link: ServerLink): Owner;
  create(owner: Owner, args: readonly unknown[], kwds: object): unknown;
  incref(owner: Owner, ident: unknown): void;
  decref(owner: Owner, ident: unknown): void;
  find(ident: unknown): Entry;
  debugInfo(): string;
  numberOfObjects(): number;
  stop(): void;
}

export type Control = (
  this: Controlled,
  link: ServerLink,
  args: readonly unknown[],
  kwds: object,
) => unknown;

/** What clients ask of the server itself. */
export const CONTROL = new Map<string, Control>([
  [
    'create',
    function (link, args, kwds) {
      return this.create(this.ownerOf(link), args, kwds);
    } as Control,
  ],
  [
    'accept_connection',
    ((link, [name]) => {
      link.name = String(name);
      link.closes = false;
    }) as Control,
  ],
  [
    'incref',
    function (link, [ident]) {
      this.incref(this.ownerOf(link), ident);
    } as Control,
  ],
  [
    'decref',
    function (link, [ident]) {
      this.decref(this.ownerOf(link), ident);
    } as Control,
  ],
  [
    'get_methods',
    function (_link, [token]) {
      return [...this.find((token as Token).id).exposed];
    } as Control,
  ],
  ['dummy', () => undefined],
  [
    'debug_info',
    function () {
      return this.debugInfo();
    } as Control,
  ],
  [
    'number_of_objects',
    function () {
      return this.numberOfObjects();
    } as Control,
  ],
  [
    'shutdown',
    function () {
      debug('manager received shutdown message');
      setTimeout(() => this.stop(), 0);
    } as Control,
  ],
]);
