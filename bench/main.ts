// `npm run bench`: atomicWrite side by side with its rivals, as ratios.
//
//   npm run bench -- [--quick] [--seconds N] [--dir FOLDER] [WORD ...]
//
// Words choose the cases whose titles have them all: `npm run bench -- 32 string`.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { selectCases } from './cases'
import { threadClock } from './clock'
import { rivals, subject } from './contenders'
import { describeMachine } from './machine'
import { measure } from './measure'
import { formatCase, formatLegend } from './table'

/** For the whole run; every case has its fewest rounds, whatever that takes. */
const THOROUGH = { seconds: 150, fewestRounds: 7 }
const QUICK = { seconds: 15, fewestRounds: 3 }

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      seconds: { type: 'string' },
      dir: { type: 'string', default: tmpdir() },
    },
  })
  const cases = selectCases(positionals)
  const effort = values.quick ? QUICK : THOROUGH
  const seconds = Number(values.seconds ?? effort.seconds)
  if (cases.length === 0) throw new Error(`No case is called ${positionals.join(' ')}`)
  if (!(seconds > 0)) throw new Error('--seconds must be a number above 0')

  const folder = await mkdtemp(join(resolve(values.dir), 'atomic-bench-'))
  try {
    console.log(await describeMachine(folder))
    console.log(`\n${formatLegend(subject, threadClock.description)}`)
    const end = performance.now() + seconds * 1000
    for (const [index, what] of cases.entries()) {
      // What one case overruns, those after it make up for.
      const share = (end - performance.now()) / 1000 / (cases.length - index)
      const measured = await measure(
        what,
        [subject, ...rivals],
        join(folder, 'case'),
        share,
        effort.fewestRounds,
      )
      console.log(`\n${formatCase(what, measured)}`)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
