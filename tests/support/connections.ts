/**
 * Connections that a test makes; closed after it.
 */
import { type Connection, Pipe } from 'multiprocessing/connection';
import { afterEach } from 'vitest';

const open: Connection[] = [];

/** Has connections closed after the test. */
export function keep<T extends Connection[]>(...connections: T): T {
  open.push(...connections);
  return connections;
}

/** Both ends of a pipe. */
export function pair(duplex = true): [Connection, Connection] {
  return keep(...Pipe(duplex));
}

afterEach(() => {
  for (const connection of open.splice(0)) connection.close();
});
