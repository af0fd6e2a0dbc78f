/** What a topic is, and how its programs are installed and run. */
import { spawn } from 'node:child_process';
import type { Table } from '../../benchmarks/table.ts';
import { check } from '../package/check.ts';
import { add, type Manager, tarball, writeSettings } from '../package/projects.ts';
import { running } from '../support/programs.ts';

interface Visit {
  /** A folder for its projects. */
  readonly scratch: string;
  /** The program that is node. */
  readonly node: string;
  /** What of it is asked for; all, if there are none. */
  readonly words: readonly string[];
}

export interface Topic {
  /** Runs the topic's checks. @returns a table for the docs, if it makes one */
  run(visit: Visit): Promise<Table | undefined>;
}

/** Installs the packed library and other packages in a project, as a check. @returns whether they are there */
export async function install(
  project: string,
  packages: Readonly<Record<string, string>>,
  manager: Manager = 'npm',
): Promise<boolean> {
  let done = false;
  const names = ['multiprocessing', ...Object.keys(packages)].join(', ');
  await check(`installed by ${manager}: ${names}`, async () => {
    writeSettings(manager, project);
    add(manager, project, { multiprocessing: `file:${tarball}`, ...packages });
    done = true;
  });
  return done;
}

/** Runs a command in a project. @returns what it prints, stderr behind stdout @throws unless it ends with exit code 0 */
export async function outputOf(
  project: string,
  command: string,
  args: readonly string[],
): Promise<string> {
  const child = spawn(command, args, { cwd: project, stdio: ['ignore', 'pipe', 'pipe'] });
  const { code, signal, stdout, stderr } = await running(child).outcome;
  if (code !== 0) throw new Error(`${code ?? signal}\n${stdout}${stderr}`);
  return stdout + stderr;
}
