/**
 * What is looked at before a pool is made, or a call begins.
 */
import { inspect } from 'node:util';
import { RuntimeError, typeError, ValueError } from '../base/errors.ts';

/** @throws TypeError @internal */
export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function')
    throw typeError(`${name} must be a function, not ${inspect(value)}`);
}

/** @throws ValueError unless it is undefined, or a whole number from 1 on @internal */
export function checkCount(name: string, value: unknown): void {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= 1)) return;
  throw new ValueError(`${name} must be a positive integer, not ${inspect(value)}`);
}

/** @param least what it has to be at least, seconds @throws TypeError, ValueError @internal */
export function checkSeconds(name: string, value: unknown, least?: 0): void {
  if (value === undefined) return;
  if (typeof value !== 'number')
    throw typeError(`${name} must be a number of seconds, not ${inspect(value)}`);
  if (value > 0 || value === least) return;
  throw new ValueError(`${name} must be more than 0 seconds, not ${value}`);
}

/** @param pid of the process that has made the pool @throws RuntimeError in a forked child @internal */
export function checkOwner(pid: number): void {
  if (pid === process.pid) return;
  throw new RuntimeError(
    'this pool is one of the process that this one was forked from: its answers go there. Make a pool of your own',
  );
}

interface Checked {
  initializer?: unknown;
  initargs?: unknown;
  maxtasksperchild?: unknown;
  taskTimeout?: unknown;
  maxMemory?: unknown;
  concurrency?: unknown;
  killTimeout?: unknown;
  onWorkerDeath?: unknown;
  niceIncrement?: unknown;
}

const KNOWN = [
  'initializer',
  'initargs',
  'maxtasksperchild',
  'taskTimeout',
  'maxMemory',
  'concurrency',
  'killTimeout',
  'onWorkerDeath',
  'niceIncrement',
];
const DEATHS = ['fail-task', 'retry', 'break'];

/** @throws TypeError for an option that there is not @internal */
export function checkNames(options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null)
    throw typeError(`options must be an object, not ${inspect(options)}`);
  for (const name of Object.keys(options)) {
    if (!known.includes(name))
      throw typeError(`${name} is no option: there are ${known.join(', ')}`);
  }
}

/** The options of a pool. @throws TypeError, ValueError @internal */
export function checkOptions(options: Checked): void {
  checkNames(options, KNOWN);
  if (options.initializer !== undefined) checkFunction('initializer', options.initializer);
  if (options.initargs !== undefined && !Array.isArray(options.initargs))
    throw typeError(`initargs must be an array, not ${inspect(options.initargs)}`);
  checkCount('maxtasksperchild', options.maxtasksperchild);
  checkCount('concurrency', options.concurrency);
  checkSeconds('taskTimeout', options.taskTimeout);
  checkSeconds('killTimeout', options.killTimeout, 0);
  if (options.maxMemory !== undefined && !((options.maxMemory as number) > 0))
    throw new ValueError(`maxMemory must be a number of bytes, not ${inspect(options.maxMemory)}`);
  if (options.niceIncrement !== undefined && !Number.isInteger(options.niceIncrement))
    throw new ValueError(`niceIncrement must be an integer, not ${inspect(options.niceIncrement)}`);
  if (options.onWorkerDeath !== undefined && !DEATHS.includes(options.onWorkerDeath as string))
    throw new ValueError(
      `onWorkerDeath must be one of ${DEATHS.join(', ')}, not ${inspect(options.onWorkerDeath)}`,
    );
}
