/**
 * The programs of ../packages.ts: a main module imports a package as the package's README shows, and a child uses it and sends
 * home what came out, which has to be what the parent gets by the same.
 */
export interface Use {
  /** What its files are. */
  readonly kind: string;
  readonly version: string;
  /** How an ES module imports it. */
  readonly imports: string;
  /** How a CommonJS module does. */
  readonly requires: string;
  /** The body of an asynchronous function, whose value can be sent and is the same each time. */
  readonly body: string;
}

export const PACKAGES: Readonly<Record<string, Use>> = {
  sharp: {
    kind: 'native, CommonJS',
    version: '0.34.5',
    imports: `import sharp from 'sharp';`,
    requires: `const sharp = require('sharp');`,
    body: `const image = sharp({ create: { width: 64, height: 64, channels: 3, background: 'red' } });
  return (await image.blur(3).resize(2).raw().toBuffer()).toString('hex');`,
  },
  lmdb: {
    kind: 'native, dual',
    version: '3.5.6',
    imports: `import { mkdtempSync, rmSync } from 'node:fs';\nimport { open } from 'lmdb';`,
    requires: `const { mkdtempSync, rmSync } = require('node:fs');\nconst { open } = require('lmdb');`,
    body: `const path = mkdtempSync('lmdb-');
  const database = open({ path });
  await database.put('greeting', { someText: 'Hello, World!' });
  const found = database.get('greeting');
  await database.close();
  rmSync(path, { recursive: true });
  return found;`,
  },
  '@duckdb/node-api': {
    kind: 'native, CommonJS',
    version: '1.5.6-r.1',
    imports: `import { DuckDBInstance } from '@duckdb/node-api';`,
    requires: `const { DuckDBInstance } = require('@duckdb/node-api');`,
    body: `const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const result = await connection.runAndReadAll('select sum(i), max(i) from range(100000) t(i)');
  const rows = result.getRowsJson();
  connection.closeSync();
  return rows;`,
  },
  argon2: {
    kind: 'native, CommonJS',
    version: '0.45.1',
    imports: `import * as argon2 from 'argon2';`,
    requires: `const argon2 = require('argon2');`,
    body: `const hash = await argon2.hash('password', { salt: Buffer.alloc(16, 1), type: argon2.argon2id });
  return [hash, await argon2.verify(hash, 'password')];`,
  },
  '@node-rs/argon2': {
    kind: 'native, CommonJS',
    version: '2.2.1',
    imports: `import { hash, verify } from '@node-rs/argon2';`,
    requires: `const { hash, verify } = require('@node-rs/argon2');`,
    body: `const hashed = await hash('password', { salt: Buffer.alloc(16, 1) });
  return [hashed, await verify(hashed, 'password')];`,
  },
  snappy: {
    kind: 'native, CommonJS',
    version: '7.4.3',
    imports: `import snappy from 'snappy';`,
    requires: `const snappy = require('snappy');`,
    body: `const compressed = await snappy.compress('a'.repeat(1000));
  return [compressed.toString('hex'), await snappy.uncompress(compressed, { asBuffer: false })];`,
  },
  'better-sqlite3': {
    kind: 'native, CommonJS',
    version: '12.11.1',
    imports: `import Database from 'better-sqlite3';`,
    requires: `const Database = require('better-sqlite3');`,
    body: `const db = new Database(':memory:');
  db.exec("create table users (id integer, name text); insert into users values (1, 'a'), (2, 'b')");
  return db.prepare('select * from users where id = ?').get(2).name;`,
  },
  pino: {
    kind: 'CommonJS',
    version: '10.4.0',
    imports: `import pino from 'pino';`,
    requires: `const pino = require('pino');`,
    body: `const lines = [];
  const logger = pino({ base: { a: 1 }, timestamp: false }, { write: (line) => lines.push(line) });
  logger.child({ b: 2 }).error(new RangeError('far').message);
  return [lines, pino.levels.values.warn];`,
  },
  lodash: {
    kind: 'CommonJS',
    version: '4.18.1',
    imports: `import _ from 'lodash';`,
    requires: `const _ = require('lodash');`,
    body: `const text = _.template('hello <%= name %>')({ name: _.camelCase('the world') });
  return [text, _.chain([3, 1, 2]).sortBy().map((n) => n * 2).value(), _.partition([1, 2, 3, 4], (n) => n % 2)];`,
  },
  zod: {
    kind: 'dual',
    version: '4.6.7',
    imports: `import * as z from 'zod';`,
    requires: `const z = require('zod');`,
    body: `const Player = z.object({ username: z.string(), xp: z.coerce.number().min(1) });
  const good = Player.parse({ username: 'billie', xp: '100' });
  const { error } = Player.safeParse({ username: 42, xp: 0 });
  return [good, error instanceof z.ZodError, error.issues.map(({ path, code, message }) => ({ path, code, message }))];`,
  },
  'date-fns': {
    kind: 'dual',
    version: '4.4.0',
    imports: `import { addMonths, format } from 'date-fns';\nimport { de } from 'date-fns/locale';`,
    requires: `const { addMonths, format } = require('date-fns');\nconst { de } = require('date-fns/locale');`,
    body: `const day = addMonths(new Date(2024, 0, 31), 1);
  return [day, format(day, 'EEEE, d. MMMM yyyy', { locale: de })];`,
  },
  axios: {
    kind: 'dual',
    version: '1.21.1',
    imports: `import axios, { AxiosError, isCancel } from 'axios';`,
    requires: `const axios = require('axios');\nconst { AxiosError, isCancel } = axios;`,
    body: `const adapter = async (config) => {
    if (config.url === '/no') throw new AxiosError('no such thing', 'ENONE', config);
    return { data: '{"a":[1]}', status: 200, statusText: 'OK', headers: {}, config };
  };
  const client = axios.create({ adapter, baseURL: 'http://localhost' });
  const { data } = await client.get('/a');
  const error = await client.get('/no').catch((error) => error);
  const uri = axios.getUri({ url: '/x', params: { q: 'a b', of: [1, 2] } });
  return [data, uri, error instanceof AxiosError, error.code, isCancel(error)];`,
  },
  uuid: {
    kind: 'ES modules',
    version: '14.0.3',
    imports: `import { v5 as uuidv5, validate, NIL as NIL_UUID } from 'uuid';`,
    requires: `const { v5: uuidv5, validate, NIL: NIL_UUID } = require('uuid');`,
    body: `const id = uuidv5('https://www.w3.org/', uuidv5.URL);
  return [id, validate(id), uuidv5('x', NIL_UUID)];`,
  },
  chalk: {
    kind: 'ES modules',
    version: '5.6.2',
    imports: `import chalk, { Chalk } from 'chalk';`,
    requires: `const { default: chalk, Chalk } = require('chalk');`,
    body: `chalk.level = 1;
  const { red } = new Chalk({ level: 2 });
  return [chalk.blue.bold('Hello', chalk.underline('world')), red('!'), chalk.level];`,
  },
  commander: {
    kind: 'dual',
    version: '14.0.3',
    imports: `import { Option, program } from 'commander';`,
    requires: `const { Option, program } = require('commander');`,
    body: `const command = program.createCommand('tool').exitOverride().argument('<file>');
  command.addOption(new Option('-s, --size <size>').choices(['s', 'm']).default('m'));
  command.parse(['a.txt', '-s', 's'], { from: 'user' });
  return [command.args, command.opts(), command.helpInformation()];`,
  },
};

const INLINE = `start(async (connection) => {
    await connection.send(await use());
  }, use)`;

/** The main modules that are tried, by name: what they hold, given how a package is used. */
export const MAINS: Readonly<Record<string, (use: Use) => string>> = {
  'inline.mjs': ({ imports, body }) => `${imports}
import { isMain } from 'multiprocessing';
import { start } from './start.mjs';

async function use() {
  ${body}
}

if (isMain(import.meta)) {
  await ${INLINE};
}
`,
  'inline.cjs': ({ requires, body }) => `${requires}
const { isMain } = require('multiprocessing');

async function use() {
  ${body}
}

if (isMain(module)) {
  import('./start.mjs').then(({ start }) => ${INLINE});
}
`,
  'exported.mjs': ({ imports, body }) => `${imports}
import { isMain } from 'multiprocessing';
import { start } from './start.mjs';

async function use() {
  ${body}
}

export async function work(connection) {
  await connection.send(await use());
}

if (isMain(import.meta)) {
  await start(work, use);
}
`,
};
