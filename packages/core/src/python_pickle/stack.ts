/**
 * The middle of the unpickler for Python's format: its stack, with the marks, and its memo.
 */
import { UnpicklingError } from '../base/errors.ts';
import { refused } from './globals.ts';
import { Memo } from './memo.ts';
import { PythonReader } from './reader.ts';
import { GlobalName } from './types.ts';

/** Arguments among which is a class or function of Python: for a call that takes such, and for nothing else. @internal */
export class Carrier {
  readonly items: readonly unknown[];

  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}

/** A machine's stack. @internal */
export abstract class PythonStack extends PythonReader {
  protected readonly memo = new Memo();
  protected stack: unknown[] = [];
  protected readonly marks: number[] = [];
  /** How much of the stack is below the last mark, out of reach. */
  protected fence = 0;
  /** Whether there is, or has been, a GlobalName or a Carrier on the stack. */
  protected globals = false;
  private readonly maxItems: number;
  private items = 0;

  constructor(bytes: Uint8Array, maxItems: number) {
    super(bytes);
    this.maxItems = maxItems;
  }

  protected push(value: unknown): void {
    if (++this.items > this.maxItems) {
      throw new UnpicklingError(`the pickle has more than ${this.maxItems} items`);
    }
    this.stack.push(value);
  }

  protected top(): unknown {
    if (this.stack.length <= this.fence) throw this.damaged('takes from an empty stack');
    return this.stack[this.stack.length - 1];
  }

  /** @param raw whether it may be a name, or is thrown away */
  protected pop(raw = false): unknown {
    const value = this.top();
    this.stack.pop();
    if (this.globals && !raw) this.plainOnly([value]);
    return value;
  }

  /** @param count 1 to 3 */
  protected take(count: number, raw = false): unknown[] {
    const from = this.stack.length - count;
    if (from < this.fence) throw this.damaged('takes from an empty stack');
    const { stack } = this;
    const values =
      count === 1
        ? [stack[from]]
        : count === 2
          ? [stack[from], stack[from + 1]]
          : [stack[from], stack[from + 1], stack[from + 2]];
    for (let i = 0; i < count; i++) stack.pop();
    if (this.globals && !raw) this.plainOnly(values);
    return values;
  }

  protected toMark(raw = false): unknown[] {
    if (this.marks.length === 0) throw this.damaged('has no mark where it needs one');
    const values = this.stack.splice(this.fence, this.stack.length - this.fence);
    this.dropMark();
    if (this.globals && !raw) this.plainOnly(values);
    return values;
  }

  protected dropMark(): void {
    this.marks.pop();
    this.fence = this.marks.at(-1) ?? 0;
  }

  /** A name may be called, and is no value. */
  protected plainOnly(values: readonly unknown[]): void {
    for (const value of values) {
      if (value instanceof GlobalName) throw refused(value.name);
      if (value instanceof Carrier) this.plainOnly(value.items);
    }
  }
}
