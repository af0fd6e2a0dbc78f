/**
 * `Token` and `State` of multiprocessing/managers.py.
 */
import { inspect } from 'node:util';
import { nameExports } from '../base/names.ts';
import type { Address } from '../connection/addresses.ts';
import { reprOf } from './repr.ts';

/** Which shared object, and of which manager; Python's `managers.Token`. */
export class Token {
  typeid: string;
  /** Where the manager is. */
  address: Address;
  /** Its name there: no other object of this manager ever has it, nor one of a manager after it. */
  id: string;

  constructor(typeid: string, address: Address, id: string) {
    this.typeid = typeid;
    this.address = address;
    this.id = id;
  }

  toString(): string {
    return `Token(typeid=${reprOf(this.typeid)}, address=${reprOf(this.address)}, id=${reprOf(this.id)})`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** How far a manager is; Python's `managers.State`. */
export class State {
  static readonly INITIAL = 0;
  static readonly STARTED = 1;
  static readonly SHUTDOWN = 2;
  value: number = State.INITIAL;
}

/** An address in words. @internal */
export function where(address: Address): string {
  return typeof address === 'string' ? address.replace('\0', '@') : address.join(':');
}

nameExports(import.meta.url, { Token });
