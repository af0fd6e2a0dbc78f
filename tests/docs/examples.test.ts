/**
 * Runs what a newcomer runs: every program in examples/, and every program in README.md and docs/ whose
 * code fence says `ts runnable`. What they print must be what is written beside them: in examples/NAME.out,
 * or examples/NAME.METHOD.out where a start method makes a difference, and for the pages in the `text` fence
 * behind the program.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transform } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runNode } from '../support/programs.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const tsx = createRequire(import.meta.url).resolve('tsx/cli');
const forks = process.platform === 'linux';
const methods = forks ? (['spawn', 'fork', 'forkserver'] as const) : (['spawn'] as const);

interface Example {
  /** The start methods that it takes as its argument; none: it takes no argument. */
  readonly methods?: readonly string[];
  /** Whether it calls fork(2) itself. */
  readonly forks?: boolean;
  /** Whether a parent and its child print at the same time, so that lines may change places. */
  readonly unordered?: boolean;
  /** Whether it prints something else where there is no python3. */
  readonly python?: boolean;
}

const examples: Readonly<Record<string, Example>> = {
  barrier: {},
  closure: {},
  daemon_process: {},
  event: {},
  executor_as_completed: { forks: true },
  fork_everywhere: {},
  joinable_queue: {},
  lock_value: { methods },
  manager_custom: { forks: true },
  manager_list_dict: { methods, forks: true },
  manager_python: { forks: true, python: true },
  manager_remote: { forks: true },
  namespace: { forks: true },
  os_exit: { methods },
  os_pipe_many: { forks: true, unordered: true },
  os_pipe_parent_child: { forks: true, unordered: true },
  os_pipe_siblings: { forks: true },
  os_waitpid: { forks: true },
  // No fork, but Linux, as those that fork.
  pass_a_socket: { forks: true },
  pipe: {},
  pool_images: { methods, forks: true },
  pool_imap_progress: { forks: true },
  pool_map: { forks: true },
  pool_timeout_cancel: { forks: true },
  process_hello: { methods },
  python_client: { forks: true, python: true },
  share_with_python: { forks: true, python: true },
  queue_producer_consumer: {},
  process_subclass: { methods: methods.filter((method) => method !== 'fork') },
  shared_value_scheduler: {},
  shared_numpy_style: {},
  start_method_guard: { methods },
  wait_many: {},
  web_server_pool: { forks: true },
};

/** Runs a TypeScript program as `npx tsx` does. */
function run(file: string, ...args: string[]) {
  return runNode([tsx, join(root, file), ...args]);
}

/** Pids become PID, times N ms, and fds count from 3 in the order of their appearance, as Python's do. */
function normalise(output: string): string {
  const fds = new Map<string, number>();
  return output
    .replace(/\([1-9]\d*, 0\)/g, '(PID, 0)')
    .replace(/\d+\.\d ms/g, 'N ms')
    .replace(/(?<=(?:read|write)_end: )\d+/g, (fd) => {
      if (!fds.has(fd)) fds.set(fd, 3 + fds.size);
      return String(fds.get(fd));
    });
}

const sortLines = (text: string) => text.split('\n').sort().join('\n');

/** As the demo prints an output: nothing at the ends of its lines, nor behind it. */
const trimLines = (text: string) => text.replace(/ +$/gm, '').trimEnd();

function expectedOutput(name: string, method: string | undefined): string {
  const own = join(root, `examples/${name}.${method}.out`);
  return readFileSync(existsSync(own) ? own : join(root, `examples/${name}.out`), 'utf8');
}

/** What the demo shows of each program that it runs, by its command; run once for all tests. */
let shown: Promise<ReadonlyMap<string, string>> | undefined;

async function runDemo(): Promise<ReadonlyMap<string, string>> {
  const { stdout, stderr, code } = await run('examples/demo.ts');
  expect({ stderr, code }, stdout).toEqual({ stderr: '', code: 0 });
  const stops = stdout.matchAll(/^ {3}\$ npx (?:tsx )?(.*)\n\n((?: {4}.*\n|\n)*?)\n {3}\S/gm);
  return new Map([...stops].map(([, command = '', output = '']) => [command, output]));
}

/** The output of an example: what the demo shows, or what it prints alone if the demo leaves it out. */
async function outputOf(command: string, file: string, args: string[]): Promise<string> {
  shown ??= runDemo();
  const output = (await shown).get(command);
  if (output !== undefined) return output.replace(/^ {4}/gm, '').replace(/^\(no output\)\n?$/, '');
  const { stdout, stderr, code } = await run(file, ...args);
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  return stdout;
}

// Some thirty programs, for which a busy machine may need more than the usual minute.
describe('examples', { timeout: 600_000 }, () => {
  test('all are in the table of this test', () => {
    const names = readdirSync(join(root, 'examples'))
      .filter((file) => file.endsWith('.ts') && file !== 'demo.ts')
      .map((file) => file.slice(0, -3));
    expect(names.sort()).toEqual(Object.keys(examples).sort());
  });

  test('the demo runs them and ends with exit code 0', async () => {
    shown ??= runDemo();
    const programs = [...(await shown).keys()].map((command) => command.split(' ')[0]);
    for (const [name, { forks: needsFork = false }] of Object.entries(examples)) {
      if (forks || !needsFork) expect(programs).toContain(`examples/${name}.ts`);
    }
  });

  for (const [
    name,
    { methods: taken, forks: needsFork = false, unordered, python },
  ] of Object.entries(examples)) {
    for (const method of taken ?? [undefined]) {
      const title = `${name} ${method ?? ''}`.trimEnd();
      test.skipIf(needsFork && !forks)(title, async () => {
        const file = `examples/${name}.ts`;
        const args = method === undefined ? [] : [method];
        const output = await outputOf([file, ...args].join(' '), file, args);
        const order = unordered ? sortLines : (text: string) => text;
        if (python && output.includes('There is no python3')) return;
        const comparable = (text: string) => order(trimLines(normalise(text)));
        expect(comparable(output)).toBe(comparable(expectedOutput(name, method)));
      });
    }
  }
});

interface Program {
  readonly title: string;
  readonly source: string;
  readonly expected: string | undefined;
}

/** The programs of a page, each with the fence of its output. */
function programsOf(page: string): Program[] {
  const text = readFileSync(join(root, page), 'utf8');
  const fences = text.matchAll(
    /^```ts runnable\n([\s\S]*?)^```\n(?:\s*^```text\n([\s\S]*?)^```$)?/gm,
  );
  return [...fences].map(({ 1: source = '', 2: expected, index }) => {
    const line = text.slice(0, index).split('\n').length;
    return { title: `${page}, line ${line}`, source, expected };
  });
}

describe('programs in the pages', () => {
  const pages = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'));
  const programs = ['README.md', ...pages.map((file) => `docs/${file}`)].flatMap(programsOf);
  let folder = '';

  beforeAll(async () => {
    // Inside of the project, so that `multiprocessing` is found as from any program.
    mkdirSync(join(root, '.cache'), { recursive: true });
    folder = relative(root, mkdtempSync(join(root, '.cache/pages-')));
    // What tsx does, done once and not in each of its processes.
    for (const [i, { source }] of programs.entries()) {
      const { code } = await transform(source, { loader: 'ts', target: 'node20' });
      writeFileSync(join(root, folder, `program${i}.mjs`), code);
    }
  });
  afterAll(() => rmSync(join(root, folder), { recursive: true }));

  test('there is one in README.md, of at most 20 lines', () => {
    const [first] = programsOf('README.md');
    expect(first?.source.trimEnd().split('\n').length).toBeLessThanOrEqual(20);
  });

  for (const [i, { title, source, expected }] of programs.entries()) {
    test.skipIf(!forks && source.includes('fork'))(title, async () => {
      const { stdout, stderr, code } = await runNode([join(root, folder, `program${i}.mjs`)]);
      expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
      expect(normalise(stdout)).toBe(expected);
    });
  }
});
