// The short form of the crash lab: power cuts, mutants, kills, errors, other ground. It needs a machine that lets
// it mount, trace and kill; elsewhere it is skipped and says why. `npm run crash-lab` is the long form.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findCargo, runCargo } from '../scripts/tools.mjs'

/** One line of the lab's report; see `crash-lab/src/report.rs`. */
interface Row {
  section: string
  name: string
  ground: string
  states: number
  bad: number
  /** How they were bad: torn, lost, stuck, … */
  harms: Record<string, number>
  expect: 'none-bad' | 'caught'
  details: string[]
  skipped: string | null
}

const BUILD_MS = 15 * 60_000
/** What the short form may take; twice that on a machine that does other things too. */
const RUN_MS = 2 * 4 * 60_000

const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
const has = (program: string) => folders.some((folder) => existsSync(join(folder, program)))

function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux'
  if (process.getuid?.() !== 0) return 'needs root'
  if (!findCargo()) return 'needs cargo'
  const missing = ['strace', 'mkfs.ext4'].filter((program) => !has(program))
  const devices = ['/dev/fuse', '/dev/loop-control'].filter((device) => !existsSync(device))
  return [...missing, ...devices].map((name) => `needs ${name}`)[0]
}

const reason = whyNot()
const folder = mkdtempSync(join(tmpdir(), 'atomic-crash-lab-'))
const report = join(folder, 'rows.json')
let output = ''
let rows: Row[] = []

beforeAll(async () => {
  if (reason) return
  const built = await runCargo(['build', '--release', '-p', 'crash-lab'], { quiet: true })
  expect(built.code, built.output).toBe(0)
}, BUILD_MS)

beforeAll(async () => {
  if (reason) return
  const lab = ['run', '--release', '--quiet', '-p', 'crash-lab', '--', 'all', '--short', '--json', report]
  const ran = await runCargo(lab, { quiet: true })
  output = ran.output
  // Bad rows make it fail as well; they are the tests' to tell.
  if (!existsSync(report)) throw new Error(`the crash lab did not get to its end:\n${output}`)
  rows = JSON.parse(readFileSync(report, 'utf8'))
}, RUN_MS)

afterAll(() => rmSync(folder, { recursive: true }))

const sections = {
  'power cuts': 'after a simulated power cut every file is old or new, and nothing acknowledged is lost',
  mutants: 'a protocol with a step left out is caught',
  kill: 'killed at any system call, every file is old or new and the next call succeeds at once',
  errors: 'an error at any system call is told, or the result is right and true all the same',
  ground: 'the promises hold on every file system, and under worker threads that are terminated',
}

for (const [section, promise] of Object.entries(sections)) {
  const title = `${section}: ${promise}`
  if (reason) {
    test.skip(`${title} (${reason})`)
    continue
  }
  test(title, ({ skip }) => {
    const here = rows.filter((row) => row.section === section)
    const checked = here.filter((row) => row.skipped === null)
    skip(here.length > 0 && checked.length === 0, here[0]?.skipped ?? '')

    const whole = checked.filter((row) => row.expect === 'none-bad')
    const bad = whole.filter((row) => row.bad > 0)
    expect(bad.flatMap((row) => [`${row.name}, ${row.ground}: ${row.bad} bad`, ...row.details])).toEqual([])
    expect(whole.filter((row) => row.states === 0).map((row) => `${row.name}, ${row.ground}`)).toEqual([])

    // On one ground at least.
    const mutants = checked.filter((row) => row.expect === 'caught')
    const caught = new Set(mutants.filter((row) => row.bad > 0).map((row) => row.name))
    expect(mutants.map((row) => row.name).filter((name) => !caught.has(name))).toEqual([])
    expect(checked.length, output).toBeGreaterThan(0)
  })
}
