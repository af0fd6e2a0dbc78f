/**
 * Random values of a forked child's own: it has a copy of all that its parent has drawn in advance, and of what it draws from. Deviation:
 * D-116.
 *
 * Math.random is V8's (v8_random.ts). node:crypto draws from the kernel and OpenSSL, which know of forks, but randomUUID() and
 * randomInt() keep some kilobytes of it in variables of a module of Node's. The inspector shows them, and a child fills them anew. What of this is
 * not found in some Node is used up, or replaced.
 */
import type { Session } from 'node:inspector';
import { calledByChildren } from '../ffi/compiled.ts';
import { addressOf, native } from '../ffi/ffi.ts';
import { urandom } from './process.ts';
import { findGenerators, SEED, seedGenerators } from './v8_random.ts';

const getrandom = native('long getrandom(void *buffer, size_t size, unsigned int flags)');

/** Where Node keeps what randomUUID() and randomInt() give next, and how many values that is. */
const STORES = { uuidData: 128, randomCache: 1024 };

const found = {
  /** Whether V8's generators were looked for, and Math.random can be seeded. */
  generators: undefined as boolean | undefined,
  /** What node:crypto has drawn in advance; undefined while nothing of it is loaded. */
  stores: undefined as Uint8Array[] | undefined,
};

const seeds = Buffer.alloc(2 * SEED);
const seedsAddress = Number(addressOf(seeds));

/** To be called before a fork. @internal */
export function prepareToRenew(): void {
  found.generators ??= findGenerators();
  const { moduleLoadList } = process as unknown as { moduleLoadList: readonly string[] };
  if (found.stores !== undefined) return;
  if (moduleLoadList.includes('NativeModule internal/crypto/random')) found.stores = findStores();
}

/** In a forked child: what it draws from now on is its own. @internal */
export function renewRandom(): void {
  if (found.generators === true) {
    fill(seeds);
    seedGenerators(seedsAddress);
  } else replaceMathRandom();
  if (found.stores === undefined) return;
  for (const store of found.stores) fill(store);
  if (found.stores.length === 0) useUpStores();
}

function fill(bytes: Uint8Array): void {
  // A signal can make it shorter.
  if (getrandom(bytes, bytes.length, 0) !== bytes.length) bytes.set(urandom(bytes.length));
}

/** The arrays in which node:crypto keeps random bytes; none if they are not all found. */
function findStores(): Uint8Array[] {
  const { randomUUID } = process.getBuiltinModule('node:crypto');
  randomUUID(); // there is no array before
  const variables = variablesBeside(randomUUID);
  const stores = Object.keys(STORES).map((name) => variables.get(name));
  return stores.every((store) => store instanceof Uint8Array) ? stores : [];
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
  if (inspector === undefined) return new Map();
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

/** Pairs of 32-bit words, for who cannot seed V8's generator. */
const words = new Uint32Array(1024);
let left = 0;

function replaceMathRandom(): void {
  // One that a program has put there itself is the program's matter.
  if (!/\[native code\]/.test(Function.prototype.toString.call(Math.random))) {
    left = 0;
    return;
  }
  const random = () => {
    if (left === 0) fill(new Uint8Array(words.buffer));
    left = left === 0 ? words.length - 2 : left - 2;
    const [high, low] = [words[left] as number, words[left + 1] as number];
    return ((high >>> 5) * 0x4000000 + (low >>> 6)) / 0x20000000000000;
  };
  Object.defineProperty(random, 'name', { value: 'random' });
  Math.random = random;
}

calledByChildren(renewRandom, fill);
