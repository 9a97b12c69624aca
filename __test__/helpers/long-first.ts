// The order of the spec files. One that is started last ends alone, so the longest files and the folders with many such come
// first: on the first run vitest knows only how large a file is.

import { join, normalize } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Folders and files in `__test__/`. The first of all has a budget of time: it would take that alone, too. */
const LONG = [
  'crash-lab/',
  'transaction/',
  'site/',
  'pipeline/',
  'consumer/',
  'index/too-long.spec.ts',
  'process/leaks.spec.ts',
  'index/patch-view-random.spec.ts',
  'compare.spec.ts',
  'file/faults.spec.ts',
].map((name) => join(__dirname, '..', name))

const rank = ({ moduleId }: TestSpecification) => {
  const at = LONG.findIndex((path) => normalize(moduleId).startsWith(path))
  return at < 0 ? LONG.length : at
}

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // A stable sort: within a folder vitest's order stays.
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other))
  }
}
