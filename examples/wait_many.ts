/**
 * One process that reads from many: `wait` gives the connections that have something, and the sentinels of the processes
 * that have ended.
 *
 *     npx tsx examples/wait_many.ts
 */
import * as mp from 'multiprocessing';
import { type Connection, wait } from 'multiprocessing/connection';

export function count(connection: Connection, to: number): void {
  const { name } = mp.currentProcess();
  for (let i = 1; i <= to; i++) connection.sendSync(`${name}: ${i} of ${to}`);
  connection.close();
  process.exitCode = to;
}

if (mp.isMain(import.meta)) {
  const readers = new Map<Connection, string[]>();
  const sentinels = new Map<number, InstanceType<typeof mp.Process>>();
  for (const [i, name] of ['Ada', 'Bo', 'Cy'].entries()) {
    const [reader, writer] = mp.Pipe(false);
    const p = new mp.Process({ name, target: count, args: [writer, i + 1] });
    await p.start();
    writer.close(); // only the child has it now: when it closes it, here is the end of file
    readers.set(reader, []);
    sentinels.set(p.sentinel, p);
  }

  // Who comes first is different in each run; so it is noted, and printed by name.
  const ended: string[] = [];
  const received = [...readers.values()];
  while (readers.size + sentinels.size > 0) {
    for (const ready of await wait([...readers.keys(), ...sentinels.keys()])) {
      if (typeof ready === 'number') {
        const p = sentinels.get(ready);
        sentinels.delete(ready);
        ended.push(`${p?.name} ended with exit code ${p?.exitcode}`);
        continue;
      }
      try {
        readers.get(ready)?.push(String(await ready.recv()));
      } catch (error) {
        if (!(error instanceof mp.EOFError)) throw error;
        readers.get(ready)?.push('end of file');
        readers.delete(ready);
        ready.close();
      }
    }
  }
  for (const lines of received) console.log(lines.join(', '));
  for (const line of ended.sort()) console.log(line);
}
