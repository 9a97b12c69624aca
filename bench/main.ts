// `npm run bench`: our functions side by side with the alternatives, as ratios.
//
//   npm run bench -- [--suite reach|patches|transactions|scale|site] [--quick] [--seconds N] [--dir FOLDER] [--out FOLDER] [WORD ...]
//   npm run bench -- --draw
//
// Words choose the cases whose titles contain them all: `npm run bench -- new 32`. A whole run writes its results to
// docs/benchmarks/ and draws the pages; one that is quick or of some cases only does so where --out says. `--draw`
// measures nothing and draws the pages from the results that are there.

import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseCommand, runProgram, UsageError } from './command'
import { describeMachine } from './report/machine'
import { docs, drawPages, updatePages } from './report/page'
import type { Group } from './report/questions'
import { summarize, summarizeCase } from './report/results'
import { formatCase, formatTable, reachTable } from './report/table'
import { buildSuite } from './suites/build'
import { flushesSuite } from './suites/flushes'
import { numbersSuite } from './suites/numbers'
import { observeSuite } from './suites/observe'
import { pagesSuite } from './suites/pages'
import { patchesSuite } from './suites/patches'
import { processesSuite } from './suites/processes'
import { publishesSuite } from './suites/publishes'
import { scaleSuites } from './suites/scale'
import type { Context, Section, Suite } from './suites/suite'
import { transactionsSuite } from './suites/transactions'
import { updatesSuite } from './suites/updates'
import { writesSuite } from './suites/writes'
import { reach } from './targets'

/** For all suites of a group. Every case has the minimum of rounds, however long they take. */
const THOROUGH = { seconds: 180, fewest: 5 }
const QUICK = { seconds: 30, fewest: 2 }

/** Suites, each with its share of the time. */
const groups: Record<string, [suite: Suite, share: number][]> = {
  reach: [
    [writesSuite, 0.6],
    [updatesSuite, 0.1],
    [numbersSuite, 0.05],
    [processesSuite, 0.1],
    [flushesSuite, 0.1],
    [observeSuite, 0.05],
  ],
  patches: [[patchesSuite, 1]],
  transactions: [
    [transactionsSuite, 0.5],
    [publishesSuite, 0.5],
  ],
  scale: scaleSuites,
  site: [
    [pagesSuite, 0.5],
    [buildSuite, 0.5],
  ],
}

async function main(): Promise<void> {
  const { values, positionals } = parseCommand({
    allowPositionals: true,
    options: {
      suite: { type: 'string', default: 'reach' },
      quick: { type: 'boolean', default: false },
      seconds: { type: 'string' },
      dir: { type: 'string', default: tmpdir() },
      out: { type: 'string' },
      draw: { type: 'boolean', default: false },
    },
  })
  if (values.draw) return drawPages(values.out ? resolve(values.out) : docs)
  const suites = groups[values.suite]
  const effort = values.quick ? QUICK : THOROUGH
  const seconds = Number(values.seconds ?? effort.seconds)
  if (!suites) throw new UsageError(`--suite must be one of ${Object.keys(groups).join(', ')}`)
  if (!(seconds > 0)) throw new UsageError('--seconds must be a number above 0')

  const started = performance.now()
  const folder = await mkdtemp(join(resolve(values.dir), 'atomic-bench-'))
  try {
    scatter(folder)
    const machine = await describeMachine(folder)
    console.log(machine.join('\n'))
    console.log(
      '\ntime, JS thread: as multiples of the first line of a table: the ratio of the medians, and in brackets',
    )
    console.log('the quartiles of the ratios of single rounds.')
    const sections: Section[] = []
    for (const [suite, share] of suites) {
      sections.push(
        ...(await suite(contextFor(folder, positionals, seconds * share, effort.fewest, values.quick))),
      )
    }
    if (sections.length === 0) throw new UsageError(`No case is called ${positionals.join(' ')}`)
    for (const table of sections.flatMap(({ tables }) => tables ?? [])) console.log(`\n${formatTable(table)}`)
    const facts = reach(sections)
    const results = summarize(machine, sections, facts)
    if (facts.length > 0) console.log(`\n${formatTable(reachTable(facts))}`)
    console.log(`\n${Math.round((performance.now() - started) / 1000)} s`)

    const whole = !values.quick && positionals.length === 0
    const out = values.out ? resolve(values.out) : whole ? docs : undefined
    if (out) await updatePages(out, values.suite as Group, results)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * Lets ext2, ext3 and ext4 spread new folders over the disk, as they do in the root: otherwise one contender works
 * exactly where the files of another were removed. On other file systems this does nothing.
 */
function scatter(folder: string): void {
  spawnSync('chattr', ['+T', folder], { stdio: 'ignore' })
}

function contextFor(
  folder: string,
  words: string[],
  seconds: number,
  fewest: number,
  quick: boolean,
): Context {
  return {
    folder,
    quick,
    effort: { seconds, fewest },
    wanted: (title) => words.every((word) => title.toLowerCase().includes(word.toLowerCase())),
    show: (measured) => console.log(`\n${formatCase(summarizeCase(measured))}`),
    say: (line) => console.log(line),
  }
}

runProgram(main)
