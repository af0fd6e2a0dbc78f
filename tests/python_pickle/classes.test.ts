/**
 * Classes and enums of a program that are registered under the names of Python's.
 */
import { dumps, loads, registerClass, registerEnum, Tuple } from 'multiprocessing/pickle';
import { describe, expect, test } from 'vitest';
import { findPythons } from '../support/python.ts';

class Point {
  declare x: number;
  declare y: number;

  constructor(x: number, y: number) {
    made++;
    Object.assign(this, { x, y });
  }

  get sum(): number {
    return this.x + this.y;
  }
}
let made = 0;

class Pair {
  declare left: unknown;
  declare right: unknown;
}

class Slots extends Pair {}

class Frozen extends Pair {}

class Temperature {
  degrees = 0;
}

class Stack {
  items: unknown[] = [];
}

class Refusal extends Error {
  get known(): boolean {
    return true;
  }
}

class Color {
  static readonly RED = new Color(1);
  static readonly BLUE = new Color('blue');
  readonly value: unknown;

  private constructor(value: unknown) {
    this.value = value;
  }
}

registerClass('app.models.Point', Point);
registerClass('app.models.Pair', Pair, { namedtuple: true, fields: ['left', 'right'] });
registerClass('app.models.Slots', Slots, { slots: true });
registerClass('app.models.Frozen', Frozen, { fields: ['left', 'right'] });
registerClass('app.models:Outer.Temperature', Temperature, {
  build: ([degrees]) => Object.assign(new Temperature(), { degrees }),
  reduce: ({ degrees }) => ({ args: [degrees] }),
});
registerClass('app.models.Stack', Stack, {
  setState: (stack, state) => {
    stack.items = state as unknown[];
  },
  reduce: ({ items }) => ({ state: items }),
});
registerClass('app.models.Refusal', Refusal);
registerEnum('app.models.Color', Color);

const models = `
import json, pickle, sys, types
app, models = types.ModuleType('app'), types.ModuleType('app.models')
sys.modules.update({'app': app, 'app.models': models})
exec('''
import collections, dataclasses, enum, sys
@dataclasses.dataclass
class Point:
    x: int
    y: int
Pair = collections.namedtuple('Pair', 'left right', module='app.models')
slots = {'slots': True} if sys.version_info >= (3, 10) else {}
@dataclasses.dataclass(**slots)
class Slots:
    left: int
    right: int
@dataclasses.dataclass(frozen=True, **slots)
class Frozen:
    left: int
    right: int
    if not slots:
        def __getstate__(self): return [self.left, self.right]
        def __setstate__(self, state): self.__dict__.update(left=state[0], right=state[1])
class Outer:
    class Temperature:
        def __init__(self, degrees): self.degrees = degrees
        def __reduce__(self): return type(self), (self.degrees,)
        def __repr__(self): return f'Temperature({self.degrees})'
class Stack:
    def __init__(self, items): self.items = items
    def __getstate__(self): return self.items
    def __setstate__(self, state): self.items = state
    def __repr__(self): return f'Stack({self.items})'
class Refusal(Exception): pass
class Color(enum.Enum):
    RED = 1
    BLUE = 'blue'
''', models.__dict__)
from app.models import *
`;

const hex = (pickled: Uint8Array) => Buffer.from(pickled).toString('hex');
const pair = <T extends Pair>(cls: new () => T, left: unknown, right: unknown) =>
  Object.assign(new cls(), { left, right });

const { pythons, reasons } = findPythons({ old: true });
if (pythons.length === 0) console.warn(`no classes of Python: ${reasons.join('; ')}`);

describe.each(pythons)('registered classes and $label', ({ feed }) => {
  function ask<T>(data: unknown, code: string): T {
    const { stdout, stderr, status } = feed(JSON.stringify(data), `${models}${code}`);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return JSON.parse(stdout) as T;
  }

  test('instances come and go, in every protocol', () => {
    const answers = ask<string[]>(
      [],
      `
# Before protocol 2 nothing with slots can be pickled.
values = lambda p: [Point(1, 2), Pair(1, [2]), *([Slots(3, 4)] if p > 1 else []), Frozen(5, 6), Outer.Temperature(7), Stack([8]), Refusal('no', 9), Color.RED, Color.BLUE]
print(json.dumps([pickle.dumps(values(p), p).hex() for p in range(6) if p > 1 or sys.version_info < (3, 10)]))`,
    );
    expect(answers.length).toBeGreaterThan(3);
    const back: string[] = [];
    for (const pickled of answers) {
      made = 0;
      const values = loads(Buffer.from(pickled, 'hex')) as unknown[];
      const [point, named, slots, frozen, temperature, stack, refusal, red, blue] =
        values.length === 9
          ? values
          : [...values.slice(0, 2), pair(Slots, 3, 4), ...values.slice(2)];
      expect(made).toBe(0);
      expect(point).toBeInstanceOf(Point);
      expect((point as Point).sum).toBe(3);
      expect(named).toStrictEqual(pair(Pair, 1, [2]));
      expect(slots).toStrictEqual(pair(Slots, 3, 4));
      expect(frozen).toStrictEqual(pair(Frozen, 5, 6));
      expect(temperature).toStrictEqual(Object.assign(new Temperature(), { degrees: 7 }));
      expect(stack).toStrictEqual(Object.assign(new Stack(), { items: [8] }));
      expect(refusal).toBeInstanceOf(Refusal);
      expect([(refusal as Refusal).known, String(refusal)]).toEqual([true, "Refusal: ('no', 9)"]);
      expect([red === Color.RED, blue === Color.BLUE]).toEqual([true, true]);
      const all = [point, named, slots, frozen, temperature, stack, refusal, red, blue];
      for (const protocol of [2, 3, 4, 5]) back.push(hex(dumps(all, { protocol })));
    }
    const shown = ask<string[]>(
      back,
      'print(json.dumps([repr(pickle.loads(bytes.fromhex(p))) for p in json.load(sys.stdin)]))',
    );
    expect(new Set(shown)).toEqual(
      new Set([
        "[Point(x=1, y=2), Pair(left=1, right=[2]), Slots(left=3, right=4), Frozen(left=5, right=6), Temperature(7), Stack([8]), Refusal('no', 9), <Color.RED: 1>, <Color.BLUE: 'blue'>]",
      ]),
    );
  });
});

test('instances stay shared and may hold themselves', () => {
  const point = new Point(1, 2);
  (point as { self?: unknown }).self = point;
  const [one, two] = loads(dumps([point, point])) as [{ self: unknown }, unknown];
  expect([one === two, one.self === one]).toEqual([true, true]);
  const named = pair(Pair, 1, 2);
  named.right = named;
  expect(() => dumps(named)).toThrow(/cannot hold itself|nested more than/);
});

test('what does not fit the class is told', () => {
  const call = (name: string, rest: string) =>
    Buffer.from(`capp.models\n${name}\n${rest}`, 'latin1');
  const wrong: [Buffer, RegExp][] = [
    [
      call('Point', '(K\x01t\x81.'),
      /app\.models\.Point has arguments: register its class with { fields }/,
    ],
    [call('Point', ')\x81K\x01b.'), /app\.models\.Point has a state without names/],
    [call('Pair', '(K\x01t\x81.'), /app\.models\.Pair has 1 values, .* 2 fields/],
    [call('Color', '(K\x02tR.'), /asks for 2 of app\.models\.Color, and Color has no such member/],
    [call('Gone', ')\x81.'), /asks for app\.models\.Gone, which is never made here/],
    [call('Color', '.'), /asks for app\.models\.Color, which/],
  ];
  for (const [pickle, message] of wrong) {
    expect(() => loads(pickle)).toThrow(
      expect.objectContaining({ name: 'UnpicklingError', message: expect.stringMatching(message) }),
    );
  }
  const proto = call('Point', ')\x81}(X\x09\0\0\0__proto__}X\x01\0\0\0aK\x01sub.');
  const value = loads(proto) as object;
  expect(Object.getPrototypeOf(value)).toBe(Point.prototype);
  expect(Object.keys(value)).toEqual(['__proto__']);
});

test('a wrong registration is told', () => {
  class Other {}
  const wrong: [() => void, RegExp][] = [
    [() => registerClass('Point', Other), /'Point' is no name of Python's: give its module/],
    [() => registerClass('datetime.datetime', Other), /datetime\.datetime is registered already/],
    [() => registerClass('app.models.Point', Other), /app\.models\.Point is registered already/],
    [() => registerClass('app.Bag', class Bag extends Map {}), /Bag is a Map, and what that holds/],
    [() => registerClass('app.Set', Set), /Set is a Set, and what that holds/],
    [() => registerClass('app.B', class B extends Uint8Array {}), /B is a TypedArray/],
    [() => registerClass('app.Other', Point), /Point is registered already, for another name/],
    [() => registerClass('app.Other', {} as never), /cls must be a class, not {}/],
    [() => registerClass(1 as never, Other), /name must be a string, not 1/],
    [() => registerClass('app.Other', Other, { namedtuple: true }), /a namedtuple has fields/],
    [() => registerClass('app.Other', Other, { field: [] } as never), /unknown option 'field'/],
    [() => registerEnum('app.Other', Other), /Other has no members: static properties/],
    [() => registerEnum('app.Other', 1 as never), /cls must be a class, not 1/],
  ];
  for (const [register, message] of wrong) expect(register).toThrow(message);
  expect(() => dumps([new Other()])).toThrow(/an Other cannot be sent to Python.*registerClass/);
  expect(Tuple.of(1)).toBeInstanceOf(Tuple);
});
