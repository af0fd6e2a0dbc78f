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
  OSError,
  scriptAsGiven,
  startDirectory,
} from '@multiprocessing/posix';
import { processWide } from '../base/state.ts';

const state = processWide('main', () => ({
  /** What `mainPath` answers, once known; null: there is none. */
  path: undefined as string | null | undefined,
  /** True where the main module is imported as `__mp_main__` is in Python. */
  reimported: false,
  /** True in the child of an emulated fork: the functions that came over are the main module's own. */
  emulated: false,
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
 * @param emulated whether this is the child of an emulated fork
 * @internal
 */
export function setMainPath(path: string | undefined, emulated = false): void {
  state.path = path ?? null;
  state.reimported = true;
  state.emulated = emulated;
}

/** Whether a URL is that of the main module, with or without what a loader adds to it. @internal */
export function isMainModule(url: string): boolean {
  const path = mainPath();
  if (path === undefined || !url.startsWith('file:')) return false;
  const bare = (name: string) => name.replace(/[?#].*$/, '').replace(/\.[cm]?[jt]s$/, '');
  return bare(url) === bare(pathToFileURL(path).href);
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
  return argv[1] === undefined || hasFlag(EVALUATES);
}

function findMain(): string | undefined {
  if (isNoFile()) return undefined;
  const named = argv[1] as string;
  return (isAbsolute(named) ? findFile(named) : undefined) ?? mainAsGiven() ?? resolve(named);
}

/** What the command line says, whatever process.argv does. */
function mainAsGiven(): string | undefined {
  const script = scriptAsGiven();
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

/** Throws if the main module's file has vanished: a child could not import it. @throws OSError @internal */
export function checkMainPath(): void {
  const path = mainPath();
  if (path !== undefined && !existsSync(path)) {
    throw new OSError(
      2,
      `the main module is gone, a child could not import it: ENOENT, ${path}`,
      'open',
    );
  }
}

/**
 * Whether the module that asks is the program that was started: Python's `__name__ == '__main__'`. False in
 * a spawned or fork-served child, where the main module is imported again.
 * @param module `import.meta`, or CommonJS's `module`
 */
export function isMain(module: { url?: string; filename?: string }): boolean {
  if (state.reimported && !(state.emulated && carried.has(module))) return false;
  const path = module.url?.startsWith('file:') ? fileURLToPath(module.url) : module.filename;
  if (path === undefined) return false;
  if (path === mainPath()) return true;
  if (state.reimported || inWorker || isNoFile() || path !== mainAsGiven()) return false;
  // process.argv named another file before this library was loaded, and the one that was started asks.
  state.path = path;
  return true;
}
