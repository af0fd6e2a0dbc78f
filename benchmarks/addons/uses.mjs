/**
 * How each addon is used: so that it has all the threads that it ever has. It runs in the folder where ../addons.ts has
 * installed them.
 */
import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What has begun stays: most addons keep their threads only as long as something is open. */
const kept = [];

async function load(name) {
  const module = await import(name);
  return module.default ?? module;
}

function check(found, expected) {
  if (found !== expected) throw new Error(`it answered ${found}, not ${expected}`);
}

async function inFolder(use) {
  const folder = mkdtempSync(join(tmpdir(), 'mp-addon-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const uses = {
  async sharp() {
    const sharp = await load('sharp');
    const image = sharp({ create: { width: 640, height: 640, channels: 3, background: 'red' } });
    const { info } = await image.blur(3).resize(64).png().toBuffer({ resolveWithObject: true });
    check(info.width, 64);
  },
  async '@duckdb/node-api'() {
    const { DuckDBInstance } = await load('@duckdb/node-api');
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    kept.push(connection);
    const result = await connection.runAndReadAll('select sum(i) from range(1000000) t(i)');
    check(Number(result.getRows()[0][0]), 499999500000);
  },
  lmdb: () =>
    inFolder(async (path) => {
      const { open } = await load('lmdb');
      const database = open({ path });
      await database.put('a', 1);
      check(database.get('a'), 1);
      await database.close();
    }),
  async 'better-sqlite3'() {
    const Database = await load('better-sqlite3');
    check(new Database(':memory:').prepare('select 1 + 1 as two').get().two, 2);
  },
  async argon2() {
    const argon2 = await load('argon2');
    check(await argon2.verify(await argon2.hash('a', { parallelism: 2 }), 'a'), true);
  },
  async '@node-rs/argon2'() {
    const { hash, verify } = await load('@node-rs/argon2');
    check(await verify(await hash('a', { parallelism: 2 }), 'a'), true);
  },
  async snappy() {
    const { compress, uncompress } = await load('snappy');
    check(String(await uncompress(await compress('abc'))), 'abc');
  },
  async bcrypt() {
    const { compare, hash } = await load('bcrypt');
    check(await compare('a', await hash('a', 4)), true);
  },
  async 'sodium-native'() {
    const sodium = await load('sodium-native');
    const hash = Buffer.alloc(sodium.crypto_pwhash_STRBYTES);
    const passwd = Buffer.from('a');
    await new Promise((resolve, reject) => {
      const limits = [sodium.crypto_pwhash_OPSLIMIT_MIN, sodium.crypto_pwhash_MEMLIMIT_MIN];
      const done = (error) => (error ? reject(error) : resolve());
      sodium.crypto_pwhash_str_async(hash, passwd, ...limits, done);
    });
    check(sodium.crypto_pwhash_str_verify(hash, passwd), true);
  },
  'classic-level': () =>
    inFolder(async (path) => {
      const { ClassicLevel } = await load('classic-level');
      const database = new ClassicLevel(path);
      await database.put('a', '1');
      check(await database.get('a'), '1');
      await database.compactRange('a', 'b'); // by LevelDB's own thread
      await database.close();
    }),
  async '@napi-rs/canvas'() {
    const { createCanvas } = await load('@napi-rs/canvas');
    const canvas = createCanvas(64, 64);
    canvas.getContext('2d').fillRect(0, 0, 10, 10);
    check((await canvas.encode('png')).length > 0, true);
  },
  async 'onnxruntime-node'() {
    const { InferenceSession, Tensor } = await load('onnxruntime-node');
    const options = { intraOpNumThreads: 2, logSeverityLevel: 3 };
    const session = await InferenceSession.create(identityModel(), options);
    kept.push(session);
    const { y } = await session.run({ x: new Tensor('float32', [7], [1]) });
    check(y.data[0], 7);
  },
  async zeromq() {
    const { Pair } = await load('zeromq');
    const [a, b] = [new Pair(), new Pair()];
    kept.push(a, b);
    await a.bind('tcp://127.0.0.1:*');
    b.connect(a.lastEndpoint);
    await b.send('abc');
    check(String((await a.receive())[0]), 'abc');
  },
  async 'node-pty'() {
    const { spawn } = await load('node-pty');
    const terminal = spawn('/bin/sh', ['-c', 'exit 3']);
    check(await new Promise((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode))), 3);
  },
  '@parcel/watcher': () =>
    inFolder(async (path) => {
      const { subscribe } = await load('@parcel/watcher');
      const { promise, resolve } = withResolvers();
      kept.push(await subscribe(path, (_error, events) => resolve(events.length)));
      writeFileSync(join(path, 'a'), '');
      check(await promise, 1);
    }),
  async '@swc/core'() {
    const { transform } = await load('@swc/core');
    check((await transform('let a = 1', {})).code.includes('var a = 1'), true);
  },
};

function withResolvers() {
  const all = {};
  all.promise = new Promise((resolve) => {
    all.resolve = resolve;
  });
  return all;
}

/** An ONNX model (protobuf) whose output y is its input x, one float. */
function identityModel() {
  const field = (number, content) => {
    const bytes = Buffer.from(content);
    return Buffer.concat([Buffer.of(number * 8 + 2, bytes.length), bytes]);
  };
  const number = (of, value) => Buffer.of(of * 8, value);
  const shape = field(2, field(1, number(1, 1)));
  const type = field(2, field(1, Buffer.concat([number(1, 1), shape])));
  const value = (name) => Buffer.concat([field(1, name), type]);
  const node = Buffer.concat([field(1, 'x'), field(2, 'y'), field(4, 'Identity')]);
  const graph = Buffer.concat([
    field(1, node),
    field(2, 'g'),
    field(11, value('x')),
    field(12, value('y')),
  ]);
  return Buffer.concat([
    number(1, 8),
    field(7, graph),
    field(8, Buffer.concat([field(1, ''), number(2, 13)])),
  ]);
}

export async function use(addon) {
  await uses[addon]();
}

/** In a child: what is kept would keep it. */
export async function useAndLeave(addon) {
  await use(addon);
  process.exit(0);
}
