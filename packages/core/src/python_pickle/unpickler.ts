/**
 * Counterpart of pickle.py's `_Unpickler`, for plain data only. Deviations: D-066, D-067.
 *
 * A machine with a stack of its own, so that no nesting uses up JavaScript's. What it makes costs memory in proportion
 * to the bytes that ask for it: no length is believed, nothing is copied twice.
 */
import { UnpicklingError } from '../base/errors.ts';
import { setProperty } from '../pickle/properties.ts';
import { isDict } from './dict.ts';
import { KnownGlobal, knownGlobal, refused, sizeOfArguments } from './globals.ts';
import { Memo } from './memo.ts';
import { PythonReader } from './reader.ts';
import { asciiText, decodeLong, decodeRawUnicode, decodeStringLiteral } from './text.ts';
import { Tuple } from './tuple.ts';

/** What a pickle may ask for. @internal */
export interface Limits {
  readonly maxItems: number;
}

/** Reads one pickle. @internal */
export class PythonUnpickler extends PythonReader {
  /** Containers that it has made. */
  containers = 0;
  /** Those of its dicts, counted as they begin, that have a key which is no text: known after a first reading. */
  readonly maps = new Set<number>();
  private readonly known: ReadonlySet<number> | undefined;
  private readonly dicts: object[] = [];
  private ordinals: Map<object, number> | undefined;
  private readonly memo = new Memo();
  private stack: unknown[] = [];
  private readonly marks: number[] = [];
  /** How much of the stack is below the last mark, out of reach. */
  private fence = 0;
  private readonly maxItems: number;
  private items = 0;
  /** Bytes and items that calls have copied. */
  private copied = 0;
  /** Whether there is, or has been, a KnownGlobal on the stack. */
  private globals = false;

  /** @param known the dicts that are Maps, if the pickle has been read before */
  constructor(bytes: Uint8Array, { maxItems }: Limits, known?: ReadonlySet<number>) {
    super(bytes);
    this.maxItems = maxItems;
    this.known = known;
  }

  load(): unknown {
    for (;;) {
      const opcode = this.byte();
      // The literals are those of opcodes.ts; as literals they make a jump table.
      switch (opcode) {
        case 0x2e: // STOP
          return this.pop();
        case 0x28: // MARK
          this.fence = this.stack.length;
          this.marks.push(this.fence);
          break;
        case 0x4b: // BININT1
          this.push(this.byte());
          break;
        case 0x4d: // BININT2
          this.push(this.byte() | (this.byte() << 8));
          break;
        case 0x4a: // BININT
          this.push(this.uint32() | 0);
          break;
        case 0x47: // BINFLOAT
          this.push(this.double());
          break;
        case 0x4e: // NONE
          this.push(null);
          break;
        case 0x88: // NEWTRUE
          this.push(true);
          break;
        case 0x89: // NEWFALSE
          this.push(false);
          break;
        case 0x8c: // SHORT_BINUNICODE
          this.push(this.utf8(this.byte()));
          break;
        case 0x58: // BINUNICODE
          this.push(this.utf8(this.uint32()));
          break;
        case 0x68: // BINGET
          this.push(this.memo.get(this.byte()));
          break;
        case 0x6a: // LONG_BINGET
          this.push(this.memo.get(this.uint32()));
          break;
        case 0x94: // MEMOIZE
          this.memo.put(this.memo.size, this.top());
          break;
        case 0x71: // BINPUT
          this.memo.put(this.byte(), this.top());
          break;
        case 0x72: // LONG_BINPUT
          this.memo.put(this.uint32(), this.top());
          break;
        case 0x5d: // EMPTY_LIST
          this.made([]);
          break;
        case 0x7d: // EMPTY_DICT
          this.dict();
          break;
        case 0x65: // APPENDS
          this.append(this.toMark());
          break;
        case 0x61: // APPEND
          this.append([this.pop()]);
          break;
        case 0x75: // SETITEMS
          this.setItems(this.toMark());
          break;
        case 0x73: // SETITEM
          this.setItems(this.take(2));
          break;
        case 0x85: // TUPLE1
        case 0x86: // TUPLE2
        case 0x87: // TUPLE3
          this.tuple(this.take(opcode - 0x84));
          break;
        case 0x74: // TUPLE
          this.tuple(this.toMark());
          break;
        default:
          this.rarer(opcode);
      }
    }
  }

  /** Protocol 4 and 5, and what is rare. */
  private rarer(opcode: number): void {
    switch (opcode) {
      case 0x29: // EMPTY_TUPLE
        this.tuple([]);
        break;
      case 0x8a: // LONG1
        this.push(decodeLong(this.take8(this.byte())));
        break;
      case 0x8b: // LONG4
        this.push(decodeLong(this.take8(this.int32())));
        break;
      case 0x43: // SHORT_BINBYTES
        this.push(this.copy(this.byte()));
        break;
      case 0x42: // BINBYTES
        this.push(this.copy(this.uint32()));
        break;
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        this.push(this.copy(this.uint64()));
        break;
      case 0x8d: // BINUNICODE8
        this.push(this.utf8(this.uint64()));
        break;
      case 0x8f: // EMPTY_SET
        this.made(new Set());
        break;
      case 0x90: // ADDITEMS
        this.addItems(this.toMark());
        break;
      case 0x91: // FROZENSET
        this.made(new Set(this.toMark()));
        break;
      case 0x80: // PROTO
        this.protocol(this.byte());
        break;
      case 0x95: // FRAME
        this.checkLength(this.uint64());
        break;
      case 0x30: // POP
        if (this.marks.length > 0 && this.stack.length === this.fence) this.dropMark();
        else this.pop(true);
        break;
      case 0x31: // POP_MARK
        this.toMark(true);
        break;
      case 0x32: // DUP
        this.push(this.top());
        break;
      case 0x52: // REDUCE
        this.reduce();
        break;
      case 0x93: // STACK_GLOBAL
        this.stackGlobal();
        break;
      default:
        this.older(opcode);
    }
  }

  /** Protocols 0 and 1. */
  private older(opcode: number): void {
    switch (opcode) {
      case 0x49: // INT
        this.push(this.intLine());
        break;
      case 0x4c: // LONG
        this.push(this.longLine());
        break;
      case 0x46: // FLOAT
        this.push(this.floatLine());
        break;
      case 0x56: // UNICODE
        this.push(decodeRawUnicode(this.line()));
        break;
      case 0x53: // STRING
        this.push(asciiText(decodeStringLiteral(this.line())));
        break;
      case 0x54: // BINSTRING
        this.push(asciiText(this.take8(this.int32()).toString('latin1')));
        break;
      case 0x55: // SHORT_BINSTRING
        this.push(asciiText(this.take8(this.byte()).toString('latin1')));
        break;
      case 0x67: // GET
        this.push(this.memo.get(this.indexLine()));
        break;
      case 0x70: // PUT
        this.memo.put(this.indexLine(), this.top());
        break;
      case 0x6c: // LIST
        this.made(this.toMark());
        break;
      case 0x64: {
        // DICT
        const items = this.toMark();
        this.dict();
        this.setItems(items);
        break;
      }
      case 0x63: // GLOBAL
        this.global(this.line(), this.line());
        break;
      default:
        throw this.refusal(opcode, this.stack.at(-1));
    }
  }

  //
  // The stack
  //

  private push(value: unknown): void {
    if (++this.items > this.maxItems) {
      throw new UnpicklingError(`the pickle has more than ${this.maxItems} items`);
    }
    this.stack.push(value);
  }

  private top(): unknown {
    if (this.stack.length <= this.fence) throw this.damaged('takes from an empty stack');
    return this.stack[this.stack.length - 1];
  }

  /** @param raw whether it is thrown away */
  private pop(raw = false): unknown {
    const value = this.top();
    this.stack.pop();
    if (this.globals && !raw) this.plainOnly([value]);
    return value;
  }

  private take(count: number): unknown[] {
    const from = this.stack.length - count;
    if (from < this.fence) throw this.damaged('takes from an empty stack');
    const values = this.stack.splice(from, count);
    if (this.globals) this.plainOnly(values);
    return values;
  }

  private toMark(raw = false): unknown[] {
    if (this.marks.length === 0) throw this.damaged('has no mark where it needs one');
    const values = this.stack.splice(this.fence, this.stack.length - this.fence);
    this.dropMark();
    if (this.globals && !raw) this.plainOnly(values);
    return values;
  }

  private dropMark(): void {
    this.marks.pop();
    this.fence = this.marks.at(-1) ?? 0;
  }

  /** A name may be called, and is no value. */
  private plainOnly(values: readonly unknown[]): void {
    for (const value of values) if (value instanceof KnownGlobal) throw refused(value.name);
  }

  //
  // Containers
  //

  private made(container: object): void {
    this.containers++;
    this.push(container);
  }

  /** Of a list that is nobody else's: several times as fast as filling a new Tuple. */
  private tuple(items: unknown[]): void {
    this.made(Object.setPrototypeOf(items, Tuple.prototype) as Tuple);
  }

  private dict(): void {
    const ordinal = this.dicts.length;
    const dict = this.known?.has(ordinal) ? new Map() : {};
    this.dicts.push(dict);
    this.ordinals?.set(dict, ordinal);
    this.made(dict);
  }

  private append(values: readonly unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list) || list instanceof Tuple)
      throw this.damaged('appends to something that is no list');
    for (let i = 0; i < values.length; i++) list.push(values[i]);
  }

  private addItems(values: readonly unknown[]): void {
    const set = this.top();
    if (!(set instanceof Set)) throw this.damaged('adds to something that is no set');
    for (let i = 0; i < values.length; i++) set.add(values[i]);
  }

  private setItems(values: readonly unknown[]): void {
    const dict = this.top();
    if (values.length % 2 !== 0) throw this.damaged('has a key without a value');
    if (dict instanceof Map) {
      for (let i = 0; i < values.length; i += 2) dict.set(values[i], values[i + 1]);
      return;
    }
    if (!isDict(dict)) throw this.damaged('sets an item of something that is no dict');
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

  /** Finds out only now which kind of object this had to be: for the next reading. */
  private isMap(dict: object): void {
    this.ordinals ??= new Map(this.dicts.map((each, i) => [each, i]));
    this.maps.add(this.ordinals.get(dict) as number);
  }

  //
  // Names and calls
  //

  private stackGlobal(): void {
    const [module, name] = this.take(2);
    if (typeof module !== 'string' || typeof name !== 'string') {
      throw this.damaged('has a name that is no text');
    }
    this.global(module, name);
  }

  private global(module: string, name: string): void {
    const found = knownGlobal(module, name);
    this.globals = true;
    this.push(found);
  }

  private reduce(): void {
    const args = this.pop();
    const callable = this.pop(true);
    if (!(callable instanceof KnownGlobal))
      throw refused('a call of something that is no function');
    if (!(args instanceof Tuple)) throw this.damaged('has arguments that are no tuple');
    this.copied += sizeOfArguments(args);
    if (this.copied > this.end) throw this.damaged('copies more than it has');
    const value = callable.make(args);
    if (value === undefined)
      throw refused(`a call of ${callable.name} with other arguments than pickle's own`);
    this.made(value);
  }
}
