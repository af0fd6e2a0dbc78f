/** What a topic is made of, and how its programs are run. */
import { spawn } from 'node:child_process';
import { running } from '../support/programs.ts';

export interface Topic {
  /** What is installed beside the library, by name: versions that were tried. */
  readonly packages: Readonly<Record<string, string>>;
  /** Runs the topic's checks in a project that has its programs and packages. */
  checks(project: string): Promise<void>;
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
