/**
 * The command `multiprocessing`: what it answers, and what a program that it traces sees and leaves.
 */
import { type StdioOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Address } from 'multiprocessing/connection';
import { SyncManager } from 'multiprocessing/managers';
import { close, pipe } from 'multiprocessing/os';
import { afterEach, describe, expect, test } from 'vitest';
import { type Running, running } from '../support/programs.ts';
import { scratchFile } from '../support/scratch.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const cli = join(root, 'packages/multiprocessing/bin/multiprocessing.js');
const hello = join(root, 'examples/process_hello.ts');
const library = pathToFileURL(createRequire(import.meta.url).resolve('multiprocessing')).href;
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const linux = process.platform === 'linux';

interface Options {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdio?: StdioOptions;
}

/** Process groups of the test that have not ended. */
const groups = new Set<number>();

afterEach(() => {
  for (const pid of groups) process.kill(-pid, 'SIGKILL'); // of a test that failed
});

/** Starts `multiprocessing ...args` in a process group of its own, as a shell does. */
function start(args: readonly string[], { env, ...options }: Options = {}): Running {
  const child = spawn(process.execPath, [cli, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...options,
    env: { ...process.env, ...env },
  });
  const { pid = 0 } = child;
  groups.add(pid);
  child.once('close', () => groups.delete(pid));
  return running(child);
}

/** Runs `multiprocessing ...args` to its end. */
function run(args: readonly string[], options?: Options) {
  return start(args, options).outcome;
}

/** Runs `multiprocessing ...args` with a pipe as stdout that nobody reads any more. */
async function withoutReader(args: readonly string[]) {
  const [reader, writer] = pipe();
  close(reader);
  const { outcome } = start(args, { stdio: ['ignore', writer, 'pipe'] });
  close(writer);
  const { code, stderr } = await outcome;
  return { code, stderr };
}

/** The path of a program with this source. */
function program(source: string, ending = '.mjs'): string {
  const path = `${scratchFile('program')}${ending}`;
  writeFileSync(path, source);
  return path;
}

/** The source of a program that publishes as many events and sets its exit code. */
function publishes(count: number, exitCode = 0): string {
  return `import { channel } from 'node:diagnostics_channel';
    import ${JSON.stringify(library)};
    for (let i = 0; i < ${count}; i++) {
      const detail = { number: i };
      channel('multiprocessing').publish(
        { layer: 'test', event: 'count', pid: process.pid, name: 'MainProcess', time: i, detail });
    }
    process.exitCode = ${exitCode};`;
}

/** The events of a trace, without the columns that differ from run to run. */
function eventsOf(stdout: string): string[] {
  const lines = stdout.matchAll(/^ *[\d.]+ +\d+ (\S+) +(\S+) +(\S+)/gm);
  return [...lines].map(([, name, layer, event]) => `${name} ${layer}.${event}`);
}

describe('answers', () => {
  const help = /^usage: multiprocessing COMMAND\n/;
  const traceHelp = /^usage: multiprocessing trace .*PROGRAM/;
  const managerHelp = /^usage: multiprocessing manager --authkey-file FILE/;
  const { version } = JSON.parse(
    readFileSync(join(root, 'packages/multiprocessing/package.json'), 'utf8'),
  );
  const versionLine = new RegExp(`^${version}\n$`);

  test.for<[string, RegExp]>([
    ['--help', help],
    ['-h', help],
    ['help', help],
    ['help trace', traceHelp],
    ['trace --help', traceHelp],
    ['trace -h', traceHelp],
    ['trace --no-warnings --json file --help program.mjs', traceHelp],
    ['--version', versionLine],
    ['-v', versionLine],
    ['trace --version', versionLine],
    ['help manager', managerHelp],
    ['manager --help', managerHelp],
    ['manager -h', managerHelp],
  ])('%s', async ([args, answer]) => {
    const { stdout, stderr, code } = await run(args.split(' '));
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(stdout).toMatch(answer);
  });

  test('a reader that is gone is no error', async () => {
    expect(await withoutReader(['--help'])).toEqual({ code: 0, stderr: '' });
  });
});

describe('mistakes are one line and exit code 2', () => {
  const see = 'see `multiprocessing --help`';
  const seeTrace = 'see `multiprocessing trace --help`';
  const seeManager = 'see `multiprocessing manager --help`';

  test.for<[string, string]>([
    ['', `: a command is missing; ${see}`],
    ['tarce main.ts', `: there is no command 'tarce'; ${see}`],
    ['--trace main.ts', `: there is no option '--trace'; ${see}`],
    ['help tarce', `: there is no command 'tarce'; ${see}`],
    ['trace', ` trace: PROGRAM is missing; ${seeTrace}`],
    ['trace --', ` trace: PROGRAM is missing; ${seeTrace}`],
    ['trace --no-warnings', ` trace: PROGRAM is missing; ${seeTrace}`],
    ['trace nowhere.mjs', " trace: there is no file 'nowhere.mjs'"],
    ['trace -', " trace: there is no file '-'"],
    ['trace examples', " trace: 'examples' is a folder without index.js"],
    ['trace --frobnicate README.md', ` trace: node: bad option: --frobnicate; ${seeTrace}`],
    ['trace --frobnicate=1 README.md', ` trace: node: bad option: --frobnicate=1; ${seeTrace}`],
    ['trace --import', ` trace: node: --import requires an argument; ${seeTrace}`],
    ['trace --import -- README.md', ` trace: node: --import requires an argument; ${seeTrace}`],
    ['trace --stack-size=x README.md', ` trace: node: bad option: --stack-size=x; ${seeTrace}`],
    ['trace --json', ` trace: --json needs a FILE; ${seeTrace}`],
    ['trace --json=', ` trace: --json needs a FILE; ${seeTrace}`],
    ['trace --json --no-warnings README.md', ` trace: --json needs a FILE; ${seeTrace}`],
    ['trace --json file', ` trace: PROGRAM is missing; ${seeTrace}`],
    ['manager', ` manager: --authkey-file is missing; ${seeManager}`],
    ['manager --frobnicate', ` manager: Unknown option '--frobnicate'; ${seeManager}`],
    [
      'manager --authkey-file nowhere',
      " manager: cannot read 'nowhere': ENOENT: no such file or directory",
    ],
    [
      'manager --authkey-file README.md --address :99999',
      ' manager: --address: there is no port 99999',
    ],
    [
      'manager --authkey-file README.md --serializer xml',
      ` manager: --serializer: there is no 'xml'; ${seeManager}`,
    ],
  ])('%s', async ([args, line]) => {
    const outcome = await run(args.split(' ').filter(Boolean), { cwd: root });
    const stderr = `multiprocessing${line}\n`;
    expect(outcome).toEqual({ code: 2, signal: null, stdout: '', stderr });
  });

  test('also where a name has a line break', async () => {
    const { code, stderr } = await run(['trace', 'no\nwhere']);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "multiprocessing trace: there is no file 'no\\nwhere'\n",
    });
  });

  test('a --json FILE that cannot be written, before the program is run', async () => {
    const path = program("console.log('was run')");
    for (const [file, reason] of [
      ['/nowhere/file', 'ENOENT: no such file or directory'],
      [root, 'EISDIR: illegal operation on a directory'],
    ]) {
      const { code, stdout, stderr } = await run(['trace', `--json=${file}`, path]);
      const line = `multiprocessing trace: cannot write '${file}': ${reason}\n`;
      expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: line });
    }
  });

  test('a folder for temporary files that is not there', async () => {
    const env = { TMPDIR: '/nowhere' };
    const { code, stdout, stderr } = await run(['trace', program("console.log('was run')")], {
      env,
    });
    const line =
      "multiprocessing trace: cannot write in '/nowhere': ENOENT: no such file or directory\n";
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: line });
  });

  test('TypeScript where there is neither tsx nor a Node that runs it', async () => {
    const path = program('const text: string = "was run"; console.log(text);', '.mts');
    // NODE_PATH: pnpm names its own folder there, with tsx.
    const { code, stdout, stderr } = await run(['trace', path], {
      cwd: join(path, '..'),
      env: { NODE_PATH: undefined, NODE_NO_WARNINGS: '1' },
    });
    const line = `multiprocessing trace: Node ${process.version} cannot run '${path}' by itself: install tsx, or use Node 22.18 or newer\n`;
    const strips = (process.features as { typescript?: unknown }).typescript;
    expect({ code, stdout, stderr }).toEqual(
      strips ? { code: 0, stdout: 'was run\n', stderr: '' } : { code: 2, stdout: '', stderr: line },
    );
  });
});

describe.skipIf(!linux)('the manager', () => {
  test.for<[string, 'node' | 'pickle']>([
    ['127.0.0.1:0', 'node'],
    ['@mp-cli-test', 'pickle'],
  ])('serves at %s, until SIGTERM', async ([address, serializer]) => {
    const file = scratchFile('key');
    writeFileSync(file, 'the key of a test');
    const args = ['--address', address, '--authkey-file', file, '--serializer', serializer];
    const { child, outcome } = start(['manager', ...args]);
    const [line] = await once(child.stdout as NodeJS.ReadableStream, 'data');
    const text = String(line).trimEnd();
    const [host, port] = text.split(':');
    const at: Address =
      port === undefined ? text.replace('@', '\0') : [host as string, Number(port)];
    const options = { address: at, authkey: Buffer.from('the key of a test'), serializer };
    const manager = await new SyncManager(options).connect();
    const list = await manager.list([1]);
    expect(String(list)).toBe('[1]');
    list[Symbol.dispose]();
    child.kill('SIGTERM');
    expect(await outcome).toMatchObject({ code: 0, stderr: '' });
    await expect(manager.list()).rejects.toThrow(text);
  });
});

describe('the program', () => {
  const shows =
    'console.log(JSON.stringify([process.execArgv, process.argv.slice(2), process.env.SEEN]));';

  /** What a program has got of these arguments: Node's options, its own, and what an imported module set. */
  async function seen(args: readonly string[], options?: Options) {
    const { stdout, stderr, code } = await run(['trace', ...args], options);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    return JSON.parse(stdout);
  }

  test('gets what is behind it, and Node what is before', async () => {
    const path = program(shows);
    expect(await seen([path, '--json', '--help', '--', '-x'])).toEqual([
      [],
      ['--json', '--help', '--', '-x'],
      null,
    ]);
    expect(await seen(['--no-warnings', '--stack-size=900', path, 'a'])).toEqual([
      ['--no-warnings', '--stack-size=900'],
      ['a'],
      null,
    ]);
  });

  test('is not mistaken for the value of an option, nor a value for the program', async () => {
    const path = program(shows);
    const module = program("process.env.SEEN = 'yes';");
    expect(await seen(['--import', module, '-C', 'custom', path, 'a'])).toEqual([
      ['--import', module, '-C', 'custom'],
      ['a'],
      'yes',
    ]);
    expect(await seen([`--import=${module}`, '--', path, '--', 'a'])).toEqual([
      [`--import=${module}`],
      ['--', 'a'],
      'yes',
    ]);
  });

  test('may be a folder, a name without its ending, and begin with a dash', async () => {
    const folder = scratchFile('folder');
    mkdirSync(folder);
    writeFileSync(join(folder, 'index.js'), shows);
    writeFileSync(join(folder, '-main.js'), shows);
    expect(await seen([folder, 'a'])).toEqual([[], ['a'], null]);
    expect(await seen([join(folder, 'index')])).toEqual([[], [], null]);
    expect(await seen(['--', '-main.js', '-a'], { cwd: folder })).toEqual([[], ['-a'], null]);
  });
});

describe('the trace', () => {
  const steps = [
    'Process-1 process.start',
    'Process-1 popen_spawn._launch',
    'Process-1 process.bootstrap',
    'Process-1 process.run',
    'Process-1 process.exit',
    'Process-1 popen_spawn.reap',
  ];

  test('is a line for each event, behind what the program prints', async () => {
    const { stdout, stderr, code } = await run(['trace', hello, 'spawn']);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(stdout.startsWith('hello world\n')).toBe(true);
    expect(eventsOf(stdout).filter((event) => steps.includes(event))).toEqual(steps);
  });

  test('is JSON in a file, whose old content stays until then', async () => {
    const file = scratchFile('trace');
    writeFileSync(file, 'old '.repeat(10_000));
    const path = program(`${publishes(2)}
      import { readFileSync } from 'node:fs';
      console.log(readFileSync(${JSON.stringify(file)}, 'utf8').length);`);
    const { stdout, stderr, code } = await run(['trace', '--json', file, path]);
    expect({ stdout, stderr, code }).toEqual({ stdout: '40000\n', stderr: '', code: 0 });
    const { traceEvents } = JSON.parse(readFileSync(file, 'utf8'));
    expect(traceEvents).toMatchObject([
      { ph: 'M', name: 'process_name', args: { name: 'MainProcess' } },
      { ph: 'i', name: 'test.count MainProcess', ts: 0, args: { number: 0 } },
      { ph: 'i', name: 'test.count MainProcess', ts: 1000, args: { number: 1 } },
    ]);
  });

  test('has a slice from bootstrap to exit in JSON', async () => {
    const file = scratchFile('trace');
    const { stderr, code } = await run(['trace', `--json=${file}`, hello, 'spawn']);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(statSync(file).mode & 0o777).toBe(0o600); // arguments are in it
    const { traceEvents } = JSON.parse(readFileSync(file, 'utf8'));
    const slices = traceEvents.filter(({ ph }: { ph: string }) => 'BE'.includes(ph));
    expect(slices).toMatchObject([
      { ph: 'B', name: 'Process-1' },
      { ph: 'E', name: 'Process-1', pid: slices[0].pid },
    ]);
  });

  test("has a slice for each task of a pool's worker in JSON, in the row of that", async () => {
    const file = scratchFile('trace');
    const path = program(`import mp from ${JSON.stringify(library)};
      export function inc(x) { return x + 1; }
      if (mp.isMain(import.meta)) {
        const pool = mp.Pool(1);
        await pool.map(inc, [1, 2], { chunksize: 1 });
        pool.close();
        await pool.join();
      }`);
    const { stderr, code } = await run(['trace', `--json=${file}`, path]);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    type Event = { ph: string; pid: number; name: string; dur: number; args: object };
    const { traceEvents } = JSON.parse(readFileSync(file, 'utf8')) as { traceEvents: Event[] };
    const tasks = traceEvents.filter(({ ph }) => ph === 'X');
    expect(tasks).toMatchObject([
      { name: 'inc', args: { index: 0 } },
      { name: 'inc', args: { index: 1 } },
    ]);
    expect(tasks.every(({ dur }) => dur > 0)).toBe(true);
    const row = traceEvents.find(({ ph, pid }) => ph === 'M' && pid === tasks[0]?.pid);
    expect(row?.args).toEqual({ name: expect.stringMatching(/PoolWorker-1$/) });
  });

  test('is written to its end where it is longer than a pipe', async () => {
    const { stdout, stderr, code } = await run(['trace', program(publishes(20_000, 7))]);
    expect({ stderr, code }).toEqual({ stderr: '', code: 7 });
    const numbers = [...stdout.matchAll(/number=(\d+)\n/g)].map((match) => Number(match[1]));
    expect(numbers).toEqual(Array.from({ length: 20_000 }, (_, i) => i));
  });

  test('ends quietly where head has seen enough, with the exit code of the program', async () => {
    const codes = scratchFile('codes');
    const script = '{ "$@"; echo $? > "$CODES"; } | head -n 1';
    const command = [process.execPath, cli, 'trace', program(publishes(20_000, 7))];
    const child = spawn('/bin/sh', ['-c', script, 'sh', ...command], {
      env: { ...process.env, CODES: codes },
    });
    const { stdout, stderr } = await running(child).outcome;
    expect(stdout).toMatch(/^ +0\.00 .*number=0\n$/);
    expect(stderr).toBe('');
    expect(readFileSync(codes, 'utf8')).toBe('7\n');
  });

  test.for([0, 7])('ends quietly where nobody reads it, with exit code %i', async (exitCode) => {
    const path = program(publishes(5, exitCode));
    expect(await withoutReader(['trace', path])).toEqual({ code: exitCode, stderr: '' });
  });

  test.skipIf(!linux)('that cannot be written is said, and is a failure', async () => {
    const reason = 'ENOSPC: no space left on device\n';
    for (const exitCode of [0, 7]) {
      const path = program(publishes(5, exitCode));
      const { code, stderr } = await run(['trace', '--json', '/dev/full', path]);
      expect({ code, stderr }).toEqual({
        code: exitCode || 1,
        stderr: `multiprocessing trace: cannot write '/dev/full': ${reason}`,
      });
    }
  });
});

test('a process that outlives the trace goes on as if nobody watched', () => {
  const child = spawnSync(process.execPath, ['--import', tsx, hello, 'spawn'], {
    encoding: 'utf8',
    env: { ...process.env, MULTIPROCESSING_TRACE: join(scratchFile('gone'), 'events') },
  });
  expect(child).toMatchObject({ stderr: '', status: 0 });
});

describe('the end', () => {
  /** A program that says that it is there, and stays. */
  const stays = `${publishes(1)} console.log('here'); setInterval(() => {}, 1e6);`;

  test('of the program by a signal is exit code 128 + n, with a trace', async () => {
    const path = program(`${publishes(1)} process.kill(process.pid, 'SIGKILL');`);
    const { stdout, stderr, code } = await run(['trace', path]);
    expect({ stderr, code }).toEqual({ stderr: '', code: 128 + 9 });
    expect(eventsOf(stdout)).toEqual(['MainProcess test.count']);
  });

  test('by ^C is that of the program, with a trace', async () => {
    const { child, outcome } = start(['trace', program(stays)]);
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    process.kill(-(child.pid as number), 'SIGINT');
    const { stdout, stderr, code } = await outcome;
    expect({ stderr, code }).toEqual({ stderr: '', code: 128 + 2 });
    expect(eventsOf(stdout)).toEqual(['MainProcess test.count']);
  });

  test.for([
    ['SIGTERM', 128 + 15],
    ['SIGHUP', 128 + 1],
  ] as const)('by %s to us is that of the program, with a trace', async ([signal, expected]) => {
    const { child, outcome } = start(['trace', program(stays)]);
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    child.kill(signal);
    const { stdout, stderr, code } = await outcome;
    expect({ stderr, code }).toEqual({ stderr: '', code: expected });
    expect(eventsOf(stdout)).toEqual(['MainProcess test.count']);
  });

  test('a program that finds its stdout broken is told so itself, and waited for', async () => {
    const report = scratchFile('report');
    const path = program(`import { writeFileSync } from 'node:fs';
      process.stdout.on('error', ({ code }) => {
        setImmediate(() => { writeFileSync(${JSON.stringify(report)}, code); process.exit(5); });
      });
      console.log('hello');`);
    expect(await withoutReader(['trace', path])).toEqual({ code: 5, stderr: '' });
    expect(existsSync(report) && readFileSync(report, 'utf8')).toBe('EPIPE');
  });
});
