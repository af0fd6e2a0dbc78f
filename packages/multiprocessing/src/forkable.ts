/**
 * `import 'multiprocessing/forkable'` as a program's first line: starts the program again, once, in place, as
 * one that can fork: same pid, arguments, environment, standard streams. Where that cannot be done
 * (not Linux, a worker thread, a module loader with threads, a program on stdin) it does nothing, and `fork` says why.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isChildProcess, isOnStdin, loadedBundle, trace } from '@multiprocessing/core';
import { forkSafeExecArgv, isForkSafeProcess, loaderOf } from '@multiprocessing/popen';
import {
  argv,
  ChildProcessError,
  execve,
  forkAvailable,
  kill,
  ProcessLookupError,
  setCloexec,
  startDirectory,
  waitpid,
  workingDirectory,
} from '@multiprocessing/posix';

/** Set in the new program, so that it cannot start itself for ever. */
const ONCE = 'MULTIPROCESSING_FORKABLE';

/** @internal */
export function reexecute(): void {
  const again = process.env[ONCE] === String(process.pid);
  delete process.env[ONCE];
  const { isMainThread } = process.getBuiltinModule('node:worker_threads');
  if (again || process.platform !== 'linux' || !isMainThread || isChildProcess() || isOnStdin())
    return;
  const loader = loaderOf();
  if (!loader.forkSafe) return;
  // Under tsx, a program that can fork already may still load its modules by a thread.
  if (forkAvailable().available && (loader.kind === 'native' || isForkSafeProcess())) return;
  const env: NodeJS.ProcessEnv = { ...process.env, [ONCE]: String(process.pid), ...ipcChannel() };
  endChildren();
  trace('forkable', 'execve', 'MainProcess');
  const flags = forkSafeExecArgv();
  const directory = startDirectory();
  if (directory !== undefined && directory !== workingDirectory()) process.chdir(directory);
  execve(process.execPath, [process.argv0, ...flags, ...argv.slice(1)], env);
}

/**
 * execve(2) keeps children. Those that are there before the program's first line are a module loader's (tsx's
 * esbuild); the new program would find them in waitpid(-1) as children that it never started.
 */
function endChildren(): void {
  for (const pid of childPids()) {
    try {
      kill(pid, 'SIGKILL');
      waitpid(pid, 0);
    } catch (error) {
      // Ended, and reaped by the thread that started it.
      if (!(error instanceof ChildProcessError || error instanceof ProcessLookupError)) throw error;
    }
  }
}

function childPids(): number[] {
  try {
    return readdirSync('/proc/self/task').flatMap((task) => {
      const pids = readFileSync(`/proc/self/task/${task}/children`, 'utf8');
      return pids.split(' ').filter(Boolean).map(Number);
    });
  } catch {
    return []; // a thread that just ended, or a kernel that does not list children
  }
}

/** A program started by child_process.fork() keeps its channel. */
function ipcChannel(): NodeJS.ProcessEnv {
  const fd = (process.channel as { fd?: number } | undefined)?.fd;
  if (fd === undefined) return {};
  setCloexec(fd, false);
  return { NODE_CHANNEL_FD: String(fd) };
}

if (loadedBundle() === undefined) reexecute();
