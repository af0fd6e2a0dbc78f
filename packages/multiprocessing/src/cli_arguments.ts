/**
 * What the arguments of `multiprocessing trace` mean: which are its own, which are Node's, and which program is run.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect, parseArgs } from 'node:util';

/** What the user has to mend. The message is all that is said of it. */
export class Complaint extends Error {
  /** Whether the help says how it is done. */
  readonly seeHelp: boolean;

  constructor(message: string, { seeHelp = false } = {}) {
    super(message);
    this.seeHelp = seeHelp;
  }
}

/** What went wrong, without the path that Node puts behind it. */
export function reasonOf(error: unknown): string {
  return String((error as Error).message).split(/, \w+( '|$)/)[0] as string;
}

export interface TraceArguments {
  /** What is wanted instead of a trace. */
  readonly instead: 'help' | 'version' | undefined;
  /** The file for Chrome trace events. */
  readonly json: string | undefined;
  readonly nodeOptions: readonly string[];
  /** The program and its own arguments; empty if there is no program. */
  readonly command: readonly string[];
}

/** Takes the arguments behind `trace` apart. @throws Complaint for a `--json` without its file */
export function parseTraceArguments(args: string[]): TraceArguments {
  const { tokens } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean', short: 'v' },
      json: { type: 'string' },
    },
    strict: false, // Node's options are among them
    allowPositionals: true,
    tokens: true,
  });
  const nodeOptions: string[] = [];
  let json: string | undefined;
  let last = -1;
  for (const token of tokens) {
    const { index } = token;
    const text = args[index] as string;
    if (token.kind === 'option-terminator') {
      return { instead: undefined, json, nodeOptions, command: args.slice(index + 1) };
    }
    if (token.kind === 'positional') {
      if (!wantsValue(nodeOptions)) {
        return { instead: undefined, json, nodeOptions, command: args.slice(index) };
      }
      nodeOptions.push(text);
    } else if (token.name === 'help' || token.name === 'version') {
      return { instead: token.name, json, nodeOptions, command: [] };
    } else if (token.name === 'json') {
      json = token.value;
      const isOption = !token.inlineValue && json?.startsWith('-');
      if (!json || isOption) throw new Complaint('--json needs a FILE', { seeHelp: true });
    } else if (index !== last) {
      nodeOptions.push(text); // once, also where it is several short ones
    }
    last = index;
  }
  return { instead: undefined, json, nodeOptions, command: [] };
}

/** Whether the last of these options takes the next argument as its value. */
function wantsValue(nodeOptions: readonly string[]): boolean {
  const last = nodeOptions.at(-1);
  if (last === undefined || !last.startsWith('-') || last.includes('=')) return false;
  return complaintOfNode(nodeOptions)?.endsWith(`${last} requires an argument`) ?? false;
}

/** @throws Complaint if Node does not take these options */
export function checkNodeOptions(nodeOptions: readonly string[]): void {
  if (nodeOptions.length === 0) return;
  const complaint = complaintOfNode(nodeOptions);
  if (complaint !== undefined) throw new Complaint(complaint, { seeHelp: true });
}

/**
 * What Node says to options that it does not take. Only Node knows all of its own and V8's, which of them take
 * values, and which values. Asked for its version it looks at them all and runs nothing, in 4 ms.
 */
function complaintOfNode(nodeOptions: readonly string[]): string | undefined {
  const { status, stderr } = spawnSync(process.execPath, ['--version', ...nodeOptions], {
    argv0: 'node',
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status === 0) return undefined;
  // V8 has its say before, in lines of its own.
  const line = stderr.split('\n').find((text) => text.startsWith('node: '));
  return line ?? `node: bad options: ${nodeOptions.join(' ')}`;
}

/** The file that Node runs for a program: a folder stands for its index.js. @throws Complaint if there is none */
export function fileOf(program: string): string {
  const path = resolve(program);
  let file: string;
  try {
    file = createRequire(path).resolve(path);
  } catch {
    const name = inspect(program);
    if (existsSync(path)) throw new Complaint(`${name} is a folder without index.js`);
    throw new Complaint(`there is no file ${name}`);
  }
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    throw new Complaint(`cannot read ${inspect(program)}: ${reasonOf(error)}`);
  }
  return file;
}

/** Options of Node that may bring another compiler. */
const COMPILES = /^(-r|--(require|import|loader|experimental-(loader|.*-types)))(=|$)/;

/**
 * The options that make Node run a file: tsx for TypeScript, from the file's own folder or from here. None where
 * there is no tsx, and Node strips types itself or is given another compiler. @throws Complaint if Node cannot run it
 */
export function loaderFor(file: string, nodeOptions: readonly string[]): string[] {
  if (!/\.[cm]?tsx?$/.test(file)) return [];
  const tsx = findTsx([dirname(file), process.cwd()]);
  if (tsx !== undefined) return ['--import', pathToFileURL(tsx).href];
  const options = [...nodeOptions, ...(process.env.NODE_OPTIONS ?? '').split(' ')];
  if (options.some((option) => COMPILES.test(option))) return [];
  const isJsx = file.endsWith('x'); // which Node never runs
  if (!isJsx && (process.features as { typescript?: unknown }).typescript) return [];
  const remedy = isJsx ? 'install tsx' : 'install tsx, or use Node 22.18 or newer';
  throw new Complaint(`Node ${process.version} cannot run ${inspect(file)} by itself: ${remedy}`);
}

function findTsx(paths: string[]): string | undefined {
  try {
    return createRequire(import.meta.url).resolve('tsx', { paths });
  } catch {
    return undefined;
  }
}
