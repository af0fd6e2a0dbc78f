/**
 * How many processors this process may use: `process_cpu_count` of Python 3.13's os.py, and the limit that a container sets,
 * which CPython does not ask for.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const CGROUPS = '/sys/fs/cgroup';

/**
 * Processors that are of use to this process: those of its affinity, and no more than the quotas of its control groups
 * (cgroup v2 `cpu.max`, v1 `cpu.cfs_quota_us`) give time for, rounded up. At least 1.
 */
export function processCpuCount(): number {
  return Math.max(1, Math.min(availableParallelism(), Math.ceil(quota())));
}

function quota(): number {
  if (process.platform !== 'linux') return Infinity;
  const groups = (read('/proc/self/cgroup') ?? '').split('\n').map((line) => line.split(':'));
  const unified = groups.find(([id]) => id === '0')?.[2] ?? '/';
  const v1 = groups.find(([, controllers]) => controllers?.split(',').includes('cpu'))?.[2] ?? '/';
  return Math.min(...upwards(unified).map(quotaOf2), ...upwards(v1).map(quotaOf1));
}

/** A group and those that it is in: each has a limit of its own. */
function upwards(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return ['', ...parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`)];
}

function quotaOf2(group: string): number {
  const [most, period] = (read(`${CGROUPS}${group}/cpu.max`) ?? 'max').split(' ');
  return most === undefined || most.startsWith('max') ? Infinity : Number(most) / Number(period);
}

function quotaOf1(group: string): number {
  const most = Number(read(`${CGROUPS}/cpu${group}/cpu.cfs_quota_us`) ?? -1);
  const period = Number(read(`${CGROUPS}/cpu${group}/cpu.cfs_period_us`) ?? 0);
  return most > 0 && period > 0 ? most / period : Infinity;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return undefined;
  }
}
