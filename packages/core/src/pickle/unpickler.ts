/**
 * The unpickler: bytes to objects. Counterpart of Python's `pickle.Unpickler`.
 *
 * It takes nothing on trust: lengths are checked against the bytes that are there before anything is
 * allocated, so that a message takes memory in proportion to its length, and whatever a damaged message does to it ends in an
 * UnpicklingError. What a message may name and call is in permissions.ts; it can call any function that a module
 * exports: accept messages only from whom you trust, or say which modules they may name.
 */
import { UnpicklingError } from '../base/errors.ts';
import { type AnyFunction, type Name, remember } from '../base/names.ts';
import * as code from './codes.ts';
import { setStateSymbol } from './codes.ts';
import { MessageGuard } from './message_guard.ts';
import { resolveName } from './modules.ts';
import { ANYBODY, checkNames, type Rules } from './permissions.ts';
import { setProperty } from './properties.ts';
import { isBuiltin } from './qualname.ts';
import { PickleReader } from './reader.ts';
import { type Pending, readers } from './unpickle_kinds.ts';

/** Makes the functions of a message that travel by value (closures/code.ts). @internal */
export interface FunctionMaker {
  make(index: number, values: { next(): unknown; made(fn: AnyFunction): void }): AnyFunction;
  /** What is imported as the sender has imported it. */
  imported(index: number): unknown;
  /** Gives an object the private members of its classes; makes it, if it is undefined. */
  stamp(object: object | undefined, classes: readonly AnyFunction[]): object;
  /** A function that its class has made, and only that can make. */
  member(cls: AnyFunction, object: unknown, name: string): AnyFunction;
  setPrivates(
    object: object,
    classes: readonly AnyFunction[],
    count: number,
    next: () => unknown,
  ): void;
}

const NO_CODE =
  'the message has functions by value, which would be executed: they are taken from the own parent only, at the start';

/** An error of the program's own code, on its way out unchanged. */
class Thrown extends Error {}

const NOTHING: readonly Uint8Array<ArrayBuffer>[] = [];
const NO_NAMES: readonly Name[] = [];

/** Reads one message. @internal */
export class Unpickler extends PickleReader {
  /** The functions and classes that the message needs. */
  readonly names: readonly Name[];
  private readonly refs: unknown[] | undefined;
  private pending: Pending | undefined;
  private readonly functions: FunctionMaker | undefined;
  private readonly rules: Rules;
  private readonly length: number;
  private guard: MessageGuard | undefined;
  /** The classes whose private members the object gets that comes next. */
  private stamping: readonly AnyFunction[] | undefined;

  /**
   * @param message the bytes, from their beginning
   * @param length of the message in them
   * @param beside what `Pickler.dumps` put beside the message; each in a buffer of its own, which goes to who unpickles
   * @param functions makes the functions that travel by value: to be given by a child, for a message of its parent
   * @param rules what the message may name
   * @throws UnpicklingError if this is not the beginning and the end of a message
   */
  constructor(
    message: Uint8Array,
    beside: readonly Uint8Array<ArrayBuffer>[] = NOTHING,
    length = message.length,
    functions?: FunctionMaker,
    rules: Rules = ANYBODY,
  ) {
    super(message, length);
    this.functions = functions;
    this.rules = rules;
    this.length = length;
    const magic = this.byte();
    if (magic === code.HAS_CODE) throw new UnpicklingError(NO_CODE);
    if (magic !== code.MAGIC) throw new UnpicklingError('this is not a pickled message');
    const flags = this.byte();
    if (flags > (code.HAS_REFS | code.HAS_NAMES | code.HAS_BESIDE))
      throw new UnpicklingError('the message is of an unknown version');
    if ((flags & code.HAS_BESIDE) !== 0) this.beside = beside;
    this.refs = (flags & code.HAS_REFS) === 0 ? undefined : [];
    this.names = (flags & code.HAS_NAMES) === 0 ? NO_NAMES : this.nameTable();
    if (this.names !== NO_NAMES) checkNames(this.names, rules);
  }

  /** @throws UnpicklingError if the message is damaged or names something that is not here */
  load(): unknown {
    try {
      const value = this.value();
      if (this.pos !== this.end) throw this.damaged('has bytes left over');
      return value;
    } catch (error) {
      if (error instanceof UnpicklingError) throw error;
      if (error instanceof Thrown) throw error.cause;
      const why = error instanceof Error ? error.message : String(error);
      throw new UnpicklingError(`the message is damaged: ${why}`, { cause: error });
    }
  }

  private nameTable(): Name[] {
    const body = this.pos;
    const last = this.end - code.NAMES_OFFSET;
    if (last < body) throw this.damaged('ends too early');
    let offset = 0;
    for (let i = this.end - 1; i >= last; i--) offset = offset * 0x100 + (this.buf[i] as number);
    if (offset < body || offset >= last) throw this.damaged('has no table of names');
    this.pos = offset;
    this.end = last;
    const names: Name[] = [];
    const count = this.count();
    for (let i = 0; i < count; i++) names.push({ module: this.string(), qualname: this.string() });
    if (this.pos !== last) throw this.damaged('has a broken table of names');
    this.pos = body;
    this.end = offset;
    return names;
  }

  /** Numbers an object, and gives it the class that was read before it. */
  add<T extends object>(object: T, pending = this.takePending()): T {
    if (pending !== undefined) {
      Object.setPrototypeOf(object, pending.proto);
      if (pending.classes !== undefined) this.functions?.stamp(object, pending.classes);
    }
    if (this.refs !== undefined) this.refs.push(object);
    return object;
  }

  /** What the object that comes next is to be: for a reader that reads others before it has that. */
  takePending(): Pending | undefined {
    const { pending } = this;
    if (pending !== undefined) this.pending = undefined;
    return pending;
  }

  value(): unknown {
    const tag = this.buf[this.pos] as number;
    if (this.pos >= this.end) throw this.damaged('ends too early');
    this.pos++;
    if (tag < 0x80) return tag;
    if (tag >= 0xa0 && tag < 0xc0) return this.latin1(tag - 0xa0);
    // The literals are those of codes.ts; as literals they make a jump table.
    switch (tag) {
      case 0x80: // UNDEFINED
        return undefined;
      case 0x81: // NULL
        return null;
      case 0x82: // FALSE
        return false;
      case 0x83: // TRUE
        return true;
      case 0x84: // INT8
        return (this.byte() << 24) >> 24;
      case 0x85: // INT16
        return ((this.byte() | (this.byte() << 8)) << 16) >> 16;
      case 0x86: // INT32
        return this.byte() | (this.byte() << 8) | (this.byte() << 16) | (this.byte() << 24);
      case 0x87: // FLOAT64
        return this.float();
      case 0x88: // STRING
        return this.latin1(this.varint());
      case 0x89: // STRING16
        return this.utf16(this.varint());
      case 0x8a: // REF
        return this.reference();
      case 0x8b: // OBJECT
      case 0x8c: // OBJECT_SHAPE
        return this.object(tag);
      case 0x8d: // OBJECT_DICT
        return this.dictionary(this.add({}));
      case 0x8e: // ARRAY
        return this.elements(this.add([]));
      case 0x90: // GLOBAL
        return this.global();
      case 0x91: // INSTANCE
        return this.properties(this.add(this.instance()));
      default:
        return this.special(tag);
    }
  }

  private special(tag: number): unknown {
    switch (tag) {
      case code.INSTANCE_STATE:
        return this.restore(this.add(this.instance()), this.value());
      case code.NULL_OBJECT:
        return this.properties(this.add(Object.create(null) as object));
      case code.REDUCE:
        return this.reduce();
      case code.REDUCE_STATE:
        return this.restore(this.value(), this.value());
      case code.BOUND:
        return this.bound();
      case code.SUBCLASS:
        return this.derived();
      case code.PROPERTIES:
        return this.properties(this.ownObject());
      case code.CLOSURE:
        return this.closure();
      case code.STAMPED:
        return this.stamped();
      case code.MEMBER:
        return this.member();
      case code.IMPORTED:
        return this.imported();
      case code.PROTOTYPE:
        if (this.functions === undefined) throw new UnpicklingError(NO_CODE);
        return this.add(this.prototypeOfClass());
      case code.AFTER:
        this.value();
        return this.value();
      case code.SYMBOL_PROPERTIES:
        return this.symbolProperties(this.ownObject());
    }
    const read = readers.get(tag);
    if (read === undefined) throw this.damaged(`has an unknown code 0x${tag.toString(16)}`);
    return read(this);
  }

  private reference(): unknown {
    const index = this.varint();
    if (this.refs === undefined || index >= this.refs.length)
      throw this.damaged('refers to nothing');
    return this.refs[index];
  }

  private object(tag: number): object {
    const shape = tag === code.OBJECT ? this.knownShape() : this.newShape();
    const { keys, template } = shape;
    this.announce(keys.length);
    const object: Record<string, unknown> = { ...template };
    if (this.refs !== undefined || this.pending !== undefined) this.add(object);
    if (template === undefined) return this.fill(object, keys);
    for (let i = 0; i < keys.length; i++) object[keys[i] as string] = this.value();
    return object;
  }

  private dictionary(object: object): object {
    const count = this.count();
    for (let i = 0; i < count; i++) setProperty(object, this.string(), this.value(), i);
    return object;
  }

  /** Reads an object's content into one that is there already. */
  private properties(object: object): object {
    const tag = this.byte();
    if (tag === code.OBJECT_DICT) return this.dictionary(object);
    if (tag !== code.OBJECT && tag !== code.OBJECT_SHAPE)
      throw this.damaged('lacks the properties of an object');
    return this.fill(object, (tag === code.OBJECT ? this.knownShape() : this.newShape()).keys);
  }

  private fill(object: object, keys: readonly string[]): object {
    for (let i = 0; i < keys.length; i++) setProperty(object, keys[i] as string, this.value(), i);
    return object;
  }

  private symbolProperties(object: object): object {
    const count = this.count();
    for (let i = 0; i < count; i++) {
      const key = this.value();
      if (typeof key !== 'symbol') throw this.damaged('has a property without a name');
      setProperty(object, key, this.value());
    }
    return object;
  }

  private elements(array: unknown[]): unknown[] {
    const count = this.count();
    for (let i = 0; i < count; i++) array.push(this.value());
    return array;
  }

  /** An object to put properties on: one of this message. */
  private ownObject(): object {
    const object = this.objectValue();
    this.guard?.checkOwn(object);
    return object;
  }

  private objectValue(): object {
    const value = this.value();
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
      throw this.damaged('has properties of something that is no object');
    }
    return value;
  }

  private global(): unknown {
    const name = this.names[this.varint()];
    if (name === undefined) throw this.damaged('refers to a name that it does not have');
    const value = resolveName(name);
    if ((typeof value === 'object' && value !== null) || typeof value === 'function') {
      this.guarded().found(name, value);
      remember(value, name);
      this.refs?.push(value);
    }
    return value;
  }

  private guarded(): MessageGuard {
    if (this.guard === undefined) {
      const size = (this.beside ?? NOTHING).reduce((sum, part) => sum + part.length, this.length);
      this.guard = new MessageGuard(this.rules, size);
    }
    return this.guard;
  }

  private function(): AnyFunction {
    const value = this.value();
    if (typeof value !== 'function') throw this.damaged('names something that is no function');
    return value;
  }

  private prototypeOfClass(): object {
    const proto: unknown = this.function().prototype;
    if (typeof proto !== 'object' || proto === null)
      throw this.damaged('names a class that is none');
    return proto;
  }

  private instance(): object {
    const classes = this.takeStamps();
    const proto = this.prototypeOfClass();
    if (classes !== undefined && this.functions !== undefined)
      return this.functions.stamp(undefined, classes);
    return Object.create(proto) as object;
  }

  private stamped(): unknown {
    if (this.functions === undefined) throw new UnpicklingError(NO_CODE);
    const classes: AnyFunction[] = [];
    const count = this.count();
    for (let i = 0; i < count; i++) classes.push(this.function());
    if (count === 0) throw this.damaged('has private members of no class');
    this.stamping = classes;
    const object = this.objectValue();
    if (this.stamping === classes) throw this.damaged('has private members of no object');
    this.functions.setPrivates(object, classes, this.count(), () => this.value());
    return object;
  }

  private takeStamps(): readonly AnyFunction[] | undefined {
    const classes = this.stamping;
    if (classes !== undefined) this.stamping = undefined;
    return classes;
  }

  private derived(): unknown {
    const classes = this.takeStamps();
    this.pending = { proto: this.prototypeOfClass(), classes };
    const value = this.objectValue();
    if (this.pending !== undefined) throw this.damaged('names a class for something that has none');
    return value;
  }

  private reduce(): unknown {
    const callable = this.function();
    const args = this.elements([]);
    const guard = this.guarded();
    guard.beforeCall(callable, args);
    const made: unknown = this.run(() =>
      isConstructor(callable)
        ? (Reflect.construct(callable, args) as unknown)
        : (Reflect.apply(callable, undefined, args) as unknown),
    );
    guard.called(made);
    this.refs?.push(made);
    return made;
  }

  private restore(object: unknown, state: unknown): unknown {
    this.guard?.checkOwn(object);
    if ((typeof object !== 'object' && typeof object !== 'function') || object === null) {
      throw this.damaged('has a state for something that is no object');
    }
    const setState = (object as { [setStateSymbol]?: unknown })[setStateSymbol];
    if (typeof setState === 'function') {
      this.run(() => Reflect.apply(setState, object, [state]) as unknown);
    } else if (typeof state === 'object' && state !== null) {
      const keys = Reflect.ownKeys(state);
      this.guarded().charge(keys.length);
      for (const [i, key] of keys.entries())
        setProperty(object, key, (state as Record<PropertyKey, unknown>)[key], i);
    }
    return object;
  }

  private closure(): AnyFunction {
    if (this.functions === undefined) throw new UnpicklingError(NO_CODE);
    return this.functions.make(this.varint(), {
      next: () => this.value(),
      made: (fn) => {
        this.add(fn);
      },
    });
  }

  private member(): AnyFunction {
    if (this.functions === undefined) throw new UnpicklingError(NO_CODE);
    const cls = this.function();
    return this.add(this.functions.member(cls, this.value(), String(this.value())));
  }

  private imported(): unknown {
    if (this.functions === undefined) throw new UnpicklingError(NO_CODE);
    const value = this.functions.imported(this.varint());
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null)
      throw this.damaged('imports something that is neither a function nor a module');
    this.refs?.push(value);
    return value;
  }

  private bound(): AnyFunction {
    const target = this.function();
    const self = this.value();
    const args = this.elements([]);
    const fn = Reflect.apply(Function.prototype.bind, target, [self, ...args]) as AnyFunction;
    this.guarded().bound(fn, target);
    return this.add(fn);
  }

  /** Runs the program's own code, whose errors are not a fault of the message. */
  private run<T>(callback: () => T): T {
    try {
      return callback();
    } catch (error) {
      throw new Thrown('', { cause: error });
    }
  }
}

const called = new Set<AnyFunction>([Symbol, BigInt, Number, String, Boolean, Object]);
const constructors = new WeakMap<AnyFunction, boolean>();

/** Classes, and the built-in functions that act as such, are called with `new`. */
function isConstructor(fn: AnyFunction): boolean {
  let known = constructors.get(fn);
  if (known === undefined) {
    known =
      /^class\b/.test(Function.prototype.toString.call(fn)) ||
      (/^[A-Z]/.test(fn.name) &&
        typeof fn.prototype === 'object' &&
        !called.has(fn) &&
        isBuiltin(fn));
    constructors.set(fn, known);
  }
  return known;
}
