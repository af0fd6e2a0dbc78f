/**
 * The few calls that older protocols need for plain data: bytes before protocol 3, bytearrays before 5, sets before 4.
 * They are known by their names and done here; nothing is looked up or called. Deviations: D-067.
 */
import { UnpicklingError } from '../base/errors.ts';
import { Tuple } from './tuple.ts';
import { type BuildCall, GlobalName, type PythonType } from './types.ts';

function latin1([text, encoding]: readonly unknown[], call: BuildCall): Buffer | undefined {
  if (typeof text !== 'string' || (encoding !== 'latin1' && encoding !== 'latin-1'))
    return undefined;
  call.copies(text.length);
  return /[^\0-\xff]/.test(text) ? undefined : Buffer.from(text, 'latin1');
}

function toSet(args: readonly unknown[], call: BuildCall): Set<unknown> | undefined {
  const [items] = args;
  if (args.length === 0) return new Set();
  if (args.length !== 1 || !Array.isArray(items) || items instanceof Tuple) return undefined;
  call.copies(items.length);
  return new Set<unknown>(items);
}

function toList(args: readonly unknown[], call: BuildCall): unknown[] | undefined {
  const [items] = args;
  if (args.length === 0) return [];
  if (args.length !== 1 || !Array.isArray(items)) return undefined;
  call.copies(items.length);
  return Array.from<unknown>(items);
}

function toBytes(args: readonly unknown[], call: BuildCall): Buffer | undefined {
  const [source] = args;
  if (args.length === 0) return Buffer.alloc(0);
  if (args.length === 2) return latin1(args, call);
  if (args.length !== 1 || !Buffer.isBuffer(source)) return undefined;
  call.copies(source.length);
  return Buffer.from(source);
}

/** Rows for the table of types. */
export const plainTypes = (): readonly PythonType[] => [
  {
    names: '_codecs.encode',
    build: (args, call) => (args.length === 2 ? latin1(args, call) : undefined),
  },
  { names: 'builtins.set', build: toSet },
  { names: 'builtins.frozenset', build: toSet },
  { names: 'builtins.bytes', build: toBytes },
  { names: 'builtins.bytearray', build: toBytes },
  // What multiprocessing's own pickler makes of `d.keys()`, `d.values()` and `d.items()`.
  { names: 'builtins.list', build: toList },
  // As the base of an instance, and as what makes the values of a defaultdict.
  ...['object', 'tuple', 'dict', 'int', 'float', 'str', 'bool'].map((name) => ({
    names: `builtins.${name}`,
  })),
  {
    // How protocols 0 and 1 make an instance: of its class, a base that has a value, and that value.
    names: 'copyreg._reconstructor',
    takesNames: true,
    build: ([cls, base, value, ...more], call) => {
      if (!(cls instanceof GlobalName && base instanceof GlobalName) || more.length > 0)
        return undefined;
      return call.build(cls, base.type?.names === 'builtins.object' ? [] : [value]);
    },
  },
  {
    names: 'builtins.getattr',
    takesNames: true,
    build: ([cls, name, ...more], call) => {
      if (!(cls instanceof GlobalName) || typeof name !== 'string' || more.length > 0)
        return undefined;
      const value = cls.type?.getattr?.(name) ?? call.find(`${cls.name}.${name}`);
      if (value === undefined) throw refused(`${cls.name}.${name}`);
      return value;
    },
  },
];

/** The refusal of something that is no plain data. */
export function refused(what: string): UnpicklingError {
  const short = what.length > 200 ? `${what.slice(0, 200)}...` : what;
  return new UnpicklingError(
    `the pickle asks for ${short}, which is never made here: send plain data, or register its class by registerClass()`,
  );
}
