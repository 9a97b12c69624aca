// The order of the spec files. One that is started last ends alone, so the folders with the longest come first: on the
// first run vitest knows only how large a file is.

import { basename, dirname } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The first of all has a budget of time: it would take that alone, too. */
const LONG = ['crash-lab', 'transaction', 'site', 'pipeline', 'consumer']

const rank = ({ moduleId }: TestSpecification) => {
  const at = LONG.indexOf(basename(dirname(moduleId)))
  return at < 0 ? LONG.length : at
}

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // A stable sort: within a folder vitest's order stays.
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other))
  }
}
