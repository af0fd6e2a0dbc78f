/**
 * The shapes of plain objects: their keys in their order, and how an object is known to be of one without being looked
 * through.
 */
import { hasHiddenClassOf, sampleOf } from './hidden_class.ts';

/** Objects with more keys than this are written as dictionaries. */
const maxShapeKeys = 24;
/** Shapes are forgotten when their tree has this many nodes; a program has far fewer kinds of records. */
const maxShapeNodes = 8192;
/** A sample is made of one in so many objects that were not recognised, */
const sampleEvery = 64;
/** so many times at most. */
const maxSamples = 8;

/** The keys of a plain object, in their order. @internal */
export class Shape {
  readonly keys: readonly string[];
  /** count and keys, encoded */
  readonly definition: Uint8Array;
  /** The message in which it has been defined last, and its number there. */
  message = 0;
  index = 0;
  /** That of the object which came after the last one of this shape; it is expected again. */
  next: Shape = this;
  #sample: object | undefined;
  #unrecognised = 0;

  constructor(keys: readonly string[], definition: Uint8Array) {
    this.keys = keys;
    this.definition = definition;
  }

  /** Whether an object is plain and has these keys, and no others nor symbols; false: has to be looked through. */
  recognises(value: object): boolean {
    return (
      this.#sample !== undefined &&
      hasHiddenClassOf(this.#sample, value) &&
      Object.keys(value).length === this.keys.length // indices are not in the hidden class
    );
  }

  /** Is told of a plain object of this shape that was not recognised. */
  learn(value: object): void {
    if (++this.#unrecognised % sampleEvery !== 0) return;
    if (this.#unrecognised <= sampleEvery * maxSamples) this.#sample = sampleOf(value, this.keys);
  }
}

interface Node {
  readonly next: Map<string, Node>;
  shape: Shape | undefined;
}

let root: Node = { next: new Map(), shape: undefined };
let nodes = 0;

/** The shape with these keys; undefined when such an object is to be written as a dictionary. @internal */
export function shapeOf(
  keys: readonly string[],
  define: (keys: readonly string[]) => Uint8Array,
): Shape | undefined {
  if (keys.length > maxShapeKeys || keys.includes('__proto__')) return undefined;
  let node = root;
  for (const key of keys) {
    let next = node.next.get(key);
    if (next === undefined) {
      if (key.length > 64) return undefined;
      if (++nodes > maxShapeNodes) {
        root = { next: new Map(), shape: undefined };
        nodes = 0;
        return undefined;
      }
      next = { next: new Map(), shape: undefined };
      node.next.set(key, next);
    }
    node = next;
  }
  node.shape ??= new Shape(keys, define(keys));
  return node.shape;
}
