/**
 * All ways by which a value is written and read in one process, for properties about them.
 */
import * as mp from 'multiprocessing';
import { dumps, loads } from 'multiprocessing/pickle';
import { closures, dumpsForThread, ForkingPickler } from 'multiprocessing/reduction';
import { loadsFromParent } from '../../packages/core/dist/closures/closures.js';

/** Writes a value and reads it. */
export interface Way {
  /** @throws PicklingError for what cannot be sent; whatever else it throws is a fault */
  send(value: unknown): unknown;
  /** Whether it keeps what structuredClone keeps. */
  readonly whole: boolean;
  close?(): void;
}

/** The ways, each made anew. */
export function openWays(): Readonly<Record<string, Way>> {
  const [a, b] = mp.Pipe();
  const [c, d] = mp.Pipe(true, { codec: 'pickle' });
  const queue = mp.Queue();
  const simple = mp.SimpleQueue();
  queue._onQueueFeederError = (error) => {
    throw error;
  };
  const python = (protocol: number): Way => ({
    whole: false,
    send: (value) => loads(dumps(value, { protocol })),
  });
  return {
    pickle: { whole: true, send: (value) => ForkingPickler.loadsSync(ForkingPickler.dumps(value)) },
    threads: { whole: true, send: (value) => ForkingPickler.loadsSync(dumpsForThread(value)) },
    'functions by value': {
      whole: true,
      send: (value) => loadsFromParent(closures.ForkingPickler.dumps(value)),
    },
    'a connection': {
      whole: true,
      send: (value) => {
        a.sendSync(value);
        return b.recvSync();
      },
      close: () => {
        a.close();
        b.close();
      },
    },
    "a connection with Python's pickle": {
      whole: false,
      send: (value) => {
        c.sendSync(value);
        return d.recvSync();
      },
      close: () => {
        c.close();
        d.close();
      },
    },
    'a queue': {
      whole: true,
      send: (value) => {
        queue.putSync(value);
        return queue.getSync();
      },
      close: () => queue.close(),
    },
    'a simple queue': {
      whole: true,
      send: (value) => {
        simple.putSync(value);
        return simple.getSync();
      },
      close: () => simple.close(),
    },
    'protocol 2': python(2),
    'protocol 3': python(3),
    'protocol 4': python(4),
    'protocol 5': python(5),
  };
}
