/**
 * `import 'multiprocessing/forkable'`: the program that goes on is the one that was started, in everything but its flag.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Outcome, runNode, running } from '../support/programs.ts';
import { scratchFile } from '../support/scratch.ts';

const program = (name: string) =>
  fileURLToPath(new URL(`../fixtures/programs/${name}.mjs`, import.meta.url));
const reports = program('forkable_reports');
const tsx = createRequire(import.meta.url).resolve('tsx/cli');

/** What the program has printed last. */
function reportOf({ stdout, code }: Outcome) {
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/\{.*\}\n$/) });
  return JSON.parse(stdout.trim().split('\n').at(-1) as string);
}

/** The messages of a child until it ends. */
async function messagesOf(child: ChildProcess): Promise<unknown[]> {
  const messages: unknown[] = [];
  child.on('message', (message) => messages.push(message));
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
  return messages;
}

describe.runIf(process.platform === 'linux')('forkable', () => {
  test('leaves the children of whoever was this process before', async () => {
    const script = 'sleep 600 >/dev/null 2>&1 & echo $!; exec "$0" "$1"';
    const shell = spawn('/bin/sh', ['-c', script, process.execPath, reports]);
    const outcome = await running(shell).outcome;
    const helper = Number(outcome.stdout.split('\n')[0]);
    try {
      expect(reportOf(outcome)).toMatchObject({ really: true, children: [helper] });
    } finally {
      process.kill(helper, 'SIGKILL'); // throws if it is gone
    }
  });

  test("ends a loader's compiler, which the new program would have as a child", async () => {
    const outcome = await runNode([tsx, reports]);
    expect(reportOf(outcome)).toMatchObject({ really: true, children: [] });
  });

  test.each(['json', 'advanced'] as const)(
    'goes on with the channel of its parent, and with what that has said: %s',
    async (serialization) => {
      const value = serialization === 'json' ? { a: 1 } : new Map([[{ b: 2 }, 3n]]);
      const expected = [value, ...Array(50).keys()];
      for (const when of ['at once', 'late']) {
        const child = fork(program('forkable_channel'), [when], { serialization });
        for (const message of expected) child.send(message as object);
        child.send('end');
        expect(await messagesOf(child)).toEqual([{ messages: expected }]);
      }
    },
  );

  test('stays a worker of its cluster', async () => {
    const script = `
      const cluster = require('node:cluster');
      cluster.setupPrimary({ exec: ${JSON.stringify(program('forkable_channel'))}, execArgv: [] });
      const worker = cluster.fork();
      worker.on('message', (message) => {
        if (message === 'listens') worker.send('end');
        else console.log(JSON.stringify(message));
      });`;
    const outcome = await runNode(['-e', script]);
    expect(reportOf(outcome)).toEqual({ messages: [], worker: 1 });
  });

  test('keeps the flags and the words behind them, each once', async () => {
    const flags = ['--v8-pool-size=2', '--single_threaded', '--max-old-space-size=300'];
    const outcome = await runNode([...flags, reports, '--', '-x']);
    expect(reportOf(outcome)).toMatchObject({ really: false, flags, args: ['--', '-x'] });

    const given = ['--v8-pool-size=2', '--no-deprecation'];
    const { stdout } = await runNode([...given, reports, '-x', '--y'], {
      env: { NODE_OPTIONS: '--max-old-space-size=300' },
    });
    expect(JSON.parse(stdout)).toMatchObject({
      really: true,
      flags: ['--single-threaded', ...given],
      args: ['-x', '--y'],
    });

    const code =
      "require('multiprocessing/forkable'); console.log(JSON.stringify(process.argv.slice(1)))";
    const evaluated = await runNode(['-e', code, '--', '-x', 'y']);
    expect(evaluated).toMatchObject({ stdout: '["-x","y"]\n', stderr: '', code: 0 });
  });

  test('what has put the program in its own place is what goes on', async () => {
    const launcher = join(scratchFile('launcher'), 'launch.cjs');
    mkdirSync(join(launcher, '..'));
    const lines = [
      "console.log('launched');",
      'const [script] = process.argv.splice(2, 1);',
      'process.argv[1] = script;',
      'import(script);',
    ];
    writeFileSync(launcher, lines.join('\n'));
    const outcome = await runNode(['--no-warnings', launcher, reports, 'a', 'b']);
    expect(outcome.stdout).toMatch(/^launched\nlaunched\n/);
    expect(reportOf(outcome)).toMatchObject({ really: true, args: ['a', 'b'] });
  });

  test('can be debugged', async () => {
    const outcome = await runNode(['--inspect=0', reports]);
    expect(reportOf(outcome)).toMatchObject({ really: true });
    expect(reportOf(outcome).flags).toContain('--inspect=0');
    expect(outcome.stderr.match(/^Debugger listening/gm)).toHaveLength(2);
  });

  test('a profiler does not end it, a hundred times', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'profiles-'));
    const flags = ['--cpu-prof', '--cpu-prof-interval=50', `--cpu-prof-dir=${folder}`];
    const codes = new Map<unknown, number>();
    try {
      for (let i = 0; i < 50; i++) {
        const pair = [1, 2].map(() =>
          runNode([...flags, '-e', "require('multiprocessing/forkable')"]),
        );
        for (const { code, signal } of await Promise.all(pair)) {
          codes.set(code ?? signal, (codes.get(code ?? signal) ?? 0) + 1);
        }
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(codes).toEqual(new Map([[0, 100]]));
  });

  test("a copy has not its parent's channel", async () => {
    const child = fork(program('forkable_copies'), { silent: true });
    const { outcome } = running(child);
    const messages: unknown[] = [];
    child.on('message', (message) => {
      messages.push(message);
      child.send('to the parent alone');
    });
    const { stdout, stderr, code } = await outcome;
    expect({ messages, code, stderr }).toEqual({ messages: ['mine'], code: 0, stderr: '' });
    const none = 'undefined false undefined undefined';
    expect(stdout.trim().split('\n')).toEqual([
      `sync: ${none}`,
      `async: ${none}`,
      `os.fork: ${none}`,
      'parent: true 1',
    ]);
  });
});
