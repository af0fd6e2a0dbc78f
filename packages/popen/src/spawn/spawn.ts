/**
 * Counterpart of multiprocessing/spawn.py: what a child that shares no memory with its parent is told, and
 * how it makes itself ready to run the process object. Deviations: D-013, D-014, D-021, D-026,
 * D-027.
 *
 *     anonymous_file.ts  how the pickled process gets to the child
 *     code_cache.ts      V8's compiled code of this library, for children
 *     forked.ts          the way out of a forked child
 *     rehearsal.ts       what is done once beforehand, for all children
 *     single_executable.ts  a child that runs its program whatever it is told to run
 *     spawn_main.ts      the program of a spawned child
 */
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  type AuthenticationString,
  type BaseProcess,
  beginBootstrapping,
  bootstrap,
  checkMainPath,
  currentProcess,
  dumpsForChild,
  type EmulatedBy,
  ForkingPickler,
  getInheritedFds,
  getSpawningPopen,
  getSpawningProcess,
  importing,
  importsMain,
  isMainRequired,
  loadModule,
  loadsFromParent,
  mainPath,
  RuntimeError,
  rememberModule,
  resourceTracker,
  type SpawningPopen,
  type StartMethod,
  setInheritedFds,
  setMainPath,
  setSpawningPopen,
  startMethodState,
  typeError,
  util,
} from '@multiprocessing/core';
import {
  becomeOwnProcess,
  calledByChildren,
  close,
  execArgv,
  leaveProcess,
  setStartDirectory,
  startDirectory,
  workingDirectory,
} from '@multiprocessing/posix';
import type { LaunchOptions } from '../base/launch_options.ts';
import { mayChoosePool, SMALL_POOL } from '../base/start_watch.ts';
import { readAnonymousFile, writeAnonymousFile } from './anonymous_file.ts';
import { exitWithoutWork, reportAndExit } from './forked.ts';

//
// The executable
//

let executable: string | undefined;

/**
 * Sets the program that children run instead of this process's own node; Python's `set_executable`.
 * @param path of a node, also as bytes or as a file URL; undefined takes the setting back
 * @throws TypeError for anything else
 */
export function setExecutable(path: string | Uint8Array | URL | undefined): void {
  const text =
    path instanceof URL
      ? fileURLToPath(path)
      : path instanceof Uint8Array
        ? Buffer.from(path).toString()
        : path;
  if (text !== undefined && (typeof text !== 'string' || text === '')) {
    throw typeError('executable must be the path of a node program');
  }
  executable = text === undefined ? undefined : resolve(text);
}

/** Python's `get_executable`. @throws RuntimeError when nobody knows it */
export function getExecutable(): string {
  const path: string | undefined = executable ?? process.execPath;
  if (path) return path;
  throw new RuntimeError('process.execPath is not set: say by setExecutable() where node is');
}

/** Node options that say what to run, or that two processes cannot share. */
const NOT_INHERITED =
  /^(-e|--eval|-p|--print|-pe|-i|--interactive|-c|--check|--test|--watch.*|--run|--input-type.*|--inspect.*|--debug.*|--cpu-prof.*|--heap-prof.*)(=|$)/;
/** Those whose value may look like an option. */
const TAKES_ANY_VALUE = /^(-e|--eval|-p|--print|-pe)$/;

/** How many of this node's options its parent has put before the program's own. */
let givenByParent = 0;

/** The options of this node that its children get; Python's `_args_from_interpreter_flags`. */
export function argsFromInterpreterFlags(): string[] {
  const kept: string[] = [];
  for (let i = givenByParent; i < execArgv.length; i++) {
    const arg = execArgv[i] as string;
    if (!NOT_INHERITED.test(arg)) kept.push(arg);
    // Among the options of node, what does not look like one is the value of the one before it.
    else if (TAKES_ANY_VALUE.test(arg) || execArgv[i + 1]?.startsWith('-') === false) i++;
  }
  return kept;
}

/** The options of a spawned child. @internal */
export function flagsOfSpawned(): string[] {
  return [...(mayChoosePool() ? [SMALL_POOL] : []), ...argsFromInterpreterFlags()];
}

//
// Parent side
//

/** What the child has to know before it can unpickle the process object. */
export interface PreparationData {
  name: string;
  authkey: AuthenticationString;
  logToStderr: boolean;
  logLevel: number | undefined;
  argv: string[];
  /** The working directory; undefined where it is gone. */
  dir: string | undefined;
  /** The directory in which the program was started; Python's `orig_dir`. */
  startDir: string | undefined;
  startMethod: StartMethod | undefined;
  executable: string | undefined;
  mainPath: string | undefined;
  /** Whether the child imports the main module before it unpickles the process object. */
  importsMain: boolean;
  mainRequired: boolean;
  /** Set in the child of an emulated fork, which does not import the main module. */
  emulatedBy: EmulatedBy | undefined;
  /** The resource tracker's pipe, as what `duplicateForChild` returned; undefined if there is none. */
  tracker: number | undefined;
}

/** Python's `get_preparation_data`. @internal */
export function getPreparationData(name: string, popen: SpawningPopen): PreparationData {
  const { toStderr, level } = util.loggingState();
  return {
    name,
    authkey: currentProcess().authkey,
    logToStderr: toStderr,
    logLevel: level,
    argv: process.argv,
    dir: workingDirectory(),
    startDir: startDirectory(),
    startMethod: startMethodState.actual,
    executable,
    mainPath: mainPath(),
    importsMain: importsMain(),
    mainRequired: isMainRequired(),
    emulatedBy: popen.emulatedBy,
    tracker: resourceTracker._resourceTracker._passTo(popen),
  };
}

/**
 * Pickles what the child needs into a file without a name.
 * @param options.allowClosures whether functions without a name travel by value
 * @returns the file's fd
 * @throws PicklingError; OSError (ENOENT: the main file)
 * @internal
 */
export function pickleForChild(
  popen: SpawningPopen,
  process: BaseProcess,
  { allowClosures = false }: LaunchOptions,
): number {
  const preparation = getPreparationData(process.name, popen);
  const outer = [getSpawningPopen(), getSpawningProcess()] as const;
  setSpawningPopen(popen, process);
  try {
    const byValue = allowClosures || popen.emulatedBy !== undefined;
    const object = dumpsForChild(process, byValue);
    if (popen.emulatedBy === undefined) checkMainPath();
    return writeAnonymousFile([ForkingPickler.dumps(preparation), ...object]);
  } finally {
    setSpawningPopen(...outer);
  }
}

//
// Child side
//

/** How a child knows that it is one. Behind it stand the number of passed fds, and the fd of the code cache. @internal */
export const FLAG = '--multiprocessing-fork';

// A spawned child's fds: 3, the parent's sentinel; 4, the end of its own sentinel, which it only holds;
// 5, the pickled process; 6, by which the kernel kills it with its parent until it is closed (base/start_watch.ts); 7 and up,
// what duplicateForChild passed.
const PARENT_SENTINEL = 3;
/** @internal */
export const DATA = 5;
const GUARD = 6;
/** @internal */
export const FIRST_INHERITED = 7;

/**
 * The program of a spawned child; Python's `spawn_main`.
 * @param inheritedFds how many fds duplicateForChild passed
 * @param prepared called when the main module is imported
 * @internal
 */
export function spawnMain(inheritedFds: number, prepared?: () => void): void {
  close(GUARD);
  becomeOwnProcess();
  if (process.execArgv[0] === SMALL_POOL) {
    process.execArgv.shift(); // no business of what this process starts
    givenByParent = 1;
  }
  setInheritedFds(Array.from({ length: inheritedFds }, (_, i) => FIRST_INHERITED + i));
  beginBootstrapping();
  exitWithoutWork();
  runMain(DATA, PARENT_SENTINEL, 'microtask', prepared);
}

/** `_main`, and the end of this process. @internal */
export function runMain(...args: Parameters<typeof _main>): void {
  try {
    const code = _main(...args);
    if (code instanceof Promise) code.then(leave, reportAndExit);
    else leave(code);
  } catch (error) {
    reportAndExit(error);
  }
}

/** Ends this child: at once if it stands in for a forked one, whose 'exit' handlers do not run. */
function leave(code: number): never {
  return leavesAtOnce ? leaveProcess(code) : process.exit(code);
}

/**
 * Reads what the parent pickled, prepares this process, and runs the process object; Python's
 * `spawn._main`. All of it at once where nothing has to be imported first, as in a child of the forkserver.
 * @param within what this is called from, see `bootstrap`
 * @internal
 */
export function _main(
  dataFd: number,
  parentSentinel: number,
  within: 'turn' | 'microtask',
  prepared?: () => void,
): number | Promise<number> {
  const self = readProcess(dataFd);
  if (self instanceof Promise) return runLater(self, dataFd, parentSentinel, prepared);
  return runProcess(self, dataFd, parentSentinel, within, prepared);
}

async function runLater(
  self: Promise<BaseProcess>,
  dataFd: number,
  parentSentinel: number,
  prepared: (() => void) | undefined,
): Promise<number> {
  return runProcess(await self, dataFd, parentSentinel, 'microtask', prepared);
}

function runProcess(
  self: BaseProcess,
  dataFd: number,
  parentSentinel: number,
  within: 'turn' | 'microtask',
  prepared: (() => void) | undefined,
): number | Promise<number> {
  close(dataFd);
  prepared?.();
  return bootstrap(self, parentSentinel, within);
}

/** Prepares this process and makes the process object that its parent has pickled. @internal */
export function readProcess(dataFd: number): BaseProcess | Promise<BaseProcess> {
  const chunks = readAnonymousFile(dataFd);
  const data = loadsFromParent(nextOf(chunks)) as PreparationData | Promise<PreparationData>;
  const preparing = data instanceof Promise ? data.then(prepare) : prepare(data);
  if (preparing !== undefined) return preparing.then(() => readObject(chunks));
  return readObject(chunks);
}

function readObject(
  chunks: Generator<Uint8Array<ArrayBuffer>>,
): BaseProcess | Promise<BaseProcess> {
  return loadsFromParent(nextOf(chunks), [...chunks]) as BaseProcess | Promise<BaseProcess>;
}

function nextOf(chunks: Generator<Uint8Array>): Uint8Array {
  const { value, done } = chunks.next();
  if (done) throw new RuntimeError('the parent sent less than a whole process object');
  return value;
}

/** Makes this process resemble its parent; Python's `spawn.prepare`. */
function prepare(data: PreparationData): Promise<unknown> | undefined {
  const current = currentProcess();
  current.name = data.name;
  current.authkey = data.authkey;
  if (data.logToStderr) util.logToStderr();
  if (data.logLevel !== undefined) util.getLogger().setLevel(data.logLevel);
  process.argv = data.argv;
  enterDirectory(data.dir, data.startDir);
  executable = data.executable;
  startMethodState.actual = data.startMethod;
  const tracker = getInheritedFds()?.[data.tracker ?? -1];
  if (tracker !== undefined) resourceTracker._resourceTracker._takeOver(tracker);
  startMethodState.emulatedBy = data.emulatedBy;
  leavesAtOnce = data.emulatedBy !== undefined;
  if (data.emulatedBy === undefined && data.importsMain) {
    return importMainPath(data.mainPath, data.mainRequired);
  }
  const emulated = data.emulatedBy !== undefined;
  setMainPath(data.mainPath, { required: data.mainRequired, emulated });
  return undefined;
}

/** Goes where the parent is, and remembers where the program was started. @internal */
export function enterDirectory(directory: string | undefined, start: string | undefined): void {
  setStartDirectory(start);
  if (directory !== undefined && directory !== workingDirectory()) process.chdir(directory);
}

let leavesAtOnce = false;

let imported: string | undefined;

/**
 * Imports the main module, in which `isMain` is false then; Python's `import_main_path`. Done once.
 * @param required whether the program has it by `require`
 * @returns a promise of its namespace, the first time
 * @internal
 */
export function importMainPath(
  path: string | undefined,
  required: boolean,
): Promise<object> | undefined {
  if (path !== undefined && path === imported) return undefined;
  setMainPath(path, { required, guarded: true });
  return path === undefined ? undefined : importMain(path);
}

/** Whether this process has imported the main module by `importMainPath`. @internal */
export function hasImportedMain(): boolean {
  return imported !== undefined;
}

async function importMain(path: string): Promise<object> {
  const url = pathToFileURL(path).href;
  const namespace = await importing(() => loadModule(url));
  rememberModule(url, namespace);
  imported = path;
  return namespace;
}

calledByChildren(runMain, _main, runLater, runProcess, leave);
