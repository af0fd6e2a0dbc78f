/**
 * Which ArrayBuffers lie in shared memory, and what each is pickled by. It stands in a file of its own so that the
 * pickler need not know of the heap.
 */
import { processWide } from '../base/state.ts';

const registry = processWide('sharedBuffers', () => ({
  /** False until there is one: until then a look costs nothing. */
  any: false,
  owners: new WeakMap<ArrayBufferLike, object>(),
}));

/** Has an ArrayBuffer pickled by its owner, which must have it as its `buffer`. @internal */
export function registerSharedBuffer(buffer: ArrayBuffer, owner: object): void {
  registry.any = true;
  registry.owners.set(buffer, owner);
}

/** What an ArrayBuffer is pickled by; undefined for one that is not shared. @internal */
export function ownerOf(buffer: ArrayBufferLike): object | undefined {
  return registry.any ? registry.owners.get(buffer) : undefined;
}
