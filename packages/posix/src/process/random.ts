/**
 * Random values of a forked child's own: it has a copy of all that its parent has drawn in advance, and of what it draws from. Deviation:
 * D-102.
 *
 * Math.random is V8's (v8_random.ts). node:crypto draws from the kernel and OpenSSL, which know of forks, but randomUUID() and
 * randomInt() keep some kilobytes of it in variables of a module of Node's. The inspector shows them, and a child fills them anew. What of this is
 * not found in some Node is used up, or replaced.
 */
import type { Session } from 'node:inspector';
import { calledByChildren, writtenByChildren } from '../ffi/compiled.ts';
import { addressOf, direct, type NativeFunction, native } from '../ffi/ffi.ts';
import { isInspectorDenied } from '../node/permission.ts';
import { urandom } from './process.ts';
import { findGenerators, SEED, seedGenerators } from './v8_random.ts';

const getrandom = native('long getrandom(uintptr_t buffer, size_t size, unsigned int flags)');

/** Where Node keeps what randomUUID() and randomInt() give next, and how many values that is. */
const STORES = { uuidData: 128, randomCache: 1024 };

/** Memory that is to hold random bytes. */
interface Store {
  readonly bytes: Uint8Array;
  readonly address: number;
}

const found = {
  getrandom: undefined as NativeFunction | undefined,
  /** The seeds of V8's generators; null if they were not found, undefined if they were not looked for. */
  seeds: undefined as Store | null | undefined,
  /** What node:crypto has drawn in advance; undefined while nothing of it is loaded. */
  stores: undefined as Store[] | undefined,
};

/** To be called before a fork. @internal */
export function prepareToRenew(): void {
  if (found.seeds === undefined) {
    found.getrandom = direct(getrandom);
    found.seeds = findGenerators() ? storeAt(new ArrayBuffer(2 * SEED)) : null;
  }
  const { moduleLoadList } = process as unknown as { moduleLoadList: readonly string[] };
  if (found.stores !== undefined) return;
  if (moduleLoadList.includes('NativeModule internal/crypto/random')) found.stores = findStores();
}

function storeAt(memory: ArrayBufferLike, offset = 0, length = memory.byteLength): Store {
  const bytes = new Uint8Array(memory, offset, length);
  return { bytes, address: Number(addressOf(bytes)) };
}

/** In a forked child: what it draws from now on is its own. @internal */
export function renewRandom(): void {
  const { seeds, stores } = found;
  if (seeds) {
    fill(seeds);
    seedGenerators(seeds.address);
  } else replaceMathRandom();
  if (stores === undefined) return;
  for (const store of stores) fill(store);
  if (stores.length === 0) useUpStores();
}

function fill({ bytes, address }: Store): void {
  const { length } = bytes;
  // A signal can make it shorter.
  if (found.getrandom?.(address, length, 0) !== length) bytes.set(urandom(length));
}

/** The arrays in which node:crypto keeps random bytes; none if they are not all found. */
function findStores(): Store[] {
  const { randomUUID } = process.getBuiltinModule('node:crypto');
  randomUUID(); // there is no array before
  const variables = variablesBeside(randomUUID);
  const arrays = Object.keys(STORES).map((name) => variables.get(name));
  if (!arrays.every((array) => array instanceof Uint8Array)) return [];
  return arrays.map(({ buffer, byteOffset, length }) => storeAt(buffer, byteOffset, length));
}

function useUpStores(): void {
  const { randomInt, randomUUID } = process.getBuiltinModule('node:crypto');
  for (let i = 0; i < STORES.uuidData; i++) randomUUID();
  for (let i = 0; i < STORES.randomCache; i++) randomInt(2);
}

/** What the inspector says of a value. */
interface Remote {
  objectId?: string;
}

const HOLDER = Symbol.for('multiprocessing.random');

/** The variables that a function sees. */
function variablesBeside(fn: unknown): Map<string, unknown> {
  const inspector = process.getBuiltinModule('node:inspector') as
    | typeof import('node:inspector')
    | undefined;
  const holder = { fn, scopes: [] as object[] };
  if (inspector === undefined || isInspectorDenied()) return new Map();
  const session = new inspector.Session();
  session.connect();
  Object.defineProperty(globalThis, HOLDER, { value: holder, configurable: true });
  try {
    const held = `globalThis[Symbol.for('${HOLDER.description}')]`;
    const { result } = ask<{ result: Remote }>(session, 'Runtime.evaluate', {
      expression: `${held}.fn`,
    });
    const { internalProperties } = ask<{
      internalProperties: { name: string; value: Remote }[];
    }>(session, 'Runtime.getProperties', { objectId: result.objectId, ownProperties: true });
    ask(session, 'Runtime.callFunctionOn', {
      objectId: internalProperties.find(({ name }) => name === '[[Scopes]]')?.value.objectId,
      functionDeclaration: `function () { ${held}.scopes = Array.from(this, (scope) => scope.object) }`,
    });
  } finally {
    Reflect.deleteProperty(globalThis, HOLDER);
    session.disconnect();
  }
  return new Map(holder.scopes.reverse().flatMap((scope) => Object.entries(scope)));
}

function ask<T>(session: Session, method: string, params: object): T {
  let answer: unknown = {};
  session.post(method, params, (_error: Error | null, result?: object) => {
    answer = result ?? {};
  });
  return answer as T;
}

/** For who cannot seed V8's generator. One that a program has put in its place is the program's matter. */
function replaceMathRandom(): void {
  if (!/\[native code\]/.test(Function.prototype.toString.call(Math.random))) return;
  const words = new Uint32Array(1024);
  let left = 0;
  const random = () => {
    if (left === 0) words.set(new Uint32Array(Uint8Array.from(urandom(words.byteLength)).buffer));
    left = (left === 0 ? words.length : left) - 2;
    const [high, low] = words.subarray(left) as unknown as [number, number];
    return ((high >>> 5) * 0x400_0000 + (low >>> 6)) / 2 ** 53;
  };
  Object.defineProperty(Math, 'random', { value: random, configurable: true, writable: true });
}

calledByChildren(renewRandom, fill);
writtenByChildren(found);
