/**
 * The few calls that older protocols need for plain data: bytes before protocol 3, bytearrays before 5, sets before 4.
 * They are known by their names and done here; nothing is looked up or called. Deviations: D-067.
 */
import { UnpicklingError } from '../base/errors.ts';
import { Tuple } from './tuple.ts';

/** A name that stands for plain data. It exists on the stack of the unpickler only. @internal */
export class KnownGlobal {
  readonly name: string;
  /** Makes the value, or undefined if that call is not one for plain data. */
  readonly make: (args: readonly unknown[]) => Buffer | Set<unknown> | undefined;

  constructor(name: string, make: KnownGlobal['make']) {
    this.name = name;
    this.make = make;
  }
}

function latin1(text: unknown, encoding: unknown): Buffer | undefined {
  if (typeof text !== 'string' || (encoding !== 'latin1' && encoding !== 'latin-1'))
    return undefined;
  return /[^\0-\xff]/.test(text) ? undefined : Buffer.from(text, 'latin1');
}

function toSet(args: readonly unknown[]): Set<unknown> | undefined {
  const [items] = args;
  if (args.length === 0) return new Set();
  if (args.length !== 1 || !Array.isArray(items) || items instanceof Tuple) return undefined;
  return new Set<unknown>(items);
}

function toBytes(args: readonly unknown[]): Buffer | undefined {
  const [source, encoding] = args;
  if (args.length === 0) return Buffer.alloc(0);
  if (args.length === 1) return Buffer.isBuffer(source) ? Buffer.from(source) : undefined;
  return args.length === 2 ? latin1(source, encoding) : undefined;
}

const encode = new KnownGlobal('_codecs.encode', (args) =>
  args.length === 2 ? latin1(args[0], args[1]) : undefined,
);

const known = new Map<string, KnownGlobal>([[encode.name, encode]]);
for (const module of ['builtins', '__builtin__']) {
  for (const [name, make] of [
    ['set', toSet],
    ['frozenset', toSet],
    ['bytes', toBytes],
    ['bytearray', toBytes],
  ] as const) {
    known.set(`${module}.${name}`, new KnownGlobal(`${module}.${name}`, make));
  }
}

/** @throws UnpicklingError for every other name */
export function knownGlobal(module: string, name: string): KnownGlobal {
  const found = known.get(`${module}.${name}`);
  if (found === undefined) throw refused(`${module}.${name}`);
  return found;
}

/** The refusal of something that is no plain data. */
export function refused(what: string): UnpicklingError {
  const short = what.length > 200 ? `${what.slice(0, 200)}...` : what;
  return new UnpicklingError(
    `the pickle asks for ${short}, which is never made here: send None, bool, int, float, str, bytes, list, tuple, dict or set`,
  );
}

/** How many bytes or items a call copies. */
export function sizeOfArguments(args: readonly unknown[]): number {
  const [first] = args;
  if (typeof first === 'string' || Array.isArray(first) || Buffer.isBuffer(first))
    return first.length;
  return 0;
}
