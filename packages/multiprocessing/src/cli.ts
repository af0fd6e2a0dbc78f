/**
 * `multiprocessing trace [--json FILE] main.ts [args]`: runs a program and shows the life of its processes.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import type { TraceEvent } from '@multiprocessing/core';
import { TRACE_FILE } from './tracing.ts';

const USAGE = `usage: multiprocessing trace [--json FILE] [node options] PROGRAM [arguments]

Runs PROGRAM (.ts programs by tsx, where Node does not run them itself) and prints the life of its
processes, one line an event: milliseconds, process, layer, event, what belongs to it.

  --json FILE   write Chrome trace events instead, which https://ui.perfetto.dev opens
`;

async function main(args: string[]): Promise<number> {
  const [command, ...rest] = args;
  if (command !== 'trace') {
    process.stderr.write(USAGE);
    return command === '--help' || command === '-h' ? 0 : 2;
  }
  let json: string | undefined;
  if (rest[0] === '--json') {
    json = rest[1];
    rest.splice(0, 2);
  }
  const program = rest.find((arg) => !arg.startsWith('-'));
  if (program === undefined || (json === undefined && args.includes('--json'))) {
    process.stderr.write(USAGE);
    return 2;
  }
  if (!existsSync(program)) {
    process.stderr.write(`multiprocessing trace: there is no file ${program}\n`);
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), 'mp-trace-'));
  try {
    const file = join(folder, 'events');
    writeFileSync(file, '');
    const code = await run([...loaderFor(program), ...rest], file);
    const events = readEvents(file);
    if (json === undefined) printEvents(events);
    else writeFileSync(json, JSON.stringify({ traceEvents: chromeEvents(events) }));
    return code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs the program on our own streams. @returns its exit code, as a shell counts it */
function run(nodeArgs: string[], file: string): Promise<number> {
  const child = spawn(process.execPath, nodeArgs, {
    stdio: 'inherit',
    env: { ...process.env, [TRACE_FILE]: file },
  });
  // ^C is for the program; we still have its events to show.
  process.on('SIGINT', () => {});
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('exit', (code, signal) =>
      done(code ?? 128 + constants.signals[signal ?? 'SIGKILL']),
    );
  });
}

/** tsx for TypeScript, found from the program's folder; nothing where Node strips types itself. */
function loaderFor(program: string): string[] {
  if (!/\.[cm]?tsx?$/.test(program)) return [];
  try {
    const tsx = createRequire(pathToFileURL(resolve(program))).resolve('tsx');
    return ['--import', pathToFileURL(tsx).href];
  } catch {
    return [];
  }
}

function readEvents(file: string): TraceEvent[] {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const events = lines.map((line) => JSON.parse(line) as TraceEvent);
  return events.sort((a, b) => a.time - b.time);
}

function printEvents(events: readonly TraceEvent[]): void {
  const start = events[0]?.time ?? 0;
  for (const { time, pid, name, layer, event, detail } of events) {
    const details = Object.entries(detail).map(([key, value]) => `${key}=${inspect(value)}`);
    const columns = [
      (time - start).toFixed(2).padStart(9),
      String(pid).padStart(7),
      name.padEnd(14),
      layer.padEnd(16),
      event.padEnd(13),
      ...details,
    ];
    process.stdout.write(`${columns.join(' ').trimEnd()}\n`);
  }
}

interface ChromeEvent {
  name: string;
  cat: string;
  ph: string;
  /** Microseconds. */
  ts: number;
  pid: number;
  tid: number;
  s?: string;
  args: Readonly<Record<string, unknown>>;
}

/** The events in the Trace Event Format: an instant for each, and a slice from `bootstrap` to `exit`. */
function chromeEvents(events: readonly TraceEvent[]): ChromeEvent[] {
  const slices: Record<string, string> = { bootstrap: 'B', exit: 'E' };
  const names = new Map(events.map(({ pid, name }) => [pid, name]));
  const meta = [...names].map(([pid, name]): ChromeEvent => {
    return {
      name: 'process_name',
      cat: '__metadata',
      ph: 'M',
      ts: 0,
      pid,
      tid: pid,
      args: { name },
    };
  });
  const all = events.map(({ layer, event, name, pid, time, detail }): ChromeEvent => {
    const base = { cat: layer, ts: time * 1000, pid, tid: pid, args: { process: name, ...detail } };
    const phase = slices[event];
    if (phase !== undefined) return { ...base, name, ph: phase };
    return { ...base, name: `${layer}.${event} ${name}`, ph: 'i', s: 'p' };
  });
  return [...meta, ...all];
}

process.exitCode = await main(process.argv.slice(2));
