/**
 * What is done once beforehand, so that V8 has compiled it when children do it: in the forkserver, which they are copies of, and in
 * the parent of spawned ones, whose compiled code they get. No counterpart in CPython.
 */
import {
  BaseProcess,
  currentProcess,
  type EmulatedBy,
  ForkingPickler,
  getSpawningPopen,
  getSpawningProcess,
  importsMain,
  loadsFromParent,
  nameExports,
  rehearsalMessage,
  rehearseTurn,
  type StartMethod,
  setSpawningPopen,
  table,
} from '@multiprocessing/core';
import { close } from '@multiprocessing/posix';
import { writeAnonymousFile } from './anonymous_file.ts';
import { getPreparationData, hasImportedMain, readProcess } from './spawn.ts';

/**
 * How often V8 has to see a function until it keeps what it has learnt about it, and has optimized the hottest: one that is
 * only about to be would be compiled in each child, for 3 ms.
 */
const TIMES = 30;

/**
 * Has the forkserver do once what its children begin with, so that V8 has compiled it and knows its ways. It changes
 * nothing: this process is prepared to be what it is.
 * @internal
 */
export async function rehearse(emulates: boolean): Promise<void> {
  await rehearseTurn();
  if (!emulates && importsMain() && !hasImportedMain()) return; // prepare() would import the main module
  const emulatedBy = emulates ? ('forkserver' as const) : undefined;
  const pickled = rehearsals('forkserver', emulatedBy);
  for (let i = 0; i < TIMES; i++) {
    const fd = writeAnonymousFile(pickled());
    try {
      await readProcess(fd);
    } finally {
      close(fd);
    }
    if (emulates) await loadsFromParent(rehearsalMessage());
  }
}

/**
 * Reads once in this process what spawned children read, so that V8's compiled code of it is in what children get
 * (code_cache.ts): some fifty functions, which took each child 0.6 ms to compile.
 * @internal
 */
export function practise(): void {
  const [data, object] = rehearsals('spawn', 'forkserver')();
  loadsFromParent(data);
  loadsFromParent(object);
}

/** A maker of messages for a child that changes nothing. */
function rehearsals(method: StartMethod, emulatedBy: EmulatedBy | undefined) {
  const { counter } = table;
  const self = new Rehearsal({ target: rehearsed });
  table.counter = counter;
  const popen = { method, emulatedBy, duplicateForChild: () => 0 };
  const preparation = getPreparationData(currentProcess().name, popen);
  // What is logged, and where to, is no matter of rehearsal: each time would add to it.
  const data = { ...preparation, logToStderr: false, logLevel: undefined };
  return (): [Uint8Array, Uint8Array] => {
    const outer = [getSpawningPopen(), getSpawningProcess()] as const;
    setSpawningPopen(popen);
    try {
      return [ForkingPickler.dumps(data), ForkingPickler.dumps(self)];
    } finally {
      setSpawningPopen(...outer);
    }
  };
}

class Rehearsal extends BaseProcess {}

function rehearsed(): void {}

nameExports(import.meta.url, { Rehearsal, rehearsed });
