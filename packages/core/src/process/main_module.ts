/**
 * The main module: which file it is, and whether this is the process that runs it as such.
 *
 * It is the file that process.argv named when this library was loaded: a tool that runs other programs puts their names there. A
 * program that has given itself another name before that is known by its command line.
 */
import { existsSync, realpathSync } from 'node:fs';
import { isAbsolute, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  argv,
  hasFlag,
  inWorker,
  isSingleExecutable,
  OSError,
  scriptAsGiven,
  startDirectory,
} from '@multiprocessing/posix';
import { processWide } from '../base/state.ts';
import { isTestFile } from './test_runners.ts';

const state = processWide('main', () => ({
  /** What `mainPath` answers, once known; null: there is none. */
  path: undefined as string | null | undefined,
  /** True where the main module is what it is in a parent, and imported, if at all, as `__mp_main__` is in Python. */
  reimported: false,
  /** Whether the program has asked `isMain` and heard true, here or in the parent: its children import it beforehand. */
  guarded: false,
  /** Whether a message of this process has named something of the main module. */
  named: false,
  /** True in the child of an emulated fork: the functions that came over are the main module's own. */
  emulated: false,
  /** Whether the main module is CommonJS; undefined until somebody asks. */
  required: undefined as boolean | undefined,
}));

/** What stands for `import.meta` and `module` in functions that came by value. */
const carried = new WeakSet<object>();

/** @internal */
export function carryModule<T extends object>(module: T): T {
  carried.add(module);
  return module;
}

/**
 * The file of the main module; undefined for `node -e`, the REPL, and a program on stdin.
 * @internal
 */
export function mainPath(): string | undefined {
  state.path ??= findMain() ?? null;
  return state.path ?? undefined;
}

/**
 * Says which file is the main module here: in a child, its parent's.
 * @param how.required whether the program has it by `require`
 * @param how.emulated whether this is the child of an emulated fork
 * @param how.guarded what `importsMain` answers
 * @internal
 */
export function setMainPath(
  path: string | undefined,
  {
    required,
    emulated = false,
    guarded = false,
  }: { required: boolean; emulated?: boolean; guarded?: boolean },
): void {
  state.path = path ?? null;
  state.required = required;
  state.reimported = true;
  state.emulated = emulated;
  state.guarded = guarded;
}

/**
 * Whether children import the main module before they read what they are told: that of a program which knows of this by
 * `isMain`. Any other (a test runner, the container of a process manager, a program that somebody has installed) is imported
 * where a message names something of it, as every module is.
 * @internal
 */
export function importsMain(): boolean {
  const path = mainPath();
  if (path === undefined || !state.guarded) return false;
  return !/[\\/]node_modules[\\/]/.test(path) && !isTestFile(path);
}

/** Notes that a message names a module. @internal */
export function noteNamed(module: string): void {
  if (state.named || module === lastNoted) return;
  lastNoted = module;
  state.named = isMainModule(module);
}

let lastNoted: string | undefined;

/** Whether the main module is known to be of use to children. @internal */
export function isMainOfUse(): boolean {
  return importsMain() || state.named;
}

/** Whether the main module is CommonJS, so that what hooks of `require` make of it is the program. @internal */
export function isMainRequired(): boolean {
  state.required ??= mainPath() !== undefined && process.mainModule?.filename === mainPath();
  return state.required;
}

/** Whether a URL is that of the main module, with or without what a loader adds to it. @internal */
export function isMainModule(url: string): boolean {
  const path = mainPath();
  if (path === undefined || !url.startsWith('file:')) return false;
  return bare(url) === bareMain(path);
}

function bare(url: string): string {
  return url.replace(/[?#].*$/, '').replace(/\.[cm]?[jt]s$/, '');
}

let lastMain: { path: string; url: string } | undefined;

function bareMain(path: string): string {
  if (lastMain?.path !== path) lastMain = { path, url: bare(pathToFileURL(path).href) };
  return lastMain.url;
}

/** Whether this is the child of an emulated fork, in which the main module never runs. @internal */
export function neverImportsMain(): boolean {
  return state.emulated;
}

/** Whether this process was launched by spawn or forkserver, and so only imports the main module. @internal */
export function isChildProcess(): boolean {
  return state.reimported;
}

/** Whether the program came on stdin, where nobody can read it once more. @internal */
export function isOnStdin(): boolean {
  return (
    mainPath() === undefined &&
    !hasFlag(EVALUATES) &&
    (process as { _eval?: unknown })._eval !== undefined
  );
}

const EVALUATES = /^(-e|--eval|-p|--print|-pe)(=|$)/;

/** Whether the program is no file: what `node -e`, the REPL, and a program on stdin are. */
function isNoFile(): boolean {
  // Node keeps here what it has been given, or has read from stdin; `-` stands for that.
  if ((process as { _eval?: unknown })._eval !== undefined || argv[1] === '-') return true;
  return argv[1] === undefined || hasFlag(EVALUATES) || isSingleExecutable();
}

function findMain(): string | undefined {
  if (isNoFile()) return undefined;
  const named = hostedByPm2() ?? (argv[1] as string);
  return (isAbsolute(named) ? findFile(named) : undefined) ?? mainAsGiven() ?? resolve(named);
}

/**
 * pm2 starts a file of its own, which gives itself a title, and so has no command line, and loads the program that this variable
 * names. Its children have the variable, too.
 */
function hostedByPm2(): string | undefined {
  const isContainer = /[\\/]pm2[\\/]lib[\\/]ProcessContainer\w*\.js$/.test(argv[1] ?? '');
  return isContainer ? process.env.pm_exec_path : undefined;
}

/** What the command line says, whatever process.argv does. */
function mainAsGiven(): string | undefined {
  const script = hostedByPm2() ?? scriptAsGiven();
  const directory = startDirectory();
  if (script === undefined || (directory === undefined && !isAbsolute(script))) return undefined;
  return findFile(resolve(directory ?? '', script));
}

/** Node finds `node main` and `node folder` as CommonJS does, and follows links unless told not to. */
function findFile(path: string): string | undefined {
  const keepsLinks =
    process.env.NODE_PRESERVE_SYMLINKS_MAIN === '1' || hasFlag(/^--preserve-symlinks-main$/);
  const follow = keepsLinks ? (file: string) => file : realpathSync;
  try {
    const { createRequire } = process.getBuiltinModule('node:module');
    const found = createRequire(path + sep).resolve(path);
    return keepsLinks && realpathSync(path) === found ? path : follow(found);
  } catch {
    return existsSync(path) ? follow(path) : undefined;
  }
}

/** Throws if the main module's file has vanished, and a child would import it. @throws OSError @internal */
export function checkMainPath(): void {
  const path = mainPath();
  if (path !== undefined && isMainOfUse() && !existsSync(path)) {
    throw new OSError(
      2,
      `the main module is gone, a child could not import it: ENOENT, ${path}`,
      'open',
    );
  }
}

let isWarned = false;

/** A program that does nothing, in silence, is hard to understand. */
function warnOfNoFile(module: { url?: string }): void {
  if (isWarned || state.reimported) return;
  isWarned = true;
  const reason = module.url?.startsWith('data:')
    ? 'code without a file: a loader (jiti) has made it of one. Ask isMain({ filename: import.meta.filename })'
    : 'an object without url and filename: a bundler (esbuild) makes such ones of import.meta for CommonJS, and of module' +
      ' in files that are not its entry. Ask isMain(module) in the entry, or have ES modules made';
  process.emitWarning(`isMain was asked by ${reason}`, 'MultiprocessingWarning');
}

/**
 * Whether the module that asks is the program that was started: Python's `__name__ == '__main__'`. False in
 * a spawned or fork-served child, where the main module is imported again.
 * @param module `import.meta`, or CommonJS's `module`
 */
export function isMain(module: { url?: string; filename?: string }): boolean {
  if (state.reimported && !(state.emulated && carried.has(module))) return false;
  // The program is in the file of node then, and its children never get to a line of it.
  if (module.filename === process.execPath && isSingleExecutable()) return true;
  const path = module.url?.startsWith('file:') ? fileURLToPath(module.url) : module.filename;
  if (path === undefined) {
    warnOfNoFile(module);
    return false;
  }
  if (path !== mainPath()) {
    if (state.reimported || inWorker || isNoFile() || path !== mainAsGiven()) return false;
    // process.argv named another file before this library was loaded, and the one that was started asks.
    state.path = path;
  }
  state.guarded = true;
  return true;
}
