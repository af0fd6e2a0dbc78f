/**
 * Where the keywords of CPython's clients go: `queue.get(timeout=1)` comes as it is written there, as no method of JavaScript takes it.
 */
import { typeError } from '../base/errors.ts';
import { LocalBarrier, LocalCondition } from './local_condition.ts';
import { LocalBoundedSemaphore, LocalSemaphore } from './local_locks.ts';
import { LocalQueue } from './local_queue.ts';
import { LocalArray, LocalValue } from './local_values.ts';

type Parameters = Readonly<Record<string, readonly string[]>>;

/** The parameters of the methods that Python's programs call by keywords; those of the class itself as `constructor`. */
const PARAMETERS = new Map<unknown, Parameters>([
  [
    LocalQueue,
    {
      constructor: ['maxsize'],
      get: ['block', 'timeout'],
      put: ['item', 'block', 'timeout'],
      put_nowait: ['item'],
      shutdown: ['immediate'],
    },
  ],
  [LocalSemaphore, { constructor: ['value'] }],
  [LocalBoundedSemaphore, { constructor: ['value'] }],
  [LocalCondition, { constructor: ['lock'] }],
  [LocalBarrier, { constructor: ['parties', 'action', 'timeout'] }],
  [LocalValue, { constructor: ['typecode', 'value', 'lock'] }],
  [LocalArray, { constructor: ['typecode', 'sequence', 'lock'] }],
]);

/**
 * The arguments of a call, in their order. What has other parameters than Python's, such as a class of the user's own, gets the
 * keywords as one last object.
 * @param of the class of what is called @param name a method's, `constructor` for the class
 * @throws TypeError for a keyword that there is not, and for one whose place is taken
 * @internal
 */
export function withKeywords(
  of: unknown,
  name: string,
  args: readonly unknown[],
  kwds: object | undefined,
): readonly unknown[] {
  const given = Object.entries(kwds ?? {});
  if (given.length === 0) return args;
  const parameters = PARAMETERS.get(of);
  if (parameters === undefined || !Object.hasOwn(parameters, name)) return [...args, kwds];
  const names = parameters[name] as readonly string[];
  const all = [...args];
  for (const [keyword, value] of given) {
    const at = names.indexOf(keyword);
    if (at < 0)
      throw typeError(`${name}() has no parameter '${keyword}': it has ${names.join(', ')}`);
    if (at < args.length)
      throw typeError(`${name}() got '${keyword}' twice, by its place and by its name`);
    all[at] = value;
  }
  return Array.from(all);
}
