/**
 * The middle of the pickler: a message with its numbered objects and its names, and what becomes of a
 * refusal on the way up.
 */
import { PicklingError } from '../base/errors.ts';
import type { Name } from '../base/names.ts';
import { isLaunching } from '../process/spawning.ts';
import * as code from './codes.ts';
import { checkWrittenName, copyLimit } from './permissions.ts';
import { PickleWriter } from './writer.ts';

/** Up to this many objects of a message are found by looking through a list. */
const listedObjects = 8;

/** A refusal on its way up, collecting the path to what was refused. @internal */
export class Refusal extends Error {
  readonly path: string[] = [];
}

/** Bytes in a larger buffer. @internal */
export interface Piece {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
}

/** A pickled object whose long runs of bytes, if it has any, are not in the message but beside it. @internal */
export interface Pickled extends Piece {
  readonly beside: readonly Uint8Array[];
}

const NOTHING: readonly Uint8Array[] = [];

/** Writes a message around a value. @internal */
export abstract class PickleMessage extends PickleWriter {
  private readonly list: (object | undefined)[] = new Array<object | undefined>(listedObjects).fill(
    undefined,
  );
  private map: Map<object, number> | undefined;
  private count = 0;
  private flags = 0;
  private names: Name[] = [];
  /** Elements that the reader is going to copy, at most. */
  protected copied = 0;

  /** @throws PicklingError if something in the object cannot be sent */
  dumps(obj: unknown): Buffer {
    this.write(obj, false);
    return this.end();
  }

  /**
   * The same, but runs of more than BESIDE bytes are not copied into the message, and the message is not made an object of
   * its own, which takes a fifth of the time of a small one.
   */
  dumpsBeside(obj: unknown): Pickled {
    this.write(obj, true);
    const { buf, start, pos, beside = NOTHING } = this;
    this.beside = undefined;
    this.finish();
    return { bytes: buf, start, length: pos - start, beside };
  }

  private write(obj: unknown, besides: boolean): void {
    this.begin();
    this.besides = besides;
    try {
      this.byte(code.MAGIC);
      this.byte(0);
      this.value(obj);
      if (this.names.length > 0) this.nameTable();
      if (this.beside !== undefined) this.flags |= code.HAS_BESIDE;
      if (this.copied > 0) this.checkCopies();
      this.buf[this.start + 1] = this.flags;
    } catch (error) {
      this.beside = undefined;
      this.abort();
      throw this.publicError(error);
    } finally {
      this.clear();
    }
  }

  protected clear(): void {
    for (let i = Math.min(this.count, listedObjects) - 1; i >= 0; i--) this.list[i] = undefined;
    this.map = undefined;
    this.count = 0;
    this.flags = 0;
    this.copied = 0;
    if (this.names.length > 0) this.names = [];
  }

  /** A reader refuses more: nobody may have it copy the same again and again. */
  private checkCopies(): void {
    const beside = (this.beside ?? []).reduce((sum, { length }) => sum + length, 0);
    if (this.copied <= copyLimit(this.pos - this.start + beside) || isLaunching()) return;
    throw new PicklingError(
      'the object is made again of states and arguments that are shared by many, and would take much more memory than its' +
        ' message: give each its own, or share what they are made of',
    );
  }

  private nameTable(): void {
    this.flags |= code.HAS_NAMES;
    const offset = this.pos - this.start;
    this.varint(this.names.length);
    for (const { module, qualname } of this.names) {
      this.string(module);
      this.string(qualname);
    }
    this.ensure(code.NAMES_OFFSET);
    this.buf.writeUIntLE(offset, this.pos, code.NAMES_OFFSET);
    this.pos += code.NAMES_OFFSET;
  }

  /** What the caller gets of an error. */
  protected publicError(error: unknown): unknown {
    return publicError(error);
  }

  abstract value(value: unknown): void;

  private indexOf(value: object): number | undefined {
    if (this.map !== undefined) return this.map.get(value);
    for (let i = 0; i < this.count; i++) if (this.list[i] === value) return i;
    return undefined;
  }

  /** Whether an object has been written before. */
  protected isWritten(value: object): boolean {
    return this.indexOf(value) !== undefined;
  }

  /** Writes a reference if the object has been written before. */
  protected reference(value: object): boolean {
    const index = this.indexOf(value);
    if (index === undefined) return false;
    this.flags |= code.HAS_REFS;
    this.byte(code.REF);
    this.varint(index);
    return true;
  }

  /** Numbers an object; to be called in the order in which the reader makes objects. */
  add(value: object): void {
    const index = this.count++;
    if (this.map !== undefined) {
      this.map.set(value, index);
    } else if (index < listedObjects) {
      this.list[index] = value;
    } else {
      this.map = new Map();
      for (let i = 0; i < listedObjects; i++) this.map.set(this.list[i] as object, i);
      this.map.set(value, index);
    }
  }

  protected global(value: object, name: Name): void {
    if (!isLaunching()) this.refusing(() => checkWrittenName(name, value));
    this.byte(code.GLOBAL);
    this.varint(this.names.push(name) - 1);
    this.add(value);
  }

  /** Runs something that throws PicklingError where a path can be added to it. */
  refusing<T>(decide: () => T): T {
    try {
      return decide();
    } catch (error) {
      throw error instanceof PicklingError ? new Refusal(error.message, { cause: error }) : error;
    }
  }
}

/** How a property reads in a path. @internal */
export function segment(key: string): string {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key)
    ? `.${key}`
    : `[${JSON.stringify(key)}]`;
}

/** Adds a step to the path of a refusal. @internal */
export function at(error: unknown, path: string): unknown {
  if (error instanceof Refusal) error.path.push(path);
  return error;
}

function plainPath(segments: readonly string[]): string {
  return segments.join('').replace(/^\./, '');
}

/** What the caller gets of it. @internal */
export function publicError(error: unknown, pathOf = plainPath): unknown {
  if (error instanceof Refusal) {
    const path = pathOf(error.path.reverse());
    return new PicklingError(path === '' ? error.message : `${error.message} (found at ${path})`);
  }
  if (error instanceof RangeError && error.message === 'Maximum call stack size exceeded') {
    return new PicklingError('the object is nested too deeply to be sent', { cause: error });
  }
  return error;
}
