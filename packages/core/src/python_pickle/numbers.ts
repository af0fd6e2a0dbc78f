/**
 * Python's numbers that JavaScript has not: `Decimal`, `Fraction` and `complex`; and its `range` and `slice`.
 */
import { inspect } from 'node:util';
import { typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { repr, reprFloat } from './repr.ts';
import type { BuildCall, PythonType } from './types.ts';

/** An integer: a bigint where it is no safe one. */
export type Integer = number | bigint;

function isInteger(value: unknown): value is Integer {
  return typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
}

/** @throws TypeError */
function checkInteger(value: unknown, name: string): Integer {
  if (isInteger(value)) return value;
  throw typeError(`${name} must be an integer, not ${inspect(value)}`);
}

/** A decimal number, as its digits; Python's `decimal.Decimal`. It is for carrying: it does no arithmetic. */
export class Decimal {
  private readonly text: string;

  /** @throws ValueError for what is no number to Python's Decimal */
  constructor(value: string | number | bigint) {
    const text = String(value).trim().replaceAll('_', '');
    if (!/^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|s?nan\d*)$/i.test(text)) {
      throw new ValueError(`${inspect(value)} is no decimal number`);
    }
    this.text = text;
  }

  /** The nearest number. */
  toNumber(): number {
    if (/nan/i.test(this.text)) return Number.NaN;
    if (/inf/i.test(this.text)) return this.text.startsWith('-') ? -Infinity : Infinity;
    return Number(this.text);
  }

  /** What Python's `str(decimal)` was. */
  toString(): string {
    return this.text;
  }

  toJSON(): string {
    return this.text;
  }

  /** @internal */
  [inspect.custom](): string {
    return `Decimal('${this.text}')`;
  }
}

/** Python's `fractions.Fraction`. It is for carrying: it does no arithmetic, and is in lowest terms if Python made it. */
export class Fraction {
  readonly numerator: Integer;
  readonly denominator: Integer;

  /** @throws TypeError, ValueError for a denominator that is not positive */
  constructor(numerator: Integer, denominator: Integer = 1) {
    this.numerator = checkInteger(numerator, 'numerator');
    this.denominator = checkInteger(denominator, 'denominator');
    if (denominator <= 0) throw new ValueError(`denominator must be positive, not ${denominator}`);
  }

  /** The nearest number. */
  toNumber(): number {
    return Number(this.numerator) / Number(this.denominator);
  }

  /** Python's `str(fraction)`: `1/3`. */
  toString(): string {
    const { numerator, denominator } = this;
    return Number(denominator) === 1 ? String(numerator) : `${numerator}/${denominator}`;
  }

  /** @internal */
  [inspect.custom](): string {
    return `Fraction(${this.numerator}, ${this.denominator})`;
  }
}

function toFraction(args: readonly unknown[], { copies }: BuildCall): Fraction | undefined {
  const [first, second] = args;
  if (args.length === 2) return new Fraction(first as Integer, second as Integer);
  if (args.length !== 1 || typeof first !== 'string') return undefined;
  copies(first.length);
  const parts = /^(-?\d{1,4300})(?:\/(\d{1,4300}))?$/.exec(first);
  if (parts === null) return undefined;
  const [numerator, denominator] = [parts[1], parts[2] ?? '1'].map((text) => {
    const value = BigInt(text as string);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  });
  return new Fraction(numerator as Integer, denominator as Integer);
}

/** Python's `complex`. */
export class Complex {
  readonly real: number;
  readonly imag: number;

  /** @throws TypeError */
  constructor(real: number, imag = 0) {
    if (typeof real !== 'number' || typeof imag !== 'number') {
      throw typeError(`real and imag must be numbers, not ${inspect(real)} and ${inspect(imag)}`);
    }
    this.real = real;
    this.imag = imag;
  }

  /** Python's `str(complex)`: `(1+2j)`. */
  toString(): string {
    const text = (part: number) => reprFloat(part).replace(/\.0$/, '');
    const imag = `${text(this.imag)}j`;
    if (Object.is(this.real, 0)) return imag;
    const sign = /^-/.test(imag) ? '' : '+';
    return `(${text(this.real)}${sign}${imag})`;
  }

  /** @internal */
  [inspect.custom](): string {
    return this.toString();
  }
}

/** Python's `range`: the numbers from `start` up to `stop`, without it. */
export class Range {
  readonly start: Integer;
  readonly stop: Integer;
  readonly step: Integer;

  /** @throws TypeError, ValueError for a step of 0 */
  constructor(start: Integer, stop: Integer, step: Integer = 1) {
    this.start = checkInteger(start, 'start');
    this.stop = checkInteger(stop, 'stop');
    this.step = checkInteger(step, 'step');
    if (Number(step) === 0) throw new ValueError('step must not be zero');
  }

  /** Python's `len(range)`. */
  get length(): number {
    const [start, stop, step] = [BigInt(this.start), BigInt(this.stop), BigInt(this.step)];
    const span = step > 0n ? stop - start : start - stop;
    const size = step > 0n ? step : -step;
    return span <= 0n ? 0 : Number((span + size - 1n) / size);
  }

  *[Symbol.iterator](): Generator<Integer> {
    const [start, step] = [BigInt(this.start), BigInt(this.step)];
    const count = BigInt(this.length);
    for (let i = 0n; i < count; i++) {
      const value = start + i * step;
      yield Number.isSafeInteger(Number(value)) ? Number(value) : value;
    }
  }

  /** Python's `str(range)`. */
  toString(): string {
    const { start, stop, step } = this;
    return `range(${start}, ${stop}${Number(step) === 1 ? '' : `, ${step}`})`;
  }

  /** @internal */
  [inspect.custom](): string {
    return this.toString();
  }
}

/** Python's `slice`. */
export class Slice {
  readonly start: unknown;
  readonly stop: unknown;
  readonly step: unknown;

  constructor(start: unknown, stop: unknown, step: unknown = null) {
    this.start = start;
    this.stop = stop;
    this.step = step;
  }

  /** Python's `str(slice)`. */
  toString(): string {
    return `slice(${[this.start, this.stop, this.step].map(repr).join(', ')})`;
  }

  /** @internal */
  [inspect.custom](): string {
    return this.toString();
  }
}

/** Rows for the table of types. */
export const numberTypes = (): readonly PythonType[] => [
  {
    names: 'decimal.Decimal',
    cls: Decimal,
    build: ([text, ...more], { copies }) => {
      if (typeof text !== 'string' || more.length > 0) return undefined;
      copies(text.length);
      return new Decimal(text);
    },
    reduce: (decimal: Decimal) => ({ args: [decimal.toString()] }),
  },
  {
    names: 'fractions.Fraction',
    cls: Fraction,
    build: toFraction,
    reduce: (fraction: Fraction) => ({ args: [fraction.toString()] }),
  },
  {
    names: 'builtins.complex',
    cls: Complex,
    build: ([real, imag, ...more]) =>
      more.length > 0 ? undefined : new Complex(real as number, imag as number),
    reduce: ({ real, imag }: Complex) => ({ args: [real, imag] }),
  },
  {
    names: ['builtins.range', 'builtins.xrange'],
    cls: Range,
    build: ([start, stop, step, ...more]) =>
      more.length > 0 ? undefined : new Range(start as Integer, stop as Integer, step as Integer),
    reduce: ({ start, stop, step }: Range) => ({ args: [start, stop, step] }),
  },
  {
    names: 'builtins.slice',
    cls: Slice,
    // Python 3.12 and later can hash it, an older one cannot.
    hashable: false,
    build: ([start, stop, step, ...more]) =>
      more.length > 0 ? undefined : new Slice(start ?? null, stop ?? null, step ?? null),
    reduce: ({ start, stop, step }: Slice) => ({ args: [start, stop, step] }),
  },
];

nameExports(import.meta.url, { Decimal, Fraction, Complex, Range, Slice });
