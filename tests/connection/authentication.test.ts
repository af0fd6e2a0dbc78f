/**
 * The handshake between those who connect. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import { createHmac } from 'node:crypto';
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
      await answer(script, key);
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
      expect(await errorOf(() => deliver(script, key))).toMatchObject({
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
    const message = "authkey must be bytes (a Uint8Array), not 'secret'";
    const expected = { name: 'ValueError', message };
    expect(await errorOf(() => deliver(script, wrong))).toMatchObject(expected);
    expect(await errorOf(() => answer(script, wrong))).toMatchObject(expected);
    expect(await errorOf(() => deliver(script, key, { digestName: 'sha512' }))).toMatchObject({
      name: 'ValueError',
      message: expect.stringContaining("not 'sha512'"),
    });
    expect(script.heard).toEqual([]);
  });
});

test('both sides of a connection prove that they hold the key', async () => {
  for (const digestName of digests) {
    for (const secret of [key, Buffer.alloc(0), Buffer.alloc(1000, 7)]) {
      const [a, b] = pipe();
      await Promise.all([
        connection.deliverChallenge(a, secret, { digestName }),
        connection.answerChallenge(b, secret),
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
