import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('./fixtures/dist/programs/in_worker.js', import.meta.url));

test('processes can be started from a worker thread, except by fork', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(stdout).toBe('spawn 7 8\nforkserver 7 8\nValueError\n');
  expect(status).toBe(0);
});
