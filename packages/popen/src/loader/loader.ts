/**
 * No counterpart in CPython, whose imports need no thread: how this program's modules are loaded,
 * the flags for a process that loads them without any thread (so that it can be forked), and what
 * makes an import fail instead of wait for a thread that fork() did not copy.
 *
 * Node's own loader, its type stripping and `module.registerHooks()` (tsx on Node 22.22.3, 24.11.1,
 * 26.0 and up) run in the thread that imports: nothing is to be done for them but keeping esbuild
 * in the thread (loader_preload.ts). `module.register()` (tsx on older Nodes) does not: tsx is hosted in the
 * thread there (tsx_in_thread.ts), any other such loader is refused.
 *
 *     errors.ts          the error of a loader that needs a thread
 *     loader_preload.ts  what runs first in a process that is going to fork
 *     tsx_in_thread.ts   tsx's hooks in the thread that imports
 */
import type { Worker } from 'node:worker_threads';
import { loadedBundle, shared } from '@multiprocessing/core';
import { execArgv as ownFlags, nodeOptions as ownOptions } from '@multiprocessing/posix';
import { entryPath } from '../base/entries.ts';
import { ForkUnsafeLoaderError } from './errors.ts';

export { ForkUnsafeLoaderError };

/** How a program's modules are loaded. */
export interface ModuleLoader {
  readonly kind: 'native' | 'tsx' | 'off-thread';
  /** Whether a process started with forkSafeExecArgv() can load the same modules and fork. */
  readonly forkSafe: boolean;
  /** Whether tsx's off-thread hooks have to be hosted in the thread there. */
  readonly hosted: boolean;
  /** Why it is not fork-safe, in a sentence for the user. */
  readonly reason?: string;
}

/** What loader_preload.ts leaves in a process that runs under it. @internal */
export interface PreloadMark {
  readonly hosted: boolean;
}

const preloadMark = Symbol.for('multiprocessing.loader_preload');

function mark(): PreloadMark | undefined {
  return shared()[preloadMark] as PreloadMark | undefined;
}

/** Whether this process was started with forkSafeExecArgv(): single-threaded, all imports in the thread. */
export function isForkSafeProcess(): boolean {
  return mark() !== undefined;
}

/**
 * How the modules of this program are loaded.
 *
 * @param execArgv its Node flags
 * @param nodeOptions its NODE_OPTIONS
 */
export function loaderOf(
  execArgv: readonly string[] = ownFlags,
  nodeOptions: string = ownOptions,
): ModuleLoader {
  const { loaderFlag, preloads, tsx } = optionsOf(execArgv, nodeOptions);
  if (loaderFlag !== undefined) return offThread(`--loader ${loaderFlag}`);
  const kind = tsx ? 'tsx' : 'native';
  if (mark()?.hosted === true) return { kind, forkSafe: true, hosted: true };
  const resolve = loadedBundle()?.resolve ?? import.meta.resolve;
  // A copy that tsx makes for a CommonJS program has no import.meta.resolve to ask by.
  const offThreadHooks = resolve ? hasOffThreadHooks(resolve) : tsx && !tsxRunsInThread();
  if (!offThreadHooks) return { kind, forkSafe: true, hosted: false };
  if (!tsx) return offThread(preloads.length > 0 ? preloads.join(', ') : 'module.register()');
  const major = Number.parseInt(process.versions.node, 10);
  if (major >= 24) return offThread('tsx here; tsx 4.23 with Node 24.11.1 or newer does not');
  return { kind, forkSafe: true, hosted: true };
}

interface LoaderOptions {
  loaderFlag: string | undefined;
  preloads: string[];
  tsx: boolean;
}

/** The last answer of optionsOf: each fork asks for that of this process. */
let last: { key: string; options: LoaderOptions } | undefined;

function optionsOf(execArgv: readonly string[], nodeOptions: string): LoaderOptions {
  const key = `${nodeOptions}\n${execArgv.join('\n')}`;
  if (last?.key === key) return last.options;
  const flags = [...nodeOptions.split(/\s+/), ...execArgv];
  const [loaderFlag] = valuesOf(flags, ['--loader', '--experimental-loader']);
  const preloads = valuesOf(flags, ['--import', '--require', '-r']);
  const options = { loaderFlag, preloads, tsx: preloads.some(isTsx) };
  last = { key, options };
  return options;
}

/** Whether tsx uses `module.registerHooks()` here; the same versions as in tsx itself. */
function tsxRunsInThread(): boolean {
  const [major = 0, minor = 0, patch = 0] = process.versions.node.split('.').map(Number);
  const since: Record<number, number> = { 22: 22.003, 24: 11.001, 25: 1 };
  return major >= 26 || minor + patch / 1000 >= (since[major] ?? Infinity);
}

function offThread(what: string): ModuleLoader {
  const reason = `no thread survives fork(), and module hooks run on a thread of their own: ${what}`;
  return { kind: 'off-thread', forkSafe: false, hosted: false, reason };
}

/**
 * The Node flags for a process that loads this program's modules and then forks.
 *
 * @param execArgv the program's own Node flags, which are kept; what is among them or in NODE_OPTIONS is not given twice
 * @throws ForkUnsafeLoaderError if its modules cannot be loaded without a thread
 */
export function forkSafeExecArgv(
  execArgv: readonly string[] = ownFlags,
  loader: ModuleLoader = loaderOf(execArgv),
): string[] {
  if (!loader.forkSafe) throw new ForkUnsafeLoaderError(loader.reason);
  // One thread in V8's pool, not four: a fork has fewer to look at.
  const ours = ['--single-threaded', '--v8-pool-size=1'];
  if (loader.hosted) ours.push('--expose-internals');
  const theirs = [...(process.env.NODE_OPTIONS ?? '').split(/\s+/), ...execArgv].map(optionName);
  const added = ours.filter((flag) => !theirs.includes(optionName(flag)));
  const behind = execArgv.findLastIndex((flag) => PNP.test(flag)) + 1;
  const preload = ['--require', entryPath('loader_preload')];
  return [...execArgv.slice(0, behind), ...preload, ...added, ...execArgv.slice(behind)];
}

/** Yarn's hook for Plug'n'Play, which has to come first: this library may lie in an archive that nothing else can read. */
const PNP = /(^|[\\/=])\.pnp\.c?js$/;

/** The name of an option; V8 takes its own with underscores, too. */
function optionName(flag: string): string {
  return flag.replace(/=.*$/s, '').replaceAll('_', '-');
}

/** The values of these options: `--x v` and `--x=v`. */
function valuesOf(flags: readonly string[], names: readonly string[]): string[] {
  return flags.flatMap((flag, i) => {
    if (names.includes(flag)) return flags[i + 1] ?? [];
    const equals = flag.indexOf('=');
    return equals > 0 && names.includes(flag.slice(0, equals)) ? flag.slice(equals + 1) : [];
  });
}

function isTsx(preload: string): boolean {
  return /^tsx(\/|$)|[\\/]tsx[\\/]dist[\\/]/.test(preload);
}

type Post = (this: Worker, message: unknown, ...rest: unknown[]) => void;

/** A request of Node's to the thread of `module.register()`: `{ method: 'resolve', args }`. */
function isHooksRequest(worker: Worker, message: unknown): boolean {
  return (
    worker.constructor.name === 'InternalWorker' &&
    typeof message === 'object' &&
    message !== null &&
    'method' in message
  );
}

/** A blocking request of esbuild's transformSync to the thread that it hides. */
function isEsbuildRequest(message: unknown): boolean {
  return (
    typeof message === 'object' &&
    message !== null &&
    'command' in message &&
    'sharedBuffer' in message
  );
}

/** Puts a function before Worker.postMessage, by which all requests to a module thread go. */
function interceptPost(before: (worker: Worker, message: unknown) => void): () => void {
  // Asked for here, not imported: it takes 2 ms to load in every process.
  const threads = process.getBuiltinModule('node:worker_threads');
  const prototype = threads.Worker.prototype as unknown as { postMessage: Post };
  const { postMessage } = prototype;
  prototype.postMessage = function (message, ...rest) {
    before(this, message);
    postMessage.call(this, message, ...rest);
  };
  return () => {
    prototype.postMessage = postMessage;
  };
}

/**
 * Whether `module.register()` hooks are at work here. Node does not say; but it asks them when a
 * specifier is resolved, and that request is caught before it is sent.
 */
function hasOffThreadHooks(resolve: (specifier: string) => string): boolean {
  let asked = false;
  const restore = interceptPost((worker, message) => {
    if (!isHooksRequest(worker, message)) return;
    asked = true;
    throw new Error('only asking');
  });
  try {
    resolve('node:module');
  } catch {
    // Our own error, or that import.meta.resolve is not there: `asked` tells.
  } finally {
    restore();
  }
  return asked;
}

/**
 * In a forked child: an import that would wait for a thread which only the parent has rejects at
 * once with a ForkUnsafeLoaderError. Costs nothing where modules are loaded in the thread.
 */
export function failOffThreadImports(): void {
  const esbuildThread = !isForkSafeProcess() && loaderOf().kind === 'tsx';
  interceptPost((worker, message) => {
    if (!isHooksRequest(worker, message) && !(esbuildThread && isEsbuildRequest(message))) return;
    throw new ForkUnsafeLoaderError(
      'a forked process cannot load further modules here: its module hooks run on a thread, and no ' +
        'thread survives fork(). Import the module before the fork, or use the spawn start method',
    );
  });
}
