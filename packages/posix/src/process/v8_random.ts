/**
 * V8's generators of random numbers, which a fork copies: that of Math.random, and that from which contexts of node:vm get their
 * seeds. V8 has no call to seed them anew, so it is done in memory. What is looked for is recognised by what it holds:
 *
 * - The native context has, side by side, how many numbers are left of those drawn in advance, V8's MathRandom::State (two words), and
 *   these 64 numbers. Every function that a program has of Math.random draws from them.
 * - The isolate has a v8::base::RandomNumberGenerator (a seed, two words), which changes by one step of
 *   xorshift128 when V8 makes up a hash.
 */
import { calledByChildren, writtenByChildren } from '../ffi/compiled.ts';
import { OSError } from '../ffi/errors.ts';
import { addressOf, direct, type NativeFunction, native, symbolAddress } from '../ffi/ffi.ts';
import { OwnMemory } from '../memory/own_memory.ts';

const currentIsolate = native('uintptr_t _ZN2v87Isolate10GetCurrentEv()');
const currentContext = native('uintptr_t _ZN2v87Isolate17GetCurrentContextEv(uintptr_t isolate)');
const memmove = native('void memmove(uintptr_t to, uintptr_t from, size_t length)');

/** A handle that V8's garbage collector keeps up to date. Up to V8 11 it takes where the object's address stands, later the address. */
const GLOBALIZE = '_ZN2v812api_internal18GlobalizeReferenceEPNS_8internal7IsolateE';
const globalizeAt = native(`uintptr_t ${GLOBALIZE}Pm(uintptr_t isolate, uintptr_t address)`);
const globalize = native(`uintptr_t ${GLOBALIZE}m(uintptr_t isolate, uint64_t object)`);

/** Bytes of a seed. */
export const SEED = 16;
/** Numbers that Math.random draws in advance. */
const DRAWN = 64;
/** 64-bit words, more than there are in a native context and in an isolate. */
const CONTEXT = 400;
const ISOLATE = 1 << 14;
/** Bytes, more than there are from an isolate to its generator. */
const DISTANCE = 1 << 26;
/** How often the context is asked for: the answer can be wrong. */
const TRIES = 20;
/** In front of an object's fields; a pointer to an object is one more than its address. */
const HEADER = 16;
const TAG = 1;
const TAGGED = 1n;

const found = {
  move: undefined as NativeFunction | undefined,
  /** The address of `word`. */
  address: 0,
  /** Where V8 keeps a pointer to the native context. */
  context: 0,
  /** Bytes from that pointer's value to how many numbers are left. */
  offset: 0,
  /** The address of the isolate's generator's two words. */
  generator: 0,
};

/** What is read, or to be written. */
const word = new BigUint64Array(1);
const halves = new Uint32Array(word.buffer);

/** Looks for both. @returns whether Math.random can be seeded @throws OSError (EMFILE, ENFILE) when it cannot look now */
export function findGenerators(): boolean {
  let memory: OwnMemory | undefined;
  try {
    memory = new OwnMemory();
    found.move = direct(memmove);
    found.address = Number(addressOf(new Uint8Array(word.buffer)));
    const isolate = currentIsolate();
    for (let i = 0; i < TRIES; i++) {
      const context = contextOf(isolate);
      const at = placeIn(memory, context);
      if (at < 0) continue;
      found.context = handleOf(isolate, context);
      found.offset = at * 8 - TAG;
      found.generator = generatorOf(memory, isolate);
      return placeIn(memory, BigInt(pointerAt(found.context))) === at;
    }
    return false;
  } catch (error) {
    if (error instanceof OSError) throw error;
    return false; // another V8
  } finally {
    memory?.close();
  }
}

/**
 * V8 tells the address of a handle that ends with the call. What it held stays there until V8 needs a handle, and that can be at once: when
 * it compiles or counts what runs here. So the answer may be wrong, and is right when asked again.
 */
function contextOf(isolate: number): bigint {
  const { move, address } = found;
  move?.(address, direct(currentContext)(isolate), 8);
  return word[0] as bigint;
}

/** Which word of the context says how many numbers are left; -1 if none does. */
function placeIn(memory: OwnMemory, context: bigint): number {
  return memory.words(context - TAGGED, CONTEXT).findIndex((left, i, words) => {
    if (left % SMI !== 0n || left / SMI > DRAWN) return false;
    const [state = 0n, numbers = 0n] = words.slice(i + 1, i + 3);
    const seed = fieldsOf(memory, state, SEED, SEED / 8);
    const drawn = fieldsOf(memory, numbers, DRAWN, DRAWN);
    if (seed === undefined || drawn === undefined) return false;
    if (seed.every((half) => half === 0n)) return left === 0n; // nobody has drawn yet
    return [...new Float64Array(drawn.buffer)].every((x) => x >= 0 && x < 1);
  });
}

/** The fields of an object that says that it is so long; undefined if it is another one. */
function fieldsOf(memory: OwnMemory, object: bigint, length: number, words: number) {
  const [says, ...fields] = memory.words(object - TAGGED + 8n, 1 + words);
  const is = says === BigInt(length) * SMI && fields.length === words;
  return is ? BigUint64Array.from(fields) : undefined;
}

/** A small integer stands in the upper half of a word. */
const SMI = 1n << 32n;

function handleOf(isolate: number, object: bigint): number {
  if (symbolAddress(`${GLOBALIZE}m`) !== undefined) return globalize(isolate, object);
  word[0] = object;
  return globalizeAt(isolate, found.address);
}

/** 0 if it is not found. */
function generatorOf(memory: OwnMemory, isolate: number): number {
  const read = (pointer: number) => memory.words(BigInt(pointer) + 8n, 2);
  makeUpHash(); // the first needs a generator
  const candidates = pointersIn(memory, isolate).map((pointer) => ({
    pointer,
    before: read(pointer),
  }));
  makeUpHash();
  const generator = candidates.find(({ pointer, before }) => {
    const [first = 0n, second = 0n] = before;
    if (first === 0n || second === 0n) return false;
    const [a, b] = read(pointer);
    return a === second && b === step(first, second);
  });
  return generator === undefined ? 0 : generator.pointer + 8;
}

function makeUpHash(): void {
  new WeakSet().add({});
}

/** Where an isolate points to behind itself: its generator was made right after it. */
function pointersIn(memory: OwnMemory, isolate: number): number[] {
  const words = new Uint32Array(2 * ISOLATE);
  const length = memory.read(BigInt(isolate), new Uint8Array(words.buffer)) >> 2;
  const pointers = new Set<number>();
  for (let i = 0; i + 1 < length; i += 2) {
    const pointer = (words[i] as number) + (words[i + 1] as number) * 0x1_0000_0000;
    const distance = pointer - isolate;
    if (distance > 0 && distance < DISTANCE && pointer % 16 === 0) pointers.add(pointer);
  }
  return [...pointers];
}

/** The second word after one step of xorshift128. */
function step(first: bigint, second: bigint): bigint {
  let x = first;
  x = BigInt.asUintN(64, x ^ (x << 23n));
  x ^= x >> 17n;
  return x ^ second ^ (second >> 26n);
}

/**
 * In a forked child: has both begin anew. V8's garbage collector may move the state, which is why it is looked up here: between that
 * and the write nothing is made but some numbers.
 * @param seeds the address of two seeds of SEED random bytes
 */
export function seedGenerators(seeds: number): void {
  const { move, address, generator } = found;
  const left = pointerAt(found.context) + found.offset;
  const state = pointerAt(left + 8) - TAG + HEADER;
  halves.fill(0);
  move?.(left, address, 8);
  move?.(state, seeds, SEED);
  if (generator !== 0) move?.(generator, seeds + SEED, SEED);
}

function pointerAt(address: number): number {
  found.move?.(found.address, address, 8);
  return (halves[0] as number) + (halves[1] as number) * 0x1_0000_0000;
}

calledByChildren(seedGenerators, pointerAt);
writtenByChildren(found);
