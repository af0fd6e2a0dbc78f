/**
 * The types of shared values and arrays, which tsc checks: nothing here is about what runs.
 */
import * as mp from 'multiprocessing';
import { type SharedLock, Struct, type TypecodeMap } from 'multiprocessing/sharedctypes';
import { expectTypeOf, test } from 'vitest';

declare const lock: SharedLock;

const Point = Struct({ x: 'd', n: 'q' });
class Named extends Struct({ at: Point, tag: 'c' }) {
  shout(): string {
    return 'x';
  }
}

/** Never called. */
export function types(): void {
  expectTypeOf(mp.RawValue('d', 0).value).toEqualTypeOf<number>();
  expectTypeOf(mp.RawValue('q', 0n).value).toEqualTypeOf<bigint>();
  expectTypeOf(mp.RawValue('u').value).toEqualTypeOf<string>();
  expectTypeOf(mp.RawValue('c').value).toEqualTypeOf<Buffer>();
  expectTypeOf(mp.RawValue(BigInt64Array).value).toEqualTypeOf<bigint>();
  expectTypeOf(mp.Value('d', 0).value).toEqualTypeOf<number>();
  expectTypeOf(mp.Value('q', 0n).value).toEqualTypeOf<bigint>();
  expectTypeOf(mp.Value('i', 0, { lock }).value).toEqualTypeOf<number>();
  expectTypeOf(mp.Value('i', 0, { lock }).getLock()).toEqualTypeOf<SharedLock>();
  expectTypeOf(mp.Value('i', 0, { lock: false })).not.toHaveProperty('getLock');

  expectTypeOf(mp.RawArray('d', 3)).toEqualTypeOf<Float64Array<ArrayBuffer>>();
  expectTypeOf(mp.RawArray(Uint16Array, [1])).toEqualTypeOf<Uint16Array<ArrayBuffer>>();
  expectTypeOf(mp.RawArray('BigUint64Array', [1n])).toEqualTypeOf<BigUint64Array<ArrayBuffer>>();
  expectTypeOf(mp.RawArray('c', 3).raw).toEqualTypeOf<Buffer>();
  expectTypeOf(mp.RawArray('u', 'abc').value).toEqualTypeOf<string>();
  expectTypeOf(mp.Array('i', 3)[0]).toEqualTypeOf<number | undefined>();
  expectTypeOf(mp.Array('l', 3).slice()).toEqualTypeOf<bigint[]>();
  expectTypeOf(mp.Array('c', 3).slice()).toEqualTypeOf<Buffer>();
  expectTypeOf(mp.Array('c', 3).value).toEqualTypeOf<Uint8Array>();
  expectTypeOf(mp.Array('f', 3).getObj()).toEqualTypeOf<Float32Array<ArrayBuffer>>();
  expectTypeOf(mp.Array('f', 3, { lock: false })).toEqualTypeOf<Float32Array<ArrayBuffer>>();

  expectTypeOf(mp.RawValue(Point, { x: 1 }).n).toEqualTypeOf<bigint>();
  expectTypeOf(mp.Value(Point, [1, 2n]).x).toEqualTypeOf<number>();
  expectTypeOf(mp.RawValue(Named).at.x).toEqualTypeOf<number>();
  expectTypeOf(mp.RawArray(Named, 2)[0]?.shout()).toEqualTypeOf<string | undefined>();
  expectTypeOf(mp.Array(Named, 2).slice()).toEqualTypeOf<Named[]>();
  expectTypeOf(Point.fields.x.offset).toEqualTypeOf<number>();
  expectTypeOf<TypecodeMap['Int8Array']>().toEqualTypeOf<TypecodeMap['b']>();

  // @ts-expect-error: an unknown type code
  mp.RawValue('z');
  // @ts-expect-error: a text for an integer
  mp.RawValue('i', '1');
  // @ts-expect-error: a bigint for a float
  mp.Array('d', [1n]);
  // @ts-expect-error: no such field
  mp.RawValue(Point, { y: 1 });
  // @ts-expect-error: a field of another type
  mp.RawValue(Point, { x: 'a' });
  // @ts-expect-error: a typed array that C has no counterpart of
  mp.RawArray(Uint8ClampedArray, 3);
}

test('the types flow from the type code to the value', () => {
  expectTypeOf(types).toBeFunction();
});
