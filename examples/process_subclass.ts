/**
 * A class derived from Process: its run() is what the child does.
 *
 *     npx tsx examples/process_subclass.ts [spawn | forkserver]
 *
 * The child gets a copy of the object: what the parent changes after start() stays in the parent. A Value is what
 * both see: shared_value_scheduler.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as mp from 'multiprocessing';

export class MyWorker extends mp.Process {
  a: number;

  constructor(a: number) {
    super({ daemon: true });
    this.a = a;
  }

  override async run(): Promise<void> {
    for (let i = 0; i < 3; i++) {
      await sleep(200);
      console.log('from worker:', this.a);
    }
  }

  addOne(): void {
    this.a += 1;
  }
}

if (mp.isMain(import.meta)) {
  const method = process.argv[2];
  if (method !== undefined) mp.setStartMethod(method);
  const worker = new MyWorker(1);
  await worker.start();
  worker.addOne();
  console.log('from scheduler:', worker.a);
  await worker.join();
}
