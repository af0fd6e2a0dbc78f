/**
 * The handshake between those who connect. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import * as mp from 'multiprocessing';
import * as connection from 'multiprocessing/connection';
import { afterEach, describe, expect, test } from 'vitest';
import { errorOf } from '../fixtures/dist/targets.js';

const key = Buffer.from('secret');
const digests = ['md5', 'sha256', 'sha384', 'sha3_256', 'sha3_384'];
const bytes = (text: string) => Buffer.from(text, 'latin1');
const upTo = (n: number) => Buffer.from(Array.from({ length: n }, (_, i) => i));

/** The other side: what it says, one message after another, may depend on what it heard. */
class Script {
  readonly heard: Buffer[] = [];
  readonly #lines: ((heard: Buffer) => Uint8Array)[];

  constructor(...lines: (Uint8Array | ((heard: Buffer) => Uint8Array))[]) {
    this.#lines = lines.map((line) => (typeof line === 'function' ? line : () => line));
  }

  sendBytesSync(message: Uint8Array): void {
    this.heard.push(Buffer.from(message));
  }

  recvBytesSync(maxlength: number): Uint8Array {
    expect(maxlength).toBe(256);
    const line = this.#lines.shift();
    if (line === undefined) throw new Error('nothing more in the script');
    return line(this.heard.at(-1) ?? Buffer.alloc(0));
  }

  async sendBytes(message: Uint8Array): Promise<void> {
    this.sendBytesSync(message);
  }

  async recvBytes(maxlength: number): Promise<Uint8Array> {
    return this.recvBytesSync(maxlength);
  }
}

/** Both twins of a function do the same. */
const twins = [
  {
    name: 'asynchronous',
    deliver: connection.deliverChallenge,
    answer: connection.answerChallenge,
  },
  {
    name: 'blocking',
    deliver: connection.deliverChallengeSync,
    answer: connection.answerChallengeSync,
  },
] as const;

const open: connection.Connection[] = [];
afterEach(() => {
  for (const end of open.splice(0)) end.close();
});

function pipe(): [connection.Connection, connection.Connection] {
  const ends = connection.Pipe();
  open.push(...ends);
  return ends;
}

const challengeOf = (heard: Buffer) => heard.subarray('#CHALLENGE#'.length);
const mac = (digest: string, message: Buffer, by = key) =>
  createHmac(digest.replace('sha3_', 'sha3-'), by).update(message).digest();

describe.each(twins)('the $name handshake', ({ deliver, answer }) => {
  test('a bogus answer to a challenge is refused, and the other side is told', async () => {
    const script = new Script(bytes('something bogus'));
    expect(await errorOf(() => deliver(script, bytes('abc')))).toMatchObject({
      name: 'AuthenticationError',
      message: expect.stringContaining("message='something bogus'"),
    });
    expect(script.heard).toHaveLength(2);
    expect(String(script.heard[1])).toBe('#FAILURE#');
  });

  test('a bogus verdict is a rejection', async () => {
    const script = new Script(
      Buffer.concat([bytes('#CHALLENGE#'), upTo(20)]),
      bytes('something bogus'),
    );
    expect(await errorOf(() => answer(script, key))).toMatchObject({
      name: 'AuthenticationError',
      message: 'digest sent was rejected',
    });
  });

  test('the answers are those of CPython', async () => {
    const answerTo = async (challenge: Buffer) => {
      const script = new Script(
        Buffer.concat([bytes('#CHALLENGE#'), challenge]),
        bytes('#WELCOME#'),
      );
      await answer(script, key, { digests });
      return script.heard[0] as Buffer;
    };
    const legacy = await answerTo(upTo(20));
    expect(legacy.toString('hex')).toBe('7defa9cc46abc3583325d17ccda75190');
    const modern = await answerTo(Buffer.concat([bytes('{sha256}'), upTo(40)]));
    expect(modern.toString('latin1', 0, 8)).toBe('{sha256}');
    expect(modern.toString('hex', 8)).toBe(
      'fc57fbe650d6124b98215e7b5d197d5807ad69982d275a9735ea2d56f1fa6989',
    );
    for (const digest of digests) {
      const challenge = Buffer.concat([bytes(`{${digest}}`), bytes('is-twenty-bytes-long')]);
      const expected = Buffer.concat([bytes(`{${digest}}`), mac(digest, challenge)]);
      expect(await answerTo(challenge)).toEqual(expected);
    }
  });

  test('a challenge is what CPython sends, and never the same', async () => {
    const seen = new Set<string>();
    for (const digest of digests) {
      const script = new Script((heard) => {
        const challenge = challengeOf(heard);
        seen.add(challenge.toString('hex').slice(-80));
        expect(heard.toString('latin1', 0, 11)).toBe('#CHALLENGE#');
        expect(challenge.toString('latin1', 0, digest.length + 2)).toBe(`{${digest}}`);
        expect(challenge).toHaveLength(digest.length + 2 + 40);
        return Buffer.concat([bytes(`{${digest}}`), mac(digest, challenge)]);
      });
      await deliver(script, key, { digestName: digest });
      expect(String(script.heard[1])).toBe('#WELCOME#');
    }
    expect(seen.size).toBe(digests.length);
  });

  test('a client of Python 3.11 answers with MD5 over all of the challenge', async () => {
    const script = new Script((heard) => mac('md5', challengeOf(heard)));
    await deliver(script, key);
    expect(script.heard.map((heard) => heard.toString('latin1', 0, 9))).toEqual([
      '#CHALLENG',
      '#WELCOME#',
    ]);
  });

  test('an answer made with another key is wrong, whatever its digest', async () => {
    const other = bytes('not the secret');
    for (const digest of digests) {
      const script = new Script((heard) =>
        Buffer.concat([bytes(`{${digest}}`), mac(digest, challengeOf(heard), other)]),
      );
      expect(await errorOf(() => deliver(script, key, { digests }))).toMatchObject({
        name: 'AuthenticationError',
        message: 'digest received was wrong',
      });
    }
    const legacy = new Script((heard) => mac('md5', challengeOf(heard), other));
    expect(await errorOf(() => deliver(legacy, key))).toMatchObject({
      message: 'digest received was wrong',
    });
  });

  test.each([
    ['a digest cut off', '{sha256}too short', 'expected sha256 of length 32, got 9'],
    ['20 bytes', 'is-twenty-bytes-long', 'expected md5 of length 16, got 20'],
    ['an unknown digest', `{sha512}${'x'.repeat(64)}`, 'unsupported digest'],
    ['no digest', 'x'.repeat(32), 'missing digest prefix'],
    ['nothing', '', 'unsupported message length'],
    ['an open brace', `{${'x'.repeat(254)}`, 'missing digest prefix'],
  ])('%s is no answer', async (_, text, message) => {
    const script = new Script(bytes(text));
    expect(await errorOf(() => deliver(script, key))).toMatchObject({
      name: 'AuthenticationError',
      message: expect.stringContaining(message),
    });
    expect(String(script.heard[1])).toBe('#FAILURE#');
  });

  test.each([
    ['garbage', 'GET / HTTP/1.1', 'Protocol error, expected challenge'],
    ['nothing', '', 'Protocol error, expected challenge'],
    ['the word alone', '#CHALLENGE#', 'challenge too short: 0 bytes'],
    ['19 bytes', `#CHALLENGE#${'x'.repeat(19)}`, 'challenge too short: 19 bytes'],
    ['21 bytes', `#CHALLENGE#${'x'.repeat(21)}`, 'missing digest prefix'],
    ['an unknown digest', `#CHALLENGE#{sha1}${'x'.repeat(40)}`, 'unsupported digest'],
  ])('%s is no challenge', async (_, text, message) => {
    const script = new Script(bytes(text));
    expect(await errorOf(() => answer(script, key))).toMatchObject({
      name: 'AuthenticationError',
      message: expect.stringContaining(message),
    });
    expect(script.heard).toEqual([]);
  });

  test('a key that is no bytes and an unknown digest are told before anything is sent', async () => {
    const script = new Script();
    const wrong = 'secret' as unknown as Uint8Array;
    const message = 'authkey must be bytes (a Uint8Array), not string';
    const expected = { name: 'ValueError', message };
    expect(await errorOf(() => deliver(script, wrong))).toMatchObject(expected);
    expect(await errorOf(() => answer(script, wrong))).toMatchObject(expected);
    const empty = { name: 'ValueError', message: expect.stringContaining('authkey is empty') };
    expect(await errorOf(() => deliver(script, bytes('')))).toMatchObject(empty);
    expect(await errorOf(() => answer(script, bytes('')))).toMatchObject(empty);
    for (const names of [[], ['sha512'], ['sha256', 'sha512']]) {
      const told = { name: 'ValueError', message: expect.stringMatching(/^digests must /) };
      expect(await errorOf(() => deliver(script, key, { digests: names }))).toMatchObject(told);
      expect(await errorOf(() => answer(script, key, { digests: names }))).toMatchObject(told);
    }
    expect(await errorOf(() => deliver(script, key, { digestName: 'sha512' }))).toMatchObject({
      name: 'ValueError',
      message: expect.stringContaining("not 'sha512'"),
    });
    expect(script.heard).toEqual([]);
  });
});

test('both sides of a connection prove that they hold the key', async () => {
  for (const digestName of digests) {
    for (const secret of [key, Buffer.of(0), Buffer.alloc(1000, 7)]) {
      const [a, b] = pipe();
      const options = { digests: [digestName] };
      await Promise.all([
        connection.deliverChallenge(a, secret, { digestName }),
        connection.answerChallenge(b, secret, options),
      ]);
      await Promise.all([
        connection.answerChallenge(a, secret, options),
        connection.deliverChallenge(b, secret, options),
      ]);
      await a.send(digestName);
      expect(await b.recv()).toBe(digestName);
    }
  }
});

test('a wrong key is noticed by both sides', async () => {
  const [a, b] = pipe();
  const errors = await Promise.all([
    errorOf(() => connection.deliverChallenge(a, key)),
    errorOf(() => connection.answerChallenge(b, bytes('secreu'))),
  ]);
  expect(errors).toMatchObject([
    { name: 'AuthenticationError', message: 'digest received was wrong' },
    { name: 'AuthenticationError', message: 'digest sent was rejected' },
  ]);
});

/** A handshake of two of this library, with somebody on the way who sees each message and may change it. */
class Wire {
  readonly listener: Side;
  readonly client: Side;
  /** What each has sent, the challenges without their word. */
  readonly sent: Record<'listener' | 'client', Buffer[]> = { listener: [], client: [] };

  constructor(change: (message: Buffer, from: 'listener' | 'client') => Buffer = (m) => m) {
    const [a, b] = [new Inbox(), new Inbox()];
    const send = (to: Inbox, from: 'listener' | 'client') => (message: Uint8Array) => {
      this.sent[from].push(Buffer.from(message));
      to.put(change(Buffer.from(message), from));
    };
    this.listener = { sendBytes: send(a, 'listener'), recvBytes: () => b.get() };
    this.client = { sendBytes: send(b, 'client'), recvBytes: () => a.get() };
  }

  /** Both halves; what each side says of it. */
  async shake(options?: connection.AnswerOptions): Promise<unknown[]> {
    const give = (side: Side) => (error: unknown) => {
      side.sendBytes(bytes('the end')); // nobody waits for ever
      return error;
    };
    return Promise.all([
      connection
        .deliverChallenge(this.listener, key, options)
        .then(() => connection.answerChallenge(this.listener, key, options))
        .catch(give(this.listener)),
      connection
        .answerChallenge(this.client, key, options)
        .then(() => connection.deliverChallenge(this.client, key, options))
        .catch(give(this.client)),
    ]);
  }
}

type Side = connection.MessageChannel;

class Inbox {
  readonly #messages: Buffer[] = [];
  #wake: (() => void) | undefined;

  put(message: Buffer): void {
    this.#messages.push(message);
    this.#wake?.();
  }

  async get(): Promise<Buffer> {
    while (this.#messages.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#messages.shift() as Buffer;
  }
}

const isChallenge = (message: Buffer) => message.toString('latin1').startsWith('#CHALLENGE#');
const refused = expect.objectContaining({ name: 'AuthenticationError' });

describe('between two of this library', () => {
  test('each signs its role and both challenges', async () => {
    for (const digest of digests) {
      const wire = new Wire();
      expect(await wire.shake({ digests: [digest] })).toEqual([undefined, undefined]);
      const [first, , second] = wire.sent.listener as [Buffer, Buffer, Buffer];
      const [answer, challenge] = wire.sent.client as [Buffer, Buffer];
      const sign = (role: string, ...parts: Buffer[]) => {
        const lengths = parts.map(({ length }) => length).join(' ');
        const head = `multiprocessing for Node.js, connection 1, ${role} ${lengths}:`;
        return Buffer.concat([
          bytes(`{${digest}}`),
          mac(digest, Buffer.concat([bytes(head), ...parts])),
        ]);
      };
      const [one, two] = [challengeOf(first), challengeOf(challenge)];
      const nonce = two.subarray(-40, -8);
      expect(answer).toEqual(Buffer.concat([sign('client', one, nonce), nonce]));
      expect(second).toEqual(sign('listener', one, two));
      expect([one, two].map((c) => c.toString('latin1').slice(-8))).toEqual([
        '#node-1L',
        '#node-1C',
      ]);
    }
  });

  test('who takes the mark away, or puts one in, is found out', async () => {
    const plain = Buffer.alloc(8, 7);
    for (const from of ['listener', 'client']) {
      for (const mark of [plain, bytes('#node-1L'), bytes('#node-1C')]) {
        const wire = new Wire((message, side) => {
          if (side !== from || !isChallenge(message)) return message;
          return Buffer.concat([message.subarray(0, -8), mark]);
        });
        const changed = String(mark) !== (from === 'listener' ? '#node-1L' : '#node-1C');
        const outcome = await wire.shake();
        expect(outcome).toEqual(changed ? [refused, refused] : [undefined, undefined]);
      }
    }
  });

  test('no bit of what is sent can be changed', async () => {
    for (const from of ['listener', 'client'] as const) {
      for (const n of [0, 1, 2]) {
        for (const at of [0, 12, 20, 50, 70]) {
          let i = 0;
          let changed = false;
          const wire = new Wire((message, side) => {
            if (side !== from || i++ !== n) return message;
            const place = at % message.length;
            message[place] = (message[place] as number) ^ 1;
            changed = true;
            return message;
          });
          const outcome = await wire.shake();
          expect(changed).toBe(true);
          expect(outcome).toContainEqual(refused);
        }
      }
    }
  });

  test('a challenge of the same side is not answered', async () => {
    const script = new Script(
      Buffer.concat([bytes('#CHALLENGE#{sha256}'), upTo(32), bytes('#node-1C')]),
    );
    expect(await errorOf(() => connection.answerChallenge(script, key))).toMatchObject({
      name: 'AuthenticationError',
      message: expect.stringContaining('has come back'),
    });
    expect(script.heard).toEqual([]);
    // Nor is that which this side has sent on this connection.
    let own: Buffer = Buffer.alloc(0);
    const echo = new Script(
      (heard) => {
        own = Buffer.from(heard);
        return mac('md5', challengeOf(heard));
      },
      () => own,
    );
    await connection.deliverChallenge(echo, key);
    expect(await errorOf(() => connection.answerChallenge(echo, key))).toMatchObject({
      message: expect.stringContaining('has come back'),
    });
  });

  test('the answer of one client is no proof before another', async () => {
    for (const known of ['#node-1L', '12345678']) {
      // A listener without the key: it has one client answer what the other asks.
      const victim = new Script(
        Buffer.concat([bytes('#CHALLENGE#{sha256}'), upTo(32), bytes(known)]),
        bytes('#WELCOME#'),
      );
      await connection.answerChallenge(victim, key);
      let asked: Buffer = Buffer.alloc(0);
      const asks = new Script((heard) => {
        asked = Buffer.from(heard);
        throw new Error('stop');
      });
      await errorOf(() => connection.deliverChallenge(asks, key));
      const other = new Script(asked, bytes('#WELCOME#'));
      await errorOf(() => connection.answerChallenge(other, key));
      const [borrowed = Buffer.alloc(0)] = other.heard;
      let challenge: Buffer = Buffer.alloc(0);
      const rogue = new Script(
        Buffer.concat([bytes('#CHALLENGE#{sha256}'), upTo(32), bytes(known)]),
        bytes('#WELCOME#'),
        (heard) => {
          challenge = challengeOf(heard);
          return borrowed;
        },
      );
      await connection.answerChallenge(rogue, key);
      expect(await errorOf(() => connection.deliverChallenge(rogue, key))).toMatchObject({
        name: 'AuthenticationError',
      });
      expect(String(challenge.subarray(-8))).toBe('#node-1C');
    }
  });
});

describe('digests', () => {
  const legacyChallenge = Buffer.concat([bytes('#CHALLENGE#'), upTo(20)]);

  test('both sides have to agree to one', async () => {
    for (const [listener, client, ok] of [
      [['sha256'], ['sha384', 'sha256'], true],
      [['sha384', 'sha256'], ['sha256'], false],
      [['md5'], ['md5'], true],
      [['md5'], undefined, false],
    ] as [string[], string[] | undefined, boolean][]) {
      const wire = new Wire();
      const halves = await Promise.all([
        connection
          .deliverChallenge(wire.listener, key, { digests: listener })
          .catch((error: unknown) => error),
        connection
          .answerChallenge(wire.client, key, { digests: client })
          .catch((error: unknown) => {
            wire.client.sendBytes(bytes('no'));
            return error;
          }),
      ]);
      expect(halves).toEqual(ok ? [undefined, undefined] : [refused, refused]);
    }
  });

  test('MD5 is for old Pythons, and told; or where it is asked for', async () => {
    const state = (process.getBuiltinModule('node:fs') as { [key: symbol]: unknown })[
      Symbol.for('multiprocessing.state')
    ] as Map<string, { once: boolean }>;
    const warned = state.get('legacyAuthentication') as { once: boolean };
    const told: string[] = [];
    const listen = (warning: Error) => told.push(warning.name);
    process.on('warning', listen);
    const legacyAnswer = () => new Script((heard) => mac('md5', challengeOf(heard)));
    const legacyAsk = () => new Script(legacyChallenge, bytes('#WELCOME#'));
    try {
      for (const digests of [undefined, ['sha256', 'md5'], ['sha256']]) {
        warned.once = false;
        told.length = 0;
        const outcomes = [
          await errorOf(() => connection.deliverChallenge(legacyAnswer(), key, { digests })),
          await errorOf(() => connection.answerChallenge(legacyAsk(), key, { digests })),
        ];
        await new Promise(setImmediate);
        const refuses = digests?.includes('md5') === false;
        expect(outcomes).toEqual(refuses ? [refused, refused] : ['no error', 'no error']);
        expect(told).toEqual(digests === undefined ? ['LegacyDigestWarning'] : []);
      }
    } finally {
      process.off('warning', listen);
    }
  });
});

test('a key is shown nowhere', async () => {
  const { authkey } = mp.currentProcess();
  expect(inspect({ authkey })).toBe(
    `{ authkey: <AuthenticationString of ${authkey.length} bytes> }`,
  );
  const wrong: unknown[] = ['hush', 4242, ['hush'], { hush: 4242 }, null, Symbol('hush')];
  const p = new mp.Process();
  for (const authkey of wrong as Uint8Array[]) {
    const errors = [
      await errorOf(() => new connection.Listener(undefined, { authkey })),
      await errorOf(() => connection.Client('nowhere', { authkey })),
      await errorOf(() => connection.ClientSync('nowhere', { authkey })),
      await errorOf(() => connection.deliverChallenge(new Script(), authkey)),
      await errorOf(() => connection.answerChallenge(new Script(), authkey)),
    ];
    if (typeof authkey !== 'string') {
      errors.push(
        await errorOf(() => {
          p.authkey = authkey;
        }),
      );
    }
    for (const error of errors) {
      expect((error as Error).message).toMatch(/^authkey (must|should) be /);
      expect((error as Error).message).not.toMatch(/hush|4242/);
    }
  }
  const empty = { name: 'ValueError', message: expect.stringContaining('authkey is empty') };
  expect(
    await errorOf(() => new connection.Listener(undefined, { authkey: bytes('') })),
  ).toMatchObject(empty);
  expect(await errorOf(() => connection.Client('nowhere', { authkey: bytes('') }))).toMatchObject(
    empty,
  );
  expect(
    await errorOf(() => {
      p.authkey = '';
    }),
  ).toMatchObject(empty);
});
