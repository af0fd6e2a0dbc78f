/**
 * Which functions of a message have the same variable, so that it has to be one in the child, too.
 */
import type { Captured, Variable } from './capture.ts';
import { firstFree } from './cells.ts';
import { canStop, isShared } from './probe.ts';

/**
 * Finds the variables that several functions have, and that one of them assigns to.
 * @returns for each function the numbers of these, by name
 * @internal
 */
export function sharedVariables(functions: readonly Captured[]): Record<string, number>[] {
  const cells = functions.map((): Record<string, number> => ({}));
  const users = new Map<string, { index: number; variable: Variable }[]>();
  for (const [index, { variables }] of functions.entries()) {
    for (const variable of variables) {
      if (variable.scope === undefined) continue;
      const key = `${variable.scope}\n${variable.name}`;
      const all = users.get(key) ?? [];
      users.set(key, all);
      all.push({ index, variable });
    }
  }
  let count = firstFree(functions.map(({ source }) => source.text));
  for (const all of users.values()) {
    const { name } = (all[0] as { variable: Variable }).variable;
    const assigns = ({ index }: { index: number }) =>
      functions[index]?.source.assigned.has(name) ?? false;
    if (all.length < 2 || !all.some(assigns)) continue;
    for (const group of sameVariables(all, functions)) {
      if (group.length < 2 || !group.some(assigns)) continue;
      for (const { index } of group) (cells[index] as Record<string, number>)[name] = count;
      count++;
    }
  }
  return cells;
}

type User = { index: number; variable: Variable };

/** Of those whose variable might be the same, which have the same. */
function sameVariables(all: readonly User[], functions: readonly Captured[]): User[][] {
  const groups: User[][] = [];
  for (const user of all) {
    const group = groups.find((group) => isSame(group, user, functions));
    if (group === undefined) groups.push([user]);
    else group.push(user);
  }
  return groups;
}

function isSame(group: readonly User[], user: User, functions: readonly Captured[]): boolean {
  const [first] = group as [User];
  const { variable } = user;
  if (!Object.is(first.variable.value, variable.value)) return false;
  if (variable.unique) return true;
  const other = functions[user.index] as Captured;
  const stoppable = group.find(({ index }) => canStop((functions[index] as Captured).source));
  if (stoppable !== undefined) {
    const { fn, source } = functions[stoppable.index] as Captured;
    return isShared(fn, source, other.fn, variable.name);
  }
  const { fn } = functions[first.index] as Captured;
  // Neither of two generator functions can be looked into: with the same value at the same place they count as one.
  return !canStop(other.source) || isShared(other.fn, other.source, fn, variable.name);
}
