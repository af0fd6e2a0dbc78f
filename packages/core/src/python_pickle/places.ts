/**
 * Python's `uuid.UUID` and the paths of `pathlib`.
 */
import { inspect } from 'node:util';
import { typeError, UnpicklingError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { isDict } from './dict.ts';
import type { PythonType } from './types.ts';

/** Python's `uuid.UUID`: `new UUID(randomUUID())` is its `uuid4()`. */
export class UUID {
  /** 32 hexadecimal digits. */
  readonly hex: string;
  /** Python's `is_safe`: 0 or -1 if its platform has said so. */
  readonly isSafe: number | null;

  /** @param text 32 hexadecimal digits, with or without hyphens @throws TypeError, ValueError */
  constructor(text: string, isSafe: number | null = null) {
    if (typeof text !== 'string') throw typeError(`text must be a string, not ${inspect(text)}`);
    this.hex = text.replace(/^urn:uuid:|[{}-]/g, '').toLowerCase();
    if (!/^[\da-f]{32}$/.test(this.hex)) throw new ValueError(`${inspect(text)} is no UUID`);
    this.isSafe = isSafe;
  }

  /** Python's `str(uuid)`: with its hyphens. */
  toString(): string {
    return this.hex.replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }

  toJSON(): string {
    return this.toString();
  }

  /** @internal */
  [inspect.custom](): string {
    return `UUID('${this}')`;
  }
}

const nil = '0'.repeat(32);

function giveUuid(uuid: UUID, state: unknown): void {
  const value = isDict(state) ? state.int : undefined;
  if (typeof value !== 'number' && typeof value !== 'bigint') {
    throw new UnpicklingError('the pickle has a UUID without its int');
  }
  if (value < 0 || value >= 2n ** 128n) {
    throw new UnpicklingError('the pickle has a UUID whose int is not of 128 bits');
  }
  const hex = BigInt(value).toString(16).padStart(32, '0');
  const safe = (state as { is_safe?: unknown }).is_safe;
  const isSafe = typeof safe === 'number' ? safe : null;
  Object.assign(uuid, { ...new UUID(hex), isSafe });
}

const kinds = ['PosixPath', 'PurePosixPath', 'WindowsPath', 'PureWindowsPath'] as const;

/** Which class of `pathlib` a path is of. */
export type PathKind = (typeof kinds)[number];

/** A path of Python's `pathlib`, as its text. */
export class Path {
  readonly kind: PathKind;
  private readonly text: string;

  /** @throws TypeError, ValueError */
  constructor(text: string, kind: PathKind = 'PosixPath') {
    if (typeof text !== 'string') throw typeError(`text must be a string, not ${inspect(text)}`);
    if (!kinds.includes(kind)) {
      throw new ValueError(`kind must be one of ${kinds.join(', ')}, not ${inspect(kind)}`);
    }
    this.kind = kind;
    this.text = normal(text, /Windows/.test(kind));
  }

  /** Python's `str(path)`. */
  toString(): string {
    return this.text;
  }

  toJSON(): string {
    return this.text;
  }

  /** @internal */
  [inspect.custom](): string {
    return `${this.kind}(${inspect(this.text.replaceAll('\\', '/'))})`;
  }
}

/** As pathlib writes it: without single dots and double slashes. */
function normal(text: string, windows: boolean): string {
  const sep = windows ? '\\' : '/';
  const path = windows ? text.replaceAll('/', sep) : text;
  const root = windows
    ? (/^(?:\\\\[^\\]+\\[^\\]+\\?|[^\\]?:?\\|[A-Za-z]:)/.exec(path)?.[0] ?? '')
    : (/^(?:\/\/(?!\/)|\/)/.exec(path)?.[0] ?? '');
  const parts = path.slice(root.length).split(sep);
  return root + parts.filter((part) => part !== '' && part !== '.').join(sep) || '.';
}

/** Puts the parts of a path together as `pathlib` does: an absolute one begins anew. */
function joined(parts: readonly string[], windows: boolean): string {
  let path = '';
  for (const part of parts) {
    if (/^(?:[/\\]|[A-Za-z]:)/.test(part) && (windows || part.startsWith('/'))) path = part;
    else if (path === '' || /[/\\]$|^[A-Za-z]:$/.test(path)) path += part;
    else path += (windows ? '\\' : '/') + part;
  }
  return path;
}

/** Rows for the table of types. */
export const placeTypes = (): readonly PythonType[] => [
  {
    names: 'uuid.UUID',
    cls: UUID,
    build: (args) => (args.length === 0 ? new UUID(nil) : undefined),
    setState: giveUuid,
    reduce: ({ hex, isSafe }: UUID) => {
      const int = BigInt(`0x${hex}`);
      return {
        args: [],
        newobj: true,
        state: isSafe === null ? { int } : { int, is_safe: isSafe },
      };
    },
  },
  ...kinds.map(
    (kind): PythonType => ({
      // Python 3.13 has its classes in another module, and only 3.13 knows that.
      names: [`pathlib.${kind}`, `pathlib._local.${kind}`],
      build: (parts, call) => {
        if (!parts.every((part) => typeof part === 'string')) return undefined;
        for (const part of parts) call.copies(part.length);
        return new Path(joined(parts, /Windows/.test(kind)), kind);
      },
    }),
  ),
  {
    names: [],
    cls: Path,
    reduce: (path: Path) => ({ name: `pathlib.${path.kind}`, args: [path.toString()] }),
  },
];

nameExports(import.meta.url, { UUID, Path });
