/**
 * Runs the same tests under each start method.
 */
import * as mp from 'multiprocessing';
import { forkAvailable } from 'multiprocessing/os';
import { describe } from 'vitest';

export type Method = 'spawn' | 'fork' | 'forkserver';
export type Context = mp.SpawnContext | mp.ForkContext | mp.ForkServerContext;

const all: readonly Method[] = ['spawn', 'fork', 'forkserver'];

type Body = (ctx: Context, method: Method) => void;

/**
 * Declares a suite per start method.
 * @param methods those to which the tests apply; all, without
 */
export function forEachStartMethod(body: Body): void;
export function forEachStartMethod(methods: readonly Method[], body: Body): void;
export function forEachStartMethod(first: readonly Method[] | Body, second?: Body): void {
  const methods = typeof first === 'function' ? all : first;
  const body = typeof first === 'function' ? first : (second as Body);
  for (const method of methods) {
    const reason = whyNot(method);
    if (reason !== undefined) console.warn(`no tests under ${method}: ${reason}`);
    describe.skipIf(reason !== undefined)(method, () => {
      if (reason === undefined) body(mp.getContext(method), method);
    });
  }
}

function whyNot(method: Method): string | undefined {
  if (method === 'fork') return forkAvailable().reason;
  if (method === 'forkserver' && process.platform !== 'linux') return 'needs Linux';
  return undefined;
}

/** `fork` as a copy of the process, and what stands in for it where the process has threads. */
type How = Method | 'emulated fork';

export function forEachWay(body: (how: How) => void): void {
  forEachStartMethod((_, method) => body(method));
  describe('emulated fork', () => body('emulated fork'));
}

/** The words of a program's command line, and the method that decides Node's flags. */
export function ways(how: How): { name: Method; options: { method?: Method } } {
  return how === 'emulated fork'
    ? { name: 'fork', options: {} }
    : { name: how, options: { method: how } };
}
