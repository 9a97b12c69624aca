// `npm run compare`: what becomes of a file when something goes wrong, for each of the usual ways to write one.
// The packages are the real ones, and so are the faults. Every cell says what was seen.
//
//   npm run compare -- [--quick] [--write] [--of NAME ...] [WORD ...]
//   npm run compare -- --draw
//
// Words choose rows by what happens, and names choose contenders: `npm run compare -- --of lowdb kill full`. `--write` keeps the results in docs/compare/ and draws
// docs/compare.md and the table of README.md; `--draw` looks at nothing and draws them from the results that are kept.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '../../scripts/tools.mjs'
import { parseCommand, runProgram, UsageError } from '../command'
import { describeMachine } from '../report/machine'
import { docs } from '../report/page'
import { formatTable } from '../report/table'
import { access } from './access'
import { brokenIndex } from './broken-index'
import { flushes } from './flushes'
import { fullDisk } from './full-disk'
import { ioErrors } from './io-errors'
import { kill } from './kill'
import { runInNamespace } from './namespace'
import { drawPages } from './page'
import { powerCut } from './power-cut'
import { reader } from './reader'
import { names, type Results, rivals, saveResults } from './results'
import type { Cell, Row } from './row'
import { twoProcesses } from './two-processes'

const rows = [powerCut, flushes, fullDisk, ioErrors, kill, twoProcesses, reader, access, brokenIndex]
const ours = '@pipeline/atomic'

/** Set where this program runs in its mount namespace: the folder that all cells work in. */
const SCRATCH = 'ATOMIC_COMPARE_SCRATCH'

async function main(): Promise<void> {
  const { values, positionals } = parseCommand({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      of: { type: 'string', multiple: true, default: names },
      draw: { type: 'boolean', default: false },
    },
  })
  if (values.draw) return drawPages(docs, join(root, 'README.md'))
  const wanted = positionals.length
    ? rows.filter(({ when }) => positionals.some((word) => when.includes(word)))
    : rows
  if (wanted.length === 0) throw new UsageError(`No row is about ${positionals.join(' or ')}`)
  const unknown = values.of.find((name) => !names.includes(name))
  if (unknown) throw new UsageError(`${unknown} is not compared: take one of ${names.join('; ')}`)
  if (values.write && (values.quick || wanted !== rows || values.of !== names))
    throw new UsageError('--write needs all rows and contenders, at full length')

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
  { quick, write, of }: { quick: boolean; write: boolean; of: string[] },
): Promise<void> {
  const started = performance.now()
  const results: Results = {
    command: 'npm run compare -- --write',
    machine: await describeMachine(scratch, rivals),
    rows: [],
  }
  console.log(results.machine.join('\n'))
  const missing: string[] = []
  for (const row of wanted) {
    console.log(`\n${row.when}: ${row.method}`)
    const lacks = row.needs?.(mkdtempSync(join(scratch, 'needs-')))
    if (lacks) {
      console.log(`  skipped: needs ${lacks}`)
      missing.push(row.when)
      continue
    }
    const { when, method } = row
    results.rows.push({ when, method, cells: await look(row, of, scratch, quick) })
  }
  console.log(
    formatTable({
      title: '',
      head: ['when', ...of],
      rows: results.rows.map(({ when, cells }) => [when, ...of.map((name) => cells[name]?.seen ?? '')]),
    }),
  )
  console.log(`\n${Math.round((performance.now() - started) / 1000)} s`)
  if (write) {
    if (missing.length > 0) throw new Error(`--write needs all rows, and skipped were: ${missing.join(', ')}`)
    await saveResults(docs, results)
    await drawPages(docs, join(root, 'README.md'))
  }
  const broken = results.rows.filter(({ cells }) => cells[ours]?.good === false).map(({ when }) => when)
  if (broken.length > 0) throw new Error(`${ours} broke its promise: ${broken.join(', ')}`)
}

async function look(row: Row, of: string[], scratch: string, quick: boolean): Promise<Record<string, Cell>> {
  const cells: Record<string, Cell> = {}
  for (const name of of) {
    const cell = await row.look(name, { folder: mkdtempSync(join(scratch, 'cell-')), quick })
    cells[name] = cell
    console.log(`  ${name}: ${cell.seen}`)
  }
  return cells
}

runProgram(main)
