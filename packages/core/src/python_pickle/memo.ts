/**
 * The memo of the unpickler for Python's format.
 */
import { UnpicklingError } from '../base/errors.ts';

/** The objects of a pickle under their numbers: one after the other as a rule, any at all in a bad one. @internal */
export class Memo {
  private readonly dense: unknown[] = [];
  private sparse: Map<number, unknown> | undefined;

  get size(): number {
    return this.dense.length + (this.sparse?.size ?? 0);
  }

  put(index: number, value: unknown): void {
    if (index < this.dense.length) {
      this.dense[index] = value;
    } else if (index === this.dense.length) {
      this.dense.push(value);
      this.sparse?.delete(index);
    } else {
      this.sparse ??= new Map();
      this.sparse.set(index, value);
    }
  }

  get(index: number): unknown {
    const value = index < this.dense.length ? this.dense[index] : this.sparse?.get(index);
    if (value === undefined) throw new UnpicklingError(`the pickle has no object ${index}`);
    return value;
  }
}
