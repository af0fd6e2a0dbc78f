/**
 * The resource tracker: what it removes, what it survives, who shares it.
 * Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import {
  ensureRunning,
  getfd,
  type ResourceType,
  register,
  unregister,
} from 'multiprocessing/resource_tracker';
import { describe, expect, test } from 'vitest';
import { _resourceTracker } from '../../packages/core/dist/shared_memory/resource_tracker.js';
import { trackerScript } from '../../packages/core/dist/shared_memory/resource_tracker_script.js';
import { _forkserver } from '../../packages/popen/dist/index.js';
import * as targets from '../fixtures/dist/shm_targets.js';
import { nodeCommand, running, runProgram, startProgram } from '../support/programs.ts';
import { Channel, Gate, scratchFile } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const linux = process.platform === 'linux';

const inShm = (name: string) => existsSync(`/dev/shm/${name}`);
const leaked = (count: number, type: string) =>
  `resource_tracker: There appear to be ${count} leaked ${type} objects to clean up at shutdown: `;

/** Runs a case of the program; what it printed, line by line. */
async function run(...args: string[]) {
  const { stdout, stderr, code, signal } = await runProgram('trackers', args);
  const results = stdout.split('\n').filter(Boolean);
  return { results: results.map((line) => JSON.parse(line) as unknown), stderr, code, signal };
}

/** A process namespace of its own, as containers have. `kill` ends it with a test that fails. */
const UNSHARE = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
const [unshare, ...unshareArgs] = [UNSHARE, [...UNSHARE, '--user', '--map-root-user']].find(
  ([command = '', ...args]) => spawnSync(command, [...args, 'true']).status === 0,
) ?? [undefined];
if (linux && unshare === undefined) console.warn('no tests as process 1: unshare does not work');

/** The POSIX shells of this machine that the tracker may meet as /bin/sh. */
const shells = [['/bin/sh'], ['dash'], ['bash', '--posix'], ['busybox', 'sh']].flatMap(
  ([name = '', ...options]) => {
    const path = spawnSync('/bin/sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' });
    if (path.status === 0) return [[path.stdout.trim(), ...options]];
    console.warn(`the resource tracker is not tried with ${name}: it is not there`);
    return [];
  },
);

test('a name that does not fit into a message is a ValueError', () => {
  expect(() => register('a'.repeat(512 - 'shared_memory'.length), 'shared_memory')).toThrow(
    /^name is too long: a message of 512 bytes has to hold it$/,
  );
});

test('a type or a name that cannot be tracked is refused', () => {
  for (const f of [register, unregister]) {
    expect(() => f('x', 'file' as ResourceType)).toThrow(
      "type must be one of noop, semaphore, shared_memory, not 'file'",
    );
    for (const name of ['a:b', 'a\nb', 'a\0b']) {
      expect(() => f(name, 'noop')).toThrow(/^name must have no colon, newline or null character/);
    }
    for (const name of ['../etc/x', '//x', 'a/b', '/a/b'])
      expect(() => f(name, 'shared_memory')).toThrow(
        /^name must be that of a file, without a slash/,
      );
    expect(() => f(1 as unknown as string, 'noop')).toThrow('name must be a string, not 1');
  }
});

describe.each(shells)('the resource tracker run by %s %s', (...shell) => {
  const command = JSON.stringify(shell.filter(Boolean));

  test('ends with 0 when nothing is left, and with 1 otherwise', async () => {
    const clean = await run('noop', command);
    expect([clean.results, clean.stderr]).toEqual([[[[true, null], 0]], '']);
    const { results, stderr } = await run('noop', command, 'leaked');
    expect([results, stderr]).toEqual([[[[true, null], 1]], `${leaked(1, 'noop')}nothing\n`]);
  });

  test.skipIf(!linux)('removes nothing outside of /dev/shm, whoever has told it to', () => {
    const file = scratchFile('precious');
    writeFileSync(file, '');
    const way = `../..${file}`;
    const script = 'printf "$LINES" | "$@" 3<&0';
    const lines = `REGISTER:${way}:shared_memory\\nREGISTER:${way}:semaphore:${statSync(file).ino}\\n`;
    const command = shell.filter(Boolean);
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', script, 'sh', ...command, '-c', trackerScript],
      {
        env: { ...process.env, LINES: lines },
        encoding: 'utf8',
      },
    );
    expect(status).toBe(3);
    expect(stderr).toMatch(/unrecognized command bad:/);
    expect(existsSync(file)).toBe(true);
  });

  test.skipIf(!linux)('removes what is left, and only that very file', async () => {
    const names = [
      'plain',
      'a b ',
      '*',
      '$(x)',
      "it's",
      '"q"',
      'back\\slash',
      '-n',
      '%s',
      '日本Áé',
    ];
    const unique = (name: string) => `${name}_${process.pid}`;
    const registered = [...names.map(unique), unique('sem.named')];
    const lists = [
      registered,
      ['replaced'].map(unique),
      ['kept'].map(unique),
      ['late'].map(unique),
    ];
    try {
      const { results, stderr } = await run(
        'files',
        command,
        ...lists.map((list) => JSON.stringify(list)),
      );
      expect(results).toEqual([1]);
      const [, replaced, kept, late] = lists as [string[], string[], string[], string[]];
      expect([...registered, ...late].filter(inShm)).toEqual([]);
      expect([...replaced, ...kept].filter((name) => !inShm(name))).toEqual([]);
      const [semaphores, segments, ...more] = stderr.split('\n');
      expect(more).toEqual(['']);
      expect(semaphores).toBe(`${leaked(1, 'semaphore')}${unique('named')}`);
      expect(segments).toMatch(leaked(names.length + 1, 'shared_memory'));
      for (const name of [...names.map(unique), ...late]) expect(segments).toContain(name);
    } finally {
      for (const name of lists.flat()) rmSync(`/dev/shm/${name}`, { force: true });
    }
  });
});

describe.skipIf(!linux)('the resource tracker', () => {
  test('is small', () => {
    const tracker = _resourceTracker;
    ensureRunning();
    const pss = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${tracker.pid}/smaps_rollup`, 'utf8'));
    expect(Number(pss?.[1])).toBeLessThan(10_000);
  });

  test('runs once, and stays while it is wanted', () => {
    ensureRunning();
    const { pid } = _resourceTracker;
    const fd = getfd();
    ensureRunning();
    expect([_resourceTracker.pid, getfd()]).toEqual([pid, fd]);
    expect(_resourceTracker._checkAlive()).toBe(true);
  });

  test('cleans up what a killed program left, and says so', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const { outcome } = startProgram('segments', ['spawn', channel.path, gate.path]);
    const reports = (await channel.take(2)) as [number, ...string[]][];
    const [first = '', ...others] = reports.flatMap(([, ...names]) => names);
    rmSync(`/dev/shm/${first}`); // what is gone is no leak
    for (const [pid] of reports) process.kill(pid, 'SIGKILL');
    const { stderr } = await outcome;
    expect(stderr).toMatch(leaked(2, 'shared_memory'));
    expect(stderr).not.toContain(first);
    expect(others.filter(inShm)).toEqual([]);
  });

  /** The tracker gets the signal at once, and its program ends with two segments. */
  async function survives(...signals: string[]): Promise<void> {
    const { results, stderr, code } = await run('signals', ...signals);
    expect(results).toEqual([[expect.any(String), expect.any(String), true]]);
    expect([code, stderr.split(': ').slice(0, 2).join(': ')]).toEqual([
      0,
      leaked(2, 'shared_memory').split(': ').slice(0, 2).join(': '),
    ]);
    expect((results[0] as string[]).slice(0, 2).filter(inShm)).toEqual([]);
  }

  test('is not ended by SIGINT', async () => {
    await survives('SIGINT');
  });

  test('is not ended by SIGTERM', async () => {
    await survives('SIGTERM');
  });

  test('is not ended by a hangup, a quit and all of them', async () => {
    await survives('SIGHUP', 'SIGQUIT', 'SIGINT', 'SIGTERM');
  });

  test('that is killed is started again with one warning, and knows what this process has', async () => {
    const { results, stderr, signal } = await run('killed');
    const [first, second, warnings] = results[0] as [string, string, string[]];
    expect(signal).toBe('SIGKILL');
    expect(warnings).toEqual([
      'resource_tracker: process died unexpectedly, relaunching.  Some resources might leak.',
    ]);
    expect(stderr).toContain(leaked(2, 'shared_memory'));
    expect([first, second].filter(inShm)).toEqual([]);
  });

  test('is done without where there is no shell, with one warning', async () => {
    const { results, stderr, code } = await run('noShell');
    expect(results).toEqual([
      {
        name: 'RuntimeError',
        code: 'ERR_MP_RUNTIME',
        message: 'the resource tracker cannot run: it needs /no/such/shell',
      },
      expect.stringMatching(/^resource_tracker: cannot run \/no\/such\/shell \(ENOENT\): /),
    ]);
    expect(stderr).toMatch(/^\(node:\d+\) Warning: resource_tracker: cannot run/);
    expect(code).toBe(0);
  });
});

if (linux) {
  forEachStartMethod((ctx, method) => {
    test('a child uses the tracker of its parent', async () => {
      const channel = new Channel();
      ensureRunning();
      const p = new ctx.Process({ target: targets.reportTracker, args: [channel.path] });
      await p.start();
      await p.join();
      expect(await channel.next()).toBe(targets.trackerPipe());
    });

    test('a child that makes the first segment has the tracker of its program, but for a forked one', async () => {
      const { stdout, stderr, code } = await runProgram(
        'trackers',
        ['child', method, scratchFile('reports')],
        { method },
      );
      expect(code).toBe(0);
      const [started, name, isThere] = JSON.parse(stdout) as [boolean, string, boolean];
      expect(started).toBe(method !== 'fork');
      if (method !== 'fork') expect(isThere).toBe(true); // and otherwise at some time not
      expect(stderr).toContain(`${leaked(1, 'shared_memory')}${name}\n`);
      expect(inShm(name)).toBe(false);
    });

    /** What the program is in its container, and how the shell comes to run it. */
    const places = { 'process 1': 'exec "$0" "$@"', 'a child of process 1': '"$0" "$@"; exit $?' };

    test.skipIf(unshare === undefined).each(Object.entries(places))(
      'nothing stays when the program is %s of a container and ends',
      async (place, script) => {
        for (const who of [['main'], ['child'], ['main', 'child'], ['main', 'stray']]) {
          if (who.includes('stray') && place !== 'process 1') continue; // it keeps the tracker
          const channel = new Channel();
          const node = nodeCommand('leave_segments', [method, channel.path, ...who], { method });
          const command = [...unshareArgs, '/bin/sh', '-c', script, ...node] as string[];
          const { code, stderr } = await running(spawn(unshare as string, command)).outcome;
          const names = channel.all() as string[];
          expect([place, who, code, names.length]).toEqual([place, who, 0, who.length]);
          for (const name of names) expect(stderr).toContain(name);
          expect(names.filter(inShm)).toEqual([]);
        }
      },
    );

    test('nothing stays when all processes of a program are killed', async () => {
      for (let i = 0; i < 3; i++) {
        const channel = new Channel();
        const gate = new Gate();
        const args = [method, channel.path, gate.path];
        const { outcome } = startProgram('segments', args, { method });
        const reports = (await channel.take(2)) as [number, ...string[]][];
        for (const [pid] of reports) process.kill(pid, 'SIGKILL');
        const { stderr } = await outcome;
        const names = reports.flatMap(([, ...own]) => own);
        expect(names).toHaveLength(3);
        expect(stderr).toContain(leaked(3, 'shared_memory'));
        expect(names.filter(inShm)).toEqual([]);
      }
    });

    test('nothing stays when the whole process group is killed', async () => {
      const channel = new Channel();
      const args = [method, channel.path, new Gate().path];
      const { child, outcome } = startProgram('segments', args, { method, detached: true });
      const reports = (await channel.take(2)) as [number, ...string[]][];
      process.kill(-(child.pid as number), 'SIGKILL');
      const { stderr } = await outcome;
      expect(stderr).toContain(leaked(3, 'shared_memory'));
      expect(reports.flatMap(([, ...own]) => own).filter(inShm)).toEqual([]);
    });

    test('nothing stays when processes are killed while they make segments', async () => {
      for (let i = 0; i < 3; i++) {
        const channel = new Channel();
        const args = [method, channel.path, 'churn'];
        const { outcome } = startProgram('segments', args, { method });
        const pids = (await channel.take(2)) as number[];
        for (const pid of pids) process.kill(pid, 'SIGKILL');
        expect((await outcome).signal).toBe('SIGKILL');
        const left = (file: string) => pids.some((pid) => file.startsWith(`mp_churn_${pid}_`));
        expect(readdirSync('/dev/shm').filter(left)).toEqual([]);
      }
    });
  });

  forEachStartMethod(['forkserver'], (ctx) => {
    test('the forkserver does not keep the tracker of those it serves', async () => {
      ensureRunning();
      const p = new ctx.Process({ target: targets.registerNothing });
      await p.start();
      await p.join();
      unregister('nothing', 'noop');
      const folder = `/proc/${_forkserver._forkserverPid}/fd`;
      const open = readdirSync(folder).map((fd) => readlinkSync(`${folder}/${fd}`));
      expect(open).not.toContain(targets.trackerPipe());
      expect(p.exitcode).toBe(0);
    });
  });
}
