/**
 * The end of a manager's process, whoever sees to it; `BaseManager._finalize_manager` of multiprocessing/managers.py.
 */
import { rmSync } from 'node:fs';
import type { Address } from '../connection/addresses.ts';
import type { BaseProcess } from '../process/process.ts';
import { info } from '../util/logging.ts';
import type { Link } from './link.ts';
import { forgetManager } from './links.ts';
import { State } from './token.ts';

/** What is left to be done for a manager that was started. @internal */
export interface Started {
  readonly process: BaseProcess;
  readonly address: Address;
  readonly chosen: string | undefined;
  readonly link: () => Link;
  readonly state: State;
  readonly timeout: number;
}

/** At the end of the process, when nobody has the manager any more, and for `shutdownSync`. @internal */
export function finalizeManager({ process, address, chosen, link, state, timeout }: Started): void {
  if (process.isAlive()) {
    info('sending shutdown message to manager');
    link().shutDownSync(timeout);
    for (const harder of [() => {}, () => process.terminate(), () => process.kill()]) {
      harder();
      process.joinSync(timeout);
      if (!process.isAlive()) break;
      info('manager still alive');
    }
    process.joinSync();
  }
  state.value = State.SHUTDOWN;
  forget(address, chosen);
}

/** Forgets a manager that has ended, and removes the socket of one that was killed. @internal */
export function forget(address: Address, chosen: string | undefined): void {
  forgetManager(address);
  if (chosen !== undefined) rmSync(chosen, { force: true });
}
