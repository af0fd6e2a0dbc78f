/**
 * How this program was started, taken when this library is loaded: what relative paths among its flags are relative to is the
 * working directory of that time, and a program may change that, its arguments and its environment.
 *
 *     clocks.ts      Node's timers and clocks, taken at the same time
 *     permission.ts  what Node's permission model lets this library do
 *     warning.ts     warnings that do not wait
 */
import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, normalize, resolve, sep } from 'node:path';

/** The working directory; undefined if it is gone. @internal */
export function workingDirectory(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

const atLoad = workingDirectory();

/** The flags of Node. @internal */
export const execArgv: readonly string[] = [...process.execArgv];

/** The arguments: what was run, the main module's path, and the program's own. @internal */
export const argv: readonly string[] = [...process.argv];

/** NODE_OPTIONS. @internal */
export const nodeOptions: string = process.env.NODE_OPTIONS ?? '';

/** Whether a flag of Node's without a value is on. @internal */
export function hasFlag(flag: RegExp): boolean {
  return (
    execArgv.some((arg) => flag.test(arg)) || nodeOptions.split(/\s+/).some((arg) => flag.test(arg))
  );
}

/**
 * Whether this process is a single executable: node with a program in it, which cannot be told to run another one, and takes no
 * flags. Its first argument is its own name, not a file of JavaScript.
 * @internal
 */
export function isSingleExecutable(): boolean {
  if (argv[1] === undefined || /\.[cm]?[jt]sx?$/.test(argv[1])) return false;
  return (
    (process.getBuiltinModule('node:sea') as { isSea(): boolean } | undefined)?.isSea() === true
  );
}

let given: readonly string[] | null | undefined;

/**
 * The command line behind the flags of Node, the main module first, which process.argv need not show any more; undefined where
 * that cannot be read, or not be told from the flags.
 * @internal
 */
export function wordsAsGiven(): readonly string[] | undefined {
  given ??= findWords() ?? null;
  return given ?? undefined;
}

/** The main module as it stands there. @internal */
export function scriptAsGiven(): string | undefined {
  return wordsAsGiven()?.[0];
}

function findWords(): string[] | undefined {
  let line: string[];
  try {
    line = readFileSync('/proc/self/cmdline', 'utf8').split('\0').slice(0, -1);
  } catch {
    return undefined; // not Linux
  }
  // A process that has set its title has written over its arguments.
  if (![process.argv0, ...execArgv].every((word, i) => line[i] === word)) return undefined;
  const words = line.slice(execArgv.length + 1);
  if (words[0] === '--') words.shift();
  return words[0] === '' ? undefined : words;
}

let start: string | undefined;

/**
 * The directory in which this program was started. One that has changed it before it loaded this library is found out by the
 * path of its main module, which Node made absolute.
 * @returns undefined if it was gone
 * @internal
 */
export function startDirectory(): string | undefined {
  start ??= directoryOf(argv[1], scriptAsGiven()) ?? atLoad;
  return start;
}

function directoryOf(path = '', script = '/'): string | undefined {
  if (isAbsolute(script)) return undefined;
  const end = sep + normalize(script);
  if (path.endsWith(end)) return path.slice(0, -end.length) || sep;
  // In a worker thread, or with the path edited or full of `..`: where the shell was.
  const directories = [atLoad, process.env.PWD].filter((directory) => directory !== undefined);
  return directories.find((directory) => existsSync(resolve(directory, script)));
}

/** In a child, whose program was started by somebody else. @internal */
export function setStartDirectory(directory: string | undefined): void {
  start = directory;
}
