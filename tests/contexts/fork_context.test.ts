/**
 * The fork context in a process that can fork(2), and in one that cannot, where it is emulated: one program
 * (fixtures/programs/fork_context.ts) in all of them. Where it makes a difference, `differs` says so.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { type ProgramOptions, runProgram } from '../support/programs.ts';

/** What the program answers in both. */
const same: Readonly<Record<string, unknown>> = {
  'a closure': [42, [['a', [1, 2]]]],
  'a variable of the module, as it was at the start': 1,
  'what the child changes is its own': [6, 5],
  'the value at the start, not that at the making of the process': ['at the start', 'late'],
  'a function that is not exported': 42,
  'functions among the arguments': [0, 8],
  'two functions that share a variable': [2, 3, 3],
  'a class and its instance': [true, 3, 6, 2],
  'arrow functions and their this': ['renamed', 'renamed later'],
  'a process class that is not exported': [0, ['text', true, 1]],
  'the main module is executed once': [false, 1, true],
  'import.meta and import()': ['fork_context.js', true],
  'the start method in the child': ['fork', 'ForkProcess'],
  'locks, values and events': 200,
  'a pipe': 'through',
  'a child of the child': ['grandchild', 'ForkProcess'],
  'a closure that the child makes, in its own child': [
    'own',
    'ForkProcess',
    true,
    'fork_context.js',
  ],
  'an exported class of this module, there and back': [true, 'sent and made there'],
  'exit codes': [0, 7, 9],
  'a child that is killed': -9,
  'exit handlers do not run in the child': true,
  'startSync of a synchronous target': 'sync',
  'a server': true,
};

type Way = 'forked' | 'by a server' | 'by spawn';

const refusedWeakMap = expect.stringMatching(
  /^PicklingError: a WeakMap cannot be sent.*target → .*scope "weak"/,
);

const unknownItem = expect.stringMatching(
  /^UnpicklingError: 'Exported' is of the main module, which is not imported in the child/,
);

/** What makes a difference: a real fork, and an emulated one where there can be a server and where there cannot. */
const differs: Readonly<Record<string, Readonly<Record<Way, unknown>>>> = {
  repr: {
    forked: '<ForkContext>',
    'by a server': '<ForkContext emulated>',
    'by spawn': '<ForkContext emulated>',
  },
  'the state of an imported module': {
    forked: 'changed',
    'by a server': 'initial',
    'by spawn': 'initial',
  },
  'a WeakMap': { forked: 'weak', 'by a server': refusedWeakMap, 'by spawn': refusedWeakMap },
  'handlers of signals': { forked: 1, 'by a server': 0, 'by spawn': 0 },
  'environment variables': { forked: 'late', 'by a server': 'none', 'by spawn': 'late' },
  'startSync of an asynchronous target': {
    forked: 'RuntimeError',
    'by a server': 0,
    'by spawn': 0,
  },
  'an item of this module that the child has not seen': {
    forked: 'item',
    'by a server': unknownItem,
    'by spawn': unknownItem,
  },
  'whether the child can fork': { forked: false, 'by a server': false, 'by spawn': true },
};

/** A loader on a thread: no server can be used then. */
const loader = `--experimental-loader=data:text/javascript,export const resolve = (s, c, next) => next(s, c)`;
const ways: Readonly<Record<Way, ProgramOptions>> = {
  forked: { method: 'fork' },
  'by a server': {},
  'by spawn': { execArgv: ['--no-warnings', loader] },
};
const possible = Object.keys(ways).filter(
  (way) => process.platform === 'linux' || way === 'by spawn',
) as Way[];

for (const way of possible) {
  describe(way, () => {
    let answers = new Map<string, unknown>();

    beforeAll(async () => {
      const { code, stdout, stderr } = await runProgram('fork_context', [], ways[way]);
      expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
      const lines = stdout.trim().split('\n');
      answers = new Map(lines.map((line) => JSON.parse(line) as [string, unknown]));
    }, 180_000);

    for (const [name, expected] of Object.entries(same)) {
      test(name, () => expect(answers.get(name)).toEqual(expected));
    }

    for (const [name, expected] of Object.entries(differs)) {
      test(`${name}, ${way}`, () => expect(answers.get(name)).toEqual(expected[way]));
    }

    test('nothing else is answered', () => {
      expect([...answers.keys()].sort()).toEqual(
        [...Object.keys(same), ...Object.keys(differs)].sort(),
      );
    });
  });
}
