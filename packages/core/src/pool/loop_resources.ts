/**
 * What the event loop of a worker has: timers, sockets and the like. A forked process has its parent's among them, and never runs
 * those.
 */
import { nextTurn } from '../wait/loop_turns.ts';

/** Turns in which what a process has done at its begin comes to an end. */
const TURNS = 3;

/** How many there are of each type. */
type Counts = Map<string, number>;

function active(): Counts {
  const counts: Counts = new Map();
  for (const type of process.getActiveResourcesInfo())
    counts.set(type, (counts.get(type) ?? 0) + 1);
  return counts;
}

/** @internal */
export class LoopResources {
  /** Those of before any task. */
  readonly #inherited: Counts = new Map();

  /** To be called before anything of the program's runs here. */
  async begin(): Promise<void> {
    for (const [type, count] of active()) this.#inherited.set(type, count);
    for (let i = 0; i < TURNS; i++) {
      await nextTurn();
      this.forgetGone();
    }
  }

  /** What has ended is forgotten: another one of its type is a task's. */
  forgetGone(counts = active()): void {
    for (const [type, count] of this.#inherited)
      this.#inherited.set(type, Math.min(count, counts.get(type) ?? 0));
  }

  /** How much tasks have left that still has to be done. */
  leftBehind(): number {
    const counts = active();
    this.forgetGone(counts);
    let left = 0;
    for (const [type, count] of counts) left += count - (this.#inherited.get(type) ?? 0);
    return left;
  }
}
