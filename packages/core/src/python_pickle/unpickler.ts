/**
 * Counterpart of pickle.py's `_Unpickler`. It makes plain data, and what the table of types says. Deviations: D-066, D-067.
 *
 * A machine with a stack of its own, so that no nesting uses up JavaScript's. What it makes costs memory in proportion
 * to the bytes that ask for it: no length is believed, nothing is copied twice.
 */
import { PythonBuilder } from './builder.ts';
import { asciiText, decodeLong, decodeRawUnicode, decodeStringLiteral } from './text.ts';

/** Reads one pickle. @internal */
export class PythonUnpickler extends PythonBuilder {
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
          this.tuple(this.take(opcode - 0x84, true));
          break;
        case 0x74: // TUPLE
          this.tuple(this.toMark(true));
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
      case 0x81: // NEWOBJ
        this.newobj();
        break;
      case 0x92: // NEWOBJ_EX
        this.newobjEx();
        break;
      case 0x62: // BUILD
        this.setState();
        break;
      case 0x97: // NEXT_BUFFER
        this.nextBuffer();
        break;
      case 0x98: // READONLY_BUFFER
        this.readonlyBuffer();
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
}
