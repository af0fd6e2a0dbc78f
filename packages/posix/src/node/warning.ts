/**
 * Warns as `process.emitWarning` does, but at once: a forkserver that waits for requests, or a child that runs a synchronous target,
 * may have no later.
 * @param name such as `'DeprecationWarning'`, which --no-deprecation silences and --throw-deprecation throws
 * @internal
 */
export function warnAtOnce(name: string, message: string): void {
  const warning = new Error(message);
  warning.name = name;
  warning.stack = `${name}: ${message}`;
  const isDeprecation = name === 'DeprecationWarning';
  const { noDeprecation, throwDeprecation } = process as NodeJS.Process;
  if (isDeprecation && (noDeprecation || throwDeprecation)) process.emitWarning(warning);
  else process.emit('warning', warning);
}
