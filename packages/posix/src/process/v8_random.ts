/**
 * V8's generators of random numbers, which a fork copies: that of Math.random, and that from which contexts of node:vm get their
 * seeds. V8 has no call to seed them anew, so it is done in memory. What is looked for is recognised by what it holds:
 *
 * - The native context has, side by side, a number, V8's MathRandom::State (two words) and 64 numbers that were drawn in advance. The one
 *   that Math.random gave last stands where the number says. Every function that a program has of Math.random draws from these.
 * - The isolate has a v8::base::RandomNumberGenerator (a seed, two words). The two words change by one step of xorshift128 when V8 makes up a hash.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { calledByChildren, writtenByChildren } from '../ffi/compiled.ts';
import {
  addressOf,
  direct,
  type NativeFunction,
  native,
  readPointer,
  symbolAddress,
} from '../ffi/ffi.ts';
import { type Read, readWords } from './v8_pool.ts';

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
/** In front of an object's fields; a pointer to an object is one more than its address. */
const HEADER = 16;
const TAG = 1;

const { random } = Math;

const found = {
  /** Where V8 keeps the address of Math.random's state. */
  state: 0n,
  /** The address of the isolate's generator's two words. */
  generator: 0,
  move: undefined as NativeFunction | undefined,
};

/** Looks for both. @returns whether Math.random can be seeded */
export function findGenerators(): boolean {
  if (symbolAddress('_ZN2v87Isolate10GetCurrentEv') === undefined) return false;
  found.move = direct(memmove);
  const memory = openSync('/proc/self/mem', 'r');
  const read: Read = (address, count) => readWords(memory, address, count);
  try {
    const isolate = currentIsolate();
    const state = stateIn(read, contextOf(isolate));
    if (state === undefined) return false;
    found.state = handleOf(isolate, state);
    found.generator = generatorOf(memory, isolate);
    return true;
  } finally {
    closeSync(memory);
  }
}

const word = new BigUint64Array(1);
const wordAddress = Number(addressOf(new Uint8Array(word.buffer)));

/** V8 tells the address of a handle of the call's, which has to be read before another call uses that handle. */
function contextOf(isolate: number): bigint {
  found.move?.(wordAddress, wordAddress, 8);
  found.move?.(wordAddress, currentContext(isolate), 8);
  return word[0] as bigint;
}

function stateIn(read: Read, context: bigint): bigint | undefined {
  const last = new BigUint64Array(new Float64Array([random()]).buffer)[0];
  const words = read(context - 1n, CONTEXT);
  const length = (object: bigint) => read(object - 1n + 8n, 1)[0];
  const at = words.findIndex((index, i) => {
    const [state = 0n, numbers = 0n] = words.slice(i + 1);
    if (index % SMI !== 0n || index / SMI >= DRAWN || numbers % 2n === 0n) return false;
    if (length(state) !== BigInt(SEED) * SMI || length(numbers) !== BigInt(DRAWN) * SMI) {
      return false;
    }
    return read(numbers - 1n + BigInt(HEADER) + (index / SMI) * 8n, 1)[0] === last;
  });
  return words[at + 1 || CONTEXT];
}

/** A small integer stands in the upper half of a word. */
const SMI = 1n << 32n;

function handleOf(isolate: number, object: bigint): bigint {
  if (symbolAddress(`${GLOBALIZE}m`) !== undefined) return BigInt(globalize(isolate, object));
  word[0] = object;
  return BigInt(globalizeAt(isolate, wordAddress));
}

/** 0 if it is not found. */
function generatorOf(memory: number, isolate: number): number {
  const read = (pointer: number) => readWords(memory, BigInt(pointer) + 8n, 2);
  const candidates = pointersIn(memory, isolate).map((pointer) => ({
    pointer,
    before: read(pointer),
  }));
  new WeakSet().add({}); // makes up a hash
  const generator = candidates.find(({ pointer, before }) => {
    const [first = 0n, second = 0n] = before;
    if (first === 0n || second === 0n) return false;
    const [a, b] = read(pointer);
    return a === second && b === step(first, second);
  });
  return generator === undefined ? 0 : generator.pointer + 8;
}

/** Where an isolate points to behind itself: its generator was made right after it. */
function pointersIn(memory: number, isolate: number): number[] {
  const halves = new Uint32Array(2 * ISOLATE);
  const length = readSync(memory, halves, 0, halves.byteLength, isolate) >> 2;
  const pointers = new Set<number>();
  for (let i = 0; i + 1 < length; i += 2) {
    const pointer = (halves[i] as number) + (halves[i + 1] as number) * 0x1_0000_0000;
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
 * In a forked child: has both begin anew.
 * @param seeds the address of two seeds of SEED random bytes
 */
export function seedGenerators(seeds: number): void {
  const { move, state, generator } = found;
  if (state === 0n) return;
  move?.(Number(readPointer(state)) - TAG + HEADER, seeds, SEED);
  for (let i = 0; i < DRAWN; i++) random(); // the parent's
  if (generator !== 0) move?.(generator, seeds + SEED, SEED);
}

calledByChildren(seedGenerators);
writtenByChildren(found);
