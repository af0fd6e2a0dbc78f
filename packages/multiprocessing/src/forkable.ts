/**
 * `import 'multiprocessing/forkable'` as a program's first line: starts the program again, once, in place, as
 * one that can fork: same pid, arguments, environment, standard streams. Where that cannot be done
 * (not Linux, a worker thread, a module loader with threads, a program on stdin) it does nothing, and `fork` says why.
 *
 *     forkable_channel.ts  the channel to the process that has started this one
 */
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { isChildProcess, isOnStdin, trace } from '@multiprocessing/core';
import { forkSafeExecArgv, isForkSafeProcess, loaderOf } from '@multiprocessing/popen';
import {
  argv,
  ChildProcessError,
  execve,
  forkAvailable,
  ignoreSignal,
  isSignalIgnored,
  kill,
  ProcessLookupError,
  startDirectory,
  waitpid,
  wordsAsGiven,
  workingDirectory,
} from '@multiprocessing/posix';
import { deliverMessages, keepChannel, pendingMessages } from './forkable_channel.ts';

/** Set in the new program, so that it cannot start itself for ever. */
const ONCE = 'MULTIPROCESSING_FORKABLE';

const { SIGPROF } = constants.signals;

/** What the new program is told, as JSON. */
interface Handover {
  pid: number;
  /** Whether it ignores SIGPROF because of us. */
  ignores: boolean;
  /** An fd with messages that came before. */
  messages?: number | undefined;
}

/** @internal */
export function reexecute(): void {
  const handover = takeHandover();
  if (handover !== undefined) {
    // V8 has a handler of its own there if this program is profiled again.
    if (handover.ignores && isSignalIgnored(SIGPROF)) ignoreSignal(SIGPROF, false);
    if (handover.messages !== undefined) deliverMessages(handover.messages);
    return;
  }
  const { isMainThread } = process.getBuiltinModule('node:worker_threads');
  if (process.platform !== 'linux' || !isMainThread || isChildProcess() || isOnStdin()) return;
  const loader = loaderOf();
  if (!loader.forkSafe) return;
  // Under tsx, a program that can fork already may still load its modules by a thread.
  if (forkAvailable().available && (loader.kind === 'native' || isForkSafeProcess())) return;
  endCompilers();
  trace('forkable', 'execve', 'MainProcess');
  const flags = forkSafeExecArgv();
  const directory = startDirectory();
  if (directory !== undefined && directory !== workingDirectory()) process.chdir(directory);
  const env = { ...process.env, ...takenByNode() };
  const told: Handover = {
    pid: process.pid,
    messages: pendingMessages(),
    // A profiler's last signal would end the new program, which has no handler for it yet.
    ignores: !isSignalIgnored(SIGPROF),
  };
  if (told.ignores) ignoreSignal(SIGPROF, true);
  // What has started this program (jiti's command) may have put it in its own place among the arguments.
  const words = wordsAsGiven() ?? argv.slice(1);
  const args = [process.argv0, ...flags, '--', ...words];
  execve(process.execPath, args, { ...env, [ONCE]: JSON.stringify(told) });
}

function takeHandover(): Handover | undefined {
  const text = process.env[ONCE];
  delete process.env[ONCE];
  if (text === undefined) return undefined;
  const handover = JSON.parse(text) as Handover;
  return handover.pid === process.pid ? handover : undefined; // else it is a child of that program
}

/**
 * execve(2) keeps children. The compiler that tsx has begun for the first lines of the program (esbuild) would end and stay as
 * a child that the new program never started, and finds in waitpid(-1). All other children stay as they are: whoever was
 * this process before Node may have started them, as a shell does in `helper & exec node main.js`.
 */
function endCompilers(): void {
  for (const pid of childPids().filter(isCompiler)) {
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

/** Whether a child is esbuild as its library starts it: it serves the process on its stdin, which is this one. */
function isCompiler(pid: number): boolean {
  try {
    const [program = '', first = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return /(^|\/)esbuild$/.test(program) && first.startsWith('--service=');
  } catch {
    return false; // it has ended
  }
}

/** What Node has taken out of the environment at its start, and takes again: who this process is to the one that started it. */
function takenByNode(): NodeJS.ProcessEnv {
  const taken: NodeJS.ProcessEnv = {};
  for (const variable of originalEnvironment()) {
    const [name = ''] = variable.split('=', 1);
    if (!name.startsWith('NODE_') || name in process.env) continue;
    taken[name] = variable.slice(name.length + 1);
  }
  return keepChannel(taken);
}

function originalEnvironment(): string[] {
  try {
    return readFileSync('/proc/self/environ', 'utf8').split('\0');
  } catch {
    return []; // /proc is not mounted
  }
}
