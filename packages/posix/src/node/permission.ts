/**
 * Node's permission model (`node --permission`): what this library needs of it. Its children have the flags
 * of their parent. Deviations: D-127.
 */

interface Permission {
  has(scope: string): boolean;
}

/** Whether this process may not use V8's inspector. @internal */
export function isInspectorDenied(): boolean {
  const { permission } = process as { permission?: Permission };
  return permission !== undefined && !permission.has('inspector');
}

/** Why the inspector is missed, and what to do. @internal */
export function describeInspectorDenied(): string {
  if (process.allowedNodeEnvironmentFlags.has('--allow-inspector'))
    return "V8's inspector finds the module of a function: start node with --allow-inspector";
  return (
    `V8's inspector finds the module of a function, and no flag of Node ${process.version} allows it under the permission model:` +
    ' only functions that a CommonJS module exports can be found. Make it one, or use Node 24 or newer with --allow-inspector'
  );
}
