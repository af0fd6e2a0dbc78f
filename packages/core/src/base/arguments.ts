/**
 * Checks of arguments that callers give, before anything is made from them.
 */
import { inspect } from 'node:util';
import { typeError, ValueError } from './errors.ts';

/**
 * A timeout is a number of seconds or undefined.
 * @throws TypeError, or ValueError for NaN
 */
export function checkTimeout(timeout: unknown): void {
  if (timeout === undefined) return;
  if (typeof timeout !== 'number') {
    throw typeError(`timeout must be a number of seconds or undefined, not ${inspect(timeout)}`);
  }
  if (Number.isNaN(timeout)) throw new ValueError('timeout is NaN: give a number of seconds');
}

/**
 * Whether to wait is no object: who gives options there would wait for ever.
 * @throws TypeError
 */
export function checkBlock(block: unknown): void {
  if (typeof block !== 'object' || block === null) return;
  throw typeError(
    `block must be true or false, not ${inspect(block)}: a timeout in seconds is the argument behind it`,
  );
}

/**
 * An options object has only known names.
 * @param where for the message, e.g. `'Process'`
 * @throws TypeError that names the unknown option, or says that it is no object
 */
export function checkOptions(options: object, known: readonly string[], where: string): void {
  if (options === null || typeof options !== 'object') {
    throw typeError(`${where}: options must be an object, not ${inspect(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw typeError(`${where}: unknown option '${name}', expected one of ${known.join(', ')}`);
    }
  }
}

/**
 * A size is a whole number.
 * @throws TypeError, or ValueError for a negative one
 */
export function checkSize(size: unknown): asserts size is number {
  if (typeof size !== 'number' || !Number.isInteger(size)) {
    throw typeError(`size must be a whole number, not ${inspect(size)}`);
  }
  if (size < 0) throw new ValueError(`size: ${size} is negative`);
}
