/**
 * How deep something is nested, found without recursion.
 */
import { UnpicklingError } from '../base/errors.ts';

interface Level {
  readonly container: object;
  readonly rest: Iterator<unknown>;
  deepest: number;
}

/** @throws UnpicklingError if there are more levels than that; a cycle counts once @internal */
export function checkDepth(root: unknown, maxDepth: number): void {
  if (!isContainer(root)) return;
  /** How deep is what is in a container; 0 while that is being found out. */
  const depths = new Map<object, number>([[root, 0]]);
  const path: Level[] = [{ container: root, rest: contentOf(root), deepest: 0 }];
  for (let level = path.at(-1); level !== undefined; level = path.at(-1)) {
    if (path.length + level.deepest > maxDepth) {
      throw new UnpicklingError(`the pickle is nested more than ${maxDepth} levels deep`);
    }
    const { done, value } = level.rest.next();
    if (done) {
      depths.set(level.container, level.deepest + 1);
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) parent.deepest = Math.max(parent.deepest, level.deepest + 1);
    } else if (isContainer(value)) {
      const known = depths.get(value);
      if (known !== undefined) {
        level.deepest = Math.max(level.deepest, known);
      } else {
        depths.set(value, 0);
        path.push({ container: value, rest: contentOf(value), deepest: 0 });
      }
    }
  }
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}

function* contentOf(container: object): Generator<unknown> {
  if (container instanceof Map) {
    for (const [key, value] of container) {
      yield key;
      yield value;
    }
  } else if (Array.isArray(container) || container instanceof Set) {
    yield* container as Iterable<unknown>;
  } else {
    yield* Object.values(container);
  }
}
