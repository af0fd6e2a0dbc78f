import { basename } from 'node:path';
import type { Connection } from 'multiprocessing/connection';

export function double(writer: Connection, x: number): void {
  writer.send([basename('/a/b'), x * 2]);
  writer.close();
}
