/**
 * A scheduler changes a number that its workers print: a shared Value, which both sides see.
 *
 *     npx tsx examples/shared_value_scheduler.ts
 *
 * (process_subclass.ts is the same with an ordinary field, of which each worker has a copy.) The workers are daemons:
 * they end with the program. Here a barrier keeps the order of what is printed the same each time.
 */
import * as mp from 'multiprocessing';
import type { Synchronized } from 'multiprocessing/sharedctypes';
import type { Barrier } from 'multiprocessing/synchronize';

export class MyWorker extends mp.Process {
  a: Synchronized<number>;
  turn: Barrier;

  constructor(a: Synchronized<number>, turn: Barrier) {
    super({ daemon: true });
    this.a = a;
    this.turn = turn;
  }

  override async run(): Promise<void> {
    for (;;) {
      await this.turn.wait();
      console.log('from worker:', this.a.value);
      await this.turn.wait();
    }
  }
}

class Scheduler {
  readonly workers: MyWorker[];
  readonly turn: Barrier;

  constructor(numWorkers = 1) {
    const turn = mp.Barrier(numWorkers + 1);
    this.turn = turn;
    this.workers = Array.from({ length: numWorkers }, () => new MyWorker(mp.Value('i', 1), turn));
  }

  async start(): Promise<void> {
    for (const worker of this.workers) await worker.start();
    for (let i = 0; i < 2; i++) {
      for (const worker of this.workers) {
        worker.a.value += 1;
        console.log('from scheduler:', worker.a.value);
      }
      await this.turn.wait(); // now the workers print
      await this.turn.wait(); // they have
    }
  }
}

if (mp.isMain(import.meta)) await new Scheduler(2).start();
