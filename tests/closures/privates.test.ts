/**
 * Instances of classes with private members that go by value: many shapes (fixtures/closures/privates.ts), by what different
 * compilers make of them, under each start method. A child answers as the program itself does, or there is an error: there is
 * no object with half of its members.
 */
import { closures } from 'multiprocessing/reduction';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadsFromParent } from '../../packages/core/dist/closures/closures.js';
import { closures as unbundled } from '../../packages/core/dist/index.js';
import * as targets from '../fixtures/dist/closure_targets.js';
import { asWritten, byEsbuild, byTsc, type Form, scratchFolder } from '../support/program_forms.ts';
import { runNode } from '../support/programs.ts';

const files = ['privates', 'decorated', 'compare', 'shape'];
const methods = ['fork', 'spawn', 'forkserver'] as const;

/** Those in which private members are in the language. */
const native: Readonly<Record<string, Form>> = {
  ...asWritten,
  'ES2022 by tsc': byTsc('--target', 'es2022'),
  'ES2022 by esbuild': byEsbuild({ format: 'esm', target: 'es2022' }),
  'ES2022 by esbuild, which keeps names': byEsbuild({
    format: 'esm',
    minify: true,
    keepNames: true,
  }),
  'CommonJS by esbuild, minified': byEsbuild({ format: 'cjs', minify: true }),
};

/** One in which fields get their values in the constructor: functions among them are none that the class makes for a field. */
const inConstructor: Readonly<Record<string, Form>> = {
  'ES2022 by tsc': byTsc('--target', 'es2022', '--useDefineForClassFields', 'false'),
};

/** Those in which a compiler puts them into WeakMaps. */
const lowered: Readonly<Record<string, Form>> = {
  'ES2021 by tsc': byTsc('--target', 'es2021'),
  'ES2015 by tsc': byTsc('--target', 'es2015'),
  'ES2021 by esbuild': byEsbuild({ format: 'esm', target: 'es2021' }),
};

type Answers = readonly [name: string, here: unknown, there: unknown, refusal: string | null];

const scratch = scratchFolder();

function forEachForm(
  program: string,
  forms: Readonly<Record<string, Form>>,
  check: (answers: readonly Answers[]) => void,
): void {
  for (const [form, { args, build, unable }] of Object.entries(forms)) {
    if (unable !== undefined) console.warn(`no tests of ${form}: ${unable}`);
    describe.skipIf(unable !== undefined)(form, () => {
      let own = '';
      beforeAll(async () => {
        own = scratch.sub();
        await build?.(files, own);
      }, 60_000);

      for (const method of methods) {
        test(`all shapes, under ${method}`, { timeout: 60_000 }, async () => {
          const { code, stdout, stderr } = await runNode([...args(program, own), method]);
          expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
          const lines = stdout.split('\n').filter(Boolean);
          const answers = lines.map((line) => JSON.parse(line) as Answers);
          expect(answers.length).toBeGreaterThan(4);
          check(answers);
        });
      }
    });
  }
}

const table = (answers: readonly Answers[], at: 1 | 2) =>
  Object.fromEntries(answers.map((answer) => [answer[0], answer[3] ?? answer[at]]));

describe('private members of the language', () => {
  forEachForm('privates', native, (answers) => {
    expect(table(answers, 2)).toEqual(table(answers, 1));
    expect(answers.filter(([, , , refusal]) => refusal !== null)).toEqual([]);
  });
});

const LOWERED =
  /^PicklingError: a Weak(Map|Set) cannot be sent: its content cannot be listed \(found at .*scope "\w+"/;
const ALONE = /^PicklingError: .*: it uses private members, which only code in its class can/;

/** That what is sent is right, and what is not is refused for a reason. @returns the names of the latter */
function rightOrRefused(answers: readonly Answers[], why: RegExp): string[] {
  const sent = answers.filter(([, , , refusal]) => refusal === null);
  expect(table(sent, 2)).toEqual(table(sent, 1));
  const refused = answers.filter(([, , , refusal]) => refusal !== null);
  for (const [name, , , refusal] of refused) expect(refusal, name).toMatch(why);
  return refused.map(([name]) => name);
}

describe('private members that get their values in the constructor', () => {
  forEachForm('privates', inConstructor, (answers) => {
    expect(rightOrRefused(answers, ALONE)).toEqual([
      'two classes of one expression',
      'arrow functions in fields',
      'an arrow function with properties',
      'the same name in a class inside',
    ]);
  });
});

describe('private members in WeakMaps', () => {
  forEachForm('privates', lowered, (answers) => {
    expect(rightOrRefused(answers, LOWERED)).toContain('a cycle through private fields');
  });
});

describe('private members of classes with decorators', () => {
  const forms: Readonly<Record<string, Form>> = {
    ...asWritten,
    'a minified ES module': byEsbuild({ format: 'esm', minify: true }),
  };
  // Node strips types, and knows no decorators.
  const able = Object.entries(forms).filter(([form]) => !form.includes('strips'));
  forEachForm('decorated', Object.fromEntries(able), (answers) => {
    const refused = rightOrRefused(answers, new RegExp(`${LOWERED.source}|${ALONE.source}`));
    expect(refused).not.toContain('a class that is only looked at');
    expect(refused).not.toContain('a class in the place of which there is another');
  });
});

describe('refusals', () => {
  const dumps = (value: unknown) => closures.ForkingPickler.dumps(value);

  class Base {
    #base = 1;
    base() {
      return this.#base;
    }
    inner() {
      return class Inner {
        peek(other: Base) {
          return other.#base;
        }
      };
    }
  }

  function halfMade(): object {
    let leaked: object = {};
    class Leaks {
      #first = 1;
      constructor() {
        leaked = this;
      }
      first() {
        return this.#first;
      }
    }
    class Fails extends Leaks {
      #second = JSON.parse('{') as number;
      second() {
        return this.#second;
      }
    }
    expect(() => new Fails()).toThrow(SyntaxError);
    return leaked;
  }

  function marked(): object {
    class Returns {
      constructor(object: object) {
        // biome-ignore lint/correctness/noConstructorReturn: how a class gives its members to any object
        return object;
      }
    }
    class Marks extends Returns {
      #mark = 1;
      static of(object: Marks) {
        return object.#mark;
      }
    }
    class Plain {}
    return new Marks(new Plain());
  }

  function exchanged(): object {
    class Handler {
      #x = 1;
      handle = () => this.#x;
      add(n: number) {
        this.handle = () => this.#x + n;
        return this;
      }
    }
    return new Handler().add(1);
  }

  class OfSealed extends targets.Sealed {
    #own = 1;
    own() {
      return this.#own;
    }
  }
  class Derived extends OfSealed {}
  class Handle extends MessageChannel {
    #x = 1;
    x() {
      return this.#x;
    }
  }
  const hidden =
    /has private members \(.*\), which only its constructor can make.*multiprocessing\.reduce/;

  const all: Readonly<Record<string, readonly [value: () => unknown, why: RegExp]>> = {
    'an object of which the construction has failed': [halfMade, hidden],
    'an object with members of a class that is not its own': [marked, hidden],
    'a class that goes by name, and has private members': [() => new targets.Sealed(), hidden],
    'a class that extends such a one': [() => new OfSealed(), hidden],
    'one without members of its own that does': [() => new Derived(), hidden],
    'a class inside that uses members of the one around it': [
      () => new Base().inner(),
      /class 'Inner' cannot be sent: it uses private members of the class around it/,
    ],
    'a method alone': [() => Base.prototype.base, /cannot be sent: it uses private members, which/],
    'a function in the place of that of the class': [exchanged, /cannot be sent: it uses private/],
    'an object of the engine': [() => new Handle(), /cannot pickle 'Handle' object/],
  };

  test('half of an object is never sent, nor is it after others of its class', () => {
    for (const [what, [make, why]] of Object.entries(all)) {
      const value = make();
      for (let i = 0; i < 3; i++) {
        let error: unknown;
        try {
          dumps({ target: () => value });
        } catch (thrown) {
          error = thrown;
        }
        expect(error, what).toMatchObject({ name: 'PicklingError', code: 'ERR_MP_PICKLING' });
        expect((error as Error).message, what).toMatch(why);
      }
      expect(() => dumps({ target: () => new Base() })).not.toThrow();
    }
  });

  test('an instance goes with its class, in this process too', async () => {
    const base = new Base();
    const message = unbundled.ForkingPickler.dumps({ base, again: base });
    const copy = (await loadsFromParent(message)) as { base: Base; again: Base };
    expect(copy.base.base()).toBe(1);
    expect(copy.again).toBe(copy.base);
    expect(copy.base).not.toBeInstanceOf(Base);
  });

  test('a computed name of a member whose variable is not there any more', () => {
    const key = 'name';
    class Computed {
      [key]() {
        return 1;
      }
    }
    expect(() => dumps(Computed)).toThrow(
      /the name of one of its members is computed of 'key', a variable that is kept only as long/,
    );
  });
});
