/**
 * The table of the types that a pickle may name, as an upper room fills it for messages of its own.
 */
import { expect, test } from 'vitest';
import {
  dumps,
  dumpsIn,
  GlobalName,
  loads,
  loadsIn,
  type PythonType,
  Tuple,
  typesOnTop,
  UnknownObject,
} from '../../packages/core/dist/python_pickle/python_pickle.js';

class Token {
  typeid = '';
  id = '';
}

class Remote {
  readonly token: Token;
  readonly key: unknown;

  constructor(token: Token, key: unknown) {
    this.token = token;
    this.key = key;
  }
}

let made = 0;
const rows: PythonType[] = [
  {
    names: ['app.managers.Token', 'app.Token'],
    cls: Token,
    build: () => new Token(),
    setState: (token: Token, state) => {
      [token.typeid, token.id] = state as [string, string];
    },
    reduce: (token: Token) => ({
      args: [],
      newobj: true,
      state: Tuple.of(token.typeid, token.id),
    }),
  },
  { names: 'app.managers.AutoProxy' },
  {
    names: 'app.managers.RebuildProxy',
    cls: Remote,
    takesNames: true,
    effects: true,
    build: ([func, token], { context }) => {
      made++;
      if (!(func instanceof GlobalName) || !(token instanceof Token)) return undefined;
      return new Remote(token, context);
    },
    reduce: (proxy: Remote) => ({
      args: [new GlobalName('app.managers.AutoProxy'), proxy.token, 'pickle', {}],
    }),
  },
];
const scope = { types: typesOnTop(rows), context: 'the key' };

const token = Object.assign(new Token(), { typeid: 'list', id: 'abc' });
const message = (...more: unknown[]) =>
  dumpsIn(scope, Tuple.of<unknown>('#RETURN', new Remote(token, 0), ...more));

test.each([2, 3, 4, 5])('a class, its state, and what rebuilds it, in protocol %i', (protocol) => {
  const pickled = dumpsIn(scope, [token, new Remote(token, 0)], { protocol });
  const [one, proxy] = loadsIn(scope, pickled) as [Token, Remote];
  expect(one).toEqual(token);
  expect(proxy).toBeInstanceOf(Remote);
  expect(proxy.token).toBe(one);
  expect(proxy.key).toBe('the key');
});

test('what has effects is built once, and when all has been found good', () => {
  made = 0;
  const value = loadsIn(scope, message(new Map([[1, new Map([[2, 3]])]])));
  expect(value).toEqual([
    '#RETURN',
    new Remote(token, 'the key'),
    new Map([[1, new Map([[2, 3]])]]),
  ]);
  expect(made).toBe(1);
  const bad = Buffer.concat([message().subarray(0, -1), Buffer.from('cos\nsystem\n.')]);
  expect(() => loadsIn(scope, bad)).toThrow('the pickle asks for os.system');
  expect(() => loadsIn(scope, message().subarray(0, -1))).toThrow('truncated');
  expect(made).toBe(1);
});

test('the table of a room is for its own messages only', () => {
  expect(() => loads(message())).toThrow('the pickle asks for app.managers.RebuildProxy');
  expect(() => dumps(token)).toThrow('a Token cannot be sent to Python');
});

test('a class or function is no value', () => {
  for (const pickle of ['capp.managers\nAutoProxy\n.', '(capp.managers\nAutoProxy\nN\x86.']) {
    expect(() => loadsIn(scope, Buffer.from(pickle, 'latin1'))).toThrow(
      'the pickle asks for app.managers.AutoProxy',
    );
  }
  const call = Buffer.from('capp.managers\nToken\ncapp.managers\nAutoProxy\n\x85R.', 'latin1');
  expect(() => loadsIn(scope, call)).toThrow('the pickle asks for app.managers.AutoProxy');
});

test('an object of an unknown class can be read by people', () => {
  const pickle = Buffer.from(
    "(S'#ERROR'\ncapp.errors\nOops\n(S'boom'\ntR}S'a'\nI1\nsbt.",
    'latin1',
  );
  expect(() => loadsIn(scope, pickle)).toThrow('the pickle asks for app.errors.Oops');
  const [, error] = loadsIn({ ...scope, describesUnknown: true }, pickle) as [
    string,
    UnknownObject,
  ];
  expect(error).toBeInstanceOf(UnknownObject);
  expect(String(error)).toBe("app.errors.Oops('boom')");
  expect(String(error.toError())).toBe('app.errors.Oops: boom');
  expect(error.state).toEqual({ a: 1 });
});

test('a name or a class is registered once', () => {
  expect(() => scope.types.register({ names: 'app.Token' })).toThrow(
    'app.Token is registered already',
  );
  expect(() => scope.types.register({ names: 'app.Other', cls: Token })).toThrow(
    'Token is registered already, for another name of Python',
  );
});

test.each([2, 3, 4, 5])(
  'dicts are Maps or objects, whatever stands behind them, in protocol %i',
  (protocol) => {
    const empty = {};
    const numbers = new Map<unknown, unknown>([
      [1, 'one'],
      ['two', 2],
      [3.5, empty],
    ]);
    const values = [
      [{}, Tuple.of(1, 2, 3, 4)],
      [
        {},
        Tuple.of(1, 2, 3, 4),
        new Map([
          [1, 2],
          [3, 4],
        ]),
      ],
      [
        { a: {} },
        new Map([
          ['a', 1],
          [null, 2],
        ] as [unknown, unknown][]),
        numbers,
        numbers,
      ],
      new Map([
        [
          1,
          new Map([
            [2, {}],
            [3, { 4: 5, 6: 7 }],
          ] as [unknown, unknown][]),
        ],
        [2, new Map()],
      ]),
      Tuple.of<unknown>({}, Tuple.of(2 ** 40, 2, 3, 4), numbers),
    ];
    const expected = (value: unknown): unknown =>
      value instanceof Map && value.size === 0 ? {} : value;
    for (const value of values) {
      const back = loads(dumps(value, { protocol }));
      const wanted =
        value instanceof Map ? new Map([...value].map(([k, v]) => [k, expected(v)])) : value;
      expect(back).toStrictEqual(wanted);
      made = 0;
      const pickled = dumpsIn(scope, [value, new Remote(token, 0)], { protocol });
      const [again] = loadsIn(scope, pickled) as [unknown];
      expect([again, made]).toStrictEqual([wanted, 1]);
    }
  },
);
