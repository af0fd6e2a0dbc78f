/**
 * The types of futures and executors, which tsc checks: nothing here is about what runs.
 */
import {
  asCompleted,
  type Executor,
  type Future,
  type ProcessPoolExecutor,
  wait,
} from 'multiprocessing/futures';
import { expectTypeOf, test } from 'vitest';

declare const executor: ProcessPoolExecutor;
declare const some: Future<string>[];

/** Never called. */
export async function types(): Promise<void> {
  const add = (a: number, b: number) => `${a + b}`;
  const later = async (x: number) => x;
  expectTypeOf(executor).toExtend<Executor>();
  expectTypeOf(executor.submit(add, 1, 2)).toEqualTypeOf<Future<string>>();
  expectTypeOf(executor.submit(later, 1)).toEqualTypeOf<Future<number>>();
  expectTypeOf(await executor.submit(later, 1)).toEqualTypeOf<number>();
  expectTypeOf(executor.submit(add, 1, 2).resultSync()).toEqualTypeOf<string>();
  // @ts-expect-error add takes two numbers
  executor.submit(add, 1);
  // @ts-expect-error and no texts
  executor.submit(add, 'a', 'b');
  for await (const x of executor.map(later, [1])) expectTypeOf(x).toEqualTypeOf<number>();
  for (const x of executor.map(add, [1], [2])) expectTypeOf(x).toEqualTypeOf<string>();
  expectTypeOf((await wait(some)).done).toEqualTypeOf<Set<Future<string>>>();
  // TypeScript takes what `for await` gives for awaited, and it is not.
  for await (const x of asCompleted(some)) {
    expectTypeOf(x).toExtend<Future<string>>();
    expectTypeOf(await x.result()).toEqualTypeOf<string>();
  }
  for (const x of asCompleted(some)) expectTypeOf(x).toEqualTypeOf<Future<string>>();
}

test('types are checked by tsc', () => {
  expectTypeOf(types).toBeFunction();
});
