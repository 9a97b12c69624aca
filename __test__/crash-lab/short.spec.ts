// The short form of the crash lab: mutants, file systems, kills, errors, power cuts, as many as fit into its budget of time. It
// needs a machine that lets it mount, trace and kill; elsewhere it is skipped and says why. `npm run crash-lab` is
// the long form.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { build, NO_TIMEOUT, run, whyNot } from './lab'

/** What the lab reports; see `crash-lab/src/report/mod.rs`. */
interface Report {
  seed: number
  seconds: number
  sections: { section: string; looked: number; of: number | null; unit: string }[]
  rows: Row[]
}

interface Row {
  section: string
  name: string
  /** The file system, or how files were staged. */
  column: string
  states: number
  bad: number
  expect: 'none-bad' | 'caught'
  details: string[]
  skipped: string | null
}

const reason = whyNot()
const folder = mkdtempSync(join(tmpdir(), 'atomic-crash-lab-'))
let report: Report
let output = ''

beforeAll(async () => {
  if (reason) return
  const file = join(folder, 'report.json')
  const ran = await run(await build(), ['all', '--short', '--json', file])
  output = ran.output
  // The lab fails if a row is bad, too; that is for the tests to report.
  if (!existsSync(file)) throw new Error(`the crash lab did not finish:\n${output}`)
  report = JSON.parse(readFileSync(file, 'utf8'))
  const looked = report.sections.map(
    ({ section, looked, of, unit }) => `${section} ${looked} of ${of} ${unit}`,
  )
  console.log(`crash lab: ${report.seconds} s, seed ${report.seed}: ${looked.join(', ')}`)
}, NO_TIMEOUT)

afterAll(() => rmSync(folder, { recursive: true }))

const sections = {
  mutants: 'a protocol with a step left out is caught',
  filesystems: 'the promises hold on every file system, and under worker threads that are terminated',
  kill: 'killed at any system call, every file is old or new and the next call succeeds at once',
  errors: 'an error at any system call is reported, or the result is right and true all the same',
  power: 'after a simulated power cut every file is old or new, and nothing acknowledged is lost',
}

for (const [section, promise] of Object.entries(sections)) {
  const title = `${section}: ${promise}`
  if (reason) {
    test.skip(`${title} (${reason})`)
    continue
  }
  test(title, ({ skip }) => {
    const here = report.rows.filter((row) => row.section === section)
    const checked = here.filter((row) => row.skipped === null)
    skip(here.length > 0 && checked.length === 0, here[0]?.skipped ?? '')

    const whole = checked.filter((row) => row.expect === 'none-bad')
    const bad = whole.filter((row) => row.bad > 0)
    const seed = `seed ${report.seed}`
    expect(
      bad.flatMap((row) => [`${row.name}, ${row.column}: ${row.bad} bad`, ...row.details]),
      seed,
    ).toEqual([])
    expect(whole.filter((row) => row.states === 0).map((row) => `${row.name}, ${row.column}`)).toEqual([])
    expect(whole.length, output).toBeGreaterThan(0)

    // In one column at least.
    const mutants = checked.filter((row) => row.expect === 'caught')
    const caught = new Set(mutants.filter((row) => row.bad > 0).map((row) => row.name))
    expect(
      mutants.map((row) => row.name).filter((name) => !caught.has(name)),
      seed,
    ).toEqual([])
  })
}
