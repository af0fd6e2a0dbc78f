/**
 * Holds docs/deviations.md to the truth: its numbers against those in the sources, and its tests against
 * the test files. Below that, the tests of deviations that no other file has.
 */
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import * as posix from '../../packages/posix/dist/index.js';
import { isThere, type NamedTest, namedTests, read } from '../support/doc_tests.ts';
import { runNode } from '../support/programs.ts';

const root = new URL('../../', import.meta.url);

interface Entry {
  readonly number: string;
  readonly text: string;
  readonly tests: readonly NamedTest[];
}

/** The entries of the page: a heading `### D-001` each. */
function entries(): Entry[] {
  const [, ...sections] = read('docs/deviations.md').split(/^### (?=D-)/m);
  return sections.map((section) => {
    return {
      number: section.slice(0, section.indexOf('\n')).trim(),
      text: section,
      tests: namedTests(section),
    };
  });
}

/** The numbers that the sources name, with the files that do. */
function numbersInSources(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const name of readdirSync(new URL('packages/', root))) {
    const folder = `packages/${name}/src/`;
    if (!existsSync(new URL(folder, root))) continue;
    for (const file of readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts')) continue;
      for (const number of new Set(read(folder + file).match(/\bD-\d+\b/g))) {
        found.set(number, [...(found.get(number) ?? []), folder + file]);
      }
    }
  }
  return found;
}

describe('the page of deviations', () => {
  const all = entries();

  test('numbers its entries without a gap', () => {
    const numbers = all.map(({ number }) => number);
    expect(numbers).toEqual(numbers.map((_, i) => `D-${String(i + 1).padStart(3, '0')}`));
    expect(numbers.length).toBeGreaterThan(0);
  });

  test('says of each what CPython does, what happens here, why, and which test shows it', () => {
    const incomplete = all.filter(({ text, tests }) => {
      const parts = ['CPython', 'Here', 'Why', 'Test'].every((part) =>
        text.includes(`\n- **${part}:** `),
      );
      return !parts || tests.length === 0;
    });
    expect(incomplete.map(({ number }) => number)).toEqual([]);
  });

  test('names tests that exist', () => {
    const missing = all.flatMap(({ number, tests }) => {
      return tests
        .filter((named) => !isThere(named))
        .map(({ file, title }) => `${number}: ${file} › ${title}`);
    });
    expect(missing).toEqual([]);
  });

  test('has every number that a source names', () => {
    const known = new Set(all.map(({ number }) => number));
    const unknown = [...numbersInSources()].filter(([number]) => !known.has(number));
    expect(unknown).toEqual([]);
  });

  test('is named by a source for every entry', () => {
    const named = numbersInSources();
    expect(all.map(({ number }) => number).filter((number) => !named.has(number))).toEqual([]);
  });
});

const linux = process.platform === 'linux';
const program = fileURLToPath(new URL('../fixtures/deviations.mjs', import.meta.url));

/** Runs a case of the program and returns what it printed. */
async function run(name: string, method: string, ...more: string[]) {
  const flags = method === 'fork' ? ['--single-threaded'] : [];
  const { stdout, stderr, code } = await runNode([...flags, program, name, method, ...more]);
  return { result: stdout === '' ? undefined : (JSON.parse(stdout) as unknown), stderr, code };
}

/** Sleeps until the process, which is no child of this one, has ended; false if it has not within that time. */
function waitForEnd(pid: number, seconds: number): boolean {
  let fd: number;
  try {
    fd = posix.pidfdOpen(pid);
  } catch (error) {
    if (error instanceof posix.ProcessLookupError) return true;
    throw error;
  }
  try {
    return posix.poll([fd], seconds).length === 1;
  } finally {
    posix.close(fd);
  }
}

const fine = (result: unknown) => ({ result, stderr: '', code: 0 });

describe.each(linux ? ['spawn', 'fork', 'forkserver'] : ['spawn'])(
  'deviations under %s',
  (method) => {
    test('what is left in the event loop when the target has settled does not keep a child', async () => {
      expect(await run('leftOver', method)).toEqual(fine(0));
    });

    test('process.exitCode of a target that returned is the exit code', async () => {
      expect(await run('exitCode', method)).toEqual(fine(7));
    });

    test('an error that nobody catches ends the child and is printed under its name', async () => {
      const { result, stderr } = await run('uncaught', method);
      expect(result).toBe(1);
      expect(stderr).toMatch(/^Process \w+-1:\nRangeError: nobody catches this\n/);
    });

    test.skipIf(!linux)(
      'ended processes that are kept cost no fd, and their sentinel is ready',
      async () => {
        expect(await run('endedProcesses', method)).toEqual(fine({ more: 0, ready: 1 }));
      },
    );
  },
);

describe('deviations', () => {
  test('a child that somebody else has reaped has ended with exit code 255', async () => {
    expect(await run('reapedByAnother', 'spawn')).toEqual(fine({ alive: false, exitcode: 255 }));
  });

  test.skipIf(!linux)(
    'join returns when the child has ended, whoever holds its sentinel',
    async () => {
      expect(await run('heldSentinel', 'fork')).toEqual(fine({ exitcode: 0, ready: 0 }));
    },
  );

  test.skipIf(!linux)('startSync refuses to fork an asynchronous target', async () => {
    const { result } = await run('startSyncOfAsync', 'fork');
    expect(result).toMatch(/^RuntimeError: startSync\(\) cannot fork an asynchronous target/);
  });

  test.skipIf(!linux)('a process that cannot fork says why and what to do', async () => {
    const { stdout } = await runNode([program, 'cannotFork', 'fork']);
    const [refused, exitcode] = JSON.parse(stdout) as [string, number];
    expect(refused).toMatch(/--single-threaded.*multiprocessing\/forkable/);
    expect(exitcode).toBe(0); // the fork context does without
  });

  test.skipIf(!linux)('timers of the parent do not fire in a forked child', async () => {
    expect(await run('inheritedLoop', 'fork')).toEqual(
      fine({ parentTicks: true, child: { ticks: 0 } }),
    );
  });

  test.skipIf(!linux)(
    'a loader on a thread makes spawn the default, and forkserver says why not',
    async () => {
      const hooks = 'data:text/javascript,export const resolve = (s, c, next) => next(s, c)';
      const { stdout } = await runNode([
        `--experimental-loader=${hooks}`,
        program,
        'offThreadLoader',
      ]);
      const { refused, methods, exitcode } = JSON.parse(stdout);
      expect(refused).toMatch(
        /^ValueError: start method 'forkserver' cannot be used by this program: .*--loader/,
      );
      expect({ methods, exitcode }).toEqual({ methods: ['spawn', 'fork'], exitcode: 0 });
    },
  );

  test.skipIf(!linux)(
    'a preload that fails is ignored, warned of, or fatal, as onError says',
    async () => {
      expect(await run('preload', 'forkserver', 'ignore')).toEqual(fine(undefined));
      const warned = await run('preload', 'forkserver', 'warn');
      expect(warned.result).toBeUndefined();
      expect(warned.stderr).toMatch(
        /^forkserver: cannot preload \.\/there-is-no-such-module\.mjs: /,
      );
      const { result } = await run('preload', 'forkserver', 'fail');
      expect(result).toMatch(/^ValueError: start method 'forkserver' .*there-is-no-such-module/);
    },
  );

  test.skipIf(!linux)(
    'the forkserver ends when the last process of its family has ended',
    async () => {
      const { result: pid } = await run('serverPid', 'forkserver');
      expect(waitForEnd(pid as number, 30)).toBe(true);
    },
  );

  test('wrong arguments are told when they are given', async () => {
    const { result } = await run('checkedArguments', 'spawn');
    expect(result).toEqual([
      expect.stringMatching(/^TypeError: Process: target must be a function, not 1/),
      expect.stringMatching(/^TypeError: Process: unknown option 'group'/),
      expect.stringMatching(/^ValueError: timeout is NaN/),
    ]);
  });

  test('Windows is refused at the import', async () => {
    const code = `Object.defineProperty(process, 'platform', { value: 'win32' });
      await import('multiprocessing').catch(({ code, message }) => console.log(code, message));`;
    const { stdout } = await runNode(['--input-type=module', '--eval', code]);
    expect(stdout).toMatch(/^ERR_MP_PLATFORM multiprocessing needs Linux or macOS.*WSL/);
  });
});
