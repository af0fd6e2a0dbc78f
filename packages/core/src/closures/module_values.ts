/**
 * Which module an expression stands for, or which part of one: `require('fs').promises`, `await import('./x.js')`,
 * `__importDefault(require('./x'))` and the like, also by way of other variables.
 */
import type { Declared, Definition, Scope } from './definitions.ts';
import { attributeOf } from './definitions.ts';
import type { Any } from './variables.ts';

/** A module, or a part of one, that an expression may stand for. @internal */
export interface ModuleValue {
  readonly by: 'import' | 'require';
  readonly specifier: string;
  /** From where it is resolved, where that is not the script itself. */
  readonly from?: string | undefined;
  /** The attribute `type` of an import. */
  readonly type?: string | undefined;
  readonly path: readonly string[];
  /** Whether it has to be compared: a function was called with it, as compilers do, or it is not known from where it is. */
  readonly wrapped: boolean;
  /** Whether it is a promise of it. */
  readonly promise: boolean;
}

/** Enough for any program, and an end to variables that are made of each other. */
const DEEPEST = 12;

/** What a variable may stand for. @internal */
export function valuesOf(declared: Declared, depth = 0): ModuleValue[] {
  return declared.definitions.flatMap((definition) => definedBy(definition, depth));
}

function definedBy(definition: Definition, depth: number): ModuleValue[] {
  const { expression, scope, path, awaited, imported } = definition;
  if (imported !== undefined) return [{ by: 'import', ...imported, path, ...bare }];
  if (expression === undefined || depth > DEEPEST) return [];
  const [part, ...rest] = path;
  const element = part === undefined ? undefined : elementOf(expression, part);
  const values = valuesOfExpression(element ?? expression, scope, depth + 1);
  return (awaited || element !== undefined ? values.map(settled) : values).flatMap((value) =>
    members(value, element === undefined ? path : rest),
  );
}

/** One of the values of `[a, b]`, `await Promise.all([a, b])` or `{ a, b }`. */
function elementOf(node: Any, key: string): Any | undefined {
  if (node.type === 'AwaitExpression') {
    const { callee, arguments: args = [] } = node.argument as unknown as {
      callee?: { property?: { name?: string } };
      arguments?: Any[];
    };
    const isAll = callee?.property?.name === 'all' && args[0]?.type === 'ArrayExpression';
    return isAll ? elementOf(args[0] as Any, key) : undefined;
  }
  if (node.type === 'ArrayExpression')
    return (node.elements as unknown as (Any | null)[])[Number(key)] ?? undefined;
  if (node.type !== 'ObjectExpression') return undefined;
  const found = (
    node.properties as unknown as { computed?: boolean; key?: Any; value: Any }[]
  ).find(({ computed, key: each }) => !computed && nameOf(each) === key);
  return found?.value;
}

const bare = { wrapped: false, promise: false } as const;

const settled = (value: ModuleValue): ModuleValue => ({ ...value, promise: false });

function members(value: ModuleValue, path: readonly string[]): ModuleValue[] {
  if (path.length === 0) return [value];
  return value.promise ? [] : [{ ...value, path: [...value.path, ...path] }];
}

function valuesOfExpression(node: Any, scope: Scope, depth: number): ModuleValue[] {
  if (depth > DEEPEST) return [];
  const of = (part: unknown) => valuesOfExpression(part as Any, scope, depth + 1);
  switch (node.type) {
    case 'Identifier': {
      const declared = scope.find((node as unknown as { name: string }).name);
      return declared === undefined ? [] : valuesOf(declared, depth);
    }
    case 'AwaitExpression':
      return of(node.argument).map(settled);
    case 'ImportExpression':
      return imported(node, scope, depth);
    case 'MemberExpression': {
      const key = keyOf(node, scope, depth);
      const element = key === undefined ? undefined : elementOf(node.object as unknown as Any, key);
      if (element !== undefined) return of(element);
      return key === undefined ? [] : of(node.object).flatMap((value) => members(value, [key]));
    }
    case 'ChainExpression':
      return of(node.expression);
    case 'AssignmentExpression':
      return of(node.right);
    case 'SequenceExpression':
      return of((node.expressions as unknown as Any[]).at(-1));
    case 'LogicalExpression':
      return [...of(node.left), ...of(node.right)];
    case 'ConditionalExpression':
      return [...of(node.consequent), ...of(node.alternate)];
    case 'CallExpression':
      return called(node, scope, depth);
    default:
      return [];
  }
}

function imported(node: Any, scope: Scope, depth: number): ModuleValue[] {
  const specifier = textOf(node.source as unknown as Any, scope, depth);
  if (specifier === undefined) return [];
  const type = typeIn(node.options as unknown as Any | null);
  return [{ by: 'import', specifier, type, path: [], wrapped: false, promise: true }];
}

/** `{ with: { type: 'json' } }` */
function typeIn(options: Any | null | undefined): string | undefined {
  const { properties = [] } = (options ?? {}) as { properties?: { value: Any }[] };
  return attributeOf(
    properties.flatMap(({ value }) => (value?.properties as unknown as unknown[]) ?? []),
  );
}

function called(node: Any, scope: Scope, depth: number): ModuleValue[] {
  const callee = node.callee as unknown as Any;
  const [first] = node.arguments as unknown as Any[];
  const method = callee.type === 'MemberExpression' ? keyOf(callee, scope, depth) : undefined;
  if (method === 'then' && first !== undefined) {
    return returned(first, scope, depth).map((value) => ({ ...value, promise: true }));
  }
  const isPromise = (callee.object as unknown as { name?: string } | undefined)?.name === 'Promise';
  if (method === 'resolve' && first !== undefined && isPromise)
    return valuesOfExpression(first, scope, depth + 1).map((value) => ({
      ...value,
      promise: true,
    }));
  const required = requireOf(callee, method, scope, depth);
  if (required !== undefined && first !== undefined) {
    const specifier = textOf(first, scope, depth);
    return specifier === undefined
      ? []
      : [{ by: 'require', specifier, path: [], ...bare, ...required }];
  }
  if (first === undefined) return returned(callee, scope, depth);
  return valuesOfExpression(first, scope, depth + 1).flatMap((value) =>
    value.promise ? [] : [{ ...value, wrapped: true }],
  );
}

/** What a function that stands here, or in a variable, returns. */
function returned(node: Any, scope: Scope, depth: number): ModuleValue[] {
  if (depth > DEEPEST) return [];
  if (node.type === 'Identifier') {
    const { definitions = [] } = scope.find((node as unknown as { name: string }).name) ?? {};
    return definitions.flatMap(({ expression, scope: there, path }) =>
      expression === undefined || path.length > 0 ? [] : returned(expression, there, depth + 1),
    );
  }
  if (!/Function/.test(node.type)) return [];
  const body = node.body as unknown as Any;
  const inside = scope.around(body.start);
  const results =
    body.type === 'BlockStatement'
      ? (body.body as unknown as Any[]).flatMap((statement) =>
          statement.type === 'ReturnStatement' && statement.argument
            ? [statement.argument as unknown as Any]
            : [],
        )
      : [body];
  const values = results.flatMap((result) => valuesOfExpression(result, inside, depth + 1));
  return node.async ? values.map((value) => ({ ...value, promise: true })) : values;
}

/** From where a `require` resolves; if that is not known, it is to be compared. */
interface Required {
  readonly from?: string;
  readonly wrapped?: true;
}

/** Whether a call is one of a `require`, and of which. */
function requireOf(
  callee: Any,
  method: string | undefined,
  scope: Scope,
  depth: number,
): Required | undefined {
  if (method === 'getBuiltinModule') return {};
  if (method === 'require') return {};
  if (callee.type === 'CallExpression') return createdBy(callee, scope, depth);
  if (callee.type !== 'Identifier') return undefined;
  const { name } = callee as unknown as { name: string };
  const declared = scope.find(name);
  for (const { expression, scope: there } of declared?.definitions ?? []) {
    if (expression?.type === 'CallExpression') {
      const created = createdBy(expression, there, depth);
      if (created !== undefined) return created;
    }
  }
  // That of CommonJS, and what bundlers call theirs.
  return /^_*require$/.test(name) ? {} : undefined;
}

/** `createRequire(import.meta.url)` */
function createdBy(node: Any, scope: Scope, depth: number): Required | undefined {
  const callee = node.callee as unknown as Any;
  const [first] = node.arguments as unknown as (Any | undefined)[];
  const isCreate = valuesOfExpression(callee, scope, depth + 1).some(
    ({ specifier, path }) => /^(node:)?module$/.test(specifier) && path.at(-1) === 'createRequire',
  );
  if (!isCreate || first === undefined) return undefined;
  if (isOwnPlace(first)) return {};
  const from = textOf(first, scope, depth);
  return from === undefined ? { wrapped: true } : { from };
}

/** `import.meta.url`, `import.meta.filename`, `__filename` */
function isOwnPlace(node: Any): boolean {
  if (node.type === 'Identifier')
    return (node as unknown as { name: string }).name === '__filename';
  const { object, property } = node as unknown as { object?: Any; property?: { name?: string } };
  return object?.type === 'MetaProperty' && /^(url|filename)$/.test(property?.name ?? '');
}

function keyOf(node: Any, scope: Scope, depth: number): string | undefined {
  const property = node.property as unknown as Any & { name?: string };
  return node.computed ? textOf(property, scope, depth) : property.name;
}

/** A text that does not depend on how the program runs. */
function textOf(node: Any, scope: Scope, depth: number): string | undefined {
  if (depth > DEEPEST) return undefined;
  const of = (part: unknown) => textOf(part as Any, scope, depth + 1);
  switch (node.type) {
    case 'Literal': {
      const { value } = node as unknown as { value: unknown };
      return typeof value === 'string' ? value : undefined;
    }
    case 'TemplateLiteral': {
      const { quasis, expressions } = node as unknown as {
        quasis: { value: { cooked: string } }[];
        expressions: Any[];
      };
      const parts = expressions.map(of);
      if (parts.includes(undefined)) return undefined;
      return quasis.map(({ value }, i) => value.cooked + (parts[i] ?? '')).join('');
    }
    case 'BinaryExpression': {
      const [left, right] = [of(node.left), of(node.right)];
      const joined = node.operator === '+' && left !== undefined && right !== undefined;
      return joined ? left + right : undefined;
    }
    case 'Identifier': {
      const declared = scope.find((node as unknown as { name: string }).name);
      const [definition] = declared?.definitions ?? [];
      if (declared?.constant !== true || definition?.expression === undefined) return undefined;
      if (definition.path.length > 0) return undefined;
      return textOf(definition.expression, definition.scope, depth + 1);
    }
    case 'MemberExpression':
      // `new URL(...).href`
      return /^(href|pathname)$/.test(keyOf(node, scope, depth) ?? '')
        ? of(node.object)
        : undefined;
    case 'CallExpression':
      return textOfCall(node, of);
    case 'NewExpression':
      // `new URL('./x.js', import.meta.url)` is what the module finds under './x.js'.
      return textOfUrl(node, of);
    default:
      return undefined;
  }
}

function textOfUrl(node: Any, of: (part: unknown) => string | undefined): string | undefined {
  const { callee, arguments: args } = node as unknown as {
    callee: { name?: string };
    arguments: Any[];
  };
  const [first, second] = args;
  if (callee.name !== 'URL' || first === undefined) return undefined;
  const text = of(first);
  if (second === undefined || text === undefined || !isOwnPlace(second)) return undefined;
  return /^(\.{0,2}\/|[a-z]+:)/.test(text) ? text : `./${text}`;
}

function textOfCall(node: Any, of: (part: unknown) => string | undefined): string | undefined {
  const callee = node.callee as unknown as Any;
  const [first] = node.arguments as unknown as Any[];
  if (callee.type !== 'MemberExpression') return undefined;
  const { name } = callee.property as unknown as { name?: string };
  if (name === 'toString') return of(callee.object);
  if (first === undefined) return undefined;
  // Promise.resolve(text), which is awaited; import.meta.resolve(text), require.resolve(text): what the module finds by it.
  return name === 'resolve' && !/path/i.test(nameOf(callee.object)) ? of(first) : undefined;
}

function nameOf(node: unknown): string {
  return (node as { name?: string } | undefined)?.name ?? '';
}
