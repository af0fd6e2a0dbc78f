/**
 * Which variables a piece of code uses that it does not declare: the scope analysis behind functions by value.
 * ECMA-262 calls them the unresolvable references of the code taken alone.
 */
import type { AnyNode, Node } from 'acorn';

/** A place where a variable is used that is declared outside. `this` of an arrow function counts as one. */
export interface Reference {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly assigned: boolean;
  /** `{ x }` has to become `{ x: ... }`, and `x()` must not become a call of a method. */
  readonly kind: 'plain' | 'shorthand' | 'called';
}

/** What a piece of code has of its surroundings. */
export interface Surroundings {
  readonly references: Reference[];
  /** Where `import.meta` stands. */
  readonly metas: (readonly [start: number, end: number])[];
  newTarget: boolean;
  super: boolean;
  /** Whether a private name is used that no class in the code declares. */
  privates: boolean;
}

/** What belongs to the code itself at some place in it. */
interface Own {
  readonly this: boolean;
  readonly super: boolean;
}

/** A node of which any part may be asked for. @internal */
export type Any = AnyNode & Record<string, unknown>;

class Scope {
  readonly names = new Set<string>();
  readonly parent: Scope | undefined;
  readonly isFunction: boolean;

  constructor(parent: Scope | undefined, isFunction: boolean) {
    this.parent = parent;
    this.isFunction = isFunction;
  }

  has(name: string): boolean {
    return this.names.has(name) || (this.parent?.has(name) ?? false);
  }

  get function(): Scope {
    return this.isFunction || this.parent === undefined ? this : this.parent.function;
  }
}

/**
 * Finds what nodes have of their surroundings.
 * @param nodes visited as if they stood beside each other
 * @param own what `this` and `super` in them belong to: the code itself, or its surroundings
 */
export function surroundingsOf(nodes: readonly Node[], own: Own): Surroundings {
  const visitor = new Visitor();
  const top = new Scope(undefined, true);
  for (const node of nodes) visitor.visit(node as Any, top, own);
  return visitor.found;
}

/** What of a class is its code: its static fields and blocks have run, and what it extends is a value. */
export interface ClassSurroundings {
  /** Used while the class is made: in computed names. */
  readonly early: Surroundings;
  readonly code: Surroundings;
}

/** Finds what a class has of its surroundings, apart from what it extends and its static fields and blocks. */
export function surroundingsOfClass(node: Node): ClassSurroundings {
  const { id, body } = node as unknown as { id: { name: string } | null; body: { body: Any[] } };
  const scope = new Scope(undefined, true);
  if (id) scope.names.add(id.name);
  const early = new Visitor();
  const code = new Visitor();
  for (const member of body.body) {
    if (member.computed && !hasRun(member))
      early.inside(node as Any, () =>
        early.visit(member.key as Any, scope, { this: false, super: false }),
      );
    if (!hasRun(member)) code.inside(node as Any, () => code.member(member, scope));
  }
  return { early: early.found, code: code.found };
}

/** Whether a member of a class has done all that it does when the class was made. */
export function hasRun(member: { type: string; static?: unknown }): boolean {
  return member.type === 'StaticBlock' || (member.type === 'PropertyDefinition' && !!member.static);
}

function isPrivate(node: unknown): node is { name: string } {
  return (node as { type?: string } | null | undefined)?.type === 'PrivateIdentifier';
}

const FUNCTIONS = /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/;

class Visitor {
  readonly found: Surroundings = {
    references: [],
    metas: [],
    newTarget: false,
    super: false,
    privates: false,
  };
  /** The private names of the classes around the place. */
  #privates: ReadonlySet<string> = new Set();

  visit(node: Any | null | undefined, scope: Scope, own: Own): void {
    if (node === null || node === undefined) return;
    if (FUNCTIONS.test(node.type)) {
      this.function(node, scope, own);
      return;
    }
    switch (node.type) {
      case 'Identifier':
        this.reference(node, scope);
        return;
      case 'PrivateIdentifier':
        if (!this.#privates.has((node as unknown as { name: string }).name))
          this.found.privates = true;
        return;
      case 'ThisExpression':
        if (!own.this) this.add(node, 'this', 'plain', false);
        return;
      case 'Super':
        if (!own.super) this.found.super = true;
        return;
      case 'MetaProperty':
        if ((node.meta as { name: string }).name === 'import')
          this.found.metas.push([node.start, node.end]);
        else if (!own.this) this.found.newTarget = true;
        return;
      case 'ClassDeclaration':
      case 'ClassExpression':
        this.class(node, scope, own);
        return;
      case 'VariableDeclarator':
        this.pattern(node.id as unknown as Any, scope, own, false);
        this.visit(node.init as Any, scope, own);
        return;
      case 'AssignmentExpression':
        this.pattern(node.left as unknown as Any, scope, own, true);
        this.visit(node.right as unknown as Any, scope, own);
        return;
      case 'UpdateExpression':
        this.pattern(node.argument as unknown as Any, scope, own, true);
        return;
      case 'MemberExpression':
        this.visit(node.object as unknown as Any, scope, own);
        if (node.computed || isPrivate(node.property))
          this.visit(node.property as unknown as Any, scope, own);
        return;
      case 'CallExpression':
        this.called(node.callee as unknown as Any, scope, own);
        this.all(node.arguments as unknown as Any[], scope, own);
        return;
      case 'TaggedTemplateExpression':
        this.called(node.tag as unknown as Any, scope, own);
        this.visit(node.quasi as unknown as Any, scope, own);
        return;
      case 'ObjectExpression':
        for (const property of node.properties as unknown as Any[]) {
          if (property.type === 'Property') this.property(property, scope, own);
          else this.visit(property, scope, own);
        }
        return;
      case 'LabeledStatement':
        this.visit(node.body as unknown as Any, scope, own);
        return;
      case 'BreakStatement':
      case 'ContinueStatement':
        return;
      default:
        this.block(node, scope, own);
    }
  }

  private all(nodes: readonly (Any | null)[], scope: Scope, own: Own): void {
    for (const node of nodes) this.visit(node, scope, own);
  }

  /** Statements that have a scope, and everything without a meaning of its own. */
  private block(node: Any, outer: Scope, own: Own): void {
    let scope = outer;
    if (/^(BlockStatement|For\w*Statement|SwitchStatement|CatchClause)$/.test(node.type)) {
      scope = new Scope(outer, false);
      declareLexical(node, scope);
      if (node.type === 'CatchClause' && node.param) {
        declarePattern(node.param as unknown as Any, scope);
        this.pattern(node.param as unknown as Any, scope, own, false);
        this.visit(node.body as unknown as Any, scope, own);
        return;
      }
      if (/^For(In|Of)/.test(node.type)) {
        const left = node.left as unknown as Any;
        if (left.type === 'VariableDeclaration') this.visit(left, scope, own);
        else this.pattern(left, scope, own, true);
        this.visit(node.right as unknown as Any, scope, own);
        this.visit(node.body as unknown as Any, scope, own);
        return;
      }
    }
    for (const child of children(node)) this.visit(child, scope, own);
  }

  private function(node: Any, outer: Scope, own: Own): void {
    const arrow = node.type === 'ArrowFunctionExpression';
    let parent = outer;
    const id = node.id as { name: string } | null | undefined;
    if (node.type === 'FunctionExpression' && id) {
      parent = new Scope(outer, false);
      parent.names.add(id.name);
    }
    const head = new Scope(parent, true);
    if (!arrow) head.names.add('arguments');
    const params = node.params as unknown as Any[];
    for (const param of params) declarePattern(param, head);
    const inner = arrow ? own : { this: true, super: own.super };
    // Default values do not see what the body declares.
    for (const param of params) this.pattern(param, head, inner, false);
    const scope = new Scope(head, true);
    const body = node.body as unknown as Any;
    declareVars(body, scope);
    if (body.type === 'BlockStatement') {
      declareLexical(body, scope);
      this.all(body.body as unknown as Any[], scope, inner);
    } else {
      this.visit(body, scope, inner);
    }
  }

  private class(node: Any, outer: Scope, own: Own): void {
    const scope = new Scope(outer, false);
    const id = node.id as { name: string } | null | undefined;
    if (id) scope.names.add(id.name);
    this.visit(node.superClass as Any, scope, own);
    this.inside(node, () => {
      for (const member of (node.body as unknown as { body: Any[] }).body) {
        if (member.computed) this.visit(member.key as Any, scope, own);
        this.member(member, scope);
      }
    });
  }

  /** Visits what has the private names of a class. */
  inside(node: Any, visit: () => void): void {
    const before = this.#privates;
    const { body } = node.body as unknown as { body: Any[] };
    const own = body.flatMap(({ key }) => (isPrivate(key) ? [(key as { name: string }).name] : []));
    this.#privates = new Set([...before, ...own]);
    visit();
    this.#privates = before;
  }

  /** The value of a class's member, or a static block. */
  member(member: Any, outer: Scope): void {
    const own = { this: true, super: true };
    const scope = new Scope(outer, true);
    if (member.type === 'StaticBlock') {
      declareVars(member, scope);
      declareLexical(member, scope);
      this.all(member.body as unknown as Any[], scope, own);
    } else {
      this.visit(member.value as Any, scope, own);
    }
  }

  private property(node: Any, scope: Scope, own: Own): void {
    if (node.computed) this.visit(node.key as unknown as Any, scope, own);
    const value = node.value as unknown as Any;
    if (node.shorthand && value.type === 'Identifier') this.reference(value, scope, 'shorthand');
    else if (node.method || node.kind !== 'init')
      this.visit(value, scope, { this: own.this, super: true });
    else this.visit(value, scope, own);
  }

  private called(callee: Any, scope: Scope, own: Own): void {
    if (callee.type === 'Identifier') this.reference(callee, scope, 'called');
    else this.visit(callee, scope, own);
  }

  /** What is declared or assigned to, with its defaults. @param assigns false: its names are declared here */
  private pattern(node: Any, scope: Scope, own: Own, assigns: boolean, shorthand = false): void {
    switch (node.type) {
      case 'Identifier':
        if (assigns) this.reference(node, scope, shorthand ? 'shorthand' : 'plain', true);
        return;
      case 'AssignmentPattern':
        this.pattern(node.left as unknown as Any, scope, own, assigns, shorthand);
        this.visit(node.right as unknown as Any, scope, own);
        return;
      case 'RestElement':
        this.pattern(node.argument as unknown as Any, scope, own, assigns);
        return;
      case 'ArrayPattern':
        for (const element of node.elements as unknown as (Any | null)[]) {
          if (element !== null) this.pattern(element, scope, own, assigns);
        }
        return;
      case 'ObjectPattern':
        for (const property of node.properties as unknown as Any[]) {
          if (property.type === 'RestElement') {
            this.pattern(property, scope, own, assigns);
            continue;
          }
          if (property.computed) this.visit(property.key as unknown as Any, scope, own);
          const { shorthand: short } = property as { shorthand?: boolean };
          this.pattern(property.value as unknown as Any, scope, own, assigns, short);
        }
        return;
      default:
        this.visit(node, scope, own);
    }
  }

  private reference(
    node: Any,
    scope: Scope,
    kind: Reference['kind'] = 'plain',
    assigned = false,
  ): void {
    const { name } = node as unknown as { name: string };
    if (!scope.has(name)) this.add(node, name, kind, assigned);
  }

  private add({ start, end }: Any, name: string, kind: Reference['kind'], assigned: boolean): void {
    this.found.references.push({ name, start, end, assigned, kind });
  }
}

/** The nodes of which a node consists. @internal */
export function* children(node: Any): Generator<Any> {
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof (child as Any | null)?.type === 'string') yield child as Any;
    }
  }
}

/** The names of a pattern. @internal */
function declarePattern(node: Any | null, scope: Scope): void {
  if (node === null) return;
  if (node.type === 'Identifier') scope.names.add((node as unknown as { name: string }).name);
  else if (node.type === 'AssignmentPattern') declarePattern(node.left as unknown as Any, scope);
  else if (node.type === 'RestElement') declarePattern(node.argument as unknown as Any, scope);
  else if (node.type === 'Property') declarePattern(node.value as unknown as Any, scope);
  else if (/Pattern$/.test(node.type))
    for (const child of children(node)) declarePattern(child, scope);
}

/** `var` and, in sloppy code, functions in blocks belong to the whole function. */
function declareVars(node: Any, scope: Scope): void {
  if (node.type === 'VariableDeclaration' && node.kind === 'var') {
    for (const { id } of node.declarations as unknown as { id: Any }[]) declarePattern(id, scope);
  }
  if (node.type === 'FunctionDeclaration') scope.names.add((node.id as { name: string }).name);
  if (FUNCTIONS.test(node.type) || /^Class/.test(node.type)) return;
  for (const child of children(node)) declareVars(child, scope);
}

/** What stands in a block itself. */
function declareLexical(node: Any, scope: Scope): void {
  const heads = node.type.startsWith('For') ? [node.init ?? node.left] : [];
  const body = (node.body ?? []) as unknown;
  const cases = (node.cases ?? []) as unknown as { consequent: Any[] }[];
  const statements = [
    ...heads,
    ...(Array.isArray(body) ? body : []),
    ...cases.flatMap((c) => c.consequent),
  ];
  for (const statement of statements as (Any | null | undefined)[]) {
    if (statement?.type === 'VariableDeclaration') {
      for (const { id } of statement.declarations as unknown as { id: Any }[])
        declarePattern(id, scope);
    } else if (/^(Function|Class)Declaration$/.test(statement?.type ?? '')) {
      scope.names.add((statement as unknown as { id: { name: string } }).id.name);
    }
  }
}
