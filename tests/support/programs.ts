/**
 * Runs the programs in tests/fixtures/programs as main modules of their own.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Method } from './start_methods.ts';

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  /** Node options. */
  readonly execArgv?: readonly string[];
  /** The start method that it uses: for fork it gets the option that makes it able to. */
  readonly method?: Method;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdio?: StdioOptions;
  /** Written to its stdin, which is closed then. */
  readonly input?: string;
  /** Whether it leads a process group of its own. */
  readonly detached?: boolean;
}

export interface Running {
  readonly child: ChildProcess;
  /** Settles when it has ended and every process that holds its stdout or stderr has, too. */
  readonly outcome: Promise<Outcome>;
}

/** The path of a compiled program. */
function programPath(name: string): string {
  return fileURLToPath(new URL(`../fixtures/dist/programs/${name}.js`, import.meta.url));
}

/** What runs a program by its name in tests/fixtures/programs, or by an absolute path. */
export function nodeCommand(
  name: string,
  args: readonly string[] = [],
  { execArgv = [], method }: ProgramOptions = {},
): [string, ...string[]] {
  const flags = method === 'fork' ? ['--single-threaded', ...execArgv] : execArgv;
  const path = name.startsWith('/') ? name : programPath(name);
  return [process.execPath, ...flags, path, ...args];
}

/** Starts it. */
export function startProgram(
  name: string,
  args: readonly string[] = [],
  options: ProgramOptions = {},
): Running {
  const { env = {}, stdio, input, detached = false } = options;
  const [node, ...nodeArgs] = nodeCommand(name, args, options);
  const child = spawn(node, nodeArgs, {
    env: { ...process.env, ...env },
    stdio: stdio ?? ['pipe', 'pipe', 'pipe'],
    detached,
  });
  child.stdin?.end(input);
  return running(child);
}

/** A child, with what it says in the end. */
export function running(child: ChildProcess): Running {
  return { child, outcome: outcomeOf(child) };
}

/** Runs a program to its end. */
export function runProgram(
  name: string,
  args?: readonly string[],
  options?: ProgramOptions,
): Promise<Outcome> {
  return startProgram(name, args, options).outcome;
}

/** Runs `node ...args` to its end. */
export function runNode(args: readonly string[], options: ProgramOptions = {}): Promise<Outcome> {
  const child = spawn(process.execPath, args, { env: { ...process.env, ...options.env } });
  child.stdin.end(options.input);
  return outcomeOf(child);
}

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
    });
  }
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, ...text };
}
