/**
 * `_ParentProcess` of multiprocessing/process.py: the parent, as its child sees it.
 */

import { table } from '../base/process_table.ts';
import { wait, waitSync } from '../base/wait_fds.ts';
import { BaseProcess } from './process.ts';

/** What `parentProcess()` returns. */
export class ParentProcess extends BaseProcess {
  readonly #pid: number | undefined;
  readonly #sentinel: number;

  constructor(name: string | undefined, pid: number | undefined, sentinel: number) {
    super({ name: name ?? 'MainProcess' });
    table.counter--; // it is no child of this process
    this._identity = [];
    this._parentPid = undefined;
    this._config = {};
    this.#pid = pid;
    this.#sentinel = sentinel;
  }

  override isAlive(): boolean {
    return waitSync([this.#sentinel], 0).length === 0;
  }

  override get ident(): number | undefined {
    return this.#pid;
  }

  /** An fd number that `wait` finds ready once the parent has ended. */
  override get sentinel(): number {
    return this.#sentinel;
  }

  /** Waits until the parent has ended. @param timeout seconds */
  override async join(timeout?: number): Promise<void> {
    await wait([this.#sentinel], timeout);
  }

  override joinSync(timeout?: number): void {
    waitSync([this.#sentinel], timeout);
  }
}
