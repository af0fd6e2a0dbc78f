/**
 * How deep something is nested, found without recursion.
 */
import { types } from 'node:util';
import { UnpicklingError } from '../base/errors.ts';

interface Level {
  readonly container: object;
  readonly items: readonly unknown[];
  next: number;
  deepest: number;
}

/** What has up to so many items, and none with items of its own, is not remembered: it is as fast to look again. */
const small = 16;

/** @throws UnpicklingError if there are more levels than that; a cycle counts once @internal */
export function checkDepth(root: unknown, maxDepth: number): void {
  if (!isContainer(root)) return;
  /** How deep is what is in a container; 0 while that is being found out. */
  const depths = new Map<object, number>([[root, 0]]);
  const path: Level[] = [{ container: root, items: itemsOf(root), next: 0, deepest: 0 }];
  for (let level = path.at(-1); level !== undefined; level = path.at(-1)) {
    if (path.length + level.deepest > maxDepth) {
      throw new UnpicklingError(`the pickle is nested more than ${maxDepth} levels deep`);
    }
    const inside = nextInside(level, depths);
    if (inside !== undefined) {
      depths.set(inside.container, 0);
      path.push(inside);
      continue;
    }
    if (path.length + level.deepest > maxDepth) continue;
    depths.set(level.container, level.deepest + 1);
    path.pop();
    const parent = path.at(-1);
    if (parent !== undefined) parent.deepest = Math.max(parent.deepest, level.deepest + 1);
  }
}

/** The next container in one whose depth is not known; takes in the depths of those that are. */
function nextInside(level: Level, depths: ReadonlyMap<object, number>): Level | undefined {
  const { items } = level;
  while (level.next < items.length) {
    const container = items[level.next++];
    if (!isContainer(container)) continue;
    const known = depths.get(container);
    if (known !== undefined) {
      if (known > level.deepest) level.deepest = known;
      continue;
    }
    const inner = itemsOf(container);
    if (inner.length > small || inner.some(isContainer))
      return { container, items: inner, next: 0, deepest: 0 };
    if (level.deepest < 1) level.deepest = 1;
  }
  return undefined;
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);
}

function itemsOf(container: object): readonly unknown[] {
  if (Array.isArray(container)) return container as unknown[];
  if (container instanceof Map) return [...container.keys(), ...container.values()];
  if (container instanceof Set) return [...container];
  // What a row has built may be one, whose traps are none of our business.
  return types.isProxy(container) ? [] : Object.values(container);
}
