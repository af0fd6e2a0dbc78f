/** A command in a pid namespace where there can be one, with limits, and what it leaves. */
import { execFileSync, spawn } from 'node:child_process';
import { running } from '../support/programs.ts';

const NAMESPACE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'] as const;
const OWN_SEGMENTS = ['mount', '-t', 'tmpfs', 'tmpfs', '/dev/shm'] as const;

/** Whether this user may have a pid namespace, and a /dev/shm that no other program uses. */
function canIsolate(): boolean {
  const [program, ...args] = [...NAMESPACE, ...OWN_SEGMENTS];
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    console.warn(
      'no namespaces here (unshare): what outlives its runner is neither seen nor ended',
    );
    return false;
  }
}

let isolates: boolean | undefined;

/** Runs what stands behind it, then says how it ended, and which programs live on once they had time to end. */
const SUPERVISOR = `[ $$ = 1 ] && ${OWN_SEGMENTS.join(' ')}
ulimit -u 600; "$@"; echo "ended with $?"
others() { cat /proc/[0-9]*/comm 2>/dev/null | grep -v -x -e bash -e cat -e grep -e timeout -e sleep -e tr -e ls; }
[ $$ = 1 ] || exit 0
i=0; while [ -n "$(others)" ] && [ $i -lt 100 ]; do i=$((i + 1)); sleep 0.05; done
echo "left: $(others | tr '\\n' ' ')$(ls /dev/shm | tr '\\n' ' ')"`;

export interface Supervised {
  /** 124 if it took longer than it may. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Programs that outlive it, and names in /dev/shm. */
  readonly left: string;
}

/** @param limit how long it may take, seconds. It is ended then with all that it has started */
export async function supervise(
  folder: string,
  command: readonly string[],
  added: Readonly<Record<string, string>>,
  limit: number,
): Promise<Supervised> {
  isolates ??= canIsolate();
  const supervised = ['bash', '-c', SUPERVISOR, 'bash', 'timeout', String(limit), ...command];
  const [program, ...args] = isolates ? [...NAMESPACE, ...supervised] : supervised;
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(VITEST|NODE_TEST|NODE_OPTIONS|npm_)/.test(name),
    ),
  );
  const child = spawn(program as string, args, {
    cwd: folder,
    env: { ...env, FORCE_COLOR: '0', NO_COLOR: '1', CI: '1', ...added },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { stdout, stderr } = await running(child).outcome;
  const end = stdout.lastIndexOf('ended with ');
  const code = Number(/^ended with (\d+)$/m.exec(stdout.slice(end))?.[1] ?? -1);
  const left = /^left: (.*)$/m.exec(stdout.slice(end))?.[1]?.trim() ?? '';
  return { code, stdout: stdout.slice(0, end), stderr, left };
}
