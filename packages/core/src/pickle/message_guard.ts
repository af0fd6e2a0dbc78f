/**
 * What one message has found and copied so far, and what follows from that for the rest of it. Most messages name and call
 * nothing, and have no guard.
 */
import { UnpicklingError } from '../base/errors.ts';
import type { AnyFunction, Name } from '../base/names.ts';
import {
  checkCall,
  checkFound,
  copyLimit,
  hasName,
  type Rules,
  sizeOfCall,
} from './permissions.ts';

/** @internal */
export class MessageGuard {
  readonly #rules: Rules;
  readonly #size: number;
  /** What was not made of this message, but found by a name: nothing is put on it. */
  readonly #found = new Set<unknown>();
  /** What bound functions of this message are bound to. */
  readonly #bindings = new Map<AnyFunction, AnyFunction>();
  /** Elements that were copied. */
  #copied = 0;

  /** @param size bytes of the message and of what stands beside it */
  constructor(rules: Rules, size: number) {
    this.#rules = rules;
    this.#size = size;
  }

  /** What a name has led to. @throws UnpicklingError if it is not for a message */
  found(name: Name, value: object): void {
    checkFound(name, value, this.#rules);
    this.#found.add(value);
  }

  /** Before a call. @throws UnpicklingError if it is not for a message */
  beforeCall(fn: AnyFunction, args: readonly unknown[]): void {
    if (this.#rules.fromParent) return;
    checkCall(this.#bindings.get(fn) ?? fn, args);
    this.charge(sizeOfCall(fn, args));
  }

  /** What a call has made, or found. */
  called(result: unknown): void {
    if (hasName(result)) this.#found.add(result);
  }

  bound(fn: AnyFunction, target: AnyFunction): void {
    this.#bindings.set(fn, this.#bindings.get(target) ?? target);
  }

  /** Counts elements that are copied: the message has them once, and may name them many times. @throws UnpicklingError */
  charge(elements: number): void {
    if (this.#rules.fromParent) return;
    this.#copied += elements;
    if (this.#copied > copyLimit(this.#size))
      throw new UnpicklingError('the message is damaged: it copies more than it holds');
  }

  /** Before properties are put on an object. @throws UnpicklingError if it is not of this message */
  checkOwn(object: unknown): void {
    if (!this.#found.has(object)) return;
    throw new UnpicklingError(
      'the message puts properties on something that it has found by a name, and not made: that is not for a message to change',
    );
  }
}
