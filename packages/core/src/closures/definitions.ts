/**
 * What gives the variables of a script their values: its scopes, and for each variable in them the expressions that are
 * assigned to it.
 */
import { parse } from './source.ts';
import { type Any, children } from './variables.ts';

/** One of the ways in which a variable gets its value. @internal */
export interface Definition {
  /** What is assigned; undefined for what nobody can tell beforehand, as a parameter. */
  readonly expression: Any | undefined;
  /** Where `expression` stands. */
  readonly scope: Scope;
  /** The members of the value that the variable is, from the outside in. */
  readonly path: readonly string[];
  /** Whether the value is what `expression`, a promise, is resolved with. */
  readonly awaited: boolean;
  /** Of an import declaration. */
  readonly imported?: { readonly specifier: string; readonly type: string | undefined };
}

/** A variable and what it is assigned. @internal */
export interface Declared {
  readonly definitions: Definition[];
  /** Whether it is never assigned again. */
  constant: boolean;
}

/** A part of a script that has variables. @internal */
export class Scope {
  readonly start: number;
  readonly end: number;
  readonly parent: Scope | undefined;
  readonly isFunction: boolean;
  readonly variables = new Map<string, Declared>();
  readonly inner: Scope[] = [];

  constructor({ start, end }: { start: number; end: number }, parent?: Scope, isFunction = true) {
    this.start = start;
    this.end = end;
    this.parent = parent;
    this.isFunction = isFunction;
    parent?.inner.push(this);
  }

  find(name: string): Declared | undefined {
    return this.variables.get(name) ?? this.parent?.find(name);
  }

  /** The innermost scope around a place. */
  around(offset: number): Scope {
    const inner = this.inner.find(({ start, end }) => start <= offset && offset < end);
    return inner?.around(offset) ?? this;
  }

  declare(name: string, constant = false): Declared {
    let declared = this.variables.get(name);
    if (declared === undefined) {
      declared = { definitions: [], constant };
      this.variables.set(name, declared);
    }
    return declared;
  }

  get function(): Scope {
    return this.isFunction || this.parent === undefined ? this : this.parent.function;
  }
}

/** Finds the scopes of a whole script. @throws SyntaxError @internal */
export function scopesOf(source: string, isModule: boolean): Scope {
  const program = parseScript(source, isModule);
  const top = new Scope({ start: 0, end: source.length + 1 });
  const finder = new Finder();
  finder.visit(program, top);
  finder.assign();
  return top;
}

function parseScript(source: string, isModule: boolean): Any {
  if (isModule) return parse(source);
  try {
    return parse(source, 'script');
  } catch {
    return parse(source);
  }
}

type Target = (name: string, definition: Definition) => void;

const FUNCTIONS = /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/;
const BLOCKS = /^(BlockStatement|For\w*Statement|SwitchStatement|StaticBlock)$/;

class Finder {
  /** Assignments, whose variables may be declared further down. */
  readonly #assigned: (readonly [scope: Scope, name: string, definition: Definition])[] = [];
  /** What the parameters of functions are that are given to `then`. */
  readonly #results = new Map<Any, Definition>();

  visit(node: Any, outer: Scope): void {
    if (FUNCTIONS.test(node.type)) {
      this.#function(node, outer);
      return;
    }
    let scope = outer;
    switch (node.type) {
      case 'ImportDeclaration':
        declareImports(node, scope);
        return;
      case 'VariableDeclaration':
        this.#declaration(node, scope);
        break;
      case 'ClassDeclaration':
        declare(scope, node.id as unknown as Any | null, node);
        break;
      case 'AssignmentExpression':
        this.#assignment(node, scope);
        break;
      case 'UpdateExpression':
        this.#change(node.argument as unknown as Any, scope);
        break;
      case 'CallExpression':
        this.#call(node, scope);
        break;
      case 'CatchClause':
        scope = new Scope(node, outer, false);
        this.#parameters([node.param as unknown as Any | null], scope, undefined);
        break;
      default:
        if (BLOCKS.test(node.type)) scope = new Scope(node, outer, node.type === 'StaticBlock');
    }
    if (/^For(In|Of)/.test(node.type)) this.#loop(node, scope);
    for (const child of children(node)) this.visit(child, scope);
  }

  /** Gives the variables what is assigned to them, now that all are known. */
  assign(): void {
    for (const [scope, name, definition] of this.#assigned) {
      const declared = scope.find(name);
      if (declared === undefined) continue;
      declared.definitions.push(definition);
      declared.constant = declared.definitions.length === 1;
    }
  }

  #function(node: Any, outer: Scope): void {
    const id = node.id as unknown as Any | null;
    if (node.type === 'FunctionDeclaration') declare(outer, id, node);
    const scope = new Scope(node, outer);
    if (node.type === 'FunctionExpression') declare(scope, id, node);
    const params = node.params as unknown as Any[];
    this.#parameters(params, scope, this.#results.get(node));
    for (const param of params) this.visit(param, scope);
    this.visit(node.body as unknown as Any, scope);
  }

  #parameters(params: readonly (Any | null)[], scope: Scope, first: Definition | undefined): void {
    for (const [i, param] of params.entries()) {
      if (param === null) continue;
      const definition = (i === 0 ? first : undefined) ?? unknown(scope);
      pattern(param, definition, (name, found) => {
        scope.declare(name, found.expression !== undefined).definitions.push(found);
      });
    }
  }

  #declaration(node: Any, scope: Scope): void {
    const { kind, declarations } = node as unknown as { kind: string; declarations: Any[] };
    const at = kind === 'var' ? scope.function : scope;
    for (const { id, init } of declarations as unknown as { id: Any; init: Any | null }[]) {
      pattern(id, init ? known(init, scope) : unknown(scope), (name, definition) => {
        const declared = at.declare(name, true);
        if (init === null) return;
        declared.definitions.push(definition);
        declared.constant = declared.definitions.length === 1;
      });
    }
  }

  #assignment(node: Any, scope: Scope): void {
    const { operator, left, right } = node as unknown as { operator: string } & Record<string, Any>;
    const simple = /^(\?\?|\|\|)?=$/.test(operator);
    const definition = simple ? known(right as Any, scope) : unknown(scope);
    pattern(left as Any, definition, (name, found) => {
      this.#assigned.push([scope, name, found]);
    });
  }

  #change(node: Any, scope: Scope): void {
    pattern(node, unknown(scope), (name, found) => {
      this.#assigned.push([scope, name, found]);
    });
  }

  /** `for (x of all)`, also where x is declared by that. */
  #loop(node: Any, scope: Scope): void {
    const left = node.left as unknown as Any;
    const { declarations } = left as unknown as { declarations?: { id: Any }[] };
    for (const target of declarations?.map(({ id }) => id) ?? [left]) this.#change(target, scope);
  }

  /** `promise.then((value) => ...)` gives its parameter a value. */
  #call(node: Any, scope: Scope): void {
    const callee = node.callee as unknown as Any;
    const [callback] = node.arguments as unknown as Any[];
    if (callee.type !== 'MemberExpression' || callback === undefined) return;
    if ((callee.property as unknown as { name?: string }).name !== 'then') return;
    const expression = callee.object as unknown as Any;
    if (FUNCTIONS.test(callback.type))
      this.#results.set(callback, { expression, scope, path: [], awaited: true });
  }
}

function known(expression: Any, scope: Scope): Definition {
  return { expression, scope, path: [], awaited: false };
}

function unknown(scope: Scope): Definition {
  return { expression: undefined, scope, path: [], awaited: false };
}

function declare(scope: Scope, id: Any | null, node: Any): void {
  if (id === null) return;
  const declared = scope.declare((id as unknown as { name: string }).name, true);
  declared.definitions.push(known(node, scope));
}

interface ImportSpecifier {
  readonly type: string;
  readonly local: { name: string };
  readonly imported?: { name?: string; value?: string };
}

/** Of one import: the exported name, if it is not the whole module. @internal */
export function importedName({ type, imported }: ImportSpecifier): string | undefined {
  if (type === 'ImportNamespaceSpecifier') return undefined;
  return imported?.name ?? imported?.value ?? 'default';
}

/** The `type` among the attributes of an import. @internal */
export function attributeOf(attributes: readonly unknown[] | undefined): string | undefined {
  for (const each of attributes ?? []) {
    const { key, value } = each as {
      key: { name?: string; value?: string };
      value: { value: string };
    };
    if ((key.name ?? key.value) === 'type') return value.value;
  }
  return undefined;
}

function declareImports(node: Any, scope: Scope): void {
  const { source, specifiers, attributes } = node as unknown as {
    source: { value: string };
    specifiers: ImportSpecifier[];
    attributes?: unknown[];
  };
  for (const specifier of specifiers) {
    const name = importedName(specifier);
    scope.declare(specifier.local.name, true).definitions.push({
      ...unknown(scope),
      path: name === undefined ? [] : [name],
      imported: { specifier: source.value, type: attributeOf(attributes) },
    });
  }
}

/** The variables of a pattern, and what each of them is of the value. */
function pattern(node: Any, definition: Definition, target: Target): void {
  switch (node.type) {
    case 'Identifier':
      target((node as unknown as { name: string }).name, definition);
      return;
    case 'AssignmentPattern':
      pattern(node.left as unknown as Any, definition, target);
      return;
    case 'RestElement':
      pattern(node.argument as unknown as Any, unknown(definition.scope), target);
      return;
    case 'ArrayPattern':
      for (const [i, element] of (node.elements as unknown as (Any | null)[]).entries())
        if (element !== null)
          pattern(element, { ...definition, path: [...definition.path, String(i)] }, target);
      return;
    case 'ObjectPattern':
      for (const property of node.properties as unknown as Any[]) {
        const { computed, key, value } = property as unknown as { computed: boolean } & Record<
          string,
          Any
        >;
        if (property.type === 'RestElement') pattern(property, definition, target);
        else pattern(value as Any, computed ? unknown(definition.scope) : member(key), target);
      }
  }

  function member(key: Any | undefined): Definition {
    const { name, value } = key as unknown as { name?: string; value?: unknown };
    return { ...definition, path: [...definition.path, name ?? String(value)] };
  }
}
