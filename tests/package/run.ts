/**
 * What users get: packs the library, installs it into empty projects, and there runs programs and compiles against its
 * types. One line a check; the exit code is 1 if one of them fails.
 *
 *     pnpm test:package                         with npm, on the Node that runs this
 *     pnpm test:package --with npm,pnpm,yarn    each of them
 *     pnpm test:package --node 20,22,24,26      the programs on each of these
 *     pnpm test:package --no-types              the programs only
 *
 *     projects.ts   the projects, and what installs into them
 *     programs.ts   which programs run how, and what they print
 *     types.ts      which settings of which TypeScript the types are compiled under
 *     programs/     the programs
 *     types/        what is compiled
 */
import { parseArgs } from 'node:util';
import { nodeOf } from '../support/nodes.ts';
import { summary } from './check.ts';
import { checkPrograms } from './programs.ts';
import { isManager, makeProject, makeScratch, packOther } from './projects.ts';
import { checkTypes } from './types.ts';

const { values } = parseArgs({
  allowNegative: true,
  options: {
    with: { type: 'string', default: 'npm' },
    types: { type: 'boolean', default: true },
    node: { type: 'string', default: process.versions.node.split('.')[0] as string },
  },
});

const scratch = makeScratch();
const other = packOther(scratch);
for (const manager of values.with.split(',')) {
  if (!isManager(manager)) throw new Error(`--with ${manager}: npm, pnpm and yarn are known`);
  const project = makeProject(scratch, manager, other);
  for (const major of values.node.split(',')) {
    const found = nodeOf(major);
    if ('reason' in found) console.log(`left out: Node ${major}: ${found.reason}`);
    else await checkPrograms(project, found.path, `${manager}, Node ${major}`);
  }
}
if (values.types) await checkTypes(scratch);
process.exitCode = summary();
