/**
 * How many processes a pool has where nobody says it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';

const program = fileURLToPath(new URL('../fixtures/dist/programs/pool_size.js', import.meta.url));

/** What a program says of its pool, which a line of shell starts. */
function sizesBehind(before: string): string {
  const command = `${before} "$0" "$1"`;
  const { stdout, stderr } = spawnSync('sh', ['-c', command, process.execPath, program], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return stdout.trim();
}

test('as many as there are processors for it', () => {
  expect(sizesBehind('exec')).toMatch(new RegExp(`^[1-${availableParallelism()}] `));
});

test('no more than its affinity allows', (context) => {
  if (process.platform !== 'linux') context.skip('affinity is of Linux');
  expect(sizesBehind('exec taskset -c 0')).toBe('1 1');
});

const groups: string[] = [];
afterEach(() => {
  for (const group of groups.splice(0)) rmdirSync(group);
});

/** A control group with time for so many processors, or why there can be none. */
function makeGroup(processors: number): string {
  const root = '/sys/fs/cgroup';
  const v1 = existsSync(`${root}/cpu/cpu.cfs_quota_us`);
  const group = `${v1 ? `${root}/cpu` : root}/multiprocessing-test-${process.pid}`;
  mkdirSync(group);
  groups.push(group);
  if (v1) {
    writeFileSync(`${group}/cpu.cfs_period_us`, '100000');
    writeFileSync(`${group}/cpu.cfs_quota_us`, `${processors * 100_000}`);
  } else writeFileSync(`${group}/cpu.max`, `${processors * 100_000} 100000`);
  return group;
}

test('no more than the quota of its control group gives time for', (context) => {
  let group: string;
  try {
    group = makeGroup(0.5);
  } catch (error) {
    context.skip(`no control group can be made here: ${(error as Error).message}`);
    return;
  }
  expect(sizesBehind(`echo $$ > ${group}/cgroup.procs; exec`)).toBe('1 1');
});
