// `npm run compare`: what becomes of a file when something goes wrong, for each of the usual ways to write one.
// The packages are the real ones, and so are the faults. Every cell says what was seen.
//
//   npm run compare -- [--quick] [--write] [WORD ...]
//
// Words choose rows by what happens: `npm run compare -- kill`. `--write` puts the whole table into README.md.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { atomicWrite } from '@pipeline/atomic'
import { root } from '../../scripts/tools.mjs'
import { describeMachine } from '../report/machine'
import { formatMarkdown } from '../report/markdown'
import { replaceBetweenMarks } from '../report/marks'
import { formatTable } from '../report/table'
import { brokenIndex } from './broken-index'
import { contenders } from './contenders.mjs'
import { fullDisk } from './full-disk'
import { kill } from './kill'
import { runInNamespace } from './namespace'
import { powerCut } from './power-cut'
import type { Cell, Row } from './row'
import { twoProcesses } from './two-processes'

const rows = [powerCut, fullDisk, kill, twoProcesses, brokenIndex]
const names = Object.keys(contenders)

/** Set where this program runs in its mount namespace: the folder that all cells work in. */
const SCRATCH = 'ATOMIC_COMPARE_SCRATCH'

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } },
  })
  const wanted = positionals.length
    ? rows.filter(({ when }) => positionals.every((word) => when.includes(word)))
    : rows
  if (wanted.length === 0) throw new Error(`No row is about ${positionals.join(' ')}`)
  if (values.write && (values.quick || wanted !== rows))
    throw new Error('--write needs all rows, at full length')

  const given = process.env[SCRATCH]
  if (given) return compare(wanted, given, values)
  const scratch = mkdtempSync(join(tmpdir(), 'atomic-compare-'))
  try {
    const code = await runInNamespace({ [SCRATCH]: scratch })
    if (code === undefined) await compare(wanted, scratch, values)
    else process.exitCode = code
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function compare(
  wanted: Row[],
  scratch: string,
  { quick, write }: { quick: boolean; write: boolean },
): Promise<void> {
  const started = performance.now()
  console.log((await describeMachine(scratch, names.slice(1, -1))).join('\n'))
  const table = { title: '', head: ['when', ...names], rows: [] as string[][] }
  const broken: string[] = []
  for (const row of wanted) {
    console.log(`\n${row.when}: ${row.method}`)
    const cells = await look(row, scratch, quick)
    table.rows.push([row.when, ...cells.map(({ seen }) => seen)])
    if (!cells.at(-1)?.good) broken.push(row.when)
  }
  console.log(formatTable(table))
  console.log(`\n${Math.round((performance.now() - started) / 1000)} s`)
  if (write) {
    const page = join(root, 'README.md')
    await atomicWrite(page, replaceBetweenMarks(readFileSync(page, 'utf8'), 'compare', formatMarkdown(table)))
  }
  if (broken.length > 0) throw new Error(`${names.at(-1)} broke its promise: ${broken.join(', ')}`)
}

async function look(row: Row, scratch: string, quick: boolean): Promise<Cell[]> {
  const makeFolder = () => mkdtempSync(join(scratch, 'cell-'))
  const needsRoot = row.needsRoot?.(makeFolder())
  const cells: Cell[] = []
  for (const name of names) {
    const cell = needsRoot
      ? { seen: 'needs root on Linux', good: true }
      : await row.look(name, { folder: makeFolder(), quick })
    cells.push(cell)
    console.log(`  ${name}: ${cell.seen}`)
  }
  return cells
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
