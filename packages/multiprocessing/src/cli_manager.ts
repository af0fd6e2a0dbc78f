/**
 * `multiprocessing manager`: a SyncManager for several programs, until it is told to end.
 */
import { readFileSync } from 'node:fs';
import { inspect, parseArgs } from 'node:util';
import type * as managers from '@multiprocessing/core/managers/managers';
import { Complaint, reasonOf } from './cli_arguments.ts';

export const MANAGER_HELP = `usage: multiprocessing manager --authkey-file FILE [--address ADDRESS] [--serializer pickle]

Serves lists, dicts, queues, locks and the like to several programs: a SyncManager, which they connect to. It prints
its address, and ends on SIGTERM and SIGINT.

  --address ADDRESS     HOST:PORT, a path, or @NAME for an abstract one; a free port of 127.0.0.1, without
  --authkey-file FILE   the key that clients have to prove to hold: the bytes of this file
  --serializer NAME     'pickle' for Python programs, 'node' (default) for those of this library
  -h, --help            show this help
`;

/** The address that a text means. @throws Complaint */
function addressOf(text: string): string | [string, number] {
  if (text.startsWith('@')) return `\0${text.slice(1)}`;
  const found = /^(?:\[(?<six>[^\]]*)\]|(?<host>[^/:]*)):(?<port>\d+)$/.exec(text)?.groups;
  if (found === undefined) return text;
  const port = Number(found.port);
  if (port > 65535) throw new Complaint(`--address: there is no port ${port}`);
  return [found.six ?? found.host ?? '', port];
}

function readKey(file: string): Uint8Array {
  let key: Uint8Array;
  try {
    key = readFileSync(file);
  } catch (error) {
    throw new Complaint(`cannot read ${inspect(file)}: ${reasonOf(error)}`);
  }
  if (key.length === 0)
    throw new Complaint(`${inspect(file)} is empty: everybody holds such a key`);
  return key;
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        help: { type: 'boolean', short: 'h' },
        address: { type: 'string' },
        'authkey-file': { type: 'string' },
        serializer: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new Complaint((error as Error).message.split('. ')[0] as string, { seeHelp: true });
  }
}

/**
 * Serves until a signal comes.
 * @param write prints a text
 * @returns the exit code
 * @throws Complaint
 */
export async function manager(
  args: string[],
  write: (text: string) => Promise<unknown>,
): Promise<number> {
  const { help, address = '127.0.0.1:0', serializer = 'node', ...rest } = parse(args);
  if (help) {
    await write(MANAGER_HELP);
    return 0;
  }
  const file = rest['authkey-file'];
  if (file === undefined) throw new Complaint('--authkey-file is missing', { seeHelp: true });
  if (serializer !== 'node' && serializer !== 'pickle')
    throw new Complaint(`--serializer: there is no ${inspect(serializer)}`, { seeHelp: true });
  const at = addressOf(address);
  const authkey = readKey(file);
  // What programs load, and only where it is needed.
  const library = new URL('./bundle/managers.js', import.meta.url).href;
  const { SyncManager } = (await import(library)) as typeof managers;
  let server: managers.Server;
  try {
    const options = { address: at, authkey, serializer } as const;
    server = new SyncManager(options).getServer();
  } catch (error) {
    throw new Complaint(`cannot serve at ${address}: ${(error as Error).message}`);
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => server.stop());
  const serves = server.serveForever();
  await write(`${textOf(server.address)}\n`);
  await serves;
  return 0;
}

/** An address as `--address` takes it. */
function textOf(address: string | readonly [string, number]): string {
  if (typeof address === 'string') return address.replace('\0', '@');
  const [host, port] = address;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
