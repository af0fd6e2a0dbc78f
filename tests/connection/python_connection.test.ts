/**
 * CPython at the other end of a connection: its Client at this library's Listener, and the other way round.
 */
import { once } from 'node:events';
import {
  type Address,
  answerChallenge,
  Client,
  ClientSync,
  type Connection,
  Listener,
  type ListenerOptions,
} from 'multiprocessing/connection';
import { getTempDir } from 'multiprocessing/util';
import { afterEach, describe, expect, test } from 'vitest';
import { errorOf } from '../fixtures/dist/targets.js';
import { findPythons, type Python } from '../support/python.ts';
import { scratchFile } from '../support/scratch.ts';

const { pythons, reasons } = findPythons();
for (const reason of reasons) console.warn(`a Python is not there: ${reason}`);
if (pythons.length === 0) console.warn('no tests with Python at the other end');

getTempDir(); // it stays until the end of the process

const open: { close(): void }[] = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});

function track<T extends { close(): void }>(thing: T): T {
  open.push(thing);
  return thing;
}

/** What the other end does: connects or listens, and sends everything back until it is told to stop. */
const program = `
import json, sys
from multiprocessing.connection import Client, Listener
role, address, key, what = json.loads(sys.argv[1])
address = tuple(address) if isinstance(address, list) else address
key = None if key is None else bytes.fromhex(key)
if role == 'client':
    c = Client(address, authkey=key)
else:
    l = Listener(address, authkey=key, backlog=4)
    print(json.dumps(l.address.decode() if isinstance(l.address, bytes) else l.address), flush=True)
    while True:
        try:
            c = l.accept()
            break
        except Exception as e:
            print(json.dumps([type(e).__name__, str(e)]), flush=True)
try:
    while True:
        if what == 'bytes':
            c.send_bytes(c.recv_bytes())
        elif what == 'objects':
            o = c.recv()
            c.send((repr(o), o))
        else:
            c.send_bytes(b'early')
            c.recv_bytes()
except EOFError:
    print(json.dumps('end'), flush=True)
`;

type What = 'bytes' | 'objects' | 'nothing';

function start(
  python: Python,
  role: 'client' | 'listener',
  address: Address,
  key?: Uint8Array,
  what: What = 'bytes',
) {
  const hex = key === undefined ? null : Buffer.from(key).toString('hex');
  const { child, outcome } = python.start(program, JSON.stringify([role, address, hex, what]));
  let text = '';
  child.stdout?.on('data', (chunk: string) => {
    text += chunk;
  });
  /** The next thing that it prints. */
  const line = async (): Promise<unknown> => {
    while (!text.includes('\n')) await once(child.stdout as NodeJS.ReadableStream, 'data');
    const end = text.indexOf('\n');
    const value = JSON.parse(text.slice(0, end)) as unknown;
    text = text.slice(end + 1);
    return value;
  };
  return { outcome, line };
}

type Started = ReturnType<typeof start>;

const kinds: [kind: string, address: () => Address][] = [
  ['TCP', () => ['localhost', 0]],
  ['a Unix socket', () => scratchFile('socket')],
  ['an abstract name', () => `\0mp-test-${process.pid}-${counter++}`],
];
let counter = 0;
const key = Buffer.from([0, 255, 1, 128, 10]);

/** The two ends of a connection with Python, made in both ways, with and without a key. */
async function* pairs(
  python: Python,
  address: Address,
  what: What,
  options: Pick<ListenerOptions, 'codec'> = {},
): AsyncGenerator<[Connection, Started]> {
  for (const authkey of [undefined, key]) {
    const listener = track(new Listener(address, { ...options, authkey }));
    const client = start(python, 'client', listener.address, authkey, what);
    yield [track(await listener.accept()), client];
    listener.close();
    const server = start(python, 'listener', address, authkey, what);
    yield [track(await Client((await server.line()) as Address, { ...options, authkey })), server];
  }
}

async function finish(connection: Connection, { outcome }: Started): Promise<void> {
  connection.close();
  const { code, stderr, stdout } = await outcome;
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/"end"\n$/);
}

describe.each(pythons)('$label', (python) => {
  test.each(kinds)(
    'messages go both ways: %s',
    async (_, address) => {
      for await (const [connection, other] of pairs(python, address(), 'bytes')) {
        for (const size of [0, 1, 16_383, 16_384, 16_385, 1_000_000]) {
          const message = Buffer.alloc(size, 'abcdefghijklm');
          await connection.sendBytes(message);
          expect(message.equals(await connection.recvBytes())).toBe(true);
          if (size > 100_000) continue; // both ends would block
          connection.sendBytesSync(message);
          expect(message.equals(connection.recvBytesSync())).toBe(true);
        }
        await finish(connection, other);
      }
    },
    120_000,
  );

  test('the blocking twins shake hands with it, too', async () => {
    const server = start(python, 'listener', ['localhost', 0], key);
    const connection = track(
      ClientSync((await server.line()) as Address, { authkey: key, authTimeout: 30 }),
    );
    connection.sendBytesSync(Buffer.from('sync'));
    expect(Buffer.from(connection.recvBytesSync()).toString()).toBe('sync');
    await finish(connection, server);
    const listener = track(new Listener(undefined, { authkey: key }));
    const client = start(python, 'client', listener.address, key);
    const accepted = track(listener.acceptSync());
    await accepted.sendBytes(Buffer.from('accepted'));
    expect(Buffer.from(await accepted.recvBytes()).toString()).toBe('accepted');
    await finish(accepted, client);
  });

  test('its client does not hold the key', async () => {
    const listener = track(new Listener(undefined, { authkey: key }));
    const client = start(python, 'client', listener.address, Buffer.from('wrong'));
    expect(await errorOf(() => listener.accept())).toMatchObject({
      name: 'AuthenticationError',
      message: 'digest received was wrong',
    });
    const { code, stderr } = await client.outcome;
    expect(code).toBe(1);
    expect(stderr).toContain('AuthenticationError: digest sent was rejected');
    const careless = start(python, 'client', listener.address, undefined, 'nothing');
    expect(await errorOf(() => listener.accept())).toMatchObject({ name: 'AuthenticationError' });
    expect((await careless.outcome).code).not.toBe(null);
    const friend = start(python, 'client', listener.address, key);
    await finish(track(await listener.accept()), friend);
  });

  test('its listener refuses a wrong key, and a wrong listener is refused', async () => {
    const server = start(python, 'listener', ['localhost', 0], key);
    const address = (await server.line()) as Address;
    for (const client of [Client, ClientSync]) {
      expect(await errorOf(() => client(address, { authkey: Buffer.from('no') }))).toMatchObject({
        name: 'AuthenticationError',
        message: 'digest sent was rejected',
      });
      expect(await server.line()).toEqual(['AuthenticationError', 'digest received was wrong']);
    }
    await finish(track(await Client(address, { authkey: key })), server);
  });

  test('a message of 100 MB comes back as it went', async () => {
    const message = Buffer.alloc(100_000_000);
    for (let i = 0; i < message.length; i += 4096) message.writeUInt32LE(i, i);
    const listener = track(new Listener());
    const client = start(python, 'client', listener.address);
    const connection = track(await listener.accept());
    await connection.sendBytes(message);
    expect(message.equals(await connection.recvBytes())).toBe(true);
    await finish(connection, client);
  }, 120_000);

  test('10,000 small messages come back in order', async () => {
    const listener = track(new Listener(['localhost', 0], { authkey: key }));
    const client = start(python, 'client', listener.address, key);
    const connection = track(await listener.accept());
    const sent = (async () => {
      for (let i = 0; i < 10_000; i++) await connection.sendBytes(Buffer.from(String(i)));
    })();
    for (let i = 0; i < 10_000; i++) {
      const message = Buffer.from(await connection.recvBytes()).toString();
      if (message !== String(i)) expect(message).toBe(String(i));
    }
    await sent;
    await finish(connection, client);
  }, 120_000);

  const codec = 'pickle';
  const noPickle = errorOfCodec(codec);
  if (noPickle) console.warn(`no objects with ${python.label}: ${noPickle}`);

  test.skipIf(noPickle)(
    'objects go both ways by the pickle codec',
    async () => {
      for await (const [connection, other] of pairs(python, ['localhost', 0], 'objects', {
        codec,
      })) {
        for (const [value, repr] of [
          [null, 'None'],
          [true, 'True'],
          [7, '7'],
          [1.5, '1.5'],
          ['h\u00e9 \u{1f600}', "'h\u00e9 \u{1f600}'"],
          [[1, [2, 'x']], "[1, [2, 'x']]"],
        ]) {
          await connection.send(value);
          const [theirs, ours] = (await connection.recv()) as [string, unknown];
          expect([theirs, ours]).toEqual([repr, value]);
        }
        await finish(connection, other);
      }
    },
    120_000,
  );

  const noResponse = knowsMD5Alone(python);
  if (noResponse) console.warn(`no vectors of ${python.label}: it knows MD5 alone`);

  test.skipIf(noResponse)('the answers are those of its _create_response', async () => {
    const { stdout, stderr } = python.run(
      `
import json, os, sys
from multiprocessing.connection import _create_response
out = []
for digest in ['', 'md5', 'sha256', 'sha384', 'sha3_256', 'sha3_384']:
    for size in (1, 5, 64, 65, 200):
        key = os.urandom(size)
        message = (b'{%s}' % digest.encode() if digest else b'') + os.urandom(40 if digest else 20)
        out.append([key.hex(), message.hex(), _create_response(key, message).hex()])
print(json.dumps(out))
`,
    );
    expect(stderr).toBe('');
    const digests = ['md5', 'sha256', 'sha384', 'sha3_256', 'sha3_384'];
    const vectors = JSON.parse(stdout) as [string, string, string][];
    expect(vectors).toHaveLength(30);
    for (const [secret, message, expected] of vectors) {
      const said: string[] = [];
      const incoming = [
        Buffer.concat([Buffer.from('#CHALLENGE#'), Buffer.from(message, 'hex')]),
        Buffer.from('#WELCOME#'),
      ];
      await answerChallenge(
        {
          sendBytes: (bytes) => said.push(Buffer.from(bytes).toString('hex')),
          recvBytes: () => incoming.shift() as Buffer,
        },
        Buffer.from(secret, 'hex'),
        { digests },
      );
      expect(said).toEqual([expected]);
    }
  });
});

/** Whether it is older than the handshake with digests. */
function knowsMD5Alone({ label }: Python): boolean {
  return !/^Python 3\.(1[2-9]|[2-9]\d)/.test(label);
}

/** Why a codec cannot be used; nothing when it can. */
function errorOfCodec(codec: 'pickle'): string | undefined {
  try {
    new Listener(`\0mp-test-${process.pid}-${counter++}`, { codec }).close();
    return undefined;
  } catch (error) {
    return String(error);
  }
}
