/**
 * The middle of the unpickler for Python's format: what it makes. Containers are made here, and objects by the rows of the
 * table of types. Deviations: D-066, D-067, D-151.
 */
import { UnpicklingError } from '../base/errors.ts';
import { setProperty } from '../pickle/properties.ts';
import { isDict } from './dict.ts';
import { refused } from './globals.ts';
import * as op from './opcodes.ts';
import { Carrier, PythonStack } from './stack.ts';
import { Tuple } from './tuple.ts';
import {
  type BuildCall,
  GlobalName,
  nameOf,
  type PythonType,
  type PythonTypes,
  splitName,
} from './types.ts';

/** What a pickle may ask for, and what is made of the names in it. @internal */
export interface Limits {
  readonly maxItems: number;
  readonly types: PythonTypes;
  readonly context: unknown;
  /** For names that are not in the table. */
  readonly unknown: PythonType | undefined;
  /** For the buffers that are not in the pickle. */
  readonly buffers: readonly Uint8Array[];
}

/** What a first reading has found out. @internal */
export interface Findings {
  /** Those of the dicts, counted as they begin, that have a key which is no text: they are Maps. */
  readonly maps: ReadonlySet<number> | undefined;
  /** Whether something is built that has effects: not in a first reading. */
  readonly effects: boolean;
}

/** Going through so many arguments takes no longer than a call does anyway. */
const few = 16;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Stands, in a first reading, for what is built by something with effects. */
class Later {}

/** Makes what the opcodes ask for. @internal */
export abstract class PythonBuilder extends PythonStack {
  /** Containers that it has made. */
  containers = 0;
  private maps: Set<number> | undefined;
  private effects = false;
  private readonly before: Findings | undefined;
  private readonly dicts: object[] = [];
  private ordinals: Map<object, number> | undefined;
  /** Which of the dicts were taken for Maps before that was known. */
  private guessed: number[] | undefined;
  private readonly limits: Limits;
  /** Of the objects that have been built: what takes their state and items. */
  private built: Map<object, PythonType> | undefined;
  private sizes: Map<object, number> | undefined;
  /** What the rows are given, one object for all calls. */
  private called: Writable<BuildCall> | undefined;
  private copied = 0;
  /** Bytes of the pickle and the buffers. */
  private readonly length: number;
  private buffer = 0;

  /** @param before what was found out if the pickle has been read before */
  constructor(bytes: Uint8Array, limits: Limits, before?: Findings) {
    super(bytes, limits.maxItems);
    this.limits = limits;
    this.length = this.end;
    for (const { length } of limits.buffers) this.length += length;
    this.before = before;
  }

  //
  // Containers
  //

  protected made(container: object): void {
    this.containers++;
    this.push(container);
  }

  /** Of a list that is nobody else's: several times as fast as filling a new Tuple. */
  protected tuple(items: unknown[]): void {
    if (this.globals && items.some((item) => item instanceof GlobalName)) {
      this.plainOnly(items.filter((item) => item instanceof Carrier));
      this.push(new Carrier(items));
      return;
    }
    if (this.globals) this.plainOnly(items);
    this.made(Object.setPrototypeOf(items, Tuple.prototype) as Tuple);
  }

  protected dict(): void {
    const ordinal = this.dicts.length;
    let isMap: boolean;
    if (this.before !== undefined) isMap = this.before.maps?.has(ordinal) === true;
    else isMap = this.seemsMap();
    const dict = isMap ? new Map() : {};
    this.dicts.push(dict);
    this.ordinals?.set(dict, ordinal);
    this.made(dict);
  }

  /**
   * Whether what follows is the first of several items, with a number or the like for a key, which saves the second reading. It may
   * as well be what stands behind an empty dict: `findings` tells.
   */
  private seemsMap(): boolean {
    const { buf } = this;
    let at = this.pos;
    const next = buf[at];
    if (next === op.MEMOIZE) at++;
    else if (next === op.BINPUT) at += 2;
    else if (next === op.LONG_BINPUT) at += 5;
    if (buf[at] !== op.MARK) return false;
    const key = buf[at + 1];
    if (
      key !== op.BININT1 &&
      key !== op.BININT2 &&
      key !== op.BININT &&
      key !== op.BINFLOAT &&
      key !== op.LONG1
    )
      return false;
    this.guessed ??= [];
    this.guessed.push(this.dicts.length);
    return true;
  }

  /** What a second reading has to know; undefined if none is needed. */
  findings(): Findings | undefined {
    const { guessed, maps, effects } = this;
    if (guessed === undefined) return maps || effects ? { maps, effects } : undefined;
    const right = guessed.filter((i) => hasOtherKeys(this.dicts[i] as Map<unknown, unknown>));
    const well = maps === undefined && right.length === guessed.length;
    return well && !effects ? undefined : { maps: new Set([...(maps ?? []), ...right]), effects };
  }

  protected append(values: readonly unknown[]): void {
    const list = this.top();
    if (Array.isArray(list) && !(list instanceof Tuple)) {
      for (let i = 0; i < values.length; i++) list.push(values[i]);
    } else {
      const type = this.typeOf(list);
      if (type?.append !== undefined) type.append(list, values);
      else if (!(list instanceof Later)) throw this.damaged('appends to something that is no list');
    }
  }

  protected addItems(values: readonly unknown[]): void {
    const set = this.top();
    if (!(set instanceof Set)) throw this.damaged('adds to something that is no set');
    for (let i = 0; i < values.length; i++) set.add(values[i]);
  }

  protected setItems(values: readonly unknown[]): void {
    const dict = this.top();
    if (values.length % 2 !== 0) throw this.damaged('has a key without a value');
    if (dict instanceof Map) {
      for (let i = 0; i < values.length; i += 2) dict.set(values[i], values[i + 1]);
      return;
    }
    if (!isDict(dict)) {
      this.setItemsOf(dict, values);
      return;
    }
    for (let i = 0; i < values.length; i += 2) {
      const key = values[i];
      if (typeof key === 'string') {
        setProperty(dict, key, values[i + 1]);
      } else {
        this.isMap(dict);
        return;
      }
    }
  }

  private setItemsOf(value: unknown, values: readonly unknown[]): void {
    const type = this.typeOf(value);
    if (type?.setItems !== undefined) type.setItems(value, values);
    else if (!(value instanceof Later))
      throw this.damaged('sets an item of something that is no dict');
  }

  /** Finds out only now which kind of object this had to be: for the next reading. */
  private isMap(dict: object): void {
    this.ordinals ??= new Map(this.dicts.map((each, i) => [each, i]));
    this.maps ??= new Set();
    this.maps.add(this.ordinals.get(dict) as number);
  }

  //
  // Names, calls and states
  //

  protected stackGlobal(): void {
    const [module, name] = this.take(2);
    if (typeof module !== 'string' || typeof name !== 'string') {
      throw this.damaged('has a name that is no text');
    }
    this.global(module, name);
  }

  protected global(module: string, name: string): void {
    const type = this.limits.types.find(module, name) ?? this.limits.unknown;
    if (type === undefined) throw refused(`${module}.${name}`);
    this.globals = true;
    this.push(new GlobalName(`${module}.${name}`, type));
  }

  protected reduce(): void {
    const args = this.pop(true);
    const callable = this.pop(true);
    if (!(callable instanceof GlobalName)) throw refused('a call of something that is no function');
    this.call(callable, args, false);
  }

  protected newobj(): void {
    const args = this.pop(true);
    this.call(this.pop(true), args, true);
  }

  protected newobjEx(): void {
    const kwargs = this.pop();
    if (!isDict(kwargs)) throw this.damaged('has keyword arguments that are no dict');
    const args = this.pop(true);
    this.call(this.pop(true), args, true, kwargs);
  }

  private call(
    callable: unknown,
    args: unknown,
    newobj: boolean,
    kwargs?: Record<string, unknown>,
  ): void {
    if (!(callable instanceof GlobalName)) throw refused('an instance of a class');
    const items = args instanceof Carrier ? args.items : args;
    if (!Array.isArray(items) || (items === args && !(args instanceof Tuple)))
      throw this.damaged('has arguments that are no tuple');
    if (args instanceof Carrier && callable.type?.takesNames !== true) this.plainOnly(args.items);
    this.uses(items.length);
    const value = this.build(callable, items, newobj, kwargs);
    if (typeof value === 'object' && value !== null) this.made(value);
    else this.push(value);
  }

  /** @throws UnpicklingError if that is not how it is built */
  private build(
    { name, type }: GlobalName,
    args: readonly unknown[],
    newobj: boolean,
    kwargs?: Record<string, unknown>,
  ): unknown {
    if (type?.effects && this.before === undefined) {
      this.effects = true;
      return new Later();
    }
    if (!this.before && this.effects && args.some((arg) => arg instanceof Later))
      return new Later();
    const value = this.byRow(name, type, args, newobj, kwargs);
    if (value === undefined)
      throw refused(`a call of ${name} with other arguments than pickle's own`);
    const takes = type?.setState ?? type?.append ?? type?.setItems;
    if (type !== undefined && takes !== undefined && typeof value === 'object' && value !== null) {
      this.built ??= new Map();
      this.built.set(value, type);
    }
    return value;
  }

  /** @throws UnpicklingError for whatever the row throws, which may be the program's own */
  private byRow(
    name: string,
    type: PythonType | undefined,
    args: readonly unknown[],
    newobj: boolean,
    kwargs: Record<string, unknown> | undefined,
  ): unknown {
    this.called ??= {
      name,
      newobj,
      kwargs,
      context: this.limits.context,
      copies: (count) => this.copies(count),
      find: (wanted) => this.find(wanted),
      build: (global, more) => this.build(global, more, true),
    };
    const { called } = this;
    called.name = name;
    called.newobj = newobj;
    called.kwargs = kwargs;
    try {
      return type?.build?.(args, called);
    } catch (error) {
      throw notMade(name, error);
    }
  }

  private find(name: string): GlobalName | undefined {
    const type = this.limits.types.find(...splitName(name));
    return type && new GlobalName(name, type);
  }

  private copies(count: number): void {
    this.copied += count;
    if (this.copied > this.length) throw this.damaged('copies more than it has');
  }

  /** The same arguments or state may be used many times: what goes through all of them takes time each time. */
  private uses(size: number): void {
    if (size > few) this.copies(size);
  }

  /** How many keys or items a state has, counted once. */
  private sizeOf(state: unknown): number {
    if (typeof state !== 'object' || state === null) return 0;
    if (Array.isArray(state)) return state.length;
    if (state instanceof Map) return state.size;
    this.sizes ??= new Map();
    let size = this.sizes.get(state);
    if (size === undefined) {
      size = Object.keys(state).length;
      this.sizes.set(state, size);
    }
    return size;
  }

  protected setState(): void {
    const state = this.pop();
    const value = this.top();
    if (value instanceof Later) return;
    const type = this.typeOf(value);
    if (type?.setState === undefined) throw refused('the state of an object');
    this.uses(this.sizeOf(state));
    try {
      type.setState(value, state, {
        context: this.limits.context,
        copies: (count) => this.copies(count),
      });
    } catch (error) {
      throw notMade(nameOf(type), error);
    }
  }

  private typeOf(value: unknown): PythonType | undefined {
    return typeof value === 'object' && value !== null ? this.built?.get(value) : undefined;
  }

  /** A buffer that is beside the pickle. */
  protected nextBuffer(): void {
    const buffer = this.limits.buffers[this.buffer++];
    if (buffer === undefined) throw refused('a buffer that is out of band');
    this.push(Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength));
  }

  protected readonlyBuffer(): void {
    if (!Buffer.isBuffer(this.top()))
      throw this.damaged('says of something that is no buffer that it is read-only');
  }
}

function hasOtherKeys(map: Map<unknown, unknown>): boolean {
  for (const key of map.keys()) if (typeof key !== 'string') return true;
  return false;
}

/** The error for what a row has thrown. */
function notMade(name: string, error: unknown): UnpicklingError {
  if (error instanceof UnpicklingError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new UnpicklingError(`the pickle's ${name} cannot be made: ${why}`, { cause: error });
}
