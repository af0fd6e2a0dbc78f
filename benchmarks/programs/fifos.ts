/**
 * Two FIFOs between a parent and its children: `ready`, on which a child says that it runs, and `gate`, which it
 * reads to go on.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Fifos {
  readonly ready: string;
  readonly gate: string;
  /** The parent's ends, open for reading and writing: no child has to wait in open(). */
  readonly readyFd: number;
  readonly gateFd: number;
  close(): void;
}

export function makeFifos(): Fifos {
  const folder = mkdtempSync(join(tmpdir(), 'mp-bench-'));
  const [ready, gate] = [join(folder, 'ready'), join(folder, 'gate')] as const;
  execFileSync('mkfifo', [ready, gate]);
  const [readyFd, gateFd] = [openSync(ready, 'r+'), openSync(gate, 'r+')] as const;
  const close = () => {
    closeSync(readyFd);
    closeSync(gateFd);
    rmSync(folder, { recursive: true });
  };
  return { ready, gate, readyFd, gateFd, close };
}
