/**
 * This library in worker threads, and objects that they share with processes.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runProgram } from '../support/programs.ts';

const program = fileURLToPath(new URL('../fixtures/dist/programs/in_worker.js', import.meta.url));

test('processes can be started from a worker thread', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(stdout).toBe('spawn 7 8\nforkserver 7 8\nfork 7 8\n');
  expect(status).toBe(0);
});

test('locks and arrays work in worker threads, and between them and processes', async () => {
  const { stdout, stderr, code } = await runProgram('locks_in_worker');
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(stdout.split('\n')).toEqual([
    'counted 1500',
    'in a worker: <Lock(owner=SomeOtherThread)>',
    'in a worker: <RLock(MainProcess|Thread-2, 1)>',
    'got it from a dead worker: true',
    '',
  ]);
});

test('a worker that waits can be terminated while it is woken', async () => {
  const { stdout, stderr, code } = await runProgram('terminate_waiting_worker', ['100']);
  expect({ stdout, stderr, code }).toEqual({ stdout: 'terminated 100\n', stderr: '', code: 0 });
});

test('connections work in worker threads', async () => {
  const { stdout, stderr, code } = await runProgram('connections_in_worker', ['echo']);
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(stdout).toBe('190 big after it big\nlast\ntrue 1\n');
});

test('a worker that waits for a connection can be terminated while it is ready', async () => {
  const args = ['terminate', '100'];
  const { stdout, stderr, code } = await runProgram('connections_in_worker', args);
  expect({ stdout, stderr, code }).toEqual({ stdout: 'terminated 100\n', stderr: '', code: 0 });
});

test('a worker that waits to send is told when nobody can receive any more', async () => {
  const { stdout, stderr, code } = await runProgram('connections_in_worker', ['broken', '100']);
  expect({ stdout, stderr, code }).toEqual({
    stdout: 'broken 100: BrokenPipeError\n',
    stderr: '',
    code: 0,
  });
});
